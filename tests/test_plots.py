"""Figures: they draw the numbers of the results, and each has a text for who does not see it."""

import sys
from types import SimpleNamespace

import handmade as made
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from handmade import CROSSED, grid_of
from matplotlib.text import Text

from eurosat_lib import checks, controls, plots
from eurosat_lib.calibration import analyse
from eurosat_lib.comparisons import SplitComparison
from eurosat_lib.errors import UserError
from eurosat_lib.explain import Explanation, Explanations
from eurosat_lib.french import power
from eurosat_lib.plots import style
from eurosat_lib.search import RefinedGrid, compare
from eurosat_lib.stats import wilson
from eurosat_lib.tracking import run_key, write_runs

LEARNT = {"losses": (2.3, 0.5, 0.01), "accuracies": (0.1, 0.5, 1.0), "chance": 0.1}
TRUE, SHUFFLED = (controls.Memory(validation_accuracy=a, **LEARNT) for a in (0.4, 0.15))
CONTROL = controls.ShuffledLabels(
    size=8, validation_images=500, pairs=[controls.Pair(true=TRUE, shuffled=SHUFFLED)]
)
LOST = made.EVALUATION.per_class[2].model_copy(update={"hits": 0})  # River: none is right
MOVED = {"per_class": (*made.EVALUATION.per_class[:2], LOST), "correct": 5}
SPLITS = SplitComparison(
    standard=made.EVALUATION, spatial=made.EVALUATION.model_copy(update=MOVED)
)
RIGHT = Explanation(
    name="a", index=3, truth=0, prediction=0, confidence=0.9, heat=((1.0, 1.0), (1.0, 1.0))
)
WRONG = RIGHT.model_copy(update={"index": 4, "truth": 1})
EXPLAINED = Explanations(
    checkpoint_sha256="a" * 64,
    classes=made.CLASSES,
    right=(RIGHT, None, None),
    wrong=(None, WRONG, None),
)
RUN = SimpleNamespace(fit=made.trial(values=(0.8, 0.9)))
RECIPE = SimpleNamespace(title="recette", first=RUN, runs=[RUN])
HISTORY = pd.DataFrame([r.model_dump() for r in made.TRAINING.fit.epochs]).set_index("epoch")
NO_ERRORS = analyse(made.predictions(right=True), made.CLASSES, 0.95, "a" * 64)
REFINED = grid_of(made.trial(d=3), made.trial(lr=6e-4, d=3, values=(0.9,)), kind=RefinedGrid)
CONFIG, NETWORK = "configuration", "network"  # of the test, to be put in
FIGURES = {
    "class_distribution": (made.AUDIT,),
    "class_colours": (made.AUDIT,),
    "baselines": (made.BASELINES,),
    "initial_losses": (made.INITIAL_LOSS,),
    "gradient_norms": (made.INITIAL_LOSS,),
    "overfit": (made.OVERFIT, CONTROL),
    "lr_sweep": (made.LR_FINDER,),
    "training_curves": (made.TRAINING, CONFIG),
    "comparison": (compare(made.GRID), "lr", CONFIG),
    "run_curves": ({"a": HISTORY, "b": HISTORY[:2]},),
    "recipe_curves": (RECIPE, made.TRAINING),
    "grid_ranking": (made.GRID,),
    "grid_parallel": (made.GRID,),
    "grid_heatmaps": (made.GRID,),
    "lr_by_depth": (CROSSED,),
    "refined_heatmap": (REFINED, made.TRAINING),
    "grid_curves": (made.GRID, CONFIG),
    "grid_effects": (CROSSED,),
    "finalists": (made.FINALISTS,),
    "confusion": (made.EVALUATION,),
    "per_class": (made.EVALUATION,),
    "reliability": (made.ERRORS,),
    "risk_coverage": (made.ERRORS,),
    "robustness": (made.ROBUSTNESS,),
    "split_comparison": (SPLITS,),
    "extremes": (CONFIG, made.AUDIT),
    "mean_images": (CONFIG,),
    "examples": (CONFIG, "train", True),
    "augmentation_draws": (CONFIG,),
    "overlaps": (CONFIG, made.OVERLAPS),
    "worst_errors": (CONFIG, made.ERRORS),
    "grad_cam": (CONFIG, EXPLAINED),
    "architecture": (NETWORK,),
    "receptive_field": (CONFIG, NETWORK),
}


@pytest.fixture
def draw(tiny, blobs, monkeypatch):
    """Draws a figure by name, of other results if given: the blobs, and runs on disk."""
    for name in ("data", "checks", "evaluation"):
        room = sys.modules[f"eurosat_lib.plots.{name}"]
        monkeypatch.setattr(room, "load_dataset", lambda config: blobs)
    for result in (made.TRAINING, made.GRID):
        write_runs(tiny.paths.runs / result.stage, result.tensorboard_runs())

    def figure(name, *args):
        given = args or FIGURES[name]
        own = {CONFIG: lambda: tiny, NETWORK: lambda: checks.test_model(tiny)}
        return getattr(plots, name)(
            *(own[a]() if isinstance(a, str) and a in own else a for a in given)
        )

    return figure


def texts(fig) -> str:
    return "\n".join(text.get_text() for text in fig.findobj(Text)).replace("\u00a0", " ")


def points(ax) -> set[tuple[float, float]]:
    return {tuple(map(float, p)) for c in ax.collections for p in c.get_offsets()}


def pixels(ax) -> np.ndarray:
    return np.moveaxis(np.asarray(ax.images[0].get_array()), -1, 0)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_told_and_of_the_width_of_the_page(draw, name):
    before = dict(matplotlib.rcParams), plt.get_fignums()
    fig = draw(name)
    assert (dict(matplotlib.rcParams), plt.get_fignums()) == before
    assert not fig.get_suptitle()  # the caption says it
    assert len(fig.get_label()) > 20 and fig.get_label().endswith(".")
    assert fig.get_figwidth() == pytest.approx(6.5)
    words = [t for t in fig.findobj(Text) if t.get_visible() and t.get_text().strip()]
    assert min(text.get_fontsize() for text in words) >= 7  # points, on paper too
    for text in (*(text.get_text() for text in words), fig.get_label()):
        assert "nan" not in text.split() and " :" not in text and " ;" not in text


def test_ticks_are_french():
    write = style.french_ticks("exactitude (%)")
    assert [write(v) for v in (0.8, 0.825)] == ["80\u202f%", "82,5\u202f%"]
    assert style.french_ticks("perte (nats)")(0.25) == "0,25"


def test_figures_become_images_of_a_tensorboard_run(tiny, draw):
    said = plots.log_figures(tiny, "evaluate/test", {"confusion": draw("confusion")})
    assert said == "runs/evaluate/test : confusion" and run_key(tiny.paths.runs / "evaluate/test")


def test_classes_are_counted_and_their_colours_compared(draw):
    fig = draw("class_distribution")
    widths = sorted(bar.get_width() for bar in fig.axes[0].patches)
    assert widths == sorted(n for counts in made.AUDIT.counts.values() for n in counts)
    assert fig.axes[0].get_yticklabels()[0].get_text() == "HerbaceousVegetation"
    assert "149" in texts(fig) and "rapport de 3,00" in fig.get_label()
    means = draw("class_colours").axes[0].lines[0].get_xdata()
    assert means[:3] == pytest.approx([0.485, 0.34, 0.5])  # ImageNet, all, the brightest


def test_images_are_those_of_the_data_never_of_the_test(draw, blobs):
    mean = blobs.train.images[blobs.train.labels == 0].mean(0) / 255
    assert np.allclose(pixels(draw("mean_images").axes[0]), mean, atol=1e-6)
    drawn = np.array([pixels(ax) for ax in draw("augmentation_draws").axes])
    rows = drawn.reshape(4, 6, 3, 16, 16)  # an original, five draws
    assert all(not np.array_equal(row[0], draw) for row in rows for draw in row[1:])
    with pytest.raises(UserError, match="take train or validation"):
        draw("examples", CONFIG, "test", False)
    found = made.AUDIT.extremes["light"][0].model_copy(update={"tile": made.tile(0, "test")})
    extremes = {"extremes": dict.fromkeys(made.AUDIT.extremes, (found,))}
    with pytest.raises(ValueError, match="test"):
        draw("extremes", CONFIG, made.AUDIT.model_copy(update=extremes))


def test_overlapping_tiles_lie_over_each_other(draw, blobs):
    fig = draw("overlaps")
    mosaics = [ax for ax in fig.axes if ax.images]
    assert len(mosaics) == 2  # the pairs with the test are not shown
    for ax in mosaics:  # the second 3 down, 40 to the left, over the first
        places = [tuple(image.get_extent()) for image in ax.images]
        assert places == [(39.5, 103.5, 63.5, -0.5), (-0.5, 63.5, 66.5, 2.5)]
    assert np.array_equal(pixels(mosaics[0]), blobs.train.images[6])
    assert fig.get_label().startswith("3 sur 6") and "test_" not in fig.get_label()


def test_checks_before_training(draw):
    ax, n = draw("baselines").axes[0], made.BASELINES.validation_images
    assert [bar.get_width() for bar in ax.patches] == [0.108, 0.46, 0.66]
    ends = ax.collections[0].get_segments()[2][:, 0]
    assert ends == pytest.approx(wilson(round(0.66 * n), n, 0.95))
    assert {patch.get_width() for patch in draw("receptive_field").axes[0].patches} == {
        48,
        64,
        70,
        94,
    }
    fig = draw("initial_losses")
    assert set(made.INITIAL_LOSS.losses) <= {x for x, _ in points(fig.axes[0])}
    assert "ln 10 = 2,303" in texts(fig) and "2,300 ± 0,050" in texts(fig)
    fig = draw("gradient_norms")
    assert {(0.5, 0), (1.5, 1), (0.25, 1)} <= points(fig.axes[0]) and "nul" in texts(fig)
    fig = draw("overfit")
    assert made.OVERFIT.losses in [tuple(line.get_ydata()) for line in fig.axes[0].lines]
    assert points(fig.axes[1]) == {(0, 0.4), (1, 0.15)} and "(but atteint)" in fig.get_label()


def test_sweeps_show_what_each_rule_reads(draw):
    top, bottom = draw("lr_sweep").axes
    span = top.patches[0].get_extents().transformed(top.transData.inverted())
    assert (span.x0, span.x1) == pytest.approx(made.LR_FINDER.window)
    assert f"LR proposé\u00a0: {power(made.LR_FINDER.choice)}" in top.figure.get_label()
    assert "10$^{-3}$" in texts(top.figure)  # a raised 3 of the same typeface
    assert {(1e-3, 0), (4e-4, 1), (2e-3, 2)} <= points(bottom)  # of the first seed
    none = draw("lr_sweep", made.finder(made.sweep(0, steepest=1e-3), made.sweep(1)))
    assert "aucun LR retenu" in none.get_label() and not none.axes[0].patches


def test_curves_are_read_from_the_runs(draw, tiny):
    fig = draw("training_curves")
    assert fig.axes[1].lines[1].get_ydata() == pytest.approx([0.5, 0.8, 0.7])
    assert "poids gardés : époque 2" in texts(fig) and fig.get_label().startswith("80,0")
    accuracy, other, loss = draw("grid_curves").axes[:3]
    assert accuracy.lines[1].get_ydata() == pytest.approx([0.2, 0.5, 0.3])
    assert loss.lines[0].get_ydata() == pytest.approx([0.5, 0.4, 0.3])
    assert [len(line.get_xdata()) for line in other.lines] == [3, 0]  # one diverged at once
    with pytest.raises(UserError, match=r"runs/train/other: no such run"):
        style.read_curves(tiny, "train", ["other"])


def test_a_run_has_one_colour_in_all_comparisons(draw):
    facts = compare(made.GRID).facts()
    colours = plots.run_colours(facts)
    assert colours[facts["best"]] == plots.BLUE and len(set(colours.values())) == len(colours)
    for factor in ("lr", "blocks_per_stage"):
        lines = draw("comparison", compare(made.GRID), factor, CONFIG).axes[1].lines
        shown = [line for line in lines if line.get_linestyle() == "-" and len(line.get_xdata())]
        curves = facts[factor]["curves"]
        ends = [line.get_ydata()[-1] for line in shown]
        assert ends == pytest.approx([curve["last_val_accuracy"] for curve in curves])
        assert [line.get_color() for line in shown] == [colours[c["name"]] for c in curves]


def test_times_are_an_axis_on_one_machine_only(draw):
    ax = draw("recipe_curves", RECIPE, made.TRAINING, True).axes[0]
    assert list(ax.lines[1].get_xdata()) == [1.5, 3.0] and "temps" in ax.get_xlabel()
    ax = draw("recipe_curves", RECIPE, made.TRAINING, False).axes[0]
    assert list(ax.lines[1].get_xdata()) == [1, 2] and ax.get_xlabel() == "époque"
    assert draw("recipe_curves", None, made.TRAINING) is None


def test_a_grid_is_ranked_and_mapped(draw):
    fig = draw("grid_ranking")
    ax = fig.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == [p.name for p in made.GRID.ranking]
    assert "× diverge à l’époque 1" in texts(fig) and "une seule graine" in fig.get_label()
    fig = draw("grid_heatmaps")
    maps = [[t.get_text() for t in ax.texts] for ax in fig.axes]
    assert maps == [["65,0", "40,0"], ["75,0", "diverge"]]
    assert [len(ax.patches) for ax in fig.axes] == [0, 1]  # the best is framed
    ends = sorted(line.get_ydata()[-1] for line in draw("grid_parallel").axes[0].lines[:3])
    assert ends == pytest.approx([0, 0.25 / 0.35, 1])  # none for the diverged
    fig = draw("refined_heatmap")  # the best, and the one retained
    assert len(fig.axes[0].patches) == 2 and "retenu pour l’entraînement" in texts(fig)
    same = draw("refined_heatmap", grid_of(made.trial(d=3), kind=RefinedGrid), made.TRAINING)
    assert len(same.axes[0].patches) == 1 and "meilleur run, retenu" in texts(same)


@pytest.mark.parametrize("name", ["grid_parallel", "grid_heatmaps", "grid_effects", "lr_by_depth"])
def test_a_single_trial_can_be_drawn(draw, name):
    assert draw(name, grid_of(made.trial(values=(0.5,)))).get_label()


def test_rates_depths_and_other_effects(draw):
    lines = draw("lr_by_depth").axes[0].lines  # decays averaged; networks 2-2, 2-3, 3-2, 3-3
    rise = [line.get_ydata()[-1] - line.get_ydata()[0] for line in lines]
    assert rise == pytest.approx([0.02, -0.01, -0.06, -0.09])
    assert "3 blocs, dilatation 3" in texts(lines[0].figure)
    broken = draw("lr_by_depth", made.GRID)  # one of its four points diverged
    assert "divergence" in broken.get_label()
    fig = draw("grid_effects")
    labels = [text.get_text() for text in fig.axes[0].get_yticklabels()]
    assert len(labels) == 4 + 2 + 2 and labels[5].startswith("LR, B = 3")
    changes = {round(x, 9) for x, y in points(fig.axes[1]) if y == pytest.approx(5 - 0.14)}
    assert changes == {-0.09, -0.06} and "−7,5 [" in fig.get_label()
    fig = draw("finalists")
    assert list(fig.axes[0].lines[1].get_xdata()) == [0.76, 0.71]  # of the second seed


def test_scores_of_the_test(draw):
    drawn = {text.get_text() for text in draw("confusion").axes[0].texts}
    assert drawn >= {"4\n100,0\u202f%", "2\n66,7\u202f%", "1\n33,3\u202f%"}
    assert "aucune erreur" in draw("confusion", made.perfect()).get_label()
    assert {(1.0, 0), (1 / 3, 2)} <= points(draw("per_class").axes[0])  # recall, first and last
    axes = draw("reliability").axes
    dots = axes[0].containers[0].lines[0].get_ydata()
    assert list(dots) == [b.accuracy for b in made.ERRORS.before.bins if b.n]
    curve = draw("risk_coverage").axes[0].lines[0].get_ydata()
    assert tuple(curve) == made.ERRORS.selection.risk and curve[-1] == 0.3
    assert draw("risk_coverage", NO_ERRORS).axes[0].lines[0].get_ydata()[-1] == 0
    left, right = draw("robustness").axes
    assert list(right.lines[0].get_ydata()) == pytest.approx([0.9, 0.81, 0.71, 0.61])
    assert not left.get_shared_y_axes().joined(left, right)  # a flat line on the other's axis


@pytest.mark.parametrize("marked", [(), (0,), (0, 1, 2)])
def test_doubtful_labels_are_marked_where_that_tells_them_apart(draw, blobs, marked):
    found = enumerate(made.ERRORS.worst)
    worst = tuple(case.model_copy(update={"doubtful": k in marked}) for k, case in found)
    fig = draw("worst_errors", CONFIG, made.ERRORS.model_copy(update={"worst": worst}))
    assert fig.axes[0].get_title() == "HerbaceousVegetation\n→ River, >\u202f99,9\u202f%"
    assert np.array_equal(pixels(fig.axes[0]), blobs.test.images[6])
    framed = [ax for ax in fig.axes if ax.spines.left.get_visible()]
    assert len(framed) == (1 if marked == (0,) else 0)
    assert ("vérifier" in texts(fig)) == bool(marked)


def test_grad_cam_lies_beside_its_image(draw, blobs):
    drawn = [ax for ax in draw("grad_cam").axes if ax.images]
    assert len(drawn) == 4  # two images, two maps
    heat = 0.6 * np.array(matplotlib.colormaps["inferno"](1.0)[:3])
    own = 0.4 * blobs.validation.images[3].mean(0) / 255
    assert np.allclose(pixels(drawn[1]), own + heat[:, None, None])


def test_splits_are_compared_class_by_class(draw):
    left, right = draw("split_comparison").axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["toutes les classes", "River", "Forest", "HerbaceousVegetation"]
    drops = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    assert drops == pytest.approx([0.2, 2 / 3, 0, 0])
    assert draw("split_comparison", SplitComparison(absent="split", reason="x")) is None
