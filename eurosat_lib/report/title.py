"""The title page: who, what, on which machines, and what the profile changed of the protocol."""

from __future__ import annotations

import datetime
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config, load_config, stored_parameters
from eurosat_lib.files import is_frozen, read_json, revision
from eurosat_lib.french import FIXED, duree, liste, nombre, plural
from eurosat_lib.report.deposit import journal

MONTHS = ["janvier", "février", "mars", "avril", "mai", "juin"]
MONTHS += ["juillet", "août", "septembre", "octobre", "novembre", "décembre"]
PROFILES = {"quick": "rapide"}  # a profile without a French name keeps its own
NAMELESS = "Prénom Nom"  # an author that nobody has filled in
CHANGED = "-dirty"  # after a commit that local changes follow
VERSIONS = {"python": "Python", "torch": "PyTorch", "torchvision": "torchvision", "numpy": "NumPy"}
SYNTHETIC = (
    "**Données synthétiques de démonstration.** Les images de ce rapport sont dessinées par "
    "programme ; ce ne sont pas des images Sentinel-2, et les résultats ne disent rien d’EuroSAT."
)
COLOPHON = (
    "Ce rapport est composé par un outil. Les titres et les questions sont ceux du cours. Les "
    "textes, les figures et les tableaux viennent des carnets et de reports/answers ; nombres et "
    "verdicts y suivent des résultats de ce calcul, et d’eux seuls. Sont de l’étudiant·e : les "
    "réglages que nomme la fiche, les phrases réécrites par ses soins dans ces fichiers{}."
)
JOURNAL = ", et le journal de la section 10"

# What a figure or a table shows depends on these keys of the configuration, beside those of the
# sections before it: by section, then by the first word of its name where that says more.
IMAGES = ("data.image_size", "preprocess", "augment")
NETWORK = ("model", "data.train_limit", "data.validation_limit")
SECTIONS = {
    "1": ("data.train_limit", "data.validation_limit", "data.test_limit"),
    **dict.fromkeys(("1.3", "1.4", "1.5"), IMAGES),
    "2": (*IMAGES, *NETWORK, "initial_loss"),
    "3": (*IMAGES, *NETWORK, "overfit", "controls"),
    "4": (*IMAGES, *NETWORK, "lr_finder"),
    "5": (*IMAGES, *NETWORK, "grid"),
    "6": (*IMAGES, *NETWORK, "train.max_epochs", "train.max_steps"),
    "7": (*IMAGES, *NETWORK, "grid"),
    "8": (*IMAGES, *NETWORK, "train.max_epochs", "train.max_steps"),
    "9": (*IMAGES, *NETWORK, "data.test_limit", "train.max_epochs", "train.max_steps"),
}
NAMES = {
    "refined": ("grid", "refined_grid"),
    "finalists": ("grid", "refined_grid", "finalists"),
    "recipe-steps": ("recipe.ablation",),
    "ablation": ("recipe.ablation",),
    "robustness": ("evaluate.robustness_images",),
    "seeds": ("train.seeds",),
}


@dataclass(frozen=True)
class Title:
    """The title page of a report.

    Attributes:
        title, course, author, date, repository: as they are printed; all but the title may be
            empty.
        banners: warnings, Markdown, one paragraph each; none for the protocol on real images.
        card: label → value: the run card.
        colophon: what of the text is the tool's, what the author's.
        summary: the abstract, if the page has none of its own; Markdown.
        profile: said beside what it touches; empty for the protocol.
        departures: dotted keys of the configuration that the profile has otherwise.
        synthetic: no real image was used.
    """

    title: str
    course: str = ""
    author: str = ""
    date: str = ""
    repository: str = ""
    banners: list[str] = field(default_factory=list)
    card: dict[str, str] = field(default_factory=dict)
    colophon: str = ""
    summary: str = ""
    profile: str = ""
    departures: frozenset[str] = frozenset()
    synthetic: bool = False

    def mark(self, section: str, name: str = "") -> str:
        """Say what a figure or table owes to the profile or to drawn images; often nothing.

        Args:
            section: number of its section (``1.4``).
            name: as its cell names it (``grid``); may be empty.
        """
        words = ["données synthétiques"] if self.synthetic else []
        shown = (*SECTIONS.get(section.split(".")[0], ()), *SECTIONS.get(section, ()))
        for start, keys in NAMES.items():
            shown += keys if name.startswith(start) else ()
        if any(key.startswith(start) for key in self.departures for start in shown):
            words.append(self.profile)
        return ", ".join(words)


def title_of(config: Config, executed: Sequence[Path]) -> Title:
    """Describe a run; the same run gives the same title page on any day.

    Args:
        config: the run's configuration.
        executed: its executed notebooks, which know when they were.
    """
    from eurosat_lib.data import describe_source

    root, identity = Path(config.paths.root), config.identity
    source = describe_source(config)
    written = journal(root / "reports", config.paths.name)
    return Title(
        title=identity.title,
        course=identity.course,
        author=identity.author,
        date=french_date(_day(executed)),
        repository=identity.repository or remote_address(root),
        banners=banners(config, source.synthetic),
        card=run_card(config, source.location, source.split),
        colophon=COLOPHON.format(JOURNAL if written else ""),
        profile=profile_name(config.profile),
        departures=frozenset(departures(config, protocol_of(config))),
        synthetic=source.synthetic,
    )


def to_complete(config: Config) -> list[str]:
    """Name the keys of ``configs/config.yaml`` that the report's owner has still to fill in."""
    identity = config.identity
    missing = {"author": identity.author in ("", NAMELESS)}
    missing["repository"] = not (identity.repository or remote_address(Path(config.paths.root)))
    return [f"identity.{name}" for name, is_missing in missing.items() if is_missing]


def french_date(day: datetime.date) -> str:
    """Write a date in French: ``1er mars 2026``."""
    return f"{'1er' if day.day == 1 else day.day} {MONTHS[day.month - 1]} {day.year}"


def profile_name(profile: str) -> str:
    """Return the profile as it is called in the report: ``quick`` → ``profil rapide``."""
    return f"profil {PROFILES.get(profile, profile)}"


def remote_address(root: Path) -> str:
    """Return the address of the remote ``origin`` if it is one of the Web, without credentials."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.match(r"(https?://)(?:[^/@]*@)?(\S+)", done.stdout)
    return found[1] + found[2] if found else ""


# What the profile changed


def protocol_of(config: Config) -> Config:
    """Return the course's protocol: ``configs/config.yaml`` with the profile ``full``.

    With that profile a run is its own: what a parameter changes is named on the run card.
    """
    if config.profile == "full":
        return config
    return load_config(Path(config.paths.root) / "configs" / "config.yaml", "full")


def departures(config: Config, whole: Config) -> Iterator[str]:
    """Name the keys that differ, dotted (``grid.epochs``); not seed, identity, paths, machine."""
    ours, theirs = config.model_dump(mode="json"), whole.model_dump(mode="json")
    for section, values in theirs.items():
        if isinstance(values, dict) and section not in ("identity", "compute", "paths"):
            yield from (f"{section}.{k}" for k, v in values.items() if ours[section][k] != v)


def banners(config: Config, synthetic: bool) -> list[str]:
    """Return the warnings of the title page, Markdown; none for the protocol on real images."""
    found, whole = [SYNTHETIC] if synthetic else [], protocol_of(config)
    core = [*_network(config, whole), *_final(config, whole)]
    rest = [*_searches(config, whole), *_repeats(config, whole)]
    name = f"**{profile_name(config.profile).capitalize()}.**"
    if core:
        text = f"{name} Le calcul est réduit : {liste([*core, *rest])}. Les valeurs illustrent la "
        found.append(text + "démarche ; ce ne sont pas celles du protocole complet.")
    elif rest:
        text = f"{name} Images, réseau et entraînement final sont ceux du protocole complet. Sont "
        found.append(text + f"réduits : {liste(rest)}.")
    return found


def _network(config: Config, whole: Config) -> Iterator[str]:
    size, full = config.data.image_size, whole.data.image_size
    if size != full:
        yield f"images de {size} pixels de côté au lieu de {full}"
    channels, full = config.model.channels, whole.model.channels
    if channels != full:
        yield f"étages de {liste(channels)} canaux au lieu de {liste(full)}"
    if config.data.train_limit != whole.data.train_limit:
        yield f"{_images(config.data.train_limit)} d’entraînement"


def _final(config: Config, whole: Config) -> Iterator[str]:
    epochs, full = config.train.max_epochs, whole.train.max_epochs
    if epochs != full:
        yield f"entraînement final de {plural(epochs, 'époque')} au lieu de {full}"
    steps = config.train.max_steps
    if steps != whole.train.max_steps and steps is not None:
        yield f"entraînement final arrêté à {nombre(steps)} pas au plus"


def _searches(config: Config, whole: Config) -> Iterator[str]:
    ours, theirs = _trials(config), _trials(whole)
    if ours != theirs:
        yield f"essais de {' puis '.join(ours)} au lieu de {' puis '.join(theirs)}"
    count, full = config.finalists.count, whole.finalists.count
    if count != full:
        yield f"{count} finalistes au lieu de {full}"


def _trials(config: Config) -> list[str]:
    """Say how long the trials of both grids are; once if they are alike."""
    grids = (config.grid, config.refined_grid)
    kinds = [f"{plural(g.epochs, 'époque')} sur {_images(g.train_limit)}" for g in grids]
    return list(dict.fromkeys(kinds))


def _repeats(config: Config, whole: Config) -> Iterator[str]:
    """Say which repetitions and measurements beside the experiment are fewer."""
    count, full = len(config.train.seeds) + 1, len(whole.train.seeds) + 1
    if count != full:
        yield f"entraînement final sur {plural(count, 'graine')} au lieu de {full}"
    count, full = len(config.spatial.seeds) + 1, len(whole.spatial.seeds) + 1
    if count != full and config.spatial.enabled:
        yield f"{plural(count, 'graine')} au lieu de {full} sur le découpage spatial"
    images = config.evaluate.robustness_images
    if images != whole.evaluate.robustness_images:
        yield f"robustesse mesurée sur {_images(images)}"
    epochs, full = config.recipe.ablation_epochs, whole.recipe.ablation_epochs
    if epochs != full and _result(config, "ablate_recipe"):
        yield f"ablation de la recette en {plural(epochs, 'époque')} au lieu de {full}"


def _images(limit: int | None) -> str:
    return "toutes les images" if limit is None else plural(limit, "image")


# The run card


def run_card(config: Config, location: str, split: str) -> dict[str, str]:
    """Say what the run was given, and where and with what code its results were computed."""
    given = stored_parameters(config)
    card = {
        "Profil": config.profile,
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
    names = [path.stem for path in (config.paths.artifacts / "results").glob("*.json")]
    audit, trees = (
        _result(config, "explore_dataset"),
        {n: _result(config, n) for n in sorted(names)},
    )
    origins = [t["provenance"] for n, t in trees.items() if _shared(n, t, audit)]
    if not origins:
        return {}
    seconds = sum(origin["seconds"] for origin in origins)
    return {
        "Empreinte des images": f"SHA-256 {audit['scope']['data'][:16]}…",
        "Machine des calculs": _each(f"{o['device']}, {o['precision']}" for o in origins),
        "Versions": _each(", ".join(_versions(o)) for o in origins),
        "Durée des calculs": f"{duree(seconds)} ({plural(len(origins), 'étape')})",
        "Code des calculs": _commits([o.get("commit", "") for o in origins]),
    }


def _result(config: Config, stage: str) -> dict[str, Any]:
    """Read a published result that knows where it comes from; empty if there is none."""
    tree = read_json(config.paths.artifacts / "results" / f"{stage}.json") or {}
    return tree if tree.get("scope") and tree.get("provenance") else {}


def _shared(name: str, tree: Mapping[str, Any], audit: Mapping[str, Any]) -> bool:
    """Tell whether a result is of the audit's experiment."""
    other = {"data": None} if name.endswith("_spatial") else {}
    return bool(tree and audit) and tree["scope"] | other == audit["scope"] | other


def _versions(origin: Mapping[str, Any]) -> list[str]:
    return [f"{label} {origin[name]}" for name, label in VERSIONS.items() if origin.get(name)]


def _commits(found: Sequence[str]) -> str:
    words = [
        commit.removesuffix(CHANGED) + (" (modifié)" if commit.endswith(CHANGED) else "")
        for commit in dict.fromkeys(filter(None, found))
    ]
    return f"commit{'s' if len(words) > 1 else ''} {', '.join(words)}" if words else ""


def _each(values: Iterator[str]) -> str:
    return " ; ".join(dict.fromkeys(filter(None, values)))


def _day(executed: Sequence[Path]) -> datetime.date:
    """Return the day on which the last notebook was executed; today before that."""
    days = []
    for path in executed:
        notebook = read_json(path) or {}
        end = notebook.get("metadata", {}).get("papermill", {}).get("end_time")
        days += [datetime.date.fromisoformat(end[:10])] if end else []
    return max(days, default=datetime.date.today())
