"""The one configuration: read from YAML, a profile and overrides.

What is wrong in it is a ``UserError`` that names the first wrong key or value, and its place.

Order, the last wins: ``configs/config.yaml``, ``configs/profiles/<profile>.yaml``, overrides
(``--set a.b=c`` on the command line, parameters in a notebook). A recipe is other values of the
same sections.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from eurosat_lib.errors import UserError, did_you_mean, one_line
from eurosat_lib.files import write_text
from eurosat_lib.schema import Config, Section

M = TypeVar("M", bound=BaseModel)
LARGEST = 1_000_000  # bytes of a YAML file

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


class Step(Section):
    """One change of a recipe."""

    name: str  # in French, as the report prints it
    set: dict[str, Any]  # dotted key -> value


class Recipe(Section):
    """Another way to train the network: where it starts, and the steps away from there."""

    name: str = ""
    title: str  # in French
    base: dict[str, Any]  # dotted key -> value
    steps: tuple[Step, ...]

    def after(
        self, config: Config, count: int | None = None, changes: Mapping[str, Any] | None = None
    ) -> Config:
        """Return a configuration after the first ``count`` steps, or all, then ``changes``."""
        for layer in (self.base, *(step.set for step in self.steps[:count]), changes or {}):
            config = override(config, layer, f"recipes/{self.name}.yaml")
        return config


def load_recipe(config: Config, name: str) -> Recipe:
    """Read ``configs/recipes/<name>.yaml``, and check each of its steps."""
    path = _one_of(Path(config.paths.root, "configs", "recipes"), "recipe", name)
    recipe = validate(read_yaml(path) | {"name": name}, f"recipes/{name}.yaml", Recipe)
    recipe.after(config)
    return recipe


def _one_of(folder: Path, kind: str, name: str, *more: str) -> Path:
    """Find a YAML file of a folder by its name; ``more`` names what else could be meant."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        listed = ", ".join([*more, *known]) or "none"
        raise UserError(f"{kind} {name!r} is unknown{did_you_mean(name, known)}; there: {listed}")
    return folder / f"{name}.yaml"


def load_config(
    path: str | Path = "configs/config.yaml",
    profile: str = "auto",
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read a YAML file, lay a profile and overrides (dotted key -> value) over it.

    The project's root is the nearest folder above that holds ``configs/``. Profiles are beside
    the file; ``auto`` is ``full`` with CUDA, else ``quick``. A file without such a folder, stored
    with a result, is taken as it is. A relative path is looked for here and in the folders above,
    for notebooks run one level down.
    """
    here = Path.cwd()
    files = [folder / os.path.expanduser(path) for folder in (here, *here.parents)]
    if not any(file.is_file() for file in files):
        raise UserError(f"{path}: no such configuration file, from {here} upwards")
    path = next(file.resolve() for file in files if file.is_file())
    above = (folder for folder in path.parents if (folder / "configs/config.yaml").is_file())
    root, where = next(above, path.parent.parent), f"{path.parent.name}/{path.name}"
    tree = merge({"paths": {"root": str(root)}}, read_yaml(path))
    if (path.parent / "profiles").is_dir():  # a stored config.yaml is whole without one
        if profile == "auto":
            profile = "full" if cuda_is_available() else "quick"
        layer = _one_of(path.parent / "profiles", "profile", profile, "auto")
        tree, where = merge(tree, read_yaml(layer)), f"{where} + profiles/{layer.name}"
    engine = {"compute.engine": os.environ["ENGINE"]} if os.environ.get("ENGINE") else {}
    return validate(merge(tree, nest(engine | dict(overrides or {}))), where)


def configure(values: Mapping[str, Any]) -> Config:
    """Build the configuration of a notebook: ``configure(globals())``.

    ``config_path``, ``profile`` and the names of :data:`PARAMETERS` are taken, unless ``None``;
    other names are left alone.
    """
    given = {key: values[name] for name, key in PARAMETERS.items() if values.get(name) is not None}
    path = values.get("config_path") or "configs/config.yaml"
    return load_config(path, values.get("profile") or "auto", given)


def override(config: Config, values: Mapping[str, Any], where: str = "override") -> Config:
    """Return a checked copy with other values, given by dotted key (``{"train.lr": 1e-3}``)."""
    return validate(merge(config.model_dump(mode="json"), nest(values)), where)


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``a.b=value``; the value is a Python literal, ``null``/``true``/``false``, or text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: expected key=value, for instance train.max_epochs=3")
    return key.strip(), parse_literal(value.strip())


def parse_literal(text: str) -> Any:
    """Read a number, list, ``true``/``false``/``null`` (any case of None, True, False) or text."""
    words = {"null": None, "none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def cuda_is_available() -> bool:
    """Tell whether PyTorch sees a CUDA device; does not import PyTorch where there is none."""
    devices = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
    if os.name == "posix" and not any(device.exists() for device in devices):
        return False
    import torch

    return torch.cuda.is_available()


def stored_parameters(config: Config) -> dict[str, Any]:
    """Return the notebook parameters that the run was given (``artifacts/[NAME/]params.yaml``)."""
    path = config.paths.artifacts / "params.yaml"
    return read_yaml(path) if path.is_file() else {}


def save_config_snapshot(config: Config, directory: str | Path) -> Path:
    """Write the resolved configuration as ``config.yaml`` in a folder; return its path."""
    target = Path(directory) / "config.yaml"
    tree = config.model_dump(mode="json", exclude={"paths": {"root"}})
    write_text(target, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    return target


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can stand for more than memory holds, and with unique keys."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        """Refuse an alias, and a key that stands twice."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="an alias (*name) is not taken", problem_mark=mark)
        node = super().compose_node(parent, index)
        keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        for number, key in enumerate(keys):
            if key in keys[:number]:
                mark = node.value[number][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"{key} stands twice", problem_mark=mark)
        return node


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds sections, of moderate size, in UTF-8."""
    try:
        content = path.read_bytes()
        if len(content) > LARGEST:
            raise UserError(f"{path}: more than {LARGEST // 1000} kB, for a file of settings")
        tree = yaml.load(content.decode("utf-8-sig"), _Loader)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not in UTF-8; save the file anew") from None
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        kind = "nested too deeply" if isinstance(error, RecursionError) else one_line(error)
        raise UserError(f"{path}: not readable as YAML: {kind}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected a mapping of sections")
    return tree


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested sections; ``train`` beside ``train.lr`` is refused."""
    tree: dict[str, Any] = {}
    for dotted, value in flat.items():
        *parents, leaf = dotted.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UserError(f"override: {parent} is given a value and {dotted} too")
        node[leaf] = value
    return tree


def merge(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay sections over others, key by key."""
    merged = dict(base)
    for key, value in layer.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def validate(tree: Mapping[str, Any], where: str, model: type[M] = Config) -> M:
    """Build the configuration, or another model of strict values; ``where`` they stand."""
    try:
        # By way of JSON, so that a YAML list may fill a tuple while numbers stay strict.
        return model.model_validate_json(json.dumps(tree, default=str))
    except (TypeError, RecursionError):
        raise UserError(f"{where}: nested too deeply, or a key that is no text") from None
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error, model)}") from None


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Write the first fault in one line, in Pydantic's own words."""
    first = error.errors()[0]
    if not first["loc"]:  # of the whole text: JSON that is none
        return "a value that is no text in UTF-8"
    *sections, last = (part for part in map(str, first["loc"]) if not part.startswith("function"))
    key, value, said = ".".join([*sections, last]), first["input"], first["msg"]
    if first["type"] == "missing":
        return f"{key} is missing"
    if first["type"] == "extra_forbidden":
        for section in sections:
            field = getattr(model, "model_fields", {}).get(section)
            model = field.annotation if field else object
        return f"unknown key {key}{did_you_mean(last, getattr(model, 'model_fields', []))}"
    got = "" if isinstance(value, dict) else f", got {value!r}"
    if first["type"] == "float_type" and re.fullmatch(r"[-+]?\d+e[-+]?\d+", str(value), re.I):
        got += "; YAML takes 1e-3 for text, write 1.0e-3"
    return f"{key}: {said[0].lower()}{said[1:]}{got}"
