"""Trainings: their means, their bits after a kill, their optimisers and checkpoints."""

import math

import pytest
import torch
from torch import nn

from eurosat_lib import train as room
from eurosat_lib.checkpoint import load_checkpoint, save_checkpoint
from eurosat_lib.config import Config, override
from eurosat_lib.loaders import make_loader
from eurosat_lib.model import build_model
from eurosat_lib.optimizers import ScheduledOptimizer, make_optimizer, rate_factor
from eurosat_lib.runtime import Runtime
from eurosat_lib.tracking import TRAINING_TAGS, read_run
from eurosat_lib.train import TrainStep, fit, train_epoch

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
POINT = {"lr": 3e-3, "weight_decay": 1e-5, "blocks_per_stage": 2, "dilation_stage3": 2}
RECIPE = {
    **{"augment.symmetries": True, "augment.brightness": 0.0, "augment.contrast": 0.0},
    **{"augment.saturation": 0.0, "train.optimizer": "muon", "train.momentum": 0.95},
    **{"train.weight_decay": 0.05, "train.decay_all": False, "train.schedule": "linear"},
    **{"train.warmup": 0.1, "train.label_smoothing": 0.1, "train.keep": "last"},
    **{"train.sides": [[0.0, 0.5], [0.5, 1.0]], "data.image_size": 32},
}


class Interrupted(BaseException):
    """Stands for a kill."""


def at(config: Config, epochs: int = 3, **values) -> Config:
    point = {f"train.{name}": value for name, value in POINT.items()}
    return override(config, point | {"train.max_epochs": epochs} | values)


def run(config, dataset, folder, **options):
    return fit(config, dataset, folder / "work", folder / "run", **options)


def history(result):
    return [record.model_dump(exclude={"seconds"}) for record in result.epochs]


def weights(folder):
    return load_checkpoint(folder / "work/best.ckpt")["model"]


def equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_means_count_each_image_once(tiny, blobs):
    """A last batch of one image must not weigh as much as a batch of four."""
    logits = torch.tensor([[5.0, 0.0]] * 4), torch.tensor([[0.0, 5.0]])
    batches = [(x, torch.zeros(len(x), dtype=torch.int64)) for x in logits]
    loss, accuracy = room.evaluate(nn.Identity(), batches, Runtime.of(tiny))
    right, wrong = math.log(1 + math.exp(-5)), 5 + math.log(1 + math.exp(-5))
    assert accuracy == pytest.approx(4 / 5)
    assert loss == pytest.approx((4 * right + wrong) / 5, abs=1e-6)
    config = override(tiny, {"data.batch_size": 36})
    model, loader, seen = build_model(config), make_loader(config, blobs.train), []
    for images, labels in loader.epoch(0):
        loss = nn.functional.cross_entropy(model.train()(images), labels, reduction="sum")
        seen.append(float(loss.detach()))
    step = TrainStep(model, torch.optim.SGD(model.parameters(), lr=0.0), Runtime.of(config))
    means = train_epoch(step, loader.epoch(0))
    assert (means.steps, means.loss) == (3, pytest.approx(sum(seen) / 96, rel=1e-5))


@pytest.mark.parametrize("values", [{}, RECIPE], ids=["protocol", "recipe"])
def test_network_learns_the_blobs(values, tiny, blobs, tmp_path):
    result = run(at(tiny, 20, **values, **{"train.max_steps": 116}), blobs, tmp_path)
    assert result.best.val_accuracy > 0.6  # chance is 0.1
    assert result.epochs[-1].train_loss < result.epochs[0].train_loss
    assert [record.steps for record in result.epochs] == [6] * 19 + [2]
    series = read_run(tmp_path / "run")
    assert set(series) == set(TRAINING_TAGS)
    expected = {record.epoch: record.val_accuracy for record in result.epochs}
    assert series["val/accuracy"].to_dict() == pytest.approx(expected)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])])
@pytest.mark.parametrize("values", [{}, {"train.optimizer": "adamw"}, RECIPE])
def test_a_killed_training_goes_on_to_the_same_bits(device, values, tiny, blobs, tmp_path):
    batches = {"compute.device": device, "data.batch_size": 20}  # the last one has 16 images
    config = at(tiny, 4, **values, **batches)
    whole, left = run(config, blobs, tmp_path / "whole"), 0

    def kill(images):
        nonlocal left
        left -= images
        if left < 0:
            raise Interrupted

    for until in (130, 250):  # within the second epoch of 96 images, then the third
        left = until
        with pytest.raises(Interrupted):
            run(config, blobs, tmp_path / "cut", on_batch=kill)
    resumed = run(config, blobs, tmp_path / "cut")
    assert history(resumed) == history(whole)
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    (tmp_path / "cut/work/best.ckpt").unlink()  # a kill between the end and its result
    run(config, blobs, tmp_path / "cut")
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


@pytest.mark.gpu
@NO_GPU
def test_a_training_on_cuda_repeats_itself(tiny, blobs, tmp_path):
    config = at(tiny, **{"compute.device": "cuda"})
    one, two = (run(config, blobs, tmp_path / name) for name in "ab")
    assert history(one) == history(two)
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))


@pytest.mark.parametrize("key", ["label_smoothing", "schedule", "warmup", "sides"])
def test_each_value_of_a_recipe_changes_the_training(key, tiny, blobs, tmp_path):
    without = {name: value for name, value in RECIPE.items() if name != f"train.{key}"}
    pair = [run(at(tiny, **own), blobs, tmp_path / f"{len(own)}") for own in (RECIPE, without)]
    one, two = ([epoch.train_loss for epoch in fit.epochs] for fit in pair)
    assert one != two


def test_on_cuda_each_training_compiles_by_itself_and_for_its_sizes_alone(tiny, monkeypatch):
    """On the CPU, by a backend that notes whether a graph's sizes are numbers, or symbols."""
    compile_it, graphs, modes = torch.compile, [], []

    def note(graph, inputs):
        graphs.append(all(map(torch.is_tensor, inputs)))
        return graph.forward

    def compiled(model, mode, dynamic):
        modes.append(mode)
        return compile_it(model, backend=note, dynamic=dynamic)

    monkeypatch.setattr(torch, "compile", compiled)
    for sizes in ((32,), (64, 8), (64, 8)):  # three trainings, with a short last batch
        model = build_model(tiny).train()
        cuda = Runtime(torch.device("cuda"), "fp32")
        step = TrainStep(model, make_optimizer(model, 1e-3, 0.0), cuda)
        for size in sizes:
            step(torch.randn(size, 3, 16, 16), torch.zeros(size, dtype=torch.int64))
    torch.compiler.reset()
    assert (graphs, modes) == ([True] * 5, ["reduce-overhead"] * 3)
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"


def test_a_damaged_or_foreign_state_is_named_and_not_used(tiny, blobs, tmp_path, capsys):
    whole = run(at(tiny), blobs, tmp_path / "whole")
    state = {"model": weights(tmp_path / "whole"), "optimizers": [{}], "epochs": []}
    save_checkpoint(tmp_path / "foreign/work/last.ckpt", state)
    (tmp_path / "cut/work").mkdir(parents=True)
    (tmp_path / "cut/work/last.ckpt").write_bytes(b"PK\x03\x04 cut short")
    for name in ("foreign", "cut"):
        assert history(run(at(tiny), blobs, tmp_path / name)) == history(whole)
        assert "last.ckpt refusé" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_a_divergence(tiny, blobs, tmp_path, monkeypatch):
    model = build_model(tiny)
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    step = TrainStep(model, make_optimizer(model, 0.5, 0.0), Runtime.of(tiny))
    with pytest.raises(room.Divergence, match=r"step 1 of the epoch"):
        train_epoch(step, make_loader(tiny, blobs.train).epoch(0))
    real = room.evaluate
    monkeypatch.setattr(room, "evaluate", lambda *a: (float("nan"), real(*a)[1]))
    result = run(at(tiny), blobs, tmp_path)  # of validation
    assert (result.epochs, result.score, result.val_accuracy) == ((), 0.0, 0.0)
    assert result.diverged.startswith("epoch 1: loss not finite at step 6")


@pytest.mark.parametrize(("keep", "epoch"), [("best", None), ("last", 3), ("none", 0)])
def test_the_weights_asked_for_are_kept(keep, epoch, tiny, blobs, tmp_path):
    result = run(at(tiny, **{"train.keep": keep}), blobs, tmp_path)
    path = tmp_path / "work/best.ckpt"
    assert path.is_file() == (keep != "none")
    if path.is_file():
        content = load_checkpoint(path)
        assert content["epoch"] == (epoch or result.best.epoch)
        assert content["val_accuracy"] == result.epochs[content["epoch"] - 1].val_accuracy
        assert "profile" not in content  # several profiles share one training


def test_numbers_are_written_short():
    values = {5e-4: "5e-4", 2.3e-4: "2.3e-4", 1.2341e-3: "1.2341e-3", 0: "0", 10: "1e1"}
    assert {value: room.compact(value) for value in values} == values


def test_rate_rises_then_falls_to_zero():
    for schedule in ("linear", "cosine"):
        rates = [rate_factor(schedule, 0.1, done, 100) for done in range(100)]
        assert rates[:10] == pytest.approx([(i + 1) / 11 for i in range(10)])
        assert max(rates) == rates[10] == 1
        assert rates[10:] == sorted(rates[10:], reverse=True)
        assert rate_factor(schedule, 0.1, 100, 100) == pytest.approx(0)
    assert {rate_factor("constant", 0.0, done, 9) for done in range(9)} == {1.0}


def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.Flatten()
    model = nn.Sequential(*layers, nn.Linear(32, 3))
    return model.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["adam", "adamw", "muon"])
def test_each_optimiser_learns_and_refuses_the_state_of_another_network(kind, tiny):
    own = at(tiny, **{"train.optimizer": kind, "train.lr": 0.02}).train
    images = torch.randn(24, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    labels, model = (images.mean((1, 2, 3)) > 0).long(), network()
    optimizer = ScheduledOptimizer(model, own, 40)
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.6
    with pytest.raises(ValueError, match="another network"):
        ScheduledOptimizer(nn.Linear(2, 2), own, 40).restore(optimizer.state()[:1], 20)


def test_decay_spares_biases_and_muon_refuses_kernels_it_could_not_reach(tiny):
    own = at(tiny, **{"train.optimizer": "adamw", "train.decay_all": False}).train
    (optimizer,) = ScheduledOptimizer(network(), own, 1).all
    wide, narrow = optimizer.param_groups
    assert {p.ndim for p in narrow["params"]} == {1} and narrow["weight_decay"] == 0
    assert min(p.ndim for p in wide["params"]) > 1 and wide["weight_decay"] == own.weight_decay
    own = at(tiny, **{"train.optimizer": "muon"}).train
    with pytest.raises(ValueError, match="channels last"):
        ScheduledOptimizer(network().to(memory_format=torch.contiguous_format), own, 1)


def test_sides_grow_as_the_configuration_says(tiny):
    own = at(tiny, 10, **{"train.sides": [[0.0, 0.5], [0.45, 0.75], [0.8, 1.0]]}).train
    assert [room.side_at(own, epoch, 64) for epoch in range(10)] == [32] * 5 + [48] * 3 + [64] * 2
    assert {room.side_at(at(tiny).train, epoch, 50) for epoch in range(3)} == {50}
