"""Tables of the test: scores, classes, confusions, confidence, robustness."""

from __future__ import annotations

from eurosat_lib.evaluation import (
    ClassScore,
    Errors,
    Evaluation,
    Robustness,
    wilson,
)
from eurosat_lib.evaluation.corruptions import CORRUPTIONS, VIEWS
from eurosat_lib.report.results.english import (
    DASH,
    interval,
    number,
    percent,
    points,
    share_of,
    table,
)
from eurosat_lib.report.results.reading import Results

TOP = 10  # confusions listed
STRENGTHS = ("light", "medium", "strong")
FAMILIES = {
    "végétation": "vegetation",
    "rubans": "ribbons",
    "bâti": "buildings",
    "surfaces sombres": "dark surfaces",
}


def metrics(r: Results) -> str:
    """Lay test and validation scores side by side."""
    e = r.need(Evaluation)
    validation = e.correct_validation / e.n_validation
    bounds = wilson(e.correct_validation, e.n_validation, e.confidence_level)
    rows = [
        (
            "Accuracy",
            share_of(e.correct_validation, e.n_validation, bounds),
            share_of(e.correct, e.n, e.interval),
            points(e.accuracy - validation, e.gap_interval),
        ),
        ("Images right", e.correct_validation, e.correct, DASH),
        ("Images", e.n_validation, e.n, DASH),
        ("Macro-F1", DASH, f"{percent(e.macro_f1)} {interval(e.macro_f1_interval)}", DASH),
        ("Loss (nats)", number(e.loss_validation, 4), number(e.loss, 4), DASH),
    ]
    return table(("Measure", "Validation", "Test", "Test − validation (points)"), rows)


def per_class(r: Results) -> str:
    """List precision, recall and F1 of each class, in percent with their intervals."""
    e, kinds = r.need(Evaluation), ("precision", "recall", "f1")
    rows = [
        (
            s.name,
            *(_score(s, kind, e.confidence_level) for kind in kinds),
            s.support,
            s.support - s.hits,
        )
        for s in e.per_class
    ]
    means = [sum(getattr(s, k) for s in e.per_class) / len(e.per_class) for k in kinds]
    rows.append(("**mean, sum**", *(number(100 * m, 1) for m in means), e.n, e.n - e.correct))
    return table(("Class", "Precision (%)", "Recall (%)", "F1 (%)", "Images", "Errors"), rows)


def confusions(r: Results) -> str:
    """List the most frequent confusions."""
    e = r.need(Evaluation)
    sizes = {s.name: s.support for s in e.per_class}
    errors = max(e.n - e.correct, 1)
    rows = [
        (truth, said, count, percent(count / sizes[truth], 1), percent(count / errors, 1))
        for truth, said, count in e.confusions()[:TOP]
    ]
    return table(("True class", "Predicted", "Images", "Of the class", "Of all errors"), rows)


def look_alikes(r: Results) -> str:
    """Count the errors within each family of look-alikes."""
    found = r.need(Errors).look_alikes
    total = max(found.errors, 1)
    rows = [
        (
            FAMILIES.get(f.name, f.name),
            ", ".join(f.classes),
            f.errors,
            percent(f.errors / total, 1),
            percent(f.expected / total, 1),
        )
        for f in found.families
    ]
    share = f"{percent(found.within / total, 1)} {interval(found.interval, 1)}"
    rows.append(("**together**", DASH, found.within, share, percent(found.chance, 1)))
    return table(("Family", "Classes", "Errors within", "Of all errors", "By chance"), rows)


def calibration(r: Results) -> str:
    """Lay the calibration before and after temperature scaling side by side."""
    e = r.need(Errors)
    pair, chosen = (e.before, e.after), e.selection
    gain = f"{number(e.before.nll - e.after.nll, 4)} {interval(e.gain_interval, 4, 1)}"
    rows = [
        ("Temperature", "1", number(e.temperature, 3)),
        ("Loss (nats)", *(number(c.nll, 4) for c in pair)),
        ("Its fall", DASH, gain),
        ("Brier score", *(number(c.brier, 4) for c in pair)),
        ("ECE (15 bins)", *(percent(c.ece) for c in pair)),
        ("ECE that a calibrated network stays below", *(percent(c.ece_calibrated) for c in pair)),
        (
            "Mean confidence − accuracy (points)",
            *(points(c.excess, c.excess_interval) for c in pair),
        ),
        ("AURC, mean risk (and ideal)", f"{chosen.aurc:.4f} ({chosen.aurc_ideal:.4f})", DASH),
    ]
    if chosen.auroc is not None:
        rows.append(("AUROC of the confidence, right or wrong", number(chosen.auroc, 3), DASH))
    return table(("Measure on the test", "As trained", "Tempered"), rows)


def robustness(r: Results) -> str:
    """List accuracy and its paired change under views and corruptions, on validation."""
    found = r.need(Robustness)
    turned = min(found.of("view")[1:], key=lambda trial: trial.correct)
    view = VIEWS[int(turned.strength)].replace("miroir", "mirrored")
    trials = [(f"least favourable view ({view})", turned)]
    trials.append(("mean of the eight views", found.of("average")[0]))
    for kind, (_, _, form) in CORRUPTIONS.items():
        form = form.replace("qualité", "quality").replace("voile", "veil")
        trials += [
            (f"{kind}, {name}: {form.format(f'{trial.strength:g}')}", trial)
            for name, trial in zip(STRENGTHS, found.of(kind), strict=True)
        ]
    plain = wilson(found.correct, found.n, found.level)
    rows = [("as they are", share_of(found.correct, found.n, plain), DASH)]
    for label, trial in trials:
        accuracy, *bounds = found.accuracy(trial)
        change, low, high = found.change(trial)
        shown = points(change, (low, high), 1)
        rows.append((label, f"{percent(accuracy)} {interval(bounds)}", shown))
    return table((f"{number(found.n)} validation images", "Accuracy", "Change (points)"), rows)


def _score(s: ClassScore, kind: str, level: float) -> str:
    return f"{number(100 * getattr(s, kind), 1)} {interval(s.interval(kind, level), 1)}"
