"""A trained network by itself: one file in, classes of new images out; no configuration, no data.

from eurosat_lib.classifier import Classifier

print(Classifier.load("artifacts/best.ckpt").classify("tile.jpg"))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from eurosat_lib.errors import UserError
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime, get_device
from eurosat_lib.training.checkpoint import load_checkpoint
from eurosat_lib.training.steps import predict
from eurosat_lib.transforms import Preprocessing

BATCH = 64  # images; those of the evaluation, so that the same device gives the same bits


@dataclass(frozen=True)
class Classifier:
    """A network with what it needs to read an image."""

    model: DilatedCNN
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    runtime: Runtime

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", precision: str = "fp32") -> Classifier:
        """Read a checkpoint of this project, ``weights_only``.

        Args:
            path: of the file.
            device: ``auto`` (CUDA if there is one), ``cpu`` or ``cuda``.
            precision: ``fp32``, or ``bf16`` where the device is quick at it.

        Raises:
            UserError: the file is missing, damaged, or no checkpoint of this project.
        """
        content = load_checkpoint(Path(path))
        try:
            task, hyper = content["task"], content["hyperparameters"]
            blocks, dilation = hyper["blocks_per_stage"], hyper["dilation_stage3"]
            classes = tuple(task["classes"])
            model = DilatedCNN(tuple(task["model.channels"]), blocks, dilation, len(classes))
            model.load_state_dict(content["model"])
            mean, std = (tuple(task[f"preprocess.{name}"]) for name in ("mean", "std"))
            preprocessing = Preprocessing(task["data.image_size"], mean, std)
        except (KeyError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise UserError(f"{path}: not a whole checkpoint: {reason}") from None
        runtime = Runtime(get_device(device), precision)
        return cls(runtime.place(model).eval(), preprocessing, classes, runtime)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the scores of images before the softmax.

        Args:
            images: uint8 (N, 3, H, W), 0-255, RGB; resized where they are of another size.

        Returns:
            float32 (N, K), in the order of ``classes``.
        """
        return predict(self.model, self._batches(images), self.runtime)[0].numpy()

    def classify(self, image: str | Path | Image.Image | np.ndarray) -> dict[str, float]:
        """Return the probability of each class, the most probable first.

        Args:
            image: a picture or its file, or uint8 (H, W, 3), 0-255: 640 m of ground, as Sentinel-2
                sees it. Anything else gets an answer as well, and a worthless one.

        Raises:
            UserError: the file is missing, or no picture.
        """
        if isinstance(image, str | Path):
            image = _open(image)
        if isinstance(image, Image.Image):
            image = np.asarray(image.convert("RGB"))
        scores = torch.from_numpy(self.logits(image.transpose(2, 0, 1)[None]))
        shares = scores[0].double().softmax(0).tolist()
        pairs = zip(self.classes, shares, strict=True)
        return dict(sorted(pairs, key=lambda pair: -pair[1]))

    def _batches(self, images: np.ndarray) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(images), BATCH):
            part = torch.from_numpy(images[start : start + BATCH].copy())
            batch = self.preprocessing(part.to(self.runtime.device))
            unknown = torch.full((len(part),), -1)  # no labels
            yield batch.contiguous(memory_format=torch.channels_last), unknown


def _open(path: str | Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except OSError as error:  # PIL's own error for what is no picture is one
        raise UserError(f"{path}: cannot be read as a picture: {error}") from None
