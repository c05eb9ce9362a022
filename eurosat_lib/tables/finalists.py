"""Table of notebook 06: the finalists over seeds of their own."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.french import liste, pct
from eurosat_lib.grid import Finalists
from eurosat_lib.tables import words
from eurosat_lib.tables.frame import frame


def finalists(result: Finalists) -> pd.DataFrame:
    """List the finalists over their new seeds: mean, spread, distance to the leader."""
    rows = []
    for rank, finalist in enumerate(result.ranking):
        lead, interval = result.lead(finalist)
        rows.append(
            (
                finalist.again.name,
                words.ORIGINS[finalist.origin],
                finalist.selected,
                finalist.mean,
                100 * finalist.sd,
                len(finalist.scores),
                "retenu" if rank == 0 else words.interval(-lead, interval and _flip(interval)),
            )
        )
    columns = ("Finaliste", "Origine", "Score du choix", "Moyenne", "Écart-type (points)", "n")
    percent = ["Score du choix", "Moyenne"]
    options = {"percent": percent, "digits": {"Écart-type (points)": 1}}
    note = (
        f"Graines {liste([fit.seed for fit in result.leader.fits])}, qui n’ont pas servi à "
        f"choisir. Écart au premier en points, apparié par graine, "
        f"à {pct(result.level, 0)}."
    )
    return frame((*columns, "Écart au premier"), rows, note=note, **options)


def _flip(interval: tuple[float, float]) -> tuple[float, float]:
    return -interval[1], -interval[0]
