"""The one configuration: read from YAML, a profile and overrides; what is wrong is explained.

Order, the last wins: ``configs/config.yaml``, ``configs/profiles/<profile>.yaml``, overrides
(``--set a.b=c`` on the command line, parameters in a notebook). A recipe is other values of the
same sections.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
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
    "grid_seeds": "grid.seeds",
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
        self, config: Config, count: int, changes: Mapping[str, Any] | None = None
    ) -> Config:
        """Return a configuration after the first ``count`` steps, then ``changes``.

        Raises:
            UserError: a key is unknown, or a value has the wrong type or range.
        """
        for layer in (self.base, *(step.set for step in self.steps[:count]), changes or {}):
            config = override(config, layer, f"recipes/{self.name}.yaml")
        return config

    def of(self, config: Config) -> Config:
        """Return a configuration with the whole recipe."""
        return self.after(config, len(self.steps))


def load_recipe(config: Config, name: str) -> Recipe:
    """Read ``configs/recipes/<name>.yaml``.

    Raises:
        UserError: there is no such recipe, or it holds an unknown key or a wrong value.
    """
    folder = Path(config.paths.root) / "configs" / "recipes"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        listed = ", ".join(known) or "none"
        raise UserError(f"recipe {name!r} is unknown{did_you_mean(name, known)}; there: {listed}")
    tree = read_yaml(folder / f"{name}.yaml")
    recipe = validate(tree | {"name": name}, f"recipes/{name}.yaml", Recipe)
    recipe.of(config)  # each step is right
    return recipe


def find_config(path: str | Path = "configs/config.yaml") -> Path:
    """Find the configuration from here or from a parent folder (notebooks run one level down)."""
    path = Path(path).expanduser()
    here = Path.cwd()
    candidates = [path] if path.is_absolute() else [d / path for d in (here, *here.parents)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise UserError(f"{path}: no such configuration file, from {here} upwards")


def load_config(
    path: str | Path = "configs/config.yaml",
    profile: str = "auto",
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read a YAML file, lay a profile and overrides (dotted key -> value) over it.

    The project's root is the nearest folder above that holds ``configs/``. Profiles are beside
    the file; ``auto`` is ``full`` with CUDA, else ``quick``. A file without such a folder, stored
    with a result, is taken as it is.

    Raises:
        UserError: unknown key or profile, wrong type, value out of range.
    """
    path = find_config(path)
    tree = read_yaml(path)
    if not isinstance(tree.get("paths", {}), dict):
        raise UserError(f"{path}: paths: expected a section")
    above = (folder for folder in path.parents if (folder / "configs/config.yaml").is_file())
    root = next(above, path.parent.parent)
    tree["paths"] = {"root": str(root)} | tree.get("paths", {})
    where = f"{path.parent.name}/{path.name}"
    if (path.parent / "profiles").is_dir():  # a stored config.yaml is whole without one
        overlay = _profile_path(path, profile)
        tree, where = (
            merge(tree, read_yaml(overlay)),
            f"{where} + {overlay.parent.name}/{overlay.name}",
        )
    engine = {"compute.engine": os.environ["ENGINE"]} if os.environ.get("ENGINE") else {}
    return validate(merge(tree, nest(engine | dict(overrides or {}))), where)


def configure(values: Mapping[str, Any]) -> Config:
    """Build the configuration of a notebook: ``configure(globals())``.

    Args:
        values: ``config_path``, ``profile`` and the names of :data:`PARAMETERS` are taken, unless
            ``None``; other names are left alone.

    Raises:
        UserError: a value has the wrong type or range.
    """
    path = values.get("config_path") or "configs/config.yaml"
    given = {key: values.get(name) for name, key in PARAMETERS.items()}
    overrides = {key: value for key, value in given.items() if value is not None}
    return load_config(path, values.get("profile") or "auto", overrides)


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


def _profile_path(config_path: Path, profile: str) -> Path:
    if profile == "auto":
        profile = "full" if cuda_is_available() else "quick"
    folder = config_path.parent / "profiles"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if profile not in known:
        hint = did_you_mean(profile, known)
        raise UserError(
            f"profile {profile!r} is unknown{hint}; there are auto, {', '.join(known)}"
        )
    return folder / f"{profile}.yaml"


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
    """Read a YAML file that holds sections.

    Raises:
        UserError: it is too large, not UTF-8, not YAML, or not a mapping.
    """
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
    """Turn dotted keys into nested sections.

    Raises:
        UserError: one key is a section of another (``train`` and ``train.lr``).
    """
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


def merge(base: dict[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay sections over others, key by key."""
    merged = dict(base)
    for key, value in layer.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def validate(tree: Mapping[str, Any], where: str, model: type[M] = Config) -> M:
    """Build the configuration, or another model of strict values.

    Raises:
        UserError: names the first wrong value, and where it stands.
    """
    try:
        # By way of JSON, so that a YAML list may fill a tuple while numbers stay strict.
        return model.model_validate_json(json.dumps(tree, default=str))
    except RecursionError:
        raise UserError(f"{where}: nested too deeply") from None
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error, model)}") from None


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"] if not str(part).startswith("function")]
    key, value = ".".join(path), first["input"]
    if first["type"] == "missing":
        return f"{key} is missing"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}{did_you_mean(path[-1], _fields(model, path[:-1]))}"
    if first["type"] == "model_type":
        return f"{key}: expected a section, got {value!r}"
    text = f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}, got {value!r}"
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            number = repr(float(value))
            number = number if "." in number or "e" not in number else number.replace("e", ".0e")
            text += f"; YAML reads {value} as text, write {number}"
    return text


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """List the keys of a section; none where the path leads through something else."""
    for part in path:
        model = model.model_fields[part].annotation if part in model.model_fields else object
    return list(getattr(model, "model_fields", []))
