"""Theory beside measurement, for everything notebook 03 checks."""

from __future__ import annotations

from typing import ClassVar

from eurosat_lib.checks.architecture import Architecture, Variant
from eurosat_lib.checks.initial_loss import InitialLoss
from eurosat_lib.checks.sanity import Sanity
from eurosat_lib.checks.shuffled import ShuffledLabels
from eurosat_lib.checks.signal import LayerSignal
from eurosat_lib.record import Record

LIMIT_SIGNAL = 2.0  # factor by which the strength of a layer's output may miss theory
LIMIT_ZEROS = 0.1  # distance from one half that the share of zeros after a ReLU may have


class Check(Record):
    """One number by theory, the same measured, and the verdict."""

    name: str  # what is compared; French words in ``tables``
    subject: tuple[int, ...]  # blocks and dilation it is about; empty: the configured network
    theory: float
    measured: float
    passed: bool

    @property
    def ratio(self) -> float | None:
        """Measured over theory; ``None`` where theory says zero."""
        return self.measured / self.theory if self.theory else None


class Summary(Record):
    """All checks, in the order of the notebook."""

    stage: ClassVar[str] = "model_checks"

    checks: tuple[Check, ...]

    def facts(self) -> dict:
        """Return how many there are and how many passed."""
        return {"n": len(self.checks), "passed": sum(check.passed for check in self.checks)}


def summarise_checks(
    architecture: Architecture, initial: InitialLoss, shuffled: ShuffledLabels, sanity: Sanity
) -> Summary:
    """Set what was measured beside what theory says."""
    verdicts = sanity.facts()
    means = shuffled.facts()
    rows = [
        *_network(architecture.variants),
        *_start(initial),
        ("independence", (), 0.0, sanity.independence.others, verdicts["independent"]),
        ("repetition", (), 0.0, float(sanity.differing), verdicts["repeatable"]),
        ("blind", (), sanity.prior_loss, sanity.blind_loss, verdicts["blind"]),
        ("shuffled", (), means["chance"], means["shuffled_accuracy"], means["at_chance"]),
    ]
    return Summary(
        checks=tuple(
            Check(name=n, subject=s, theory=t, measured=m, passed=p) for n, s, t, m, p in rows
        )
    )


def _network(variants: tuple[Variant, ...]) -> list[tuple]:
    """Exact counts: what depends on the blocks alone once for each, the field for all."""
    rows, seen = [], set()
    for name, theory, measured in (
        ("parameters", "parameters_by_formula", "parameters"),
        ("forward", "gflop_forward", "gflop_forward_counted"),
        ("training", "gflop", "gflop_counted"),
        ("field", "receptive_field", "measured_field"),
    ):
        for v in variants:
            own = (
                (v.blocks_per_stage, v.dilation_stage3)
                if name == "field"
                else (v.blocks_per_stage,)
            )
            if (name, own) not in seen:
                seen.add((name, own))
                paper, real = getattr(v, theory), getattr(v, measured)
                rows.append((name, own, float(paper), float(real), paper == real))
    return rows


def _start(initial: InitialLoss) -> list[tuple]:
    """The untrained network; of the layers, the one that is furthest from theory."""
    layer = max(initial.signals, key=_distance)
    zeros = max(
        (one.zeros for one in initial.signals if one.zeros is not None),
        key=lambda share: abs(share - 0.5),
    )
    return [
        ("loss", (), initial.expected, initial.mean, initial.agrees),
        ("signal", (), layer.expected, layer.rms, _distance(layer) <= LIMIT_SIGNAL),
        ("zeros", (), 0.5, zeros, abs(zeros - 0.5) <= LIMIT_ZEROS),
    ]


def _distance(layer: LayerSignal) -> float:
    """Factor between measurement and theory, whichever way."""
    if not (layer.rms > 0 and layer.expected > 0):
        return float("inf")
    return max(layer.ratio, 1 / layer.ratio)
