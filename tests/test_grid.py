import pytest

from eurosat_lib.config import override
from eurosat_lib.grid import (
    Grid,
    compare,
    csv_rows,
    grid_points,
    refined_points,
)
from eurosat_lib.training import EpochRecord, Fit, Hyperparameters


def trial(lr=1e-3, wd=1e-5, d=2, b=2, values=(0.5, 0.6, 0.7), diverged="") -> Fit:
    epochs = tuple(
        EpochRecord(
            epoch=i + 1,
            train_loss=1.0,
            train_accuracy=v - 0.05,
            val_loss=1 - v,
            val_accuracy=v,
            lr=lr,
            grad_norm=1.0,
            steps=3,
            images=48,
            seconds=1.0,
        )
        for i, v in enumerate(values)
    )
    point = Hyperparameters(lr=lr, weight_decay=wd, dilation_stage3=d, blocks_per_stage=b)
    return Fit(
        hyperparameters=point,
        seed=42,
        train_images=48,
        validation_images=40,
        parameters=10,
        epochs=epochs,
        diverged=diverged,
    )


def test_protocol_has_24_points_of_distinct_names(root):
    from eurosat_lib.config import load_config

    config = load_config(root / "configs/config.yaml", "full")
    points = grid_points(config, (1e-4, 2e-4, 4e-4))
    assert len({point.name for point in points}) == 24
    center = points[5]
    around = refined_points(config, center)
    assert len(around) == 9
    assert center in around


def test_score_is_the_mean_of_the_last_two_epochs():
    assert trial(values=(0.9, 0.5, 0.7)).score == pytest.approx(0.6)
    assert trial(values=(0.4,)).score == pytest.approx(0.4)
    assert trial(values=(), diverged="epoch 1").score == 0.0


def test_best_by_score_is_not_best_by_single_epoch():
    steady, lucky = trial(lr=1e-3, values=(0.6, 0.7, 0.7)), trial(lr=2e-3, values=(0.5, 0.8, 0.5))
    grid = Grid(trials=(lucky, steady), epochs=3, origin="config")
    assert grid.best.fits == (steady,)
    assert grid.best_by_epoch.fits == (lucky,)
    assert grid.facts()["name"] == "lr1e-3_wd1e-5_D2_B2"


def test_comparison_varies_one_factor_around_the_best():
    fits = tuple(trial(lr=lr, d=d) for lr in (1e-3, 2e-3) for d in (2, 3))
    result = compare(Grid(trials=fits, epochs=3, origin="config"))
    assert [curve.value for curve in result.of("lr").curves] == [1e-3, 2e-3]
    assert len({curve.name for curve in result.of("lr").curves}) == 2
    assert len(result.of("blocks_per_stage").curves) == 1
    assert result.facts()["dilation_stage3"]["score"]["pairs"] == 2
    assert [s["factor"] for s in result.facts()["statements"]].count("weight_decay") == 2


def test_csv_has_one_row_per_trial_and_says_divergence():
    rows = csv_rows([trial(), trial(lr=1.0, values=(), diverged="epoch 1: loss not finite")])
    assert rows[0]["val_accuracy"] == 0.7
    assert rows[1]["notes"] == "diverged, epoch 1: loss not finite"


def test_grid_values_come_from_the_configuration(tiny):
    config = override(tiny, {"grid.dilation_stage3": [2, 3, 4]})
    assert len(grid_points(config, (1e-3,))) == 3 * 2
