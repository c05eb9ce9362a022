"""What the title page says of a run: identity, data, code version, environment."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eurosat_lib.captures import find_captures
from eurosat_lib.config import Config, stored_parameters
from eurosat_lib.files import is_frozen, revision
from eurosat_lib.french import FIXED, duree
from eurosat_lib.report.profiles import banners, profile_cuts
from eurosat_lib.report.runner.computed import computed_card, result_files
from eurosat_lib.report.runs.index import index_path

CHANGED = "-dirty"  # after a commit that local changes follow
PACKAGES = {"PyTorch": "torch", "torchvision": "torchvision", "NumPy": "numpy"}


def report_meta(config: Config, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Describe a run for ``assemble``; the same run gives the same description on any day.

    Args:
        config: the run's configuration.
        records: what the executed notebooks say of their execution (``finished``, a date).
    """
    from eurosat_lib.data import describe_source

    root = Path(config.paths.root)
    source = describe_source(config)
    identity = config.identity
    days = [record["finished"][:10] for record in records if "finished" in record]
    executed = sum(record.get("seconds", 0) for record in records)
    card = {
        "Profil": config.profile,
        "Graine": str(config.seed),
        "Paramètres donnés": _parameters(config),
        "Données": source.location,
        "Découpage": "" if source.split == "standard" else source.split,
        "Résultats": "publiés, pris tels quels (FROZEN=1)" if is_frozen() else "",
        **computed_card(config),
        "Exécution des carnets": duree(executed) if executed else "",
        "Code du rapport": code_version(root),
        "Environnement": _environment(),
        "Machine": f"{platform.system()} {platform.machine()}, {_cores()}",
    }
    return {
        "title": identity.title,
        "author": identity.author,
        "course": identity.course,
        "repository": identity.repository or remote_address(root) or "",
        "date": datetime.date.fromisoformat(max(days)) if days else None,
        "profile": config.profile,
        "synthetic": source.synthetic,
        "banners": banners(config.profile, source.synthetic, profile_cuts(config)),
        "card": {label: value for label, value in card.items() if value},
        "files": {"Résultats": result_files(config), "Tous les runs": (index_path(root),)},
        "captures": find_captures(config),
    }


def _parameters(config: Config) -> str:
    """Name the parameters that the run was given, as ``params.yaml`` has them."""
    given = stored_parameters(config)
    return ", ".join(f"{name}{FIXED}={FIXED}{value}" for name, value in given.items())


def code_version(root: Path) -> str | None:
    """Return the short commit, with a word about local changes; ``None`` outside of git."""
    commit = revision(root)
    changed = ", avec modifications locales" if commit.endswith(CHANGED) else ""
    return f"commit {commit.removesuffix(CHANGED)}{changed}" if commit else None


def remote_address(root: Path) -> str | None:
    """Return the address of the remote ``origin`` if it is one of the Web, without credentials."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(https?://)(?:[^/@]*@)?(\S+)", done.stdout)
    return found[1] + found[2] if found else None


def _environment() -> str:
    parts = [f"Python {platform.python_version()}"]
    for label, package in PACKAGES.items():
        try:
            parts.append(f"{label} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(parts)


def _cores() -> str:
    count = os.cpu_count() or 1
    return f"{count}{FIXED}cœur{'s' if count > 1 else ''}"
