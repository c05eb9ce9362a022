"""The pictures of a run, ``artifacts/captures/``: taken together, found while they are true."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eurosat_lib.captures.views import View, list_views
from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.french import liste, nombre
from eurosat_lib.tracking import read_run

INDEX = "captures.json"  # beside the pictures: digest of what each shows


@dataclass(frozen=True)
class Capture:
    """A picture of TensorBoard.

    Attributes:
        name: one of ``VIEWS``.
        path: of the PNG.
        alt: what it shows, in French.
        digest: of the view and of the runs it shows.
    """

    name: str
    path: Path
    alt: str
    digest: str


def find_captures(config: Config) -> dict[str, Capture]:
    """Return the pictures that show the run's present events, by name; none of older ones."""
    folder = _folder(config)
    index = _read(folder / INDEX)
    found = {}
    for view in list_views(config):
        kept, path = index.get(view.name, {}), folder / f"{view.name}.png"
        digest = view.digest(config.paths.runs)
        if path.is_file() and kept.get("digest") == digest:
            found[view.name] = Capture(view.name, path, kept["alt"], digest)
    return found


def take_captures(config: Config) -> Iterator[Capture]:
    """Start TensorBoard and a browser, photograph all views, one after the other.

    Raises:
        UserError: nothing to show yet, no browser, or a page that is not drawn.
    """
    from eurosat_lib.captures.browser import chromium
    from eurosat_lib.captures.camera import photograph
    from eurosat_lib.captures.server import tensorboard

    views, folder = list_views(config), _folder(config)
    if not views:
        raise UserError(f"{config.paths.runs}: no runs to show yet; compute them: make report")
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, dict[str, str]] = {}
    with chromium() as browser:
        for view in views:
            path, alt = folder / f"{view.name}.png", describe(view, config.paths.runs)
            with tensorboard(config.paths.runs / view.folder) as address:
                path.write_bytes(photograph(browser, address, view))
            digest = view.digest(config.paths.runs)
            index[view.name] = {"digest": digest, "alt": alt}
            (folder / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=False), "utf-8")
            yield Capture(view.name, path, alt, digest)


def describe(view: View, runs: Path) -> str:
    """Say in French which page of TensorBoard a view is, and where its curves end."""
    names = liste([run.partition("/")[2] for run in view.runs])
    stage = view.runs[0].partition("/")[0]
    if not view.tags:
        return (
            f"Onglet HParams de TensorBoard : les {len(view.runs)} essais de {stage}, une ligne "
            "chacun, par hparam/score décroissant, avec leurs hyperparamètres."
        )
    ends = []
    for run in view.runs:
        series = read_run(runs / run, view.tags)
        last = {tag: float(series[tag].iloc[-1]) for tag in view.tags if tag in series}
        values = [f"{tag} {nombre(v, 3)}" for tag, v in last.items() if math.isfinite(v)]
        end = f"finit à {', '.join(values)}" if values else "diverge"
        ends.append(f"{run.partition('/')[2]} {end}")
    return f"Onglet Time Series de TensorBoard, {stage} ({names}) : {' ; '.join(ends)}."


def _folder(config: Config) -> Path:
    return config.paths.artifacts / "captures"


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
