"""Notebook 01: browse the images by class, split and finding of the audit."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np

from eurosat_lib.audit import Measures, Tiles, measure
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT, load_dataset
from eurosat_lib.french import nombre, plural
from eurosat_lib.overlaps import Overlaps
from eurosat_lib.plots.style import break_name
from eurosat_lib.stages import latest
from eurosat_lib.widgets.controls import Pages
from eurosat_lib.widgets.pictures import gallery, line
from eurosat_lib.widgets.shell import view

PAGE = 24  # pictures
ALL = -1  # in the place of a class
SPLITS = {"entraînement": "train", "validation": "validation"}  # the test is not for looking at
FINDINGS = {
    "toutes": "all",
    "presque unies": "faint",
    "saturées": "saturated",
    "pixels sans donnée": "nodata",
    "partagent du terrain avec une autre": "overlaps",
}


class Album:
    """Images of train and validation that fit a choice."""

    def __init__(self, dataset: EuroSAT, pairs: dict[str, Any]) -> None:
        """Take the images and the results of the audit that name pairs, by finding."""
        self.dataset, self.pairs = dataset, pairs
        self._measures: dict[str, Measures] = {}

    def rows(self, split: str, label: int | None, finding: str) -> np.ndarray:
        """Find images: int64 (n,), positions in the split.

        Args:
            split: ``train`` or ``validation``.
            label: a class, ``None`` for all.
            finding: one of ``FINDINGS``.
        """
        chosen = self._found(split, finding)
        if label is not None:
            chosen = chosen & (getattr(self.dataset, split).labels == label)
        return np.flatnonzero(chosen)

    def _found(self, split: str, finding: str) -> np.ndarray:
        count = len(getattr(self.dataset, split))
        if finding == "all":
            return np.ones(count, bool)
        if finding == "overlaps":
            named = np.zeros(count, bool)
            for pair in self.pairs[finding].pairs if self.pairs.get(finding) else ():
                named[[t.index for t in (pair.first, pair.second) if t.split == split]] = True
            return named
        found = getattr(self.measured(split), finding)
        return found > 0 if found.dtype != bool else found

    def measured(self, split: str) -> Measures:
        """Measure the images of a split, once."""
        if split not in self._measures:
            self._measures[split] = measure(_OneSplit(self.dataset, split))
        return self._measures[split]

    def page(self, split: str, rows: np.ndarray, number: int) -> str:
        """Return the HTML of a page, counted from 0."""
        shown, images = rows[number * PAGE : (number + 1) * PAGE], getattr(self.dataset, split)
        if not len(rows):
            return line("Aucune image ne correspond à ce choix.")
        captions = [
            caption(self.dataset.classes[images.labels[row]], str(images.names[row]))
            for row in shown
        ]
        first, last = nombre(number * PAGE + 1), nombre(number * PAGE + len(shown))
        head = line(f"{plural(len(rows), 'image')} ; de {first} à {last} :")
        return head + gallery(images.images[shown], captions)


def caption(label: str, name: str) -> str:
    """Name an image in two lines: its class, then what its file adds to it."""
    stem = PurePosixPath(name).stem
    number = stem.removeprefix(f"{label}_")
    return f"{break_name(label)}\n{f'n° {number}' if number != stem else stem}"


class _OneSplit(Tiles):
    """The images of one split only, for the audit's measures."""

    def __init__(self, dataset: EuroSAT, split: str) -> None:
        super().__init__(dataset)
        self.splits = {split: getattr(dataset, split)}


@view
def browse(config: Config) -> Any:
    """Choose a class, a split and a finding; turn the pages."""
    import ipywidgets as w

    dataset = load_dataset(config)
    known = {"overlaps": latest(config, Overlaps)}
    album = Album(dataset, known)
    for split in SPLITS.values():
        album.measured(split)  # seconds now, so that no choice waits later
    split = w.Dropdown(options=SPLITS, description="split")
    labels = {"toutes": ALL} | {name: k for k, name in enumerate(dataset.classes)}
    label = w.Dropdown(options=labels, description="classe")
    offered = {
        name: key for name, key in FINDINGS.items() if key not in known or known[key] is not None
    }
    finding = w.Dropdown(options=offered, description="constat")
    shown = w.HTML()
    pages = _connect(album, (split, label, finding), shown)
    return w.VBox([w.HBox([split, label, finding]), pages.box, shown])


def _connect(album: Album, choices: tuple[Any, Any, Any], shown: Any) -> Pages:
    found: dict[str, np.ndarray] = {}

    def choose(*_: Any) -> None:
        """Find the images that fit, and go back to the first page."""
        split, label, finding = (choice.value for choice in choices)
        found["rows"] = album.rows(split, None if label == ALL else label, finding)
        pages.restart(-(-len(found["rows"]) // PAGE))

    def turn(page: int) -> None:
        shown.value = album.page(choices[0].value, found["rows"], page)

    pages = Pages(turn)
    for choice in choices:
        choice.observe(choose, "value")
    choose()
    return pages
