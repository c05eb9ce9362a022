"""Tables of the audit: what was looked for and what it means; overlaps; seams."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from statistics import median

import pandas as pd

from eurosat_lib.data.audit import Audit, Duplicates, Overlaps, Seams
from eurosat_lib.data.audit.balance import Balance
from eurosat_lib.data.audit.measures import FAINT, SATURATED
from eurosat_lib.data.audit.overlaps import Overlap
from eurosat_lib.french import intervalle, nombre, pct
from eurosat_lib.tables.frame import frame
from eurosat_lib.tables.words import SPLITS

CLEAN = "rien à retirer"


def findings(audit: Audit, duplicates: Duplicates, overlaps: Overlaps) -> pd.DataFrame:
    """List what was looked for over all images, how often it is there, and what follows.

    ``Part`` is the share of all images, a fraction in [0, 1]; missing for pairs and groups.
    """
    total = sum(audit.sizes.values())
    rows = [(name, n, n / total, so) for name, n, so in _images(audit, total)]
    rows[2:2] = [(name, n, None, so) for name, n, so in _groups(audit, duplicates, overlaps)]
    heads = ("Contrôle", "Cas", "Part", "Pour l’entraînement")
    return frame(heads, rows, percent=["Part"], digits={"Part": 2}, missing="—")


def _images(audit: Audit, total: int) -> list[tuple[str, int, str]]:
    side = audit.image_shape[1]
    return [
        (f"Décodée, RGB, {side} × {side} pixels", total, "ni rognage ni remplissage"),
        ("Pixels identiques à une autre", audit.duplicates, _if(audit.duplicates, "pèse double")),
        ("Sans aucune donnée (noire)", audit.black, _if(audit.black, "n’apprend rien")),
        ("Un pixel sans donnée ou plus", audit.nodata, _if(audit.nodata, "bord à masquer")),
        ("D’une seule couleur", audit.flat, _if(audit.flat, "ni forme ni texture")),
        (
            f"Presque unie (écart-type < {nombre(FAINT)} sur 255)",
            audit.faint,
            _if(audit.faint, "seule la teinte y parle", "formes visibles partout"),
        ),
        (
            f"Plus de {pct(SATURATED, 0)} des valeurs à 255",
            audit.saturated,
            _if(audit.saturated, "détail perdu dans le blanc", "aucun détail perdu"),
        ),
    ]


def _groups(
    audit: Audit, duplicates: Duplicates, overlaps: Overlaps
) -> list[tuple[str, int, str]]:
    copies, shared = audit.duplicates_across, overlaps.facts()
    return [
        ("Groupes identiques, sur plusieurs splits", copies, _if(copies, "fuite directe")),
        (
            "Paires presque identiques",
            len(duplicates.pairs),
            _if(len(duplicates.pairs), "vue apprise deux fois"),
        ),
        (
            "Paires qui se chevauchent",
            shared["found"],
            _if(shared["found"], "terrain appris deux fois"),
        ),
        ("Chevauchements sur deux splits", shared["across"], _reach(audit, shared)),
        (
            "Chevauchements, deux étiquettes",
            shared["relabelled"],
            _if(shared["relabelled"], "étiquette ambiguë"),
        ),
    ]


def overlap_counts(overlaps: Overlaps) -> pd.DataFrame:
    """Count the overlapping pairs by the splits they join; a last row adds them up.

    ``Surface commune`` is the median share of a tile, a fraction in [0, 1].
    """
    names = list(SPLITS)
    rows = []
    for one, other in combinations_with_replacement(names, 2):
        mine = [p for p in overlaps.pairs if {p.first.split, p.second.split} == {one, other}]
        rows.append((f"{SPLITS[one]} – {SPLITS[other]}", *_summary(mine)))
    rows.append(("TOTAL", *_summary(overlaps.pairs)))
    heads = ("Splits", "Paires", "Deux étiquettes", "Surface commune")
    options = {"percent": ["Surface commune"], "digits": {"Surface commune": 0}, "missing": "—"}
    return frame(heads, rows, **options)


def seam_counts(seams: Seams) -> pd.DataFrame:
    """Compare, by threshold, the tiles with a seam and those of the control."""
    rows = [
        (
            nombre(e.threshold, 2),
            e.seams,
            e.controls,
            e.seams - e.controls,
            f"{pct(e.share)} {intervalle((e.low, e.high))}",
        )
        for e in seams.excesses
    ]
    heads = ("Accord d’au moins", "Bord", "Témoin", "Excès", "Part et intervalle à 95\u202f%")
    return frame(heads, rows)


def balance_note(balance: Balance) -> str:
    """Write the chi-square test of the classes over the splits in a line."""
    p = "p < 0,001" if balance.p_value < 0.001 else f"p = {nombre(balance.p_value, 3)}"
    return (
        f"Indépendance de la classe et du split\u00a0: χ² = {nombre(balance.statistic, 1)} pour "
        f"{balance.degrees} degrés de liberté, {p}\u202f; V de Cramér = "
        f"{nombre(balance.cramers_v, 3)}."
    )


def _if(count: int, meaning: str, otherwise: str = CLEAN) -> str:
    return meaning if count else otherwise


def _reach(audit: Audit, shared: dict) -> str:
    """Bound what these pairs can change of a test score."""
    if not shared["across"]:
        return CLEAN
    return f"{pct(shared['test_images'] / max(audit.sizes['test'], 1), 2)} du test"


def _summary(pairs: Sequence[Overlap]) -> tuple[int, int, float | None]:
    differ = sum(p.first.label != p.second.label for p in pairs)
    return len(pairs), differ, median(p.share for p in pairs) if pairs else None
