"""What a build has to do: a request checked, and what is out of date, before any kernel starts.

Nothing heavy is imported before it is needed, so that a build with nothing to do ends at once.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import chain
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from eurosat_lib.config import PARAMETERS, load_config, override, parse_literal, stored_parameters
from eurosat_lib.data import describe_source, on_spatial
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import is_frozen, read_json, revision
from eurosat_lib.schema import Compute, Config

CONFIG = "configs/config.yaml"
COMMON = ("config_path", "profile", "data", "name")  # say which run; params.yaml holds the others
FIXED = ("profile", "data", "name", "seed")  # given to every notebook: a report is one experiment
ENGINE = {*Compute.model_fields} - {"device", "precision", "threads"}  # no result depends on it
LIBRARY = Path(__file__).resolve().parents[1]
SHOWN = {"__init__", "cells"}  # modules of the report that notebooks run; others bind


@dataclass(frozen=True)
class Request:
    """What the user asks for; what is empty stays as the configuration has it."""

    profile: str = ""
    data: str = ""
    name: str = ""
    params: str = ""  # papermill's options, for instance "-p max_epochs 15"
    values: Mapping[str, Any] = field(default_factory=dict)  # of a sweep; they win over params
    only: str = ""  # this notebook alone, and no report


class Step(NamedTuple):
    """One notebook to bring up to date."""

    source: Path
    target: Path  # the executed copy
    values: dict[str, Any]  # to inject
    config: Config  # that the notebook will build from them
    key: str

    def current(self) -> bool:
        """Tell whether the executed copy is up to date, and with it the results it showed."""
        made, edited = made_from(self.target)
        if edited or made.get("key") != self.key:
            return False
        return made["results"] == results_state(self.config, made["results"])


def prepare(request: Request) -> tuple[Config, dict[str, Any], list[Step]]:
    """Check a whole request, before any kernel starts; ``UserError`` if it is wrong.

    Return the run's configuration, its parameters for ``params.yaml``, what is to be done.
    """
    folder = Path(load_config(CONFIG).paths.root, "notebooks")
    paths = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not paths:
        raise UserError(f"{folder}: no notebook there")
    if request.only and request.only not in paths:
        hint = did_you_mean(request.only, paths)
        raise UserError(f"{request.only}: no such notebook{hint}; there are {', '.join(paths)}")
    read = {path: _read(path) for name, path in paths.items() if request.only in ("", name)}
    declared = [parameters for _, parameters in read.values()]
    given = _given(request, {name: kind for own in declared for name, (kind, _) in own.items()})
    base = load_config(given.get("config_path", CONFIG), given.get("profile", "auto"))
    config = _configured(base, given)
    if not re.fullmatch(r"(https?://[^\s\"'<>]+)?", address := config.identity.repository):
        raise UserError(f"identity.repository: expected an address http(s)://…, got {address!r}")
    # A notebook run alone speaks for the parameters that it takes; the others stay as they were.
    kept = stored_parameters(config).items()
    stored = {name: v for name, v in kept if not any(name in own for own in declared)}
    stored |= {name: value for name, value in given.items() if name not in COMMON}
    steps = []
    for path, (cells, parameters) in read.items():
        values = {name: value for name, value in given.items() if name in parameters}
        _check_saved(path, parameters, values, config)
        values |= {name: _value_of(config, name) for name in FIXED}
        own, target = _configured(base, values), config.paths.reports / "notebooks" / path.name
        steps.append(Step(path, target, values, own, _key(cells, own, stored)))
    return config, stored, steps


def _read(path: Path) -> tuple[list, dict[str, tuple[str, Any]]]:
    """Read a notebook's cells, outputs aside, and its parameters: type as written, saved value."""
    cells = (read_json(path) or {}).get("cells")
    if not cells:
        raise UserError(f"{path}: not a readable notebook")
    try:
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
        tagged = ["parameters" in cell["metadata"].get("tags", ()) for cell in cells]
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not a readable notebook") from None
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
    if missing := [name for name in FIXED if name not in parameters]:
        raise UserError(f"{path}: the parameters cell must declare {', '.join(missing)}")
    return sources, parameters


def _given(request: Request, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of a request by name, typed as the notebooks declare them."""
    plain = {name: getattr(request, name) for name in ("profile", "data", "name")}
    values = {name: value for name, value in plain.items() if value}
    values |= _options(request.params) | dict(request.values)
    for name, value in values.items():
        if name not in kinds:
            who, hint = request.only or "the notebooks", did_you_mean(name, kinds)
            raise UserError(f"{who}: unknown parameter {name}{hint}; there are {', '.join(kinds)}")
        if isinstance(value, str) and (kinds[name] != "str" or value == "None"):
            values[name] = parse_literal(value)  # a text stays one where a text is wanted
    return {name: value for name, value in values.items() if value is not None}


def _options(text: str) -> dict[str, Any]:
    """Read papermill's ``-f file``, ``-y text``, ``-p name value``, ``-r``: the later wins."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add = partial(parser.add_argument, action="append", default=[])
    add("-f", "--parameters_file", dest="files")
    add("-y", "--parameters_yaml", dest="texts")
    add("-p", "--parameters", "-r", "--parameters_raw", dest="single", nargs=2)
    try:
        given, unknown = parser.parse_known_args(shlex.split(text))
        if unknown:
            raise ValueError(f"unrecognized arguments: {' '.join(unknown)}; papermill has others")
        texts = [Path(path).expanduser().read_text("utf-8") for path in given.files]
        layers = [yaml.safe_load(text) for text in [*texts, *given.texts]]
    except (argparse.ArgumentError, OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"PARAMS: {' '.join(str(error).split())}") from None
    if not all(isinstance(layer, dict) for layer in layers):
        raise UserError(f"PARAMS: {text}: expected name: value")
    return {str(k): v for layer in layers for k, v in layer.items()} | dict(given.single)


def _configured(base: Config, given: Mapping[str, Any]) -> Config:
    own = {PARAMETERS[name]: value for name, value in given.items() if name in PARAMETERS}
    return override(base, own, f"parameters ({', '.join(n for n in given if n in PARAMETERS)})")


def _value_of(config: Config, name: str) -> Any:
    return reduce(getitem, PARAMETERS.get(name, name).split("."), config.model_dump(mode="json"))


def _check_saved(path: Path, parameters: Mapping, given: Mapping, config: Config) -> None:
    """Refuse a value saved in a parameters cell that is not the run's: it would not be read."""
    for name, (_, saved) in parameters.items():
        neutral = {"config_path": CONFIG, "profile": "auto"}.get(name)
        if name in given or saved in (None, neutral):
            continue
        if name not in (*PARAMETERS, *COMMON):
            raise UserError(f"{path}: no configuration key for parameter {name}")
        if name == "config_path" or saved != _value_of(config, name):
            raise UserError(
                f"{path.stem}: its parameters cell says {name} = {saved!r}, which is not this "
                f'run\'s: give it to the whole run (PARAMS="-p {name} {saved}"), or put the cell '
                "back as it was"
            )


# --- what is out of date ------------------------------------------------------------------------


def _key(cells: list, config: Config, stored: Mapping[str, Any]) -> str:
    """Hash what a notebook depends on, the results of stages aside."""
    parts = [cells, _settings(config), is_frozen()]
    for one in (config, on_spatial(config)):
        with suppress(UserError):  # said when the images are loaded
            parts.append(describe_source(one).signature)
    code = [path for path in LIBRARY.rglob("*") if path.suffix in (".py", ".mplstyle")]
    files = [p for p in code if p.parent.name != "report" or p.stem in SHOWN]
    parts.append(files_digest(sorted(files)))
    if any("stored_parameters" in source for _, source in cells):
        parts.append(stored)
    return digest(parts)


def results_state(config: Config, stages: Iterable[str]) -> dict[str, str]:
    """Return the digest of each stage's published result and files; empty where there is none.

    Without the configuration that a result was asked for with: another notebook may ask otherwise.
    """
    artifacts, state = config.paths.artifacts, {}
    for stage in sorted(stages):
        tree = read_json(artifacts / "results" / f"{stage}.json") or {}
        names = tree.get("files") if isinstance(tree.get("files"), list) else ()
        files = files_digest(artifacts / str(name) for name in names)
        state[stage] = digest([tree | {"config": None}, files]) if tree else ""
    return state


def made_from(executed: Path) -> tuple[dict[str, Any], bool]:
    """Return what an executed notebook was made from, and whether its cells are others since."""
    tree = read_json(executed) or {}
    metadata = tree.get("metadata")
    made = metadata.get("eurosat") if isinstance(metadata, dict) else None
    made = made if isinstance(made, dict) else {}
    return made, made.get("cells") != digest(tree.get("cells"))


def report_key(config: Config, executed: Sequence[Path]) -> str:
    """Hash what the report depends on: notebooks, answers, template, results, code, commit."""
    root, artifacts = Path(config.paths.root), config.paths.artifacts
    places = {
        root / "reports": ("answers/*", "template/**/*", "journal.md"),
        root / "notebooks": ("**/*.png", "**/*.jp*g", "**/*.gif", "**/*.svg"),
        artifacts: ("results/*.json", "params.yaml", "captures/**/*"),
        LIBRARY: ("**/*.py",),
    }
    found = [sorted(folder.glob(one)) for folder, kinds in places.items() for one in kinds]
    files = files_digest(chain(executed, [config.paths.reports / "journal.md"], *found))
    return digest([files, _settings(config), revision(root), is_frozen()])


def _settings(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude={"paths": {"root"}, "compute": ENGINE})


def files_digest(paths: Iterable[Path]) -> str:
    """Hash files by name and content; those that are not there count as nothing."""
    files = [path for path in paths if path.is_file()]
    return digest([(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files])


def digest(value: Any) -> str:
    """Hash what JSON can say."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
