"""The one configuration: ``configs/config.yaml``, a profile over it, then overrides.

What is wrong in it is a ``UserError`` that names the first wrong key or value, and its place.
Overrides are ``--set a.b=c`` on the command line, parameters in a notebook.
"""

import ast
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from eurosat_lib.errors import UserError, did_you_mean, one_line
from eurosat_lib.files import write_text
from eurosat_lib.schema import Config, Section

M = TypeVar("M", bound=BaseModel)
CONFIG = "configs/config.yaml"  # of the project's root
# What recipes may set.
OF_RECIPES = ("data.image_size", "data.batch_size", "evaluate.views")
OF_RECIPES += ("preprocess.", "augment.", "model.", "train.")
LARGEST = 1_000_000  # bytes of a YAML file

COMMON = ("config_path", "profile", "data", "name")  # parameters that say which run
TEXTS = (*COMMON, "checkpoint")  # parameters that are texts
# Notebook parameters: name -> key of the configuration.
PARAMETERS: dict[str, str] = {
    "seed": "seed",
    "data": "data.source",
    "name": "paths.name",
    "batch_size": "data.batch_size",
    "overfit_size": "overfit.size",
    "overfit_epochs": "overfit.epochs",
    "overfit_lr": "overfit.lr",
    "min_lr": "lr_finder.min_lr",
    "max_lr": "lr_finder.max_lr",
    "lr_iterations": "lr_finder.iterations",
    "lr_seeds": "lr_finder.seeds",
    "grid_lr": "grid.lr",
    "grid_epochs": "grid.epochs",
    "refined_epochs": "refined_grid.epochs",
    "lr": "train.lr",
    "weight_decay": "train.weight_decay",
    "blocks_per_stage": "train.blocks_per_stage",
    "dilation_stage3": "train.dilation_stage3",
    "max_epochs": "train.max_epochs",
    "max_steps": "train.max_steps",
    "train_seeds": "train.seeds",
    "checkpoint": "evaluate.checkpoint",
}


class Recipe(Section):
    """Another way to train the network: where it starts, and the steps away from there."""

    name: str
    title: str  # in French
    base: dict[str, Any]  # dotted key -> value
    steps: dict[str, dict[str, Any]]  # name in French -> dotted key -> value

    def after(self, config: Config, count: int | None = None) -> Config:
        """Return a configuration after the first ``count`` steps, or all."""
        layers = (self.base, *list(self.steps.values())[:count])
        values = {key: value for layer in layers for key, value in layer.items()}
        for key in values:
            if not key.startswith(OF_RECIPES):
                raise UserError(f"recipes/{self.name}.yaml: {key} is not of the training itself")
        return override(config, values, f"recipes/{self.name}.yaml")


def load_recipe(config: Config, name: str) -> Recipe:
    """Read ``configs/recipes/<name>.yaml``, and check what it sets."""
    path = _one_of(Path(config.paths.root, "configs/recipes"), "recipe", name)
    recipe = validate(read_yaml(path) | {"name": name}, f"recipes/{name}.yaml", Recipe)
    train = recipe.after(config).train
    for key in ("lr", "weight_decay", "blocks_per_stage", "dilation_stage3"):
        if getattr(train, key) is None:
            raise UserError(f"recipes/{name}.yaml: give train.{key}")
    return recipe


def _one_of(folder: Path, kind: str, name: str) -> Path:
    """Find a YAML file of a folder by its name."""
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if name not in known:
        hint, there = did_you_mean(name, known), ", ".join(known) or "none"
        raise UserError(f"{kind} {name!r} is unknown{hint}; there: {there}")
    return known[name]


def load_config(
    path: str | Path = CONFIG,
    profile: str = "auto",
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read a YAML file, lay a profile and overrides (dotted key -> value) over it.

    Profiles are beside the file; ``auto`` is ``full`` with CUDA, else ``quick``. A file without
    any, stored with a result, is taken as it is. The environment variable ``ENGINE`` is an
    override of ``compute.engine``. A relative path is looked for here and in the
    folders above, for notebooks run one level down; the project's root is the nearest folder
    above the file that holds ``configs/config.yaml``.
    """
    here = Path.cwd()
    files = [folder / os.path.expanduser(path) for folder in (here, *here.parents)]
    file = next((file.resolve() for file in files if file.is_file()), None)
    if not file:
        raise UserError(f"{path}: no such configuration file, from {here} upwards")
    above = (folder for folder in file.parents if (folder / CONFIG).is_file())
    root, profiles = next(above, file.parent.parent), file.parent / "profiles"
    tree, where = {"paths": {"root": str(root)}}, f"{file.parent.name}/{file.name}"
    tree = merge(tree, read_yaml(file))
    if profiles.is_dir():
        if profile == "auto":
            profile = "full" if cuda_is_available() else "quick"
        layer = _one_of(profiles, "profile", profile)
        tree = merge(tree, read_yaml(layer) | {"profile": layer.stem})
        where = f"{where} + profiles/{layer.name}"
    elif profile != "auto":
        raise UserError(f"profile {profile}: there are none beside {file}")
    if "profile" in (overrides or {}):
        raise UserError("profile: it is chosen by PROFILE, -p profile or --profile")
    engine = {"compute.engine": os.environ["ENGINE"]} if os.environ.get("ENGINE") else {}
    return validate(merge(tree, nest(engine | dict(overrides or {}))), where)


def configure(values: Mapping[str, Any]) -> Config:
    """Build the configuration of a notebook: ``configure(globals())``.

    ``config_path``, ``profile`` and the names of :data:`PARAMETERS` are taken, unless ``None``;
    other names are left alone.
    """
    given = {key: values[name] for name, key in PARAMETERS.items() if values.get(name) is not None}
    profile = values.get("profile") or "auto"
    return load_config(values.get("config_path") or CONFIG, profile, given)


def override(config: Config, values: Mapping[str, Any], where: str = "override") -> Config:
    """Return a checked copy with other values, given by dotted key (``{"train.lr": 1e-3}``)."""
    return validate(merge(config.model_dump(mode="json"), nest(values)), where)


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``a.b=value``; see :func:`parse_value`."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: expected key=value, for instance train.max_epochs=3")
    return key.strip(), parse_value(key.strip(), value.strip())


def parse_value(name: str, value: Any) -> Any:
    """Read the value given for a parameter or key: a text is a Python literal where it can be.

    So are ``null``, ``none``, ``true``, ``false`` in any case; what has to be a text stays one,
    and a tuple without brackets, ``1,5e-3``, may be a French number.
    """
    if not isinstance(value, str) or (name in TEXTS and value != "None"):
        return value
    words = {"null": None, "none": None, "true": True, "false": False}
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        found = words[value.lower()] if value.lower() in words else ast.literal_eval(value)
        return value if isinstance(found, tuple) and value.lstrip()[0] != "(" else found
    return value


def cuda_is_available() -> bool:
    """Tell whether PyTorch sees a CUDA device; does not import PyTorch where there is none."""
    if not any(map(os.path.exists, ("/dev/nvidiactl", "/dev/dxg"))):
        return False
    import torch

    return torch.cuda.is_available()


def stored_parameters(config: Config) -> dict[str, Any]:
    """Return the notebook parameters that the run was given (``artifacts/[NAME/]params.yaml``)."""
    path = config.paths.artifacts / "params.yaml"
    values = read_yaml(path) if path.is_file() else {}
    for name in values:
        if name not in PARAMETERS:
            raise UserError(f"{path}: unknown parameter {name}{did_you_mean(name, PARAMETERS)}")
    return values


def save_config_snapshot(config: Config, directory: str | Path) -> Path:
    """Write the resolved configuration as ``config.yaml`` in a folder; return its path."""
    target = Path(directory) / "config.yaml"
    tree = config.model_dump(mode="json", exclude={"paths": {"root"}})
    write_text(target, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    return target


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can stand for more than memory holds, and with unique keys."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        """Refuse an alias, and a key that is there twice."""
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="an alias (*name) is not taken", problem_mark=mark)
        node = super().compose_node(parent, index)
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key, count in Counter(str(key.value) for key, _ in pairs).most_common(1):
            if count > 1:
                raise yaml.MarkedYAMLError(problem=f"{key} stands twice", problem_mark=mark)
        return node

    def whole_number(self, node: yaml.ScalarNode) -> int | str:
        """Read a decimal number; 042 (octal in YAML 1.1), 0x2a and 1:30 stay texts."""
        return int(node.value) if re.fullmatch(r"[-+]?(0|[1-9][\d_]*)", node.value) else node.value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)


def read_yaml(path: Path, kind: type = dict) -> Any:
    """Read a YAML file of moderate size that holds a mapping by names, or a list."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: not readable: {one_line(error)}") from None
    return parse_yaml(content, str(path), kind)


def parse_yaml(content: bytes, where: str, kind: type = dict) -> Any:
    """Read YAML that holds a mapping by names, or a list; ``where`` it stands is for errors."""
    if len(content) > LARGEST:
        raise UserError(f"{where}: more than {LARGEST // 1000} kB, for settings")
    try:
        tree = yaml.load(content, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else one_line(error)
        raise UserError(f"{where}: not readable as YAML in UTF-8: {said}") from None
    if not isinstance(tree, kind) or (kind is dict and not all(type(key) is str for key in tree)):
        raise UserError(f"{where}: expected {'a list' if kind is list else 'name: value'}")
    return tree


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested sections; of two values of one key the last wins."""
    tree: dict[str, Any] = {}
    for dotted, value in flat.items():
        for part in reversed(dotted.split(".")):
            value = {part: value}
        tree = merge(tree, value)
    return tree


def merge(base: Any, layer: Any) -> Any:
    """Lay sections over others, key by key; a value that is no section replaces the other."""
    if not (isinstance(base, Mapping) and isinstance(layer, Mapping)):
        return layer
    return {**base, **{key: merge(base.get(key), value) for key, value in layer.items()}}


def validate(tree: Mapping[str, Any], where: str, model: type[M] = Config) -> M:
    """Build a model of strict values, or name the first fault in it in Pydantic's own words."""
    try:
        # By way of JSON, so that a YAML list may fill a tuple while numbers stay strict.
        return model.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        first = error.errors()[0]
    except (TypeError, ValueError, RecursionError):
        said = "nested too deeply, a number too long, or a key that is no text"
        raise UserError(f"{where}: {said}") from None
    if not first["loc"]:  # of the whole text: JSON that is none
        raise UserError(f"{where}: a value that is no text in UTF-8")
    parts = [part for part in map(str, first["loc"]) if not part.startswith("function")]
    key, value, said = ".".join(parts), first["input"], first["msg"]
    said = f"{key}: {said[0].lower()}{said[1:]}"
    if first["type"] == "extra_forbidden":
        known = list(model.model_fields)
        for section, field in model.model_fields.items():
            known += [f"{section}.{n}" for n in getattr(field.annotation, "model_fields", ())]
        alike = " or ".join(name for name in known if name.endswith(f".{key}"))
        hint = f" (did you mean {alike}?)" if alike else did_you_mean(key, known)
        said = f"unknown key {key}{hint}"
    elif not isinstance(value, dict):
        said += f", got {value!r}"
    if first["type"] == "float_type" and re.fullmatch(r"[-+]?\d+e[-+]?\d+", str(value), re.I):
        said += "; YAML takes 1e-3 for text, write 1.0e-3"
    raise UserError(f"{where}: {said}")
