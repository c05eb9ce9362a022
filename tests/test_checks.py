"""Checks against formulas, SciPy and scikit-learn; each control can fail."""

import copy
import math

import numpy as np
import pytest
import torch
from answer_facts import initial, sanity, shuffled
from sklearn.metrics import cohen_kappa_score
from torch import nn
from torch.nn import functional as F

from eurosat_lib import checks
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import get_dataloaders
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime
from eurosat_lib.train import Divergence, fit


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
    result = checks.test_model(load_config(root / "configs/config.yaml", "full"))
    assert result.parameters == result.parameters_by_formula == 1149770 and result.tensors == 26
    assert result.input_shape == (3, 64, 64) and result.output_shape == (10,)
    sizes = {(v.blocks_per_stage, v.dilation_stage3): v.receptive_field for v in result.variants}
    assert sizes == {(2, 2): 48, (2, 3): 64, (3, 2): 70, (3, 3): 94}
    for v in result.variants:
        assert v.parameters == v.parameters_by_formula
        assert (v.gflop_forward, v.gflop) == (v.gflop_forward_counted, v.gflop_counted)
    # 3.67 GFLOP for three passes, less the gradient of the image: 2 x 27 x 64 x 64 x 64
    assert result.facts()["gflop"] == pytest.approx(3 * 1.222120448 - 0.014155776)
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
    assert facts["reached"] == facts["tensors"] == 26 and facts["n_seeds"] == 3


@pytest.mark.parametrize(
    ("loss", "shift", "verdicts"),  # initialisations: 2.25, 2.30, 2.35 plus the shift
    [
        (2.34, 0.0, (True, True, True)),
        (2.9, 0.0, (True, True, False)),  # 12 standard deviations from the others
        (1.5, 0.0, (True, True, False)),
        (2.9, 0.6, (False, False, False)),  # a fault shared by all seeds
    ],
)
def test_initial_loss_is_judged_by_theory_and_by_the_other_seeds(loss, shift, verdicts):
    facts = initial(loss, shift=shift).facts()
    assert tuple(facts[name] for name in ("agrees", "unbiased", "coherent")) == verdicts


def test_half_the_variance_of_the_logits_is_what_the_loss_has_above_ln_k():
    torch.manual_seed(0)
    logits, labels = 0.3 * torch.randn(200_000, 10), torch.randint(10, (200_000,))
    above = float(F.cross_entropy(logits, labels)) - math.log(10)
    assert checks.half_variance(logits) == pytest.approx(above, abs=3e-3)


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
        checks.check_training(tiny, blobs)


def test_draws_are_disjoint_and_the_first_is_that_of_the_overfit(tiny, blobs):
    draws = [checks.few_images(blobs.train, 8, number) for number in range(3)]
    assert len({name for draw in draws for name in draw.names}) == 24
    result = checks.learn_shuffled_labels(tiny, blobs)
    first, second = result.pairs
    assert first.true.losses == checks.overfit_small(tiny, blobs).losses
    assert len({first.true.losses, first.shuffled.losses, second.true.losses}) == 3
    names = [f"draw{number}_{kind}" for number in (0, 1) for kind in ("true", "shuffled")]
    assert list(result.tensorboard_runs()) == names and result.validation_images == 40


def test_chance_is_that_of_cohens_kappa():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 300), rng.choice(4, 300, p=(0.7, 0.1, 0.1, 0.1))
    chance = checks.chance_agreement(torch.from_numpy(predicted), torch.from_numpy(labels))
    kappa = (np.mean(labels == predicted) - chance) / (1 - chance)
    assert kappa == pytest.approx(cohen_kappa_score(labels, predicted))


def test_sign_test_by_hand():
    facts = shuffled().facts()
    assert (facts["wins"], facts["p_value"]) == (5, pytest.approx(1 / 32)) and facts["informative"]
    assert facts["shuffled_accuracy"] == pytest.approx(0.1) == facts["chance"]
    four = shuffled(true=(0.05, 0.35, 0.3, 0.4, 0.45)).facts()
    assert four["p_value"] == pytest.approx(6 / 32) and not four["informative"]
    ties = shuffled((0.2, 0.2), (0.2, 0.2)).facts()
    assert (ties["wins"], ties["p_value"]) == (0, 1.0)


@pytest.mark.parametrize(
    ("other", "at_chance"),
    [
        ((0.1, 0.05, 0.12, 0.15, 0.08), True),
        ((0.30, 0.31, 0.29, 0.3, 0.32), False),
        ((0.99,), False),
        ((0.1,), True),
        ((0.156,), True),  # as far from chance as a draw of the run eurosat: no leak
        ((0.038,), True),
    ],
)
def test_shuffled_labels_are_at_chance_or_not_whatever_the_number_of_draws(other, at_chance):
    assert shuffled((0.4,) * len(other), other).facts()["at_chance"] is at_chance


class Mixing(nn.Module):
    """A network with a fault: the mean of the batch enters each answer."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, images):
        means = images.mean((2, 3))
        return self.head(means - means.mean(0))


def test_images_of_a_batch_do_not_mix(tiny):
    torch.manual_seed(0)
    runtime, images = Runtime.of(tiny), torch.randn(6, 3, 16, 16)
    model = DilatedCNN((4, 4, 4)).train()
    before = copy.deepcopy(model.state_dict())
    sound = checks.batch_independence(model, images, runtime)
    assert sound.others == 0 < sound.own and sound.training > 0 and model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert checks.batch_independence(Mixing(), images, runtime).others > 0


def test_short_trainings_repeat_and_learn_nothing_from_black(tiny, blobs, monkeypatch):
    config = override(tiny, {"controls.steps": 20, "controls.lr": 5e-3})
    result = checks.check_training(config, blobs)
    facts = result.facts()
    assert facts["repeatable"] and facts["independent"] and facts["blind"]
    assert (result.steps, result.validation_images) == (20, 40)
    assert result.prior_loss == pytest.approx(math.log(10), abs=2e-3)  # 96 images, ten classes
    assert result.seen_loss < result.blind_loss
    seeds = iter(range(3))  # a training that takes another seed each time is caught

    def unseeded(config, *given):
        return fit(override(config, {"seed": next(seeds)}), *given)

    monkeypatch.setattr(checks, "fit", unseeded)
    other = checks.check_training(override(tiny, {"controls.steps": 2}), blobs)
    assert other.differing > 100 and not other.facts()["repeatable"]


def test_black_images_and_class_shares(blobs):
    dark = checks.blacken(blobs)
    assert dark.train.images.shape == blobs.train.images.shape and not dark.train.images.any()
    assert dark.train.labels is blobs.train.labels and dark.test is blobs.test
    loss, accuracy = checks.score_shares(np.array([0, 0, 0, 1]), np.array([0, 1, 1]))
    assert loss == pytest.approx(-(math.log(0.75) + 2 * math.log(0.25)) / 3)
    assert accuracy == pytest.approx(2 / 3)
    assert sanity().facts()["uses_images"]
    assert not sanity(seen_accuracy=0.12).facts()["uses_images"]  # 60 of 500, where 55 are due
