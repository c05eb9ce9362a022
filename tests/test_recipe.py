"""Recipes: their files, augmentation, optimisers, training, tests, and what the report says."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
import yaml
from settings import ROOT
from training_facts import make_grid, make_training

from eurosat_lib import plots, stages, tables
from eurosat_lib.config import load_config, override
from eurosat_lib.config.recipes import Augmenting, Mixing, Optimizer, Schedule, load_recipe
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Predictions, newcombe
from eurosat_lib.evaluation.intervals import mean_interval
from eurosat_lib.grid import RefinedGrid
from eurosat_lib.model import DilatedCNN
from eurosat_lib.recipe import (
    Ablation,
    AblationRow,
    SymmetricAverage,
    beside_protocol,
    fit_recipe,
    recipe_config,
)
from eurosat_lib.recipe.augment import (
    Mixer,
    RecipeAugmentation,
    rotate_and_zoom,
    symmetric_views,
)
from eurosat_lib.recipe.fit import WEIGHTS
from eurosat_lib.recipe.optimizers import Optimizers, rate_factor
from eurosat_lib.recipe.records import RecipeEpoch, RecipeFit
from eurosat_lib.recipe.task import scaled, side_at
from eurosat_lib.report.answers import context_of, render
from eurosat_lib.stages.ablation import ablation_rows
from eurosat_lib.training.checkpoint import load_checkpoint

PLAIN = Augmenting(
    symmetries=True,
    flip_probability=0.0,
    crop_padding=0,
    rotation=0.0,
    zoom=1.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
)
START = "départ : protocole"
SHORT = {
    "title": "recette courte",
    "steps": [
        {"name": "8 symétries", "set": {"augment.symmetries": True, "batch_size": 16}},
        {
            "name": "AdamW et un cycle",
            "set": {
                "optimizer": {"kind": "adamw", "lr": 1e-2, "decay_all": False},
                "schedule": {"kind": "cosine", "warmup": 0.2},
            },
        },
        {"name": "mélanges et lissage", "set": {"mixing.cutmix": 0.3, "label_smoothing": 0.1}},
        {"name": "moyenne des poids", "set": {"average": 0.8, "statistics": "data"}},
        {"name": "de 16 à 32 pixels", "set": {"sides": [[0.0, 0.5], [0.5, 1.0]]}},
        {"name": "4 époques", "set": {"epochs": 4}},
        {"name": "8 vues", "set": {"views": 8, "validate_every": 2}},
    ],
}


def optimizer(kind: str, **changes) -> Optimizer:
    values = {"kind": kind, "lr": 0.1, "weight_decay": 0.5, "momentum": 0.9, "decay_all": False}
    return Optimizer(**values | changes)


def written(config, recipe=None, name="short"):
    path = config.paths.artifacts.parent / "configs" / "recipes" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe or SHORT, allow_unicode=True), encoding="utf-8")
    return override(config, {"recipe.name": name})


@pytest.fixture
def short(on_blobs):
    """The blobs, with a short recipe that uses everything, at 32 pixels."""
    return override(written(on_blobs), {"data.image_size": 32})


# --- files


def test_the_protocol_as_a_recipe_is_the_protocol():
    config = load_config(ROOT / "configs" / "config.yaml", "full")
    own = load_recipe(config, "protocol").settings
    assert own.epochs == config.train.max_epochs and own.batch_size == config.data.batch_size
    shared = config.augment.model_dump()
    assert own.augment.model_dump(include=set(shared)) == shared and not own.augment.symmetries
    assert own.optimizer.kind == "adam" and own.schedule.kind == "constant"
    assert own.label_smoothing == own.mixing.cutmix == own.mixing.mixup == 0 and own.views == 1


def test_every_recipe_of_the_project_can_be_read_and_keeps_the_network():
    config = load_config(ROOT / "configs" / "config.yaml", "full")
    names = [path.stem for path in (ROOT / "configs" / "recipes").glob("*.yaml")]
    assert {"protocol", "best"} <= set(names)
    for name in names:
        own = load_recipe(config, name).settings
        model = DilatedCNN(config.model.channels, own.blocks_per_stage, own.dilation_stage3)
        assert sum(p.numel() for p in model.parameters()) <= 1_925_258


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": [{"name": "x", "set": {"epoch": 3}}]}, "did you mean epochs"),
        ({"steps": [{"name": "x", "set": {"optimizer.kind": "lion"}}]}, "optimizer.kind"),
        (
            {"steps": [{"name": "x", "set": {"mixing": {"cutmix": 0.7, "mixup": 0.7}}}]},
            "at most 1",
        ),
        ({"steps": [{"name": "x", "set": {"sides": [[0.5, 1.0]]}}]}, "sides"),
        ({"stpes": []}, "did you mean steps"),
        ({"steps": [{"name": "x"}]}, "set"),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(tiny, change, words):
    config = written(tiny, {"title": "t", "steps": []} | change)
    with pytest.raises(UserError, match=words) as error:
        load_recipe(config, "short")
    assert "short.yaml" in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_recipe_names_the_known_ones(tiny):
    with pytest.raises(UserError, match=r"did you mean best.*protocol"):
        load_recipe(tiny, "bets")
    with pytest.raises(UserError, match="which recipe"):
        stages.train_recipe(tiny)


def test_ablation_rows_leave_out_steps_that_only_change_length_or_views(tiny):
    recipe = load_recipe(written(tiny), "short")
    rows = ablation_rows(recipe, 3)
    assert [name for name, _ in rows] == [START, *[s["name"] for s in SHORT["steps"][:5]]]
    assert {settings.epochs for _, settings in rows} == {3}
    assert {settings.views for _, settings in rows} == {1}


# --- augmentation


def test_the_draws_are_the_eight_symmetries_of_the_square_in_equal_shares():
    image = torch.arange(48, dtype=torch.uint8).view(1, 3, 4, 4)
    rotations = [torch.rot90(image, turns, (2, 3)) for turns in range(4)]
    group = [*rotations, *(turned.flip(3) for turned in rotations)]
    count = 4000
    augment = RecipeAugmentation(PLAIN)
    draws = augment.draw(count, torch.Generator().manual_seed(0))
    seen = augment(image.expand(count, -1, -1, -1), draws)
    assert seen.dtype == torch.uint8
    shares = [float((seen == element).flatten(1).all(1).float().mean()) for element in group]
    assert sum(shares) == pytest.approx(1)  # nothing else
    assert all(abs(share - 1 / 8) < 0.03 for share in shares)
    views = symmetric_views(image)
    assert len(views) == 8 and torch.equal(views[0], image)
    assert all(sum(torch.equal(view, element) for view in views) == 1 for element in group)


def test_without_symmetries_the_augmentation_is_the_protocols(tiny):
    from eurosat_lib.transforms import get_augmentation_transforms

    settings = Augmenting(symmetries=False, rotation=0.0, zoom=1.0, **tiny.augment.model_dump())
    images = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8)
    ours, theirs = RecipeAugmentation(settings), get_augmentation_transforms(tiny)
    first = ours(images, ours.draw(6, torch.Generator().manual_seed(3)))
    second = theirs(images, theirs.draw(6, torch.Generator().manual_seed(3)))
    torch.testing.assert_close(first, second)


def test_rotations_are_counter_clockwise_and_zooms_enlarge_the_middle():
    images = torch.rand(4, 3, 16, 16)
    quarters = torch.arange(4) * torch.pi / 2
    turned = rotate_and_zoom(images, quarters, torch.ones(4))
    for turns, (before, after) in enumerate(zip(images, turned, strict=True)):
        torch.testing.assert_close(after, before.rot90(turns, (1, 2)), atol=1e-4, rtol=0)
    ramp = (torch.arange(16) - 7.5).expand(2, 1, 16, 16)
    zoomed = rotate_and_zoom(ramp, torch.zeros(2), torch.tensor([2.0, 0.8]))[:, 0, 8]
    torch.testing.assert_close(zoomed[0], ramp[0, 0, 8] / 2)
    torch.testing.assert_close(zoomed[1, 2:14], ramp[0, 0, 8, 2:14] / 0.8)
    assert zoomed[1].abs().max() <= 7.5  # mirrored beyond the edge: no value from outside


def test_rotations_and_zooms_are_drawn_to_both_sides_within_their_range():
    augment = RecipeAugmentation(PLAIN.model_copy(update={"rotation": 30.0, "zoom": 1.5}))
    draws = augment.draw(4000, torch.Generator().manual_seed(0))
    angles, zooms = draws.turn.rad2deg()[:, 0], draws.turn[:, 1]
    assert -30 <= angles.min() < -29 and 29 < angles.max() <= 30
    assert 1 / 1.5 <= zooms.min() < 0.68 and 1.48 < zooms.max() <= 1.5
    assert float((zooms < 1).float().mean()) == pytest.approx(0.5, abs=0.03)
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    seen = augment(images, draws[:8])
    assert seen.dtype == torch.float32 and seen.min() >= 0 and seen.max() <= 1
    still = RecipeAugmentation(PLAIN).draw(8, torch.Generator())
    torch.testing.assert_close(still.turn, torch.tensor([[0.0, 1.0]]).expand(8, 2))


def test_mixed_batches_have_soft_labels_in_the_share_of_the_pixels():
    images = torch.stack([torch.full((3, 32, 32), float(i)) for i in range(8)])
    labels = torch.arange(8)
    torch.manual_seed(0)
    mixer = Mixer(Mixing(mixup=0.0, cutmix=1.0, alpha=1.0), 10)
    ((mixed, shares),) = mixer([(images, labels)])
    torch.testing.assert_close(shares.sum(1), torch.ones(8))
    for image, share in zip(mixed, shares, strict=True):
        for value in image.unique():
            assert float((image == value).float().mean()) == pytest.approx(
                float(share[int(value)])
            )
    none = Mixer(Mixing(mixup=0.0, cutmix=0.0, alpha=1.0), 10)
    ((same, shares),) = none([(images, labels)])
    assert torch.equal(same, images) and torch.equal(shares.argmax(1), labels)
    half = Mixer(Mixing(mixup=0.3, cutmix=0.3, alpha=1.0), 10)
    kinds = [half._choose(draw) for draw in (0.1, 0.45, 0.9)]
    assert kinds == [half.cutmix, half.mixup, None]


# --- optimisers and schedules


def test_rate_rises_then_falls_to_zero():
    cosine = Schedule(kind="cosine", warmup=0.1)
    factors = [rate_factor(cosine, done, 100) for done in range(101)]
    assert factors[:11] == sorted(factors[:11]) and factors[10] == pytest.approx(1)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[55] == pytest.approx(0.5) and factors[100] == pytest.approx(0)
    assert factors[0] > 0
    linear = Schedule(kind="linear", warmup=0.0)
    assert rate_factor(linear, 25, 100) == pytest.approx(0.75)
    assert rate_factor(Schedule(kind="constant", warmup=0.0), 99, 100) == 1


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd", "muon"])
def test_each_optimiser_learns_and_takes_its_moments_back(kind):
    def trained(steps: int, restored: bool):
        torch.manual_seed(0)
        model = DilatedCNN((4, 6, 8)).to(memory_format=torch.channels_last)
        own = Optimizers(model, optimizer(kind, lr=1e-2, weight_decay=0.0))
        images, labels = torch.randn(16, 3, 16, 16), torch.arange(16) % 10
        losses = []
        for step in range(steps):
            if restored and step == 5:
                weights, moments = model.state_dict(), own.state()
                model = DilatedCNN((4, 6, 8)).to(memory_format=torch.channels_last)
                model.load_state_dict(weights)
                own = Optimizers(model, optimizer(kind, lr=1e-2, weight_decay=0.0))
                own.restore(moments)
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            own.zero_grad()
            loss.backward()
            own.step(1.0)
            losses.append(loss.item())
        return losses, model

    losses, model = trained(12, restored=False)
    assert losses[-1] < 0.9 * losses[0]
    again, other = trained(12, restored=True)
    assert again == losses
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_decoupled_decay_spares_biases_and_batchnorms():
    model = DilatedCNN((4, 6, 8))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    own = Optimizers(model, optimizer("adamw"))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    own.step(1.0)
    for name, value in model.named_parameters():
        factor = 1 - 0.1 * 0.5 if value.ndim > 1 else 1.0
        torch.testing.assert_close(value.detach(), factor * before[name])


def test_muon_turns_the_kernels_with_steps_of_one_length():
    torch.manual_seed(1)
    model = DilatedCNN((8, 8, 8)).to(memory_format=torch.channels_last)
    kernel = model.stages[1][0].weight
    before = kernel.detach().clone()
    own = Optimizers(model, optimizer("muon", lr=0.1, weight_decay=0.0, momentum=0.0))
    assert len(own.kernels) == 5  # of six: the first sees colours
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    own.step(1.0)
    update = (kernel.detach() - before).permute(0, 2, 3, 1).flatten(1)
    singular = torch.linalg.svdvals(update) / (0.1 * 0.2 * np.sqrt(72))
    assert float(singular.min()) > 0.5 and float(singular.max()) < 1.5  # Newton-Schulz: about 1


def test_muon_refuses_kernels_it_could_not_reach():
    with pytest.raises(ValueError, match="channels last"):
        Optimizers(DilatedCNN((4, 6, 8)), optimizer("muon"))


def test_the_crop_moves_by_the_same_share_of_a_smaller_image(tiny):
    settings = load_recipe(tiny, "protocol").settings
    sizes = {size: override(tiny, {"data.image_size": size}) for size in (64, 32)}
    assert [scaled(settings, sizes[size]).crop_padding for size in (64, 32)] == [4, 2]


def test_sides_grow_as_the_recipe_says(tiny):
    settings = load_recipe(tiny, "protocol").after(
        0, {"epochs": 10, "sides": [[0.0, 0.5], [0.4, 0.75], [0.7, 1.0]]}
    )
    assert [side_at(settings, epoch, 64) for epoch in range(10)] == [32] * 4 + [48] * 3 + [64] * 3
    assert side_at(settings, 0, 16) == 16  # the network needs that much


# --- training and test


def test_statistics_are_those_of_the_training_images(short, blobs):
    own = recipe_config(short, load_recipe(short, "short").settings, blobs.train)
    values = blobs.train.images / 255
    np.testing.assert_allclose(own.preprocess.mean, values.mean((0, 2, 3)), atol=1e-4)
    np.testing.assert_allclose(own.preprocess.std, values.std((0, 2, 3)), atol=1e-4)


def test_a_killed_training_ends_with_the_same_weights(short, blobs, tmp_path):
    settings = load_recipe(short, "short").settings
    own = recipe_config(short, settings, blobs.train)
    whole = fit_recipe(own, blobs, settings, tmp_path / "a", tmp_path / "runs" / "a")

    def kill(record):
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_recipe(own, blobs, settings, tmp_path / "b", tmp_path / "runs" / "b", on_epoch=kill)
    resumed = fit_recipe(own, blobs, settings, tmp_path / "b", tmp_path / "runs" / "b")
    timed = {"seconds": True}
    assert [r.model_dump(exclude=timed) for r in resumed.epochs] == [
        r.model_dump(exclude=timed) for r in whole.epochs
    ]
    first, second = (load_checkpoint(tmp_path / run / WEIGHTS)["model"] for run in "ab")
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert [record.side for record in whole.epochs] == [16, 16, 32, 32]
    assert [r.val_accuracy is not None for r in whole.epochs] == [False, True, False, True]
    assert not list(tmp_path.glob("*/last.ckpt"))


def test_a_recipe_learns_colours(short, blobs, tmp_path):
    changes = {"epochs": 15, "mixing.cutmix": 0.0, "average": None, "sides": [[0.0, 1.0]]}
    settings = load_recipe(short, "short").after(4, changes)
    wide = override(short, {"model.channels": [16, 24, 32]})
    own = recipe_config(wide, settings, blobs.train)
    fit = fit_recipe(own, blobs, settings, tmp_path / "a", tmp_path / "runs")
    assert fit.val_accuracy > 0.6 and fit.epochs[-1].train_loss < fit.epochs[0].train_loss


def test_averaged_views_are_invariant_under_the_symmetries():
    torch.manual_seed(0)
    model = SymmetricAverage(DilatedCNN((4, 6, 8)).eval())
    images = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        logits = model(images)
        for view in symmetric_views(images):
            torch.testing.assert_close(model(view), logits, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(model.model(images), logits, atol=1e-5, rtol=1e-4)


def test_train_recipe_is_tested_kept_and_published(short):
    config = override(short, {"recipe.seeds": [1, 2], "recipe.spatial": True})
    found = stages.train_recipe(config)
    facts = found.facts()
    assert [run.fit.seed for run in found.runs] == [1, 2] and facts["count"] == 2
    assert facts["spatial"]["n"] == 40 and found.spatial.fit.seed == 1
    assert stages.train_recipe(config).model_dump() == found.model_dump()  # kept: the seconds too
    folder = config.paths.artifacts
    with open(folder / "test_openings.csv", encoding="utf-8", newline="") as file:
        openings = list(csv.DictReader(file))
    assert len({row["sha256"] for row in openings}) == 3
    labels = [row["configuration"] for row in openings]
    assert labels[-2:] == ["short, spatial, 1 view", "short, spatial, 8 views"]
    assert json.loads((folder / "facts.json").read_text())["train_recipe"] == json.loads(
        json.dumps(facts)
    )
    assert stages.found_recipe(config)[0] == found and stages.found_recipe(config)[1] is None
    plain = Predictions.load(config.paths.stages / found.first.plain.stored)
    assert int((plain.predicted == plain.labels).sum()) == found.first.plain.correct
    assert (config.paths.runs / "train_recipe" / "short_seed1").is_dir()
    assert (config.paths.runs / "train_recipe" / "short_seed1_spatial").is_dir()


def test_the_recipe_of_another_name_is_another_training(short):
    found = stages.train_recipe(short)
    other = written(short, SHORT | {"steps": SHORT["steps"][:1]}, "other")
    settings = {"recipe.name": "other"}
    assert stages.train_recipe(override(other, settings)).runs != found.runs


def test_ablation_is_judged_on_validation_and_said_in_a_table(short):
    config = override(short, {"recipe.ablation_epochs": 1, "recipe.ablation_seeds": [1, 2]})
    found = stages.ablate_recipe(config)
    facts = found.facts()
    assert len(facts["rows"]) == 6 and facts["rows"][0]["gain"] is None
    means = [row["mean"] for row in facts["rows"]]
    assert facts["rows"][3]["gain"] == pytest.approx(means[3] - means[2])
    assert not (config.paths.artifacts / "test_openings.csv").exists()
    table = tables.recipe_steps(found)
    assert list(table["Étape"])[:2] == [START, "+ 8 symétries"]
    assert "Écart-type" in table and len(table) == len(facts["rows"])
    assert "sur 96 images de 32 pixels de côté" in table.attrs["note"]
    one = found.model_copy(
        update={"rows": tuple(r.model_copy(update={"fits": r.fits[:1]}) for r in found.rows)}
    )
    assert "Écart-type" not in tables.recipe_steps(one)


def test_ablation_can_be_cut_without_another_run(short):
    cuts = {"recipe.ablation_limit": 32, "recipe.ablation_image_size": 16}
    config = override(short, {"recipe.ablation_epochs": 1, "recipe.ablation_seeds": [1]} | cuts)
    found = stages.ablate_recipe(config)
    assert found.train_images == 32
    assert {fit.epochs[-1].side for row in found.rows for fit in row.fits} == {16}
    assert "sur 32 images de 16 pixels de côté" in tables.recipe_steps(found).attrs["note"]
    assert stages.latest(short, Ablation) == found  # of the same experiment


def row(name, *scores, diverged=""):
    epoch = RecipeEpoch(
        **dict.fromkeys(("lr", "train_loss", "train_accuracy", "grad_norm", "seconds"), 1.0),
        **dict.fromkeys(("epoch", "side", "steps", "images"), 1),
        val_loss=1.0,
        val_accuracy=0.5,
    )
    common = {"parameters": 9, "train_images": 100, "validation_images": 400}
    fits = tuple(
        RecipeFit(
            seed=seed,
            epochs=(epoch.model_copy(update={"val_accuracy": score}),),
            diverged=diverged,
            **common,
        )
        for seed, score in enumerate(scores)
    )
    return AblationRow(name=name, fits=fits)


def ablation(*rows):
    words = {"name": "short", "title": "courte", "level": 0.95, "epochs": 1, "train_images": 100}
    return Ablation(**words, rows=rows)


def test_a_gain_has_the_interval_of_its_images_or_from_three_seeds_on_of_its_seeds():
    one = ablation(row("a", 0.50), row("b", 0.60))
    assert one.gains[0] is None
    assert one.gains[1] == pytest.approx((0.1, *newcombe(240, 400, 200, 400, 0.95)))
    assert "non celui d’un autre entraînement" in tables.recipe_steps(one).attrs["note"]
    three = ablation(row("a", 0.50, 0.52, 0.51), row("b", 0.60, 0.63, 0.60))
    differences = np.array([0.10, 0.11, 0.09])
    assert three.gains[1] == pytest.approx((0.1, *mean_interval(differences, 0.95)))
    assert "autre entraînement" not in tables.recipe_steps(three).attrs["note"]


def test_a_diverged_training_has_no_score_and_no_gain():
    found = ablation(row("a", 0.5), row("b", 0.1, diverged="epoch 1"), row("c", 0.6))
    assert found.gains == [None, None, None]
    table = tables.recipe_steps(found)
    assert table["Validation"].tolist()[1] == "divergé" and set(table["Gain"]) == {"—"}


def test_a_recipe_is_tried_on_validation_with_the_test_closed(short):
    found = stages.validate_recipe(short)
    assert not (short.paths.artifacts / "test_openings.csv").exists()
    facts = found.facts()
    assert facts["n"] == 40 and facts["low"] <= facts["val_accuracy"]["mean"] <= facts["high"]
    tested = stages.train_recipe(short)
    assert tested.first.fit == found.fits[0]  # taken over
    with open(short.paths.artifacts / "test_openings.csv", encoding="utf-8", newline="") as file:
        labels = [line["configuration"] for line in csv.DictReader(file)]
    assert labels == ["short, 1 view", "short, 8 views"]


def test_the_steps_of_another_recipe_are_left_out(short):
    stages.train_recipe(short)
    other = written(short, SHORT | {"steps": SHORT["steps"][:1]}, "other")
    own = {"recipe.name": "other", "recipe.ablation_epochs": 1}
    stages.ablate_recipe(override(other, own))
    found, steps = stages.found_recipe(short)
    assert found.name == "short" and steps is None


def test_the_last_rows_are_the_whole_recipe(short):
    found = stages.train_recipe(short)
    table = tables.recipe_steps(ablation(row("a", 0.5), row("b", 0.6)), found)
    assert table["Étape"].tolist()[2:] == [
        "recette entière, 4 époques sur 96 images",
        "+ moyenne des 8 vues",
    ]
    run = found.first
    assert run.val_accuracy == run.averaged.correct_validation / run.averaged.n_validation


def test_a_recipe_beside_the_protocol(short):
    found, training = stages.train_recipe(short), make_training([0.2, 0.25, 0.3, 0.35])
    beside = beside_protocol(found, training)
    best = training.fit.best.val_accuracy
    assert beside["gain"] == pytest.approx(found.first.val_accuracy - best, abs=1e-3)
    assert beside["low"] < beside["gain"] < beside["high"]
    settings = found.settings | {"blocks_per_stage": 99}
    other = beside_protocol(found.model_copy(update={"settings": settings}), training)
    assert not other["same_network"]


def test_the_report_says_what_the_recipe_gave_or_nothing(short):
    training = make_training([0.2, 0.25, 0.3, 0.35])
    grid, refined = make_grid(), make_grid(RefinedGrid, "grid_search")
    assert tables.recipe_scores(None) is tables.recipe_steps(None) is None
    assert plots.recipe_curves(None, training) is None
    answers = ROOT / "reports" / "answers"

    def say(name, *more):
        beside = beside_protocol(more[0] if more else None, training)
        facts = context_of((refined, training, grid, *more), {"beside": beside})
        return render(name, facts, answers)

    assert "Au-delà" not in say("M8") and "recette" not in say("S8")
    found = stages.train_recipe(override(short, {"recipe.seeds": [1, 2], "recipe.spatial": True}))
    both = say("M8", found)
    assert "moyenne de 2 graines" in both and "écart-type" in both and "spatial" in both
    one = found.model_copy(update={"runs": found.runs[:1], "spatial": None})
    alone = say("M8", one)
    assert "une seule graine" in alone and "spatial" not in alone
    assert f"{found.first.scored.correct}" in alone and "recette courte" in say("S8", one)
    steps = ablation(row("a", 0.5, 0.5, 0.5), row("b", 0.6, 0.61, 0.6), row("c", 0.5, 0.7, 0.6))
    text = say("M8", one, steps)
    assert "établissent un gain pour *b* (+10,3" in text and ", rien d’autre" in text
    assert "une perte" not in text
    text = say("M8", one, ablation(row("a", 0.5, 0.5, 0.5), row("b", 0.4, 0.41, 0.4)))
    assert "établissent une perte pour *b* (−9,7" in text and "rien d’autre" not in text
    assert "n’établissent aucun effet" in say(
        "M8", one, ablation(row("a", 0.5, 0.6, 0.7), row("b", 0.7, 0.6, 0.5))
    )
    assert "établissent" not in say("M8", one, ablation(row("a", 0.5), row("b", 0.4)))
    table = tables.recipe_scores(found)
    assert list(table["Découpage"]) == [
        "standard, graine 1",
        "standard, graine 2",
        "moyenne ± écart-type (n = 2)",
        "spatial, graine 1",
    ]
    assert table.iloc[2, 4] == "—"  # two seeds have no interval
    figure = plots.recipe_curves(found, training)
    assert "protocole" in figure.get_label() and "machine" not in figure.axes[0].get_xlabel()
    apart = plots.recipe_curves(found, training, same_machine=False)
    assert apart.axes[0].get_xlabel().endswith("chacun sur sa machine")
    assert {line.get_label() for line in figure.axes[0].get_lines()} >= {
        "protocole",
        "recette courte",
    }
    reduced = [line for line in figure.axes[0].get_lines() if "réduites" in line.get_label()]
    small = [e.side < 32 for run in found.runs for e in run.fit.epochs if e.val_accuracy]
    assert len(reduced) == 1 and len(reduced[0].get_xdata()) == sum(small) > 0
