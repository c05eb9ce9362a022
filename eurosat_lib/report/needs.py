"""What a notebook finds of earlier results, and what it does without one: lines of French."""

from __future__ import annotations

import os

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import read_json
from eurosat_lib.french import FIXED, plural, power, typeset
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.protocol import checkpoint_path, chosen_lr
from eurosat_lib.search import Grid
from eurosat_lib.stages import Record, latest, result_path


def situation(config: Config, notebook: str) -> None:
    """Display which earlier result a notebook starts from, or what stands for a missing one.

    Args:
        config: of the notebook.
        notebook: ``05_grid``, ``06_train`` or ``07_eval``: those that need another one.

    Raises:
        UserError: another notebook.
    """
    from IPython.display import publish_display_data

    text = describe(config, notebook)
    publish_display_data({"text/markdown": text, "text/plain": text.replace("`", "")})


def describe(config: Config, notebook: str) -> str:
    """Write that line, as Markdown.

    Raises:
        UserError: another notebook.
    """
    known = {"05_grid": _rates, "06_train": _point, "07_eval": _checkpoint}
    if notebook not in known:
        raise UserError(f"needs: {notebook!r}{did_you_mean(notebook, known)}")
    return typeset(known[notebook](config))


def _rates(config: Config) -> str:
    if config.grid.lr is not None:
        return f"LR de la grille : {' ; '.join(map(power, config.grid.lr))}, donnés à la main."
    picked, found = chosen_lr(config), latest(config, LRFinder)
    if picked:
        return f"LR choisi à la main dans le notebook `04_lr_finder` : {power(picked.lr)}."
    if found and found.choice:
        return f"LR choisi par le notebook `04_lr_finder` : {power(found.choice)}."
    instead = (
        "La grille part de la valeur de repli de la configuration, "
        f"{power(config.train.fallback_lr)}."
    )
    if found:
        return f"Le notebook `04_lr_finder` n’a pas pu choisir de LR. {instead}"
    return f"{_absent(config, 'Le LR', '04_lr_finder', LRFinder)} {instead}"


def _point(config: Config) -> str:
    found = latest(config, Grid)
    if found:
        return (
            f"Grille du notebook `05_grid` : meilleur point `{found.best.hyperparameters.name}`."
        )
    lr, decay = power(config.train.fallback_lr), power(config.train.fallback_weight_decay)
    return (
        f"{_absent(config, 'La grille', '05_grid', Grid)} Les recherches partent des valeurs de "
        f"repli de la configuration : LR {lr}, weight decay {decay}."
    )


def _checkpoint(config: Config) -> str:
    path = checkpoint_path(config)
    shown = os.path.relpath(path, config.paths.root)
    if config.evaluate.checkpoint:
        return f"Checkpoint donné : `{shown}`."
    if path.is_file():
        return f"Checkpoint du notebook `06_train` : `{shown}`."
    epochs = plural(config.train.max_epochs, "époque")
    return (
        f"Le checkpoint `{shown}` manque : le notebook `06_train` le produit. "
        f"L’entraînement final est donc fait ici, {epochs}, avec le point que donnent les "
        "recherches ou, sans elles, les valeurs de repli de la configuration."
    )


def _absent(config: Config, what: str, notebook: str, kind: type[Record]) -> str:
    """Say that a result is not there, or is of another experiment."""
    tree = read_json(result_path(config, kind.stage))
    if not tree:
        return f"{what} du notebook `{notebook}` manque : l’exécuter d’abord pour en disposer."
    profile = tree.get("scope", {}).get("profile")
    why = (
        f"du profil {profile}"
        if profile != config.profile
        else "d’autres images ou d’autres réglages"
    )
    return f"{what} du notebook `{notebook}` qui se trouve ici est {why}{FIXED}: il ne compte pas."
