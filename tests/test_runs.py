"""Runs beside each other: found, listed, compared, swept, computed once more."""

import json
import re
import shutil
from pathlib import Path

import lxml.html
import pandas as pd
import pytest
from scipy.stats import binomtest
from settings import ROOT

from eurosat_lib import protocol
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.report import reruns, run, runs
from eurosat_lib.report.__main__ import main
from eurosat_lib.report.request import Request
from eurosat_lib.report.reruns import read_sweep, reproduce
from eurosat_lib.report.runs import differing, find_run, find_runs, write_index
from eurosat_lib.trainings import ChosenLR, choose_lr


def compute(config, name, **values):
    """Train and evaluate in a moment, under a name."""
    overrides = {"paths.name": name} | {f"train.{key}": item for key, item in values.items()}
    config = override(config, overrides)
    protocol.train(config)
    protocol.evaluate(config)
    return config


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What the first test to need them has computed, for the others to copy."""
    return tmp_path_factory.mktemp("kept") / "project"


@pytest.fixture
def two(on_blobs, kept, monkeypatch):
    """The unnamed run and ``slow``, which has another learning rate and one epoch less."""
    root = on_blobs.paths.root
    monkeypatch.chdir(root)
    if not kept.exists():
        compute(on_blobs, "", lr=1e-2)
        compute(on_blobs, "slow", lr=3e-4, max_epochs=1)
        shutil.copytree(root, kept)
    shutil.copytree(kept, root, dirs_exist_ok=True)
    return on_blobs


@pytest.fixture
def place(two):
    return Path(two.paths.root)


def edit(path, change):
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


# --- the list -----------------------------------------------------------------------------------


def test_what_differs_is_what_was_given_and_not_what_a_profile_says(place):
    (place / "artifacts/results/facts.json").write_text('{"a": {}}')  # a folder of every run
    assert [found.paths.name for found in find_runs(place)] == ["", "slow"]
    (place / "artifacts/slow/params.yaml").write_text("overfit_epochs: 3\n")
    found = find_run(place, "slow")
    assert (found.settings["train.lr"], found.settings["overfit.epochs"]) == (3e-4, 3)
    assert not [key for key in found.settings if key.startswith(("paths", "compute", "identity"))]
    keys = ["overfit.epochs", "train.lr", "train.max_epochs"]
    assert sorted(differing(find_runs(place))) == keys
    edit(
        place / "artifacts/slow/results/train.json", lambda t: t["config"].update(profile="quick")
    )
    assert sorted(differing(find_runs(place))) == ["overfit.epochs", "profile"]


def test_the_list_shows_runs_with_what_differs_and_links_to_their_files(two, place):
    (place / "reports/comparaisons").mkdir(parents=True)
    (place / "reports/comparaisons/_+slow.html").touch()
    (place / "artifacts/slow/<b>").mkdir()
    page = lxml.html.fromstring(write_index(place).read_text(encoding="utf-8"))
    unnamed, slow = (row.text_content() for row in page.xpath("//table/tbody/tr"))
    accuracy = json.loads((place / "artifacts/slow/facts.json").read_text())["evaluate"][
        "accuracy"
    ]
    assert "sans nom" in unnamed and f"{100 * accuracy:.2f}".replace(".", ",") in slow
    assert "lr = 0.0003" in slow and "max_epochs = 1" in slow
    links = page.xpath("//a/@href")
    assert "../artifacts/slow/metrics.json" in links and "comparaisons/_%2Bslow.html" in links
    assert "sans nom et slow" in page.text_content()
    protocol.train(override(two, {"paths.name": "slow", "train.lr": 5e-4}))  # not evaluated anew
    assert "autre checkpoint" in write_index(place).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"train": 1, "provenance": {"a": 1}}'])
def test_damaged_files_of_a_run_stop_no_list(place, text):
    for path in place.glob("artifacts/slow/**/*.json"):
        path.write_text(text)
    assert "sans nom" in write_index(place).read_text()
    shutil.rmtree(place / "artifacts")
    assert "make report" in write_index(place).read_text()


def test_the_landing_page_shows_what_is_kept_of_each_notebook(two, place):
    shutil.copytree(ROOT / "notebooks", place / "notebooks")
    page = runs.show_steps(two).data
    assert (
        "1\u00a0résultat sur" in page
        and "0\u00a0résultat sur" in page
        and "06_train.ipynb" in page
    )
    assert "slow" in runs.show_runs(two).data


def test_a_finished_run_is_computed_by_no_command(two, place, monkeypatch, capsys):
    (place / "artifacts/slow/MODEL_CARD.md").touch()
    before = (place / "artifacts/slow/facts.json").read_bytes()
    with pytest.raises(UserError, match="slow: a finished run; FROZEN=1 takes it as it is"):
        protocol.train(override(two, {"paths.name": "slow", "train.lr": 5e-4}))
    assert (place / "artifacts/slow/facts.json").read_bytes() == before
    monkeypatch.setenv("FROZEN", "1")
    assert protocol.train(override(two, {"paths.name": "slow"})).facts()["epochs"] == 1
    assert main(["reproduce", "--name", "slow"]) == 2
    assert "FROZEN=1 computes nothing" in capsys.readouterr().err


# --- two of them --------------------------------------------------------------------------------


def test_a_pair_is_tested_image_by_image(place):
    pair = find_run(place, ""), find_run(place, "slow")
    frames = [pd.read_csv(one.paths.artifacts / "predictions.csv") for one in pair]
    right = [frame.truth == frame.prediction for frame in frames]
    only = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
    p = binomtest(only[0], sum(only)).pvalue if sum(only) else 1
    shown = "p < 0,001" if p < 0.001 else f"p = {p:.3f}".replace(".", ",").rstrip("0").rstrip(",")
    assert shown in runs.verdict(*pair)
    assert f"{only[1]} que seul « slow » reconnaît" in runs.verdict(*pair)
    assert runs.curves(*pair).get_label().count("slow") == 1
    table = runs.side_by_side(*pair)
    assert list(table.columns) == ["sans nom", "slow"]
    assert list(table.loc["lr"]) == ["0.01", "0.0003"] and "Test" in table.index


def test_runs_without_a_common_test_are_not_paired(place):
    pair, path = (find_run(place, ""), find_run(place, "slow")), place / "artifacts/slow"
    (path / "predictions.csv").write_text("name,truth,prediction\nx.jpg,Forest,Forest\n")
    assert "pas été testés sur les mêmes images" in runs.verdict(*pair)
    (path / "predictions.csv").unlink()
    assert runs.verdict(*pair).endswith("rien à comparer : slow.")


def test_a_comparison_wants_two_runs_and_removes_what_a_killed_one_left(
    place, monkeypatch, capsys
):
    assert main(["compare", "slow", "slow"]) == 2
    assert main(["compare", "slow", "slwo"]) == 2
    error = capsys.readouterr().err
    assert "two runs" in error and "slwo: no such run (did you mean slow?); runs:" in error
    (place / "reports/comparaisons/.compare-x").mkdir(parents=True)

    def execute(source, output, values, root):
        output.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')

    monkeypatch.setattr(run, "execute", execute)
    assert main(["compare", "", "slow"]) == 0
    assert not list((place / "reports/comparaisons").glob(".compare-*"))
    assert "_%2Bslow.html" in (place / "reports/index.html").read_text()


# --- sweeps -------------------------------------------------------------------------------------


@pytest.fixture
def project(root, monkeypatch):
    """A project with the real notebooks' parameters; nothing is executed."""
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.chdir(root)
    return root


def request(**fields):
    return Request(profile="quick", data="synthetic", **fields)


def test_a_sweep_names_its_runs(project):
    file = project / "sweep.yaml"
    file.write_text("- {name: base}\n- lr: 3e-4\n- {lr: 1.0e-3, max_epochs: 5}\n")
    requests = read_sweep(str(file), request(params="-p max_epochs 2"))
    assert list(requests) == ["base", "lr3e-4", "lr0.001_max_epochs5"]
    config = run.prepare(requests["lr3e-4"]).config
    assert (config.train.lr, config.train.max_epochs, config.paths.name) == (3e-4, 2, "lr3e-4")
    names = list(read_sweep(str(ROOT / "configs/sweeps/lr.yaml"), request()))
    assert names == ["lr3e-4", "lr1e-3", "lr0.001_weight_decay0.001"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- lr: 0.1\n- {lr: 0.2, max_epoch: 3}", "set 2 .*did you mean max_epochs"),
        ("- lr: 0.1\n- lr: 0.1", "set 2: the name lr0.1 is taken"),
        ("- {}", "set 1 is empty"),
        ("- name: answers", "folder or file of every run"),
        ("lr: 0.1", "expected a list"),
        ("- lr", "set 1: expected name: value, got 'lr'"),
        ("- [", "sweep.yaml: while parsing"),
        (None, "No such file"),
    ],
)
def test_a_wrong_sweep_is_refused_as_a_whole(project, text, message):
    file = project / "sweep.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_sweep(str(file), request())


def test_a_sweep_goes_on_after_failures(project, monkeypatch, capsys):
    file = project / "sweep.yaml"
    file.write_text("".join(f"- {{name: {n}}}\n" for n in ("bad", "bug", "good")))
    failures = {"bad": run.NotebookFailed("06_train, cell 3: oh"), "bug": RuntimeError("oh")}

    def build(request):
        if request.name in failures:
            raise failures[request.name]

    monkeypatch.setattr(reruns, "build", build)
    options = ["sweep", "--profile", "quick", "--data", "synthetic", str(file)]
    assert main(options) == 1
    said = capsys.readouterr().out
    assert "06_train, cell 3: oh" in said and "RuntimeError: oh" in said and "good: done" in said
    file.write_text("- name: good\n")
    assert main(options) == 0
    assert main([*options, "--name", "x"]) == 2
    assert "NAME is given to each run" in capsys.readouterr().err


# --- reproduction -------------------------------------------------------------------------------


def test_a_reproduction_is_computed_anew_and_the_same(two, place, capsys):
    shared = sorted(path.name for path in two.paths.stages.iterdir())
    assert reproduce(place, "slow")
    own = place / "artifacts/reproduction-slow/.stages"
    assert {p.name.split("-")[0] for p in own.iterdir() if p.is_dir()} == {"training", "evaluate"}
    assert sorted(path.name for path in two.paths.stages.iterdir()) == shared
    said = capsys.readouterr().out
    assert "reproduced: every fact is the same to the bit" in said
    assert "train: the same to the bit" in said


def test_a_reproduction_says_what_differs_and_why(place, capsys):
    edit(place / "artifacts/slow/facts.json", lambda tree: tree["evaluate"].update(loss=9.5))
    path = place / "artifacts/slow/results/evaluate.json"
    edit(path, lambda tree: tree["provenance"].update(torch="1.0"))
    assert not reproduce(place, "slow")
    said = capsys.readouterr().out
    assert "evaluate: 1 of" in said and "; loss: 9.5 -> " in said and "torch: 1.0 -> 2" in said
    marker = place / "artifacts/reproduction-slow/.stages/marker"
    marker.touch()
    assert main(["reproduce", "--name", "slow"]) == 1
    assert not marker.exists()  # a complete reproduction is begun afresh


def test_part_of_a_run_is_computed_again_on_what_git_holds(two, place, capsys):
    """As in a fresh clone: published results and the checkpoint, no stage cache."""
    shutil.rmtree(two.paths.stages)
    shutil.rmtree(place / "runs")
    assert reproduce(place, "slow", "evaluate")
    said = capsys.readouterr().out
    assert "evaluate: the same to the bit" in said and "train:" not in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "nothing"], "nothing: no such run"),
        (["--name", "slow", "--stages", "evluate"], r"evluate .*\(did you mean evaluate\?\)"),
        (["--name", "slow"], "another run has the name"),
    ],
)
def test_a_reproduction_refuses_what_it_cannot_do(place, capsys, options, message):
    (place / "artifacts/reproduction-slow").mkdir()
    assert main(["reproduce", *options]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list((place / "artifacts/reproduction-slow").iterdir())


def test_a_result_of_an_older_version_and_a_finished_reproduction_are_refused(place, capsys):
    card = place / "artifacts/reproduction-slow/MODEL_CARD.md"
    (card.parent / ".stages").mkdir(parents=True)
    card.touch()
    (card.parent / "reproduction.json").touch()
    assert main(["reproduce", "--name", "slow"]) == 2 and card.exists()
    shutil.rmtree(card.parent)
    path = place / "artifacts/slow/results/train.json"
    edit(path, lambda tree: tree["config"]["train"].update(gone=1))
    assert main(["reproduce", "--name", "slow"]) == 2
    error = capsys.readouterr().err
    assert "a finished run" in error and "train, another version" in error


def test_a_choice_by_hand_is_a_difference_and_is_reproduced(two, place):
    free = override(two, {"paths.name": "slow", "grid.lr": None, "grid.dilation_stage3": [2]})
    choose_lr(free, ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    assert "lr" not in find_run(place, "slow").given  # no grid was built on it yet
    protocol.grid_search(free)
    text = write_index(place).read_text(encoding="utf-8")
    assert "LR choisi à la main (04) = 0.002" in text
    assert reproduce(place, "slow", "grid_search")
    assert find_run(place, "reproduction-slow").given["lr"] == 2e-3


def test_the_spatial_split_is_reproduced_with_the_run(two, place, capsys):
    """Its results are stored with the split they made; the stages make it again."""
    protocol.compare_splits(compute(two, "cut", lr=1e-2, max_epochs=1))
    assert reproduce(place, "cut")
    assert "evaluate_spatial: the same to the bit" in capsys.readouterr().out
    assert find_run(place, "reproduction-cut").score("evaluate_spatial")["n"] == 40
