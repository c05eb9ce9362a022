import csv
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import yaml

from eurosat_lib import grid, stages
from eurosat_lib.checks import Architecture, shuffled
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.stages import cache, files, search
from eurosat_lib.stages.sources import source_digest
from eurosat_lib.tracking import read_run
from eurosat_lib.training.checkpoint import load_checkpoint


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def trained(on_blobs):
    stages.train(on_blobs)
    return on_blobs


def test_every_stage_runs_and_publishes_its_facts(on_blobs):
    short = {"recipe.name": "protocol", "recipe.ablation_epochs": 1, "recipe.ablation_seeds": [1]}
    on_blobs = override(on_blobs, short)
    for name, stage in stages.STAGES.items():
        result = stage(on_blobs)
        facts = json.loads((on_blobs.paths.artifacts / "facts.json").read_text())
        assert facts[name] == json.loads(json.dumps(result.facts()))
    names = {
        "best.ckpt",
        "lr_finder.csv",
        "grid_search_results.csv",
        "refined_grid_search_results.csv",
        "history.csv",
        "metrics.json",
        "predictions.csv",
        "facts.json",
        "config.yaml",
    }
    assert names <= {path.name for path in on_blobs.paths.artifacts.iterdir()}
    assert len(rows(on_blobs.paths.artifacts / "predictions.csv")) == 40


def test_second_call_loads(on_blobs, monkeypatch):
    first = stages.train(on_blobs)
    monkeypatch.setattr("eurosat_lib.stages.final.fit", None)  # computing again would fail
    assert stages.train(on_blobs) == first


def test_a_changed_value_computes_again(on_blobs):
    first = stages.train(on_blobs)
    other = stages.train(override(on_blobs, {"seed": 1}))
    assert first.fit.best != other.fit.best


def test_values_a_stage_does_not_read_leave_it_alone(on_blobs, monkeypatch):
    first = stages.overfit_small(on_blobs)
    monkeypatch.setattr("eurosat_lib.checks.overfit_small", None)
    changed = {"train.max_epochs": 7, "compute.threads": 1, "identity.author": "A. Turing"}
    assert stages.overfit_small(override(on_blobs, changed)) == first


def test_named_runs_share_work_but_not_results(trained, monkeypatch):
    monkeypatch.setattr("eurosat_lib.stages.final.fit", None)
    named = override(trained, {"paths.name": "copy"})
    stages.train(named)
    assert (named.paths.artifacts / "best.ckpt").is_file()
    (run,) = (named.paths.runs / "train").iterdir()
    assert read_run(run, ["val/loss"])
    assert named.paths.artifacts != trained.paths.artifacts


def test_killed_controls_go_on_at_the_draw_they_were_in(on_blobs, monkeypatch):
    real, seeds = shuffled.memorise, []

    def counted(config, few, seed):
        seeds.append(seed)
        if len(seeds) == 3:
            raise KeyboardInterrupt
        return real(config, few, seed)

    monkeypatch.setattr(shuffled, "memorise", counted)
    with pytest.raises(KeyboardInterrupt):
        stages.shuffled_labels(on_blobs)
    assert len(stages.shuffled_labels(on_blobs).pairs) == 2
    assert seeds == [42, 42, 43, 43, 43]


def test_controls_of_the_overfit_can_be_read_in_tensorboard(on_blobs):
    result = stages.shuffled_labels(on_blobs)
    folder = on_blobs.paths.runs / "shuffled_labels"
    kinds = ("true", "shuffled")
    assert {path.name for path in folder.iterdir()} == {
        f"draw{n}_{k}" for n in (0, 1) for k in kinds
    }
    curve = read_run(folder / "draw1_shuffled", ["train/loss"])["train/loss"]
    assert list(curve) == pytest.approx(result.pairs[1].shuffled.losses)
    stages.shuffled_labels(override(on_blobs, {"controls.pairs": 1}))
    assert {path.name for path in folder.iterdir()} == {"draw0_true", "draw0_shuffled"}


def test_grid_appends_a_row_per_trial_and_resumes(on_blobs, monkeypatch):
    real, calls = search.fit, []

    def counted(config, dataset, plan, *args, **kwargs):
        calls.append(plan.hyperparameters.name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(config, dataset, plan, *args, **kwargs)

    monkeypatch.setattr(search, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        stages.grid_search(on_blobs)
    path = on_blobs.paths.artifacts / "grid_search_results.csv"
    assert [row["run"] for row in rows(path)] == calls[:3]
    result = stages.grid_search(on_blobs)
    assert len(calls) == 4 + 5  # 8 points: three were kept
    assert len(rows(path)) == len(result.trials) == 8
    runs = {path.name for path in (on_blobs.paths.runs / "grid_search").iterdir()}
    assert runs == {fit.hyperparameters.name for fit in result.trials}


def test_diverged_trial_is_recorded_and_the_grid_goes_on(on_blobs, monkeypatch):
    from eurosat_lib.training import Divergence, fit

    real = fit.__globals__["train_epoch"]

    def fragile(step, *args, **kwargs):
        if step.lr == 2e-3:
            raise Divergence(3, 2e-3)
        return real(step, *args, **kwargs)

    monkeypatch.setitem(fit.__globals__, "train_epoch", fragile)
    result = stages.grid_search(on_blobs)
    assert result.facts()["n_diverged"] == 4
    assert result.best.hyperparameters.lr == 1e-3
    table = rows(on_blobs.paths.artifacts / "grid_search_results.csv")
    assert sum("step 3" in row["notes"] for row in table) == 4


def test_refined_grid_reuses_the_trials_of_the_grid(on_blobs, monkeypatch):
    best = stages.grid_search(on_blobs).best
    real, calls = search.fit, []

    def counted(config, dataset, plan, *args, **kwargs):
        calls.append(plan.hyperparameters)
        return real(config, dataset, plan, *args, **kwargs)

    monkeypatch.setattr(search, "fit", counted)
    refined = stages.refined_grid_search(on_blobs)
    assert refined.origin == "grid_search"
    assert best.hyperparameters not in calls
    assert best.fits[0] in refined.trials
    assert stages.train(on_blobs).origin["lr"] in {"grid_search", "refined_grid_search"}


def test_training_without_a_grid_repeats_itself(on_blobs):
    """The comparisons must not run a grid behind the training's back."""
    with pytest.raises(UserError, match="run grid_search first"):
        stages.compare_curves(on_blobs)
    refined, first = stages.refined_grid_search(on_blobs), stages.train(on_blobs)
    assert refined.origin == "fallback"
    assert stages.compare_curves(on_blobs).source == "refined_grid_search"
    assert stages.train(on_blobs) == first


def test_configuration_beside_the_checkpoint_is_the_chosen_one(on_blobs):
    stages.grid_search(on_blobs)
    hyper = stages.train(on_blobs).fit.hyperparameters
    stages.evaluate(override(on_blobs, {"train.max_epochs": 9}))
    for folder in (on_blobs.paths.artifacts, on_blobs.paths.runs / "train" / hyper.name):
        tree = yaml.safe_load((folder / "config.yaml").read_text())
        assert tree["train"]["lr"] == hyper.lr
        assert tree["train"]["max_epochs"] == 2


def test_estimating_changes_no_published_file(on_blobs, monkeypatch, blobs):
    from eurosat_lib import estimate

    monkeypatch.setattr(estimate.work, "load_dataset", lambda config: blobs)
    stages.train(override(on_blobs, {"train.lr": 7e-3}))
    stages.train(on_blobs)
    stages.train(override(on_blobs, {"train.lr": 7e-3}))

    def published():
        folders = (on_blobs.paths.artifacts, on_blobs.paths.runs)
        paths = [p for folder in folders for p in folder.rglob("*") if p.is_file()]
        return {p: p.stat().st_mtime_ns for p in paths if ".stages" not in p.parts}

    before = published()
    estimate.stage_seconds(on_blobs)
    assert published() == before


def test_checkpoint_published_is_the_one_of_the_settings(on_blobs):
    weights = []
    for lr in (7e-3, 1e-3, 7e-3):
        stages.train(override(on_blobs, {"train.lr": lr}))
        content = load_checkpoint(on_blobs.paths.artifacts / "best.ckpt")
        assert content["hyperparameters"]["lr"] == lr
        weights.append(content["model"]["head.weight"])
    assert torch.equal(weights[0], weights[2]) and not torch.equal(weights[0], weights[1])


def test_values_given_or_found_are_the_same_training(on_blobs, monkeypatch):
    stages.grid_search(on_blobs)
    found = stages.train(on_blobs)
    monkeypatch.setattr("eurosat_lib.stages.final.fit", None)
    point = {f"train.{k}": v for k, v in found.fit.hyperparameters.model_dump().items()}
    given = stages.train(override(on_blobs, point))
    assert given.fit == found.fit
    assert (given.origin["lr"], found.origin["lr"]) == ("config", "grid_search")


def test_checkpoint_of_other_images_is_refused(trained, blobs, monkeypatch):
    from dataclasses import replace

    from eurosat_lib.stages import core, final

    other = replace(blobs, fingerprint="e" * 64)
    for module in (core, final):
        monkeypatch.setattr(module, "load_dataset", lambda config: other)
    with pytest.raises(UserError, match="trained on other images"):
        stages.evaluate(trained)


def test_all_trials_diverged_is_said(on_blobs, monkeypatch):
    from eurosat_lib.training import Divergence, fit

    def diverge(*_, **__):
        raise Divergence(1, 1.0)

    monkeypatch.setitem(fit.__globals__, "train_epoch", diverge)
    with pytest.raises(UserError, match="every trial diverged"):
        stages.grid_search(on_blobs)


def test_seconds_count_the_processes_that_were_killed(on_blobs):
    folder = cache.stage_folder(on_blobs, "killed", "k" * 64)
    folder.mkdir(parents=True)
    now = time.time()  # it began 1000 s ago, left its last file 900 s ago, and was killed
    (folder / ".begun.json").write_text(json.dumps({"seconds": 7.0, "at": now - 1000}))
    (folder / "last.ckpt").write_text("state")
    os.utime(folder / "last.ckpt", (now - 900, now - 900))
    work = (on_blobs, Architecture, "killed", "k" * 64, lambda _: stages.test_model(on_blobs))
    assert 107 <= cache.cached(*work)[1]["seconds"] < 200


def test_two_processes_on_one_stage_wait_for_each_other(on_blobs):
    calls = []

    def slow(folder):
        calls.append(folder)
        time.sleep(0.3)
        return stages.test_model(on_blobs)

    def run():
        return cache.cached(on_blobs, Architecture, "twice", "k" * 64, slow)[0]

    with ThreadPoolExecutor(2) as pool:
        one, two = (pool.submit(run) for _ in range(2))
        assert one.result() == two.result()
    assert len(calls) == 1


def test_latest_ignores_another_experiment(on_blobs):
    stages.grid_search(on_blobs)
    assert stages.latest(on_blobs, grid.Grid)
    assert stages.latest(override(on_blobs, {"model.channels": [4, 6, 9]}), grid.Grid) is None


def test_evaluation_follows_the_checkpoint_and_opens_the_test_once(trained):
    result = stages.evaluate(trained)
    assert stages.evaluate(trained) == result
    log = rows(trained.paths.artifacts / "test_openings.csv")
    assert [row["sha256"] for row in log] == [result.checkpoint_sha256]
    assert result.n == 40
    table = rows(trained.paths.artifacts / "predictions.csv")
    assert sum(int(row["correct"]) for row in table) == result.correct


def test_evaluation_equals_a_count_by_hand(trained, blobs):
    from eurosat_lib.data.loaders import make_loader
    from eurosat_lib.evaluation import load_model
    from eurosat_lib.runtime import Runtime

    content = load_checkpoint(trained.paths.artifacts / "best.ckpt")
    model = load_model(trained, content, Runtime.of(trained))
    right = 0
    with torch.inference_mode():
        for images, labels in make_loader(trained, blobs.test):
            right += int((model(images).argmax(1) == labels).sum())
    assert stages.evaluate(trained).correct == right


def test_validation_of_the_checkpoint_is_that_of_its_epoch(trained):
    training, evaluation = stages.train(trained), stages.evaluate(trained)
    share = evaluation.correct_validation / evaluation.n_validation
    assert share == pytest.approx(training.fit.best.val_accuracy)


def test_missing_and_foreign_checkpoints(trained):
    with pytest.raises(UserError, match="no such checkpoint; train first"):
        stages.evaluate(override(trained, {"evaluate.checkpoint": "artifacts/none.ckpt"}))
    wider = override(trained, {"model.channels": [8, 6, 8]})
    expected = r"model\.channels is \[4, 6, 8\] there and \[8, 6, 8\] here"
    with pytest.raises(UserError, match=expected):
        stages.evaluate(wider)


def test_incomplete_checkpoints_are_named(trained, tmp_path):
    content = load_checkpoint(trained.paths.artifacts / "best.ckpt")
    weights = dict(content["model"])
    weights.pop("head.bias")
    faults = {
        "without epoch": {k: v for k, v in content.items() if k != "epoch"},
        "do not fit the network": content | {"model": weights},
    }
    for number, (message, changed) in enumerate(faults.items()):
        path = tmp_path / f"fault{number}.ckpt"
        torch.save(changed, path)
        with pytest.raises(UserError, match=f"fault{number}.ckpt: .*{message}"):
            stages.evaluate(override(trained, {"evaluate.checkpoint": str(path)}))


def test_a_damaged_cache_entry_is_computed_again(on_blobs):
    first = stages.check_initial_loss(on_blobs)
    for path in on_blobs.paths.stages.glob("check_initial_loss-*/result.json"):
        path.write_text(path.read_text()[:100])
    assert stages.check_initial_loss(on_blobs) == first


def test_source_digest_sees_code_not_prose(monkeypatch):
    from eurosat_lib.stages import sources

    name = "eurosat_lib.lr_finder.rules"
    before, text = source_digest(name), sources.TEXTS[name]

    def digest_of(changed):
        for cached in (sources.source_digest, sources._tree, sources._code):
            cached.cache_clear()
        monkeypatch.setitem(sources.TEXTS, name, changed)
        return source_digest(name)

    assert digest_of("# a comment\n" + text.replace("Rules that read", "Rules reading")) == before
    assert digest_of(text.replace("FLAT = 0.05", "FLAT = 0.06")) != before
    for cached in (sources.source_digest, sources._tree, sources._code):
        cached.cache_clear()


def test_write_json_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "facts.json"
    files.write_json(path, {"a": 1})

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
