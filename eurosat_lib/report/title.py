"""The title page: who, what, on which machines, and what the profile changed of the protocol."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config, load_config, stored_parameters
from eurosat_lib.files import is_frozen, read_json, revision
from eurosat_lib.french import FIXED, duree, plural

MONTHS = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
PROFILES = {"quick": "rapide"}  # a profile without a French name keeps its own
NAMELESS = "Prénom Nom"  # an author that nobody has filled in
VERSIONS = {"python": "Python", "torch": "PyTorch", "torchvision": "torchvision", "numpy": "NumPy"}
# What a figure or table shows depends on these keys: by section, or by the start of its name.
IMAGES = "data.image_size preprocess augment"
NETWORK = f"{IMAGES} model data.train_limit data.validation_limit"
DEPENDS = {
    "1": "data.train_limit data.validation_limit data.test_limit",
    **dict.fromkeys(("1.3", "1.4", "1.5"), IMAGES),
    "2": f"{NETWORK} initial_loss",
    "3": f"{NETWORK} overfit controls",
    "4": f"{NETWORK} lr_finder",
    **dict.fromkeys(("5", "7"), f"{NETWORK} grid"),
    **dict.fromkeys(("6", "8"), f"{NETWORK} train.max_"),
    "9": f"{NETWORK} data.test_limit train.max_",
    "refined": "grid refined_grid",
    "finalists": "grid refined_grid finalists",
    "recipe-steps": "recipe.ablation",
    "robustness": "evaluate.robustness_images",
    "seeds": "train.seeds",
}


@dataclass(frozen=True)
class Title:
    """The title page of a report, as it is printed; all but the title may be empty."""

    title: str
    course: str = ""
    author: str = ""
    date: str = ""
    repository: str = ""
    card: Mapping[str, str] = field(default_factory=dict)  # the run card: label -> value
    profile: str = ""  # in French, said beside what it touches
    departures: Collection[str] = ()  # dotted keys that the profile has otherwise
    synthetic: bool = False  # no real image was used

    def mark(self, section: str, name: str = "") -> str:
        """Say what a figure or table owes to the profile or to drawn images; often nothing.

        Args:
            section: number of its section (``1.4``).
            name: as its cell names it (``grid``); may be empty.
        """
        places = [section, section.partition(".")[0]]
        places += [place for place in DEPENDS if name.startswith(place) and not place[0].isdigit()]
        keys = tuple(key for place in places for key in DEPENDS.get(place, "").split())
        touched = any(key.startswith(keys) for key in self.departures)
        words = ["données synthétiques"] if self.synthetic else []
        return ", ".join(words + [self.profile] * touched)


def title_of(config: Config, executed: Sequence[Path]) -> Title:
    """Describe a run; the same run gives the same title page on any day.

    Args:
        config: the run's configuration.
        executed: its executed notebooks, which know when they were.
    """
    from eurosat_lib.data import describe_source

    root, identity = Path(config.paths.root), config.identity
    source, changed = describe_source(config), departures(config)
    return Title(
        title=identity.title,
        course=identity.course,
        author=identity.author,
        date=_day(executed),
        repository=identity.repository or remote_address(root),
        card=run_card(config, source.location, source.split),
        profile=f"profil {PROFILES.get(config.profile, config.profile)}",
        departures=changed,
        synthetic=source.synthetic,
    )


def to_complete(config: Config) -> list[str]:
    """Name the keys of ``configs/config.yaml`` that the report's owner has still to fill in."""
    identity, root = config.identity, Path(config.paths.root)
    missing = ["identity.author"] if identity.author in ("", NAMELESS) else []
    there = identity.repository or remote_address(root)
    return missing if there else [*missing, "identity.repository"]


def remote_address(root: Path) -> str:
    """Return the address of the remote ``origin`` if it is one of the Web, without credentials."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.match(r"(https?://)(?:[^/@]*@)?(\S+)", done.stdout)
    return found[1] + found[2] if found else ""


def departures(config: Config) -> dict[str, str]:
    """Say which keys differ from the course's protocol: ``grid.epochs`` → ``3 (protocole : 5)``.

    The protocol is ``configs/config.yaml`` with the profile ``full``; a run with that profile is
    its own: what a parameter changes is named on the run card. Seed, identity, paths, machine and
    source do not count.
    """
    if config.profile == "full":
        return {}
    whole = load_config(Path(config.paths.root) / "configs" / "config.yaml", "full")
    ours, theirs = config.model_dump(mode="json"), whole.model_dump(mode="json")
    changed = {}
    for section in theirs.keys() - {"identity", "compute", "paths", "seed", "profile"}:
        for key, value in theirs[section].items():
            own, name = ours[section][key], f"{section}.{key}"
            if own != value and name != "data.source":
                images = name.endswith(("_limit", "_images"))
                none = {"null": "toutes" if images else "aucun", "[]": "aucune"}
                own, value = (none.get(text, text) for text in map(json.dumps, (own, value)))
                changed[name] = f"{own} (protocole{FIXED}: {value})"
    return dict(sorted(changed.items()))


def run_card(config: Config, location: str, split: str) -> dict[str, str]:
    """Say what the run was given, and where and with what code its results were computed."""
    given, changed = stored_parameters(config), departures(config)
    if not (config.paths.artifacts / "results" / "train_recipe.json").is_file():
        changed = {k: v for k, v in changed.items() if not k.startswith("recipe.")}
    card = {
        "Profil": config.profile,
        "Écarts au protocole": " ; ".join(f"{k}{FIXED}: {v}" for k, v in changed.items()),
        "Graine": str(config.seed),
        "Paramètres donnés": ", ".join(f"{k}{FIXED}={FIXED}{v}" for k, v in given.items()),
        "Données": location,
        "Découpage": "" if split == "standard" else split,
        "Résultats": "publiés, pris tels quels (FROZEN=1)" if is_frozen() else "",
        **_computed(config),
        "Code du rapport": _commits([revision(Path(config.paths.root))]),
    }
    return {label: value for label, value in card.items() if value}


def _computed(config: Config) -> dict[str, str]:
    """Return what the results say of themselves: data, machines, versions, time, commits.

    Only results that share data and settings with the audit of the images are counted: what an
    earlier run left behind says nothing of this one. The spatial training shares the images, but
    not their splits.
    """
    files = sorted((config.paths.artifacts / "results").glob("*.json"))
    trees = {path.stem: read_json(path) or {} for path in files}
    audit, origins = trees.get("explore_dataset", {}).get("scope"), []
    for name, tree in trees.items():
        other = {"data": None} if name.endswith("_spatial") else {}
        known = audit and tree.get("scope") and tree.get("provenance")
        if known and tree["scope"] | other == audit | other:
            origins.append(tree["provenance"])
    if not origins:
        return {}
    versions = [
        ", ".join(f"{label} {origin[key]}" for key, label in VERSIONS.items() if origin.get(key))
        for origin in origins
    ]
    devices = _each(f"{o['device']}, {o['precision']}" for o in origins)
    seconds = duree(sum(origin["seconds"] for origin in origins))
    return {
        "Empreinte des images": f"SHA-256 {audit['data'][:16]}…",
        "Machine des calculs": re.sub(r" thread(s?)\b", r" fil\1 de calcul", devices),
        "Versions": _each(versions),
        "Durée des calculs": f"{seconds} ({plural(len(origins), 'étape')})",
        "Code des calculs": _commits(origin.get("commit", "") for origin in origins),
    }


def _commits(found: Iterable[str]) -> str:
    words = _each((commit.replace("-dirty", " (modifié)") for commit in found), ", ")
    return f"commit{'s' if ', ' in words else ''} {words}" if words else ""


def _each(values: Iterable[str], between: str = " ; ") -> str:
    return between.join(dict.fromkeys(filter(None, values)))


def _day(executed: Sequence[Path]) -> str:
    """Write the day on which the last notebook was executed; today before that."""
    ends = []
    for path in executed:
        metadata: dict[str, Any] = (read_json(path) or {}).get("metadata", {})
        ends.append(metadata.get("papermill", {}).get("end_time") or "")
    last = max(ends, default="")[:10]
    day = datetime.date.fromisoformat(last) if last else datetime.date.today()
    return f"{'1er' if day.day == 1 else day.day} {MONTHS.split()[day.month - 1]} {day.year}"
