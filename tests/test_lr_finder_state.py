"""A sweep leaves nothing behind, to the bit; the course's protocol starts over each time."""

import copy
import random

import numpy as np
import pytest
import torch

from eurosat_lib.config import override
from eurosat_lib.lr_finder import LRFinder, Resets, Sweep, find_lr, losses_at, try_rates
from eurosat_lib.lr_finder.steps import fresh
from eurosat_lib.runtime import Runtime
from eurosat_lib.training.steps import TrainStep


def generators():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, keys.tolist(), *rest), torch.get_rng_state().tolist()


def same(a, b) -> bool:
    """Compare nested states to the bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture
def training(tiny, blobs):
    """A network in the middle of its training: moments, BatchNorm buffers, a second epoch."""
    model, optimizer, loader = fresh(tiny, blobs, seed=5)
    step = TrainStep(model, optimizer, Runtime.of(tiny))
    for _ in range(2):
        for images, labels in loader:
            step(images, labels)
    next(model.children()).eval()
    return model, optimizer, loader


def state_of(model, optimizer, loader):
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    weights, moments = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    return [weights, moments, gradients, modes, loader._epoch, *generators()]


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_steps_at_any_rate_leave_no_trace(tiny, training, steps):
    before = state_of(*training)
    batches = [images.clone() for images, _ in training[2].epoch(3)]
    iterator = losses_at(*training, np.geomspace(1e-6, 10, 20), Runtime.of(tiny))
    losses = [loss for loss, _ in zip(iterator, range(steps), strict=False)]
    iterator.close()
    assert len(losses) == min(steps, 20) and len(set(losses)) == len(losses)
    assert same(before, state_of(*training))
    assert same(batches, [images for images, _ in training[2].epoch(3)])


def test_a_new_optimiser_is_new_again(tiny, blobs):
    model, optimizer, loader = fresh(tiny, blobs, seed=5)
    places = [p.data_ptr() for p in model.parameters()]
    list(losses_at(model, optimizer, loader, [1e-3] * 3, Runtime.of(tiny)))
    assert not optimizer.state and all(p.grad is None for p in model.parameters())
    assert [p.data_ptr() for p in model.parameters()] == places  # recorded steps stay good


def test_a_failing_step_leaves_no_trace_either(tiny, training):
    before = state_of(*training)
    rates = iter([1.0, "not a rate"])
    with pytest.raises(ValueError, match="not a rate"):
        list(losses_at(*training, rates, Runtime.of(tiny)))
    assert same(before, state_of(*training))


def test_finder_leaves_the_generators_alone(tiny, blobs):
    settings = {"reset_rates": 3, "reset_steps": 2, "reset_tail": 2}
    config = override(tiny, {f"lr_finder.{k}": v for k, v in settings.items()})
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    before = generators()
    result = find_lr(config, blobs)
    assert generators() == before
    assert result.resets and find_lr(tiny, blobs).sweeps == result.sweeps


@pytest.fixture
def resets(tiny, blobs):
    settings = {"reset_rates": 4, "reset_steps": 6, "reset_tail": 3, "seeds": [0, 1]}
    config = override(tiny, {f"lr_finder.{k}": v for k, v in settings.items()})
    return config, try_rates(config, blobs)


def test_every_rate_starts_from_the_same_weights_and_batches(resets, blobs):
    config, result = resets
    parts = fresh(config, blobs, 1)
    runs = [
        list(losses_at(*parts, [lr] * 6, Runtime.of(config))) for lr in result.lr
    ]  # one network for all rates
    assert len({run[0] for run in runs}) == 1 and len({run[-1] for run in runs}) == 4
    assert result.scores[1] == pytest.approx([np.mean(run[-3:]) for run in runs])
    expected = [np.std(run[-3:], ddof=1) / np.sqrt(3) for run in runs]
    assert result.within[1] == pytest.approx(expected)
    assert np.array(result.lr[1:]) / np.array(result.lr[:-1]) == pytest.approx(10 ** (4 / 3))


def by_hand(*scores, within=0.01) -> Resets:
    rates = tuple(10.0 ** (k - 5) for k in range(len(scores[0])))
    errors = tuple(tuple(None if s is None else within for s in row) for row in scores)
    return Resets(lr=rates, steps=40, tail=10, scores=scores, within=errors)


def test_standard_error_is_that_of_the_seeds():
    found = by_hand((2.3, 1.0, 2.0), (2.3, 1.2, None))
    assert found.mean == pytest.approx([2.3, 1.1, None])
    assert found.error[1] == pytest.approx(0.1)  # sd of (1, 1.2) is 0.1414, over sqrt 2
    assert by_hand((2.3, 1.0, 2.0), within=0.02).error == [0.02] * 3


def test_window_holds_the_rates_as_good_as_the_best():
    found = by_hand((2.3, 1.52, 1.5, 1.57, 2.0, 1.5))  # the last is cut off by a worse one
    assert found.window == pytest.approx((1e-4, 1e-2))
    assert found.choice == pytest.approx(1e-3)
    noisy = by_hand((2.3, 1.7, 1.5, 2.0), within=0.25)
    assert noisy.window == pytest.approx((1e-4, 1e-3))


@pytest.mark.parametrize(
    "scores",
    [
        (2.3, 2.3, 2.29, 2.3),  # flat
        (1.5, 2.0, 2.1, 2.3),  # best at the first rate
        (2.3, 2.0, 1.8, 1.5),  # best at the last
        (None, None, None),
    ],
)
def test_no_window_on_flat_or_edge_scores(scores):
    found = by_hand(scores)
    assert found.window is None and found.choice is None
    assert found.facts()["window_low"] is None


def test_protocol_takes_over_from_a_sweep_that_says_nothing():
    flat = Sweep(
        seed=0, lr=(1e-6, 1.0), loss=(2, 2), smoothed=(2, 2), stopped="end", suggestions={},
        fault="flat",
    )  # fmt: skip
    parts = {"sweeps": (flat,), "weight_decay": 0.0, "batch_size": 8, "smoothing": 0.9}
    alone = LRFinder(**parts, iterations=2)
    assert alone.choice is None and alone.window is None and alone.facts()["faults"] == {0: "flat"}
    helped = LRFinder(**parts, iterations=2, resets=by_hand((2.3, 1.5, 1.5, 2.0)))
    assert helped.choice == pytest.approx(3.2e-4)
    assert helped.window == pytest.approx((1e-4, 1e-3))
