"""Where the evidence of an answer lies (Grad-CAM), and which changes of the image change it."""

import io
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

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
from eurosat_lib.loaders import subset
from eurosat_lib.model import DilatedCNN
from eurosat_lib.stages import Record
from eurosat_lib.stats import LEVEL, paired_difference

SEED = 0  # of the noise
VEIL = 255 * np.array([0.75, 0.80, 0.85], np.float32)  # colour of haze: bright, a little blue
VIEWS = tuple(f"{turn}°{flip}" for flip in ("", ", miroir") for turn in (0, 90, 180, 270))
# Our choice of light faults for tiles of 64 pixels, each from hardly seen to plain.
CORRUPTIONS = {
    "blur": (0.4, 0.7, 1.0),  # standard deviation of a Gaussian, pixels
    "noise": (2.0, 4.0, 8.0),  # standard deviation, of 255
    "jpeg": (90, 70, 50),  # quality, on Pillow's scale
    "haze": (0.05, 0.1, 0.2),  # share of a uniform veil
}


class Explanations(Record, stage="explain_predictions"):
    """For each class a right and a wrong image, the most confident of each, where there are any.

    A case holds its place in the validation split (``index``), ``truth``, ``prediction``,
    ``confidence``, and ``heat``, the map of the predicted class, see :func:`gradcam`.
    """

    classes: tuple[str, ...]
    cases: tuple[dict[str, Any], ...]

    def facts(self) -> dict:
        """Return how many images are explained."""
        return {"cases": len(self.cases)}


def gradcam(model: DilatedCNN, images: Tensor, targets: Tensor) -> Tensor:
    """Grad-CAM of the last stage (Selvaraju et al. 2017, arXiv:1610.02391).

    Of normalised images, float32 (N, 3, S, S), and classes to explain, int64 (N,), on the device
    of a model in evaluation mode. Feature maps are summed, weighed by the mean gradient of the
    class's logit; what is negative is cut. Returns float32 (N, h, w) on the CPU, each map divided
    by its maximum, 0 if it has none.
    """
    with torch.no_grad():
        features = model.stages(images)  # (N, C, h, w)
    chosen = model.head(model.pool(features.requires_grad_())).gather(1, targets[:, None])
    gradient = torch.autograd.grad(chosen.sum(), features)[0]
    heat = (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu().detach().float().cpu()
    return heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-12)


def explain(
    config: Config, dataset: EuroSAT, network: Classifier, labels: np.ndarray, logits: np.ndarray
) -> Explanations:
    """Explain, per class, the most confident right and wrong answer on validation.

    ``labels`` int64 (M,) and ``logits`` float32 (M, K), of the M validation images, are those
    that the evaluation kept.
    """
    shares, names = softmax(logits.astype(np.float64), axis=1).max(1), np.array(dataset.classes)
    table = pd.DataFrame({"truth": labels, "prediction": logits.argmax(1), "confidence": shares})
    wrong = table["truth"] != table["prediction"]
    table = table.loc[table.groupby([wrong, "truth"])["confidence"].idxmax()]
    table["index"] = subset(len(dataset.validation), config.data.validation_limit)[table.index]
    batch = network.prepare(np.array(dataset.validation.images[table["index"]]))
    targets = torch.tensor(table["prediction"].tolist(), device=batch.device)
    table["heat"] = gradcam(network.model, batch, targets).numpy().round(3).tolist()
    table = table.assign(truth=names[table["truth"]], prediction=names[table["prediction"]])
    return Explanations(classes=dataset.classes, cases=table.to_dict("records"))


def corrupt(images: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """Give uint8 images (N, 3, H, W) a fault, its strength in the unit of :data:`CORRUPTIONS`."""
    if kind == "blur":
        width = (0, 0, strength, strength)
        values = gaussian_filter(images, width, output=np.float32, mode="nearest")
    elif kind == "noise":
        drawn = np.random.default_rng(SEED).standard_normal(images.shape, np.float32)
        values = images + strength * drawn
    elif kind == "haze":  # Koschmieder's law, one depth
        values = (1 - strength) * images + strength * VEIL[:, None, None]
    else:
        files = [io.BytesIO() for _ in images]
        for file, image in zip(files, images.transpose(0, 2, 3, 1), strict=True):
            Image.fromarray(image).save(file, "JPEG", quality=strength)
        values = np.stack([Image.open(file) for file in files]).transpose(0, 3, 1, 2)
    return values.round().clip(0, 255).astype(np.uint8)


class Robustness(Record, stage="measure_robustness"):
    """Accuracy under changes that leave the class as it is.

    A trial holds its ``kind``, "view" or a corruption, its ``rank`` among those, and the numbers
    of images that are ``correct``, ``lost`` (right as they are only), ``gained`` (changed only).
    """

    n: int  # validation images
    correct: int  # as they are
    stable: int  # images with the same answer in the eight views
    trials: tuple[dict[str, Any], ...]

    def change(self, trial: dict[str, Any], comparisons: int) -> tuple[float, float, float]:
        """Change of accuracy and its paired interval, one of so many at a time (Bonferroni)."""
        lost, gained, level = trial["lost"], trial["gained"], 1 - (1 - LEVEL) / comparisons
        return (gained - lost) / self.n, *paired_difference(gained, lost, self.n, level)

    def facts(self) -> dict:
        """Return the stability over views and the largest falls of accuracy."""
        views = [one for one in self.trials if one["kind"] == "view"][1:]
        faults = [one for one in self.trials if one["kind"] != "view"]
        turned, worst = (min(part, key=itemgetter("correct")) for part in (views, faults))
        light = {one["kind"]: self.change(one, len(faults)) for one in faults if not one["rank"]}
        return {
            "n": self.n,
            "stable": self.stable / self.n,
            "worst_view": VIEWS[turned["rank"]],
            "worst_view_change": self.change(turned, len(views)),
            "worst_fault": worst["kind"],
            "worst_change": self.change(worst, len(faults)),
            "light_harmful": [kind for kind, (_, _, above) in light.items() if above < 0],
        }


def changes(images: np.ndarray) -> Iterator[tuple[tuple[str, int], np.ndarray]]:
    """Yield (kind, rank) and images, uint8 (N, 3, H, W), in all views, then with each fault."""
    turned = [torch.rot90(torch.from_numpy(images), turns, (2, 3)) for turns in range(4)]
    for rank, view in enumerate([*turned, *(one.flip(3) for one in turned)]):
        yield ("view", rank), view.numpy()
    for kind, strengths in CORRUPTIONS.items():
        for rank, strength in enumerate(strengths):
            yield (kind, rank), corrupt(images, kind, strength)


def measure(config: Config, dataset: EuroSAT, network: Classifier) -> Robustness:
    """Run a network on changed validation images."""
    index = subset(len(dataset.validation), config.evaluate.robustness_images)
    images, labels = np.array(dataset.validation.images[index]), dataset.validation.labels[index]
    answers = {name: network.logits(shown).argmax(1) for name, shown in changes(images)}
    views, trials = np.array([answers["view", rank] for rank in range(len(VIEWS))]), []
    before = views[0] == labels
    for (kind, rank), answer in answers.items():
        right = answer == labels
        counts = {"correct": right, "lost": before & ~right, "gained": right & ~before}
        trials.append({"kind": kind, "rank": rank} | {k: int(v.sum()) for k, v in counts.items()})
    total = {"n": len(labels), "correct": before.sum(), "stable": (views == views[0]).all(0).sum()}
    return Robustness(**total, trials=trials)
