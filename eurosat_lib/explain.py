"""The network looked at again: where its evidence lies, what changes its answers.

Both on validation: the test split stays closed.
"""

from __future__ import annotations

import io
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from torch import Tensor

from eurosat_lib.classifier import Classifier
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.evaluation import Predictions
from eurosat_lib.loaders import subset
from eurosat_lib.model import DilatedCNN
from eurosat_lib.stages import Record
from eurosat_lib.stats import paired_difference
from eurosat_lib.transforms import symmetric_views

DIGITS = 3  # of a map
SEED = 0  # of the noise
VEIL = 255 * np.array([0.75, 0.80, 0.85], np.float32)  # colour of haze: bright, a little blue
VIEWS = tuple(
    f"{90 * turns}°{', miroir' if flipped else ''}" for flipped in (0, 1) for turns in range(4)
)
ORDER = (0, 5, 6, 3, 4, 7, 2, 1)  # of VIEWS, turned to the left, among symmetric_views
# Our choice of light faults for tiles of 64 pixels, each from hardly seen to plain.
CORRUPTIONS = {
    "blur": (0.4, 0.7, 1.0),  # standard deviation of a Gaussian, pixels
    "noise": (2.0, 4.0, 8.0),  # standard deviation, of 255
    "jpeg": (90, 70, 50),  # quality, on Pillow's scale
    "haze": (0.05, 0.1, 0.2),  # share of a uniform veil
}


class Explanations(Record):
    """For each class a right and a wrong image, the most confident of each, where there are any.

    A case holds its place in the validation split (``index``), the names ``truth`` and
    ``prediction``, ``confidence``, and ``heat``: the rows of the map of the predicted class, at
    the size of the last feature map, in [0, 1], its maximum 1.
    """

    stage: ClassVar[str] = "explain_predictions"
    classes: tuple[str, ...]
    cases: tuple[dict[str, Any], ...]

    def facts(self) -> dict:
        """Return how many images are explained."""
        return {"cases": len(self.cases)}


def gradcam(model: DilatedCNN, images: Tensor, targets: Tensor) -> Tensor:
    """Grad-CAM of the last stage (Selvaraju et al. 2017, arXiv:1610.02391).

    Of normalised images, float32 (N, 3, S, S), and classes to explain, int64 (N,), on the device
    of a model in evaluation mode. The feature maps are summed with the mean gradient of the
    class's logit as weights, and negative values are cut. Returns float32 (N, h, w) on the CPU,
    in [0, 1]: each map divided by its maximum, 0 if it has none.
    """
    with torch.no_grad():
        features = model.stages(images)  # (N, C, h, w)
    chosen = model.head(model.pool(features.requires_grad_())).gather(1, targets[:, None])
    gradient = torch.autograd.grad(chosen.sum(), features)[0]
    heat = (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu().detach().float().cpu()
    return heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-12)


def explain(
    config: Config, dataset: EuroSAT, network: Classifier, found: Predictions
) -> Explanations:
    """Explain, per class, the most confident right and the most confident wrong answer.

    ``found`` holds what the network says of the validation images of the run.
    """
    labels, guesses, names = found.val_labels, found.val_logits.argmax(1), dataset.classes
    confidence = softmax(found.val_logits.astype(np.float64), axis=1).max(1)
    table = pd.DataFrame({"wrong": labels != guesses, "truth": labels, "confidence": confidence})
    rows = table.groupby(["wrong", "truth"])["confidence"].idxmax().to_numpy()
    places = subset(len(dataset.validation), config.data.validation_limit)[rows]
    device = network.runtime.device
    images = torch.from_numpy(np.ascontiguousarray(dataset.validation.images[places]))
    batch = network.preprocessing(images.to(device))
    heat = gradcam(network.model, batch, torch.from_numpy(guesses[rows]).to(device))
    cases = [
        {
            "index": int(index),
            "truth": names[labels[row]],
            "prediction": names[guesses[row]],
            "confidence": float(confidence[row]),
            "heat": one.tolist(),
        }
        for row, index, one in zip(rows, places, heat.numpy().round(DIGITS), strict=True)
    ]
    return Explanations(classes=names, cases=cases)


def corrupt(images: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """Give uint8 images (N, 3, H, W) a fault of :data:`CORRUPTIONS`."""
    if kind == "blur":
        look = {"output": np.float32, "mode": "nearest"}
        values = gaussian_filter(images, (0, 0, strength, strength), **look)
    elif kind == "noise":
        drawn = np.random.default_rng(SEED).standard_normal(images.shape, np.float32)
        values = images + strength * drawn
    elif kind == "haze":  # Koschmieder's law, one depth
        values = (1 - strength) * images + strength * VEIL[:, None, None]
    else:
        values = np.stack([_jpeg(image, int(strength)) for image in images])
    return values.round().clip(0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Compress uint8 (3, H, W) to JPEG, and back."""
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).transpose(2, 0, 1)


class Robustness(Record):
    """Accuracy under changes that leave the class as it is.

    A trial holds its ``kind``, "view" or a corruption, its ``rank`` (the number of the view, or
    0 for the lightest fault), how many images are ``correct``, ``lost`` (right as they are only)
    and ``gained`` (right when changed only).
    """

    stage: ClassVar[str] = "measure_robustness"
    n: int  # validation images
    correct: int  # as they are
    stable: int  # images with the same answer in the eight views
    level: float
    trials: tuple[dict[str, Any], ...]

    def change(self, trial: dict[str, Any], comparisons: int) -> tuple[float, float, float]:
        """Change of accuracy against the plain images, and its paired interval.

        The intervals of all comparisons hold together (Bonferroni).
        """
        lost, gained, level = trial["lost"], trial["gained"], 1 - (1 - self.level) / comparisons
        return (gained - lost) / self.n, *paired_difference(gained, lost, self.n, level)

    def facts(self) -> dict:
        """Return the stability over views and the largest falls of accuracy."""
        views = [one for one in self.trials if one["kind"] == "view"][1:]
        faults = [one for one in self.trials if one["kind"] != "view"]
        turned, worst = (min(part, key=lambda one: one["correct"]) for part in (views, faults))
        harmful = [one for one in faults if self.change(one, len(faults))[2] < 0]
        return {
            "n": self.n,
            "stable": self.stable / self.n,
            "worst_view": VIEWS[turned["rank"]],
            "worst_view_change": self.change(turned, len(views)),
            "worst_fault": worst["kind"],
            "worst_change": self.change(worst, len(faults)),
            "light_harmful": [one["kind"] for one in harmful if one["rank"] == 0],
        }


def measure(config: Config, dataset: EuroSAT, network: Classifier) -> Robustness:
    """Run a network on changed validation images."""
    index = subset(len(dataset.validation), config.evaluate.robustness_images)
    images = np.ascontiguousarray(dataset.validation.images[index])
    labels = dataset.validation.labels[index]
    turned = symmetric_views(torch.from_numpy(images))
    answers = [network.logits(turned[place].numpy()).argmax(1) for place in ORDER]
    changed = [("view", rank, answer) for rank, answer in enumerate(answers)]
    for kind, strengths in CORRUPTIONS.items():
        for rank, strength in enumerate(strengths):
            answer = network.logits(corrupt(images, kind, strength)).argmax(1)
            changed.append((kind, rank, answer))
    right, trials = answers[0] == labels, []
    for kind, rank, found in changed:
        now = found == labels
        counts = {"correct": now, "lost": right & ~now, "gained": now & ~right}
        counts = {name: int(which.sum()) for name, which in counts.items()}
        trials.append({"kind": kind, "rank": rank, **counts})
    return Robustness(
        n=len(labels),
        correct=int(right.sum()),
        stable=int((np.array(answers) == answers[0]).all(0).sum()),
        level=config.evaluate.confidence,
        trials=trials,
    )
