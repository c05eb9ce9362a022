"""``reports/comparaisons/A+B.html``: two runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.french import FIXED, nombre
from eurosat_lib.report.runs.page import link, write_page
from eurosat_lib.report.runs.pairs import Paired, pair
from eurosat_lib.report.runs.reading import Run, find_run
from eurosat_lib.report.runs.settings import differing, label, settings

LEVEL = 0.95  # of the intervals, where no run says one
CONDITIONS = {  # entry of a result's provenance -> label
    "commit": "Commit",
    "device": "Appareil",
    "precision": "Précision",
    "processor": "Processeur",
    "python": "Python",
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "cuda": "CUDA",
    "numpy": "NumPy",
    "system": "Système",
    "cores": "Cœurs",
}


def compare(config: Config, first: str, second: str) -> Path:
    """Write the page of two runs; return its path.

    Args:
        config: any configuration of the project: root and title.
        first: name of a run, empty for the unnamed one.
        second: name of the other.

    Raises:
        UserError: a run does not exist, both are the same, or neither has trained a network.
    """
    root = Path(config.paths.root)
    if first == second:
        raise UserError("make compare A=… B=…: two runs, an empty name is the unnamed run")
    runs = (find_run(root, first), find_run(root, second))
    path = root / "reports" / "comparaisons" / f"{first or '_'}+{second or '_'}.html"
    return write_page(
        path,
        "compare.html.j2",
        root,
        title=config.identity.title,
        course=config.identity.course,
        names=[run.label for run in runs],
        reports=[_report(run, path) for run in runs],
        index=link(root / "reports" / "index.html", path),
        **_scores(runs),
        **_curves(runs),
        settings=_settings(runs),
        unstored=[run.label for run in runs if not settings(run)],
        conditions=_conditions(runs),
    )


def _scores(runs: tuple[Run, Run]) -> dict[str, Any]:
    tests = [run.test for run in runs]
    level = next((test["confidence_level"] for test in tests if test), LEVEL)
    result = pair(runs[0].predictions(), runs[1].predictions(), level)
    return {
        "tests": tests,
        "spatial": [run.spatial for run in runs],
        "untested": [run.label for run in runs if not run.predictions()],
        "stale": [run.label for run in runs if run.tested_other],
        "result": result,
        "p": _p_value(result.p_value) if isinstance(result, Paired) else "",
        "level": level,
    }


def _curves(runs: tuple[Run, Run]) -> dict[str, Any]:
    histories = {run.label: history for run in runs if (history := _history(run)) is not None}
    return {
        "trains": [run.train for run in runs],
        "figure": _figure(histories) if histories else None,
        "missing_runs": [run.label for run in runs if run.label not in histories],
    }


def _history(run: Run) -> Any:
    """Return the epochs of the final training as a DataFrame; ``None`` if there is none."""
    import pandas as pd

    epochs = run.results.get("train", {}).get("result", {}).get("fit", {}).get("epochs")
    return pd.DataFrame(epochs).set_index("epoch") if epochs else None


def _figure(histories: dict[str, Any]) -> dict[str, Any]:
    from eurosat_lib import plots
    from eurosat_lib.report.pictures import encode

    figure = plots.run_curves(histories)
    address, width, height = encode(figure, "svg")
    return {"address": address, "width": width, "height": height, "alt": figure.get_label()}


def _settings(runs: tuple[Run, Run]) -> list[tuple[str, Any, Any]]:
    values = [settings(run) for run in runs]
    keys = differing(values)
    return [(label(key), values[0].get(key), values[1].get(key)) for key in keys]


def _conditions(runs: tuple[Run, Run]) -> list[tuple[str, str, str, bool]]:
    """Say where the network of each run was trained, and what of that differs."""
    first, second = (run.results.get("train", {}).get("provenance", {}) for run in runs)
    rows = []
    for key, text in CONDITIONS.items():
        a, b = first.get(key, ""), second.get(key, "")
        if a or b:
            rows.append((text, a or "—", b or "—", a != b))
    return rows


def _p_value(p: float) -> str:
    """Write a p-value: « = 0,031 », « < 0,001 »."""
    return f"<{FIXED}0,001" if p < 0.001 else f"={FIXED}{nombre(p, 3)}"


def _report(run: Run, page: Path) -> str:
    report = run.paths.reports / "rapport.html"
    return link(report, page) if report.is_file() else ""
