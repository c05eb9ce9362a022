"""A trained network by itself: the classes of new images.

Classifier.load("artifacts/eurosat/best.ckpt").classify("tile.jpg")
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from eurosat_lib.checkpoint import load_checkpoint
from eurosat_lib.data import open_picture
from eurosat_lib.errors import UserError
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
    batch: int = 64  # images at a time

    @classmethod
    def load(
        cls, path: Path | str, runtime: Runtime | None = None, batch: int = 64
    ) -> "Classifier":
        """Read a checkpoint, by default in float32 on the best device; UserError if unsound."""
        content = load_checkpoint(Path(path))
        runtime = runtime or Runtime(get_device("auto"), "fp32")
        try:
            task, own = content["task"], Hyperparameters(**content["hyperparameters"])
            channels, classes = tuple(task["model.channels"]), tuple(task["classes"])
            shape = (own.blocks_per_stage, own.dilation_stage3, len(classes))
            model = DilatedCNN(channels, *shape)
            model.load_state_dict(content["model"])
            values = (tuple(task[f"preprocess.{name}"]) for name in ("mean", "std"))
            preprocessing = Preprocessing(task["data.image_size"], *values)
        except Exception as error:  # whatever a damaged field leads to
            reason = " ".join(str(error).split())[:120]
            raise UserError(f"{path}: not a whole checkpoint: {reason}") from None
        return cls(runtime.place(model).eval(), preprocessing, classes, runtime, batch)

    def prepare(self, images: np.ndarray | Tensor) -> Tensor:
        """Normalise RGB images, uint8 (N, 3, H, W), on the device and at the network's size."""
        return self.preprocessing(torch.as_tensor(images).to(self.runtime.device))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the scores before the softmax, float32 (N, K), of RGB uint8 (N, 3, H, W)."""
        parts = torch.tensor(np.ascontiguousarray(images)).split(self.batch)
        unknown = torch.full((self.batch,), -1)  # nobody knows their classes
        look = {"memory_format": torch.channels_last}
        batches = ((self.prepare(part).contiguous(**look), unknown[: len(part)]) for part in parts)
        return predict(self.model, batches, self.runtime)[0].numpy()

    def classify(self, image: str | Path | np.ndarray) -> dict[str, float]:
        """Return the probability of each class, the most probable first; UserError if unreadable.

        Of a picture's file, or an array (H, W, 3), RGB, uint8: 640 m of ground, as Sentinel-2
        sees it; another image gets a worthless answer.
        """
        pixels = read_picture(image) if isinstance(image, str | Path) else np.asarray(image)
        if pixels.shape[2:] != (3,) or not pixels.size or pixels.dtype != np.uint8:
            found = f"array of shape {pixels.shape}, {pixels.dtype}"
            raise UserError(f"{found}: (height, width, 3) is expected, RGB, uint8 in 0-255")
        scores = torch.from_numpy(self.logits(pixels.transpose(2, 0, 1)[None]))
        shares, order = scores[0].double().softmax(0).sort(descending=True, stable=True)
        return {self.classes[k]: share for k, share in zip(order, shares.tolist(), strict=True)}


def read_picture(path: str | Path | BinaryIO) -> np.ndarray:
    """Decode a picture of 8 bits per channel, a path or an open file: uint8 (H, W, 3), RGB.

    Greys and transparency become RGB; UserError if it cannot be read.
    """
    try:
        with open_picture(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except Exception as error:  # Pillow raises whatever it meets
        raise UserError(f"{path}: cannot be read as a picture: {error}") from None
