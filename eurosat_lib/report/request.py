"""What a build is asked for: parameters named, typed and checked before any kernel starts."""

from __future__ import annotations

import argparse
import ast
import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eurosat_lib.config import PARAMETERS, Config, override, parse_literal
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import read_json

CONFIG = "configs/config.yaml"
COMMON = ("config_path", "profile", "data", "name")  # fields of a request, taken by all notebooks
FIXED = ("profile", "data", "name", "seed")  # given to every notebook: a report is one experiment


@dataclass(frozen=True)
class Request:
    """What the user asks for; ``None`` keeps the configuration's value."""

    config_path: str | None = None
    profile: str | None = None
    data: str | None = None
    name: str | None = None
    params: str = ""  # papermill's options, for instance "-p max_epochs 15"
    values: Mapping[str, Any] = field(default_factory=dict)  # of a sweep; they win over params
    only: str | None = None  # this notebook alone, and no report


@dataclass(frozen=True)
class Notebook:
    """A source notebook: what counts of its cells, and the parameters that it declares."""

    path: Path
    cells: tuple[tuple[str, str], ...]  # kind and source; outputs do not count
    parameters: Mapping[str, tuple[str, Any]]  # name -> type as written, saved value


def read_notebooks(root: Path) -> list[Notebook]:
    """Read the notebooks ``NN_name.ipynb`` of a project, in their order, without running them.

    papermill's own inspection reads the same; it takes seconds to import.

    Raises:
        UserError: there are none, one is not readable, or its parameters cell is more than
            literals.
    """
    paths = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise UserError(f"{root / 'notebooks'}: no notebook there")
    return [_read_notebook(path) for path in paths]


def _read_notebook(path: Path) -> Notebook:
    cells = (read_json(path) or {}).get("cells")
    if not cells:
        raise UserError(f"{path}: not a readable notebook")
    sources = tuple((cell["cell_type"], "".join(cell["source"])) for cell in cells)
    tagged = ["parameters" in cell["metadata"].get("tags", ()) for cell in cells]
    if tagged.count(True) != 1:
        count = f"{tagged.count(True)} cells are tagged parameters, expected one"
        raise UserError(f"{path}: {count}: copy that of another notebook, tag and all")
    parameters = {}
    try:
        for line in ast.parse(sources[tagged.index(True)][1]).body:
            name = line.targets[0] if isinstance(line, ast.Assign) else line.target
            kind = ast.unparse(line.annotation) if isinstance(line, ast.AnnAssign) else ""
            parameters[name.id] = (kind, ast.literal_eval(line.value))
    except (SyntaxError, ValueError, AttributeError) as error:
        form = "name: type = literal  # help"
        raise UserError(f"{path}: parameters cell: a line is not {form}: {error}") from None
    return Notebook(path, sources, parameters)


def given_values(request: Request, notebooks: Sequence[Notebook]) -> dict[str, Any]:
    """Return the parameters of a request; names that no notebook takes are refused."""
    kinds = {name: kind for n in notebooks for name, (kind, _) in n.parameters.items()}
    plain = {name: value for name in COMMON if (value := getattr(request, name))}
    values = plain | parse_options(request.params) | dict(request.values)
    for name, value in values.items():
        if name not in kinds:
            who = request.only or "the notebooks"
            hint = did_you_mean(name, kinds)
            raise UserError(f"{who}: unknown parameter {name}{hint}; there are {', '.join(kinds)}")
        if isinstance(value, str) and (kinds[name] != "str" or value == "None"):
            values[name] = parse_literal(value)  # a text stays one where a text is wanted
    return {name: value for name, value in values.items() if value is not None}


def parse_options(text: str) -> dict[str, Any]:
    """Read ``-b``, ``-f``, ``-y``, ``-p name value``, ``-r`` as papermill does: the later wins.

    Raises:
        UserError: an unclosed quote, an unknown option, a missing value, unreadable YAML.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for option in ("base64", "file", "yaml"):
        parser.add_argument(f"-{option[0]}", f"--parameters_{option}", action="append", default=[])
    for option in ("-p", "--parameters"), ("-r", "--parameters_raw"):
        parser.add_argument(*option, dest="single", nargs=2, action="append", default=[])
    try:
        given, unknown = parser.parse_known_args(shlex.split(text))
        if unknown:
            raise ValueError(f"unrecognized arguments: {' '.join(unknown)}; papermill has others")
        texts = [base64.b64decode(code).decode() for code in given.parameters_base64]
        texts += [Path(p).expanduser().read_text("utf-8") for p in given.parameters_file]
        layers = [yaml.safe_load(item) for item in [*texts, *given.parameters_yaml]]
    except (argparse.ArgumentError, OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"PARAMS: {' '.join(str(error).split())}") from None
    if not all(isinstance(layer, dict) for layer in layers):
        raise UserError(f"PARAMS: {text}: expected name: value")
    return {str(k): v for layer in layers for k, v in layer.items()} | dict(given.single)


def configured(base: Config, given: Mapping[str, Any]) -> Config:
    """Lay parameters over a configuration; wrong types and values are refused."""
    own = {PARAMETERS[name]: value for name, value in given.items() if name in PARAMETERS}
    names = ", ".join(name for name in given if name in PARAMETERS)
    return override(base, own, f"parameters ({names})")


def value_of(config: Config, name: str) -> Any:
    """Return what a configuration says of a parameter."""
    value: Any = config
    for part in PARAMETERS.get(name, name).split("."):
        value = getattr(value, part)
    return list(value) if isinstance(value, tuple) else value


def check_saved(notebook: Notebook, config: Config, given: Mapping[str, Any]) -> None:
    """Refuse a value saved in a parameters cell that is not the run's: it would not be read.

    Raises:
        UserError: names the notebook and the parameter; or one that no configuration has.
    """
    for name in FIXED:
        if name not in notebook.parameters:
            raise UserError(f"{notebook.path}: the parameters cell must declare {name}")
    for name, (_, saved) in notebook.parameters.items():
        neutral = {"config_path": CONFIG, "profile": "auto"}.get(name)
        if name in given or saved in (None, neutral):
            continue
        if name not in (*PARAMETERS, *COMMON):
            raise UserError(f"{notebook.path}: no configuration key for parameter {name}")
        if name == "config_path" or saved != value_of(config, name):
            raise UserError(
                f"{notebook.path.stem}: its parameters cell says {name} = {saved!r}, which is not "
                f'this run\'s: give it to the whole run (PARAMS="-p {name} {saved}"), or put the '
                "cell back as it was"
            )
