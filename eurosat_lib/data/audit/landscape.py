"""A map of the training images: how far colour and texture alone, without any place, tell."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np
from scipy.fft import dctn
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from eurosat_lib.data.audit.tiles import luminance
from eurosat_lib.data.types import EuroSAT
from eurosat_lib.record import Record

PER_CLASS = 120  # training images of each class, drawn once
SEED = 0  # of the draw and of t-SNE
PERPLEXITY = 30  # effective neighbours of a point (van der Maaten & Hinton 2008)
STEPS = 500  # of gradient descent
NEIGHBOURS = 10  # that vote on a class, and that trustworthiness looks at
BANDS = (0.5, 2, 4, 8, 16, 32, 64)  # limits of the frequency bands, half periods per side
FEATURES = 15


class Landscape(Record):
    """Some training images by colour and texture, and where t-SNE puts them on a plane."""

    stage: ClassVar[str] = "draw_landscape"

    classes: tuple[str, ...]
    features: int
    per_class: int  # at most
    index: tuple[int, ...]  # in the training split
    labels: tuple[int, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    trustworthiness: float  # in [0, 1]: whether neighbours on the map are neighbours in truth
    confusion: tuple[tuple[int, ...], ...]  # truth by the vote of the nearest others

    @property
    def recalls(self) -> tuple[float, ...]:
        """Share of each class that its nearest others name rightly, before any map."""
        table = np.array(self.confusion)
        return tuple((table.diagonal() / np.maximum(table.sum(1), 1)).tolist())

    def facts(self) -> dict:
        """Return how well neighbours tell the class, and which classes they mix most."""
        heard = {"index", "labels", "x", "y", "confusion"}
        table, recalls = np.array(self.confusion), self.recalls
        present = [k for k in range(len(self.classes)) if table[k].sum()]
        order = sorted(present, key=lambda k: recalls[k])
        mixed = table + table.T - 2 * np.diag(table.diagonal())
        a, b = np.unravel_index(np.triu(mixed).argmax(), mixed.shape)
        return self.model_dump(mode="json", exclude=heard) | {
            "points": len(self.index),
            "neighbours": NEIGHBOURS,
            "accuracy": float(table.diagonal().sum() / table.sum()),
            "chance": 1 / len(present),
            "recalls": list(recalls),
            "easiest": [self.classes[k] for k in order[::-1][:2]],
            "hardest": [self.classes[k] for k in order[:2]],
            "easiest_recall": recalls[order[-1]],
            "hardest_recall": recalls[order[0]],
            "mixed": [self.classes[a], self.classes[b]],
        }


def draw_landscape(dataset: EuroSAT) -> Landscape:
    """Put a fixed draw of training images on a plane; the same bits each time."""
    index = draw(dataset.train.labels, PER_CLASS)
    labels = dataset.train.labels[index]
    features = StandardScaler().fit_transform(describe(dataset.train.images[index]))
    neighbours = min(NEIGHBOURS, (len(index) - 1) // 2)
    plane = _plane(features)
    return Landscape(
        classes=dataset.classes,
        features=FEATURES,
        per_class=PER_CLASS,
        index=tuple(index.tolist()),
        labels=tuple(labels.tolist()),
        x=tuple(plane[:, 0].round(3).tolist()),
        y=tuple(plane[:, 1].round(3).tolist()),
        trustworthiness=float(trustworthiness(features, plane, n_neighbors=neighbours)),
        confusion=_confusion(features, labels, len(dataset.classes), neighbours),
    )


def draw(labels: np.ndarray, per_class: int) -> np.ndarray:
    """Draw the same number of images of each class, or all of a small one; sorted int64 (n,)."""
    generator = np.random.default_rng(SEED)
    order = generator.permutation(len(labels))
    parts = [order[labels[order] == label][:per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(parts))


def describe(images: np.ndarray) -> np.ndarray:
    """Describe images by what no turn and no mirror changes, and of place nothing.

    Args:
        images: uint8 (N, 3, S, S).

    Returns:
        float64 (N, 15): mean of each channel, logarithm of its standard deviation, correlations
        of the three pairs of channels, logarithm of the mean power of the luminance in six bands
        of frequency. Nothing is standardised.
    """
    values = images.reshape(len(images), 3, -1) / 255
    mean, sd = values.mean(2), values.std(2)
    centred = values - mean[:, :, None]
    crossed = np.einsum("nap,nbp->nab", centred, centred) / values.shape[2]
    crossed /= sd[:, :, None] * sd[:, None, :] + 1e-6
    correlations = crossed[:, (0, 0, 1), (1, 2, 2)]
    return np.concatenate([mean, np.log(sd + 1e-3), correlations, _bands(images)], axis=1)


def _bands(images: np.ndarray) -> np.ndarray:
    power = dctn(luminance(images) / 255, axes=(1, 2), norm="ortho") ** 2
    rows, columns = np.indices(power.shape[1:])
    radius = np.hypot(rows, columns)
    bands = [power[:, (radius >= low) & (radius < high)].mean(1) for low, high in pairwise(BANDS)]
    return np.log(np.stack(bands, axis=1) + 1e-8)


def _plane(features: np.ndarray) -> np.ndarray:
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    machine = TSNE(perplexity=perplexity, max_iter=STEPS, init="pca", random_state=SEED)
    return machine.fit_transform(features.astype(np.float32))


def _confusion(
    features: np.ndarray, labels: np.ndarray, classes: int, neighbours: int
) -> tuple[tuple[int, ...], ...]:
    """Let the nearest others of each image, itself left out, vote on its class."""
    machine = KNeighborsClassifier(neighbours).fit(features, labels)
    others = machine.kneighbors(return_distance=False)  # (n, k), without the image itself
    votes = np.stack([(labels[others] == k).sum(1) for k in range(classes)], axis=1)
    table = confusion_matrix(labels, votes.argmax(1), labels=range(classes))
    return tuple(tuple(row) for row in table.tolist())
