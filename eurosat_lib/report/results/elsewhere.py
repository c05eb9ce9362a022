"""Figures published elsewhere, to read ours by: each with its source, none computed here."""

from __future__ import annotations

from eurosat_lib.report.results.english import table

STANDARD = (  # accuracy, model, split, source
    (
        "97.06 % [96.57, 97.47]",
        "the same network and protocol, 3 blocks (1.93 M parameters), one seed",
        "the same lists",
        "second-hand: logs of another project on this subject, 5,241 of 5,400 right",
    ),
    (
        "98.57 %",
        "ResNet-50 pre-trained on ImageNet, fine-tuned, RGB",
        "random 80 / 20",
        "[Helber et al. 2019](https://doi.org/10.1109/JSTARS.2019.2918242)",
    ),
    (
        "97.23 %",
        "small CNN with attention, from scratch, RGB",
        "its own split",
        "[arXiv:2510.15527](https://arxiv.org/abs/2510.15527)",
    ),
)
SPATIAL = (
    (
        "91.67 %",
        "CNN of 0.70 M parameters",
        "the same spatial lists",
        "second-hand: we did not see the original",
    ),
    (
        "96.50 %",
        "best frozen foundation model, RGB",
        "the same spatial lists",
        "second-hand: we did not see the original",
    ),
)
HEADS = ("Test accuracy", "Model", "Split", "Source")


def elsewhere() -> str:
    """List what others report for random splits, then for the spatial one."""
    return table(HEADS, (*STANDARD, *SPATIAL))
