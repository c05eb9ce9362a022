"""Figures: they draw the numbers of the results, and each has a text for who does not see it."""

from functools import cache
from types import SimpleNamespace

import handmade as made
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.text import Text
from settings import ROOT, TINY

from eurosat_lib import checks, loaders
from eurosat_lib.config import load_config
from eurosat_lib.explain import Explanations
from eurosat_lib.french import pct, power
from eurosat_lib.plots import data, evaluation, style, training
from eurosat_lib.stats import wilson
from eurosat_lib.trainings import SplitComparison

CONTROL = checks.ShuffledLabels(found={}, true=[(2.3, 0.5)], shuffled=[(2.3, 0.9)])
SPLITS = SplitComparison(standard=made.perfect(), spatial=made.EVALUATION)
RIGHT = {"index": 3, "truth": "Forest", "prediction": "Forest", "confidence": 0.9}
RIGHT |= {"heat": ((1.0, 1.0), (1.0, 1.0))}
CASES = (RIGHT, RIGHT | {"index": 4, "truth": "HerbaceousVegetation"})
RECIPE = SimpleNamespace(title="recette", runs=[SimpleNamespace(fit=made.trial())])
CONFIG = load_config(ROOT / "configs/config.yaml", "full", TINY)
FIGURES = {
    data.class_distribution: (made.AUDIT,),
    data.examples: (CONFIG,),
    data.augmentation_draws: (CONFIG,),
    training.architecture: (checks.test_model.__wrapped__(CONFIG),),
    training.overfit: (made.OVERFIT, CONTROL),
    training.lr_sweep: (made.LR_FINDER,),
    training.lr_by_depth: (made.CROSSED,),
    training.grid_heatmaps: (made.GRID,),
    training.grid_curves: (made.GRID,),
    training.training_curves: (made.TRAINING,),
    training.comparison: (made.GRID, "lr"),
    training.recipe_curves: (RECIPE, made.TRAINING),
    evaluation.confusion: (made.EVALUATION,),
    evaluation.reliability: (made.ERRORS,),
    evaluation.robustness: (made.ROBUSTNESS,),
    evaluation.split_comparison: (SPLITS,),
    evaluation.worst_errors: (CONFIG, made.ERRORS),
    evaluation.grad_cam: (CONFIG, Explanations(classes=made.CLASSES, cases=CASES)),
}


@pytest.fixture(autouse=True)
def _images(blobs, monkeypatch):
    for room in (data, evaluation, loaders):
        monkeypatch.setattr(room, "load_dataset", lambda config: blobs)


@cache
def draw(plot):
    return plot(*FIGURES[plot])


def texts(fig) -> str:
    found = [text.get_text() for text in fig.findobj(Text) if text.get_visible()]
    return "\n".join([*found, fig.get_label()]).replace("\u00a0", " ")


def drawn(ax) -> list[list[float]]:
    return [np.round(np.asarray(line.get_ydata(), float), 9).tolist() for line in ax.lines]


def pixels(ax) -> np.ndarray:
    return np.moveaxis(np.asarray(ax.images[0].get_array()), -1, 0)


@pytest.mark.parametrize("plot", FIGURES, ids=lambda plot: plot.__name__)
def test_every_figure_is_told_and_of_the_width_of_the_page(plot):
    before = dict(matplotlib.rcParams), plt.get_fignums()
    fig = draw(plot)
    assert (dict(matplotlib.rcParams), plt.get_fignums()) == before
    assert not fig.get_suptitle()  # the caption says it
    assert len(fig.get_label()) > 20 and fig.get_label().endswith(".")
    assert fig.get_figwidth() == pytest.approx(6.5)
    words = [t for t in fig.findobj(Text) if t.get_visible() and t.get_text().strip()]
    assert min(text.get_fontsize() for text in words) >= 7  # points, on paper too
    assert "nan" not in texts(fig).split()
    assert not any(" :" in text.get_text() or " ;" in text.get_text() for text in words)


def test_classes_are_counted_and_ticks_are_french():
    fig = draw(data.class_distribution)
    (ax,), names = fig.axes, ["HerbaceousVegetation", "Forest", "River"]  # the largest on top
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    for bars, counts in zip(ax.containers, made.AUDIT.counts.values(), strict=True):
        found = dict(zip(names, [bar.get_width() for bar in bars], strict=True))
        assert found == dict(zip(made.CLASSES, counts, strict=True))
    assert "149" in texts(fig) and "de 90 images" in texts(fig)
    assert style.french_ticks("exactitude (%)")(0.825) == "82,5\u202f%"
    assert style.french_ticks("perte (nats)")(0.25) == "0,25"


def test_examples_are_what_the_batches_give(blobs):
    axes = [ax for ax in draw(data.examples).axes if ax.images]
    names = [ax.get_title().replace("\n", "") for ax in axes]
    assert names == [*blobs.classes] * 2
    for loader, row in zip(loaders.get_dataloaders(CONFIG), (axes[:10], axes[10:]), strict=False):
        own = torch.cat([images[labels == 3] for images, labels in loader.epoch(0)])
        own = loader.preprocess.invert(own).clip(0, 1)
        assert any(np.allclose(pixels(row[3]), image, atol=1e-6) for image in own)


def test_searches_and_trainings_are_drawn():
    fig = draw(training.lr_sweep)
    span = fig.axes[0].patches[0].get_extents().transformed(fig.axes[0].transData.inverted())
    assert (span.x0, span.x1) == pytest.approx(made.LR_FINDER.window)
    assert f"LR proposé : {power(made.LR_FINDER.choice)}" in texts(fig)
    assert "10$^{-3}$" in texts(fig)  # a raised 3 of the same typeface
    none = training.lr_sweep(made.finder(made.sweep(0, steepest=1e-3), made.sweep(1)))
    assert "aucun LR proposé" in texts(none) and not none.axes[0].patches
    fig = draw(training.training_curves)
    assert drawn(fig.axes[1])[:2] == [[0.45, 0.75, 0.65], [0.5, 0.8, 0.7]]  # training, validation
    assert "poids gardés : époque 2" in texts(fig) and fig.get_label().startswith("80,0")
    axes = draw(training.grid_curves).axes  # accuracies, then losses; one diverged at once
    assert drawn(axes[0]) == [[0.5, 0.6, 0.7], [0.2, 0.5, 0.3]]
    assert [drawn(ax) for ax in axes[1:4:2]] == [[[0.6, 0.7, 0.8], []], [[0.4, 0.3, 0.2], []]]
    assert [line.get_label()[:6] for line in axes[0].lines] == ["LR 10⁻", "LR 2\u202f×"]
    lines = draw(training.overfit).axes[0].lines
    assert lines[0].get_label() == "vraies étiquettes" and [*lines[0].get_ydata()] == [2.3, 0.5]
    found = {line.get_label(): line for line in draw(training.recipe_curves).axes[1].lines}
    assert [*found["protocole"].get_ydata()] == [0.5, 0.8, 0.7]
    fig = draw(training.grid_heatmaps)
    maps = [[t.get_text() for t in ax.texts] for ax in fig.axes]
    assert maps == [["65,0", "40,0"], ["75,0", "diverge"]]
    assert [len(ax.patches) for ax in fig.axes] == [0, 1]  # the best is framed
    ax = training.grid_heatmaps(made.CROSSED).axes[2]
    ticks = [f()[0].get_text() for f in (ax.get_xticklabels, ax.get_yticklabels)]
    assert (ticks, ax.texts[0].get_text()) == (["10⁻³", "10⁻⁴"], "70,1")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("LR", "weight decay")
    lines = draw(training.lr_by_depth).axes[0].lines  # decays averaged
    rise = [line.get_ydata()[-1] - line.get_ydata()[0] for line in lines[:4]]
    assert rise == pytest.approx([0.02, -0.01, -0.06, -0.09])  # networks 2-2, 2-3, 3-2, 3-3


def test_scores_and_errors_of_the_test_are_drawn(blobs):
    ax = draw(evaluation.confusion).axes[0]  # rows are true, from the top
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("classe prédite", "classe vraie")
    cells = {text.get_position()[::-1]: text.get_text() for text in ax.texts if text.get_text()}
    assert cells[0.5, 0.5] == "4\n100,0\u202f%" and cells[1.5, 0.5] == "1\n33,3\u202f%"
    axes, ends = draw(evaluation.reliability).axes, (made.ERRORS.before, made.ERRORS.after)
    for ax, found in zip(axes, ends, strict=False):
        shares = [one["correct"] / one["n"] for one in found["bins"]]
        assert ax.get_title(loc="left").endswith(pct(found["ece"]))
        dots, _, (bars,) = ax.containers[0]
        assert [*dots.get_ydata()] == shares
        first = wilson(found["bins"][0]["correct"], found["bins"][0]["n"])
        assert bars.get_segments()[0][:, 1] == pytest.approx(first)
    right = draw(evaluation.robustness).axes[1]
    assert list(right.lines[0].get_ydata()) == pytest.approx([0.9, 0.81, 0.71, 0.61])
    ax = draw(evaluation.worst_errors).axes[0]
    assert ax.get_title() == "Herbaceous\nVegetation\n→ River\n>\u202f99,9\u202f%"
    assert np.array_equal(pixels(ax), blobs.test.images[6])
    shown = [ax for ax in draw(evaluation.grad_cam).axes if ax.images]
    assert len(shown) == 4  # two images, two maps
    heat = 0.6 * np.array(matplotlib.colormaps["inferno"](1.0)[:3])
    own = 0.4 * blobs.validation.images[3].mean(0) / 255
    assert np.allclose(pixels(shown[1]), own + heat[:, None, None])
    (ax,) = draw(evaluation.split_comparison).axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["HerbaceousVegetation", "River", "Forest"]
    assert [box.get_label() for box in ax.containers] == ["standard", "spatial"]
    shares = [list(box.lines[0].get_xdata()) for box in ax.containers]
    assert shares == [[1, 1, 1], [1 / 3, 2 / 3, 1]]


def test_where_there_is_nothing_to_show_a_figure_says_so_or_is_none():
    without = made.ERRORS.model_copy(update={"worst": ()})
    assert "aucune erreur" in texts(evaluation.worst_errors(CONFIG, without))
    assert "aucune erreur" in texts(evaluation.confusion(made.perfect()))
    one = made.grid_of(made.trial(values=(0.5,)))
    assert all(plot(one).get_label() for plot in (training.grid_heatmaps, training.lr_by_depth))
    absent = SplitComparison(absent="no lists")
    assert evaluation.split_comparison(absent) is None
