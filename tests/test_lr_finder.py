import random

import numpy as np
import pytest
import torch

from eurosat_lib.config import override
from eurosat_lib.lr_finder import fault, find_lr, grid_rates, round_digits, smooth, suggest

LR = np.geomspace(1e-6, 1, 100)


def test_smoothing_is_bias_corrected():
    assert smooth(np.full(5, 2.0), 0.9) == pytest.approx([2.0] * 5)
    # by hand: (0.9 * 0.1 * 1 + 0.1 * 2) / (1 - 0.81)
    assert smooth(np.array([1.0, 2.0]), 0.9)[1] == pytest.approx(0.29 / 0.19)


def test_rules_on_a_curve_drawn_by_hand():
    """A fall centred on 1e-3 with its minimum at 1e-2."""
    x = np.log10(LR)
    curve = 2.3 - 1.5 / (1 + np.exp(-4 * (x + 3))) + 3 * np.clip(x + 2, 0, None) ** 2
    rules = suggest(LR, curve)
    assert rules["steepest"] == pytest.approx(1e-3, rel=0.2)
    assert rules["minimum/10"] == pytest.approx(LR[:-5][curve[:-5].argmin()] / 10)
    assert rules["valley"] < LR[curve.argmin()]


def test_no_suggestion_without_a_fall():
    assert suggest(LR, np.full(100, 2.3)) == {}
    assert suggest(LR, np.linspace(2.3, 4, 100)) == {}


def test_a_fault_has_a_name():
    bowl = 2.3 - 0.3 * np.exp(-((np.log10(LR) + 2) ** 2))
    assert fault(LR, bowl) == "" and suggest(LR, bowl)
    assert fault(LR, np.where(bowl < 2.25, 2.25, bowl)) == "flat"  # falls by 2 %
    assert fault(LR, np.linspace(2.3, 4, 100)) == "flat"
    assert fault(LR, np.where(LR < 3e-6, 2.3, 0.5 + LR)) == "start"  # falls at once, then rises
    late = np.concatenate([np.full(40, 2.3), np.linspace(2.3, 0.5, 60)])
    assert fault(LR, late) == "end" and fault(LR, late, ended=False) == ""
    assert fault(LR[:2], bowl[:2]) == "short"


def test_a_reading_at_the_edge_of_the_sweep_is_a_fault():
    """A sweep that starts in the middle of the fall: its minimum over ten is below its start."""
    rates = np.geomspace(1e-3, 1, 100)
    bowl = 2.3 - 1.5 * np.exp(-((np.log10(rates) + 2.3) ** 2))
    assert fault(rates, bowl) == "start" and suggest(rates, bowl) == {}


def test_one_high_first_batch_is_not_a_fall():
    """The fall is measured from the plateau, not from a single batch."""
    plateau = np.full(100, 2.3)
    plateau[0], plateau[50] = 2.5, 2.29
    assert suggest(LR, plateau) == {}


def test_no_suggestion_from_a_loss_that_still_falls_at_the_end():
    falling = np.concatenate([np.full(30, 2.3), np.linspace(2.3, 0.5, 70)])
    assert suggest(LR, falling, ended=True) == {}
    assert suggest(LR, falling, ended=False)  # cut by a divergence that came after


def test_valley_skips_small_rises():
    plain = np.concatenate([np.full(20, 2.3), np.linspace(2.3, 0.5, 70), np.linspace(0.6, 3, 10)])
    bump = plain.copy()
    bump[60] += 0.05
    assert suggest(LR, bump)["valley"] == pytest.approx(suggest(LR, plain)["valley"])


def test_sweep_is_geometric_repeatable_and_seeded(tiny, blobs):
    config = override(tiny, {"lr_finder.seeds": [0, 1], "lr_finder.iterations": 30})
    one, two = find_lr(config, blobs), find_lr(config, blobs)
    assert one == two
    a, b = one.sweeps
    assert a.loss != b.loss
    ratios = np.array(a.lr[1:]) / np.array(a.lr[:-1])
    assert ratios == pytest.approx(ratios[0])
    assert a.lr[0] == pytest.approx(1e-6)


def test_sweep_stops_when_it_diverges(tiny, blobs):
    config = override(
        tiny, {"lr_finder.max_lr": 10.0, "lr_finder.iterations": 60, "lr_finder.stop_factor": 1.2}
    )
    sweep = find_lr(config, blobs).sweeps[0]
    assert sweep.stopped == "diverged"
    assert len(sweep.lr) < 60


def test_choice_is_the_median_of_all_suggestions(tiny, blobs):
    settings = {"lr_finder.iterations": 60, "lr_finder.seeds": [0, 1, 2]}
    config = override(tiny, settings | {"lr_finder.max_lr": 10.0})
    result = find_lr(config, blobs)
    assert result.reliable
    assert result.choice == round_digits(float(np.median(result.suggestions)))
    low, high = result.window
    assert low <= result.choice <= high


def test_grid_rates_follow_the_choice(tiny):
    free = override(tiny, {"grid.lr": None})
    assert grid_rates(free, 2.3e-4) == (1.2e-4, 2.3e-4, 4.6e-4)
    assert grid_rates(free, None)[1] == free.train.fallback_lr
    assert grid_rates(tiny, 2.3e-4) == (1e-3, 2e-3)


def generators():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, keys.tolist(), *rest), torch.get_rng_state().tolist()


def test_a_sweep_neither_sees_nor_moves_the_generators(tiny, blobs):
    first = find_lr(tiny, blobs)
    torch.rand(3), random.random(), np.random.rand()
    before = generators()
    assert find_lr(tiny, blobs) == first
    assert generators() == before


def test_published_rows_and_runs(tiny, blobs):
    result = find_lr(tiny, blobs)
    rows, (sweep,) = result.csv_files()["lr_finder.csv"], result.sweeps
    assert [(r["step"], r["loss"]) for r in rows] == list(enumerate(sweep.loss, start=1))
    run = result.tensorboard_runs()["seed0"]
    assert run.series["lr_finder/lr"] == list(enumerate(sweep.lr, start=1))
