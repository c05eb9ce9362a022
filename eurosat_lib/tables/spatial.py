"""Tables of the spatial split beside the standard one; ``None`` where there is no spatial one."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.french import FIXED, intervalle, nombre, pct, signe
from eurosat_lib.spatial import ClassPair, Side, SplitComparison
from eurosat_lib.tables.frame import frame

NONE = "—"


def split_scores(found: SplitComparison) -> pd.DataFrame | None:
    """Lay the scores on both splits side by side; cells are text."""
    if found.absent:
        return None
    sides = (found.standard, found.spatial)
    level = pct(found.confidence_level, 0)
    gap, bounds = found.gap()
    rows = [
        ("Exactitude au test", *(pct(s.accuracy, 2) for s in sides), signe(gap, 2)),
        (
            f"Intervalle à {level}",
            *(intervalle(found.interval(s), 2) for s in sides),
            _points(bounds),
        ),
        *_same_mix(found),
        (
            "Macro-F1 au test",
            *(pct(s.macro_f1, 2) for s in sides),
            signe(found.standard.macro_f1 - found.spatial.macro_f1, 2),
        ),
        (
            "Exactitude en validation",
            *(pct(s.val_accuracy, 2) for s in sides),
            signe(found.standard.val_accuracy - found.spatial.val_accuracy, 2),
        ),
        ("Test − validation", *(_test_gap(s) for s in sides), NONE),
        (
            f"Images de test, dont {nombre(found.common)} en commun",
            *(nombre(s.n) for s in sides),
            NONE,
        ),
        ("Époque retenue", *(str(s.epoch) for s in sides), NONE),
    ]
    return frame(("Mesure", "Standard", "Spatial", "Standard − spatial"), rows)


def split_classes(found: SplitComparison) -> pd.DataFrame | None:
    """List the recall of each class on both splits, the largest drop first; cells are text."""
    if found.absent:
        return None
    complete = sorted(found.complete, key=lambda p: -p.drop(found.class_level)[0])
    missing = [pair for pair in found.classes if not pair.complete]
    rows = [_class_row(found, pair) for pair in complete]
    rows += [(p.name, *_recalls(p), NONE, NONE, "non comparable") for p in missing]
    columns = ("Classe", "Rappel standard", "Rappel spatial", "Standard − spatial")
    return frame((*columns, "Intervalle simultané", "Verdict"), rows)


def _same_mix(found: SplitComparison) -> list[tuple[str, ...]]:
    adjusted, gap = found.adjusted(), found.adjusted_gap()
    if adjusted is None or gap is None:
        return []
    own = pct(found.standard.accuracy, 2)
    label = "Exactitude, au mélange de classes du test standard"
    return [
        (label, own, pct(adjusted[0], 2), signe(gap[0], 2)),
        (
            f"Intervalle à {pct(found.confidence_level, 0)}",
            intervalle(found.interval(found.standard), 2),
            intervalle(adjusted[1], 2),
            _points(gap[1]),
        ),
    ]


def _class_row(found: SplitComparison, pair: ClassPair) -> tuple[str, ...]:
    drop, (low, high) = pair.drop(found.class_level)
    verdict = "baisse" if low > 0 else "hausse" if high < 0 else "indécis"
    return (pair.name, *_recalls(pair), signe(drop), _points((low, high), 1), verdict)


def _recalls(pair: ClassPair) -> tuple[str, str]:
    counts = ((pair.hits_standard, pair.n_standard), (pair.hits_spatial, pair.n_spatial))
    return tuple(
        f"{pct(hits / n)} (n{FIXED}={FIXED}{nombre(n)})" if n else NONE for hits, n in counts
    )


def _test_gap(side: Side) -> str:
    return signe(side.accuracy - side.val_accuracy, 2)


def _points(bounds: tuple[float, float], digits: int = 2) -> str:
    return intervalle([100 * bound for bound in bounds], digits, "points")
