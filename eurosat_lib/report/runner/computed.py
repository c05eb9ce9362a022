"""What the results of a run say of themselves: on which data, where, and how long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.french import FIXED, duree


def computed_card(config: Config) -> dict[str, str]:
    """Return the lines of the run card that follow from the results on disk; none without any.

    Only results that share data and settings with the audit of the images are counted: what an
    earlier run left behind says nothing of this one. The spatial training shares the images, but
    not their splits.
    """
    folder = config.paths.artifacts / "results"
    audit = _read(folder / "explore_dataset.json")
    trees = [tree for name, tree in _results(folder) if audit and _shared(name, tree, audit)]
    if not trees:
        return {}
    where = [f"{t['provenance']['device']}, {t['provenance']['precision']}" for t in trees]
    commits = filter(None, (t["provenance"].get("commit") for t in trees))
    seconds = sum(tree["provenance"]["seconds"] for tree in trees)
    return {
        "Empreinte des images": f"SHA-256 {audit['scope']['data'][:16]}…",
        "Appareil": " ; ".join(dict.fromkeys(where)),
        "Durée des calculs": f"{duree(seconds)} ({len(trees)}{FIXED}étapes)",
        "Code des calculs": ", ".join(f"commit {commit}" for commit in dict.fromkeys(commits)),
    }


def result_files(config: Config) -> tuple[Path, ...]:
    """Return the files and the folder of TensorBoard events that a run has published."""
    folder = config.paths.artifacts
    kept = sorted(p for p in folder.glob("*.*") if p.is_file() and not p.name.startswith("."))
    return (*kept, config.paths.runs)


def _shared(name: str, tree: dict[str, Any], audit: dict[str, Any]) -> bool:
    own, of_audit = tree["scope"], audit["scope"]
    if name.endswith("_spatial"):
        own, of_audit = ({**scope, "data": None} for scope in (own, of_audit))
    return own == of_audit


def _results(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob("*.json")):
        tree = _read(path)
        if tree and tree.get("scope") and tree.get("provenance"):
            yield path.stem, tree


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
