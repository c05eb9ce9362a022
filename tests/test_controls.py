"""Theory beside measurement, on toy networks: sound ones agree, broken ones are caught."""

import copy
import math

import numpy as np
import pytest
import torch
from answer_facts import architecture, initial, memory, sanity, shuffled
from sklearn.metrics import cohen_kappa_score
from torch import nn
from torch.nn import functional as F

from eurosat_lib.checks import (
    check_training,
    learn_shuffled_labels,
    overfit_small,
    summarise_checks,
)
from eurosat_lib.checks import sanity as sanity_room
from eurosat_lib.checks.controls import (
    batch_independence,
    blacken,
    count_differences,
    score_shares,
)
from eurosat_lib.checks.initial_loss import half_variance
from eurosat_lib.checks.measure import count_flop, measure_field
from eurosat_lib.checks.overfit import few_images
from eurosat_lib.checks.shuffled import Pair, ShuffledLabels, chance_agreement, shuffle_labels
from eurosat_lib.checks.signal import expected_rms, summarise, watch
from eurosat_lib.config import override
from eurosat_lib.data.loaders import subset
from eurosat_lib.errors import UserError
from eurosat_lib.model import DilatedCNN, receptive_field
from eurosat_lib.runtime import Runtime


@pytest.mark.parametrize(("blocks", "dilation"), [(1, 1), (2, 2), (2, 3), (3, 2), (3, 3)])
def test_field_by_gradient_is_that_of_the_formula(blocks, dilation):
    seen = measure_field(DilatedCNN((2, 2, 2), blocks, dilation))
    assert seen.side == len(seen.profile) == receptive_field(blocks, dilation)
    assert sum(seen.profile) == pytest.approx(1, abs=1e-5) and min(seen.profile) > 0


def test_field_sees_a_network_that_is_not_the_one_on_paper():
    model = DilatedCNN((2, 2, 2), 2, 3)
    last = model.stages[2][3]
    last.dilation = last.padding = (1, 1)
    assert measure_field(model).side == receptive_field(2, 3) - 2 * 4 * (3 - 1)


def test_energy_is_that_of_random_weights_by_hand():
    """One block, D = 1: the profile is a chain of box filters and up-sampling."""
    profile = np.ones(1)
    for step in ("conv", "pool", "conv", "pool", "conv"):
        profile = np.convolve(profile, np.ones(3)) if step == "conv" else np.repeat(profile, 2)
    seen = measure_field(DilatedCNN((2, 2, 2), 1, 1))
    assert seen.profile == pytest.approx(profile / profile.sum(), rel=1e-4)
    square = np.outer(profile, profile) / profile.sum() ** 2
    shares = {s: square[9 - s // 2 : 9 + s // 2, 9 - s // 2 : 9 + s // 2].sum() for s in (14, 16)}
    assert shares[14] < 0.95 <= shares[16] and seen.energy_side == 16


def test_measuring_leaves_the_network_alone():
    model = DilatedCNN((2, 2, 2)).train()
    before = copy.deepcopy(model.state_dict())
    measure_field(model)
    count_flop(model, (3, 16, 16))
    assert model.training and isinstance(model.stages[0][-1], nn.MaxPool2d)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_flop_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 10))
    conv, linear = 2 * 27 * 4 * 64, 2 * 2560  # one 8 x 8 image
    assert count_flop(model, (3, 8, 8)) == (conv + linear, 2 * conv + 3 * linear)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(3, 4, 3, padding=2, dilation=2),
        lambda: nn.Conv2d(3, 4, 3, padding=1),
        lambda: nn.Linear(20, 4),
    ],
)
def test_expected_strength_against_simulation(make):
    torch.manual_seed(0)
    shape = (5, 20) if isinstance(make(), nn.Linear) else (2, 3, 6, 6)
    inputs = torch.rand(shape)  # not centred, as after ReLU
    with torch.no_grad():
        squares = [float(make()(inputs).square().mean()) for _ in range(2000)]
    assert math.sqrt(np.mean(squares)) == pytest.approx(expected_rms(make(), inputs), rel=0.03)


def test_watch_sees_layers_zeros_and_dead_channels():
    torch.manual_seed(0)
    model = DilatedCNN((4, 4, 4), 1).train()
    model.stages[1][1].bias.data[0] = -100.0  # never above zero
    images = torch.randn(8, 3, 16, 16)
    with watch(model) as seen:
        loss = F.cross_entropy(model(images), torch.arange(8))
    loss.backward()
    assert list(seen) == ["stages.0.0", "stages.1.0", "stages.2.0", "head"]
    assert [s.dead for s in seen.values()] == [0, 1, 0, 0]
    assert seen["stages.0.0"].zeros == pytest.approx(0.5, abs=0.05)
    assert seen["head"].zeros is None
    by_hand = float(model.stages[0][0](images).detach().square().mean().sqrt())
    assert seen["stages.0.0"].rms == pytest.approx(by_hand, rel=1e-5)
    assert all(s.gradient > 0 for s in seen.values())
    assert not any(m._forward_hooks for m in model.modules())


def test_signals_of_several_networks_are_mean_squares():
    networks = [DilatedCNN((4, 4, 4), 1) for _ in range(2)]
    passes = []
    for model in networks:
        with watch(model) as seen, torch.no_grad():
            model(torch.ones(2, 3, 16, 16))
        passes.append(seen)
    first = summarise(passes)[0]
    squares = [one["stages.0.0"].rms ** 2 for one in passes]
    assert first.rms == pytest.approx(math.sqrt(sum(squares) / 2))
    assert first.ratio == pytest.approx(first.rms / first.expected)


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


def test_shuffling_moves_labels_only(blobs):
    moved = shuffle_labels(blobs.train, 1)
    assert np.array_equal(np.bincount(moved.labels), np.bincount(blobs.train.labels))
    assert moved.images is blobs.train.images
    assert 0 < np.mean(moved.labels == blobs.train.labels) < 0.4


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


def test_ties_are_left_out():
    same = Pair(true=memory(0.2), shuffled=memory(0.2))
    control = ShuffledLabels(size=8, validation_images=40, pairs=(same, same))
    assert (control.wins, control.p_value) == (0, 1.0)


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
    true_fit = sanity_room.fit

    def other_seed(config, *rest):
        return true_fit(config.model_copy(update={"seed": next(seeds)}), *rest)

    monkeypatch.setattr(sanity_room, "fit", other_seed)
    result = check_training(override(tiny, {"controls.steps": 2}), blobs)
    assert result.differing > 100 and not result.facts()["repeatable"]


def test_a_short_training_that_diverges_is_the_users_to_mend(tiny, blobs, monkeypatch):
    true_fit = sanity_room.fit

    def diverge(*given):
        return true_fit(*given).model_copy(update={"diverged": "epoch 1: loss not finite"})

    monkeypatch.setattr(sanity_room, "fit", diverge)
    with pytest.raises(UserError, match=r"lower controls\.lr"):
        check_training(override(tiny, {"controls.steps": 1}), blobs)


def test_images_must_beat_the_best_constant_answer():
    assert sanity().facts()["uses_images"]
    assert not sanity(seen_accuracy=0.12).facts()["uses_images"]  # 60 of 500, where 55 are due


WRONG = {
    "parameters": {"network": {"parameters": 5}},
    "forward": {"network": {"gflop_forward_counted": 5.0}},
    "training": {"network": {"gflop_counted": 5.0}},
    "field": {"network": {"measured_field": 40}},
    "loss": {"initial": {"losses": (3.0, 3.02, 3.03)}},
    "signal": {"layer": {"rms": 1.2}},
    "zeros": {"layer": {"zeros": 0.8}},
    "independence": {"sanity": {"mixed": 0.1}},
    "repetition": {"sanity": {"differing": 1}},
    "blind": {"sanity": {"blind_loss": 1.0}},
    "shuffled": {"shuffled": {"other": (0.3, 0.31, 0.29, 0.3, 0.32)}},
}


@pytest.mark.parametrize("name", WRONG)
def test_each_check_can_fail(name):
    changes = WRONG[name]
    variants = architecture().variants
    broken = (variants[0].model_copy(update=changes.get("network", {})), *variants[1:])
    start = initial().model_copy(update=changes.get("initial", {}))
    layer = start.signals[0].model_copy(update=changes.get("layer", {}))
    start = start.model_copy(update={"signals": (layer, start.signals[1])})
    control = shuffled(**changes.get("shuffled", {}))
    others = sanity(**changes.get("sanity", {}))
    summary = summarise_checks(architecture(variants=broken), start, control, others)
    assert {check.name for check in summary.checks if not check.passed} == {name}


def test_all_checks_pass_on_what_is_sound():
    summary = summarise_checks(architecture(), initial(), shuffled(), sanity())
    assert summary.facts() == {"n": 17, "passed": 17}
    ratios = {check.name: check.ratio for check in summary.checks}
    assert ratios["parameters"] == 1 and ratios["independence"] is None
    assert ratios["signal"] == pytest.approx(0.8)
