"""What a build has to do: a request checked, and what is out of date, before any kernel starts.

Nothing heavy is imported before it is needed, so that a build with nothing to do ends at once.
"""

import argparse
import ast
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial, reduce
from itertools import chain
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from eurosat_lib import config as configuration
from eurosat_lib.config import COMMON, CONFIG, PARAMETERS, Config, configure
from eurosat_lib.data import describe_source, on_spatial
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import git, is_frozen, read_json, revision
from eurosat_lib.schema import Compute
from eurosat_lib.sources import list_paths

FIXED = ("profile", "data", "name", "seed")  # given to every notebook: a report is one experiment
ENGINE = {*Compute.model_fields} - {"device", "precision", "threads"}  # no result depends on it
LIBRARY = Path(__file__).resolve().parents[1]
FOLDERS = ("notebooks", "reports/answers", "")  # where pictures may lie, beside the notebook
SHOWN = {"cells"}  # of the report's modules, whose change runs notebooks again; others bind


def parameters(params: str = "", **plain: str) -> dict[str, Any]:
    """Return the parameters that a command line gives, by name.

    Args:
        params: papermill's ``-f file``, ``-y text``, ``-p name value``, ``-r``: the later wins.
        plain: values given by themselves; an empty one stays as the configuration has it.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add = partial(parser.add_argument, action="append", default=[])
    add("-f", "--parameters_file", dest="files")
    add("-y", "--parameters_yaml", dest="texts")
    add("-p", "--parameters", "-r", "--parameters_raw", dest="single", nargs=2)
    try:
        given, unknown = parser.parse_known_args(shlex.split(params))
    except (argparse.ArgumentError, ValueError) as error:
        raise UserError(f"PARAMS: {' '.join(str(error).split())}") from None
    if unknown:
        raise UserError(f"PARAMS: unknown: {' '.join(unknown)}; papermill has others")
    layers = [{name: value for name, value in plain.items() if value}]
    layers += [configuration.read_yaml(Path(path).expanduser()) for path in given.files]
    layers += [configuration.parse_yaml(text.encode(), "PARAMS") for text in given.texts]
    layers += [dict(given.single)]
    return {str(name): value for layer in layers for name, value in layer.items()}


class Step(NamedTuple):
    """One notebook to bring up to date."""

    source: Path
    target: Path  # the executed copy
    values: dict[str, Any]  # to inject
    config: Config  # that the notebook will build from them
    key: str

    def current(self) -> bool:
        """Tell whether the executed copy is up to date, and with it the results it showed."""
        made = made_from(self.target)
        if made.get("key") != self.key:
            return False
        return made["results"] == results_state(self.config, made["results"])


def prepare(asked: Mapping[str, Any], only: str = "") -> tuple[Config, dict[str, Any], list[Step]]:
    """Check the parameters that a run is given, before any kernel starts.

    With ``only``, for this notebook alone. Return the run's configuration, its parameters for
    ``params.yaml``, what is to be done; ``UserError`` if something is wrong.
    """
    read = {path: _read(path) for path in _notebooks(only)}
    known = dict.fromkeys(chain.from_iterable(saved for _, saved in read.values()))
    for name in asked:
        if name not in known:
            who, hint = only or "the notebooks", did_you_mean(name, known)
            raise UserError(f"{who}: unknown parameter {name}{hint}; there are {', '.join(known)}")
    typed = {name: configuration.parse_value(name, value) for name, value in asked.items()}
    given = {name: value for name, value in typed.items() if value is not None}
    if is_frozen():
        given = _as_published(configure(given), given)
    config, steps = configure(given), []
    # A notebook run alone speaks for the parameters that it takes; the others stay as they were.
    stored = {n: v for n, v in configuration.stored_parameters(config).items() if n not in known}
    stored |= {name: value for name, value in given.items() if name in {*PARAMETERS} - {*COMMON}}
    for path, (cells, saved) in read.items():
        values = {name: value for name, value in given.items() if name in saved}
        _check_saved(path, saved, values, config)
        values |= {name: _value_of(config, name) for name in FIXED}
        own, target = configure(values), config.paths.reports / "notebooks" / path.name
        theirs = {n: v for n, v in values.items() if n not in (*PARAMETERS, *COMMON)}
        steps.append(Step(path, target, values, own, _key(cells, theirs, own, stored)))
    return config, stored, steps


def _as_published(config: Config, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run that is taken as it is; other ones are a UserError."""
    paths = sorted(config.paths.artifacts.glob("results/*.json"))
    results = {path.stem: read_json(path) or {} for path in paths}
    scoped = {name: tree for name, tree in results.items() if isinstance(tree.get("scope"), dict)}
    experiments = {digest(tree["scope"]): name for name, tree in scoped.items()}
    where = f"FROZEN=1: the run {config.paths.name or 'without a name'}"
    if len(experiments) > 1:
        told = f"holds results of several experiments, as {' and '.join(experiments.values())}"
        raise UserError(f"{where} {told}: move those of one away from {paths[0].parent}")
    reference = scoped.get("train") or next(iter(scoped.values()), {})
    own = (reference.get("config") or {}) | reference.get("scope", {})
    own = {name: own[name] for name in ("profile", "seed") if name in own}
    own |= configuration.stored_parameters(config)
    for name in given.keys() & ({*PARAMETERS, "profile"} - {"data", "name"}):
        if given[name] not in ("auto", own.get(name)):
            told = f"has {name} = {own.get(name)!r}, not {given[name]!r}"
            raise UserError(f"{where} {told}: leave it out, or compute it without FROZEN")
    return given | own


def _notebooks(only: str) -> list[Path]:
    """Find the notebooks of the project, in order, or one of them by its name."""
    folder = Path(configure({}).paths.root, "notebooks")
    paths = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not paths:
        raise UserError(f"{folder}: no notebook there")
    for name in paths:
        if (own := re.sub(r"-Copy\d*$", "", name)) != name:
            said = f"JupyterLab's copy of {own}: give it another number and name, or move it away"
            raise UserError(f"{folder / name}.ipynb: {said}")
    if only and only not in paths:
        hint = did_you_mean(only, paths)
        raise UserError(f"{only}: no such notebook{hint}; there are {', '.join(paths)}")
    return [paths[only]] if only else [*paths.values()]


def _read(path: Path) -> tuple[list, dict[str, Any]]:
    """Read a notebook's cells, outputs aside, and the values saved for its parameters."""
    cells = (read_json(path) or {}).get("cells")
    try:
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
        tagged = ["parameters" in cell["metadata"].get("tags", ()) for cell in cells]
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not a readable notebook") from None
    if tagged.count(True) != 1:
        count = f"{tagged.count(True)} cells are tagged parameters, expected one"
        raise UserError(f"{path}: {count}: copy that of another notebook, tag and all")
    saved = {}
    try:
        for line in ast.parse(sources[tagged.index(True)][1]).body:
            target = line.targets[0] if isinstance(line, ast.Assign) else line.target
            saved[target.id] = ast.literal_eval(line.value)
    except (SyntaxError, ValueError, AttributeError) as error:
        form = "name: type = literal  # help"
        raise UserError(f"{path}: parameters cell: a line is not {form}: {error}") from None
    if missing := [name for name in FIXED if name not in saved]:
        raise UserError(f"{path}: the parameters cell must declare {', '.join(missing)}")
    return sources, saved


def _value_of(config: Config, name: str) -> Any:
    return reduce(getitem, PARAMETERS.get(name, name).split("."), config.model_dump(mode="json"))


def _check_saved(path: Path, saved: Mapping, given: Mapping, config: Config) -> None:
    """Refuse a value saved in a parameters cell that is not the run's: it would not be read."""
    for name, value in saved.items():
        neutral = {"config_path": CONFIG, "profile": "auto"}.get(name)
        if name in given or value in (None, neutral):
            continue
        if name not in (*PARAMETERS, *COMMON):
            raise UserError(f"{path}: no configuration key for parameter {name}")
        if name == "config_path" or value != _value_of(config, name):
            raise UserError(
                f"{path.stem}: its parameters cell says {name} = {value!r}, which is not this "
                f'run\'s: give it to the whole run (PARAMS="-p {name} {value}"), or put the cell '
                "back as it was"
            )


# --- what is out of date ------------------------------------------------------------------------


def _key(cells: list, theirs: Mapping, config: Config, stored: Mapping) -> str:
    """Hash what a notebook depends on, the results of stages aside."""
    parts = [cells, theirs, _settings(config), is_frozen()]
    for one in (config, on_spatial(config)):
        with suppress(UserError):  # said when the images are loaded
            parts.append(describe_source(one).signature)
    files = [p for p in _code() if p.parent.name != "report" or p.stem in SHOWN]
    parts.append(files_digest(files))
    if any("stored_parameters" in source for _, source in cells):
        parts.append(stored)
    asked = config.spatial.enabled and not is_frozen()
    if asked and any("compare_splits" in source for _, source in cells):
        with suppress(UserError):
            parts.append(_can_be_had(describe_source(on_spatial(config)).lists))
    if any("repository(" in source for _, source in cells):
        parts.append(git(config.paths.root, "remote", "get-url", "origin"))
    if any("find_captures" in source for _, source in cells):  # it says where figures go
        parts.append(files_digest(sorted(config.paths.artifacts.glob("captures/[!.]*"))))
    return digest(parts)


@cache  # once per process: the Hub may take seconds to say nothing
def _can_be_had(lists: tuple[str, ...]) -> bool:
    """Tell whether lists that were missing are there now."""
    with suppress(UserError):
        return bool(list_paths(lists))
    return False


def _code() -> list[Path]:
    """Find the library's modules and styles, but not what editors leave beside them."""
    found = [path for path in LIBRARY.rglob("*") if path.suffix in (".py", ".mplstyle")]
    return sorted(p for p in found if "/." not in str(p.relative_to(LIBRARY.parent)))


def results_state(config: Config, stages: Iterable[str]) -> dict[str, str]:
    """Return the digest of each stage's published result and files; empty where there is none.

    Neither the configuration nor the time of a result counts: notebooks ask with and at others.
    """
    artifacts, state = config.paths.artifacts, {}
    for stage in sorted(stages):
        tree = read_json(artifacts / "results" / f"{stage}.json") or {}
        names = tree.get("files") if isinstance(tree.get("files"), dict | list) else ()
        files = files_digest(artifacts / str(name) for name in names)
        origin = tree.get("provenance")
        origin = origin | {"started": ""} if isinstance(origin, dict) else origin
        tree |= {"config": None, "seal": None, "provenance": origin} if tree else {}
        state[stage] = digest([tree, files]) if tree else ""
    return state


def made_from(executed: Path) -> dict[str, Any]:
    """Return what an executed notebook was made from; nothing if its cells are others since."""
    tree = read_json(executed) or {}
    metadata = tree.get("metadata")
    made = metadata.get("eurosat") if isinstance(metadata, dict) else None
    same = isinstance(made, dict) and made.get("cells") == digest(tree.get("cells"))
    return made if same else {}


def report_key(config: Config, executed: Sequence[Path]) -> str:
    """Hash what the report depends on, its pictures aside: notebooks, answers, results, code."""
    root, artifacts = Path(config.paths.root), config.paths.artifacts
    places = {
        root / "reports": ("answers/*", "template/**/*", "journal.md"),
        root / "configs": ("config.yaml", "profiles/full.yaml"),  # the protocol, on the run card
        artifacts: ("results/*.json", "params.yaml", "captures/**/*"),
    }
    found = [sorted(folder.glob(one)) for folder, kinds in places.items() for one in kinds]
    found += [executed, [config.paths.reports / "journal.md"], _code()]
    files = files_digest(chain(*found))
    origin = git(root, "remote", "get-url", "origin")
    return digest([files, _settings(config), revision(root), origin, is_frozen()])


def picture_places(root: Path, notebooks: Iterable[Path]) -> list[Path]:
    """Return where the pictures of notebooks and answers may lie: the first that has one wins."""
    return [*(path.parent for path in notebooks), *(root / name for name in FOLDERS)]


def pictures_state(config: Config, executed: Iterable[Path], found: Iterable[str]) -> dict:
    """Return the digest of what lies where each picture is looked for, by its address."""
    places = picture_places(Path(config.paths.root), executed)
    return {name: files_digest(place / unquote(name) for place in places) for name in found}


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
