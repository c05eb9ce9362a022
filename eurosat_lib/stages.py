"""Stages: results that are computed once, kept by what they depend on, and published.

A result lies in ``artifacts/.stages/<stage>-<key>/``, shared by all runs, and is published to the
run's own folders each time it is used. The key hashes the stage's name, the values of the
configuration that it reads, the fingerprint of the data, what it builds on, the code of the rooms
that compute it (without comments and docstrings), and, for a training, device and precision.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, reduce, wraps
from operator import getitem
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from eurosat_lib import files
from eurosat_lib.config import Config, override
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import Interrupted, UserError, of_system, one_line
from eurosat_lib.files import is_frozen, locked, read_json, write_json
from eurosat_lib.progress import BUILT, announce
from eurosat_lib.runtime import Runtime, describe_environment, restore_modes
from eurosat_lib.sources import digest
from eurosat_lib.tracking import Run, write_runs

# Read now: a file edited later is not the code that this process runs.
TEXTS = {p.stem: p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("[!.]*.py")}
STAGES: dict[str, Callable[[Config], Any]] = {}  # by name
# Of a value that is not there, or not what this version makes of it.
FOREIGN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, UserError)
Files = Mapping[str, Any]  # by name: a tree (.json), rows (.csv), or who writes it, given its path


class Named(dict):
    """Values by name; one that another version's result does not have is a UserError."""

    def __missing__(self, name: str) -> NoReturn:
        """Refuse a name."""
        raise UserError(f"a result of another version, without {name}: compute it anew")


Values = Annotated[dict[str, Any], AfterValidator(Named)]


class Record(BaseModel):
    """Base of results: frozen, unknown fields refused, NaN kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
    stage: ClassVar[str] = ""

    def __init_subclass__(cls, stage: str = "", **more: Any) -> None:
        """Take the stage's name: ``class Grid(Record, stage="grid_search")``."""
        super().__init_subclass__(**more)
        cls.stage = stage or cls.stage

    def facts(self) -> dict[str, Any]:
        """Return what answers and ``facts.json`` say of the result."""
        return self.model_dump(mode="json")

    def files(self) -> Files:
        """Return the tables and trees to publish; a table without rows is removed."""
        return {}

    def tensorboard_runs(self) -> dict[str, Run]:
        """Return the TensorBoard runs to publish below ``runs/<stage>/``, by name."""
        return {}


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Kept(Generic[R]):
    """A result and where it comes from."""

    result: R
    provenance: Mapping[str, Any]  # of the process that computed it
    folder: Path = Path()  # of the cache; files that the computation left lie there
    files: Files = field(default_factory=dict)  # to publish besides


@dataclass(frozen=True)
class Code:
    """What computes a result, as its key has it."""

    rooms: tuple[str, ...]  # a changed line of one, prose aside, is another key
    reads: tuple[str, ...] = ()  # dotted keys of the configuration

    @property
    def trains(self) -> bool:
        """Whether it takes steps of an optimiser: device and precision are part of the key."""
        return "optimizers" in self.rooms


def stage(
    kind: type[R],
    *rooms: str,
    reads: tuple[str, ...] = (),
    inputs: Callable[[Config], Mapping[str, Any] | None] = lambda config: {},
) -> Callable[[Callable[[Config], R | Kept[R]]], Callable[[Config], R | None]]:
    """Make a stage of a function: its result is kept by its key, and published to the run.

    Args:
        kind: of the result.
        rooms: modules that compute it; if none, it is put together from kept parts, each time.
        reads: dotted keys of the configuration that it reads.
        inputs: what else it builds on, for instance the digest of a checkpoint. ``None``: there is
            nothing to compute; the result is ``None``, and what the run had published goes.
    """
    if not kind.stage:
        raise ValueError(f"{kind.__name__} names no stage: class {kind.__name__}(…, stage=…)")

    def decorate(compute: Callable[[Config], R | Kept[R]]) -> Callable[[Config], R | None]:
        """Wrap a function, which is ``__wrapped__`` and by itself keeps and publishes nothing."""

        @wraps(compute)
        def run(config: Config) -> R | None:
            """Find the result and publish it; say in a line what the system refuses."""
            try:
                return _run(config, kind, Code(rooms, reads), inputs, compute)
            except KeyboardInterrupt as stop:
                stop.with_traceback(None)  # its frames hold what was on: inference mode, say
                restore_modes()
                raise Interrupted(*stop.args) from None
            except (OSError, MemoryError, RuntimeError) as error:
                if refusal := _refusal(error):
                    raise refusal from error
                raise

        STAGES[kind.stage] = run
        return run

    return decorate


def _refusal(error: OSError | MemoryError | RuntimeError) -> UserError | None:
    """Say in a line what the system, or PyTorch of it or of a GPU, refuses; ``None`` of a bug."""
    if isinstance(error, OSError | MemoryError):
        return of_system(error)
    if re.search("(?i)out of memory|can't allocate memory", str(error)):
        return of_system(MemoryError())
    cause = getattr(error, "cause", error)  # on Ray
    if not type(cause).__module__.startswith("torch._"):
        return None
    told = f"PyTorch cannot compile the network for this GPU: {one_line(cause)}"
    return UserError(f"{told} (apt install gcc python3-dev helps most often)")


def _run(
    config: Config, kind: type[R], code: Code, inputs: Callable, compute: Callable
) -> R | None:
    note_use(kind)
    if config.paths.name.casefold() in STAGES:  # its folder would lie in another run's
        raise UserError(f"name {config.paths.name}: a stage has that name; take another")
    if is_frozen() and (published := latest(config, kind)):
        return published
    given = inputs(config)
    if given is None:
        return withdraw(config, kind)
    if is_frozen():
        path = result_path(config, kind.stage)
        state = "was changed, or cannot be read" if path.is_file() else "is missing"
        what = f"the published result {path.relative_to(config.paths.root)} {state}"
        raise UserError(f"FROZEN=1: {what}; without FROZEN it is computed")
    files.check_open(config.paths.artifacts)
    if code.rooms:
        kept = keep(config, kind, kind.stage, code, given, lambda _: compute(config))
    else:
        found = compute(config)
        kept = found if isinstance(found, Kept) else Kept(found, _provenance(config))
    publish(config, kept)
    return kept.result


def note_use(kind: type[Record]) -> None:
    """Tell the build which result a notebook asks for: it runs again when that changes."""
    if BUILT in os.environ:
        with open(os.environ[BUILT], "a", encoding="utf-8") as file:
            file.write(f"{kind.stage}\n")


def keep(
    config: Config,
    kind: type[R],
    name: str,
    code: Code,
    inputs: Mapping[str, Any],
    compute: Callable[[Path], R],
    wait: bool = True,
) -> Kept[R] | None:
    """Load a result from the cache, or compute and keep it; a second process waits for the first.

    It lies in ``<name>-<key>``; ``compute`` gets that folder, to leave partial work and files.
    Without ``wait`` the answer is ``None`` while another process is at it.
    """
    folder = cache_folder(config, name, code, inputs)
    if kept := _load(folder, kind):
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock", wait) as held:
        if not held:
            return None  # another process is at it
        if kept := _load(folder, kind):
            return kept  # another process has made it meanwhile
        path = folder / "result.json"
        if path.exists():
            announce(f"{folder.name} : abîmé ou d’une autre version, calculé de nouveau")
        origin, clock = _provenance(config), time.perf_counter()
        result = compute(folder)
        spent = max(time.perf_counter() - clock, getattr(result, "seconds", 0))  # before a stop
        origin["seconds"] = round(spent, 2)
        result = result.model_dump(mode="json")
        write_json(path, _sealed({"provenance": origin, "result": result}))
        return _load(folder, kind)


def cache_folder(config: Config, name: str, code: Code, inputs: Mapping[str, Any]) -> Path:
    """Return the place of a result in the cache."""
    return config.paths.stages / f"{name}-{stage_key(config, name, code, inputs)[:16]}"


def stage_key(config: Config, name: str, code: Code, inputs: Mapping[str, Any]) -> str:
    """Hash what a result depends on; 64 hexadecimal digits."""
    tree = config.model_dump(mode="json")
    content = {
        "name": name,
        "version": 1,
        "config": {key: reduce(getitem, key.split("."), tree) for key in sorted(code.reads)},
        "data": load_dataset(config).fingerprint,
        "inputs": dict(inputs),
        "code": [code_digest(room) for room in sorted(code.rooms)],
    }
    if code.trains:
        content["device"] = Runtime.names(config)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def code_digest(room: str) -> str:
    """Hash a module of the library as this process runs it, comments and docstrings left out."""
    tree = ast.parse(TEXTS[room])
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    # As Python 3.11 writes it: 3.12 adds an empty field, 3.13 leaves empty ones out.
    whole = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    text = ast.dump(tree, **whole).replace(", type_params=[]", "")
    return hashlib.sha256(text.encode()).hexdigest()


def _load(folder: Path, kind: type[R]) -> Kept[R] | None:
    path = folder / "result.json"
    tree = read_json(path) or {}
    found, origin = _validated(kind, tree), tree.get("provenance")
    return Kept(found, origin, folder) if found and origin and _is_as_written(path, tree) else None


def _validated(kind: type[R], tree: Mapping[str, Any]) -> R | None:
    """Read a result; ``None`` if it is not there, damaged, or its facts are another version's."""
    try:
        found = kind.model_validate(tree["result"])
        found.facts()
    except FOREIGN:
        return None
    return found


def _provenance(config: Config) -> dict[str, Any]:
    """Say with what this process computes, from when on, by which commit."""
    return {
        **Runtime.of(config).describe(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "commit": files.revision(Path(config.paths.root)),
        **describe_environment(),
    }


def together(result: R, parts: Sequence[Kept], more: Files | None = None) -> Kept[R]:
    """Put a result together from kept parts: the first one's provenance, the time of all."""
    seconds = round(sum(part.provenance["seconds"] for part in parts), 2)
    return Kept(result, {**parts[0].provenance, "seconds": seconds}, parts[0].folder, more or {})


def publish(config: Config, kept: Kept) -> None:
    """Write a result with the configuration it was asked for, its facts, files and runs.

    One process at a time writes to a run's folders; with ``FROZEN=1`` none does.
    """
    if is_frozen():
        return
    artifacts, result, runs = config.paths.artifacts, kept.result, kept.result.tensorboard_runs()
    path, contents = result_path(config, result.stage), {**result.files(), **kept.files}
    tree = {
        "scope": scope(config),
        "provenance": dict(kept.provenance),
        "config": config.model_dump(mode="json", exclude={"paths": {"root"}}),
        "result": result.model_dump(mode="json"),
    }
    with locked(artifacts / ".facts.lock"):
        if path.is_file() and not ((old := read_json(path)) and _is_as_written(path, old)):
            announce(f"{path.stem} : résultat modifié après sa publication, publié de nouveau")
        for name, content in contents.items():
            if callable(content):
                content(artifacts / name)
            elif name.endswith(".json"):
                write_json(artifacts / name, content)
            else:
                files.write_csv(artifacts / name, content)
        if runs:
            write_runs(config.paths.runs / result.stage, runs)
        facts = read_json(artifacts / "facts.json") or {}
        write_json(artifacts / "facts.json", facts | {result.stage: result.facts()})
        written = {name: artifacts / name for name in contents if (artifacts / name).is_file()}
        tree["files"] = {name: digest(file) for name, file in written.items()}
        write_json(path, _sealed(tree))


def _files_of(path: Path, tree: Mapping[str, Any]) -> dict[Path, str]:
    """Return the files that a published result names, beside its folder, with their SHA-256."""
    names = tree.get("files")
    found = names if isinstance(names, dict) else {}
    return {path.parents[1] / Path(name).name: sha256 for name, sha256 in found.items() if name}


def _sealed(tree: dict[str, Any]) -> dict[str, Any]:
    """Add the SHA-256 of a result, by which a change is seen."""
    own = json.loads(json.dumps(tree | {"seal": None}))  # as it will be read: keys are texts
    return own | {"seal": digest(json.dumps(own, sort_keys=True))}


def _is_as_written(path: Path, tree: Mapping[str, Any]) -> bool:
    """Tell whether nobody changed a published result or its files."""
    files = [sha256 == digest(f) for f, sha256 in _files_of(path, tree).items() if f.is_file()]
    return tree.get("seal") == _sealed(tree)["seal"] and all(files)


def withdraw(config: Config, kind: type[Record]) -> None:
    """Remove the published result of a stage, with its facts, files and runs."""
    note_use(kind)
    artifacts, path = config.paths.artifacts, result_path(config, kind.stage)
    if is_frozen() or not path.is_file():
        return
    files.check_open(artifacts)
    with locked(artifacts / ".facts.lock"):
        for file in (path, *_files_of(path, read_json(path) or {})):
            file.unlink(missing_ok=True)
        shutil.rmtree(config.paths.runs / kind.stage, ignore_errors=True)
        facts = read_json(artifacts / "facts.json") or {}
        facts.pop(kind.stage, None)
        write_json(artifacts / "facts.json", facts)


def scope(config: Config) -> dict[str, Any]:
    """Return what two results must share to speak of the same experiment."""
    own = config.model_dump(mode="json", include={"preprocess", "augment", "profile"})
    return own | {
        "data": load_dataset(config).fingerprint,
        "image_size": config.data.image_size,
        "batch_size": config.data.batch_size,
        "channels": list(config.model.channels),
    }


def as_asked(config: Config, kind: type[Record], section: str) -> Config:
    """Return the configuration with a section as the run's last result of a stage was asked for.

    A notebook that builds on it need not have been given the same parameters.
    """
    tree = read_json(result_path(config, kind.stage)) or {}
    known = tree.get("config") if tree.get("scope") == scope(config) else None
    return override(config, {section: known[section]}) if known else config


def result_path(config: Config, name: str) -> Path:
    """Return the place of a stage's published result."""
    return config.paths.artifacts / "results" / f"{name}.json"


def latest(config: Config, kind: type[R]) -> R | None:
    """Return the last published result of a stage in this run, if it is of the same experiment.

    With ``FROZEN=1`` any published result will do that nobody has changed.
    """
    note_use(kind)
    path = result_path(config, kind.stage)
    tree = read_json(path) or {}
    if is_frozen():
        return _validated(kind, tree) if _is_as_written(path, tree) else None
    if tree and tree.get("scope") != scope(config):
        _tell_other(kind.stage, path, repr(scope(config)))
        return None
    return _validated(kind, tree)


@cache
def _tell_other(name: str, path: Path, wanted: str) -> None:
    """Say once that a published result is not taken by what is wanted."""
    announce(f"{name} : publié avec d’autres images ou d’autres réglages, non repris")
