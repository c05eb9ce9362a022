"""The title page: who, what, on which machines, and what the profile changed of the protocol."""

import datetime
import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from eurosat_lib.config import Config, load_config, stored_parameters
from eurosat_lib.files import git, is_frozen, read_json, revision
from eurosat_lib.french import FIXED, duree, nombre, plural

MONTHS = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
NAMELESS = "Prénom Nom"  # an author that nobody has filled in
UNCOUNTED = ("identity.", "compute.", "paths.", "data.source")  # no departures; nor without a dot
# What a figure or table shows depends on these keys: by section, or by the start of its name.
IMAGES = "data.image_size preprocess augment"
NETWORK = f"{IMAGES} model data.train_limit data.validation_limit"
DEPENDS = {
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

NAMES = {  # on the run card, of what the profiles change
    "augment.crop_padding": "marge du recadrage (pixels)",
    "data.image_size": "côté des images (pixels)",
    "data.validation_limit": "images de validation",
    "evaluate.robustness_images": "images de l’essai de robustesse",
    "finalists.count": "finalistes",
    "grid.epochs": "époques par essai de la grille",
    "grid.train_limit": "images par essai de la grille",
    "model.channels": "canaux des étages",
    "refined_grid.epochs": "époques par essai de la grille resserrée",
    "recipe.ablation_epochs": "époques par étape de la recette",
    "recipe.ablation_image_size": "côté des images par étape de la recette (pixels)",
    "recipe.ablation_limit": "images par étape de la recette",
    "recipe.ablation_seeds": "graines par étape de la recette",
    "recipe.seeds": "graines de la recette",
    "refined_grid.train_limit": "images par essai de la grille resserrée",
    "train.max_epochs": "époques de l’entraînement final",
    "train.seeds": "autres graines de l’entraînement final",
}


@dataclass(frozen=True)
class Title:
    """The title page of a report, as it is printed; all but the title may be empty."""

    title: str
    course: str = ""
    author: str = ""
    date: str = ""
    card: Mapping[str, str] = field(default_factory=dict)  # the run card: label -> value
    profile: str = ""  # in French, said beside what it touches
    departures: Collection[str] = ()  # dotted keys that the profile has otherwise
    synthetic: bool = False  # no real image was used

    def mark(self, section: str, name: str = "") -> str:
        """Say what the figure or table of this name owes to the profile or to drawn images."""
        keys: list[str] = []
        for place, depends in DEPENDS.items():  # a section, or how a name begins
            of_section = place in (section, section.partition(".")[0])
            of_name = not place[0].isdigit() and name.startswith(place)
            keys += depends.split() if of_section or of_name else []
        words = ["données synthétiques"] if self.synthetic else []
        if any(key.startswith(tuple(keys)) for key in self.departures):
            words.append(self.profile)
        return ", ".join(words)


def title_of(config: Config, executed: Sequence[Path]) -> Title:
    """Describe a run by its executed notebooks: the same title page on any day."""
    from eurosat_lib.data import describe_source

    source, own = describe_source(config), config.identity
    return Title(
        **own.model_dump(include={"title", "course", "author"}),
        date=_day(executed),
        card=run_card(config, source.location, source.split),
        profile=f"profil {config.profile}",
        departures=departures(config),
        synthetic=source.synthetic,
    )


def to_complete(config: Config) -> list[str]:
    """Name the keys of ``configs/config.yaml`` that the report's owner has still to fill in."""
    missing = {"identity.author": config.identity.author in ("", NAMELESS)}
    missing["identity.repository"] = not repository(config)
    return [key for key, empty in missing.items() if empty]


def repository(config: Config) -> str:
    """Return where the code is: as configured, else git's ``origin`` if it is on the Web."""
    remote = git(config.paths.root, "remote", "get-url", "origin")
    found = re.match(r"(https?://)(?:[^/@]*@)?(\S+)", remote)  # without credentials
    return config.identity.repository or (found[1] + found[2] if found else "")


def departures(config: Config) -> dict[str, str]:
    """Say which keys differ from the course's protocol: ``grid.epochs`` → ``3 (protocole : 5)``.

    The protocol is ``configs/config.yaml`` with the profile ``full``; a run with that profile is
    its own: what a parameter changes is named on the run card.
    """
    if config.profile == "full":
        return {}
    whole = load_config(Path(config.paths.root, "configs", "config.yaml"), "full")
    trees = (one.model_dump(mode="json") for one in (config, whole))
    ours, theirs = (pd.json_normalize(tree).to_dict("records")[0] for tree in trees)
    counted = (key for key in sorted(ours) if "." in key and not key.startswith(UNCOUNTED))
    changed = [key for key in counted if ours[key] != theirs[key]]
    return {k: f"{_shown(k, ours)} (protocole{FIXED}: {_shown(k, theirs)})" for k in changed}


def run_card(config: Config, location: str, split: str) -> dict[str, str]:
    """Say what the run was given, and where and with what code its results were computed."""
    given, changed = stored_parameters(config), departures(config)
    if not (config.paths.artifacts / "results" / "train_recipe.json").is_file():
        changed = {key: told for key, told in changed.items() if not key.startswith("recipe.")}
    card = {
        "Dépôt": repository(config),
        "Profil": config.profile,
        "Écarts au protocole": " ; ".join(
            f"{NAMES.get(k, k)}{FIXED}: {v}" for k, v in changed.items()
        ),
        "Graine": str(config.seed),
        "Paramètres donnés": ", ".join(f"{k}{FIXED}={FIXED}{v}" for k, v in given.items()),
        "Données": location,
        "Découpage": "" if split == "standard" else split,
        "Résultats": "publiés, pris tels quels (FROZEN=1)" if is_frozen() else "",
        **_computed(config),
        "Code du rapport": revision(Path(config.paths.root)),
    }
    return {k: text.replace("-dirty", " (modifié)") for k, text in card.items() if text}


def _computed(config: Config) -> dict[str, str]:
    """Return what the results say of themselves: data, machines, versions, time, commits.

    Only results that share data and settings with the audit of the images are counted: what an
    earlier run left behind says nothing of this one. The spatial split has other data.
    """
    files = sorted((config.paths.artifacts / "results").glob("*.json"))
    trees = {path.stem: read_json(path) or {} for path in files}
    audit, origins = trees.get("explore_dataset", {}).get("scope"), []
    for name, tree in trees.items():
        other = {"data": ""} if name.endswith("_spatial") else {}
        same = audit and (tree.get("scope") or {}) | other == audit | other
        if same and tree.get("provenance"):  # a rate chosen by hand has none
            origins.append(tree["provenance"])
    if not origins:
        return {}

    def told(form: str) -> str:
        """Fill in a form for each origin; what is said twice stands once."""
        lines = (form.format_map(defaultdict(lambda: "?", one)) for one in origins)
        return " ; ".join(dict.fromkeys(filter(None, lines)))

    machines = re.sub(r" thread(s?)\b", r" fil\1 de calcul", told("{device}, {precision}"))
    seconds = duree(sum(one.get("seconds", 0) for one in origins))
    return {
        "Empreinte des images": f"SHA-256 {audit['data'][:16]}…",
        "Machine des calculs": machines,
        "Versions": told("Python {python}, PyTorch {torch}"),
        "Durée des calculs": f"{seconds} ({plural(len(origins), 'étape')})",
        "Code des calculs": told("{commit}"),
    }


def _shown(key: str, values: Mapping[str, object]) -> str:
    if values[key] not in (None, []):
        whole = type(values[key]) is int
        return nombre(values[key]) if whole else json.dumps(values[key])
    if key.endswith("seeds"):
        return "aucune"
    return "toutes" if key.endswith(("limit", "images")) else "non fixé"


def _day(executed: Sequence[Path]) -> str:
    """Write the day on which the last notebook was executed; today before that."""
    metadata = [(read_json(path) or {}).get("metadata", {}) for path in executed]
    last = max((one.get("papermill", {}).get("end_time") or "" for one in metadata), default="")
    day = datetime.date.fromisoformat(last[:10]) if last else datetime.date.today()
    return f"{'1er' if day.day == 1 else day.day} {MONTHS.split()[day.month - 1]} {day.year}"
