"""Parameters given by the user: papermill's options, by the same order, checked by notebook."""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eurosat_lib.config import PARAMETERS, Config, configure
from eurosat_lib.errors import UserError
from eurosat_lib.report.runner.parameters import Notebook, unknown_parameter

# papermill's options, the later in this order wins; -p and -r take a name and a value.
OPTIONS = {
    "-b": "--parameters_base64",
    "-f": "--parameters_file",
    "-y": "--parameters_yaml",
    "-p": "--parameters",
    "-r": "--parameters_raw",
}
COMMON = ("config_path", "profile", "data", "name")  # taken by every notebook


@dataclass(frozen=True)
class Given:
    """A value as the user gave it."""

    value: Any
    option: str  # one of OPTIONS: text is converted (-p), kept (-r), or typed already


def parse_options(text: str) -> dict[str, Given]:
    """Read ``-p name value``, ``-r``, ``-y``, ``-f``, ``-b`` as papermill does.

    Raises:
        UserError: an unclosed quote, an unknown option, a missing value, unreadable YAML.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(f"PARAMS: {str(error).lower()} in {text!r}") from None
    layers: dict[str, dict[str, Given]] = {option: {} for option in OPTIONS}
    for option, name, value in _options(words):
        found = {name: value} if name else _mapping(option, value)
        layers[option].update({key: Given(item, option) for key, item in found.items()})
    return {key: given for layer in layers.values() for key, given in layer.items()}


def resolve(
    notebooks: Sequence[Notebook], selected: Sequence[Notebook], given: Mapping[str, Given]
) -> dict[str, dict[str, Any]]:
    """Return the values to inject, by notebook: those that differ from its own defaults.

    Raises:
        UserError: no selected notebook takes a parameter, or a value is of the wrong type.
    """
    for name in given:
        if not any(name in notebook.parameters for notebook in selected):
            raise UserError(unknown_parameter(name, selected, notebooks))
    return {notebook.name: _values(notebook, given) for notebook in selected}


def notebook_config(notebook: Notebook, values: Mapping[str, Any]) -> Config:
    """Build the configuration that a notebook will build from its parameters.

    Raises:
        UserError: a value is out of range, or the notebook declares what no configuration has.
    """
    resolved = {name: parameter.default for name, parameter in notebook.parameters.items()}
    resolved.update(values)
    foreign = [name for name in resolved if name not in (*PARAMETERS, "config_path", "profile")]
    if foreign:
        raise UserError(f"{notebook.path}: parameter {foreign[0]} belongs to no configuration key")
    try:
        return configure(**resolved)
    except UserError as error:
        to_blame = [name for name in values if f"{PARAMETERS.get(name)}:" in str(error)]
        hint = f" (parameter {to_blame[0]})" if to_blame else ""
        raise UserError(f"{notebook.name}: {error}{hint}") from None


def _values(notebook: Notebook, given: Mapping[str, Given]) -> dict[str, Any]:
    values = {}
    for name, item in given.items():
        parameter = notebook.parameters.get(name)
        if parameter is None:
            if name in COMMON:
                raise UserError(f"{notebook.path}: the parameters cell must declare {name}")
            continue
        try:
            convert = parameter.convert if item.option == "-p" else parameter.check
            value = convert(item.value)
        except UserError as error:
            raise UserError(f"{notebook.name}: parameter {error}") from None
        if value != parameter.default:
            values[name] = value
    return values


def _options(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (option, name or empty, value)."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option = next((short for short, long in OPTIONS.items() if word in (short, long)), None)
        if option is None:
            raise UserError(f"PARAMS: {word!r} is not one of {', '.join(OPTIONS)} (as papermill)")
        count = 2 if option in ("-p", "-r") else 1
        if len(rest) < count:
            what = "a name and a value" if count == 2 else "a value"
            raise UserError(f"PARAMS: {word} takes {what}")
        name = rest.pop(0) if count == 2 else ""
        yield option, name, rest.pop(0)


def _mapping(option: str, value: str) -> dict[str, Any]:
    try:
        if option == "-f":
            text = Path(value).expanduser().read_text(encoding="utf-8")
        else:
            text = base64.b64decode(value).decode() if option == "-b" else value
        tree = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise UserError(f"PARAMS: {option} {value}: {error}") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"PARAMS: {option} {value}: not readable as YAML: {reason}") from None
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise UserError(f"PARAMS: {option} {value}: expected name: value")
    return tree
