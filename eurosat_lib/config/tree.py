"""Trees of values: nest, merge, check, and explain what is wrong with one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from eurosat_lib.config.schema import Config
from eurosat_lib.errors import UserError, did_you_mean

M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds sections.

    Raises:
        UserError: it is not YAML, or not a mapping.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
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


def check_keys(tree: Mapping[str, Any], model: type[BaseModel], where: str, at: str = "") -> None:
    """Refuse a key that the model does not have.

    Raises:
        UserError: names the key, where it stands, and the nearest known one.
    """
    for key, value in tree.items():
        if key not in model.model_fields:
            hint = did_you_mean(str(key), model.model_fields)
            raise UserError(f"{where}: unknown key {at}{key}{hint}")
        kind = model.model_fields[key].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if not isinstance(value, Mapping):
                raise UserError(f"{where}: {at}{key}: expected a section, got {value!r}")
            check_keys(value, kind, where, f"{at}{key}.")


def validate(tree: Mapping[str, Any], where: str, model: type[M] = Config) -> M:
    """Build the configuration, or another model of strict values.

    Raises:
        UserError: names the first wrong value, and where it stands.
    """
    try:
        # By way of JSON, so that a YAML list may fill a tuple while numbers stay strict.
        return model.model_validate_json(json.dumps(tree, default=str))
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
