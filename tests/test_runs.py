"""Runs beside each other: found, listed, compared, swept, computed once more."""

import json
import re
import shutil

import lxml.html
import pandas as pd
import pytest
from report_sample import code, markdown, write
from settings import ROOT

from eurosat_lib import protocol
from eurosat_lib.config import override
from eurosat_lib.errors import NotebookFailed, UserError
from eurosat_lib.french import signe
from eurosat_lib.protocol import ChosenLR, choose_lr
from eurosat_lib.report import runs
from eurosat_lib.report.__main__ import main
from eurosat_lib.report.plan import parameters, prepare
from eurosat_lib.report.runs import differing, find_run, find_runs, reproduce, write_index


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
def two(on_blobs, root, kept, monkeypatch):
    """The unnamed run and ``slow``, which has another learning rate and one epoch less."""
    monkeypatch.chdir(root)
    if not kept.exists():
        compute(on_blobs, "", lr=1e-2)
        compute(on_blobs, "slow", lr=3e-4, max_epochs=1)
        shutil.copytree(root, kept)
    shutil.copytree(kept, root, dirs_exist_ok=True)
    return on_blobs


@pytest.fixture
def slow(two, root):
    return root / "artifacts/slow"


def edit(path, change):
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


# --- the list -----------------------------------------------------------------------------------


def test_what_differs_is_what_was_given_and_not_what_a_profile_says(root, slow):
    (root / "artifacts/results/facts.json").write_text('{"a": {}}')  # a folder of every run
    assert list(find_runs(root)) == ["", "slow"]
    (slow / "params.yaml").write_text("overfit_epochs: 3\n")
    found = find_run(root, "slow")
    assert (found.settings["train.lr"], found.settings["overfit.epochs"]) == (3e-4, 3)
    assert not [key for key in found.settings if key.startswith(("paths", "compute", "identity"))]
    told = sorted(differing(find_runs(root).values()))
    assert told == ["overfit.epochs", "train.lr", "train.max_epochs"]
    edit(slow / "results/train.json", lambda tree: tree["config"].update(profile="quick"))
    assert sorted(differing(find_runs(root).values())) == ["overfit.epochs", "profile"]


def test_the_list_shows_runs_with_what_differs_and_links_to_their_files(two, root, slow):
    (root / "reports/comparaisons").mkdir(parents=True)
    for pair in ("_+slow", "gone+slow"):
        (root / f"reports/comparaisons/{pair}.html").touch()
    for stage, *spent in (("train", 3600, "2026-03-01"), ("evaluate", 60, "2026-02-28")):
        origin = {"provenance": dict(zip(("seconds", "started"), spent, strict=True))}
        edit(slow / f"results/{stage}.json", lambda tree, origin=origin: tree.update(origin))
    page = lxml.html.fromstring(write_index(root).read_text(encoding="utf-8"))
    unnamed, named = (row.text_content() for row in page.xpath("//table/tbody/tr"))
    assert "1 h 01 min" in named.replace("\xa0", " ") and "2026-03-01" in named
    accuracy = json.loads((slow / "facts.json").read_text())["evaluate"]["accuracy"]
    assert "sans nom" in unnamed and f"{100 * accuracy:.2f}".replace(".", ",") in named
    assert "lr = 0.0003" in named and "max_epochs = 1" in named
    links = page.xpath("//a/@href")
    assert "../artifacts/slow/metrics.json" in links and "comparaisons/_%2Bslow.html" in links
    text = page.text_content()
    assert "sans nom et slow" in text and "gone" not in text and "à refaire" not in text
    protocol.train(override(two, {"paths.name": "slow", "train.lr": 5e-4}))  # not evaluated anew
    text = write_index(root).read_text(encoding="utf-8")
    assert "autre checkpoint" in text and "sans nom et slow</a> (à refaire)" in text


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"train": 1, "provenance": {"a": 1}}'])
def test_damaged_files_of_a_run_stop_no_list(two, root, text):
    for path in root.glob("artifacts/slow/**/*.json"):
        path.write_text(text)
    assert "sans nom" in write_index(root).read_text()
    shutil.rmtree(root / "artifacts")
    assert "make report" in write_index(root).read_text()


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("facts", lambda tree: tree["evaluate"].pop("checkpoint_sha256")),  # an older version
        ("facts", lambda tree: tree["evaluate"].update(accuracy=None)),
        ("facts", lambda tree: tree["evaluate"].update(accuracy="0,93")),
        ("facts", lambda tree: tree["evaluate"].update(low=float("nan"))),
        ("results/train", lambda tree: tree["provenance"].update(seconds="12")),
        ("results/train", lambda tree: tree.update(provenance="x")),
        ("results/train", lambda tree: tree.update(config=[1])),
        ("results/train", lambda tree: tree.update(config="x")),
    ],
)
def test_a_foreign_run_is_said_in_its_row_and_not_compared(root, slow, capsys, file, change):
    edit(slow / f"{file}.json", change)
    page = lxml.html.fromstring(write_index(root).read_text(encoding="utf-8"))
    unnamed, named = (row.text_content() for row in page.xpath("//table/tbody/tr"))
    assert "slow" in named and runs.UNREADABLE in named and "NaN" not in named
    assert runs.UNREADABLE not in unnamed and "[" in unnamed  # its intervals
    assert main(["compare", "", "slow"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "artifacts/slow: results that are damaged" in error


@pytest.mark.parametrize("text", ["", "{}", '{"cells": [1]}', '{"cells": [{"source": []}]}'])
def test_the_steps_name_a_damaged_notebook_and_count_no_foreign_result(two, root, text):
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    assert "<td>1 résultat sur" in runs.show_steps(two).data.replace("\xa0", " ")
    edit(root / "artifacts/results/train.json", lambda tree: tree["provenance"].pop("started"))
    assert "<td>1 résultat sur" in runs.show_steps(two).data.replace("\xa0", " ")
    edit(root / "artifacts/results/train.json", lambda tree: tree.update(provenance="x"))
    assert "<td>1 résultat sur" not in runs.show_steps(two).data.replace("\xa0", " ")
    write(root / "notebooks/01_data.ipynb", markdown(""), markdown("Avis\n\n# Mes données"))
    write(root / "notebooks/02_baselines.ipynb", code("# x"))
    links = lxml.html.fromstring(runs.show_steps(two).data).xpath("//a")
    assert [link.text for link in links][:2] == ["Mes données", "02_baselines"]
    (root / "notebooks/03_model_checks.ipynb").write_text(text)
    with pytest.raises(UserError, match=r"03_model_checks\.ipynb: not a readable notebook"):
        runs.show_steps(two)


# --- two of them --------------------------------------------------------------------------------


def test_a_pair_is_tested_image_by_image(root, slow):
    pair = find_run(root, ""), find_run(root, "slow")
    tested = pd.read_csv(slow / "predictions.csv")  # four images of each class
    tested.assign(prediction=tested.truth).to_csv(root / "artifacts/predictions.csv")
    scores = [run.facts["evaluate"] for run in pair]
    scores[0]["correct"] = len(tested)
    for prediction, says in (("Forest", "« sans nom » fait mieux"), (tested.truth, "Le test ne")):
        tested.assign(prediction=prediction).to_csv(slow / "predictions.csv")
        scores[1]["correct"] = int((tested.truth == prediction).sum())
        said, lost = runs.verdict(*pair), int((tested.truth != prediction).sum())
        assert said.startswith(f"**{says}") and runs.verdict(*pair[::-1]).startswith(f"**{says}")
        assert f"« slow » − « sans nom » est de {signe(-lost / len(tested), 2)}, " in said
        assert f"{lost} que seul « sans nom » reconnaît, 0 que seul « slow » reconnaît" in said
    assert runs.curves(*pair).get_label().count("slow") == 1
    table = runs.side_by_side(*pair)
    assert list(table.columns) == ["sans nom", "slow"]
    assert list(table.loc["lr"]) == ["0.01", "0.0003"] and "Test" in table.index
    (slow / "predictions.csv").write_text("name,truth,prediction\nx.jpg,Forest,Forest\n")
    with pytest.raises(UserError, match=r"slow/predictions\.csv: not what was evaluated"):
        runs.verdict(*pair)
    scores[1]["correct"] = 1
    assert "pas été testés sur les mêmes images" in runs.verdict(*pair)
    (slow / "predictions.csv").unlink()
    assert runs.verdict(*pair).startswith("Sans évaluation de « slow »")


def test_a_comparison_wants_two_runs_and_removes_what_a_killed_one_left(
    two, root, monkeypatch, capsys
):
    assert main(["compare", "slow", "slow"]) == 2
    assert main(["compare", "slow", "slwo"]) == 2
    error = capsys.readouterr().err
    assert "two runs" in error and "slwo: no such run (did you mean slow?); runs:" in error
    (root / "reports/comparaisons/.new/x").mkdir(parents=True)

    def execute(source, output, values, root):
        output.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')

    monkeypatch.setattr(runs, "execute", execute)
    assert main(["compare", "", "slow"]) == 0
    assert not (root / "reports/comparaisons/.new").exists()
    assert "_%2Bslow.html" in (root / "reports/index.html").read_text()


# --- sweeps -------------------------------------------------------------------------------------


@pytest.fixture
def sweep(root, monkeypatch):
    """Read a sweep, in a project with the real notebooks' parameters; nothing is executed."""
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.chdir(root)

    def read(text, **common):
        (root / "sweep.yaml").write_text(text)
        common = parameters(profile="quick", data="synthetic", **common)
        return runs.read_sweep("sweep.yaml", common)

    return read


def test_a_sweep_names_its_runs(sweep):
    text = "- {name: base}\n- lr: 3e-4\n- {lr: 1.0e-3, max_epochs: 5}\n"
    asked = sweep(text, params="-p max_epochs 2 -p lr 1")
    assert list(asked) == ["base", "lr3e-4", "lr0.001_max_epochs5"]
    config, *_ = prepare(asked["lr3e-4"])
    assert (config.train.lr, config.train.max_epochs, config.paths.name) == (3e-4, 2, "lr3e-4")
    names = list(sweep((ROOT / "configs/sweeps/lr.yaml").read_text()))
    assert names == ["lr3e-4", "lr1e-3", "lr0.001_weight_decay0.001"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- lr: 0.1\n- {lr: 0.2, max_epoch: 3}", "set 2 .*did you mean max_epochs"),
        ("- lr: 0.1\n- lr: 0.1", "set 2: the name lr0.1 is taken"),
        ("- {}", "set 1 is empty"),
        ("- name: answers", "folder of every run"),
        ("lr: 0.1", "expected a list"),
        ("- lr", "set 1: expected name: value, got 'lr'"),
        ("- [", "sweep.yaml: not readable .* while parsing"),
    ],
)
def test_a_wrong_sweep_is_refused_as_a_whole(sweep, text, message):
    with pytest.raises(UserError, match=message):
        sweep(text)


def test_a_sweep_goes_on_after_failures(sweep, monkeypatch, capsys):
    sweep("".join(f"- {{name: {n}}}\n" for n in ("bad", "bug", "good")))
    failures = {"bad": NotebookFailed("06_train, cell 3: oh"), "bug": RuntimeError("oh")}

    def build(asked):
        if asked["name"] in failures:
            raise failures[asked["name"]]

    monkeypatch.setattr(runs, "build", build)
    options = ["sweep", "--profile", "quick", "--data", "synthetic", "sweep.yaml"]
    assert main(options) == 1
    said = capsys.readouterr().out
    assert "06_train, cell 3: oh" in said and "RuntimeError: oh" in said and "good: done" in said
    sweep("- name: good\n")
    assert main(options) == 0
    assert [main([*options, "--name", "x"]), main(["sweep", "nowhere.yaml"])] == [2, 2]
    error = capsys.readouterr().err
    assert "NAME is given to each run" in error and "nowhere.yaml: " in error


# --- reproduction -------------------------------------------------------------------------------


def test_a_reproduction_is_computed_anew_and_says_what_differs(two, root, slow, capsys):
    shared = sorted(path.name for path in two.paths.stages.iterdir())
    assert reproduce(root, "slow")
    own = root / "artifacts/reproduction-slow/.stages"
    assert {p.name.split("-")[0] for p in own.iterdir() if p.is_dir()} == {"training", "evaluate"}
    assert sorted(path.name for path in two.paths.stages.iterdir()) == shared
    said = capsys.readouterr().out
    assert "reproduced: every fact is the same" in said and "train: the same to the bit" in said
    edit(slow / "facts.json", lambda tree: tree["evaluate"].update(loss=9.5))
    edit(slow / "results/train.json", lambda tree: tree["provenance"].update(torch="1.0"))
    edit(slow / "results/train.json", lambda tree: tree["config"]["compute"].update(engine="ray"))
    (own / "marker").touch()
    assert main(["reproduce", "--name", "slow"]) == 1
    said = capsys.readouterr().out
    assert "evaluate: 1 of" in said and "; loss: 9.5 -> " in said
    assert re.search(r"torch +1\.0 +2", said)
    assert not (own / "marker").exists()  # a complete reproduction is begun afresh


def test_a_reproduction_refuses_what_it_cannot_do(two, root, slow, monkeypatch, capsys):
    def refused(*words):
        assert main(["reproduce", *words]) == 2
        return capsys.readouterr().err

    assert "nothing: no such run" in refused("--name", "nothing")
    said = refused("--name", "slow", "--stages", "evluate")
    assert "evluate" in said and "(did you mean evaluate?)" in said
    with monkeypatch.context() as patch:
        patch.setenv("FROZEN", "1")
        assert "FROZEN=1 computes nothing" in refused("--name", "slow")
    new = root / "artifacts/reproduction-slow"
    new.mkdir()
    assert "another run has the name" in refused("--name", "slow") and not list(new.iterdir())
    (new / ".stages").mkdir()
    for name in ("MODEL_CARD.md", "reproduction.json"):
        (new / name).touch()
    assert "a finished run" in refused("--name", "slow") and (new / "MODEL_CARD.md").exists()
    shutil.rmtree(new)
    edit(slow / "results/train.json", lambda tree: tree["config"]["train"].update(gone=1))
    assert "train, another version" in refused("--name", "slow")
    (slow / "MODEL_CARD.md").touch()
    with pytest.raises(UserError, match="slow: a finished run; FROZEN=1 takes it as it is"):
        protocol.train(override(two, {"paths.name": "slow", "train.lr": 5e-4}))


def test_a_choice_by_hand_is_a_difference_and_is_reproduced(two, root):
    free = override(two, {"paths.name": "slow", "grid.lr": None, "grid.dilation_stage3": [2]})
    choose_lr(free, ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    assert "lr" not in find_run(root, "slow").given  # no grid was built on it yet
    protocol.grid_search(free)
    text = write_index(root).read_text(encoding="utf-8")
    assert "LR choisi à la main (04) = 0.002" in text
    assert reproduce(root, "slow", "grid_search")
    assert find_run(root, "reproduction-slow").given["lr"] == 2e-3


def test_part_of_a_run_is_computed_again_on_what_git_holds(two, root, capsys):
    """As in a fresh clone: published results and checkpoints, no stage cache."""
    protocol.compare_splits(compute(two, "cut", lr=1e-2, max_epochs=1))
    shutil.rmtree(two.paths.stages)
    shutil.rmtree(root / "runs")
    assert reproduce(root, "cut", "evaluate evaluate_spatial")
    said = capsys.readouterr().out
    assert "evaluate_spatial: the same to the bit" in said and "train:" not in said
    assert find_run(root, "reproduction-cut").score("evaluate_spatial")["n"] == 40
