"""What the owner of a run leaves beside its results: a diary, and files in the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eurosat_lib.config import Config
    from eurosat_lib.evaluation import Evaluation


def journal(reports: Path, name: str) -> str:
    """Return the diary that the owner of a run keeps, as it is but for comments.

    ``reports/NAME/journal.md`` of a named run, else ``reports/journal.md``; nothing without one.
    """
    for path in (reports / name / "journal.md", reports / "journal.md"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).strip()
    return ""


def files_there(config: Config, evaluation: Evaluation) -> dict[str, str]:
    """Tell where the files that the course asks for are.

    Args:
        config: of the run.
        evaluation: its hyperparameters are what the stored configuration should hold.

    Returns:
        For ``runs``, ``checkpoint`` and ``config``, the copy of the configuration that holds the
        values of the evaluated network: ``déposé`` (git has it), ``ici seulement`` or ``absent``.
    """
    from eurosat_lib.config import read_yaml
    from eurosat_lib.protocol import checkpoint_path

    root, stored = Path(config.paths.root), config.paths.artifacts / "config.yaml"
    kept = read_yaml(stored).get("train", {}) if stored.is_file() else {}
    own = evaluation.hyperparameters.model_dump().items()
    aligned = all(kept.get(key) == value for key, value in own)
    return {
        "runs": _place(root, config.paths.runs),
        "checkpoint": _place(root, checkpoint_path(config)),
        "config": _place(root, stored) if aligned else "absent",
    }


def _place(root: Path, path: Path) -> str:
    """Tell whether a file, or events in a folder, are in git, here alone, or nowhere."""
    if not (any(path.rglob("events*")) if path.is_dir() else path.is_file()):
        return "absent"
    command = ["git", "-C", str(root), "ls-files", "--", str(path)]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:  # no git
        listed = ""
    names = [name for name in listed.split() if not name.endswith(".gitkeep")]
    return "déposé" if names else "ici seulement"
