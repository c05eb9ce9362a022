"""Sealed runs: in a fresh clone their results are taken, and nowhere are they replaced."""

import io
import json
import shutil
from pathlib import Path

import pytest

from eurosat_lib import stages
from eurosat_lib.__main__ import main
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.french import pct
from eurosat_lib.report.results.reading import read_results
from eurosat_lib.report.results.tracked import files as tracked_files
from eurosat_lib.report.runner import run
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runs.index import write_index
from eurosat_lib.report.runs.reading import find_run
from eurosat_lib.stages import cache, repeats
from eurosat_lib.stages.guard import protect
from eurosat_lib.stages.logits import kept_predictions

RECIPE = {"recipe.name": "protocol", "recipe.ablation_epochs": 1}
USUAL = [name for name in stages.STAGES if name not in stages.ON_DEMAND]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What the first test to need it has computed, for the others to copy."""
    return tmp_path_factory.mktemp("kept") / "project"


@pytest.fixture
def clone(on_blobs, kept, monkeypatch):
    """A project that holds what git holds of the run done, two seeds, and nothing else."""
    root = Path(on_blobs.paths.root)
    seeds = {"train.seeds": [43], "spatial.seeds": [44]}
    config = override(on_blobs, {"paths.name": "done", **seeds})
    if not kept.exists():
        for name, stage in stages.STAGES.items():
            stage(override(config, RECIPE) if name in stages.ON_DEMAND else config)
        config.paths.card.write_text("a card")
        paths = [p for p in tracked_files(read_results(config, "done")) if "done" in p.parts]
        for path in paths:
            target = kept / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        for folder in ("artifacts", "runs"):
            shutil.rmtree(root / folder)
    shutil.copytree(kept, root, dirs_exist_ok=True)
    monkeypatch.chdir(root)
    return config


@pytest.fixture
def no_work(monkeypatch):
    def refuse(*_):
        raise AssertionError("a stage was computed")

    monkeypatch.setattr(cache, "_compute", refuse)


def contents(config):
    folder = config.paths.artifacts
    return {p.name: p.read_bytes() for p in folder.rglob("*.*") if p.is_file()}


def test_a_fresh_clone_computes_nothing_and_changes_nothing(clone, no_work):
    assert not (clone.paths.artifacts / "best_spatial.ckpt").exists()
    before = contents(clone)
    protect(clone, stages.STAGES, USUAL)
    for name in USUAL:
        stages.STAGES[name](clone)
    assert stages.train_recipe(override(clone, RECIPE)).name == "protocol"
    after = contents(clone)
    assert {name for name in before if before[name] != after[name]} == set()
    assert set(after) - set(before) <= {".facts.lock"}
    assert list((clone.paths.runs / "train").rglob("events.*"))  # curves for the figures
    assert len(stages.evaluate_seeds(clone).runs) == 2
    assert [run.seed for run in stages.evaluate_spatial_seeds(clone).runs] == [42, 44]
    assert stages.compare_finalists_on_test(clone).pair


@pytest.mark.parametrize("values", [{"train.lr": 5e-3}, {"seed": 7}, {"profile": "quick"}])
def test_another_configuration_is_refused_before_anything_is_computed(clone, no_work, values):
    before = contents(clone)
    with pytest.raises(UserError, match=r"done: .* in git .*MODEL_CARD\.md"):
        protect(override(clone, values), stages.STAGES, USUAL)
    assert contents(clone) == before


def test_a_stage_alone_does_not_replace_a_result_either(clone):
    before = contents(clone)
    with pytest.raises(UserError, match=r"would be replaced.*train") as refused:
        stages.train(override(clone, {"train.lr": 5e-3}))
    assert "les réglages ou les images sont autres" in refused.value.french
    assert contents(clone)["train.json"] == before["train.json"]


def test_results_stand_though_the_code_has_changed_since(clone, no_work, monkeypatch):
    monkeypatch.setattr(cache, "source_digest", lambda module: "other")
    before = contents(clone)
    older = protect(clone, stages.STAGES, USUAL)
    assert {"train", "grid_search", "evaluate", "compare_splits"} <= set(older)
    for name in USUAL:
        stages.STAGES[name](clone)
    after = contents(clone)
    assert [name for name in before if before[name] != after[name]] == []


def test_results_stand_where_weights_are_left_as_well(clone, monkeypatch):
    """Not a fresh clone: what a test with changed code would open again is still there."""
    folder = clone.paths.artifacts
    shutil.copy(folder / "best.ckpt", folder / "best_spatial.ckpt")
    monkeypatch.setattr(cache, "source_digest", lambda module: "other")
    monkeypatch.setattr(repeats, "_first_seed", lambda *_: pytest.fail("weights were looked for"))
    protect(clone, stages.STAGES, USUAL)


def test_other_images_another_checkpoint_or_form_are_refused(clone, monkeypatch):
    monkeypatch.setattr(cache, "source_digest", lambda module: "other")
    results = clone.paths.artifacts / "results"
    for stage, edit in (
        ("lr_finder", lambda tree: tree["scope"].update(data="0")),
        ("evaluate", lambda tree: tree["result"].update(checkpoint_sha256="0")),
        ("overfit_small", lambda tree: tree["result"].update(new=1)),
    ):
        path = results / f"{stage}.json"
        text = path.read_text()
        tree = json.loads(text)
        edit(tree)
        path.write_text(json.dumps(tree))
        with pytest.raises(UserError, match=f"data or form .*{stage}"):
            protect(clone, stages.STAGES, [stage])
        path.write_text(text)


def test_another_profile_is_named(clone):
    with pytest.raises(UserError, match=r"profile full, not quick.*PROFILE=full") as refused:
        protect(override(clone, {"profile": "quick"}), stages.STAGES, USUAL)
    assert "son profil est full, non quick" in refused.value.french


def test_the_parameters_that_take_the_run_are_named(clone):
    changed = override(clone, {"train.seeds": []})
    with pytest.raises(UserError, match=r"evaluate_seeds.*PROFILE=full without other param"):
        protect(changed, stages.STAGES, USUAL)
    (clone.paths.artifacts / "params.yaml").write_text("train_seeds: [43]")
    with pytest.raises(UserError, match=r'PARAMS="-f artifacts/done/params.yaml"') as refused:
        protect(changed, stages.STAGES, USUAL)
    assert "train_seeds = [43], sans autre" in refused.value.french


def test_a_run_that_git_does_not_hold_is_free(clone):
    clone.paths.card.unlink()
    changed = override(clone, {"train.lr": 5e-3})
    protect(changed, stages.STAGES, USUAL)
    assert stages.train(changed).fit.hyperparameters.lr == 5e-3


def test_results_that_were_never_published_may_be_added(clone):
    path = clone.paths.artifacts / "results" / "measure_robustness.json"
    path.unlink()
    protect(clone, stages.STAGES, USUAL)
    stages.measure_robustness(clone)
    assert path.is_file()


def test_logits_that_git_does_not_hold_are_made_again(clone):
    evaluation = stages.evaluate(clone)
    assert not (clone.paths.stages / evaluation.stored).exists()
    found = kept_predictions(clone, evaluation)
    assert int((found.predicted == found.labels).sum()) == evaluation.correct


def test_predictions_in_git_are_not_written_anew_from_the_logits_of_another_machine(clone):
    kept_predictions(clone, stages.evaluate(clone))
    path = clone.paths.artifacts / "predictions.csv"
    path.write_text("what git holds")
    stages.compare_splits(clone)
    assert path.read_text() == "what git holds"


def test_the_command_line_asks_first(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    config = load_config(root / "configs/config.yaml", "quick", {"paths.name": "done"})
    folder = config.paths.artifacts / "results"
    folder.mkdir(parents=True)
    config.paths.card.write_text("a card")
    tree = {"scope": {"profile": "full"}, "provenance": {}, "result": {}}
    (folder / "train.json").write_text(json.dumps(tree))
    words = ["train", "--profile", "quick", "--name", "done", "--data", "synthetic"]
    assert main([*words, "--set", "data.synthetic_images=[40,20,20]"]) == 2
    assert "done: the results of this run are in git" in capsys.readouterr().err


def test_a_report_asks_first(clone, monkeypatch):
    asked = []
    monkeypatch.setattr(run, "prepare", lambda request: (override(clone, {"seed": 7}), [Late()]))
    monkeypatch.setattr(run, "store_parameters", lambda *_: asked.append("stored"))
    with pytest.raises(UserError, match="in git"):
        run.build(run.Request(), Console(io.StringIO()))
    assert asked == []


def test_the_list_of_runs_has_it_in_a_fresh_clone(clone):
    page = write_index(clone, "configs/config.yaml").read_text(encoding="utf-8")
    assert "done" in page
    found = find_run(Path(clone.paths.root), "done").test
    assert pct(found["accuracy"], 2) in page


class Late:
    """The plan of a notebook that is out of date."""

    def current(self):
        return False
