"""The control of the overfit: the same images with shuffled labels are learnt by heart too."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
from scipy import stats
from torch import Tensor

from eurosat_lib.checks.initial_loss import CONFIDENCE
from eurosat_lib.checks.overfit import few_images, memorise
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, Split
from eurosat_lib.data.loaders import make_loader, subset
from eurosat_lib.progress import progress
from eurosat_lib.record import Record
from eurosat_lib.runtime import Runtime
from eurosat_lib.training.steps import predict

ALPHA = 0.05  # of the sign test
SAME = 1e-9  # accuracies that differ by less have no spread to test with
KNOWN = 0.9  # share of the images of a draw that must be right to call them learnt by heart


class Memory(Record):
    """One network that learnt a few images: its training curve, and what it knows of others."""

    losses: tuple[float, ...]  # nats, one per epoch
    accuracies: tuple[float, ...]
    validation_accuracy: float
    chance: float  # accuracy of the same predictions, paired with the labels at random


class Pair(Record):
    """The same images and first weights, with true and with shuffled labels."""

    true: Memory
    shuffled: Memory


class ShuffledLabels(Record):
    """Pairs of trainings; each draws other images and other first weights."""

    stage: ClassVar[str] = "shuffled_labels"

    size: int  # images of a draw
    validation_images: int
    pairs: tuple[Pair, ...]

    @property
    def wins(self) -> int:
        """Count the pairs in which the true labels give the better validation accuracy."""
        return sum(p.true.validation_accuracy > p.shuffled.validation_accuracy for p in self.pairs)

    @property
    def p_value(self) -> float:
        """One-sided p of the sign test, ties left out: could the wins come from coin tosses?"""
        ties = sum(
            p.true.validation_accuracy == p.shuffled.validation_accuracy for p in self.pairs
        )
        tossed = len(self.pairs) - ties
        return (
            float(stats.binomtest(self.wins, tossed, alternative="greater").pvalue)
            if tossed
            else 1.0
        )

    @property
    def at_chance(self) -> bool:
        """Tell whether accuracy after shuffling is compatible with chance (t test, 99 %)."""
        gaps = [p.shuffled.validation_accuracy - p.shuffled.chance for p in self.pairs]
        if len(gaps) == 1 or statistics.stdev(gaps) < SAME:
            return len(gaps) == 1 or abs(gaps[0]) < SAME
        return bool(stats.ttest_1samp(gaps, 0).pvalue >= 1 - CONFIDENCE)

    def facts(self) -> dict:
        """Return means over the pairs, and what the tests say."""
        true, shuffled = ([getattr(p, kind) for p in self.pairs] for kind in ("true", "shuffled"))
        facts = {
            "size": self.size,
            "validation_images": self.validation_images,
            "n_pairs": len(self.pairs),
            "chance": statistics.fmean(m.chance for m in shuffled),
            "wins": self.wins,
            "p_value": self.p_value,
            "informative": self.p_value < ALPHA,
            "at_chance": self.at_chance,
        }
        for kind, memories in (("true", true), ("shuffled", shuffled)):
            known = [m.accuracies[-1] for m in memories]
            facts |= {
                f"{kind}_known": statistics.fmean(known),  # share of the images learnt
                f"{kind}_by_heart": sum(share >= KNOWN for share in known),  # draws
                f"{kind}_accuracy": statistics.fmean(m.validation_accuracy for m in memories),
            }
        return facts


def learn_shuffled_labels(
    config: Config,
    dataset: EuroSAT,
    keep: Callable[[int, Callable[[], Pair]], Pair] = lambda number, make: make(),
) -> ShuffledLabels:
    """Learn a few images by heart, then once more with their labels permuted, for several draws.

    The first draw with its true labels is the training of ``overfit_small``.

    Args:
        config: network, preprocessing, device, and its sections ``overfit`` and ``controls``.
        dataset: images of its train split are learnt, those of validation score what is known.
        keep: gets the number of a draw and what makes its pair; may know the pair already.

    Raises:
        UserError: the loss stopped being finite.
    """
    controls, pairs = config.controls, []
    with progress("Shuffled labels", total=controls.pairs, unit="draw") as bar:
        for number in range(controls.pairs):
            pairs.append(keep(number, partial(_make_pair, config, dataset, number)))
            bar.advance()
    return ShuffledLabels(
        size=config.overfit.size,
        validation_images=len(subset(len(dataset.validation), controls.validation_images)),
        pairs=tuple(pairs),
    )


def _make_pair(config: Config, dataset: EuroSAT, number: int) -> Pair:
    few, seed = few_images(dataset.train, config.overfit.size, number), config.seed + number
    shuffled = shuffle_labels(few, seed)
    return Pair(
        true=_learn(config, dataset, few, seed), shuffled=_learn(config, dataset, shuffled, seed)
    )


def shuffle_labels(split: Split, seed: int) -> Split:
    """Deal the labels of a split out again at random; each class keeps its count."""
    return replace(split, labels=np.random.default_rng(seed).permutation(split.labels))


def chance_agreement(predicted: Tensor, labels: Tensor) -> float:
    """Return the accuracy to expect if predictions met the labels at random.

    The sum over classes of (share predicted) x (share true): the agreement by chance of Cohen's
    kappa (1960).

    Args:
        predicted: int64 (N,).
        labels: int64 (N,).
    """
    classes = int(max(predicted.max(), labels.max())) + 1
    counts = (predicted.bincount(minlength=classes), labels.bincount(minlength=classes))
    return float((counts[0].double() * counts[1].double()).sum() / len(labels) ** 2)


def _learn(config: Config, dataset: EuroSAT, few: Split, seed: int) -> Memory:
    learnt = memorise(config, few, seed)
    loader = make_loader(config, dataset.validation, config.controls.validation_images)
    logits, labels = predict(learnt.model, loader, Runtime.of(config))
    predicted = logits.argmax(1)
    return Memory(
        losses=learnt.losses,
        accuracies=learnt.accuracies,
        validation_accuracy=float((predicted == labels).double().mean()),
        chance=chance_agreement(predicted, labels),
    )
