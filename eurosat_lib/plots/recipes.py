"""Figure of a recipe: accuracy against training time, beside the protocol."""

from __future__ import annotations

from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.french import duree, pct
from eurosat_lib.plots.axes import French, percent
from eurosat_lib.plots.style import BLUE, ORANGE, finish, new_figure, styled
from eurosat_lib.recipe import RecipeFit, Recipes
from eurosat_lib.training.final import Training

HOUR, MINUTE = 3600.0, 60.0  # s


def recipe_curves(
    found: Recipes | None, training: Training, same_machine: bool = True
) -> Figure | None:
    """Draw validation accuracy against time of training, for the recipe and the protocol.

    Args:
        found: the recipe; ``None`` draws nothing.
        training: the protocol's final training.
        same_machine: whether the times of both compare; the figure says so if they do not.
    """
    return None if found is None else _draw(found, training, same_machine)


@styled
def _draw(found: Recipes, training: Training, same_machine: bool) -> Figure:
    epochs = training.fit.epochs
    clock = list(accumulate(record.seconds for record in epochs))
    protocol = list(zip(clock, (record.val_accuracy for record in epochs), strict=True))
    curves = [run.fit.curve for run in found.runs]
    longest = max(seconds for curve in (protocol, *curves) for seconds, _ in curve)
    unit, name = (MINUTE, "minutes") if longest > 3 * MINUTE else (1.0, "secondes")
    unit, name = (HOUR, "heures") if longest > 3 * HOUR else (unit, name)
    fig = new_figure(2.9)
    ax = fig.subplots()
    _line(ax, protocol, unit, ORANGE, "protocole", marker="s")
    for rank, curve in enumerate(curves):
        _line(ax, curve, unit, BLUE, found.title if rank == 0 else None, marker="o")
    _hollow(ax, [point for run in found.runs for point in _reduced(run.fit)], unit)
    where = "" if same_machine else ", chacun sur sa machine"
    ax.set_xlabel(f"temps d’entraînement ({name}){where}")
    ax.set_ylabel("exactitude sur validation (%)")
    ax.xaxis.set_major_formatter(French())
    percent(ax.yaxis)
    _zoom(ax, [accuracy for curve in (protocol, *curves) for _, accuracy in curve])
    ax.legend(loc="lower right")
    first = found.first.fit
    alt = (
        f"{found.title} : {pct(first.val_accuracy, 2)} sur validation après "
        f"{duree(first.seconds)} ; protocole : {pct(training.fit.best.val_accuracy, 2)} au mieux, "
        f"{duree(clock[-1])} en tout."
    )
    alt += "" if same_machine else " Les machines diffèrent : les durées ne se comparent pas."
    return finish(fig, "Exactitude selon le temps d’entraînement", alt)


def _line(ax: Axes, curve: list, unit: float, color: str, label: str | None, marker: str) -> None:
    times, values = zip(*((seconds / unit, value) for seconds, value in curve), strict=True)
    ax.plot(times, values, color=color, marker=marker, ms=3, lw=1.2, label=label)


def _reduced(fit: RecipeFit) -> list[tuple[float, float]]:
    """List the points of the curve where the training images were smaller than those judged."""
    judged = [record for record in fit.epochs if record.val_accuracy is not None]
    full = fit.epochs[-1].side
    points = zip(fit.curve, judged, strict=True)
    return [point for point, record in points if record.side < full]


def _hollow(ax: Axes, points: list[tuple[float, float]], unit: float) -> None:
    """Mark points over their line as open circles, with a line in the legend."""
    if points:
        times, values = zip(*((seconds / unit, value) for seconds, value in points), strict=True)
        label = "apprentissage sur des images réduites"
        ax.plot(times, values, "o", ms=4.5, mfc="white", mec=BLUE, mew=1.2, label=label)


def _zoom(ax: Axes, values: list[float]) -> None:
    """Leave the first epochs below the frame: what differs is the end."""
    top = max(values)
    low = min(v for v in values if v > top - 0.15)
    ax.set_ylim(low - 0.01, min(1.0, top + 0.01))
