"""What is photographed: which runs and tags of TensorBoard, and how they are shown."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode

from eurosat_lib.config import Config
from eurosat_lib.tracking import run_key

LOSS, ACCURACY = ("train/loss", "val/loss"), ("train/accuracy", "val/accuracy")
# Comparisons of section 7: which factors' trials are laid over each other, and on which cards.
COMPARED = {
    "compare_lr": (("lr",), ("train/loss", "val/accuracy")),
    "compare_wd": (("weight_decay",), ("train/accuracy", "val/accuracy")),
    "compare_model": (("dilation_stage3", "blocks_per_stage"), ("val/accuracy", "val/loss")),
}
VIEWS = ("overfit", "lr_finder", "grid", "train", *COMPARED)


@dataclass(frozen=True)
class View:
    """One page of TensorBoard.

    Attributes:
        name: one of ``VIEWS``; the picture is ``artifacts/captures/<name>.png``.
        runs: folders below ``runs/`` that it shows, each of which exists.
        tags: of the cards of the Time Series tab; none: the table of the HParams tab.
        logarithmic: those of ``tags`` whose vertical axis is logarithmic.
        table: the runs, their colours and their last values stand below each curve.
        bars: TensorBoard's bars, with its tabs and the filter, are in the picture.
    """

    name: str
    runs: tuple[str, ...]
    tags: tuple[str, ...] = ()
    logarithmic: tuple[str, ...] = ()
    table: bool = True
    bars: bool = True

    @property
    def folder(self) -> str:
        """Which part of ``runs/`` TensorBoard is to be opened at."""
        return self.runs[0].partition("/")[0]

    @property
    def address(self) -> str:
        """What follows TensorBoard's own address: filters that a reader can type as well."""
        if not self.tags:
            return "?darkMode=false#hparams"
        filters = {"darkMode": "false", "smoothing": "0"}
        filters |= {"runFilter": self._run_filter(), "tagFilter": f"^({'|'.join(self.tags)})$"}
        return f"?{urlencode(filters)}#timeseries"

    def digest(self, runs: Path) -> str:
        """Hash what the picture shows: the view itself and the content of its runs."""
        content = asdict(self) | {"content": [run_key(runs / run) for run in self.runs]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _run_filter(self) -> str:
        names = (re.escape(run.partition("/")[2]) for run in self.runs)
        return f"^({'|'.join(names)})$"


def list_views(config: Config) -> list[View]:
    """List the views whose runs are there, in the order of the report.

    Args:
        config: for the run's ``runs/`` and ``artifacts/``.
    """
    views = [
        View("overfit", _runs(config, "overfit_small"), ("train/accuracy", "train/loss")),
        View(
            "lr_finder",
            _runs(config, "lr_finder"),
            ("lr_finder/loss", "lr_finder/lr"),
            logarithmic=("lr_finder/lr",),
        ),
        View("grid", _runs(config, "grid_search")),
        View("train", _runs(config, "train"), (*ACCURACY, *LOSS), table=False),
        *_comparisons(config),
    ]
    return [view for view in views if view.runs]


def _comparisons(config: Config) -> Iterator[View]:
    path = config.paths.artifacts / "facts.json"
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    facts = facts.get("compare_curves", {})
    for name, (factors, tags) in COMPARED.items():
        curves = [curve["name"] for f in factors for curve in facts.get(f, {}).get("curves", ())]
        runs = [f"{facts['source']}/{curve}" for curve in sorted(set(curves))]
        found = tuple(r for r in runs if run_key(config.paths.runs / r))
        yield View(name, found, tags, bars=False)


def _runs(config: Config, stage: str) -> tuple[str, ...]:
    """List the finished runs of a stage."""
    root = config.paths.runs
    folders = sorted(path for path in (root / stage).glob("*") if run_key(path))
    return tuple(path.relative_to(root).as_posix() for path in folders)
