"""Searches: points, ranking, paired effects, finalists, choice; final training, ablation."""

import math

import pytest
from handmade import CROSSED, FINALISTS, GRID, TRAINING, finalist, grid_of, trial
from scipy.stats import linregress, ttest_1samp

from eurosat_lib import search
from eurosat_lib.errors import UserError
from eurosat_lib.recipes import Ablation
from eurosat_lib.search import MEASURES, RefinedGrid, effects
from eurosat_lib.stats import newcombe, wilson

FIRST, SECOND = FINALISTS.finalists


def scored(score, **point):
    return trial(**point, values=(score, score))


def test_points_of_the_protocol_and_of_its_refined_grid(full, tiny):
    points = search.grid_points(full, 2e-4)
    assert len({point.name for point in points}) == 24
    assert [p.lr for p in points[::8]] == [1e-4, 2e-4, 4e-4] and points[1].blocks_per_stage == 3
    assert search.grid_points(full, None)[8].lr == full.train.fallback_lr
    assert {point.lr for point in search.grid_points(tiny, 2.3e-4)} == {1e-3, 2e-3}  # as given
    around = search.refined_points(full, points[5])
    assert len(around) == 9 and points[5] in around
    assert around[0].lr == pytest.approx(0.6e-4) and around[0].weight_decay == pytest.approx(5e-5)


def test_best_by_score_is_not_best_by_single_epoch():
    steady, lucky = trial(lr=1e-3, values=(0.6, 0.7, 0.7)), trial(lr=2e-3, values=(0.5, 0.8, 0.5))
    lost = trial(lr=9e-3, values=(0.9,), diverged="epoch 2")
    grid = grid_of(lucky, steady, lost)
    assert grid.best == steady and grid.best_by_epoch == lucky
    found = {name: measure(trial(values=(0.5, 0.6, 0.7))) for name, measure in MEASURES.items()}
    wanted = {"speed": 0.5, "score": 0.65, "gap": -0.05, "spread": 0.1, "fit": 0.65, "start": 1.0}
    assert found == pytest.approx(wanted)
    assert [trial(values=(0.3, 0.7)[:n]).score for n in (1, 2)] == [0.3, 0.7]  # too few to average
    for epochs in ((), (0.3,)):
        lost = trial(lr=1, values=epochs, diverged="late")
        with pytest.raises(UserError, match="every trial diverged"):
            grid_of(trial(values=(), diverged="epoch 1"), lost)


def test_effect_is_the_paired_mean_with_students_interval():
    pairs = {1e-3: (0.60, 0.61), 2e-3: (0.60, 0.63), 3e-3: (0.60, 0.59), 4e-3: (0.60, 0.61)}
    trials = [scored(v, lr=lr, d=d) for lr, two in pairs.items() for d, v in enumerate(two, 2)]
    trials.append(scored(0.1, lr=9e-3, d=3))  # no twin
    trials += [scored(0.5, lr=8e-3, d=2), trial(lr=8e-3, d=3, values=(), diverged="epoch 1")]
    found = effects(trials, "dilation_stage3")["score"]
    assert found["differences"] == pytest.approx([0.01, 0.03, -0.01, 0.01])
    assert (found["low"], found["high"], found["pairs"], found["going"]) == (2, 3, 4, 3)
    expected = ttest_1samp([0.01, 0.03, -0.01, 0.01], 0).confidence_interval(0.95)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(tuple(expected))
    assert found["mean"] == pytest.approx(0.01) and found["sign"] == 0
    assert effects(trials, "weight_decay")["score"]["pairs"] == 0
    assert search.student((0.01, 0.02)) is None  # too few, or equal but for rounding
    assert search.student((0.1 + 0.2, 0.3, 0.3)) is None


def test_effects_by_depth_and_around_the_best():
    two, three = CROSSED.facts()["lr_effect_by"]["blocks_per_stage"]
    assert (two["value"], three["value"]) == (2, 3)
    two, three = two["score"], three["score"]
    assert (two["mean"], two["sign"], two["going"]) == (pytest.approx(0.005), 0, 2)
    assert (three["mean"], three["sign"], three["going"]) == (pytest.approx(-0.075), -1, 4)
    facts = search.compare(CROSSED).facts()
    rates = [fit.hyperparameters.lr for fit in search.neighbours(CROSSED, "lr")]
    assert rates == [1e-3, 2e-3, 4e-3] and len(facts["lr"]["curves"]) == 3
    assert facts["blocks_per_stage"]["score"]["pairs"] == 12
    assert facts["lr_effect_by"] == CROSSED.facts()["lr_effect_by"]
    ran, depth = list(CROSSED.trials), lambda fit: fit.hyperparameters.blocks_per_stage
    ran[-3] = ran[-3].model_copy(update={"diverged": "late"})  # of three blocks
    depths = grid_of(*ran).facts()["lr_effect_by"]["blocks_per_stage"]
    ends = [[one["score"][key] for key in ("low", "high", "pairs")] for one in depths]
    assert ends == [[1e-3, 4e-3, 3]] * 2  # both depths are compared without that point
    deep = [fit.model_copy(update={"diverged": "late"} if depth(fit) == 3 else {}) for fit in ran]
    depths = grid_of(*deep).facts()["lr_effect_by"]["blocks_per_stage"]
    assert [one["score"]["pairs"] for one in depths] == [4, 0]  # one depth is left


def test_published_rows_and_runs():
    rows, name = GRID.files()["grid_search_results.csv"], "lr1e-3_wd1e-5_D2_B2"
    assert (len(rows), rows[0]["run"], rows[0]["val_accuracy"]) == (4, name, 0.7)
    assert rows[3]["notes"].startswith("diverged, epoch 1") and rows[3]["val_loss"] is None
    run = GRID.tensorboard_runs()[name]
    assert run.series["val/accuracy"] == [0.5, 0.6, 0.7]
    assert run.metrics["hparam/best_val_accuracy"] == 0.7 and run.hparams["seed"] == 42
    assert len(FINALISTS.files()["finalists.csv"]) == len(FINALISTS.tensorboard_runs()) == 6
    assert TRAINING.files()["history.csv"][1]["val_accuracy"] == 0.8


def test_leader_is_the_best_mean_over_new_seeds():
    facts = FINALISTS.facts()
    assert facts["leader"] == SECOND.hyperparameters.name
    assert facts["finalists"][0]["lr"] == SECOND.hyperparameters.lr
    assert [facts["finalists"][0][key] for key in ("mean", "sd")] == pytest.approx((0.76, 0.02))
    lead, interval = FINALISTS.lead(FIRST)
    # differences 4, 5, 6 points: sd 1, t(2; 0.975) = 4.303
    assert lead == pytest.approx(0.05)
    assert interval == pytest.approx((0.05 - 4.3027 * 0.01 / math.sqrt(3), 0.0748), abs=1e-4)
    broken = (trial(diverged="epoch 1: loss not finite"),) * 3
    lost = FIRST.model_copy(update={"fits": broken})
    assert search.Finalists(finalists=(lost, FIRST)).ranking == [FIRST, lost]
    close = search.Finalists(finalists=(FIRST, finalist(2e-3, 0.79, 0.69, 0.74, 0.71)))
    assert (facts["n_beaten"], close.facts()["n_beaten"]) == (1, 0)
    third = search.Finalists(finalists=(FIRST, SECOND, finalist(4e-3, 0.78, 0.7, 0.7, 0.7)))
    assert (FINALISTS.level, third.level) == pytest.approx((0.95, 1 - 0.05 / 3))


def test_finalists_are_the_best_of_each_search_then_the_next_without_twins():
    scores = {(1e-3, 1e-5): 0.8, (1e-3, 1e-4): 0.79, (2e-3, 1e-5): 0.78, (4e-3, 1e-5): 0.5}
    first = grid_of(*(scored(v, lr=lr, wd=wd) for (lr, wd), v in scores.items()))
    refined = grid_of(scored(0.4, lr=6e-4), kind=RefinedGrid)
    chosen = search.choose_finalists([first, refined], 3, None)
    assert [fit.hyperparameters.lr for _, fit in chosen] == [1e-3, 2e-3, 6e-4]
    assert [stage for stage, _ in chosen] == ["grid_search", "grid_search", "refined_grid_search"]
    assert len(search.choose_finalists([first], 9, None)) == 3
    assert search.choose_finalists([], 3, 1e-3) == []
    longer = grid_of(trial(lr=2e-3, values=(0.5, 0.5, 0.5)), kind=RefinedGrid)
    own = trial(lr=2e-3, values=(0.5, 0.5)).model_copy(update={"seed": 7})
    reseeded = grid_of(own, kind=RefinedGrid)
    for other in (longer, reseeded):  # their scores do not compare
        chosen = search.choose_finalists([first, other], 2, 1e-3)
        assert [stage for stage, _ in chosen] == ["refined_grid_search"]


@pytest.mark.parametrize(
    ("rate", "count", "rates"),
    [
        (4e-3, 3, [1e-3, 2e-3, 4e-3]),  # the finder's own, before the next best
        (4e-3, 2, [1e-3, 4e-3]),
        (1e-3, 3, [1e-3, 2e-3, 3e-3]),  # the best point has this rate already
        (8e-3, 3, [1e-3, 2e-3, 3e-3]),  # tried on the other depth alone
        (None, 3, [1e-3, 2e-3, 3e-3]),
    ],
)
def test_the_lr_finders_own_choice_is_a_finalist(rate, count, rates):
    trials = [scored(0.8 - 0.01 * k, lr=k * 1e-3, b=3) for k in (1, 3, 4)]
    trials += [scored(0.5, lr=4e-3, b=3, d=3), scored(0.7, lr=8e-3, b=2)]
    refined = grid_of(scored(0.78, lr=2e-3, b=3), kind=RefinedGrid)
    chosen = search.choose_finalists([grid_of(*trials), refined], count, rate)
    assert sorted(fit.hyperparameters.lr for _, fit in chosen) == rates
    assert all(fit.score > 0.7 for _, fit in chosen)  # the best of that rate and depth


def test_facts_of_a_training_have_intervals_where_they_can():
    facts = TRAINING.facts()
    assert (facts["best_epoch"], facts["best_val_accuracy"], facts["epochs"]) == (2, 0.8, 3)
    assert (facts["last_val_low"], facts["last_val_high"]) == wilson(28, 40)
    assert not {"best_val_low", "best_val_high"} & facts.keys()  # a maximum over epochs
    assert facts["largest_drop"] == pytest.approx(0.1) and facts["trend"] is None
    assert facts["lowest_val_loss_epoch"] == 2
    values = (0.1, 0.2, 0.3, 0.4, 0.5, 0.50, 0.53, 0.54, 0.57, 0.58)
    found = TRAINING.model_copy(update={"fit": trial(values=values)}).facts()["trend"]
    line = linregress(range(5), values[5:])
    half = 3.1824 * line.stderr  # t(3; 0.975)
    expected = {"slope": line.slope, "low": line.slope - half, "high": line.slope + half}
    assert found["epochs"] == 5 and found["val_accuracy"] == pytest.approx(expected, rel=1e-4)


def ablation(*steps, **broken):
    fits = []
    for values in steps:
        row = [trial(values=(value,), **broken) for value in values]
        fits.append([fit.model_copy(update={"seed": rank}) for rank, fit in enumerate(row)])
    own = {"name": "short", "epochs": 1, "train_images": 48}
    return Ablation(**own, steps=["départ", "élan"], fits=fits)


def test_a_gain_has_the_interval_of_its_images_or_from_three_seeds_on_of_its_seeds():
    expected = pytest.approx((0.1, *newcombe(24, 40, 20, 40)))
    assert ablation([0.50], [0.60]).gains() == [None, expected]
    three = ablation((0.50, 0.52, 0.51), (0.60, 0.63, 0.60))
    expected = ttest_1samp([0.10, 0.11, 0.09], 0).confidence_interval(0.95)
    assert three.gains()[1] == pytest.approx((0.1, *expected))
    assert three.facts()["seeds"] == [0, 1, 2]
    assert ablation([0.50], [0.60], diverged="epoch 1").gains() == [None, None]
