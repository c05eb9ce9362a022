"""Effects, interactions, ties and verdicts, against hand counts and by simulation."""

from itertools import product

import numpy as np
import pytest
from handmade import trial
from scipy.stats import ttest_1samp

from eurosat_lib.grid import (
    EXPECTED,
    LEVEL,
    Candidate,
    Effect,
    Grid,
    Statement,
    candidates,
    effect,
    interactions,
    judge,
    mean_interval,
    noise,
    run_name,
    tied,
    twin_correlation,
)
from eurosat_lib.grid.effects import Pair
from eurosat_lib.grid.intervals import TOGETHER
from eurosat_lib.grid.ties import gupta

RATES, DECAYS, MODELS = (1e-3, 2e-3, 4e-3), (1e-5, 1e-4), (2, 3)
POINTS = list(product(RATES, DECAYS, MODELS, MODELS))


def grid_of(score, seeds=(42,)) -> list:
    """Make the 24 points from a function of (lr, wd, d, b, seed)."""
    return [
        trial(lr=lr, wd=wd, d=d, b=b, values=(y - 0.2, y - 0.01, y + 0.01)).model_copy(
            update={"seed": seed}
        )
        for lr, wd, d, b in POINTS
        for seed in seeds
        for y in [score(lr, wd, d, b, seed)]
    ]


def noisy(rng, sd=0.01, **gain):
    def score(lr, wd, d, b, seed):
        high = {"lr": lr > 3e-3, "d": d > 2, "b": b > 2}
        return 0.7 + sum(gain.get(k, 0) for k, v in high.items() if v) + rng.normal(0, sd)

    return score


def test_pairs_that_differ_in_weight_decay_make_one_unit():
    values = {  # (lr, wd, d): the four pairs of D are +1, +3, -1, +1 points; two blocks: +2, 0
        (1e-3, 1e-5): (0.60, 0.61),
        (1e-3, 1e-4): (0.60, 0.63),
        (2e-3, 1e-5): (0.60, 0.59),
        (2e-3, 1e-4): (0.60, 0.61),
    }
    fits = [
        trial(lr=lr, wd=wd, d=d, values=(v, v))
        for (lr, wd), pair in values.items()
        for d, v in zip((2, 3), pair, strict=True)
    ]
    fits.append(trial(d=3, lr=9e-3, values=(0.1, 0.1)))  # no twin
    found = effect(fits, "dilation_stage3")
    assert len(found.pairs) == 4
    assert found.units == pytest.approx((0.02, 0.0))
    facts = found.facts()
    assert (facts["pairs"], facts["units"], facts["unit"]) == (4, 2, "bloc")
    assert facts["mean"] == pytest.approx(0.01)
    assert facts["ci_low"] is None and facts["sign"] == 0  # two units support no interval


def test_weight_decay_itself_has_a_unit_per_pair():
    fits = grid_of(noisy(np.random.default_rng(0)))
    assert len(effect(fits, "weight_decay").units) == 12
    assert [len(effect(fits, f).units) for f in ("lr", "dilation_stage3")] == [4, 6]


def test_seeds_are_the_units_from_three_on():
    for seeds, unit, count in (((1, 2), "bloc", 6), ((1, 2, 3), "graine", 3)):
        fits = grid_of(noisy(np.random.default_rng(0)), seeds)
        facts = effect(fits, "blocks_per_stage").facts()
        assert (facts["unit"], facts["units"]) == (unit, count)
        assert facts["pairs"] == 12 * len(seeds)


def test_interval_is_students_by_hand():
    units = (0.01, 0.02, 0.03, 0.06)
    # mean 0.03, sd 0.0216, t(3; 0.975) = 3.182
    assert mean_interval(units, 0.95) == pytest.approx((-0.00438, 0.06438), abs=1e-4)
    low, high = mean_interval(units)
    expected = ttest_1samp(units, 0).confidence_interval(1 - 0.05 / 8)
    assert (low, high) == pytest.approx(tuple(expected))
    assert mean_interval((0.01, 0.02)) is None
    assert mean_interval((0.1 + 0.2, 0.3, 0.3)) is None  # equal but for rounding


def test_diverged_trials_are_left_out():
    fits = [trial(d=2), trial(d=3, values=(), diverged="epoch 1: loss not finite")]
    assert effect(fits, "dilation_stage3").facts()["pairs"] == 0


@pytest.mark.parametrize(
    ("measure", "expected"), [("speed", 0.1), ("score", 0.05), ("gap", 0.0), ("spread", 0.1)]
)
def test_measures_of_a_pair_by_hand(measure, expected):
    fits = [trial(d=2, values=(0.5, 0.6, 0.6)), trial(d=3, values=(0.6, 0.6, 0.7))]
    assert effect(fits, "dilation_stage3", measure).mean == pytest.approx(expected)


def simulated(rng, runs, twins):
    """Differences (runs, 6 blocks, 2 twins) of mean 0; ``twins``: share of variance in common."""
    common = rng.normal(0, np.sqrt(twins), (runs, 6, 1))
    return common + rng.normal(0, np.sqrt(1 - twins), (runs, 6, 2))


@pytest.mark.parametrize("twins", [0.0, 0.5, 0.95])
def test_block_intervals_cover_95_percent(twins):
    """Whatever the likeness of near-replicates: 95 % within 1.5 (simulation error 0.35)."""
    differences = simulated(np.random.default_rng(1), 1500, twins)
    hits = [
        low <= 0 <= high for low, high in (mean_interval(u, 0.95) for u in differences.mean(2))
    ]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_counting_near_replicates_twice_would_cover_less():
    differences = simulated(np.random.default_rng(1), 500, 0.95).reshape(500, 12)
    hits = [low <= 0 <= high for low, high in (mean_interval(u, 0.95) for u in differences)]
    assert np.mean(hits) < 0.88


def test_eight_intervals_hold_together():
    rng = np.random.default_rng(2)
    runs = rng.normal(size=(500, TOGETHER, 6))
    kept = [all(low <= 0 <= high for low, high in map(mean_interval, run)) for run in runs]
    assert np.mean(kept) == pytest.approx(0.95, abs=0.015)


def test_twin_correlation_by_hand():
    def with_pairs(*twins):
        pairs = [
            Pair(difference=d, block=str(k), seed=1) for k, pair in enumerate(twins) for d in pair
        ]
        return Effect(factor="lr", measure="score", low=1, high=2, pairs=tuple(pairs))

    assert twin_correlation([with_pairs((1, 1), (2, 2), (-3, -3))]) == pytest.approx(1)
    assert twin_correlation([with_pairs((1, -1), (2, -2), (3, -3))]) == pytest.approx(-1)
    assert twin_correlation([with_pairs((1, 1))]) is None


def test_interaction_by_hand():
    """B gains 10 points at the highest rate only; no other effect, no noise but a known one."""

    def score(lr, wd, d, b, seed):
        return 0.6 + 0.1 * (lr > 3e-3 and b > 2) + (0.01 if d > 2 and lr < 2e-3 else 0)

    found = {(i.a, i.b): i for i in interactions(grid_of(score))}
    assert found["lr", "blocks_per_stage"].estimate == pytest.approx(0.1)
    assert found["lr", "blocks_per_stage"].sign == 1
    assert found["dilation_stage3", "blocks_per_stage"].estimate == pytest.approx(0, abs=1e-12)
    assert found["lr", "blocks_per_stage"].freedom == 12 - (6 + 1)  # cells, 3 × 2 means, D


def test_interaction_over_seeds_is_a_mean_of_contrasts():
    rng, seeds = np.random.default_rng(4), (1, 2, 3, 4)
    fits = grid_of(noisy(rng, b=0.05), seeds)
    found = next(i for i in interactions(fits) if i.a == "dilation_stage3")
    contrasts = []
    for seed in seeds:
        mean = {
            (d, b): np.mean(
                [
                    f.score
                    for f in fits
                    if f.seed == seed
                    and (f.hyperparameters.dilation_stage3, f.hyperparameters.blocks_per_stage)
                    == (d, b)
                ]
            )
            for d in (2, 3)
            for b in (2, 3)
        }
        contrasts.append(mean[3, 3] - mean[3, 2] - mean[2, 3] + mean[2, 2])
    assert found.estimate == pytest.approx(np.mean(contrasts))
    assert found.interval == pytest.approx(mean_interval(contrasts))


def test_interaction_intervals_cover():
    """No interaction but strong main effects: the interval holds 0 as often as it says."""
    rng, runs = np.random.default_rng(5), 60
    hits = [
        i.interval[0] <= 0 <= i.interval[1]
        for _ in range(runs)
        for i in interactions(grid_of(noisy(rng, lr=0.1, d=0.05, b=-0.05)))
    ]
    assert np.mean(hits) >= LEVEL - 0.015


def test_no_interaction_of_a_factor_with_one_value():
    assert interactions([trial(lr=1e-3), trial(lr=2e-3)]) == []
    assert interactions([]) == []


def test_gupta_is_dunnetts_one_sided_constant():
    # Dunnett 1955, table 1a, 5 %: two treatments, 12 and infinite degrees of freedom
    assert gupta(0.95, 3, 12) / np.sqrt(2) == pytest.approx(2.11, abs=0.005)
    assert gupta(0.95, 3, np.inf) / np.sqrt(2) == pytest.approx(1.92, abs=0.005)


def test_noise_by_hand():
    pairs = [(0.60, 0.62), (0.70, 0.74)]
    fits = [
        trial(lr=lr, wd=wd, values=(v, v))
        for lr, pair in zip(RATES, pairs, strict=False)
        for wd, v in zip(DECAYS, pair, strict=True)
    ]
    found = noise(candidates(fits))
    # within pairs: (0.02² + 0.04²) / 2 over two degrees of freedom
    assert found.training == pytest.approx(np.sqrt((0.02**2 + 0.04**2) / 2 / 2))
    mean = np.mean(pairs)
    assert found.images == pytest.approx(np.sqrt(mean * (1 - mean) / 40))
    assert (found.source, found.freedom, found.seeds) == ("twins", 2, 1)
    again = [f.model_copy(update={"seed": 7}) for f in fits]
    assert noise(candidates(fits + again)).source == "seeds"
    assert noise(candidates([trial(lr=lr) for lr in RATES])).source == "images"


def test_ties_hold_the_best_point_95_times_in_100():
    """All points equal in truth, the hardest case; the noise is estimated from the twins."""
    rng, runs, kept = np.random.default_rng(6), 4000, 0
    constant = gupta(0.95, 24, 12)
    scores = rng.normal(size=(runs, 12, 2))
    sd = np.sqrt((np.diff(scores, axis=2)[..., 0] ** 2 / 2).mean(axis=1))
    flat = scores.reshape(runs, 24)
    kept = (flat.max(axis=1) - flat[:, 0] <= constant * sd).mean()
    assert kept >= 0.935


def test_tied_points_are_those_within_the_margin():
    fits = grid_of(noisy(np.random.default_rng(7), sd=1e-4, b=0.3))
    big = [f.model_copy(update={"validation_images": 10**7}) for f in fits]
    grid = Grid(trials=tuple(big), epochs=3, origin="config")
    assert {p.hyperparameters.blocks_per_stage for p in grid.tied} == {3}
    assert grid.facts()["n_tied"] == len(tied(grid.ranking)) <= 12
    alone = Grid(trials=(trial(),), epochs=3, origin="config")
    assert alone.margin == 0 and len(alone.tied) == 1


def test_candidates_average_their_seeds():
    one, two = trial(values=(0.5, 0.6, 0.7)), trial(values=(0.5, 0.7, 0.8))
    (point,) = candidates([one, two.model_copy(update={"seed": 7})])
    assert point.score == pytest.approx((0.65 + 0.75) / 2)
    assert point.best.val_accuracy == 0.8 and point.val_loss == pytest.approx(0.25)
    assert run_name(one, 1) == point.name and run_name(one, 2) == f"{point.name}_seed42"
    bad = trial(values=(0.9,), diverged="epoch 2")
    assert Candidate(hyperparameters=bad.hyperparameters, fits=(one, bad)).score == 0


def of(interval):
    """Make an effect whose interval is given, at the level of the report."""

    class Known(Effect):
        @property
        def interval(self):
            return interval

    return Known(factor="lr", measure="score", low=1, high=2, pairs=())


@pytest.mark.parametrize(
    ("direction", "interval", "verdict"),
    [
        ("up", (0.01, 0.03), "supported"),
        ("up", (-0.03, -0.01), "refuted"),
        ("up", (-0.01, 0.03), "undecided"),
        ("down", (-0.03, -0.01), "supported"),
        ("down", (0.01, 0.03), "refuted"),
        ("flat", (-0.005, 0.005), "supported"),
        ("flat", (-0.005, 0.02), "undecided"),
        ("flat", (0.011, 0.02), "refuted"),
        ("flat", (-0.02, -0.011), "refuted"),
        ("up", None, "undecided"),
        ("flat", None, "undecided"),
    ],
)
def test_verdicts(direction, interval, verdict):
    statement = Statement(factor="lr", measure="score", direction=direction)
    assert statement.verdict(of(interval)) == verdict


def test_expectations_are_judged_on_their_own_measure():
    assert len(EXPECTED) <= TOGETHER
    fits = grid_of(noisy(np.random.default_rng(8), sd=1e-3, b=0.1, lr=-0.1))
    verdicts = [row["verdict"] for row in judge(fits)]
    assert verdicts[:2] == ["refuted", "refuted"] and verdicts[3:] == [
        "supported",
        "undecided",
        "supported",
    ]
