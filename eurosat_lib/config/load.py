"""Read the configuration from YAML, a profile and overrides; explain what is wrong with it.

Order, the last wins: ``configs/config.yaml``, ``configs/profiles/<profile>.yaml``, overrides
(``--set a.b=c`` on the command line, parameters in a notebook).
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from eurosat_lib.config.schema import Config
from eurosat_lib.errors import UserError, did_you_mean

# Notebook parameters and command-line flags: name -> key of the configuration.
PARAMETERS: dict[str, str] = {
    "seed": "seed",
    "data": "data.source",
    "name": "paths.name",
    "batch_size": "data.batch_size",
    "device": "compute.device",
    "precision": "compute.precision",
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
    "checkpoint": "evaluate.checkpoint",
}


def find_config(path: str | Path = "configs/config.yaml") -> Path:
    """Find the configuration from here or from a parent folder (notebooks run one level down)."""
    path = Path(path).expanduser()
    candidates = [path] if path.is_absolute() else [d / path for d in _here_and_above()]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise UserError(f"{path}: no such configuration file, from {Path.cwd()} upwards")


def load_config(
    path: str | Path = "configs/config.yaml",
    profile: str = "auto",
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read the configuration.

    Args:
        path: YAML file; its folder's parent is the project's root.
        profile: name of an overlay in ``profiles/`` beside it; ``auto`` is ``full`` with CUDA,
            else ``quick``.
        overrides: dotted key -> value, applied last.

    Raises:
        UserError: unknown key or profile, wrong type, value out of range.
    """
    path = find_config(path)
    tree = _read_yaml(path)
    if not isinstance(tree.get("paths", {}), dict):
        raise UserError(f"{path}: paths: expected a section")
    tree["paths"] = {"root": str(path.parent.parent)} | tree.get("paths", {})
    overlay = _profile_path(path, profile)
    _check_keys(tree, Config, str(path))
    where = f"{path.parent.name}/{path.name}"
    if overlay:
        layer = _read_yaml(overlay)
        _check_keys(layer, Config, str(overlay))
        tree, where = _merge(tree, layer), f"{where} + {overlay.parent.name}/{overlay.name}"
    if overrides:
        layer = _nest(overrides)
        _check_keys(layer, Config, "override")
        tree = _merge(tree, layer)
    return _validate(tree, where)


def configure(
    config_path: str = "configs/config.yaml", profile: str = "auto", **parameters: Any
) -> Config:
    """Build the configuration of a notebook from its parameters; ``None`` keeps the file's value.

    Raises:
        UserError: a parameter is unknown, or its value has the wrong type or range.
    """
    overrides = {}
    for name, value in parameters.items():
        if name not in PARAMETERS:
            raise UserError(f"unknown parameter {name}{did_you_mean(name, PARAMETERS)}")
        if value is not None:
            overrides[PARAMETERS[name]] = value
    return load_config(config_path, profile, overrides)


def override(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a checked copy with other values, given by dotted key (``{"train.lr": 1e-3}``)."""
    layer = _nest(values)
    _check_keys(layer, Config, "override")
    return _validate(_merge(config.model_dump(mode="json"), layer), "override")


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
    except (ValueError, SyntaxError):
        return text


def cuda_is_available() -> bool:
    """Tell whether PyTorch sees a CUDA device; does not import PyTorch where there is none."""
    if (
        os.name == "posix"
        and not Path("/dev/nvidiactl").exists()
        and not Path("/dev/dxg").exists()
    ):
        return False
    import torch

    return torch.cuda.is_available()


def save_config_snapshot(config: Config, directory: str | Path) -> Path:
    """Write the resolved configuration as ``config.yaml`` in a folder; return its path."""
    target = Path(directory) / "config.yaml"
    target.parent.mkdir(parents=True, exist_ok=True)
    tree = config.model_dump(mode="json", exclude={"paths": {"root"}})
    target.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return target


def _here_and_above() -> list[Path]:
    here = Path.cwd()
    return [here, *here.parents]


def _profile_path(config_path: Path, profile: str) -> Path | None:
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


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected a mapping of sections")
    return tree


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for dotted, value in flat.items():
        *parents, leaf = dotted.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _merge(base: dict[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in layer.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _check_keys(tree: Mapping[str, Any], model: type[BaseModel], where: str, at: str = "") -> None:
    for key, value in tree.items():
        if key not in model.model_fields:
            hint = did_you_mean(str(key), model.model_fields)
            raise UserError(f"{where}: unknown key {at}{key}{hint}")
        kind = model.model_fields[key].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if not isinstance(value, Mapping):
                raise UserError(f"{where}: {at}{key}: expected a section, got {value!r}")
            _check_keys(value, kind, where, f"{at}{key}.")


def _validate(tree: Mapping[str, Any], where: str) -> Config:
    try:
        # By way of JSON, so that a YAML list may fill a tuple while numbers stay strict.
        return Config.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function"))
    value = first["input"]
    if first["type"] == "missing":
        return f"{key} is missing"
    text = f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}, got {value!r}"
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            text += f"; YAML reads {value} as text, write {_yaml_float(float(value))}"
    return text


def _yaml_float(value: float) -> str:
    text = repr(value)
    return text if "." in text or "e" not in text else text.replace("e", ".0e")
