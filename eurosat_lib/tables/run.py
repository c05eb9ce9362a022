"""Tables of section 11: environment, time per stage, files left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd

from eurosat_lib import stages
from eurosat_lib.config import Config
from eurosat_lib.french import duree, nombre
from eurosat_lib.runtime import describe_environment
from eurosat_lib.tables.frame import frame
from eurosat_lib.tables.words import plural
from eurosat_lib.training.checkpoint import sha256

DIGITS = 12  # of a SHA-256: enough to tell files apart
LONGEST = 6  # stages named in the table of durations
NAMES = {
    "python": "Python",
    "torch": "PyTorch",
    "cuda": "CUDA",
    "numpy": "NumPy",
    "system": "Système",
    "cores": "Cœurs",
}


def environment(config: Config) -> pd.DataFrame:
    """List the versions, then each finished stage with its device and time; cells are text."""
    rows = [
        ("Version" if name not in ("system", "cores") else "Machine", NAMES.get(name, name), value)
        for name, value in describe_environment().items()
        if value
    ]
    for name, origin in _finished(config).items():
        where = f"{duree(origin['seconds'])} ({origin['device']}, {origin['precision']})"
        rows.append(("Étape", name, where))
    return frame(("Rubrique", "Élément", "Valeur"), rows)


def durations(config: Config) -> pd.DataFrame:
    """List the ``LONGEST`` finished stages that took longest, the others together, and the sum."""
    times = {name: origin["seconds"] for name, origin in _finished(config).items()}
    total = sum(times.values())
    ranked = sorted(times.items(), key=lambda item: -item[1])
    rows = ranked[:LONGEST]
    if rest := ranked[LONGEST:]:
        label = f"{nombre(len(rest))} autre" + ("s" if len(rest) > 1 else "")
        rows.append((label, sum(seconds for _, seconds in rest)))
    rows.append(("TOTAL", total))
    written = [(name, duree(seconds), seconds / max(total, 1e-9)) for name, seconds in rows]
    return frame(("Étape", "Durée", "Part"), written, percent=["Part"], digits=0)


def _finished(config: Config) -> dict[str, dict[str, Any]]:
    """Return the origin of each finished stage, in the order of the report."""
    found = {
        name: stages.provenance(config, get_type_hints(stage)["return"])
        for name, stage in stages.STAGES.items()
    }
    return {name: origin for name, origin in found.items() if origin}


def artifacts(config: Config) -> pd.DataFrame:
    """List the files of the run and its TensorBoard folders; cells are text.

    A file has the first 12 digits of its SHA-256; a folder says how many runs it holds.
    """
    folder = config.paths.artifacts
    files = sorted(path for path in folder.glob("[!.]*") if path.is_file())
    name = f"{config.paths.name}/" if config.paths.name else ""
    rows = [(f"artifacts/{name}{path.name}", _size(path), sha256(path)[:DIGITS]) for path in files]
    for path in sorted(p for p in config.paths.runs.glob("*") if p.is_dir()):
        events = list(path.rglob("events.*"))
        if events:
            runs = len({event.parent for event in events})
            rows.append((f"runs/{name}{path.name}/", _size(*events), plural(runs, "run")))
    return frame(("Fichier ou dossier", "Taille", "SHA-256 (début) ou contenu"), rows)


def _size(*paths: Path) -> str:
    size = sum(path.stat().st_size for path in paths)
    if size < 1e6:
        return f"{nombre(size / 1e3, 1)}\u00a0ko"
    return f"{nombre(size / 1e6, 1)}\u00a0Mo"
