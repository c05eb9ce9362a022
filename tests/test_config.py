import pytest
import yaml

from eurosat_lib.config import (
    PARAMETERS,
    Config,
    configure,
    load_config,
    load_recipe,
    override,
    parse_override,
    save_config_snapshot,
)
from eurosat_lib.errors import UserError


def test_full_profile_is_the_protocol(root):
    config = load_config(root / "configs/config.yaml", "full")
    assert config.model.channels == (64, 128, 256)
    assert (config.train.max_epochs, config.data.batch_size) == (20, 64)
    points = len(config.grid.lr_factors) * len(config.grid.weight_decay)
    assert points * len(config.grid.dilation_stage3) * len(config.grid.blocks_per_stage) == 24


def test_overrides_come_after_the_profile_and_a_subfolder_finds_all(root, monkeypatch):
    (root / "notebooks").mkdir()
    monkeypatch.chdir(root / "notebooks")
    config = load_config(profile="quick")
    assert (config.paths.root, config.data.image_size) == (str(root), 32)
    assert load_config(profile="quick", overrides={"data.image_size": 48}).data.image_size == 48


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.max_epoch", 3, "did you mean max_epochs"),
        ("training", {}, "did you mean train"),
        ("train.max_epochs", 0, "greater than or equal to 1"),
        ("train.max_epochs", 2.5, "valid integer"),
        ("train.lr", "1e-3", "got '1e-3'; YAML takes 1e-3 for text, write 1.0e-3"),
        ("train.lr", -1.0, "greater than 0"),
        ("data", 3, "data: input should be an object"),
        ("lr_finder.min_lr", 5.0, "must be below max_lr"),
        ("model.channels", [1, 2], "missing"),
        ("paths", 3, "paths: input should be an object"),
        ("paths.name", "../elsewhere", "pattern"),
        ("paths.name", "Results", "folder or file of every run"),
        ("paths.name", "best.ckpt", "folder or file of every run"),
        ("train.sides", [[0.2, 1.0]], "sides"),
        ("grid.lr", [], "at least 1"),
        ("train.seeds", [1, 1], "stands twice"),
        ("grid.blocks_per_stage", [2, 2], "stands twice"),
    ],
)
def test_wrong_values_are_named(root, key, value, message):
    with pytest.raises(UserError, match=message) as caught:
        load_config(root / "configs/config.yaml", "full", {key: value})
    assert "\n" not in str(caught.value)


def test_what_is_wrong_in_a_file_names_it(root):
    path = root / "configs/config.yaml"
    with pytest.raises(UserError, match="did you mean quick"):
        load_config(path, "quik")
    with pytest.raises(UserError, match="no such configuration"):
        load_config(root / "configs/other.yaml")
    text = path.read_text()
    path.write_text(text.replace("lr: 0.01", "lr: 1e-2"))
    with pytest.raises(UserError, match=r"config\.yaml.*: overfit\.lr.*'1e-2'"):
        load_config(path, "full")
    path.write_text(text + "\naugmnt: {}\n")
    with pytest.raises(UserError, match=r"config\.yaml.*: unknown key augmnt .*augment"):
        load_config(path, "full")


def test_configure_takes_the_parameters_of_a_notebook_and_skips_the_rest(root):
    path = str(root / "configs/config.yaml")
    given = {"config_path": path, "profile": "full", "lr": None, "max_epochs": 3, "frame": object}
    config = configure(given)
    assert config.train.max_epochs == 3
    assert configure({"config_path": path, "profile": None}).train.lr is None
    with pytest.raises(UserError, match=r"train\.max_epochs: .* got 0"):
        configure(given | {"max_epochs": 0})
    for key in PARAMETERS.values():
        node = config
        for part in key.split("."):
            node = getattr(node, part)


def test_a_snapshot_is_read_back_the_same(root):
    config = load_config(root / "configs/config.yaml", "quick", {"train.lr": 3e-4})
    path = save_config_snapshot(config, root / "artifacts" / "x")
    assert load_config(path) == config != override(config, {"train.lr": 1.0})
    tree = yaml.safe_load(path.read_text())
    tree["paths"]["root"] = config.paths.root
    assert Config.model_validate(tree, strict=False) == config


def test_parse_override():
    assert parse_override("train.lr=3e-4") == ("train.lr", 3e-4)
    assert parse_override("grid.lr=[1e-3, 2e-3]") == ("grid.lr", [1e-3, 2e-3])
    assert parse_override("grid.lr=null") == ("grid.lr", None)
    assert parse_override("data.source=synthetic") == ("data.source", "synthetic")
    with pytest.raises(UserError, match="key=value"):
        parse_override("train.lr")


def test_a_recipe_is_other_values_of_the_same_sections(root):
    config = load_config(root / "configs/config.yaml", "full")
    recipe = load_recipe(config, "best")
    start, whole = recipe.after(config, 0), recipe.after(config)
    assert (start.train.optimizer, start.augment.symmetries) == ("adam", False)
    assert (whole.train.optimizer, whole.evaluate.views, whole.train.max_epochs) == ("muon", 8, 24)
    assert recipe.after(config, 3, {"train.max_epochs": 2}).train.max_epochs == 2
    assert (whole.model, whole.data.split) == (config.model, config.data.split)
    with pytest.raises(UserError, match=r"did you mean best\?\); there: best"):
        load_recipe(config, "bst")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("- {name: a, set: {train.optimiser: sgd}}", "did you mean optimizer"),
        ("- {name: a, set: {train.optimizer: sdg}}", "train.optimizer"),
        ("- {name: a}", "set is missing"),
        ("- {name: a, set: {augment.symmetries: 3}}", "valid boolean"),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(root, step, words):
    config = load_config(root / "configs/config.yaml", "full")
    text = f"title: court\nbase: {{train.lr: 1.0e-3}}\nsteps:\n{step}"
    (root / "configs/recipes/short.yaml").write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        load_recipe(config, "short")
    assert "recipes/short.yaml" in str(caught.value) and "\n" not in str(caught.value)
