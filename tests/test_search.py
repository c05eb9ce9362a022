"""Searches: points, ranking, paired effects, finalists, choice, training, ablation."""

import math

import pytest
from handmade import CROSSED, FINALISTS, GRID, TRAINING, finalist, grid_of, trial
from scipy.stats import linregress, ttest_1samp

from eurosat_lib import fits, search
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.search import MEASURES, RefinedGrid, effects
from eurosat_lib.stats import newcombe, wilson

FIRST, SECOND = FINALISTS.finalists


def scored(score, **point):
    return trial(**point, values=(score, score))


def test_protocol_has_24_points_of_distinct_names(root):
    config = load_config(root / "configs/config.yaml", "full")
    points = search.grid_points(config, (1e-4, 2e-4, 4e-4))
    assert len({point.name for point in points}) == 24
    assert [p.lr for p in points[:8]] == [1e-4] * 8 and points[1].blocks_per_stage == 3
    around = search.refined_points(config, points[5])
    assert len(around) == 9 and points[5] in around
    assert around[0].lr == pytest.approx(0.6e-4) and around[0].weight_decay == pytest.approx(5e-5)


def test_best_by_score_is_not_best_by_single_epoch():
    steady, lucky = trial(lr=1e-3, values=(0.6, 0.7, 0.7)), trial(lr=2e-3, values=(0.5, 0.8, 0.5))
    grid = grid_of(lucky, steady)
    assert grid.best == steady and grid.best_by_epoch == lucky
    found = {name: measure(trial(values=(0.5, 0.6, 0.7))) for name, measure in MEASURES.items()}
    assert found == pytest.approx({"speed": 0.5, "score": 0.65, "gap": -0.05, "spread": 0.1})


@pytest.mark.parametrize("epochs", [(), (0.3,)])
def test_a_grid_of_diverged_trials_is_refused(epochs):
    with pytest.raises(UserError, match="every trial diverged"):
        grid_of(trial(values=(), diverged="epoch 1"), trial(lr=1, values=epochs, diverged="late"))


def test_effect_is_the_paired_mean_with_students_interval():
    pairs = {1e-3: (0.60, 0.61), 2e-3: (0.60, 0.63), 3e-3: (0.60, 0.59), 4e-3: (0.60, 0.61)}
    trials = [scored(v, lr=lr, d=d) for lr, two in pairs.items() for d, v in enumerate(two, 2)]
    trials.append(scored(0.1, lr=9e-3, d=3))  # no twin
    trials += [scored(0.5, lr=8e-3, d=2), trial(lr=8e-3, d=3, values=(), diverged="epoch 1")]
    found = effects(trials, "dilation_stage3")["score"]
    assert found["differences"] == pytest.approx([0.01, 0.03, -0.01, 0.01])
    assert (found["low"], found["high"], found["pairs"], found["wins_high"]) == (2, 3, 4, 3)
    expected = ttest_1samp([0.01, 0.03, -0.01, 0.01], 0).confidence_interval(0.95)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(tuple(expected))
    assert found["mean"] == pytest.approx(0.01) and found["sign"] == 0
    assert effects(trials, "weight_decay")["score"]["pairs"] == 0
    assert search.student((0.01, 0.02), 0.95) is None  # too few, or equal but for rounding
    assert search.student((0.1 + 0.2, 0.3, 0.3), 0.95) is None


def test_the_rate_acts_differently_at_each_depth():
    by = CROSSED.facts()["lr_effect_by"]
    two, three = (case["score"] for case in by["blocks_per_stage"])
    assert [case["value"] for case in by["blocks_per_stage"]] == [2, 3]
    assert (two["mean"], two["sign"], two["wins_high"]) == (pytest.approx(0.005), 0, 2)
    assert (three["mean"], three["sign"], three["wins_high"]) == (pytest.approx(-0.075), -1, 0)


def test_comparison_varies_one_factor_around_the_best():
    facts = search.compare(CROSSED).facts()
    rates = [fit.hyperparameters.lr for fit in search.neighbours(CROSSED, "lr")]
    assert rates == [1e-3, 2e-3, 4e-3] and len(facts["lr"]["curves"]) == 3
    assert facts["blocks_per_stage"]["score"]["pairs"] == 12
    assert facts["lr_effect_by"] == CROSSED.facts()["lr_effect_by"]


def test_published_rows_and_runs():
    (file, rows), = GRID.csv_files().items()  # fmt: skip
    assert file == "grid_search_results.csv" and len(rows) == 4
    assert (rows[0]["run"], rows[0]["val_accuracy"]) == ("lr1e-3_wd1e-5_D2_B2", 0.7)
    assert rows[3]["notes"].startswith("diverged, epoch 1") and rows[3]["val_loss"] is None
    run = GRID.tensorboard_runs()["lr1e-3_wd1e-5_D2_B2"]
    assert run.series["val/accuracy"] == [(1, 0.5), (2, 0.6), (3, 0.7)]
    assert run.metrics["hparam/best_val_accuracy"] == 0.7 and run.hparams["seed"] == 42
    assert len(FINALISTS.csv_files()["finalists.csv"]) == len(FINALISTS.tensorboard_runs()) == 6
    assert TRAINING.csv_files()["history.csv"][1]["val_accuracy"] == 0.8


def test_leader_is_the_best_mean_over_new_seeds():
    facts = FINALISTS.facts()
    assert facts["leader"] == SECOND.again.name == facts["finalists"][0]["name"]
    assert [facts["finalists"][0][key] for key in ("mean", "sd")] == pytest.approx((0.76, 0.02))
    lead, interval = FINALISTS.lead(FIRST)
    # differences 4, 5, 6 points: sd 1, t(2; 0.975) = 4.303
    assert lead == pytest.approx(0.05)
    assert interval == pytest.approx((0.05 - 4.3027 * 0.01 / math.sqrt(3), 0.0748), abs=1e-4)
    broken = {"fits": (trial(diverged="epoch 1: loss not finite"),) * 3}
    lost = FIRST.model_copy(update={"again": FIRST.again.model_copy(update=broken)})
    assert search.Finalists(finalists=(lost, FIRST)).ranking == [FIRST, lost]
    close = search.Finalists(finalists=(FIRST, finalist(2e-3, 0.79, 0.69, 0.74, 0.71)))
    assert (facts["n_beaten"], close.facts()["n_beaten"]) == (1, 0)
    third = search.Finalists(finalists=(FIRST, SECOND, finalist(4e-3, 0.78, 0.7, 0.7, 0.7)))
    assert (FINALISTS.level, third.level) == pytest.approx((0.95, 1 - 0.05 / 3))


def test_best_of_each_search_then_the_next_without_twins():
    scores = {(1e-3, 1e-5): 0.8, (1e-3, 1e-4): 0.79, (2e-3, 1e-5): 0.78, (4e-3, 1e-5): 0.5}
    first = grid_of(*(scored(v, lr=lr, wd=wd) for (lr, wd), v in scores.items()))
    refined = grid_of(scored(0.4, lr=6e-4), kind=RefinedGrid)
    chosen = search.choose_finalists([first, refined], 3)
    assert [fit.hyperparameters.lr for _, fit in chosen] == [1e-3, 2e-3, 6e-4]
    assert [stage for stage, _ in chosen] == ["grid_search", "grid_search", "refined_grid_search"]
    assert len(search.choose_finalists([first], 9)) == 3 and search.choose_finalists([], 3) == []
    longer = grid_of(trial(lr=2e-3, values=(0.5, 0.5, 0.5)), kind=RefinedGrid)
    assert [s for s, _ in search.choose_finalists([first, longer], 2)] == ["refined_grid_search"]


def test_choice_prefers_configuration_then_best_search(tiny):
    good, bad = grid_of(scored(0.8, lr=7e-3)).best, grid_of(scored(0.6)).best
    fallback = bad.hyperparameters.model_copy(update={"lr": 1e-6})
    searches = [("grid_search", good), ("refined_grid_search", bad)]
    point, origin = search.choose_hyperparameters(tiny, fallback, searches)
    assert (point.lr, origin["lr"]) == (7e-3, "grid_search")
    shorter = grid_of(trial(values=(0.6,))).best  # scores do not compare: the later one counts
    other = [("grid_search", good), ("refined_grid_search", shorter)]
    assert search.choose_hyperparameters(tiny, fallback, other)[1]["lr"] == "refined_grid_search"
    given = override(tiny, {"train.lr": 2e-4})
    point, origin = search.choose_hyperparameters(given, fallback, searches)
    assert (point.lr, origin["lr"], origin["weight_decay"]) == (2e-4, "config", "grid_search")
    assert search.choose_hyperparameters(tiny, fallback, [])[0] == fallback


def test_a_maximum_over_epochs_has_no_interval():
    facts = TRAINING.facts()
    assert (facts["best_epoch"], facts["best_val_accuracy"], facts["epochs"]) == (2, 0.8, 3)
    assert (facts["last_val_low"], facts["last_val_high"]) == wilson(28, 40, 0.95)
    assert not {"best_val_low", "best_val_high"} & facts.keys()
    assert facts["largest_drop"] == pytest.approx(0.1)
    assert facts["gap"] == pytest.approx(-0.05) and facts["lowest_val_loss_epoch"] == 2


def test_the_trend_of_the_last_half_has_an_interval():
    assert TRAINING.facts()["trend"] is None  # three epochs
    values = (0.1, 0.2, 0.3, 0.4, 0.5, 0.50, 0.53, 0.54, 0.57, 0.58)
    found = TRAINING.model_copy(update={"fit": trial(values=values)}).facts()["trend"]
    line = linregress(range(5), values[5:])
    half = 3.1824 * line.stderr  # t(3; 0.975)
    expected = {"slope": line.slope, "low": line.slope - half, "high": line.slope + half}
    assert found["epochs"] == 5 and found["val_accuracy"] == pytest.approx(expected, rel=1e-4)


def row(name, *values):
    trained = [
        trial(values=(value,)).model_copy(update={"seed": k}) for k, value in enumerate(values)
    ]
    return fits.AblationRow(name=name, fits=trained)


def ablation(*rows):
    own = {"name": "short", "title": "courte", "level": 0.95, "epochs": 1, "train_images": 48}
    return fits.Ablation(**own, rows=rows)


def test_a_gain_has_the_interval_of_its_images_or_from_three_seeds_on_of_its_seeds():
    one = ablation(row("a", 0.50), row("b", 0.60))
    assert one.gains == [None, pytest.approx((0.1, *newcombe(24, 40, 20, 40, 0.95)))]
    three = ablation(row("a", 0.50, 0.52, 0.51), row("b", 0.60, 0.63, 0.60))
    expected = ttest_1samp([0.10, 0.11, 0.09], 0).confidence_interval(0.95)
    assert three.gains[1] == pytest.approx((0.1, *expected))
    assert three.facts()["seeds"] == [0, 1, 2]
    lost = fits.AblationRow(name="b", fits=(trial(diverged="epoch 1"),))
    assert ablation(row("a", 0.50), lost).gains == [None, None]
