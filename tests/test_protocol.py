"""The stages themselves, on images that are learnt in a moment."""

import json
import shutil
from collections import UserList
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from settings import TINY

from eurosat_lib import protocol, recipes, search, trainings
from eurosat_lib import train as trainer
from eurosat_lib.checkpoint import load_checkpoint, save_checkpoint
from eurosat_lib.classifier import Classifier
from eurosat_lib.config import load_recipe, override
from eurosat_lib.errors import Interrupted, UserError
from eurosat_lib.evaluation import open_checkpoint
from eurosat_lib.files import read_csv
from eurosat_lib.loaders import make_loader
from eurosat_lib.report.runs import reproduce
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import STAGES, Kept, latest, publish, result_path
from eurosat_lib.tracking import read_run

SHORT = """title: recette courte
base: {train.lr: 3.0e-3, train.weight_decay: 1.0e-5, train.keep: last,
  train.blocks_per_stage: 2, train.dilation_stage3: 2}
steps:
  symétries: {augment.symmetries: true}
  optimiseur: {train.optimizer: muon, train.momentum: 0.9, train.schedule: linear}
  longueur: {train.max_epochs: 3}
  vues: {evaluate.views: 8}
"""
OF_CHECKPOINT = ("analyse_errors", "measure_robustness", "explain_predictions")
LENGTH = {(TINY["grid"]["epochs"], TINY["grid"]["train_limit"])}
FILES = """best.ckpt best_spatial.ckpt config.yaml facts.json finalists.csv grid_search_results.csv
history.csv lr_finder.csv metrics.json metrics_spatial.json predictions.csv
refined_grid_search_results.csv test_openings.csv"""


def rows(config, name):
    return read_csv(config.paths.artifacts / name)


READ = {
    **{"check_initial_loss": ("initial_loss.n_seeds", 4), "test_model": ("data.image_size", 32)},
    **{"compute_baselines": ("data.train_limit", 50), "overfit_small": ("overfit.size", 9)},
    "verify_pipeline": ("data.validation_limit", 20),
    "measure_robustness": ("evaluate.robustness_images", 20),
}


@pytest.fixture
def short(on_blobs, root):
    """The blobs, with a short recipe."""
    (root / "configs/recipes/short.yaml").write_text(SHORT)
    values = {"recipe.name": "short", "recipe.ablation_epochs": 1, "recipe.ablation_seeds": [1, 2]}
    return override(on_blobs, values)


@pytest.fixture
def trained(on_blobs):
    protocol.train(on_blobs)
    return on_blobs


@pytest.fixture
def fits(monkeypatch):
    """Note the trainings; one is stopped where its number is in ``fits.stops``."""

    calls = UserList()
    calls.stops = ()

    def noted(config, *given):
        calls.append(config)
        if len(calls) in calls.stops:
            raise KeyboardInterrupt
        return trainer.fit(config, *given)

    monkeypatch.setattr(trainings, "fit", noted)
    return calls


def test_every_stage_runs_and_publishes_its_facts_and_files(short, monkeypatch):
    short = override(short, {"train.seeds": [7]})
    for name in protocol.STAGE_NAMES:
        result = STAGES[name](short)
        assert result or name == "check_lr"  # the final network is the one that was swept
        facts = json.loads((short.paths.artifacts / "facts.json").read_text())
        assert facts.get(name) == json.loads(json.dumps(result and result.facts()))
        tree = json.loads(result_path(short, name).read_text()) if result else {}
        assert not result or tree["provenance"]["device"].startswith("CPU ")
        assert {*tree.get("files", ())} <= {*FILES.split(), "overlaps.csv", "check_lr.csv"}
    assert {path.name for path in short.paths.artifacts.iterdir()} >= {*FILES.split()}
    assert len(rows(short, "predictions.csv")) == 40
    steps = latest(short, recipes.Ablation)
    assert [[fit.seed for fit in fits] for fits in steps.fits] == [[1, 2]] * len(steps.steps)
    log = [tuple(row.values()) for row in rows(short, "test_openings.csv")]
    assert len(set(log)) == len(log)
    assert {row[1] for row in log} == {"final", "seed", "spatial", "recipe"}
    monkeypatch.setenv("FROZEN", "1")  # neither cache nor checkpoint: the published results do
    assert not any(short.paths.stages.glob("training-*/last.ckpt"))  # states have served
    shutil.rmtree(short.paths.stages)
    (short.paths.artifacts / "best.ckpt").unlink()
    for path in (short.paths.artifacts / "results").iterdir():
        assert STAGES[path.stem](short)
    assert not short.paths.stages.exists()


@pytest.mark.parametrize("name", READ)
def test_a_value_that_a_stage_reads_is_in_its_key(name, trained):
    other = override(trained, dict([READ[name]]))
    assert STAGES[name](trained) != STAGES[name](other)


def test_a_killed_grid_goes_on_and_equal_trainings_are_done_once(on_blobs, fits):
    fits.stops = (4,)
    with pytest.raises(Interrupted):
        protocol.grid_search(on_blobs)
    grid = protocol.grid_search(on_blobs)
    assert len(fits) == 4 + 5  # 8 points: three were kept
    assert {(own.train.max_epochs, own.data.train_limit) for own in fits} == LENGTH
    runs = {path.name for path in (on_blobs.paths.runs / "grid_search").iterdir()}
    assert runs == {fit.hyperparameters.name for fit in grid.trials}
    found = protocol.train(on_blobs)
    point = found.fit.hyperparameters.model_dump()
    named = override(on_blobs, {"paths.name": "copy", "train": point})
    given = protocol.train(named)
    assert given.fit == found.fit and len(fits) == 4 + 5 + 1
    assert (given.origin["lr"], found.origin["lr"]) == ("config", "grid_search")
    assert (named.paths.artifacts / "best.ckpt").is_file()
    (run,) = (named.paths.runs / "train").glob("*")
    assert read_run(run)


def test_diverged_trials_are_recorded_and_all_of_them_are_said(on_blobs, monkeypatch):
    result = protocol.grid_search(override(on_blobs, {"grid.lr": [1e-3, 10.0]}))
    found = [bool(row["notes"]) for row in rows(on_blobs, "grid_search_results.csv")]
    assert found == [bool(fit.diverged) for fit in result.trials] and len(found) == 8

    def diverge(*_, **__):
        raise trainer.Divergence(1)

    monkeypatch.setattr(trainer, "train_epoch", diverge)
    other = override(on_blobs, {"seed": 7, "paths.name": "other"})
    with pytest.raises(UserError, match="every trial diverged"):
        protocol.grid_search(other)
    with pytest.raises(UserError, match=r"lower train\.lr"):
        protocol.train(other)


def test_checkpoint_and_configuration_published_are_those_of_the_settings(on_blobs):
    weights = []
    for lr in (7e-3, 1e-3, 7e-3):
        protocol.train(override(on_blobs, {"train.lr": lr}))
        content = load_checkpoint(on_blobs.paths.artifacts / "best.ckpt")
        assert content["hyperparameters"]["lr"] == lr
        assert f"lr: {lr}" in (on_blobs.paths.artifacts / "config.yaml").read_text()
        weights.append(content["model"]["head.weight"])
        for name in OF_CHECKPOINT:
            STAGES[name](override(on_blobs, {"train.lr": lr}))
    for name in OF_CHECKPOINT:
        assert len([*on_blobs.paths.stages.glob(f"{name}-*")]) == 2
    assert torch.equal(weights[0], weights[2]) and not torch.equal(weights[0], weights[1])


def test_evaluation_equals_a_count_by_hand_and_opens_the_test_once(trained, blobs):
    model = open_checkpoint(trained, blobs, trained.paths.artifacts / "best.ckpt")[0].model
    right = 0
    with torch.inference_mode():
        for images, labels in make_loader(trained, blobs.test):
            right += int((model(images).argmax(1) == labels).sum())
    result = protocol.evaluate(trained)
    assert result.correct == right and protocol.evaluate(trained) == result
    assert [sum(row) for row in result.confusion] == [4] * 10  # a row is a true class
    best = protocol.train(trained).fit.best
    known = (result.val_accuracy, result.loss_validation)
    assert known == pytest.approx((best.val_accuracy, best.val_loss), rel=1e-4)
    assert result.val_accuracy == pytest.approx(best.val_accuracy)
    path, same = trained.paths.artifacts / "best.ckpt", Runtime.of(trained)
    alone = Classifier.load(path, same).logits(blobs.test.images)
    arrays = np.load(trained.paths.stages / result.stored / "predictions.npz")
    np.testing.assert_allclose(alone, arrays["logits"], atol=1e-5)
    (row,) = rows(trained, "test_openings.csv")
    assert row["sha256"] == result.checkpoint_sha256
    kept, names = trainings.score_checkpoint(trained), list(map(str, range(40)))
    with ThreadPoolExecutor(8) as pool:  # written at once, all are kept
        list(pool.map(lambda n: trainings.log_opening(trained, kept, "seed", n), names))
    log = rows(trained, "test_openings.csv")
    assert {row["configuration"] for row in log if row["role"] == "seed"} == set(names)
    path = trained.paths.artifacts / "test_openings.csv"
    path.write_text(path.read_text().replace(",", ";"))  # as Excel saves it
    with pytest.raises(UserError, match="not the table that was written"):
        trainings.log_opening(trained, kept, "seed", "41")


def test_unusable_checkpoints_are_named(trained, tmp_path, monkeypatch):
    def refused(message, path=tmp_path / "fault.ckpt", **values):
        with pytest.raises(UserError, match=message):
            protocol.evaluate(override(trained, {"evaluate.checkpoint": str(path)} | values))

    refused("no such checkpoint; train first")
    own = trained.paths.artifacts / "best.ckpt"
    channels = r"model\.channels is \[4, 6, 8\] there and \[8, 6, 8\] here"
    refused(channels, own, **{"model.channels": [8, 6, 8]})
    content = {k: v for k, v in load_checkpoint(own).items() if k not in ("format", "sha256")}
    faults = {
        "without epoch": {k: v for k, v in content.items() if k != "epoch"},
        "trained on other images": content | {"data_fingerprint": "e" * 64},
    }
    for message, changed in faults.items():
        save_checkpoint(tmp_path / "fault.ckpt", changed)
        refused(f"fault.ckpt: .*{message}")
    monkeypatch.chdir(tmp_path / "artifacts")  # a name from where one is counts too
    named = override(trained, {"evaluate.checkpoint": "best.ckpt"})
    assert trainings.checkpoint_path(named) == own


def test_a_seed_that_diverges_is_named_and_not_averaged(trained, monkeypatch):
    config, real = override(trained, {"train.seeds": [42, 43, 44]}), trainer.train_epoch

    def broken(step, *args):
        if torch.initial_seed() == 43:
            raise trainer.Divergence(3)
        return real(step, *args)

    monkeypatch.setattr(trainer, "train_epoch", broken)
    result = protocol.evaluate_seeds(config)
    assert [run.seed for run in result.runs] == [42, 44]
    assert list(result.diverged) == [43] and "epoch 1" in result.diverged[43]


def test_finalists_are_trained_with_seeds_that_did_not_choose_them(on_blobs, fits):
    for stage in (protocol.compare_curves, protocol.compare_finalists):
        with pytest.raises(UserError, match="run grid_search first"):
            stage(on_blobs)
    protocol.refined_grid_search(on_blobs)
    assert protocol.compare_curves(on_blobs).facts()["source"] == search.RefinedGrid.stage
    grid, refined = protocol.grid_search(on_blobs), protocol.refined_grid_search(on_blobs)
    assert refined.trials[0].hyperparameters == grid.best.hyperparameters  # its centre
    assert protocol.compare_curves(on_blobs).facts()["source"] == search.Grid.stage
    fits.clear()
    on_blobs = override(on_blobs, {"train.max_epochs": 1})
    found = protocol.compare_finalists(on_blobs)
    assert [own.seed for own in fits] == [43, 44] * 2
    assert {(own.train.max_epochs, own.data.train_limit) for own in fits} == LENGTH
    for one in found.finalists:  # its own trainings
        assert {fit.hyperparameters for fit in one.fits} == {one.hyperparameters}
    training = protocol.train(on_blobs)
    assert training.origin["lr"] == "compare_finalists"
    assert training.fit.hyperparameters.model_dump().items() <= found.facts().items()
    protocol.grid_search(override(on_blobs, {"grid.lr": [5e-3]}))
    assert protocol.final_config(on_blobs)[1]["lr"] == "grid_search"  # they are of another grid


def test_what_follows_the_final_training_is_trained_as_it_was(on_blobs, fits):
    asked = {"train.lr": 7e-3, "train.max_epochs": 1, "seed": 5, "data.train_limit": 60}
    protocol.train(override(on_blobs, asked))
    later = override(on_blobs, {"train.seeds": [7]})  # as in a notebook without these parameters
    protocol.evaluate_seeds(later)
    protocol.evaluate_spatial(later)
    values = {(own.train.lr, own.train.max_epochs, own.data.train_limit) for own in fits}
    assert values == {(7e-3, 1, 60)}
    splits = [(own.seed, own.data.split) for own in fits]
    assert splits == [(5, "standard"), (7, "standard"), (5, "spatial")]


def test_a_recipe_is_tested_kept_and_set_beside_the_protocol(short, fits):
    result = STAGES["train_recipe"](short)
    log = rows(short, "test_openings.csv")
    assert len(fits) == 1
    assert [(r["configuration"], r["views"]) for r in log] == [("short", "8")]  # opened once
    (run,) = result.runs
    assert run.scored.n == 40
    assert protocol.found_recipe(short)[0] == result
    assert protocol.beside_protocol(short) is None  # no final training yet
    own = protocol.train(short).fit.best.val_accuracy
    beside = protocol.beside_protocol(short)
    deeper = override(short, {"train.blocks_per_stage": 3, "paths.name": "deeper"})
    protocol.train(deeper), STAGES["train_recipe"](deeper)
    assert not protocol.beside_protocol(deeper).same_network
    assert beside.gain == pytest.approx(run.scored.val_accuracy - own)
    assert beside.same_network and beside.low < beside.gain < beside.high
    path = Path(short.paths.root, "configs/recipes/short.yaml")
    path.write_text(SHORT.replace("views: 8", "views: 1"))
    once = STAGES["train_recipe"](short).runs[0]
    assert once.fit == run.fit and once.scored.loss != run.scored.loss  # weights seen otherwise
    assert protocol.beside_protocol(short) and len([*short.paths.stages.glob("beside-*")]) == 3
    assert reproduce(Path(short.paths.root), short.paths.name, "beside")
    both = STAGES["train_recipe"](override(short, {"recipe.seeds": [3, 4]})).runs
    assert [(one.fit.seed, one.scored.seed) for one in both] == [(3, 3), (4, 4)]
    values = {"name": "short", "epochs": 1, "train_images": 48, "fits": [[run.fit]] * 2}
    for step, known in (("symétries", True), ("une étape d’avant", False)):
        steps = recipes.Ablation(steps=["départ : protocole", step], **values)
        publish(short, Kept(steps, {}))
        assert protocol.found_recipe(short)[1] == (steps if known else None)


def test_ablation_rows_leave_out_steps_that_only_change_length_or_views(short):
    recipe = load_recipe(short, "short")
    names = [name for name, _ in recipes.ablation_rows(short, recipe)]
    assert names == ["départ : protocole", "symétries", "optimiseur"]
    smaller = {"recipe.ablation_image_size": 32, "data.image_size": 64, "augment.crop_padding": 4}
    _, row = recipes.ablation_rows(override(short, smaller), recipe)[0]
    assert (row.data.image_size, row.augment.crop_padding, row.train.max_epochs) == (32, 2, 1)


def test_the_final_network_is_counted_and_swept_where_it_is_another_one(on_blobs):
    assert protocol.check_lr(on_blobs) is None
    deeper = override(on_blobs, {"train.blocks_per_stage": 3})
    protocol.lr_finder(override(on_blobs, {"lr_finder.iterations": 11}))
    swept, drawn = protocol.check_lr(deeper), protocol.final_architecture(deeper)
    assert swept.iterations == 11  # as the first sweep was asked for
    assert drawn.found["parameters"] == protocol.train(deeper).fit.parameters
    snapshot = yaml.safe_load((deeper.paths.artifacts / "config.yaml").read_text())
    assert snapshot["lr_finder"]["iterations"] == 11
    assert protocol.check_lr(on_blobs) is None  # and withdrawn
    assert latest(deeper, type(swept)) is None


def test_without_a_spatial_split_its_results_are_withdrawn(trained, monkeypatch):
    compared = protocol.compare_splits(trained)
    assert compared.absent == "" and latest(trained, type(compared)) == compared
    assert (compared.standard, compared.common) == (protocol.evaluate(trained), 0)
    assert compared.spatial.checkpoint == "best_spatial.ckpt"
    assert (trained.paths.artifacts / "best_spatial.ckpt").is_file()
    monkeypatch.setattr(protocol, "spatial_absence", lambda config: "spatial already")
    cut = override(trained, {"data.split": "spatial"})
    assert protocol.compare_splits(cut).absent == "spatial already"
    assert not (trained.paths.artifacts / "best_spatial.ckpt").exists()
    with pytest.raises(UserError, match="spatial already"):
        protocol.evaluate_spatial(trained)
