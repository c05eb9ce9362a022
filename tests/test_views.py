"""What the views compute, and where they are one line of text; their moves are in browser/."""

import io
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
from handmade import GRID, LR_FINDER, OVERLAPS, finder
from PIL import Image

from eurosat_lib import jobs, protocol, search, stages, views
from eurosat_lib.config import override
from eurosat_lib.evaluation import Predictions
from eurosat_lib.french import intervalle
from eurosat_lib.lr_finder import suggest
from eurosat_lib.progress import BUILT
from eurosat_lib.stats import wilson

VIEWS = ("augmentation", "browse", "confusion", "own_image", "sweep", "threshold", "trials")


@pytest.fixture(autouse=True)
def in_jupyterlab(monkeypatch):
    """Make views, none of which fills an Output: nbclient may wait for ever for such a cell."""
    monkeypatch.delenv(BUILT, raising=False)
    for module in (ipywidgets, ipywidgets.widgets.interaction):
        monkeypatch.setattr(module, "Output", None)


def said(logits, labels):
    """Predictions of two classes, the same on validation."""
    arrays = np.array(labels), np.array(logits, float)
    names = np.array([f"test_{k}.jpg" for k in range(len(labels))])
    return Predictions(names, *arrays, *arrays)


def test_without_a_reader_or_a_checkpoint_a_view_is_a_line(on_blobs, monkeypatch, capsys):
    assert views.own_image(on_blobs) is None
    assert "best.ckpt: no such checkpoint" in capsys.readouterr().out
    monkeypatch.setenv(BUILT, "1")
    assert {getattr(views, name)(None) for name in VIEWS} == {None}
    assert capsys.readouterr().out.count("JupyterLab") == len(VIEWS)


def test_a_cell_opens_its_images_by_confidence_and_the_worst_errors_by_loss(blobs):
    found = said([[3, 0, -9], [1, 0, -9], [2, 0, -9], [-5, 1, 0], [4, 0, -9]], [0, 0, 0, 0, 1])
    many = said([[3, 0, -9]] * 30 + [[0, 1, -9]], [0] * 31)

    def opened(*cell, found=found):
        html = views.opened_cell(blobs.test, found.table(("a", "b", "c")), cell)
        return [int(number) for number in re.findall(r"test_(\d+)\.jpg<br>", html)], html

    assert [opened(*cell)[0] for cell in ("aa", "ba", "")] == [[0, 2, 1], [4], [3, 4]]
    assert "0\N{NO-BREAK SPACE}image." in opened(*"bb")[1]
    assert "30\N{NO-BREAK SPACE}images, 24 montrées" in opened(*"aa", found=many)[1]
    numbers, html = opened(*"ab", found=many)
    assert numbers == [30] and "26,9" in html


def test_a_threshold_counts_what_it_keeps(monkeypatch):
    found = said([[3, 0], [3, 0], [0, 0.1]], [0, 1, 0])
    found = replace(found, val_logits=np.array([[0, 3.0]]), val_labels=np.array([1]))
    monkeypatch.setattr(views.trainings, "kept_predictions", lambda *_: found)
    box = views.threshold(None, None)
    box.children[0].value = 0.9
    validation, test, _ = box.shown.value.split("</div>")
    assert "1\N{NO-BREAK SPACE}image sur 1 et" in validation
    assert "2\N{NO-BREAK SPACE}images sur 3" in test and "50,0" in test
    assert intervalle(wilson(1, 2)) in test
    box.children[0].value = 0.999
    assert "0\N{NO-BREAK SPACE}image sur 3." in box.shown.value


def test_a_sweep_is_read_by_one_rule_or_by_all():
    lr = np.geomspace(1e-6, 1, 100)
    loss = 2.3 - 0.3 * np.exp(-((np.log10(lr) + 2) ** 2))
    one = LR_FINDER.sweeps[0].model_copy(update={"lr": lr, "loss": loss})
    rates, _ = suggest(lr, loss, one.ended)
    for rule, kept in ((views.MEDIAN, rates), ("valley", {"valley": rates["valley"]})):
        read = views.read_again(finder(one), 0.0, rule).sweeps[0]
        assert read.suggestions == kept and read.smoothed == tuple(loss)


def test_the_rate_in_use_is_that_of_the_grid_until_it_is_withdrawn(on_blobs):
    config = override(on_blobs, {"grid.lr": None})
    stages.publish(config, stages.Kept(LR_FINDER, {}))
    box = views.sweep(config, LR_FINDER)
    read, (use, undo) = box.children[0], box.children[1].children
    before = protocol.grid_points(config)
    assert before == (search.grid_points(config, LR_FINDER.choice), "lr_finder")
    assert undo.disabled and not use.disabled
    use.click()
    assert protocol.grid_points(config)[1] == "chosen_lr"
    assert "choix à la main" in read.shown.value
    assert protocol.chosen_lr(config).rule == "median"
    assert views.sweep(on_blobs, LR_FINDER).children[1].children[0].disabled  # grid.lr is given
    undo.click()
    assert protocol.grid_points(config) == before


def test_pairs_of_the_test_stay_closed():
    asked = (("train", [0, 1]), ("validation", [1]), ("validation", [0]))
    found = [views.pairs(OVERLAPS, split, labels) for split, labels in asked]
    assert found == 2 * [[[("train", 6), ("validation", 7)]]] + [[]]


def test_pictures_are_browsed_augmented_and_taken_apart(on_blobs, blobs):
    protocol.train(on_blobs)
    config, evaluation = on_blobs, protocol.evaluate(on_blobs)
    box = views.browse(config)
    _, label, finding, turn, shown = box.children
    first = shown.value
    assert first.count("<img") == 24 and turn.max == 4 and turn.description == "page (sur 4)"
    turn.value = 4
    assert shown.value.count("<img") == 24 and shown.value != first
    label.value = "Forest"
    assert shown.value.count("<img") == 10 and (turn.value, turn.max) == (1, 1)
    finding.value = "saturées"
    assert "<img" not in shown.value and "0\N{NO-BREAK SPACE}image." in shown.value
    *_, saturation, _, shown = views.augmentation(config).children
    assert shown.value.count("<img") == 12 and "rien à changer" in shown.value
    large = views.augmentation(override(config, {"data.image_size": 64})).children[-1]
    assert len(large.value) > 1.2 * len(shown.value)  # the images that the network sees
    saturation.value = 0.95
    assert "saturation: 0.95." in shown.value
    shown = views.trials(config, GRID).shown.value
    assert GRID.best.hyperparameters.name in shown and "<img" in shown
    _, grid, worst, opened = views.confusion(config, evaluation).children
    grid.children[12].click()  # the first class, said to be it
    names = evaluation.classes
    assert f"<b>{names[0]} → {names[0]}</b>" in opened.value
    worst.click()
    assert "Les pires erreurs" in opened.value
    box = views.own_image(config)
    shown = box.shown.value
    assert "ce que reçoit le réseau" in shown and "16\u00a0×\u00a016 pixels" in shown
    about = {"type": "", "size": 0, "last_modified": datetime.now()}
    for mode in ("RGB", "L", "RGBA", "P", "I;16", "F"):
        file = io.BytesIO()
        Image.new(mode, (300, 120)).save(file, "TIFF")
        box.children[0].value = ({"name": f"{mode}.tif", "content": file.getvalue(), **about},)
        shown = box.shown.value
        assert f"{mode}.tif" in shown and ("8 bits" in shown) == (mode in ("I;16", "F"))
    box.children[1].value = 7  # another example takes the place of one's own
    assert blobs.validation.names[7 * 40 // 100] in box.shown.value


def test_a_training_alone_draws_its_curve_epoch_by_epoch(on_blobs, monkeypatch):
    shown, heard = [], []
    handle = SimpleNamespace(update=lambda what: shown.append(what.data))
    monkeypatch.setattr(views, "display", lambda what, display_id: handle)
    hear = lambda folder: lambda last: heard.append((folder.parent.name, last))  # noqa: E731
    monkeypatch.setattr(jobs, "watchers", [hear, views._curve])
    protocol.train(on_blobs)
    protocol.grid_search(on_blobs)
    assert heard == [("train", False), ("train", True)]
    assert "Exactitude" in shown[-1] and "<img" in shown[-1]
    views._curve(Path("nowhere"))(True)  # a picture that fails stops nothing
