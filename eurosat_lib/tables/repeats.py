"""Tables of notebook 07: several seeds, two finalists, openings of the test split."""

from __future__ import annotations

import csv

import pandas as pd

from eurosat_lib.config import Config
from eurosat_lib.evaluation import FinalistsOnTest, Seeds, wilson
from eurosat_lib.french import intervalle, nombre, pct, signe
from eurosat_lib.spatial import SpatialSeeds
from eurosat_lib.stages import openings as openings_log
from eurosat_lib.tables.frame import frame

DASH = "—"
ROLES = {
    openings_log.FINAL: "entraînement final",
    openings_log.GIVEN: "checkpoint donné",
    openings_log.FINALIST: "finaliste",
    openings_log.SEED: "autre graine",
    openings_log.SPATIAL: "découpage spatial",
    openings_log.RECIPE: "recette",
    "": DASH,  # noted before roles were
}


def seeds(found: Seeds) -> pd.DataFrame:
    """List the test scores of each seed, then mean ± standard deviation; cells are text.

    Two seeds have no interval worth the name: Student's with one degree of freedom is 13 times
    as wide as their distance.
    """
    rows = [
        (
            str(run.seed),
            str(run.epoch),
            pct(run.correct_validation / run.n_validation, 2),
            pct(run.accuracy, 2),
            intervalle(run.interval, 2),
            pct(run.macro_f1, 2),
        )
        for run in found.runs
    ]
    if found.several:
        facts = found.facts()
        accuracy, f1 = facts["accuracy"], facts["macro_f1"]
        label = f"moyenne ± écart-type (n = {len(found.runs)})"
        ends = (accuracy["low"], accuracy["high"])
        bounds = intervalle(ends, 2) if len(found.runs) > 2 else DASH
        rows.append((label, DASH, DASH, _spread(accuracy), bounds, _spread(f1)))
    columns = ("Graine", "Époque", "Validation", "Test")
    return frame((*columns, f"Intervalle à {pct(found.level, 0)}", "Macro-F1"), rows)


def spatial_seeds(found: SpatialSeeds) -> pd.DataFrame | None:
    """List the same for the spatial split; ``None`` with less than two seeds on it."""
    return seeds(found) if found.several else None


def _spread(summary: dict) -> str:
    return f"{pct(summary['mean'], 2)} ± {nombre(100 * summary['sd'], 2)}"


def finalists_on_test(found: FinalistsOnTest) -> pd.DataFrame:
    """Set the two finalists side by side on the test images; cells are text.

    Without a pair, a single row of dashes.
    """
    columns = ("Finaliste", "Score (validation)", "Test", "Intervalle", "Juste seul")
    if not found.pair:
        return frame(columns, [("aucun : pas de recherche dans ce run", *[DASH] * 4)])
    alone = (found.only_first, found.only_second)
    rows = [
        (
            run.hyperparameters.name,
            pct(run.score, 2),
            pct(run.correct / found.n, 2),
            intervalle(wilson(run.correct, found.n, found.level), 2),
            nombre(count),
        )
        for run, count in zip(found.pair, alone, strict=True)
    ]
    difference = (found.only_first - found.only_second) / found.n
    bounds = intervalle([100 * bound for bound in found.interval], 2, "points")
    p = "p < 0,001" if found.p_value < 0.001 else f"p = {nombre(found.p_value, 3)}"
    rows.append(("Différence", DASH, signe(difference, 2), bounds, p))
    return frame(columns, rows)


def openings(config: Config) -> pd.DataFrame:
    """List each opening of the test split in this run, in order, and its role; cells are text."""
    path = config.paths.artifacts / "test_openings.csv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = [
            (
                row["opened"].replace("T", " ").replace("+00:00", " UTC"),
                ROLES.get(row.get("role") or "", DASH),
                row["configuration"].replace(" view", " vue"),
                row["seed"],
                row["epoch"],
                row["sha256"][:12],
                nombre(int(row["images"])),
            )
            for row in csv.DictReader(file)
        ]
    columns = ("Ouverture", "Rôle", "Configuration", "Graine", "Époque")
    return frame((*columns, "SHA-256 (début)", "Images"), rows)
