"""Figures: what is drawn holds the numbers of the results, and each has a text for who sees none.

Those of the searches are in ``test_plots_search.py``.
"""

import sys
from types import SimpleNamespace

import handmade as made
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from eurosat_lib import checks, plots
from eurosat_lib.calibration import analyse
from eurosat_lib.comparisons import SplitComparison
from eurosat_lib.errors import UserError
from eurosat_lib.explain import Explanation, Explanations
from eurosat_lib.french import power
from eurosat_lib.plots import style
from eurosat_lib.search import compare
from eurosat_lib.stats import wilson
from eurosat_lib.tracking import run_key, write_runs

LOSSES = {"losses": (2.3, 0.5, 0.01), "accuracies": (0.1, 0.5, 1.0), "chance": 0.1}
PAIRS = [
    [checks.Memory(validation_accuracy=accuracy, **LOSSES) for accuracy in pair]
    for pair in ((0.4, 0.1), (0.36, 0.15))
]
CONTROL = checks.ShuffledLabels(
    size=8, validation_images=500, pairs=[checks.Pair(true=t, shuffled=s) for t, s in PAIRS]
)
MOVED = {"confusion": ((4, 0, 0), (2, 1, 0), (3, 0, 0)), "correct": 5}  # River: none is right
SPLITS = SplitComparison(
    standard=made.EVALUATION, spatial=made.EVALUATION.model_copy(update=MOVED)
)
CASE = Explanation(
    name="a", index=3, truth=0, prediction=0, confidence=0.9, heat=((0.0, 1.0), (0.5, 0.0))
)
EXPLAINED = Explanations(
    checkpoint_sha256="a" * 64,
    classes=made.CLASSES,
    right=(CASE, None, None),
    wrong=(None, CASE.model_copy(update={"index": 4, "truth": 1}), None),
)
RUN = SimpleNamespace(fit=made.trial(values=(0.8, 0.9)))
RECIPE = SimpleNamespace(title="recette", first=RUN, runs=[RUN])
HISTORY = pd.DataFrame([r.model_dump() for r in made.TRAINING.fit.epochs]).set_index("epoch")
FIGURES = {
    "class_distribution": lambda config: plots.class_distribution(made.AUDIT),
    "class_colours": lambda config: plots.class_colours(made.AUDIT),
    "baselines": lambda config: plots.baselines(made.BASELINES),
    "initial_losses": lambda config: plots.initial_losses(made.INITIAL_LOSS),
    "gradient_norms": lambda config: plots.gradient_norms(made.INITIAL_LOSS),
    "overfit": lambda config: plots.overfit(made.OVERFIT, CONTROL),
    "lr_sweep": lambda config: plots.lr_sweep(made.LR_FINDER),
    "training_curves": lambda config: plots.training_curves(made.TRAINING, config),
    "comparison": lambda config: plots.comparison(compare(made.GRID), "lr", config),
    "run_curves": lambda config: plots.run_curves({"a": HISTORY, "b": HISTORY[:2]}),
    "recipe_curves": lambda config: plots.recipe_curves(RECIPE, made.TRAINING, False),
    "confusion": lambda config: plots.confusion(made.EVALUATION),
    "per_class": lambda config: plots.per_class(made.EVALUATION),
    "reliability": lambda config: plots.reliability(made.ERRORS),
    "risk_coverage": lambda config: plots.risk_coverage(made.ERRORS),
    "robustness": lambda config: plots.robustness(made.ROBUSTNESS),
    "split_comparison": lambda config: plots.split_comparison(SPLITS),
}
DRAWINGS = {  # without an axis to name
    "architecture": lambda config: plots.architecture(checks.test_model(config)),
    "receptive_field": lambda config: plots.receptive_field(config, checks.test_model(config)),
    "examples": lambda config: plots.examples(config, "train", True),
    "augmentation_draws": plots.augmentation_draws,
    "mean_images": plots.mean_images,
    "extremes": lambda config: plots.extremes(config, made.AUDIT),
    "overlaps": lambda config: plots.overlaps(config, made.OVERLAPS),
    "worst_errors": lambda config: plots.worst_errors(config, made.ERRORS),
    "grad_cam": lambda config: plots.grad_cam(config, EXPLAINED),
}


@pytest.fixture
def shown(tiny, blobs, monkeypatch):
    """The tiny configuration: figures show the blobs, and the trainings' runs are on disk."""
    for name in ("data", "checks", "evaluation"):
        room = sys.modules[f"eurosat_lib.plots.{name}"]
        monkeypatch.setattr(room, "load_dataset", lambda config: blobs)
    for result in (made.TRAINING, made.GRID):
        write_runs(tiny.paths.runs / result.stage, result.tensorboard_runs())
    return tiny


def words(fig) -> list[Text]:
    return [t for t in fig.findobj(Text) if t.get_visible() and t.get_text().strip()]


def texts(fig) -> str:
    return "\n".join(text.get_text() for text in words(fig)).replace("\u00a0", " ")


def points(ax) -> set[tuple[float, float]]:
    return {tuple(map(float, p)) for c in ax.collections for p in c.get_offsets()}


def pixels(ax, image=0) -> np.ndarray:
    return np.moveaxis(np.asarray(ax.images[image].get_array()), -1, 0)


@pytest.mark.parametrize("name", [*FIGURES, *DRAWINGS])
def test_every_figure_is_titled_told_and_of_the_width_of_the_page(shown, name):
    before = dict(matplotlib.rcParams)
    fig = (FIGURES | DRAWINGS)[name](shown)
    assert dict(matplotlib.rcParams) == before and not plt.get_fignums()
    assert fig.get_suptitle() and len(fig.get_label()) > 20 and fig.get_label().endswith(".")
    assert fig.get_figwidth() == pytest.approx(6.5)
    assert min(text.get_fontsize() for text in words(fig)) >= 7  # points, on paper too
    assert name in DRAWINGS or any(ax.get_xlabel() for ax in fig.axes)
    for text in (*(text.get_text() for text in words(fig)), fig.get_label()):
        assert "nan" not in text.split() and " :" not in text and " ;" not in text


def test_ticks_are_french():
    write = style.French(100, "\u202f%")
    write.set_locs([0.8, 0.825, 0.85])
    assert [write(v) for v in (0.8, 0.825)] == ["80,0\u202f%", "82,5\u202f%"]
    assert style.French()(0.25) == "0,25" and style.French()(1500.0) == "1\u202f500"


@pytest.mark.parametrize(
    ("heights", "bounds", "places"),
    [
        ([50, 0], (), [50, 0]),  # far apart: they stay
        ([5, 5], (), [-0.25, 10.25]),  # moved by half a line each
        ([1, 2, 0], (), [1, 11.5, -9.5]),  # order kept
        ([5, 5], (0, 100), [5.25, 15.75]),  # the lower edge pushes both up
        ([99, 98], (0, 100), [94.75, 84.25]),
        ([1, 1, 1], (0, 20), [5.25, 15.75, 26.25]),  # no room: from the lower edge
    ],
)
def test_labels_are_moved_apart_and_stay_inside(heights, bounds, places):
    assert style.spread(np.array(heights, dtype=float), *bounds) == pytest.approx(places)


def test_figures_become_images_of_a_tensorboard_run(tiny):
    confusion = plots.confusion(made.EVALUATION)
    said = plots.log_figures(tiny, "evaluate/test", {"confusion": confusion})
    assert said == "runs/evaluate/test : confusion" and run_key(tiny.paths.runs / "evaluate/test")


def test_classes_are_counted_and_their_colours_compared():
    fig = plots.class_distribution(made.AUDIT)
    widths = sorted(bar.get_width() for bar in fig.axes[0].patches)
    assert widths == sorted(n for counts in made.AUDIT.counts.values() for n in counts)
    assert fig.axes[0].get_yticklabels()[-1].get_text() == "HerbaceousVegetation"
    assert "149" in texts(fig) and "rapport de 3,00" in fig.get_label()
    ax = plots.class_colours(made.AUDIT).axes[0]
    assert ax.get_yticklabels()[2].get_text() == "HerbaceousVegetation"  # brightest
    assert ax.lines[0].get_xdata()[:3] == pytest.approx([0.485, 0.34, 0.5])


def test_images_are_those_of_the_data(shown, blobs):
    mean = blobs.train.images[blobs.train.labels == 0].mean(0) / 255
    assert np.allclose(pixels(plots.mean_images(shown).axes[0]), mean, atol=1e-6)
    drawn = np.array([pixels(ax) for ax in plots.augmentation_draws(shown).axes])
    rows = drawn.reshape(4, 6, 3, 16, 16)  # an original, five draws
    assert all(not np.array_equal(row[0], draw) for row in rows for draw in row[1:])
    fig = plots.examples(shown, "validation", False)
    assert {ax.get_title().replace("\n", "") for ax in fig.axes} == set(blobs.classes)


def test_pictures_of_the_test_are_refused(shown):
    with pytest.raises(UserError, match="take train or validation"):
        plots.examples(shown, "test", False)
    found = made.AUDIT.extremes["light"][0].model_copy(update={"tile": made.tile(0, "test")})
    extremes = {"extremes": dict.fromkeys(made.AUDIT.extremes, (found,))}
    with pytest.raises(ValueError, match="test"):
        plots.extremes(shown, made.AUDIT.model_copy(update=extremes))


def test_overlapping_tiles_lie_over_each_other(shown, blobs):
    fig = plots.overlaps(shown, made.OVERLAPS)
    mosaics = [ax for ax in fig.axes if ax.images]
    assert len(mosaics) == 2  # the pairs with the test are not shown
    for ax in mosaics:  # the second 3 down, 40 to the left, over the first
        places = [tuple(image.get_extent()) for image in ax.images]
        assert places == [(39.5, 103.5, 63.5, -0.5), (-0.5, 63.5, 66.5, 2.5)]
    assert np.array_equal(pixels(mosaics[0]), blobs.train.images[6])
    assert "proposées, 3 au-dessus" in fig.get_label() and "test_" not in fig.get_label()
    nothing = {"pairs": (), "rejected": (), "correlations": ()}
    none = plots.overlaps(shown, made.OVERLAPS.model_copy(update=nothing))
    assert "aucune paire proposée" in texts(none)


def test_baselines_have_the_intervals_of_the_validation_images():
    ax, n = plots.baselines(made.BASELINES).axes[0], made.BASELINES.validation_images
    assert [bar.get_width() for bar in ax.patches] == [0.66, 0.46, 0.108]
    ends = ax.collections[0].get_segments()[0][:, 0]
    assert ends == pytest.approx(wilson(round(0.66 * n), n, 0.95))


def test_the_network_is_drawn_with_its_shapes_and_fields(shown):
    found = texts(plots.architecture(checks.test_model(shown)))
    shapes = ("3 × 16 × 16", "4 × 8 × 8", "6 × 4 × 4", "8 × 4 × 4")
    assert all(text in found for text in (*shapes, "90 paramètres"))  # the head: 8 x 10 + 10
    fig = plots.receptive_field(shown, checks.test_model(shown))
    sides = {patch.get_width() for patch in fig.axes[0].patches if not patch.get_fill()}
    assert sides == {48, 64, 70, 94} and "94 px : 3 blocs, dilatation 3" in texts(fig)
    assert "image d’entraînement" in fig.get_label()


def test_first_losses_and_gradients():
    fig = plots.initial_losses(made.INITIAL_LOSS)
    drawn = {x for x, _ in points(fig.axes[0])}
    assert {*made.INITIAL_LOSS.losses, made.INITIAL_LOSS.loss} <= drawn
    assert "ln 10 = 2,303" in texts(fig) and "2,300 ± 0,050" in texts(fig)
    fig = plots.gradient_norms(made.INITIAL_LOSS)
    assert {(0.5, 0), (1.5, 1), (0.25, 1)} <= points(fig.axes[0]) and " nul" in texts(fig)
    assert "3 sur 4" in fig.get_label()


def test_overfit_and_its_control():
    fig = plots.overfit(made.OVERFIT, CONTROL)
    assert made.OVERFIT.losses in [tuple(line.get_ydata()) for line in fig.axes[0].lines]
    assert {(0, 0.4), (1, 0.15)} <= points(fig.axes[1])
    assert "38,0\u202f%" in fig.get_label() and "(but atteint)" in fig.get_label()
    short = made.OVERFIT.model_copy(update={"losses": (2.3,), "accuracies": (0.25,)})
    assert "non atteint" in plots.overfit(short, CONTROL).get_label()


def test_sweeps_show_what_each_rule_reads():
    top, bottom = plots.lr_sweep(made.LR_FINDER).axes
    span = top.patches[0].get_extents().transformed(top.transData.inverted())
    assert (span.x0, span.x1) == pytest.approx(made.LR_FINDER.window)
    assert f"retenu : {power(made.LR_FINDER.choice)}" in texts(top.figure)
    assert {(1e-3, 0), (4e-4, 1), (2e-3, 2)} <= points(bottom)  # of the first seed
    none = plots.lr_sweep(made.finder(made.sweep(0, steepest=1e-3), made.sweep(1)))
    assert "aucun pas retenu" in none.get_label() and not none.axes[0].patches


def test_curves_are_read_from_the_runs(shown):
    fig = plots.training_curves(made.TRAINING, shown)
    assert fig.axes[1].lines[1].get_ydata() == pytest.approx([0.5, 0.8, 0.7])
    assert texts(fig).count("retenue : époque 2") == 2 and "80,0" in fig.get_suptitle()
    for factor in ("lr", "blocks_per_stage"):
        curves = compare(made.GRID).of(factor).curves
        lines = plots.comparison(compare(made.GRID), factor, shown).axes[1].lines
        ends = [line.get_ydata()[-1] for line in lines[1::2]]  # validation, after training
        assert ends == pytest.approx([curve.last_val_accuracy for curve in curves])
    with pytest.raises(UserError, match=r"runs/train/other: no such run"):
        style.read_curves(shown, "train", ["other"])


def test_recipe_is_drawn_against_the_time_it_took():
    assert plots.recipe_curves(None, made.TRAINING) is None
    ax = plots.recipe_curves(RECIPE, made.TRAINING, same_machine=False).axes[0]
    assert list(ax.lines[1].get_xdata()) == [1.5, 3.0]  # seconds
    assert ax.get_xlabel().endswith("chacun sur sa machine")


def test_scores_of_the_test():
    drawn = {text.get_text() for text in plots.confusion(made.EVALUATION).axes[0].texts}
    assert drawn >= {"4\n100,0\u202f%", "2\n66,7\u202f%", "1\n33,3\u202f%"}
    assert "aucune erreur" in plots.confusion(made.perfect()).get_label()
    fig = plots.per_class(made.EVALUATION)
    assert {(1.0, 2), (0.4, 0)} <= points(fig.axes[0])  # recall of Forest, F1 of the hardest
    axes = plots.reliability(made.ERRORS).axes
    dots = axes[0].containers[0].lines[0].get_ydata()
    assert list(dots) == [b.accuracy for b in made.ERRORS.before.bins if b.n]
    assert sum(bar.get_height() for bar in axes[2].patches) == pytest.approx(1)
    curve = plots.risk_coverage(made.ERRORS).axes[0].lines[0].get_ydata()
    assert tuple(curve) == made.ERRORS.selection.risk and curve[-1] == 0.3
    blur = plots.robustness(made.ROBUSTNESS).axes[1].lines[0].get_ydata()
    assert list(blur) == pytest.approx([0.9, 0.81, 0.71, 0.61])


@pytest.mark.parametrize("marked", [(), (0,), (0, 1, 2)])
def test_doubtful_labels_are_marked_where_that_tells_them_apart(shown, blobs, marked):
    worst = [
        case.model_copy(update={"doubtful": k in marked})
        for k, case in enumerate(made.ERRORS.worst)
    ]
    fig = plots.worst_errors(shown, made.ERRORS.model_copy(update={"worst": tuple(worst)}))
    assert fig.axes[0].get_title() == "HerbaceousVegetation\n→ River, >\u202f99,9\u202f%"
    assert np.array_equal(pixels(fig.axes[0]), blobs.test.images[6])
    framed = [ax for ax in fig.axes if ax.spines.left.get_visible()]
    assert len(framed) == (1 if marked == (0,) else 0)
    assert ("vérifier" in fig.get_suptitle()) == bool(marked)


def test_nothing_wrong_is_said(shown):
    none = analyse(made.predictions(right=True), made.CLASSES, 0.95, "a" * 64)
    assert "aucune erreur" in texts(plots.worst_errors(shown, none))
    assert plots.risk_coverage(none).axes[0].lines[0].get_ydata()[-1] == 0


def test_grad_cam_lies_beside_its_image(shown, blobs):
    fig = plots.grad_cam(shown, EXPLAINED)
    drawn = [ax for ax in fig.axes if ax.images]
    assert len(drawn) == 4 and texts(fig).count("aucune") == 4  # two images, two maps
    assert np.array_equal(pixels(drawn[0]), blobs.validation.images[3])
    assert drawn[1].images[1].get_array().tolist() == [[0.0, 1.0], [0.5, 0.0]]
    assert "HerbaceousVegetation\n→ Forest" in texts(fig)


def test_splits_are_compared_class_by_class():
    left, right = plots.split_comparison(SPLITS).axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["Forest", "HerbaceousVegetation", "River", "toutes les classes"]
    drops = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    assert drops == pytest.approx([0, 0, 2 / 3, 0.2])
    absent = SplitComparison(absent="split", reason="x")
    assert plots.split_comparison(absent) is None
