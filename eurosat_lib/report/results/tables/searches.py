"""Tables of the LR finder and of the grids."""

from __future__ import annotations

from eurosat_lib.grid import (
    FACTORS,
    MEASURES,
    Comparisons,
    Grid,
    GridSearch,
    RefinedGrid,
    effect,
)
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.report.results.english import DASH, number, percent, points, rate, table
from eurosat_lib.report.results.reading import Results
from eurosat_lib.report.results.tables.training import FACTOR_NAMES

MEASURE_NAMES = {
    "speed": "accuracy after epoch 1",
    "score": "score",
    "gap": "train − validation",
    "spread": "spread of the last two epochs",
}


def lr_rules(r: Results) -> str:
    """List each rule's suggestion per seed, its median and its spread, then the choice."""
    found = r.need(LRFinder)
    rows = []
    for rule in ("steepest", "valley", "minimum/10"):
        own = [rate(sweep.suggestions.get(rule)) for sweep in found.sweeps]
        ends = found.spread.get(rule)
        rows.append((rule, *own, rate(found.by_rule.get(rule)), _factor(ends)))
    blank = [DASH] * len(found.sweeps)
    if found.resets:
        protocol = found.resets
        rows.append(("course's protocol", *blank, rate(protocol.choice), _factor(protocol.window)))
    basis = "median of all" if found.reliable else "course's protocol" if found.choice else "none"
    rows.append((f"**choice** ({basis})", *blank, rate(found.choice), _factor(found.window)))
    heads = [f"Seed {sweep.seed}" for sweep in found.sweeps]
    return table(("Rule", *heads, "Median", "Highest / lowest"), rows)


def grid(r: Results) -> str:
    """Rank the points of the grid, the best first."""
    return _ranking(r.need(Grid))


def refined(r: Results) -> str:
    """Rank the points of the refined grid, the best first."""
    return _ranking(r.need(RefinedGrid))


def _ranking(search: GridSearch) -> str:
    tied, rows = {point.name for point in search.tied}, []
    for rank, point in enumerate(search.ranking, 1):
        h, sound = point.hyperparameters, not point.diverged
        rows.append(
            (
                rank,
                rate(h.lr),
                rate(h.weight_decay),
                h.dilation_stage3,
                h.blocks_per_stage,
                percent(point.score) if sound else DASH,
                number(point.val_loss, 3) if point.val_loss is not None else DASH,
                "diverged" if not sound else "best" if rank == 1 else _tie(point.name in tied),
            )
        )
    heads = ("Rank", "LR", "Weight decay", "Dilation", "Blocks", "Score", "Val. loss (nats)")
    return table((*heads, "Note"), rows)


def _tie(tied: bool) -> str:
    return "≈" if tied else ""


def effects(r: Results) -> str:
    """List what each factor of the grid changes between its extremes, measure by measure."""
    trials, rows = r.need(Grid).trials, []
    for factor in FACTORS:
        for measure in MEASURES:
            found = effect(trials, factor, measure)
            ends = f"{rate(found.low)} → {rate(found.high)}"
            if factor not in ("lr", "weight_decay"):
                ends = f"{found.low:g} → {found.high:g}"
            verdict = {0: "undecided", 1: "up", -1: "down"}[found.sign]
            rows.append(
                (
                    f"{FACTOR_NAMES[factor]}, {ends}",
                    MEASURE_NAMES[measure],
                    points(found.mean, found.interval, 1) if found.pairs else DASH,
                    f"{len(found.units)} ({len(found.pairs)})",
                    verdict if found.pairs else "one value",
                )
            )
    return table(("Factor", "Measure", "Effect (points)", "Units (pairs)", "Verdict"), rows)


def comparison(r: Results) -> str:
    """List the trials that the report lays over each other, factor by factor."""
    rows = [
        (
            FACTOR_NAMES[c.factor],
            f"{curve.value:g}",
            percent(curve.first_val_accuracy),
            percent(curve.score),
            number(curve.last_val_loss, 3),
            points(curve.gap),
        )
        for c in r.need(Comparisons).comparisons
        for curve in c.curves
    ]
    heads = ("Factor", "Value", "Validation, epoch 1", "Score", "Val. loss (nats)")
    return table((*heads, "Train − validation (points)"), rows)


def _factor(ends: tuple[float, float] | None) -> str:
    return DASH if ends is None else f"× {number(ends[1] / ends[0], 1)}"
