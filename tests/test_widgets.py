"""The logic of the interactive views, and that they stand back where nothing can be moved."""

import io
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from handmade import GRID, LR_FINDER, OVERLAPS, predictions, tile, trial
from PIL import Image, ImageFile

from eurosat_lib import widgets
from eurosat_lib.evaluation import Predictions
from eurosat_lib.french import pct
from eurosat_lib.lr_finder import smooth, suggest
from eurosat_lib.model import DilatedCNN
from eurosat_lib.progress import FILE_VARIABLE
from eurosat_lib.search import Grid
from eurosat_lib.stats import wilson
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms
from eurosat_lib.widgets import pictures, rates, recognition, risk, shell
from eurosat_lib.widgets.activations import activations, filters, layer_names, load_network, show
from eurosat_lib.widgets.album import Album
from eurosat_lib.widgets.bench import as_yaml, bench, draws
from eurosat_lib.widgets.matrix import Cells, behind
from eurosat_lib.widgets.points import Coordinates, Curves, fitting
from eurosat_lib.widgets.rates import Chart, read_sweep
from eurosat_lib.widgets.risk import Curve, keep

SLOW = 2.0  # seconds: ten times what a view may take, so that a busy machine fails nothing
VIEWS = ["augmentation", "browse", "layers"]


def said(logits, labels):
    names = np.array([f"test_{i}.jpg" for i in range(len(labels))])
    logits, labels = np.array(logits, np.float32), np.array(labels)
    return Predictions(names, labels, logits, names[:0], labels[:0], logits[:0])


@pytest.fixture
def quick():
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < SLOW


def size(content):
    with Image.open(io.BytesIO(content)) as image:
        return image.size


# --- where a view cannot be shown ------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_while_a_report_is_built_a_view_is_a_line_and_reads_nothing(name, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, "events")
    assert "ouvrir ce notebook dans JupyterLab" in repr(getattr(widgets, name)(None))


@pytest.mark.parametrize("name", VIEWS)
def test_without_ipywidgets_a_view_says_so(name, monkeypatch):
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.setattr(shell, "find_spec", lambda name: None)
    assert "pip install ipywidgets" in repr(getattr(widgets, name)(None))


def test_a_missing_result_is_named_in_french(on_blobs, monkeypatch):
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    assert "best.ckpt" in repr(widgets.own_image(on_blobs))


# --- 07: confusion, threshold, own image -----------------------------------------------------


def test_a_cell_opens_its_images_by_confidence():
    found = said([[3, 0], [1, 0], [2, 0], [0, 1], [4, 0]], [0, 0, 0, 0, 1])
    assert behind(found, 0, 0).tolist() == [0, 2, 1]
    assert behind(found, 0, 0, sign=1).tolist() == [1, 2, 0]
    assert behind(found, 1, 0).tolist() == [4] and not len(behind(found, 1, 1))


def test_the_images_of_a_cell_are_those_of_the_test_split(blobs, quick):
    found = said([[3, 0]] * 30 + [[0, 1]], [0] * 31)
    shuffled = replace(found, names=found.names[::-1])
    html = Cells(blobs, shuffled).show(0, 1)
    assert pictures.tag(blobs.test.images[0], "").split("src=")[1][:-1] in html
    assert html.count("<figure") == 1 and "1\N{NO-BREAK SPACE}image." in html
    assert "24 montrées" in Cells(blobs, found).show(0, 0)
    assert "aucune image" in Cells(blobs, found).show(1, 1)


def test_a_threshold_counts_what_it_keeps():
    found = predictions()
    confidence = found.probabilities.max(1)
    wrong = found.predicted != found.labels
    kept = keep(found, 0.8)
    assert kept.answered == (confidence >= 0.8).sum() and kept.total == len(confidence)
    assert kept.errors == wrong[confidence >= 0.8].sum()
    assert keep(found, 0).risk == pytest.approx(wrong.mean()) and keep(found, 0).coverage == 1
    assert keep(found, 1.01).risk == 0


def test_the_point_of_the_curve_moves_with_the_threshold(quick):
    curve = Curve(predictions())
    kept, first = curve.move(0)
    assert curve.point.get_data() == ([1.0], [kept.risk])
    other, second = curve.move(0.85)
    assert other.answered < kept.answered and first != second
    text = risk.describe(other, 0.95)
    low = wilson(other.errors, other.answered, 0.95)[0]
    assert pct(other.risk) in text and pct(low) in text
    assert "aucune image" in risk.describe(keep(predictions(), 1.01), 0.95)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_any_picture_becomes_a_tile(mode):
    buffer = io.BytesIO()
    Image.new(mode, (300, 120)).save(buffer, "PNG")
    tile = recognition.read_picture(buffer.getvalue())
    assert tile.shape == (3, 64, 64) and tile.dtype == np.uint8


def test_what_is_no_picture_is_refused(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)  # WeasyPrint changes it
    read = recognition.read_picture
    buffer = io.BytesIO()
    Image.new("RGB", (80, 80)).save(buffer, "PNG")
    assert read(b"text") is None and read(buffer.getvalue()[:60]) is None


def test_an_opinion_is_that_of_the_network(tiny, blobs, quick):
    model = DilatedCNN(tiny.model.channels).eval()
    opinion = recognition.recognise(tiny, model, blobs.test.images[0])
    assert opinion.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert opinion.heat.min() >= 0 and opinion.heat.max() <= 1
    html = recognition.show(blobs.test.images[0], opinion, blobs.classes)
    best = blobs.classes[opinion.probabilities.argmax()]
    assert f"<b>{best}</b>" in html and f"Grad-CAM de {best}" in html


def test_a_map_of_zeros_leaves_the_image_as_it_is(blobs):
    image = blobs.test.images[0]
    assert np.array_equal(pictures.overlay(image, np.zeros((4, 4))), image)
    assert not np.array_equal(pictures.overlay(image, np.ones((4, 4))), image)


# --- 01: browsing, augmentation --------------------------------------------------------------


def test_the_album_finds_by_class_split_and_finding(blobs):
    images = blobs.train.images.copy()
    images[3], images[7] = 40, 255
    album = Album(replace(blobs, train=replace(blobs.train, images=images)), {})
    assert len(album.rows("train", None, "all")) == 96
    assert (blobs.train.labels[album.rows("train", 4, "all")] == 4).all()
    assert album.rows("train", None, "faint").tolist() == [3, 7]
    clipped = (images == 255).mean((1, 2, 3)) > 0.01
    assert album.rows("train", None, "saturated").tolist() == np.flatnonzero(clipped).tolist()
    assert album.rows("train", 3, "faint").tolist() == [3]
    assert not len(album.rows("validation", None, "faint"))


def test_pairs_of_the_audit_are_found_by_their_tiles(blobs):
    pair = OVERLAPS.pairs[0].model_copy(update={"first": tile(5), "second": tile(2, "validation")})
    album = Album(blobs, {"overlaps": OVERLAPS.model_copy(update={"pairs": (pair,)})})
    assert album.rows("train", None, "overlaps").tolist() == [5]
    assert album.rows("validation", None, "overlaps").tolist() == [2]


def test_pages_go_through_all_rows(blobs, quick):
    album = Album(blobs, {})
    rows = album.rows("train", None, "all")
    pages = [album.page("train", rows, k).count("<figure") for k in range(5)]
    assert pages == [24, 24, 24, 24, 0]
    assert "Aucune image" in album.page("train", rows[:0], 0)


def test_draws_are_those_of_training(tiny, blobs, quick):
    augment, image = get_augmentation_transforms(tiny), blobs.train.images[0]
    drawn = draws(image, augment, seed=0)
    assert drawn.shape == (11, 3, 64, 64) and len(np.unique(drawn, axis=0)) == 11
    still = replace(
        augment, crop_padding=0, flip_probability=0.0, brightness=0, contrast=0, saturation=0
    )
    assert all(np.array_equal(one, image) for one in draws(image, still, seed=0))
    assert as_yaml(augment, augment) == "" and as_yaml(still, augment).startswith(
        "crop_padding: 0"
    )
    assert "valeurs de la configuration" in bench(image, augment, augment, 0)


# --- 03: layers -------------------------------------------------------------


def test_activations_are_those_of_the_layer(tiny, blobs):
    model, image = DilatedCNN(tiny.model.channels).eval(), blobs.validation.images[0]
    names = layer_names(model)
    assert len(names) == 12 and names["étage 1, bloc 1, convolution"] == "stages.0.0"
    linear = activations(tiny, model, "stages.0.0", image)
    batch = get_preprocess_transforms(tiny)(torch.from_numpy(image[None]))
    expected = model.stages[0][0](batch)[0].detach().numpy()
    assert linear.shape == (4, 16, 16) and np.allclose(linear, expected, atol=1e-5)
    assert activations(tiny, model, names["étage 1, bloc 1, ReLU"], image).min() == 0


def test_filters_are_grey_where_they_are_zero(tiny, blobs, quick):
    model = DilatedCNN(tiny.model.channels).eval()
    with torch.no_grad():
        model.stages[0][0].weight[0].zero_()
        model.stages[0][0].weight[0, 0, 1, 1] = -2.0  # red, in the middle
    kernel = filters(model, "stages.0.0")[0]
    assert kernel[0, 1, 1] == 0 and set(kernel[1:].ravel().tolist()) == {128}
    html = show(tiny, model, "stages.0.0", blobs.validation.images[0])
    assert html.count("<figure") == 8 and "filtre 1" in html
    assert "filtre" not in show(tiny, model, "stages.0.2", blobs.validation.images[0])


def test_without_a_checkpoint_the_network_is_untrained(on_blobs, blobs, monkeypatch):
    monkeypatch.setattr("eurosat_lib.widgets.activations.load_dataset", lambda config: blobs)
    assert "non entraîné" in load_network(on_blobs)[1]


# --- 04: the sweep ---------------------------------------------------------------------------


def test_a_sweep_read_as_the_finder_does_gives_its_choice():
    lr = np.geomspace(1e-5, 1, 100)
    loss = 2.3 - 1.5 / (1 + (3e-3 / lr) ** 2) + (lr / 0.2) ** 3
    sweep = LR_FINDER.sweeps[0].model_copy(
        update={
            "lr": tuple(lr),
            "loss": tuple(loss),
            "smoothed": tuple(loss),
            "stopped": "diverged",
        }
    )
    result = LR_FINDER.model_copy(update={"sweeps": (sweep,)})
    read = read_sweep(result, 0.5, "valley")
    assert read.rates == (suggest(lr, smooth(loss, 0.5), ended=False)["valley"],)
    assert read.choice == float(f"{read.rates[0]:.1e}")
    assert len(read_sweep(result, 0.5).rates) == 3
    chart = Chart(result)
    assert chart.read(0.5, "valley")[0].choice == chart.mark.get_xdata()[0]
    moved, _ = chart.read(0.98, "steepest")
    assert moved.choice != read.choice and chart.mark.get_xdata()[0] == moved.choice


def test_a_flat_sweep_gives_nothing_and_says_why():
    sweep = LR_FINDER.sweeps[0].model_copy(
        update={"lr": tuple(np.geomspace(1e-5, 1, 100)), "loss": (2.3,) * 100, "seed": 4}
    )
    result = LR_FINDER.model_copy(update={"sweeps": (sweep,)})
    read = read_sweep(result, 0.9)
    assert read.choice is None and read.faults == {4: "flat"}
    assert "graine 4" in rates.describe(result, read)


# --- 05: trials ------------------------------------------------------------------------------


def test_trials_are_filtered_by_value_and_score():
    ranking = GRID.ranking
    best = ranking[0]
    assert fitting(GRID, {}) == ranking
    same = fitting(GRID, {"lr": best.hyperparameters.lr})
    assert same and all(p.hyperparameters.lr == best.hyperparameters.lr for p in same)
    assert fitting(GRID, {}, best.score) == [p for p in ranking if p.score >= best.score]


def test_the_picked_trial_is_drawn(quick):
    drawn, lines = Coordinates(GRID), Curves(GRID)
    first, second = GRID.ranking[:2]
    assert drawn.draw([first], first) != drawn.draw([first], second)
    assert size(lines.draw(first)) == size(lines.draw(second))
    shown = lines.figure.axes[0].lines[1].get_ydata()
    assert list(shown) == [r.val_accuracy for r in second.fits[0].epochs]


def test_a_diverged_trial_is_named():
    grid = Grid(
        trials=(trial(), trial(lr=0.5, values=(), diverged="x")), epochs=3, origin="config"
    )
    lines = Curves(grid)
    lines.draw(grid.ranking[-1])
    assert "divergé" in lines.title.get_text()
