"""Tables of the baselines and of the checks before training."""

from __future__ import annotations

from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import (
    Architecture,
    InitialLoss,
    Overfit,
    Sanity,
    ShuffledLabels,
    summarise_checks,
)
from eurosat_lib.report.results.english import DASH, number, percent, table
from eurosat_lib.report.results.reading import Results

STEP = 5  # epochs between two rows of the overfit table
QUANTITIES = {  # of a check -> how it is called, decimals
    "parameters": ("parameters", 0),
    "forward": ("forward pass (GFLOP per image)", 4),
    "training": ("forward and backward (GFLOP per image)", 4),
    "field": ("receptive field (px)", 0),
    "loss": ("mean initial loss (nats)", 3),
    "signal": ("output of a layer, the furthest off (root mean square)", 3),
    "zeros": ("zeros after a ReLU, the layer furthest off", 3),
    "independence": ("logits changed by another image of the batch", 3),
    "repetition": ("values that differ between two trainings", 0),
    "blind": ("loss without seeing the images (nats)", 3),
    "shuffled": ("accuracy after shuffled labels", 3),
}


def baselines(r: Results) -> str:
    """List the scores to beat."""
    b = r.need(Baselines)
    rows = [
        ("uniform guess (expected)", percent(b.uniform), percent(b.uniform)),
        (
            f"majority class ({b.majority_class})",
            percent(b.majority_validation),
            percent(b.majority_test),
        ),
        ("logistic regression, 4 × 4 thumbnail", percent(b.thumbnail_validation), DASH),
        ("logistic regression, mean and sd of each channel", percent(b.color_validation), DASH),
    ]
    return table(("Baseline", "Validation", "Test"), rows)


def variants(r: Results) -> str:
    """List the networks of the grid: size, receptive field, work for one training image."""
    rows = [
        (
            v.blocks_per_stage,
            v.dilation_stage3,
            v.parameters,
            v.tensors,
            v.receptive_field,
            v.energy_field,
            number(v.gflop, 3),
        )
        for v in r.need(Architecture).variants
    ]
    heads = ("Blocks per stage", "Dilation", "Parameters", "Tensors", "Receptive field (px)")
    return table((*heads, "with 95 % of the energy (px)", "GFLOP per trained image"), rows)


def theory(r: Results) -> str:
    """Set what was measured on the untrained network beside what theory says."""
    kinds = (Architecture, InitialLoss, ShuffledLabels, Sanity)
    rows = []
    for check in summarise_checks(*map(r.need, kinds)).checks:
        name, digits = QUANTITIES[check.name]
        subject = ", ".join(
            f"{word} {value}"
            for word, value in zip(("blocks", "dilation"), check.subject, strict=False)
        )
        values = [number(x, digits if x else 0) for x in (check.theory, check.measured)]
        label = f"{name}; {subject}" if subject else name
        rows.append((label, *values, "yes" if check.passed else "**no**"))
    return table(("Quantity", "Theory", "Measured", "Agree"), rows)


def initial_loss(r: Results) -> str:
    """List what the first batch gives before training."""
    found = r.need(InitialLoss)
    reached = sum(g.norm > 0 for g in found.gradients)
    rows = [
        ("loss (nats)", number(found.loss, 4)),
        (f"theory, ln {found.classes} (nats)", number(found.theory, 4)),
        (
            f"mean ± sd over {len(found.losses)} initialisations (nats)",
            f"{number(found.mean, 4)} ± {number(found.sd, 4)}",
        ),
        ("norm of the gradient", number(found.grad_norm, 3)),
        ("tensors that the gradient reaches", f"{reached} of {len(found.gradients)}"),
    ]
    return table(("First batch", "Value"), rows)


def overfit(r: Results) -> str:
    """List loss and accuracy on the few images learnt by heart, every five epochs."""
    found = r.need(Overfit)
    last = len(found.losses)
    rows = [
        (n, number(found.losses[n - 1], 4), percent(found.accuracies[n - 1], 1))
        for n in sorted({1, last, *range(STEP, last, STEP)})
    ]
    return table((f"Epoch ({found.size} images)", "Loss (nats)", "Accuracy"), rows)


def shuffled(r: Results) -> str:
    """List what true and shuffled labels teach about other images, pair by pair."""
    found = r.need(ShuffledLabels)
    n = found.validation_images
    rows = [
        (k, *(percent(m.validation_accuracy, 1) for m in (pair.true, pair.shuffled)))
        for k, pair in enumerate(found.pairs, 1)
    ]
    return table(("Pair", f"True labels (n = {n})", "Shuffled labels"), rows)
