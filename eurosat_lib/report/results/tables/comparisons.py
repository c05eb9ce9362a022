"""Tables that set test scores side by side: finalists, seeds, the spatial split."""

from __future__ import annotations

from eurosat_lib.evaluation import FinalistsOnTest, Seeds, wilson
from eurosat_lib.report.results.english import (
    DASH,
    interval,
    number,
    p_value,
    percent,
    points,
    share_of,
    table,
)
from eurosat_lib.report.results.reading import Results
from eurosat_lib.spatial import Side, SpatialSeeds, SplitComparison


def finalists_on_test(r: Results) -> str:
    """Set the two best finalists side by side on the test images; empty without a pair."""
    found = r.need(FinalistsOnTest)
    if not found.pair:
        return ""
    rows = [
        (
            f"`{one.hyperparameters.name}`",
            percent(one.score),
            share_of(one.correct, found.n, wilson(one.correct, found.n, found.level)),
            alone,
        )
        for one, alone in zip(found.pair, (found.only_first, found.only_second), strict=True)
    ]
    difference = (found.only_first - found.only_second) / found.n
    rows.append(
        ("difference (points)", DASH, points(difference, found.interval), p_value(found.p_value))
    )
    head = f"Finalist, {found.epochs} epochs on {number(found.train_images)} images"
    return table((head, "Score (validation)", "Test accuracy", "Right alone; McNemar"), rows)


def seeds(r: Results) -> str:
    """List the test scores of each seed, then mean and standard deviation over several."""
    return _seeds(r.need(Seeds))


def spatial_seeds(r: Results) -> str:
    """List the same for the spatial split; empty with less than two seeds on it."""
    found = r.get(SpatialSeeds)
    return _seeds(found) if found and found.several else ""


def _seeds(found: Seeds) -> str:
    """List scores, then mean and sd; two seeds have no interval worth the name."""
    rows = [
        (
            str(run.seed),
            str(run.epoch),
            percent(run.correct_validation / run.n_validation),
            share_of(run.correct, run.n, run.interval),
            percent(run.macro_f1),
        )
        for run in found.runs
    ]
    if found.several:
        facts = found.facts()
        a, f = facts["accuracy"], facts["macro_f1"]
        mean = f"{percent(a['mean'])} ± {number(100 * a['sd'], 2)}"
        mean += f" {interval((a['low'], a['high']))}" if len(found.runs) > 2 else ""
        label = f"**mean ± sd (n = {len(found.runs)})**"
        macro = f"{percent(f['mean'])} ± {number(100 * f['sd'], 2)}"
        rows.append((label, DASH, DASH, mean, macro))
    return table(("Seed", "Epoch", "Validation", "Test", "Macro-F1"), rows)


def split_scores(r: Results) -> str:
    """Lay the scores on both splits side by side; empty without a spatial split."""
    found = r.get(SplitComparison)
    if found is None or found.absent:
        return ""
    a, b = found.standard, found.spatial
    gap, bounds = found.gap()
    rows = [("Test accuracy", *(_scored(found, s) for s in (a, b)), points(gap, bounds))]
    if (adjusted := found.adjusted()) and (other := found.adjusted_gap()):
        text = f"{percent(adjusted[0])} {interval(adjusted[1])}"
        label = "… at the standard test's mix of classes"
        rows.append((label, _scored(found, a), text, points(*other)))
    rows += [
        ("Macro-F1", percent(a.macro_f1), percent(b.macro_f1), points(a.macro_f1 - b.macro_f1)),
        (
            "Validation accuracy",
            percent(a.val_accuracy),
            percent(b.val_accuracy),
            points(a.val_accuracy - b.val_accuracy),
        ),
        (f"Test images ({number(found.common)} in both)", a.n, b.n, DASH),
        ("Epoch kept", str(a.epoch), str(b.epoch), DASH),
        ("Configuration", f"`{a.name}`, seed {a.seed}", f"`{b.name}`, seed {b.seed}", DASH),
    ]
    return table(("Measure", "Standard", "Spatial", "Standard − spatial (points)"), rows)


def split_classes(r: Results) -> str:
    """List the recall of each class on both splits, the largest drop first."""
    found = r.get(SplitComparison)
    if found is None or found.absent:
        return ""
    rows = []
    for pair in sorted(found.complete, key=lambda p: -p.drop(found.class_level)[0]):
        drop, bounds = pair.drop(found.class_level)
        first, second = pair.recalls()
        verdict = "lower" if bounds[0] > 0 else "higher" if bounds[1] < 0 else "undecided"
        counts = (pair.n_standard, pair.n_spatial)
        shown = [
            f"{percent(x, 1)} (n = {n})" for x, n in zip((first, second), counts, strict=True)
        ]
        rows.append((pair.name, *shown, points(drop, bounds, 1), verdict))
    heads = ("Class", "Recall, standard", "Recall, spatial", "Standard − spatial (points)")
    return table((*heads, "Spatial is"), rows)


def _scored(found: SplitComparison, side: Side) -> str:
    return share_of(side.correct, side.n, found.interval(side))
