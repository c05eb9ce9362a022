"""Checks and controls against formulas, SciPy and scikit-learn; each control can fail."""

import math

import numpy as np
import pytest
from handmade import INITIAL_LOSS
from sklearn.metrics import cohen_kappa_score
from torch import empty
from torch.utils.flop_counter import FlopCounterMode

from eurosat_lib import checks, controls
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import get_dataloaders
from eurosat_lib.model import build_model, count_parameters_by_formula
from eurosat_lib.train import Divergence, fit


def initial(loss: float, shift: float) -> dict:
    """Facts of a network of this loss, beside three others."""
    others = (2.25 + shift, 2.3 + shift, 2.35 + shift)
    return INITIAL_LOSS.model_copy(update={"loss": loss, "losses": others}).facts()


def memory(accuracy: float) -> controls.Memory:
    known = {"losses": (2.3, 0.009), "accuracies": (0.1, 1.0)}
    return controls.Memory(**known, validation_accuracy=accuracy, chance=0.1)


def shuffled(true: tuple[float, ...]) -> dict:
    """Facts of five draws with these accuracies on validation from true labels."""
    other = (0.1, 0.05, 0.12, 0.15, 0.08)
    pairs = [{"true": memory(a), "shuffled": memory(b)} for a, b in zip(true, other, strict=True)]
    return controls.ShuffledLabels(size=32, validation_images=500, pairs=pairs).facts()


def sanity(seen_accuracy: float) -> dict:
    """Facts of a short training that sees so many of 500 validation images right."""
    counts = {"steps": 40, "lr": 1e-3, "validation_images": 500, "compared": 9, "differing": 0}
    told = {"prior_accuracy": 0.11, "blind_accuracy": 0.1}
    return controls.Sanity(**counts, **told, seen_accuracy=seen_accuracy).facts()


def test_pipeline_says_what_the_loaders_deliver(on_blobs):
    result = checks.verify_pipeline(on_blobs)
    _, validation, _, meta = get_dataloaders(on_blobs)
    images = np.concatenate([x.numpy() for x, _ in validation])
    assert result.batch_shape == (16, 3, 16, 16) and result.facts()["coherent"]
    assert {"num_classes": result.num_classes, "input_shape": result.input_shape} == meta
    assert result.batches == {"train": 6, "validation": 3, "test": 3}
    assert result.reshuffled and result.repeatable and result.fixed_order
    assert (result.value_min, result.value_max) == (images.min(), images.max())
    assert result.value_mean == pytest.approx(images.mean((0, 2, 3)), abs=1e-5)
    assert result.value_sd == pytest.approx(images.std((0, 2, 3)), abs=1e-5)
    assert result.possible_min == pytest.approx(-0.485 / 0.229)  # black, in the red channel
    assert result.possible_max == pytest.approx((1 - 0.406) / 0.225)  # white, in the blue one


def test_architecture_of_the_protocol(root):
    config = load_config(root / "configs/config.yaml", "full")
    result = checks.test_model(config)
    assert result.parameters == result.parameters_by_formula == 1149770 and result.tensors == 26
    assert result.input_shape == (3, 64, 64) and result.output_shape == (10,)
    sizes = {(v.blocks_per_stage, v.dilation_stage3): v.receptive_field for v in result.variants}
    assert sizes == {(2, 2): 48, (2, 3): 64, (3, 2): 70, (3, 3): 94}
    for v in result.variants:
        assert v.parameters == count_parameters_by_formula(result.channels, v.blocks_per_stage)
        model = build_model(config, v.blocks_per_stage, v.dilation_stage3).to("meta")
        with FlopCounterMode(display=False) as counted:  # as PyTorch dispatches them
            model(empty(2, *result.input_shape, device="meta")).sum().backward()
        assert v.gflop == counted.get_total_flops() / 2 / 1e9
    assert checks.Architecture.model_validate_json(result.model_dump_json()) == result


def test_initial_loss_is_that_of_the_first_training_step(tiny, blobs, tmp_path):
    result = checks.check_initial_loss(tiny, blobs)
    facts, point = result.facts(), {"lr": 1e-3, "weight_decay": 0.0, "max_steps": 1}
    point |= {"blocks_per_stage": 2, "dilation_stage3": 2}
    config = override(tiny, {f"train.{key}": value for key, value in point.items()})
    first = fit(config, blobs, tmp_path / "work", tmp_path / "run").epochs[0]
    assert (result.loss, result.grad_norm) == pytest.approx(
        (first.train_loss, first.grad_norm), rel=1e-6
    )
    assert facts["theory"] == pytest.approx(math.log(10)) and abs(facts["gap"]) < 0.5
    assert facts["expected"] == pytest.approx(facts["mean"], abs=0.1)
    assert facts["reached"] == facts["tensors"] == 26 and facts["n_seeds"] == 3


@pytest.mark.parametrize(
    ("loss", "shift", "verdicts"),  # initialisations: 2.25, 2.30, 2.35 plus the shift
    [
        (2.34, 0.0, (True, True)),
        (2.9, 0.0, (True, False)),  # 12 standard deviations from the others
        (2.9, 0.6, (False, False)),  # a fault shared by all seeds
    ],
)
def test_initial_loss_is_judged_by_theory_and_by_the_other_seeds(loss, shift, verdicts):
    facts = initial(loss, shift)
    assert tuple(facts[name] for name in ("unbiased", "coherent")) == verdicts


def test_overfit_stops_at_its_target_or_says_that_it_failed(tiny, blobs):
    config = override(tiny, {"overfit.epochs": 80, "overfit.target_loss": 0.1})
    result = checks.overfit_small(config, blobs)
    assert result.losses[-1] < 0.1 <= min(result.losses[:-1]) and result.accuracies[-1] == 1.0
    assert result.facts()["reached"] and result.facts()["epochs"] == len(result.losses) < 80
    (name, run), *_ = result.tensorboard_runs().items()
    assert name == "8_images" and run.series["train/loss"][0] == (1, result.losses[0])
    assert not checks.overfit_small(tiny, blobs).facts()["reached"]  # four epochs


def test_divergence_is_the_users_to_mend(tiny, blobs, monkeypatch):
    def diverge(*_):
        raise Divergence(1, 10.0)

    monkeypatch.setattr(checks, "train_epoch", diverge)
    with pytest.raises(UserError, match=r"lower overfit\.lr"):
        checks.overfit_small(tiny, blobs)
    monkeypatch.setattr("eurosat_lib.train.train_epoch", diverge)
    with pytest.raises(UserError, match=r"lower controls\.lr"):
        controls.check_training(tiny, blobs)


def test_draws_are_disjoint_and_the_first_is_that_of_the_overfit(tiny, blobs):
    draws = [checks.few_images(blobs.train, 8, number) for number in range(3)]
    assert len({name for draw in draws for name in draw.names}) == 24
    result = controls.learn_shuffled_labels(tiny, blobs)
    first, second = result.pairs
    assert first.true.losses == checks.overfit_small(tiny, blobs).losses
    assert len({first.true.losses, first.shuffled.losses, second.true.losses}) == 3
    names = [f"draw{number}_{kind}" for number in (0, 1) for kind in ("true", "shuffled")]
    assert list(result.tensorboard_runs()) == names and result.validation_images == 40


def test_chance_is_that_of_cohens_kappa():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 300), rng.choice(4, 300, p=(0.7, 0.1, 0.1, 0.1))
    chance = controls.chance_agreement(predicted, labels)
    kappa = (np.mean(labels == predicted) - chance) / (1 - chance)
    assert kappa == pytest.approx(cohen_kappa_score(labels, predicted))


@pytest.mark.parametrize(
    ("true", "wins", "p_value"),  # against 0.1, 0.05, 0.12, 0.15, 0.08 with shuffled labels
    [
        ((0.4, 0.35, 0.3, 0.4, 0.45), 5, 1 / 32),
        ((0.05, 0.35, 0.3, 0.4, 0.45), 4, 6 / 32),
        ((0.1, 0.05, 0.12, 0.15, 0.08), 0, 1.0),  # ties
    ],
)
def test_sign_test_by_hand(true, wins, p_value):
    facts = shuffled(true)
    assert (facts["wins"], facts["p_value"]) == (wins, pytest.approx(p_value))
    assert facts["informative"] == (wins == 5) and facts["chance"] == pytest.approx(0.1)


def test_short_trainings_repeat_and_learn_nothing_from_black(tiny, blobs, monkeypatch):
    config = override(tiny, {"controls.steps": 20, "controls.lr": 5e-3})
    result = controls.check_training(config, blobs)
    assert result.facts()["repeatable"] and result.facts()["uses_images"]
    assert (result.steps, result.validation_images) == (20, 40)
    assert result.prior_accuracy == result.blind_accuracy == 0.1 < result.seen_accuracy
    seeds = iter(range(3))  # a training that takes another seed each time is caught

    def unseeded(config, *given):
        return fit(override(config, {"seed": next(seeds)}), *given)

    monkeypatch.setattr(controls, "fit", unseeded)
    other = controls.check_training(override(tiny, {"controls.steps": 2}), blobs)
    assert other.differing > 100 and not other.facts()["repeatable"]
    assert not sanity(0.12)["uses_images"]  # 60 of 500, where 55 are due
