"""A trained network by itself: one file in, classes of new images out; no configuration, no data.

from eurosat_lib.classifier import Classifier

print(Classifier.load("artifacts/best.ckpt").classify("tile.jpg"))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image

from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.errors import UserError
from eurosat_lib.files import PICTURES
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime, get_device
from eurosat_lib.train import Hyperparameters, predict
from eurosat_lib.transforms import Preprocessing


@dataclass(frozen=True)
class Classifier:
    """A network with what it needs to read an image."""

    model: DilatedCNN
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    runtime: Runtime
    batch: int = 64  # images; those of the evaluation, so that the same device gives the same bits

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", precision: str = "fp32") -> Classifier:
        """Read a checkpoint of this project, ``weights_only``, onto a device.

        Raises:
            UserError: the file is missing, damaged, or no checkpoint of this project.
        """
        content, runtime = load_checkpoint(Path(path)), Runtime(get_device(device), precision)
        return cls.of(path, content, runtime)

    @classmethod
    def of(cls, path: str | Path, content: dict, runtime: Runtime, batch: int = 64) -> Classifier:
        """Build the network that the content of a checkpoint describes; UserError if it cannot."""
        try:
            task, own = content["task"], Hyperparameters(**content["hyperparameters"])
            shape = (own.blocks_per_stage, own.dilation_stage3)
            classes = tuple(task["classes"])
            model = DilatedCNN(tuple(task["model.channels"]), *shape, len(classes))
            model.load_state_dict(content["model"])
            values = (tuple(task[f"preprocess.{name}"]) for name in ("mean", "std"))
            preprocessing = Preprocessing(task["data.image_size"], *values)
        except Exception as error:  # whatever a damaged field leads to
            reason = " ".join(str(error).split())[:120]
            raise UserError(f"{path}: not a whole checkpoint: {reason}") from None
        return cls(runtime.place(model).eval(), preprocessing, classes, runtime, batch)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the scores before the softmax, (N, K), of RGB images, uint8 (N, 3, H, W)."""

        def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            """Yield normalised images by batches, with labels that nobody knows."""
            for start in range(0, len(images), self.batch):
                part = torch.from_numpy(images[start : start + self.batch].copy())
                batch = self.preprocessing(part.to(self.runtime.device))
                unknown = torch.full((len(part),), -1)  # no labels
                yield batch.contiguous(memory_format=torch.channels_last), unknown

        return predict(self.model, batches(), self.runtime)[0].numpy()

    def classify(self, image: str | Path | Image.Image | np.ndarray) -> dict[str, float]:
        """Return the probability of each class, the most probable first.

        Of a picture or its file, or an array (H, W, 3), RGB, uint8 in 0-255 or float in [0, 1]:
        640 m of ground, as Sentinel-2 sees it; another image gets a worthless answer.

        Raises:
            UserError: the file is missing or no picture, or these are no 8-bit RGB values.
        """
        image = read_picture(image) if isinstance(image, str | Path) else _pixels(image)
        scores = torch.from_numpy(self.logits(image.transpose(2, 0, 1)[None]))
        shares, order = scores[0].double().softmax(0).sort(descending=True, stable=True)
        return {self.classes[k]: share for k, share in zip(order, shares.tolist(), strict=True)}


def read_picture(path: str | Path | BinaryIO) -> np.ndarray:
    """Decode a picture of 8 bits per channel, by its path or opened: uint8 (H, W, 3), RGB."""
    try:
        with Image.open(path, formats=PICTURES) as picture:
            return _pixels(picture)
    except UserError:
        raise
    except Exception as error:  # Pillow raises whatever it meets
        raise UserError(f"{path}: cannot be read as a picture: {error}") from None


def _pixels(image: Image.Image | np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, 3); greys and transparency of a picture become RGB."""
    if isinstance(image, Image.Image):
        # Pillow cuts 16 bits per channel down to 8 without a word: only the coding names them.
        deep = any(";16" in str(tile) for tile in getattr(image, "tile", ()))
        if deep or image.mode.startswith(("I", "F")):
            name = getattr(image, "filename", "") or "picture"
            raise UserError(f"{name}: of mode {image.mode} and more than 8 bits per channel")
        return np.asarray(image.convert("RGB"))
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise UserError(f"array of shape {image.shape}: (height, width, 3) is expected, RGB")
    if np.issubdtype(image.dtype, np.floating):
        if not (image.min() >= 0 and image.max() <= 1):  # NaN neither
            raise UserError("float pixels outside [0, 1]: give uint8 in 0-255, or divide by 255")
        image = (image * 255).round().astype(np.uint8)
    if image.dtype != np.uint8:
        raise UserError(f"pixels of type {image.dtype}: uint8 in 0-255 is expected")
    return image
