import importlib
import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from eurosat_lib.config import override
from eurosat_lib.data.loaders import make_loader, subset
from eurosat_lib.data.types import CLASSES, EuroSAT, Source, Split
from eurosat_lib.errors import UserError
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.tracking import TRAINING_TAGS, read_run
from eurosat_lib.training import Divergence, Hyperparameters, Plan, evaluate, fit, train_epoch
from eurosat_lib.training.checkpoint import load_checkpoint, save_checkpoint
from eurosat_lib.training.final import choose_hyperparameters
from eurosat_lib.training.records import compact
from eurosat_lib.training.steps import TrainStep, make_optimizer

fit_module = importlib.import_module("eurosat_lib.training.fit")
POINT = Hyperparameters(lr=3e-3, weight_decay=1e-5, blocks_per_stage=2, dilation_stage3=2)


class Interrupted(BaseException):
    """Stands for a kill between two epochs."""


def run(config, dataset, folder, epochs=3, **options):
    plan = Plan(POINT, epochs, keep_best=True)
    return fit(config, dataset, plan, folder / "work", folder / "run", **options)


def test_loader_shapes_and_last_batch(tiny, blobs):
    loader = make_loader(tiny, blobs.validation)
    batches = list(loader)
    assert [len(y) for _, y in batches] == [16, 16, 8]
    assert len(loader) == 3
    assert batches[0][0].shape == (16, 3, 16, 16)
    assert batches[0][0].dtype == torch.float32
    assert torch.cat([y for _, y in batches]).tolist() == blobs.validation.labels.tolist()


def test_loader_order_depends_on_seed_and_epoch_only(tiny, blobs):
    first, second = (make_loader(tiny, blobs.train, augment=True) for _ in range(2))
    list(first), list(first)
    for (a, x), (b, y) in zip(first.epoch(5), second.epoch(5), strict=True):
        assert torch.equal(a, b) and torch.equal(x, y)
    orders = [torch.cat([y for _, y in first.epoch(e)]) for e in (0, 1)]
    assert not torch.equal(*orders)
    assert torch.equal(orders[0].sort()[0], orders[1].sort()[0])


def test_subset_is_fixed_and_nested():
    assert subset(10, None).tolist() == list(range(10))
    small, large = set(subset(1000, 50)), set(subset(1000, 200))
    assert len(small) == 50 and small < large


def test_means_count_each_image_once(tiny):
    """A last batch of one image must not weigh as much as a batch of four."""
    runtime = Runtime.of(tiny)
    logits = torch.tensor([[5.0, 0.0]] * 4), torch.tensor([[0.0, 5.0]])
    batches = [(x, torch.zeros(len(x), dtype=torch.int64)) for x in logits]
    means = evaluate(nn.Identity(), batches, runtime)
    right, wrong = math.log(1 + math.exp(-5)), 5 + math.log(1 + math.exp(-5))
    assert means.accuracy == pytest.approx(4 / 5)
    assert means.loss == pytest.approx((4 * right + wrong) / 5, abs=1e-6)


def test_train_epoch_means_are_weighted_too(tiny, blobs):
    runtime = Runtime.of(override(tiny, {"data.batch_size": 36}))
    set_seed(0)
    model = build_model(tiny)
    loader = make_loader(override(tiny, {"data.batch_size": 36}), blobs.train)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    seen = []
    for images, labels in loader.epoch(0):
        model.train()
        loss = nn.functional.cross_entropy(model(images), labels, reduction="sum")
        seen.append(float(loss.detach()))
    means = train_epoch(TrainStep(model, optimizer, runtime), loader.epoch(0))
    assert means.steps == 3
    assert means.loss == pytest.approx(sum(seen) / 96, rel=1e-5)


def test_network_learns_the_blobs(tiny, blobs, tmp_path):
    result = run(tiny, blobs, tmp_path, epochs=20)
    assert result.best.val_accuracy > 0.6  # chance is 0.1
    assert result.epochs[-1].train_loss < result.epochs[0].train_loss


def test_two_runs_are_equal_to_the_bit(tiny, blobs, tmp_path):
    one, two = run(tiny, blobs, tmp_path / "a"), run(tiny, blobs, tmp_path / "b")
    assert history(one) == history(two)
    a, b = (load_checkpoint(tmp_path / x / "work/best.ckpt")["model"] for x in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_killed_run_goes_on_to_the_same_bits(tiny, blobs, tmp_path):
    whole = run(tiny, blobs, tmp_path / "whole")

    def kill(record):
        if record.epoch == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(tiny, blobs, tmp_path / "cut", on_epoch=kill)
    resumed = run(tiny, blobs, tmp_path / "cut")
    assert history(resumed) == history(whole)
    a, b = (load_checkpoint(tmp_path / x / "work/best.ckpt")["model"] for x in ("whole", "cut"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not (tmp_path / "cut/work/last.ckpt").exists()


def test_a_damaged_last_checkpoint_is_not_used(tiny, blobs, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "last.ckpt").write_bytes(b"PK\x03\x04 cut short")
    assert len(run(tiny, blobs, tmp_path).epochs) == 3


def test_precision_moves_accuracy_less_than_the_seed(tiny, tmp_path):
    """Paired over seeds: same weights, batches and augmentation, float32 against bfloat16."""
    dataset = noisy_colors(train=256, validation=500)
    accuracies = {}
    for precision in ("fp32", "bf16"):
        config = override(tiny, {"compute.precision": precision})
        fits = [
            fit(
                config.model_copy(update={"seed": seed}),
                dataset,
                Plan(POINT, 4),
                tmp_path / f"{precision}{seed}",
                tmp_path / f"run{precision}{seed}",
            )
            for seed in range(5)
        ]
        accuracies[precision] = [result.last.val_accuracy for result in fits]
    assert accuracies["fp32"] != accuracies["bf16"]  # the precision is used
    pairs = zip(accuracies["bf16"], accuracies["fp32"], strict=True)
    difference = statistics.fmean(a - b for a, b in pairs)
    assert abs(difference) < statistics.stdev(accuracies["fp32"])


def test_max_steps_stops_inside_an_epoch(tiny, blobs, tmp_path):
    plan = Plan(POINT, 5, max_steps=8)  # 6 steps an epoch
    result = fit(tiny, blobs, plan, tmp_path / "work", tmp_path / "run")
    assert [record.steps for record in result.epochs] == [6, 2]


def test_divergence_names_the_step(tiny, blobs):
    model = build_model(tiny)
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    optimizer = make_optimizer(model, 0.5, 0.0)
    batches = make_loader(tiny, blobs.train).epoch(0)
    with pytest.raises(Divergence, match=r"step 1 .* 0\.5"):
        train_epoch(TrainStep(model, optimizer, Runtime.of(tiny)), batches)


def test_validation_that_is_not_finite_is_a_divergence(tiny, blobs, tmp_path, monkeypatch):
    real = fit_module.evaluate

    def broken(*args):
        return replace(real(*args), loss=float("nan"))

    monkeypatch.setattr(fit_module, "evaluate", broken)
    result = run(tiny, blobs, tmp_path)
    assert result.epochs == ()
    assert result.diverged.startswith("epoch 1: loss not finite at step 6")


def test_sound_weights_with_a_foreign_optimiser_restart_from_scratch(tiny, blobs, tmp_path):
    whole = run(tiny, blobs, tmp_path / "whole")
    best = load_checkpoint(tmp_path / "whole/work/best.ckpt")
    state = {"model": best["model"], "optimizer": {}, "epochs": []}
    save_checkpoint(tmp_path / "cut/work/last.ckpt", state)
    assert history(run(tiny, blobs, tmp_path / "cut")) == history(whole)


def test_tensorboard_holds_what_the_history_says(tiny, blobs, tmp_path):
    result = run(tiny, blobs, tmp_path)
    series = read_run(tmp_path / "run", TRAINING_TAGS)
    assert set(series) == set(TRAINING_TAGS)
    expected = [record.val_accuracy for record in result.epochs]
    assert series["val/accuracy"].tolist() == pytest.approx(expected)
    assert series["val/accuracy"].index.tolist() == [1, 2, 3]


def test_checkpoint_refusals(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.ckpt")
    save_checkpoint(tmp_path / "good.ckpt", {"model": {}})
    (tmp_path / "cut.ckpt").write_bytes((tmp_path / "good.ckpt").read_bytes()[:200])
    with pytest.raises(UserError, match="cut short, or not a checkpoint"):
        load_checkpoint(tmp_path / "cut.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="another program"):
        load_checkpoint(tmp_path / "foreign.ckpt")
    torch.save(Plan(POINT, 1), tmp_path / "pickle.ckpt")  # would run code if it were unpickled
    with pytest.raises(UserError, match="cut short, or not a checkpoint"):
        load_checkpoint(tmp_path / "pickle.ckpt")


def test_choice_prefers_configuration_then_best_search(tiny, blobs, tmp_path):
    good, bad = run(tiny, blobs, tmp_path / "a", 6), run(tiny, blobs, tmp_path / "b", 6)
    bad = bad.model_copy(update={"epochs": good.epochs[:1] * 6})
    assert good.score > bad.score
    good = good.model_copy(update={"hyperparameters": POINT.model_copy(update={"lr": 7e-3})})
    searches = [("grid_search", good), ("refined_grid_search", bad)]
    fallback = POINT.model_copy(update={"lr": 1e-6})
    hyper, origin = choose_hyperparameters(tiny, fallback, searches)
    assert (hyper.lr, origin["lr"]) == (7e-3, "grid_search")
    shorter = bad.model_copy(update={"epochs": bad.epochs[:2]})  # scores do not compare
    other = [("grid_search", good), ("refined_grid_search", shorter)]
    assert choose_hyperparameters(tiny, fallback, other)[1]["lr"] == "refined_grid_search"
    given = override(tiny, {"train.lr": 2e-4})
    hyper, origin = choose_hyperparameters(given, fallback, searches)
    assert (hyper.lr, origin["lr"], origin["weight_decay"]) == (2e-4, "config", "grid_search")
    hyper, origin = choose_hyperparameters(tiny, fallback, [])
    assert (hyper, origin["lr"]) == (fallback, "fallback")


@pytest.mark.parametrize(
    ("value", "text"),
    [(5e-4, "5e-4"), (2.3e-4, "2.3e-4"), (1.2341e-3, "1.2341e-3"), (0, "0"), (10, "1e1")],
)
def test_compact_numbers(value, text):
    assert compact(value) == text


def noisy_colors(train, validation):
    """Ten colours under strong noise: a task with errors left, where precision could show."""
    generator = np.random.default_rng(5)
    palette = generator.integers(90, 166, (10, 3, 1, 1))

    def split(count):
        labels = np.arange(count) % 10
        values = palette[labels] + generator.normal(0, 60, (count, 3, 16, 16))
        values += generator.normal(0, 12, (count, 3, 1, 1))
        return Split(values.clip(0, 255).astype(np.uint8), labels, ("x",) * count)

    splits = {"train": split(train), "validation": split(validation), "test": split(10)}
    return EuroSAT(**splits, classes=CLASSES, fingerprint="c" * 64, source=Source("folder", "c"))


def history(result):
    return [record.model_dump(exclude={"seconds"}) for record in result.epochs]
