"""Screenshots of TensorBoard: what is shown, when a picture is stale, and one real session."""

import io
import json
import shutil

import lxml.html
import pytest
from PIL import Image

from eurosat_lib import captures
from eurosat_lib.captures import browser as browsers
from eurosat_lib.captures.__main__ import main
from eurosat_lib.captures.album import INDEX, describe, take_captures
from eurosat_lib.captures.camera import compress
from eurosat_lib.captures.views import list_views
from eurosat_lib.errors import UserError
from eurosat_lib.report import screenshots
from eurosat_lib.tracking import Run, write_run

CURVES = {
    tag: [(epoch, 2.0 / epoch) for epoch in (1, 2, 3)]
    for tag in ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
}
TRIALS = ("lr1e-3_wd1e-5_D2_B2", "lr2e-3_wd1e-5_D2_B2", "lr1e-3_wd1e-5_D3_B2")


def write_runs(config, series=CURVES):
    """Write the runs of a small study, as the stages publish them."""
    runs = config.paths.runs
    write_run(runs / "overfit_small" / "8_images", Run(series))
    sweep = {f"lr_finder/{name}": [(k, 10.0**-k) for k in (3, 2, 1)] for name in ("lr", "loss")}
    write_run(runs / "lr_finder" / "seed0", Run(sweep))
    for rank, name in enumerate(TRIALS):
        point = {"lr": 1e-3 * (rank + 1), "weight_decay": 1e-5, "seed": 1}
        metrics = {"hparam/score": 0.5 + 0.1 * rank, "hparam/best_val_accuracy": 0.9}
        write_run(runs / "grid_search" / name, Run(series, point, metrics))
    write_run(runs / "train" / TRIALS[0], Run(series))
    compared = {
        "lr": TRIALS[:2],
        "weight_decay": TRIALS[1:],
        "dilation_stage3": TRIALS[::2],
        "blocks_per_stage": TRIALS[:1],
    }
    facts = {f: {"curves": [{"name": n} for n in names]} for f, names in compared.items()}
    config.paths.artifacts.mkdir(parents=True, exist_ok=True)
    tree = {"compare_curves": {"source": "grid_search", **facts}}
    (config.paths.artifacts / "facts.json").write_text(json.dumps(tree))


def keep(config, view):
    """Put a picture of a view into the album, as if it had been taken."""
    folder = config.paths.artifacts / "captures"
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), "orange").save(folder / f"{view.name}.png")
    index = {view.name: {"digest": view.digest(config.paths.runs), "alt": "Des courbes"}}
    (folder / INDEX).write_text(json.dumps(index))


def test_views_show_the_runs_that_are_there(tiny):
    assert list_views(tiny) == []
    write_runs(tiny)
    views = {view.name: view for view in list_views(tiny)}
    assert tuple(views) == captures.VIEWS
    assert len(views["grid"].runs) == 3 and not views["grid"].tags
    assert views["compare_lr"].runs == tuple(f"grid_search/{name}" for name in TRIALS[:2])
    assert views["compare_model"].runs == tuple(f"grid_search/{name}" for name in TRIALS[::2])
    shutil.rmtree(tiny.paths.runs / "train")
    (tiny.paths.runs / "train" / "unfinished").mkdir(parents=True)
    assert "train" not in {view.name for view in list_views(tiny)}


def test_an_address_filters_runs_and_tags(tiny):
    write_runs(tiny)
    view = next(view for view in list_views(tiny) if view.name == "compare_lr")
    assert view.folder == "grid_search"
    assert "runFilter=%5E%28lr1e%5C-3_wd1e%5C-5_D2_B2%7C" in view.address
    assert view.address.endswith("#timeseries")


def test_a_picture_of_other_runs_is_not_shown(tiny):
    write_runs(tiny)
    keep(tiny, list_views(tiny)[0])
    (found,) = captures.find_captures(tiny).values()
    assert (found.name, found.alt) == ("overfit", "Des courbes")
    write_runs(tiny, CURVES | {"train/loss": [(1, 9.0)]})
    assert captures.find_captures(tiny) == {}


def test_a_diverged_run_is_described_as_such(tiny):
    write_runs(tiny)
    runs = tiny.paths.runs
    write_run(runs / "grid_search" / TRIALS[1], Run({"train/loss": [(1, float("nan"))]}))
    view = next(view for view in list_views(tiny) if view.name == "compare_lr")
    text = describe(view, runs)
    assert f"{TRIALS[0]} finit à train/loss 0,667, val/accuracy 0,667" in text
    assert f"{TRIALS[1]} diverge" in text


def test_without_runs_one_is_told_what_to_do(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert main([]) == 2
    assert "no runs to show yet; compute them: make report" in capsys.readouterr().err


def test_a_browser_is_found_or_asked_for(monkeypatch, tmp_path):
    program = tmp_path / "my-chromium"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv(browsers.VARIABLE, str(program))
    assert browsers.system_chromium() == str(program)
    monkeypatch.setenv(browsers.VARIABLE, "no-such-browser")
    with pytest.raises(UserError, match="CHROMIUM=no-such-browser: no such program"):
        browsers.system_chromium()
    monkeypatch.delenv(browsers.VARIABLE)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browsers, "PLACES", ())
    assert browsers.system_chromium() is None
    program.rename(tmp_path / "chromium")
    assert browsers.system_chromium() == str(tmp_path / "chromium")


def test_a_picture_of_few_colours_is_small():
    stream = io.BytesIO()
    Image.effect_noise((200, 100), 60).convert("RGB").save(stream, "PNG")
    small = compress(stream.getvalue())
    assert len(small) < len(stream.getvalue())
    assert Image.open(io.BytesIO(small)).size == (200, 100)


@pytest.mark.slow
def test_tensorboard_is_really_photographed(tiny):
    try:
        with browsers.chromium() as browser:
            assert browser.version
    except UserError as error:
        pytest.skip(str(error))
    write_runs(tiny)
    for name in ("lr_finder", "train"):
        shutil.rmtree(tiny.paths.runs / name)
    (tiny.paths.artifacts / "facts.json").write_text("{}")
    taken = {capture.name: capture for capture in take_captures(tiny)}
    assert list(taken) == ["overfit", "grid"]
    assert captures.find_captures(tiny) == taken
    assert "train/loss 0,667" in taken["overfit"].alt and "les 3 essais" in taken["grid"].alt
    for capture in taken.values():
        picture = Image.open(capture.path).convert("RGB")
        assert picture.width > 1000 and picture.height > 500
        assert capture.path.stat().st_size < 150_000
        shown = {color for _, color in picture.getcolors(1 << 20)}
        assert len(shown) > 20 and (245, 124, 0) in {round_to(c) for c in shown}


def round_to(color):
    """TensorBoard's orange, whatever the palette made of it."""
    return (245, 124, 0) if abs(color[0] - 245) + abs(color[1] - 124) + color[2] < 30 else color


def test_on_paper_one_line_stands_for_all_missing_pictures():
    places = "".join(
        f'<div class="cell">{screenshots.markup(name, "Une légende.", None)}</div>'
        for name in ("overfit", "grid")
    )
    main = lxml.html.fromstring(f"<main>{places}</main>")
    screenshots.unprint(main)
    (line,) = main.xpath(".//p")
    assert line.get("class") == "elsewhere" and "make captures" in line.text_content()
    assert not main.xpath(".//*[@data-capture]")


def test_comparisons_show_the_cards_alone(tiny):
    write_runs(tiny)
    views = {view.name: view for view in list_views(tiny)}
    assert views["train"].bars and not views["compare_wd"].bars
    assert views["compare_wd"].tags == ("train/accuracy", "val/accuracy")
