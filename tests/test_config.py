"""The configuration: what is read, in which order, and each fault in a line that names it."""

import re
from operator import attrgetter

import pytest
import yaml

from eurosat_lib import config as room
from eurosat_lib.config import load_config, load_recipe, override, read_yaml
from eurosat_lib.errors import UserError


def refused(words, call, *args):
    with pytest.raises(UserError, match=words) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_overrides_come_after_the_profile_and_a_subfolder_finds_all(root, monkeypatch):
    (root / "notebooks").mkdir()
    monkeypatch.chdir(root / "notebooks")
    config = load_config(profile="quick")
    assert (config.paths.root, config.data.image_size) == (str(root), 32)
    assert load_config(profile="quick", overrides={"data.image_size": 48}).data.image_size == 48
    monkeypatch.setenv("ENGINE", "ray")
    assert load_config(profile="quick").compute.engine == "ray"
    copied = (root / "configs/profiles/full.yaml").read_text()
    (root / "configs/profiles/mine.yaml").write_text(copied)  # its line says full
    assert load_config(profile="mine").profile == "mine"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.max_epoch", 3, "did you mean train.max_epochs"),
        ("training", {}, "did you mean train"),
        ("lr", 1e-3, r"did you mean overfit\.lr or .* or train\.lr\?"),
        ("profile", "full", "chosen by PROFILE"),
        ("preprocess.mean", [123.7, 0.4, 0.4], "less than or equal to 1"),
        ("data.source", "", "at least 1 character"),
        ("train.max_epochs", 0, "greater than or equal to 1"),
        ("train.lr", "1e-3", "got '1e-3'; YAML takes 1e-3 for text, write 1.0e-3"),
        ("train.lr", -1.0, "greater than 0"),
        ("train.weight_decay", float("inf"), "finite"),
        ("lr_finder.min_lr", 5.0, "must be below max_lr"),
        ("model.channels", [1, 2], "field required"),
        ("paths.name", "../elsewhere", "pattern"),
        ("paths.name", "Results", "folder of every run"),
        ("train.sides", [[0.2, 1.0]], "sides"),
        ("train.sides", [[k / 5, 1.0] for k in range(5)], "1 to 4 pairs"),
        ("grid.lr", [], "at least 1"),
        ("train.seeds", [1, 1], "stands twice"),
    ],
)
def test_wrong_values_are_named(root, key, value, message):
    refused(message, load_config, root / "configs/config.yaml", "full", {key: value})


def test_what_is_wrong_in_a_file_names_it(root):
    path = root / "configs/config.yaml"
    path.write_text(path.read_text() + "\naugmnt: {}\n")
    refused(r"config\.yaml.*: unknown key augmnt .*augment", load_config, path, "full")
    for number in ("042", "0x2a", "1:30"):  # 34, 42 and 90 to YAML 1.1
        path.write_text(f"seed: {number}\n")
        refused(f"seed: .*valid integer, got '{number}'", load_config, path, "full")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("seed: 1\nauthor: Amélie".encode("latin-1"), "in UTF-8: .*position 18"),
        (b"train:\n  lr: 1\n  lr: 2\n", "lr stands twice"),
        (b"seed: " + b"[" * 100_000, "nested too deeply"),
        (b"seeds: [" + b"1, " * 400_000 + b"1]", "more than 1000 kB"),
        (b"a: &a [1]\nb: *a\n", "an alias"),
        (b"a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (b"a:\n\t- 1", "not readable as YAML"),
        (b"- 1", "expected name: value"),
        (b"seed: 1\n1: 2", "expected name: value"),
        (None, "IsADirectoryError"),
    ],
)
def test_a_file_is_refused_in_a_line_that_names_it(tmp_path, content, words):
    path = tmp_path / "config.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    assert str(path) in refused(words, read_yaml, path)
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "mark.yaml").write_text("seed: 3", encoding)
        assert read_yaml(tmp_path / "mark.yaml") == {"seed": 3}


def test_configure_takes_the_parameters_of_a_notebook_and_skips_the_rest(root):
    path = str(root / "configs/config.yaml")
    given = {"config_path": path, "profile": "full", "lr": None, "max_epochs": 3, "frame": object}
    config = room.configure(given)
    assert (config.train.max_epochs, config.train.lr) == (3, None)
    refused(r"train\.max_epochs: .* got 0", room.configure, given | {"max_epochs": 0})
    for name, key in room.PARAMETERS.items():
        attrgetter(key)(config)
        assert {*name.split("_")} <= {*re.split("[._]", key)}, name


def test_a_snapshot_is_read_back_the_same(root):
    config = load_config(root / "configs/config.yaml", "quick", {"train.lr": 3e-4})
    path = room.save_config_snapshot(config, root / "artifacts" / "x")
    assert load_config(path) == config != override(config, {"train.lr": 1.0})
    assert "root" not in yaml.safe_load(path.read_text())["paths"]
    refused("profile quick: there are none beside", load_config, path, "quick")


def test_a_recipe_is_other_values_of_the_same_sections(full):
    recipe = load_recipe(full, "best")
    start, whole = recipe.after(full, 0), recipe.after(full)
    assert (start.train.optimizer, start.augment.symmetries) == ("adam", False)
    assert (whole.train.optimizer, whole.evaluate.views, whole.train.max_epochs) == ("muon", 8, 24)
    assert recipe.after(full, 3).train.optimizer == "adamw"
    assert (whole.model, whole.data.split) == (full.model, full.data.split)
    refused(r"did you mean best\?\); there: best", load_recipe, full, "bst")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("a: {train.optimiser: sgd}", "did you mean train.optimizer"),
        ("a: {seed: 7}", "seed is not of the training itself"),
        ("a: 3", "steps.a: input should be an object"),
        ("a: {augment.symmetries: 3}", "valid boolean"),
        ("a: {train.weight_decay: 0.1}", "give train.blocks_per_stage"),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(root, full, step, words):
    text = f"title: court\nbase: {{train.lr: 1.0e-3}}\nsteps:\n  {step}"
    (root / "configs/recipes/short.yaml").write_text(text)
    assert "recipes/short.yaml" in refused(words, load_recipe, full, "short")
