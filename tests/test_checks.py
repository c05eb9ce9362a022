import copy
import math

import numpy as np
import pytest
import torch
from answer_facts import memory, sanity, shuffled
from sklearn.metrics import cohen_kappa_score
from torch import nn
from torch.nn import functional as F

from eurosat_lib import checks
from eurosat_lib.checks import (
    InitialLoss,
    Pair,
    ShuffledLabels,
    batch_independence,
    blacken,
    chance_agreement,
    check_initial_loss,
    check_training,
    count_differences,
    count_flop,
    few_images,
    half_variance,
    learn_shuffled_labels,
    overfit_small,
    score_shares,
    test_model,
    verify_pipeline,
)
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import get_dataloaders, subset
from eurosat_lib.model import DilatedCNN
from eurosat_lib.runtime import Runtime
from eurosat_lib.train import Divergence, fit


def test_architecture_of_the_protocol(root):
    result = test_model(load_config(root / "configs/config.yaml", "full"))
    assert result.parameters == result.parameters_by_formula == 1149770
    assert result.tensors == 26
    assert result.input_shape == (3, 64, 64) and result.output_shape == (10,)
    sizes = {(v.blocks_per_stage, v.dilation_stage3): v.receptive_field for v in result.variants}
    assert sizes == {(2, 2): 48, (2, 3): 64, (3, 2): 70, (3, 3): 94}
    for v in result.variants:
        assert v.parameters == v.parameters_by_formula
        assert (v.gflop_forward, v.gflop) == (v.gflop_forward_counted, v.gflop_counted)
    # 3.67 GFLOP for three passes, less the gradient of the image: 2 x 27 x 64 x 64 x 64
    assert result.facts()["gflop"] == pytest.approx(3 * 1.222120448 - 0.014155776)


def test_initial_loss_is_near_ln_k_and_reaches_every_tensor(tiny, blobs):
    result = check_initial_loss(tiny, blobs)
    facts = result.facts()
    assert result.batch_shape == (16, 3, 16, 16) and result.logits_shape == (16, 10)
    assert facts["theory"] == pytest.approx(math.log(10))
    assert abs(facts["gap"]) < 0.5
    assert facts["reached"] == facts["tensors"] == 26
    assert facts["n_seeds"] == len(result.losses) == 3
    total = math.sqrt(sum(gradient.norm**2 for gradient in result.gradients))
    assert result.grad_norm == pytest.approx(total, rel=1e-4)


def test_initial_loss_is_that_of_the_first_training_step(tiny, blobs, tmp_path):
    point = {"lr": 1e-3, "weight_decay": 0.0, "blocks_per_stage": 2, "dilation_stage3": 2}
    values = {f"train.{name}": value for name, value in point.items()} | {"train.max_steps": 1}
    first = fit(override(tiny, values), blobs, tmp_path / "work", tmp_path / "run").epochs[0]
    assert check_initial_loss(tiny, blobs).loss == pytest.approx(first.train_loss, rel=1e-6)


@pytest.mark.parametrize(("loss", "coherent"), [(2.35, True), (2.9, False), (1.5, False)])
def test_coherence_is_judged_by_the_spread_of_initialisations(tiny, blobs, loss, coherent):
    result = check_initial_loss(tiny, blobs)
    changed = result.model_dump() | {"loss": loss, "losses": (2.25, 2.3, 2.35)}
    assert InitialLoss(**changed).facts()["coherent"] is coherent


def test_a_fault_shared_by_all_seeds_is_not_coherent(tiny, blobs):
    result = check_initial_loss(tiny, blobs)
    shifted = result.model_dump() | {"loss": 5.1, "losses": (5.0, 5.1, 5.2)}
    assert result.agrees and not InitialLoss(**shifted).agrees
    facts = InitialLoss(**shifted).facts()
    assert not facts["unbiased"] and not facts["coherent"]


def test_overfit_divergence_is_the_users_to_mend(tiny, blobs, monkeypatch):
    def diverge(*_):
        raise Divergence(1, 10.0)

    monkeypatch.setattr(checks, "train_epoch", diverge)
    with pytest.raises(UserError, match="lower overfit"):
        overfit_small(tiny, blobs)


def test_overfit_stops_at_its_target(tiny, blobs):
    config = override(tiny, {"overfit.epochs": 80, "overfit.target_loss": 0.1})
    result = overfit_small(config, blobs)
    assert result.reached
    assert result.losses[-1] < 0.1 <= min(result.losses[:-1])
    assert result.accuracies[-1] == 1.0
    assert result.facts()["epochs"] == len(result.losses) < 80


def test_overfit_says_when_it_fails(tiny, blobs):
    result = overfit_small(override(tiny, {"overfit.epochs": 2}), blobs)
    assert not result.reached
    assert len(result.losses) == 2


def test_counting_leaves_the_network_alone():
    model = DilatedCNN((2, 2, 2)).train()
    before = copy.deepcopy(model.state_dict())
    count_flop(model, (3, 16, 16))
    assert model.training and isinstance(model.stages[0][-1], nn.MaxPool2d)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_flop_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 10))
    conv, linear = 2 * 27 * 4 * 64, 2 * 2560  # one 8 x 8 image
    assert count_flop(model, (3, 8, 8)) == (conv + linear, 2 * conv + 3 * linear)


def test_half_the_variance_of_the_logits_is_what_the_loss_has_above_ln_k():
    torch.manual_seed(0)
    logits, labels = 0.3 * torch.randn(200_000, 10), torch.randint(10, (200_000,))
    above = float(F.cross_entropy(logits, labels)) - math.log(10)
    assert half_variance(logits) == pytest.approx(above, abs=3e-3)
    assert half_variance(torch.tensor([[1.0, 3.0]])) == 0.5  # mean 2, variance 1


def test_few_images_are_disjoint_and_the_first_are_those_of_a_limit(blobs):
    draws = [few_images(blobs.train, 8, number) for number in range(3)]
    assert len({name for draw in draws for name in draw.names}) == 24
    index = subset(len(blobs.train), 8)
    assert np.array_equal(draws[0].images, blobs.train.images[index])
    assert draws[0].names == tuple(blobs.train.names[i] for i in index)
    assert len(few_images(blobs.train, 80, 2)) == 80  # goes round


def test_chance_is_that_of_cohens_kappa():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 300), rng.choice(4, 300, p=(0.7, 0.1, 0.1, 0.1))
    chance = chance_agreement(torch.from_numpy(predicted), torch.from_numpy(labels))
    kappa = (np.mean(labels == predicted) - chance) / (1 - chance)
    assert kappa == pytest.approx(cohen_kappa_score(labels, predicted))


def test_the_first_draw_is_the_training_of_the_overfit(tiny, blobs):
    config = override(tiny, {"controls.pairs": 2})
    result = learn_shuffled_labels(config, blobs)
    assert result.pairs[0].true.losses == overfit_small(config, blobs).losses
    assert result.pairs[0].true.losses != result.pairs[1].true.losses
    assert result.pairs[0].true.losses != result.pairs[0].shuffled.losses
    assert result.validation_images == 40


def test_sign_test_and_chance_by_hand():
    facts = shuffled().facts()
    assert (facts["wins"], facts["p_value"]) == (5, pytest.approx(1 / 32))
    assert facts["informative"] and facts["at_chance"]
    assert facts["shuffled_accuracy"] == pytest.approx(0.1)
    four = shuffled(true=(0.05, 0.35, 0.3, 0.4, 0.45)).facts()
    assert four["p_value"] == pytest.approx(6 / 32) and not four["informative"]
    leak = shuffled(other=(0.30, 0.31, 0.29, 0.3, 0.32)).facts()
    assert not leak["at_chance"]


def test_ties_are_left_out_and_one_draw_can_fail():
    same = Pair(true=memory(0.2), shuffled=memory(0.2))
    facts = ShuffledLabels(size=8, validation_images=40, pairs=(same, same)).facts()
    assert (facts["wins"], facts["p_value"]) == (0, 1.0)
    leak = Pair(true=memory(0.99), shuffled=memory(0.99))
    assert not ShuffledLabels(size=8, validation_images=400, pairs=(leak,)).at_chance
    sound = Pair(true=memory(0.5), shuffled=memory(0.11))
    assert ShuffledLabels(size=8, validation_images=400, pairs=(sound,)).at_chance


def test_differences_are_counted_to_the_bit():
    first = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3])}
    second = {"a": torch.tensor([1.0, np.nextafter(np.float32(2), 3)]), "b": torch.tensor([3])}
    assert count_differences(first, first) == (0, 3)
    assert count_differences(first, second) == (1, 3)
    nan = {"a": torch.tensor([math.nan])}
    assert count_differences(nan, nan) == (1, 1)


def test_shares_without_images_by_hand():
    loss, accuracy = score_shares(np.array([0, 0, 0, 1]), np.array([0, 1, 1]))
    assert loss == pytest.approx(-(math.log(0.75) + 2 * math.log(0.25)) / 3)
    assert accuracy == pytest.approx(2 / 3)


def test_black_images_keep_their_labels(blobs):
    dark = blacken(blobs)
    assert dark.train.images.shape == blobs.train.images.shape and not dark.train.images.any()
    assert dark.train.labels is blobs.train.labels and dark.test is blobs.test


class Mixing(nn.Module):
    """A network with a fault: the mean of the batch enters each answer."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 10)

    def forward(self, images):
        means = images.mean((2, 3))
        return self.head(means - means.mean(0))


def test_batch_independence(tiny):
    torch.manual_seed(0)
    runtime, images = Runtime.of(tiny), torch.randn(6, 3, 16, 16)
    model = DilatedCNN((4, 4, 4)).train()
    before = copy.deepcopy(model.state_dict())
    sound = batch_independence(model, images, runtime)
    assert sound.others == 0 < sound.own and sound.training > 0
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert batch_independence(Mixing(), images, runtime).others > 0


def test_short_trainings(tiny, blobs):
    config = override(tiny, {"controls.steps": 20, "controls.lr": 5e-3})
    result = check_training(config, blobs)
    facts = result.facts()
    assert facts["repeatable"] and facts["independent"] and facts["blind"]
    assert result.steps == 20 and result.validation_images == 40
    assert result.prior_loss == pytest.approx(math.log(10), abs=2e-3)  # 96 images, ten classes
    assert result.seen_loss < result.blind_loss


def test_a_training_that_does_not_repeat_is_caught(tiny, blobs, monkeypatch):
    seeds = iter((1, 2, 3))
    true_fit = checks.fit

    def other_seed(config, *rest):
        return true_fit(config.model_copy(update={"seed": next(seeds)}), *rest)

    monkeypatch.setattr(checks, "fit", other_seed)
    result = check_training(override(tiny, {"controls.steps": 2}), blobs)
    assert result.differing > 100 and not result.facts()["repeatable"]


def test_a_short_training_that_diverges_is_the_users_to_mend(tiny, blobs, monkeypatch):
    true_fit = checks.fit

    def diverge(*given):
        return true_fit(*given).model_copy(update={"diverged": "epoch 1: loss not finite"})

    monkeypatch.setattr(checks, "fit", diverge)
    with pytest.raises(UserError, match=r"lower controls\.lr"):
        check_training(override(tiny, {"controls.steps": 1}), blobs)


def test_images_must_beat_the_best_constant_answer():
    assert sanity().facts()["uses_images"]
    assert not sanity(seen_accuracy=0.12).facts()["uses_images"]  # 60 of 500, where 55 are due


def test_pipeline_says_what_the_loaders_deliver(on_blobs, monkeypatch):
    result = verify_pipeline(on_blobs)
    assert result.batch_shape == (16, 3, 16, 16) and result.facts()["coherent"]
    assert result.batches == {"train": 6, "validation": 3, "test": 3}
    assert result.reshuffled and result.repeatable and result.fixed_order
    assert -2.118 <= result.value_min < result.value_max <= 2.6401


def test_pipeline_statistics_equal_numpy(on_blobs):
    result = verify_pipeline(on_blobs)
    _, validation, _, meta = get_dataloaders(on_blobs)
    images = np.concatenate([x.numpy() for x, _ in validation])
    assert meta == {"num_classes": 10, "input_shape": (3, 16, 16)}
    assert result.value_mean == pytest.approx(images.mean((0, 2, 3)), abs=1e-5)
    assert result.value_sd == pytest.approx(images.std((0, 2, 3)), abs=1e-5)
