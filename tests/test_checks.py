"""Checks and controls against formulas and PyTorch; each control can fail."""

import math

import numpy as np
import pytest
from torch import empty
from torch.utils.flop_counter import FlopCounterMode

from eurosat_lib import checks
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import get_dataloaders, make_loader
from eurosat_lib.model import build_model, count_parameters_by_formula
from eurosat_lib.runtime import Runtime
from eurosat_lib.train import Divergence, fit, predict

INITIAL = {"batch_shape": (16, 3, 16, 16), "logits_shape": (16, 10), "classes": 10}


def memory(accuracy: float) -> checks.Memory:
    return checks.Memory(losses=(2.3,), known=1.0, validation_accuracy=accuracy)


def test_pipeline_says_what_the_loaders_deliver(on_blobs):
    result = checks.verify_pipeline(on_blobs)
    _, validation, _, meta = get_dataloaders(on_blobs)
    images = np.concatenate([x.numpy() for x, _ in validation])
    assert result.batch_shape == (16, 3, 16, 16) and result.facts()["coherent"]
    assert result.input_shape == meta["input_shape"]
    assert result.used == {"train": 96, "validation": 40, "test": 40}
    assert result.reshuffled and result.repeatable
    assert (result.value_min, result.value_max) == (images.min(), images.max())


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


def test_initial_loss_is_that_of_the_first_training_step(tiny, blobs, tmp_path):
    result = checks.check_initial_loss(tiny, blobs)
    facts, point = result.facts(), {"lr": 1e-3, "weight_decay": 0.0, "max_steps": 1}
    point |= {"blocks_per_stage": 2, "dilation_stage3": 2}
    config = override(tiny, {f"train.{key}": value for key, value in point.items()})
    first = fit(config, blobs, tmp_path / "work", tmp_path / "run").epochs[0]
    assert (result.loss, result.grad_norm) == pytest.approx(
        (first.train_loss, first.grad_norm), rel=1e-6
    )
    assert facts["theory"] == pytest.approx(math.log(10))
    assert facts["reached"] == facts["tensors"] == 26 and facts["n_seeds"] == 3


@pytest.mark.parametrize(
    ("loss", "shift", "coherent"),  # initialisations: 2.25, 2.30, 2.35 plus the shift
    [
        (2.34, 0.0, True),
        (2.9, 0.0, False),  # 12 standard deviations from the others
        (2.9, 0.6, False),  # a fault shared by all seeds
    ],
)
def test_initial_loss_is_judged_by_theory_and_by_the_other_seeds(loss, shift, coherent):
    losses, norms = [2.25 + shift, 2.3 + shift, 2.35 + shift], {"a": 2.0, "b": 1e-4, "c": 0.0}
    found = checks.InitialLoss(
        **INITIAL, loss=loss, grad_norm=2.0, gradients=norms, losses=losses
    ).facts()
    assert found["coherent"] == coherent
    assert (found["reached"], found["faint"]) == (2, ["b", "c"])


def test_overfit_stops_at_its_target_or_says_that_it_failed(tiny, blobs):
    config = override(tiny, {"overfit.epochs": 80, "overfit.target_loss": 0.1})
    result = checks.overfit_small(config, blobs)
    assert result.losses[-1] < 0.1 <= min(result.losses[:-1]) and result.accuracies[-1] == 1.0
    assert result.facts()["reached"] and result.facts()["epochs"] == len(result.losses) < 80
    run = result.tensorboard_runs()["8_images"]
    assert run.series["train/loss"][0] == (1, result.losses[0])
    assert not checks.overfit_small(tiny, blobs).facts()["reached"]  # four epochs


def test_divergence_is_the_users_to_mend(tiny, blobs, monkeypatch):
    def diverge(*_):
        raise Divergence(1, 10.0)

    monkeypatch.setattr(checks, "train_epoch", diverge)
    with pytest.raises(UserError, match=r"lower overfit\.lr"):
        checks.overfit_small(tiny, blobs)
    monkeypatch.setattr("eurosat_lib.train.train_epoch", diverge)
    with pytest.raises(UserError, match=r"lower controls\.lr"):
        checks.check_training(tiny, blobs)


def test_draws_are_disjoint_and_the_first_is_that_of_the_overfit(tiny, blobs):
    draws = [checks.few_images(blobs.train, 8, number) for number in range(3)]
    assert len({name for draw in draws for name in draw.names}) == 24
    result = checks.learn_shuffled_labels(tiny, blobs)
    first, second = result.true
    assert first.losses == checks.overfit_small(tiny, blobs).losses
    assert len({first.losses, result.shuffled[0].losses, second.losses}) == 3
    model, *_ = checks.learn_by_heart(tiny, draws[0], tiny.seed)
    logits, labels = predict(model, make_loader(tiny, blobs.validation), Runtime.of(tiny))
    assert first.validation_accuracy == np.mean(logits.argmax(1).numpy() == labels.numpy())


@pytest.mark.parametrize(
    ("true", "informative"),  # against 0.1, 0.05, 0.12, 0.15, 0.08 with shuffled labels
    [
        ((0.4, 0.35, 0.3, 0.4, 0.45), True),  # five wins: p = 1/32
        ((0.05, 0.35, 0.3, 0.4, 0.45), False),  # four of five: p = 6/32
        ((0.1, 0.05, 0.12, 0.15, 0.08), False),  # ties
    ],
)
def test_sign_test_by_hand(true, informative):
    pairs = zip(true, (0.1, 0.05, 0.12, 0.15, 0.08), strict=True)
    groups = [tuple(map(memory, group)) for group in zip(*pairs, strict=True)]
    result = checks.ShuffledLabels(true=groups[0], shuffled=groups[1])
    facts = result.facts()
    assert facts["informative"] == informative and facts["shuffled_accuracy"] == 0.1
    assert facts["true_accuracy"] == pytest.approx(np.mean(true))
    alone = {"true": result.true[:1], "shuffled": result.shuffled[:1]}  # can never pass
    assert not result.model_copy(update=alone).facts()["informative"]


def test_short_trainings_repeat_and_learn_nothing_from_black(tiny, blobs, monkeypatch):
    config = override(tiny, {"controls.steps": 20, "controls.lr": 5e-3})
    result = checks.check_training(config, blobs)
    assert result.repeatable and result.facts()["uses_images"] and result.validation_images == 40
    assert result.prior_accuracy == result.blind_accuracy == 0.1 < result.seen_accuracy
    seeds = iter(range(3))  # a training that takes another seed each time is caught

    def unseeded(config, *given):
        return fit(override(config, {"seed": next(seeds)}), *given)

    monkeypatch.setattr(checks, "fit", unseeded)
    assert not checks.check_training(override(tiny, {"controls.steps": 2}), blobs).repeatable
    few = {"validation_images": 500, "seen_accuracy": 0.12, "prior_accuracy": 0.11}
    assert not result.model_copy(update=few).facts()["uses_images"]  # 60, where 55 are due
