"""Baselines, checks and controls against formulas and PyTorch; each control can fail."""

import math
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from torch import empty
from torch.nn import Conv2d
from torch.utils.flop_counter import FlopCounterMode

from eurosat_lib import checks
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import get_dataloaders, make_loader
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime
from eurosat_lib.train import Divergence, fit, predict


def test_majority_class_and_linear_model(on_blobs, blobs, monkeypatch):
    image = np.zeros((1, 3, 8, 8), dtype=np.uint8)
    image[0, 0, :4] = 100  # half of the red channel
    assert checks.color_statistics(image).tolist() == [pytest.approx([50, 0, 0, 50, 0, 0])]
    found, nothing = checks.compute_baselines(on_blobs).facts(), np.zeros((96, 1))
    dummy = DummyClassifier(strategy="most_frequent").fit(nothing, blobs.train.labels)
    assert found["majority_class"] == blobs.classes[dummy.predict(nothing)[0]]
    assert found["majority_validation"] == dummy.score(nothing[:40], blobs.validation.labels)
    assert found["majority_test"] == dummy.score(nothing[:40], blobs.test.labels)
    assert found["majority_count"] == 10 and found["majority_share"] == 10 / 96
    assert found["uniform"] == 0.1 and found["best_linear"] > 0.9
    assert found["linear"]["low"] < found["best_linear"] <= found["linear"]["high"]
    turned = replace(blobs.validation, labels=(blobs.validation.labels + 1) % 10)
    monkeypatch.setattr(checks, "load_dataset", lambda _: replace(blobs, validation=turned))
    assert checks.compute_baselines.__wrapped__(on_blobs).facts()["best_linear"] < 0.2


def test_pipeline_says_what_the_loaders_deliver(on_blobs):
    found = checks.verify_pipeline(on_blobs).facts()
    _, validation, _, meta = get_dataloaders(on_blobs)
    images = np.concatenate([x.numpy() for x, _ in validation])
    assert found["batch_shape"] == [16, *meta["input_shape"]] == [16, 3, 16, 16]
    assert found["coherent"] and found["reshuffled"] and found["repeatable"]
    assert found["used"] == {"train": 96, "validation": 40, "test": 40}
    assert (found["value_min"], found["value_max"]) == (images.min(), images.max())


def test_architecture_of_the_protocol(full):
    result = checks.test_model.__wrapped__(full)
    found, rows = result.facts(), result.layers
    last = {row.name.split(".")[1]: row.output_shape for row in rows if "stages" in row.name}
    assert last == {"0": (64, 32, 32), "1": (128, 16, 16), "2": (256, 16, 16)}
    assert sum(row.parameters for row in rows) == found["parameters"] == 1149770
    assert found["tensors"] == 26 and found["output_shape"] == [10] == [*rows[-1].output_shape]
    assert 3 * 2 * sum(row.macs for row in rows) / 1e9 == pytest.approx(3.67, abs=0.005)
    networks = {  # blocks and dilation: parameters, tensors, receptive field
        (2, 2): (1149770, 26, 48),
        (2, 3): (1149770, 26, 64),
        (3, 2): (1925258, 38, 70),
        (3, 3): (1925258, 38, 94),
    }
    for one, ((blocks, dilation), counts) in zip(found["variants"], networks.items(), strict=True):
        assert (one["parameters"], one["tensors"], one["receptive_field"]) == counts
        model = build_model(full, blocks, dilation).to("meta")
        dilations = [it.dilation[0] for it in model.modules() if isinstance(it, Conv2d)]
        assert dilations == [1] * 2 * blocks + [dilation] * blocks
        with FlopCounterMode(display=False) as counted:  # as PyTorch dispatches them
            model(empty(2, *found["input_shape"], device="meta")).sum().backward()
        assert one["gflop"] == counted.get_total_flops() / 2 / 1e9


def test_initial_loss_is_that_of_the_first_training_step(on_blobs, blobs, tmp_path):
    found = checks.check_initial_loss(on_blobs).facts()
    point = {"lr": 1e-3, "weight_decay": 0.0, "max_steps": 1}
    config = override(on_blobs, {"train": point | {"blocks_per_stage": 2, "dilation_stage3": 2}})
    first = fit(config, blobs, tmp_path / "work", tmp_path / "run").epochs[0]
    given = (found["loss"], found["grad_norm"])
    assert given == pytest.approx((first.train_loss, first.grad_norm), rel=1e-6)
    assert found["theory"] == pytest.approx(math.log(10)) and found["n_seeds"] == 3
    assert found["tensors"] == found["reached"] == 26
    biases = {f"stages.{place}.bias" for place in ("0.0", "0.3", "1.0", "1.3", "2.0", "2.3")}
    assert set(found["faint"]) == biases  # BatchNorm takes their mean away


def test_initial_loss_is_judged_by_theory_and_by_the_other_seeds():
    assert checks.judge_loss(2.34, [2.25, 2.3, 2.35], 10)["coherent"]
    far = checks.judge_loss(2.9, [2.25, 2.3, 2.35], 10)  # 12 standard deviations
    shared = checks.judge_loss(2.9, [2.85, 2.9, 2.95], 10)  # a fault of all seeds
    assert not far["coherent"] and not shared["coherent"]


def test_few_images_are_learnt_by_heart_or_not(on_blobs, blobs, monkeypatch):
    config = override(on_blobs, {"overfit.epochs": 80, "overfit.target_loss": 0.1})
    result = checks.overfit_small(config)
    assert result.losses[-1] < 0.1 <= min(result.losses[:-1]) and result.accuracies[-1] == 1.0
    assert result.facts()["reached"] and result.facts()["epochs"] == len(result.losses) < 80
    assert result.tensorboard_runs()["8_images"].series["train/loss"] == result.losses
    short = checks.overfit_small(on_blobs)  # four epochs
    assert not short.facts()["reached"]
    draws = [checks.few_images(on_blobs, number) for number in range(3)]
    assert len({name for draw in draws for name in draw.names}) == 24
    control, right = checks.shuffled_labels(on_blobs), []
    assert control.true[0] == short.losses  # the first draw is that of the overfit
    assert len({*control.true, control.shuffled[0]}) == 3
    for number, draw in enumerate(draws[:2]):
        model, *_ = checks.learn_by_heart(on_blobs, draw, on_blobs.seed + number)
        batches = make_loader(on_blobs, blobs.validation)
        logits, labels = predict(model, batches, Runtime.of(on_blobs))
        right.append(np.mean(logits.argmax(1).numpy() == labels.numpy()))
    assert control.facts()["true_accuracy"] == pytest.approx(np.mean(right))
    scores = cycle([0.9, 0.1])  # true labels, then shuffled ones
    monkeypatch.setattr(checks, "_learn", lambda *_: ((2.3,), 1.0, next(scores)))
    told = checks.shuffled_labels(override(on_blobs, {"controls.pairs": 5})).facts()
    found = told["true_accuracy"], told["shuffled_accuracy"]
    assert told["informative"] and found == pytest.approx((0.9, 0.1))


def test_sign_test_by_hand():
    assert checks.more_than(5, 5, 0.5) and not checks.more_than(4, 5, 0.5)  # p = 1/32, 6/32
    assert not checks.more_than(0, 0, 0.5)  # ties
    assert not checks.more_than(1, 1, 0.5)  # one pair can never pass
    assert not checks.more_than(60, 500, 0.11)  # where 55 are due


def test_short_trainings_repeat_and_learn_nothing_from_black(on_blobs, monkeypatch):
    config = override(on_blobs, {"controls.steps": 20, "controls.lr": 5e-3})
    found = checks.check_training(config).facts()
    assert found["repeatable"] and found["uses_images"] and found["validation_images"] == 40
    assert found["blind_accuracy"] == 0.1 < found["seen_accuracy"]
    seeds = iter(range(3))  # a training that takes another seed each time is caught

    def unseeded(config, *given):
        return fit(override(config, {"seed": next(seeds)}), *given)

    monkeypatch.setattr(checks, "fit", unseeded)
    short = override(on_blobs, {"controls.steps": 2})
    assert not checks.check_training(short).facts()["repeatable"]


def test_divergence_is_the_users_to_mend(on_blobs, monkeypatch):
    def diverge(*_):
        raise Divergence(1)

    monkeypatch.setattr(checks, "train_epoch", diverge)
    with pytest.raises(UserError, match=r"lower overfit\.lr"):
        checks.overfit_small(on_blobs)
    monkeypatch.setattr("eurosat_lib.train.train_epoch", diverge)
    with pytest.raises(UserError, match=r"lower controls\.lr"):
        checks.check_training(on_blobs)
