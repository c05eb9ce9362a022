"""Notebook 05: filter the trials of the grid, pick one to see its curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from eurosat_lib.config import Config
from eurosat_lib.french import SHORT, factor_value, pct, plural, typeset
from eurosat_lib.plots import style
from eurosat_lib.plots.style import (
    BLUE,
    ORANGE,
    SOFT,
    decimal,
    epochs,
    finish,
    percent,
    styled,
)
from eurosat_lib.search import Candidate, GridSearch
from eurosat_lib.widgets.controls import slider
from eurosat_lib.widgets.pictures import SHOWN, figure_png, freeze, line
from eurosat_lib.widgets.shell import view

ANY = "toutes"
BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}  # behind a label
PARTS = {"train": ("entraînement", SOFT, "--"), "val": ("validation", BLUE, "-")}


def fitting(grid: GridSearch, wanted: Mapping[str, float], floor: float = 0.0) -> list[Candidate]:
    """List the points that have the wanted values and reach a score, best first.

    Args:
        grid: the trials.
        wanted: factor -> its value.
        floor: lowest score, in [0, 1].
    """
    return [
        point
        for point in grid.ranking
        if point.score >= floor
        and all(v == getattr(point.hyperparameters, f) for f, v in wanted.items())
    ]


class Curves:
    """Training and validation of a point, one line per seed, on axes that all points share."""

    def __init__(self, grid: GridSearch) -> None:
        """Draw empty axes once."""
        self.figure = _axes(grid)
        self.title = self.figure._suptitle

    def draw(self, point: Candidate) -> bytes:
        """Return the picture (PNG)."""
        for ax in self.figure.axes:
            for one in ax.lines:
                kind, part, seed = one.get_gid()
                rows = point.fits[seed].epochs if seed < len(point.fits) else ()
                values = [getattr(record, f"{part}_{kind}") for record in rows]
                one.set_data([record.epoch for record in rows], values)
        note = " : divergé" if point.diverged else ""
        self.title.set_text(typeset(f"{point.name}{note}"))
        return figure_png(self.figure)


@styled
def _axes(grid: GridSearch) -> Figure:
    fig = style.new_figure(2.5)
    records = [record for fit in grid.trials for record in fit.epochs]
    for ax, kind in zip(fig.subplots(1, 2), ("accuracy", "loss"), strict=True):
        for seed in range(grid.seeds):
            for part, (name, color, dashes) in PARTS.items():
                look = {"color": color, "ls": dashes, "marker": "o", "ms": 3.5}
                label = name if seed == 0 else "_"
                ax.plot([], [], label=label, gid=(kind, part, seed), **look)
        values = [getattr(r, f"{part}_{kind}") for r in records for part in PARTS]
        margin = 0.05 * (max(values) - min(values)) or 0.05
        ax.set_ylim(min(values) - margin, max(values) + margin)
        epochs(ax, grid.epochs)
        (percent if kind == "accuracy" else decimal)(ax.yaxis)
        ax.set_ylabel("exactitude (%)" if kind == "accuracy" else "perte (nats)")
        ax.legend(loc="best" if kind == "loss" else "lower right")
    return freeze(finish(fig, "Courbes", "Courbes du point choisi."))


class Coordinates:
    """Parallel coordinates of all points: those that fit in blue, the picked one in orange."""

    def __init__(self, grid: GridSearch) -> None:
        """Draw all points once."""
        self.grid, self.points = grid, grid.ranking
        self.figure = _coordinates(grid)
        self.lines = self.figure.axes[0].lines[: len(self.points)]

    def draw(self, kept: list[Candidate], picked: Candidate | None) -> bytes:
        """Return the picture (PNG)."""
        names = {point.name for point in kept}
        for one, point in zip(self.lines, self.points, strict=True):
            chosen, inside = picked is not None and point.name == picked.name, point.name in names
            one.set_color(ORANGE if chosen else BLUE if inside else style.RULE)
            one.set_linewidth(2.6 if chosen else 1.1)
            one.set_zorder(4 if chosen else 3 if inside else 2)
        return figure_png(self.figure)


@styled
def _coordinates(grid: GridSearch) -> Figure:
    fig, ax = style.one_axes(2.6)
    scores = [point.score for point in grid.ranking]
    low, high = min(scores), max(scores)
    span = max(high - low, 1e-9)
    for rank, point in enumerate(grid.ranking):
        places = [_place(grid, f, point) for f in SHORT]
        # Points that share all values but one would hide each other: a hair apart.
        shift = 0.03 * (rank / max(len(scores) - 1, 1) - 0.5)
        ax.plot(range(5), [*(p + shift for p in places), (point.score - low) / span])
    for x, factor in enumerate(SHORT):
        values = grid.values(factor)
        for k, value in enumerate(values):
            y = k / max(len(values) - 1, 1)
            text = factor_value(factor, value)
            place = {"xytext": (-4, 5), "textcoords": "offset points", "ha": "right"}
            ax.annotate(text, (x, y), zorder=5, bbox=BOX, **place)
    for y, value in ((0, low), (1, high)):
        ax.annotate(pct(value), (4, y), (5, 0), textcoords="offset points", va="center")
    ax.set_xticks(range(5), [*SHORT.values(), "score"])
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_xlim(-0.5, 4.5)
    ax.set_ylim(-0.1, 1.15)
    for x in range(5):
        ax.axvline(x, color=SOFT, lw=0.8, zorder=1)
    return freeze(finish(fig, "Tous les points de la grille", "Coordonnées parallèles."))


def _place(grid: GridSearch, factor: str, point: Candidate) -> float:
    values = grid.values(factor)
    rank = values.index(getattr(point.hyperparameters, factor))
    return rank / max(len(values) - 1, 1)


@view
def trials(config: Config, grid: GridSearch) -> Any:
    """Filter by value and score; pick a trial in the list to see its curves."""
    import ipywidgets as w

    filters, floor = {f: _values(grid, f) for f in SHORT}, _floor(grid)
    picks = w.Select(rows=8, layout=w.Layout(width="330px"))
    chart, lines = w.Image(format="png", width=SHOWN), w.Image(format="png", width=SHOWN)
    drawn, drawn_curves = Coordinates(grid), Curves(grid)
    text, points = w.HTML(), {point.name: point for point in grid.ranking}
    listing = {"now": False}  # the list itself is changing: nothing was picked

    def kept() -> list[Candidate]:
        wanted = {factor: box.value for factor, box in filters.items() if box.value != ANY}
        return fitting(grid, wanted, floor.value)

    def show(*_: Any) -> None:
        """Draw the points that are kept, and the curves of the one picked."""
        if not listing["now"]:
            picked = points.get(picks.value)
            lines.value = drawn.draw(kept(), picked)
            chart.value = drawn_curves.draw(picked) if picked else b""

    def choose(*_: Any) -> None:
        """List the points that pass the filters."""
        found = kept()
        text.value = line(f"{plural(len(found), 'point')} sur {len(points)}.")
        listing["now"] = True
        picks.options = [(f"{pct(point.score)}   {point.name}", point.name) for point in found]
        picks.index = 0 if found else None
        listing["now"] = False
        show()

    for control in (*filters.values(), floor):
        control.observe(choose, "value")
    picks.observe(show, "value")
    choose()
    row = w.HBox([*filters.values()])
    return w.VBox([row, floor, text, w.HBox([picks, lines]), chart])


def _values(grid: GridSearch, factor: str) -> Any:
    import ipywidgets as w

    options = {ANY: ANY} | {factor_value(factor, v): v for v in grid.values(factor)}
    return w.Dropdown(options=options, description=SHORT[factor], layout=w.Layout(width="170px"))


def _floor(grid: GridSearch) -> Any:
    scores = [point.score for point in grid.ranking]
    return slider([0.0, *scores], 0.0, "score ≥", lambda score: pct(score) if score else "tous")
