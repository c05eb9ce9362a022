"""The rules on curves drawn by hand; sweeps that are repeatable and leave nothing behind."""

from itertools import chain

import numpy as np
import pytest
import torch
from handmade import finder, sweep

from eurosat_lib.config import override
from eurosat_lib.loaders import make_loader
from eurosat_lib.lr_finder import find_lr, round_digits, smooth, suggest
from eurosat_lib.model import build_model

LR = np.geomspace(1e-6, 1, 100)
BOWL = 2.3 - 0.3 * np.exp(-((np.log10(LR) + 2) ** 2))


def test_smoothing_is_bias_corrected():
    assert smooth(np.full(5, 2.0), 0.9) == pytest.approx([2.0] * 5)
    # by hand: (0.9 * 0.1 * 1 + 0.1 * 2) / (1 - 0.81)
    assert smooth(np.array([1.0, 2.0]), 0.9)[1] == pytest.approx(0.29 / 0.19)


def test_rules_on_curves_drawn_by_hand():
    x = np.log10(LR)  # a fall centred on 1e-3 with its minimum at 1e-2
    curve = 2.3 - 1.5 / (1 + np.exp(-4 * (x + 3))) + 3 * np.clip(x + 2, 0, None) ** 2
    rules, _ = suggest(LR, curve, True)
    assert rules["steepest"] == pytest.approx(1e-3, rel=0.2)
    assert rules["minimum/10"] == pytest.approx(LR[:-5][curve[:-5].argmin()] / 10)
    plain = np.concatenate([np.full(20, 2.3), np.linspace(2.3, 0.5, 70), np.linspace(0.6, 3, 10)])
    bump = plain + 0.05 * (np.arange(100) == 60)  # a small rise is skipped
    for curve in (plain, bump):  # falls from point 0, as high as point 20, to point 89
        assert suggest(LR, curve, True)[0]["valley"] == pytest.approx(LR[2 * 89 // 3])


LATE = np.concatenate([np.full(40, 2.3), np.linspace(2.3, 0.5, 60)])
ONE_HIGH = np.concatenate([[2.5], np.full(99, 2.3)])  # a single batch is no plateau to fall from
AT_ONCE = np.where(LR < 3e-6, 2.3, 0.5 + LR)
FROM_WITHIN = 2.3 - 1.5 * np.exp(-((np.linspace(-3, 0, 100) + 2.3) ** 2))  # sweep from 1e-3


@pytest.mark.parametrize(
    ("lr", "curve", "ended", "fault"),
    [
        (LR, BOWL, True, ""),
        (LR, np.maximum(BOWL, 2.25), True, "flat"),  # falls by 2 %
        (LR, np.linspace(2.3, 4, 100), True, "flat"),
        (LR, ONE_HIGH, True, "flat"),
        (LR, AT_ONCE, True, "start"),
        (np.geomspace(1e-3, 1, 100), FROM_WITHIN, True, "start"),  # its minimum over ten is before
        (LR, LATE, True, "end"),
        (LR, LATE, False, ""),  # cut by a divergence that came after
        (LR[:2], BOWL[:2], True, "short"),
    ],
)
def test_a_curve_that_says_nothing_has_a_fault_with_a_name(lr, curve, ended, fault):
    rates, found = suggest(lr, curve, ended)
    assert found == fault and bool(rates) == (fault == "")


def test_choice_is_the_median_of_all_suggestions():
    rules = {"steepest": 1e-3, "valley": 4e-4, "minimum/10": 2e-3}
    result = finder(sweep(0, **rules), sweep(1, **{rule: 3 * lr for rule, lr in rules.items()}))
    assert result.choice == round_digits(np.median([1, 0.4, 2, 3, 1.2, 6]) * 1e-3) == 1.6e-3
    assert result.window == (1e-3, 1e-2)  # the loss falls: 2.3, 2.3, 2.2, 1.8, 1.5, 1.9
    one, two = result.sweeps  # a sweep that stops before the fall does not hide it
    cut = one.model_copy(update={"lr": one.lr[:2], "smoothed": one.smoothed[:2]})
    assert finder(cut, two).window == (1e-3, 1e-2)
    assert finder(cut, cut, two).median[0] == one.lr[:2]  # most have stopped
    facts = result.facts()
    assert (facts["lowest"], facts["highest"]) == (4e-4, pytest.approx(6e-3))
    mute = finder(sweep(0, **rules), sweep(1))
    assert (mute.choice, mute.window, mute.facts()["faults"]) == (None, None, {1: "flat"})


def test_sweeps_are_geometric_repeatable_and_published(on_blobs, blobs):
    config = override(on_blobs, {"lr_finder.seeds": [0, 1], "lr_finder.iterations": 30})
    result = find_lr(config)
    torch.rand(3)  # does not change a sweep
    before = torch.get_rng_state().tolist()
    assert find_lr.__wrapped__(config) == result and torch.get_rng_state().tolist() == before
    a, b = result.sweeps
    assert a.loss != b.loss and a.lr == pytest.approx(np.geomspace(1e-6, 1.0, 30))
    rows, runs = result.files()["lr_finder.csv"], result.tensorboard_runs()
    first = {"seed": 1, "step": 1, "lr": b.lr[0], "loss": b.loss[0], "smoothed": b.smoothed[0]}
    assert rows[30] == first and len(rows) == 60 and list(runs) == ["seed0", "seed1"]
    assert runs["seed1"].series["lr_finder/loss"] == b.loss
    torch.manual_seed(1)
    model, losses = build_model(config).to(memory_format=torch.channels_last).train(), []
    optimizer = torch.optim.Adam(model.parameters(), 1.0, fused=True)
    epochs = map(make_loader(config, blobs.train, augment=True, seed=1).epoch, range(9))
    for (images, labels), lr in zip(chain(*epochs), b.lr, strict=False):
        optimizer.param_groups[0].update(lr=lr, weight_decay=config.lr_finder.weight_decay)
        optimizer.zero_grad()
        losses.append(torch.nn.functional.cross_entropy(model(images), labels))
        losses[-1].backward()
        optimizer.step()
    assert b.loss == pytest.approx([loss.item() for loss in losses[: len(b.loss)]], rel=1e-4)
    far = {"lr_finder.max_lr": 10.0, "lr_finder.iterations": 60, "lr_finder.stop_factor": 1.2}
    (lost,) = find_lr(override(on_blobs, far)).sweeps
    assert not lost.ended and len(lost.lr) < 60 and lost.smoothed[-1] > 1.2 * min(lost.smoothed)
