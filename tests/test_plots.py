import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from answer_facts import architecture as paper
from answer_facts import shuffled
from handmade import (
    AUDIT,
    BASELINES,
    CLASSES,
    DUPLICATES,
    ERRORS,
    EVALUATION,
    FINALISTS,
    GRID,
    INITIAL_LOSS,
    LANDSCAPE,
    LR_FINDER,
    OVERFIT,
    OVERLAPS,
    ROBUSTNESS,
    SEAMS,
    TRAINING,
    finder,
    perfect,
    predictions,
    sweep,
    tile,
    trial,
)
from matplotlib.figure import Figure

from eurosat_lib import plots
from eurosat_lib.checks import test_model as architecture_of
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Explanation, Explanations, analyse
from eurosat_lib.grid import Grid, RefinedGrid, compare
from eurosat_lib.lr_finder import Resets
from eurosat_lib.plots import explanations, field, images, neighbours, tiles
from eurosat_lib.plots.axes import French, spread
from eurosat_lib.plots.images import _one_of_each
from eurosat_lib.plots.style import WIDTH
from eurosat_lib.stages import publish
from eurosat_lib.tables.words import power
from eurosat_lib.transforms import get_preprocess_transforms

DRAWINGS = (
    "architecture",
    "receptive_field",
    "footprints",
    "examples",
    "augmentation_draws",
    "worst_errors",
    "grad_cam",
    "grid_parallel",
)
DRAWINGS += ("extremes", "duplicate_pairs", "overlaps", "mean_images")


def texts(fig: Figure) -> str:
    """All words of a figure."""
    found = fig.findobj(matplotlib.text.Text)
    return "\n".join(t.get_text() for t in found if t.get_visible() and t.get_text())


def check(fig: Figure, name: str = "") -> Figure:
    """What holds for every figure."""
    assert isinstance(fig, Figure) and not plt.get_fignums()
    assert fig.get_suptitle() and len(fig.get_label()) > 20 and fig.get_label()[-1] == "."
    assert fig.get_figwidth() == pytest.approx(WIDTH)
    words = [t for t in fig.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text()]
    assert min(t.get_fontsize() for t in words) >= 7  # points, on paper too
    if name not in DRAWINGS:
        assert any(ax.get_xlabel() for ax in fig.axes)
    for text in (texts(fig), fig.get_label()):
        assert "nan" not in text and " :" not in text and " ;" not in text
    return fig


def check_apart(ax) -> None:
    """No label inside an axes touches another."""
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text().strip()]
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


def points(ax) -> list[tuple[float, float]]:
    """Points of all scatters of an axes."""
    return [tuple(map(float, p)) for c in ax.collections for p in c.get_offsets()]


@pytest.fixture
def pictured(tiny, blobs, monkeypatch):
    """The tiny configuration; figures show the blobs."""
    for module in (images, field, explanations, tiles, neighbours):
        monkeypatch.setattr(module, "load_dataset", lambda config: blobs)
    return tiny


@pytest.fixture
def recorded(tiny):
    """The tiny configuration, with the runs of the grid and of the training on disk."""
    for fit in GRID.trials:
        publish.fit_run(tiny, "grid_search", fit)
    publish.fit_run(tiny, "train", TRAINING.fit)
    return tiny


def test_figures_become_images_of_a_tensorboard_run(tiny):
    from eurosat_lib.tracking import run_key

    said = plots.log_figures(tiny, "evaluate/test", {"confusion": plots.confusion(EVALUATION)})
    assert said == "runs/evaluate/test : confusion"
    assert run_key(tiny.paths.runs / "evaluate" / "test")


def test_ticks_are_french():
    write = French(100, "\u202f%")
    write.set_locs([0.8, 0.825, 0.85])
    assert [write(v) for v in (0.8, 0.825, 0.85)] == ["80,0\u202f%", "82,5\u202f%", "85,0\u202f%"]
    assert French()(0.25) == "0,25" and French()(1500.0) == "1\u202f500"


def test_labels_are_spread_apart_in_order():
    assert spread([50, 0], 10) == [50, 0]
    assert spread([1, 2, 0], 10) == pytest.approx([1, 11, -9])
    assert spread([5, 5], 10) == [0, 10]
    assert spread([], 10) == []


def test_style_does_not_leak():
    before = dict(matplotlib.rcParams)
    plots.overfit(OVERFIT, shuffled())
    assert dict(matplotlib.rcParams) == before


def test_class_distribution():
    fig = check(plots.class_distribution(AUDIT))
    widths = sorted(bar.get_width() for bar in fig.axes[0].patches)
    assert widths == sorted(n for counts in AUDIT.counts.values() for n in counts)
    assert fig.axes[0].get_yticklabels()[-1].get_text() == "HerbaceousVegetation"
    assert "149" in texts(fig)  # its total
    assert "rapport de 3,00" in fig.get_label()


def test_class_colours():
    fig = check(plots.class_colours(AUDIT))
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names[:3] == ["ImageNet", "toutes les classes", "HerbaceousVegetation"]  # brightest
    assert fig.axes[0].lines[0].get_xdata()[:3] == pytest.approx([0.485, 0.34, 0.5])
    assert "Forest 0,10 / 0,15 / 0,20" in fig.get_label()


def test_extremes(pictured):
    fig = check(plots.extremes(pictured, AUDIT), "extremes")
    assert len(fig.axes) == 6 and "25\u202f% à 255" in texts(fig)


def test_pictures_of_the_test_are_refused(pictured, blobs):
    shown = AUDIT.extremes["light"][0].model_copy(update={"tile": tile(0, "test")})
    bad = AUDIT.model_copy(update={"extremes": AUDIT.extremes | {"light": (shown,)}})
    with pytest.raises(ValueError, match="test"):
        plots.extremes(pictured, bad)


def test_duplicate_search():
    fig = check(plots.duplicate_search(DUPLICATES))
    assert [b.get_height() for b in fig.axes[0].patches][2] == 2
    assert len(points(fig.axes[1])) == len(DUPLICATES.distances)
    assert "2 au-dessus du seuil de 0,8, la suivante à 0,70" in fig.get_label()
    nothing = {"distances": (), "correlations": (), "pairs": (), "nearest": (0,) * 64}
    empty = check(plots.duplicate_search(DUPLICATES.model_copy(update=nothing)))
    assert "aucune paire aussi proche" in texts(empty)


def test_duplicate_pairs_leave_the_test_out(pictured, blobs):
    fig = check(plots.duplicate_pairs(pictured, DUPLICATES), "duplicate_pairs")
    shown = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert len(shown) == 4 and "test_" not in fig.get_label()
    turned = blobs.train.images[5].transpose(2, 1, 0)[::-1, ::-1] / 255  # view 3 undone below
    straight = blobs.train.images[5].transpose(1, 2, 0)[::-1, ::-1] / 255
    assert np.allclose(shown[2], straight, atol=1e-6) and not np.allclose(shown[2], turned)


def test_overlaps(pictured, blobs):
    fig = check(plots.overlaps(pictured, OVERLAPS), "overlaps")
    mosaics = [ax for ax in fig.axes if ax.images]
    assert len(mosaics) == 2
    for ax in mosaics:  # the second 3 down, 40 to the left, over the first
        places = [tuple(image.get_extent()) for image in ax.images]
        assert places == [(39.5, 103.5, 63.5, -0.5), (-0.5, 63.5, 66.5, 2.5)]
        assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 103.5), (66.5, -0.5))
    first = blobs.train.images[6].transpose(1, 2, 0) / 255
    assert np.allclose(mosaics[0].images[0].get_array(), first)
    assert "proposées, 3 au-dessus" in fig.get_label() and "test_" not in fig.get_label()
    nothing = {"pairs": (), "rejected": (), "correlations": ()}
    empty = check(plots.overlaps(pictured, OVERLAPS.model_copy(update=nothing)), "overlaps")
    assert "aucune paire proposée" in texts(empty)


def test_seams_lie_side_by_side(pictured, blobs):
    fig = check(plots.seams(pictured, SEAMS))
    pictures = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert [p.shape for p in pictures] == [(64, 128, 3)] * 4
    right, left = pictures[0], pictures[1]
    assert np.allclose(right[:, :64], blobs.validation.images[0].transpose(1, 2, 0) / 255)
    assert np.allclose(left[:, 64:], blobs.validation.images[1].transpose(1, 2, 0) / 255)
    dull = [e.model_copy(update={"low": -0.01}) for e in SEAMS.excesses]
    none = plots.seams(pictured, SEAMS.model_copy(update={"excesses": tuple(dull)}))
    assert "prolongent" in fig.get_suptitle() and "pas plus" in none.get_suptitle()
    assert "12 vignettes de validation sur 50" in fig.get_label().replace("\u00a0", " ")


def test_mean_images(pictured, blobs):
    fig = check(plots.mean_images(pictured), "mean_images")
    mean = blobs.train.images[blobs.train.labels == 0].mean(0).transpose(1, 2, 0) / 255
    assert len(fig.axes) == 20
    assert np.allclose(fig.axes[0].images[0].get_array(), mean, atol=1e-6)


def test_landscape():
    fig = check(plots.landscape(LANDSCAPE))
    assert len(points(fig.axes[0])) == 12
    names = [t.get_text() for t in fig.axes[0].texts]
    assert names == list(CLASSES) and "75\u202f%" in fig.get_label()


def test_baselines():
    fig = check(plots.baselines(BASELINES))
    assert [bar.get_width() for bar in fig.axes[0].patches] == [0.66, 0.46, 0.108]
    assert "hasard\u00a0: 10\u202f%" in texts(fig)
    assert "500 images" in fig.get_label()  # from the standard deviation of guessing


def test_architecture(tiny):
    arch = architecture_of(tiny)
    words = texts(check(plots.architecture(arch), "architecture"))
    for shape in ("3 × 16 × 16", "4 × 8 × 8", "6 × 4 × 4", "8 × 4 × 4"):
        assert shape in words
    assert "Conv 3 × 3, D = 2" in words and "90\u00a0paramètres" in words  # 8 x 10 + 10


def test_receptive_field(pictured):
    fig = check(plots.receptive_field(pictured, architecture_of(pictured)), "receptive_field")
    sides = {patch.get_width() for patch in fig.axes[0].patches if not patch.get_fill()}
    assert sides == {48, 64, 70, 94}
    assert "94 px\u00a0: 3\u00a0blocs, dilatation 3" in texts(fig)


@pytest.mark.parametrize("augmented", [False, True])
def test_examples(pictured, blobs, augmented):
    fig = check(plots.examples(pictured, "train", augmented), "examples")
    shown = [ax for ax in fig.axes if ax.images]
    assert len(shown) == 12
    assert {ax.get_title().replace("\n", "") for ax in shown} == set(blobs.classes)
    assert ("après augmentation" in fig.get_suptitle()) == augmented


def test_plain_examples_are_the_images_themselves(pictured, blobs):
    index = _one_of_each(blobs.validation.labels, 1, pictured.seed)
    fig = plots.examples(pictured, "validation", False, count=1)
    resize = get_preprocess_transforms(pictured).resize
    expected = resize(images.torch.from_numpy(blobs.validation.images[index])) / 255
    drawn = fig.axes[0].images[0].get_array()
    assert np.allclose(drawn, expected[0].permute(1, 2, 0), atol=1e-5)


def test_examples_refuse_the_test_split(pictured):
    with pytest.raises(UserError, match="take train or validation"):
        plots.examples(pictured, "test", False)


def test_each_class_in_turn():
    labels = np.repeat(np.arange(10), 5)
    found = labels[_one_of_each(labels, 12, seed=0)]
    assert sorted(found) == list(found) and set(found) == set(range(10))
    assert np.bincount(found).max() == 2


def test_augmentation_draws(pictured):
    fig = check(plots.augmentation_draws(pictured), "augmentation_draws")
    rows = np.array([ax.images[0].get_array() for ax in fig.axes]).reshape(4, 6, 16, 16, 3)
    assert fig.axes[0].get_title() == "original" and fig.axes[5].get_title() == "tirage 5"
    assert all(not np.array_equal(row[0], draw) for row in rows for draw in row[1:])


def test_initial_losses():
    fig = check(plots.initial_losses(INITIAL_LOSS))
    x = [x for x, _ in points(fig.axes[0])]
    assert set(INITIAL_LOSS.losses) <= set(x) and INITIAL_LOSS.loss in x
    assert "ln 10 = 2,303" in texts(fig) and "2,300 ± 0,050" in texts(fig)


def test_gradient_norms():
    fig = check(plots.gradient_norms(INITIAL_LOSS))
    found = points(fig.axes[0])
    assert (0.5, 0) in found and (1.5, 1) in found and (0.25, 1) in found
    assert " nul" in texts(fig) and "3 sur 4" in fig.get_label()
    assert fig.axes[0].get_xscale() == "log"


def test_signals():
    fig = check(plots.signals(INITIAL_LOSS))
    forward, zeros, backward = fig.axes
    assert points(forward) == [(0.5, 0), (0.3, 1), (0.4, 0), (0.3, 1)]  # theory, measurement
    assert points(zeros) == [(0.5, 0), (0.52, 0)]
    assert points(backward) == [(0.1, 0), (0.2, 1)]
    assert "étage 1, bloc 1" in texts(fig) and "0,80 à 1,00" in fig.get_label()


def test_footprints():
    fig = check(plots.footprints(paper()), "footprints")
    sides = [[patch.get_width() for patch in ax.patches] for ax in fig.axes]
    assert sides == [[64, 48, 40], [64, 64, 56], [64, 70, 62], [64, 94, 86]]
    assert fig.axes[0].images[0].get_array().shape == (48, 48)
    assert "remplit" in fig.get_suptitle() and "gradient 94" in texts(fig)
    other = tuple(v.model_copy(update={"measured_field": 40}) for v in paper().variants)
    assert "remplit" not in plots.footprints(paper(variants=other)).get_suptitle()


def test_overfit():
    control = shuffled()
    fig = check(plots.overfit(OVERFIT, control))
    loss, accuracy = fig.axes
    drawn = [tuple(line.get_ydata()) for line in loss.lines]
    assert OVERFIT.losses in drawn and drawn.count(control.pairs[0].true.losses) == 10
    assert (0, 0.4) in points(accuracy) and (1, 0.15) in points(accuracy)
    assert "0,0040" in texts(fig) and "but\u00a0: 0,01" in texts(fig)
    assert "38,0\u202f%" in fig.get_label() and "hasard" in texts(fig)
    single = OVERFIT.model_copy(update={"losses": (2.3,), "accuracies": (0.25,)})
    assert "non atteint" in check(plots.overfit(single, control)).get_label()


def test_lr_sweep():
    fig = check(plots.lr_sweep(LR_FINDER))
    top, bottom = fig.axes
    assert LR_FINDER.choice == 1e-3 and LR_FINDER.window == (5e-4, 2e-3)
    assert [1e-3, 1e-3] in [list(line.get_xdata()) for line in top.lines]
    span = top.patches[0].get_extents().transformed(top.transData.inverted())
    assert (span.x0, span.x1) == pytest.approx(LR_FINDER.window)
    assert f"retenu\u00a0: {power(1e-3)}" in texts(fig) and "10⁻⁶" in texts(fig)
    rows = {round(y): x for x, y in points(bottom)[:3]}
    assert rows == pytest.approx({0: 1e-3, 1: 4e-4, 2: 2e-3})


def test_lr_sweep_with_band_and_protocol_of_the_course():
    resets = Resets(
        lr=(1e-5, 1e-4, 1e-3, 1e-2),
        steps=9,
        tail=3,
        scores=((2.3, 1, 1, None),),
        within=((0.1,) * 4,),
    )
    fig = check(plots.lr_sweep(LR_FINDER.model_copy(update={"resets": resets})))
    assert len(fig.axes) == 3 and "protocole du cours" in texts(fig)
    assert "étendue des graines" in texts(fig) and "médiane" in texts(fig)
    median = next(line for line in fig.axes[0].lines if line.get_label() == "médiane")
    assert list(median.get_ydata()) == list(LR_FINDER.sweeps[0].smoothed)


def test_lr_sweep_without_a_reliable_curve():
    fig = check(plots.lr_sweep(finder(sweep(0, steepest=1e-3), sweep(1))))
    assert "aucun pas retenu" in fig.get_label()
    assert not fig.axes[0].patches


def test_grid_ranking():
    fig = check(plots.grid_ranking(GRID))
    ax = fig.axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [point.name for point in GRID.ranking]
    scores = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    assert scores == pytest.approx([0.75, 0.65, 0.4])
    assert "75,0\u202f%" in texts(fig) and "× diverge à l’époque 1" in texts(fig)


def test_grid_heatmaps():
    fig = check(plots.grid_heatmaps(GRID))
    values = [ax.collections[0].get_array().compressed().tolist() for ax in fig.axes]
    assert values[0] == pytest.approx([0.65, 0.4]) and values[1] == pytest.approx([0.75])
    assert fig.axes[0].get_title("left") == "2\u00a0blocs par étage, dilatation 2"
    assert "diverge" in texts(fig)
    assert [len(ax.patches) for ax in fig.axes] == [0, 1]  # the best is framed


def test_ranking_shades_what_cannot_be_told_from_the_best():
    ax = check(plots.grid_ranking(GRID)).axes[0]
    low, high = ax.patches[0].get_x(), ax.patches[0].get_x() + ax.patches[0].get_width()
    assert (low, high) == pytest.approx((0.75 - GRID.margin, 0.75))
    assert "2\u00a0runs indiscernables" in texts(ax.figure)


def test_grid_effects():
    fig = check(plots.grid_effects(GRID))
    panel = fig.axes[1]  # score
    changes = sorted(
        x for line in panel.lines if line.get_marker() == "o" for x in line.get_xdata()
    )
    assert changes == pytest.approx([-0.25, 0.10])
    assert "−25,0 (sans intervalle)" in fig.get_label()
    assert texts(fig).count("une seule valeur") == 2 * 4


def test_grid_parallel():
    fig = check(plots.grid_parallel(GRID), "grid_parallel")
    ends = sorted(
        line.get_ydata()[-1] for line in fig.axes[0].lines if len(line.get_xdata()) == 20
    )
    # the highest segment of the best ends at 1, of the worst at 0; the diverged run has no line
    assert ends[0] == pytest.approx(0) and ends[-1] == pytest.approx(1)
    assert "40,0\u202f%" in texts(fig) and "75,0\u202f%" in texts(fig)


def test_grid_interactions():
    values = [(d, b, lr) for d in (2, 3) for b in (2, 3) for lr in (1e-3, 2e-3, 4e-3)]
    fits = [trial(lr=lr, d=d, b=b, values=(0.5 + 0.1 * (d > 2 and b > 2),)) for d, b, lr in values]
    fig = check(plots.grid_interactions(Grid(trials=tuple(fits), epochs=1, origin="config")))
    assert len(fig.axes) == 3
    found = sorted(y for line in fig.axes[2].lines for y in line.get_ydata())
    assert found == pytest.approx([0.5, 0.5, 0.5, 0.6])
    assert "D × B" in texts(fig) and "+10,0" in fig.get_label()
    assert "un seul facteur varie" in texts(plots.grid_interactions(RefinedGrid(
        trials=fits[:3], epochs=1, origin="config")))  # fmt: skip


def test_finalists():
    fig = check(plots.finalists(FINALISTS))
    ax = fig.axes[0]
    assert ax.get_yticklabels()[0].get_text() == "lr2e-3_wd1e-5_D2_B2"
    seeds = [line.get_xdata().tolist() if hasattr(line.get_xdata(), "tolist") else
             list(line.get_xdata()) for line in ax.lines[:3]]  # fmt: skip
    assert seeds == [[0.74, 0.70], [0.76, 0.71], [0.78, 0.72]]
    assert "graine 45" in texts(fig) and "76,0\u202f% ± 2,0" in fig.get_label()


def test_grid_curves_are_read_from_runs(recorded):
    fig = check(plots.grid_curves(GRID, recorded))
    accuracy, loss = fig.axes[0], fig.axes[2]
    assert [line.get_ydata().tolist() for line in accuracy.lines] == [
        pytest.approx([0.5, 0.6, 0.7]),
        pytest.approx([0.2, 0.5, 0.3]),
    ]
    assert loss.lines[0].get_ydata() == pytest.approx([0.5, 0.4, 0.3])
    assert len(fig.axes[1].lines) == 1  # its other trial diverged at once


def test_a_missing_run_is_named(tiny):
    with pytest.raises(UserError, match=r"runs/grid_search/lr1e-3_wd1e-5_D2_B2: no such run"):
        plots.grid_curves(GRID, tiny)


def test_training_curves(recorded):
    fig = check(plots.training_curves(TRAINING, recorded))
    loss, accuracy = fig.axes
    assert accuracy.lines[1].get_ydata() == pytest.approx([0.5, 0.8, 0.7])
    assert loss.lines[0].get_ydata() == pytest.approx([1, 0.5, 1 / 3])
    assert texts(fig).count("retenue\u00a0: époque 2") == 2
    check_apart(loss)
    check_apart(accuracy)
    assert "80,0\u202f% sur validation" in fig.get_suptitle()


@pytest.mark.parametrize("factor", ["lr", "weight_decay", "dilation_stage3", "blocks_per_stage"])
def test_comparison(recorded, factor):
    comparisons = compare(GRID)
    fig = check(plots.comparison(comparisons, factor, recorded))
    curves = comparisons.of(factor).curves
    assert len(fig.axes[1].lines) == 2 * len(curves)  # train and validation
    for ax in fig.axes:
        check_apart(ax)
    ends = [line.get_ydata()[-1] for line in fig.axes[1].lines[1::2]]
    assert ends == pytest.approx([curve.last_val_accuracy for curve in curves])


def test_refined_heatmap():
    refined = RefinedGrid(
        trials=(trial(d=3, values=(0.7,)), trial(lr=6e-4, d=3, values=(0.9,))),
        epochs=1,
        origin="grid_search",
    )
    fig = check(plots.refined_heatmap(refined, GRID))
    assert "+15,0\u00a0points" in texts(fig)  # 0.9 against the grid's 0.75
    assert len(fig.axes[0].patches) == 2  # the best, and the grid's best
    same = RefinedGrid(trials=(trial(d=3),), epochs=1, origin="grid_search")
    assert len(check(plots.refined_heatmap(same, TRAINING)).axes[0].patches) == 1


def test_degenerate_grids(recorded):
    single = Grid(trials=(trial(values=(0.5,)),), epochs=1, origin="config")
    publish.fit_run(recorded, "grid_search", single.trials[0])
    bad = Grid(trials=(trial(values=(), diverged="x"),), epochs=1, origin="config")
    for grid in (single, bad):
        for plot in (plots.grid_ranking, plots.grid_heatmaps, plots.grid_effects):
            check(plot(grid))
        check(plots.grid_parallel(grid), "grid_parallel")
        assert plots.grid_interactions(grid).get_label()
        check(plots.grid_curves(grid, recorded))
    check(plots.comparison(compare(single), "lr", recorded))


def test_confusion():
    fig = check(plots.confusion(EVALUATION))
    words = {t.get_text() for ax in fig.axes for t in ax.texts}
    assert words >= {"4\n100,0\u202f%", "2\n66,7\u202f%", "1\n33,3\u202f%"}
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert tuple(names) == CLASSES
    assert "3\u00a0erreurs" in fig.get_label()
    assert "aucune erreur" in check(plots.confusion(perfect())).get_label()


def test_per_class():
    fig = check(plots.per_class(EVALUATION))
    found = points(fig.axes[0])
    assert (1.0, 2) in found and (0.4, 0) in found  # recall of Forest, F1 of the hardest class
    assert "macro-F1\u00a0: 70,0\u202f%" in texts(fig)
    check(plots.per_class(perfect()))


def test_reliability():
    fig = check(plots.reliability(ERRORS))
    filled = [b for b in ERRORS.before.bins if b.n]
    dots = fig.axes[0].containers[0].lines[0]
    assert list(dots.get_xdata()) == pytest.approx([b.confidence for b in filled])
    assert list(dots.get_ydata()) == pytest.approx([b.accuracy for b in filled])
    assert sum(bar.get_height() for bar in fig.axes[2].patches) == pytest.approx(1)


def test_risk_coverage():
    fig = check(plots.risk_coverage(ERRORS))
    curve = fig.axes[0].lines[0]
    assert tuple(curve.get_ydata()) == ERRORS.selection.risk and curve.get_ydata()[-1] == 0.3
    assert "80\u202f% des images" in texts(fig)


def test_robustness():
    fig = check(plots.robustness(ROBUSTNESS))
    faults = fig.axes[1].lines
    assert [line.get_label() for line in faults] == ["flou", "bruit", "JPEG", "brume"]
    assert list(faults[0].get_ydata()) == pytest.approx([0.9, 0.81, 0.71, 0.61])
    assert "80,0\u202f%\u00a0: même réponse" in texts(fig)


def test_worst_errors(pictured, blobs):
    fig = check(plots.worst_errors(pictured, ERRORS), "worst_errors")
    titles = [ax.get_title() for ax in fig.axes if ax.images]
    assert titles == [
        "HerbaceousVegetation\n→ River, >\u202f99,9\u202f%",
        "River\n→ HerbaceousVegetation, 85,0\u202f%",
        "HerbaceousVegetation\n→ Forest, 70,0\u202f%",
    ]
    drawn = fig.axes[0].images[0].get_array()
    assert np.allclose(drawn, blobs.test.images[6].transpose(1, 2, 0) / 255)


@pytest.mark.parametrize("marked", [(), (0,), (0, 1, 2)])
def test_doubtful_labels_are_marked_where_that_tells_them_apart(pictured, marked):
    cases = [
        case.model_copy(update={"doubtful": rank in marked})
        for rank, case in enumerate(ERRORS.worst)
    ]
    fig = plots.worst_errors(pictured, ERRORS.model_copy(update={"worst": tuple(cases)}))
    framed = [ax for ax in fig.axes if ax.spines.left.get_visible()]
    assert len(framed) == (1 if marked == (0,) else 0)
    assert ("vérifier" in fig.get_suptitle()) == bool(marked)


def test_worst_errors_without_errors(pictured):
    none = analyse(predictions(right=True), CLASSES, 0.95, "a" * 64)
    fig = check(plots.worst_errors(pictured, none), "worst_errors")
    assert "aucune erreur" in texts(fig)
    check(plots.reliability(none))
    check(plots.risk_coverage(none))


def test_grad_cam(pictured, blobs):
    case = Explanation(
        name="a", index=3, truth=0, prediction=0, confidence=0.9, heat=((0.0, 1.0), (0.5, 0.0))
    )
    wrong = case.model_copy(update={"index": 4, "truth": 1})
    found = Explanations(
        checkpoint_sha256="a" * 64,
        classes=CLASSES,
        right=(case, None, None),
        wrong=(None, wrong, None),
    )
    fig = check(plots.grad_cam(pictured, found), "grad_cam")
    drawn = [ax for ax in fig.axes if ax.images]
    assert len(drawn) == 4  # two images, two maps
    assert np.allclose(
        drawn[0].images[0].get_array(), blobs.validation.images[3].transpose(1, 2, 0) / 255
    )
    assert drawn[1].images[1].get_array().tolist() == [[0.0, 1.0], [0.5, 0.0]]
    assert texts(fig).count("aucune") == 4 and "HerbaceousVegetation\n→ Forest" in texts(fig)
