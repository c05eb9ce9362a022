"""Runs beside each other: found, listed, compared, swept, computed once more."""

import csv
import json
import re
import shutil
from pathlib import Path

import lxml.html
import pytest
from scipy.stats import binomtest
from settings import ROOT

from eurosat_lib import protocol
from eurosat_lib.choices import ChosenLR, choose_lr
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.report import reruns, run, runs
from eurosat_lib.report.__main__ import main
from eurosat_lib.report.request import Request
from eurosat_lib.report.reruns import judge, read_sweep, reproduce
from eurosat_lib.report.runs import Pair, differing, find_run, find_runs, write_index, written


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


def rows_of(path):
    page = lxml.html.fromstring(path.read_text(encoding="utf-8"))
    return page, page.xpath("//table/tbody/tr")


# --- the list -----------------------------------------------------------------------------------


def test_runs_are_found_and_say_what_they_are(place):
    (place / "artifacts/results/facts.json").write_text('{"a": {}}')  # a folder of every run
    assert [found.name for found in find_runs(place)] == ["", "slow"]
    slow = find_run(place, "slow")
    assert (slow.facts["train"]["epochs"], slow.score("evaluate")["n"]) == (1, 40)
    assert not slow.tested_other
    with pytest.raises(UserError, match=r"slwo: no such run \(did you mean slow\?\)"):
        find_run(place, "slwo")


def test_a_test_score_of_another_checkpoint_is_noticed(two, place):
    protocol.train(override(two, {"paths.name": "slow", "train.lr": 5e-4}))  # not evaluated anew
    assert find_run(place, "slow").tested_other
    assert "autre checkpoint" in write_index(place).read_text(encoding="utf-8")


def test_what_differs_is_what_was_given_and_not_what_a_profile_says(two, place):
    (two.paths.artifacts / "slow/params.yaml").write_text("overfit_epochs: 3\n")
    found = find_run(place, "slow")
    assert (found.settings["train.lr"], found.settings["overfit.epochs"]) == (3e-4, 3)
    assert not [key for key in found.settings if key.startswith(("paths", "compute", "identity"))]
    keys = ["overfit.epochs", "train.lr", "train.max_epochs"]
    assert sorted(differing(find_runs(place))) == keys
    path = two.paths.artifacts / "slow/results/train.json"
    tree = json.loads(path.read_text())
    tree["config"]["profile"] = "quick"
    path.write_text(json.dumps(tree))
    assert "profile" in differing(find_runs(place))


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (3e-4, "3\u202f×\u202f10⁻⁴"),
        (0.25, "0,25"),
        (16200, "16\u202f200"),
        (None, "automatique"),
        (True, "oui"),
        ([1, 2], "[1 ; 2]"),
    ],
)
def test_values_are_french(item, text):
    assert written(item) == text


def test_the_list_shows_runs_with_what_differs_and_links_to_their_files(two, place):
    (place / "reports/comparaisons").mkdir(parents=True)
    (place / "reports/comparaisons/_+slow.html").touch()
    (two.paths.artifacts / "slow/<b>").mkdir()
    page, (unnamed, slow) = rows_of(write_index(place))
    assert unnamed[0].text_content() == "sans nom"
    facts = json.loads((two.paths.artifacts / "slow/facts.json").read_text())["evaluate"]
    shown = f"{100 * facts['accuracy']:.2f}".replace(".", ",")
    text = slow.text_content()
    assert shown in text and "lr = 3\u202f×\u202f10⁻⁴" in text and "max_epochs = 1" in text
    links = page.xpath("//a/@href")
    assert "../artifacts/slow/metrics.json" in links and "comparaisons/_%2Bslow.html" in links
    assert "sans nom et slow" in page.text_content()


def test_the_list_is_written_when_a_run_has_changed(two, place):
    runs.refresh_index(place)
    path = place / "reports/index.html"
    before = path.stat().st_mtime_ns
    runs.refresh_index(place)
    assert path.stat().st_mtime_ns == before
    compute(two, "third", lr=2e-3, max_epochs=1)
    (two.paths.artifacts / "slow/facts.json").write_text('{"train": {"loss": 1}}')  # of old
    runs.refresh_index(place)
    assert "third" in path.read_text()


def test_a_list_without_runs_says_how_to_make_one(tiny):
    assert "make report" in write_index(Path(tiny.paths.root)).read_text()


def test_the_landing_page_shows_what_is_kept_of_each_notebook(two, place, capsys):
    shutil.copytree(ROOT / "notebooks", place / "notebooks")
    runs.show_steps(two)  # outside of a notebook IPython prints the object's name
    runs.show_runs(two)
    assert capsys.readouterr().out.count("HTML") == 2


# --- two of them --------------------------------------------------------------------------------


def test_a_pair_is_tested_image_by_image(two, place):
    pair = Pair.find(place, "", "slow")
    tables = []
    for name in ("", "slow"):
        with open(two.paths.artifacts / name / "predictions.csv", newline="") as file:
            tables.append([row["truth"] == row["prediction"] for row in csv.DictReader(file)])
    only = [sum(a > b for a, b in zip(*order, strict=True)) for order in (tables, tables[::-1])]
    p = binomtest(only[0], sum(only)).pvalue if sum(only) else 1
    shown = "p < 0,001" if p < 0.001 else f"p = {p:.3f}".replace(".", ",").rstrip("0").rstrip(",")
    assert shown in pair.verdict()
    assert f"{only[1]} que seul « slow » reconnaît" in pair.verdict()
    assert pair.curves().get_label().count("slow") == 1
    assert list(pair.scores().columns) == ["sans nom", "slow"]
    assert list(pair.differences().loc["lr"]) == ["0,01", "3\u202f×\u202f10⁻⁴"]


def test_runs_without_a_common_test_are_not_paired(two, place):
    path = two.paths.artifacts / "slow/predictions.csv"
    path.write_text("name,truth,prediction\nx.jpg,Forest,Forest\n")
    assert "pas été testés sur les mêmes images" in Pair.find(place, "", "slow").verdict()
    path.unlink()
    assert Pair.find(place, "", "slow").verdict().endswith("rien à comparer : slow.")


def test_a_comparison_wants_two_runs_and_says_which_there_are(two, capsys):
    assert main(["compare", "slow", "slow"]) == 2
    assert main(["compare", "slow", "fast"]) == 2
    error = capsys.readouterr().err
    assert "two runs" in error and "fast: no such run; runs: the unnamed one, slow" in error


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
    file.write_text(
        "- {name: base}\n- lr: 3e-4\n- {lr: 1.0e-3, max_epochs: 5, lr_seeds: [0, 1]}\n"
    )
    requests = read_sweep(file, request(params="-p max_epochs 2"))
    assert list(requests) == ["base", "lr3e-4", "lr0.001_max_epochs5_lr_seeds0-1"]
    config = run.prepare(requests["lr3e-4"]).config
    assert (config.train.lr, config.train.max_epochs, config.paths.name) == (3e-4, 2, "lr3e-4")
    config = run.prepare(requests["lr0.001_max_epochs5_lr_seeds0-1"]).config
    assert (config.train.max_epochs, config.lr_finder.seeds) == (5, (0, 1))
    names = list(read_sweep(ROOT / "configs/sweeps/lr.yaml", request()))
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
        ("- [", "not readable as YAML"),
    ],
)
def test_a_wrong_sweep_is_refused_as_a_whole(project, text, message):
    file = project / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_sweep(file, request())
    with pytest.raises(UserError, match="No such file"):
        read_sweep(project / "none.yaml", request())


def test_a_sweep_goes_on_after_failures_and_skips_what_is_done(project, monkeypatch, capsys):
    file = project / "sweep.yaml"
    file.write_text("".join(f"- {{name: {n}}}\n" for n in ("done", "bad", "bug", "good")))
    built = []

    def build(request):
        built.append(request.name)
        if request.name == "bad":
            raise run.NotebookFailed("06_train, cell 3: oh")
        if request.name == "bug":
            raise RuntimeError("oh")

    monkeypatch.setattr(reruns, "is_current", lambda request: request.name == "done")
    monkeypatch.setattr(reruns, "build", build)
    verdicts = reruns.sweep(read_sweep(file, request()))
    assert built == ["bad", "bug", "good"]
    assert verdicts == {
        "done": "done before, skipped",
        "bad": "failed: 06_train, cell 3: oh",
        "bug": "failed: RuntimeError: oh",
        "good": "done",
    }
    options = ["sweep", "--profile", "quick", "--data", "synthetic", str(file)]
    assert main(options) == 1
    file.write_text("- name: good\n")
    assert main(options) == 0
    assert main([*options, "--name", "x"]) == 2
    assert "NAME is given to each run" in capsys.readouterr().err


# --- reproduction -------------------------------------------------------------------------------


def test_a_verdict_compares_values_and_leaves_times_aside():
    before = {"loss": 1.0, "epochs": [{"a": 1, "seconds": 3.0}], "name": "x", "nan": float("nan")}
    after = {"loss": 1.0, "epochs": [{"a": 1, "seconds": 9.0}], "name": "x", "nan": float("nan")}
    assert judge("train", before, after) == (True, "train: the same to the bit (4 values)")
    after["epochs"][0]["a"], after["loss"] = 1.25, 0.5
    line = "train: 2 of 4 values differ, within 5.0e-01 (relative); loss: 1 -> 0.5"
    assert judge("train", before, after) == (False, line)
    del after["name"]
    assert "within" not in judge("train", before, after)[1]


def test_a_reproduction_is_computed_anew_and_the_same(two, place, capsys):
    shared = sorted(path.name for path in two.paths.stages.iterdir())
    assert reproduce(place, "slow")
    own = place / "artifacts/reproduction-slow/.stages"
    assert {p.name.split("-")[0] for p in own.iterdir() if p.is_dir()} == {"training", "evaluate"}
    assert sorted(path.name for path in two.paths.stages.iterdir()) == shared
    said = capsys.readouterr().out
    assert "reproduced: every number is the same to the bit" in said
    assert "train: the same to the bit" in said
    verdict = json.loads((place / "artifacts/reproduction-slow/reproduction.json").read_text())
    assert verdict["same"] is True


def test_a_reproduction_says_what_differs_and_why(two, place, capsys):
    path = place / "artifacts/slow/results/train.json"
    tree = json.loads(path.read_text())
    tree["result"]["fit"]["epochs"][0]["val_loss"] *= 1.5
    tree["provenance"]["torch"] = "1.0"
    path.write_text(json.dumps(tree))
    assert not reproduce(place, "slow")
    said = capsys.readouterr().out
    assert "train: 1 of" in said and "fit.epochs.0.val_loss" in said
    assert "torch: 1.0 -> 2" in said and "inside its 95% interval" in said
    marker = place / "artifacts/reproduction-slow/.stages/marker"
    marker.touch()
    assert main(["reproduce", "--name", "slow"]) == 1
    assert not marker.exists()  # a complete reproduction is begun afresh


def test_a_reproduction_refuses_what_it_cannot_do(two, place, capsys):
    (place / "artifacts/reproduction-slow").mkdir()
    with pytest.raises(UserError, match="another run has the name"):
        reproduce(place, "slow")
    with pytest.raises(UserError, match="nothing: no such run"):
        reproduce(place, "nothing")
    path = place / "artifacts/slow/results/train.json"
    tree = json.loads(path.read_text())
    del tree["config"]
    path.write_text(json.dumps(tree))
    assert main(["reproduce", "--name", "slow"]) == 2
    assert "stored no configuration" in capsys.readouterr().err


def test_part_of_a_run_is_computed_again_on_what_git_holds(two, place, capsys):
    """As in a fresh clone: published results and the checkpoint, no stage cache."""
    shutil.rmtree(two.paths.stages)
    shutil.rmtree(place / "runs")
    assert reproduce(place, "slow", ["evaluate"])
    said = capsys.readouterr().out
    assert said.startswith("taken as they are: train\n")
    assert "evaluate: the same to the bit" in said and "train:" not in said.partition("\n")[2]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("evluate", r"no stage evluate \(did you mean evaluate\?\)"),
        ("lr_finder", "slow has no result of lr_finder"),
        ("evaluate compare_splits", "compare_splits trains anew; name train_spatial and"),
    ],
)
def test_a_part_that_cannot_be_computed_is_refused(place, capsys, stages, message):
    results = place / "artifacts/slow/results"
    for name in ("compare_splits", "train_spatial", "evaluate_spatial"):
        shutil.copy(results / "train.json", results / f"{name}.json")
    assert main(["reproduce", "--name", "slow", "--stages", stages]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (place / "artifacts/reproduction-slow").exists()


def test_a_choice_by_hand_is_a_difference_and_is_reproduced(two, place, capsys):
    free = override(two, {"paths.name": "slow", "grid.lr": None, "grid.dilation_stage3": [2]})
    choose_lr(free, ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    assert find_run(place, "slow").chosen_lr is None  # no grid was built on it yet
    protocol.grid_search(free)
    protocol.train(free)
    protocol.evaluate(free)
    text = write_index(place).read_text(encoding="utf-8")
    assert "LR choisi à la main (04) = 2\u202f×\u202f10⁻³" in text
    assert reproduce(place, "slow")
    assert "chosen by hand in notebook 04: 0.002" in capsys.readouterr().out
    new = find_run(place, "reproduction-slow")
    assert new.chosen_lr == find_run(place, "slow").chosen_lr


def test_the_spatial_split_is_reproduced_with_the_run(two, place, capsys):
    """Its results are stored with the split they made; the stages make it again."""
    protocol.compare_splits(compute(two, "cut", lr=1e-2, max_epochs=1))
    assert reproduce(place, "cut")
    assert "train_spatial: the same to the bit" in capsys.readouterr().out
    assert find_run(place, "reproduction-cut").score("evaluate_spatial")["n"] == 40
