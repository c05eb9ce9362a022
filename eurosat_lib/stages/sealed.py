"""Sealed runs: their results are in git, so they stand for themselves and are not replaced.

A run is sealed by the model card in its artifacts. A stage then takes the published result if its
key is the one of now, or if configuration, data and what it builds on are: code may have changed
since, and the result says which commit computed it. So the report of a fresh clone is bound
without computing. What git does not hold (weights of trials and of the spatial training, logits
of each image) is missing there, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from eurosat_lib.config import Config, stored_parameters
from eurosat_lib.errors import UserError
from eurosat_lib.record import Record
from eurosat_lib.stages.files import copy_file, read_json

# Depends on where the images lie, which may be another place than at the time.
FREE = ("explore_dataset",)
OLDER: set[str] = set()  # stages whose published result was taken though the code has changed
# No part of what identifies a result; those of a recipe build on its file, see _agrees.
ASIDE = ("paths.", "identity.", "compute.", "data.source", "recipe.")


def is_there(config: Config, path: Path) -> bool:
    """Tell whether a stage's file is to be used: only a sealed run may do without it."""
    return path.is_file() or not config.paths.sealed


def copy_kept(config: Config, source: Path, target: Path) -> None:
    """Copy a stage's file to the run's artifacts, unless a sealed run is without it."""
    if is_there(config, source):
        copy_file(source, target)


def sealed_result(
    config: Config, stage: str, folder: str, fingerprint: str, inputs: Mapping[str, Any]
) -> Any:
    """Return what a sealed run published of a stage, if it is what is asked for now.

    Args:
        config: of the run.
        stage: its name.
        folder: name of the stage's folder in the cache: the stage and its key.
        fingerprint: of the data.
        inputs: what else the stage builds on.

    Returns:
        Provenance and result, as the cache has them; ``None`` otherwise.
    """
    tree = _published(config, stage) if config.paths.sealed else None
    if not tree or tree["provenance"].get("folder") == folder:
        return tree
    same = tree["scope"].get("data") == fingerprint and _agrees(tree["result"], inputs)
    if not same or _settings(config.model_dump(mode="json"), tree) != _settings(
        tree.get("config", {})
    ):
        return None
    OLDER.add(stage)
    return tree


def differs(config: Config, result: Record) -> bool:
    """Tell whether a sealed run has published another result of this stage."""
    if not config.paths.sealed or result.stage in FREE:
        return False
    tree = _published(config, result.stage)
    try:
        known = type(result).model_validate(tree["result"]) if tree else result
    except ValidationError:
        return True
    return known.model_dump_json() != result.model_dump_json()  # NaN is NaN


def keep_sealed(config: Config, result: Record) -> None:
    """Refuse to replace the published result of a sealed run.

    Raises:
        UserError: this result is another one.
    """
    if differs(config, result):
        raise refusal(config, [result.stage])


def refusal(config: Config, stages: list[str]) -> UserError:
    """Return the error that says which results would be replaced, and what to do."""
    name, card = config.paths.name, config.paths.card.relative_to(config.paths.root)
    tree = read_json(config.paths.artifacts / "results" / "train.json") or {}
    profile = tree.get("scope", {}).get("profile", "")
    shown = ", ".join(stages[:4]) + (f" and {len(stages) - 4} more" if len(stages) > 4 else "")
    if profile == config.profile:
        why = f"its configuration, data or form are not those of its results: {shown}"
        french = "les réglages ou les images sont autres"
    else:
        why = f"it is a run of the profile {profile}, not {config.profile}: {shown}"
        french = f"son profil est {profile}, non {config.profile}"
    given = stored_parameters(config)
    file = config.paths.artifacts.relative_to(config.paths.root) / "params.yaml"
    again = f' PARAMS="-f {file}"' if given else " without other parameters"
    values = ", ".join(f"{key} = {value}" for key, value in given.items())
    encore = f"et {values}, sans autre paramètre" if given else "sans autre paramètre"
    return UserError(
        f"{name}: the results of this run are in git and would be replaced; {why}. Another NAME "
        f"keeps them; PROFILE={profile}{again} takes them. To give the run up, delete {card}",
        f"Les résultats du run {name} sont dans git et seraient remplacés (ici, {french}). "
        f'Donner un autre nom (paramètre name) les garde\u00a0; profile = "{profile}" {encore}, '
        f"les reprend\u00a0; pour renoncer à ce run, supprimer {card}.",
    )


def _published(config: Config, stage: str) -> Any:
    return read_json(config.paths.artifacts / "results" / f"{stage}.json")


def _agrees(result: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """Compare what a stage builds on, beside configuration and data, with what a result says.

    The rest of the inputs follows from the configuration and from results before; but a recipe is
    a file of its own.
    """
    if "recipe" in inputs:
        return False
    said = {
        "checkpoint": result.get("checkpoint_sha256"),
        "hyperparameters": result.get("fit", {}).get("hyperparameters"),
    }
    return all(said[name] in (None, inputs[name]) for name in said if name in inputs)


def _settings(tree: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Flatten a configuration; of one of today, what a stored one has as well."""
    flat = {key: value for key, value in _leaves(tree) if not key.startswith(ASIDE)}
    if stored is None:
        return flat
    known = dict(_leaves(stored.get("config", {})))
    return {key: value for key, value in flat.items() if key in known}


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
