"""Runs started from what is written down: a sweep of parameter sets, a run computed once more.

A reproduction, ``reproduction-NAME``, has a cache of stage results of its own: nothing that was
kept for another run is taken, so every network is trained anew.
"""

from __future__ import annotations

import math
import re
import shutil
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from eurosat_lib.config import Config, configure, override
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import write_json
from eurosat_lib.report.request import CONFIG, Request
from eurosat_lib.report.run import NotebookFailed, build, is_current, prepare, say
from eurosat_lib.report.runs import Run, find_run, flatten
from eurosat_lib.schema import Paths

DONE, SKIPPED, FAILED = "done", "done before, skipped", "failed"
# A stage that computes these itself, and hours long: they must be asked for by name.
NEEDS = {
    "evaluate_spatial": ("train_spatial",),
    "compare_splits": ("train_spatial", "evaluate_spatial"),
    "evaluate_spatial_seeds": ("train_spatial", "evaluate_spatial"),
}
WEIGHTS = {"train": "best.ckpt", "train_spatial": "best_spatial.ckpt"}
VERDICT = "reproduction.json"  # in the artifacts of the new run, once it is complete
CONDITIONS = ("commit", "device", "precision", "processor", "python", "torch", "torchvision")
CONDITIONS += ("cuda", "numpy", "scikit-learn", "system", "cores")
# Entries that say when, how fast or where, and not what came out.
ASIDE = re.compile(r"seconds|duration|throughput|per_second|_ms$|started|folder|^stored$")


# --- sweep --------------------------------------------------------------------------------------


def read_sweep(path: Path, common: Request) -> dict[str, Request]:
    """Read a sweep and check all of it; nothing is run.

    Args:
        path: YAML file, a list of parameter sets; ``name`` in a set names its run, otherwise
            the parameters do (``lr0.0003_max_epochs5``).
        common: profile, data and parameters of all runs; those of a set win.

    Returns:
        Name of a run -> what is to be built, in the order of the file.

    Raises:
        UserError: unreadable, two sets of one name, or a set that no report can be made from.
    """
    requests: dict[str, Request] = {}
    for number, values in enumerate(_sets(path), 1):
        where = f"{path}: set {number}"
        name = str(values.pop("name", "")) or _name(values)
        if not name:
            raise UserError(f"{where} is empty: give it a name to run the protocol as it is")
        if name in requests:
            raise UserError(f"{where}: the name {name} is taken by an earlier set")
        requests[name] = replace(common, name=name, values=values)
        try:
            prepare(requests[name])
        except UserError as error:
            raise UserError(f"{where} ({name}): {error}") from None
    return requests


def sweep(requests: Mapping[str, Request]) -> dict[str, str]:
    """Build each report that is not up to date; one that fails does not stop the rest.

    Returns:
        Name of a run -> ``done``, ``done before, skipped`` or ``failed: reason``.
    """
    verdicts: dict[str, str] = {}
    for number, (name, request) in enumerate(requests.items(), 1):
        say(f"run {number}/{len(requests)}: {name}")
        verdicts[name] = _build_one(request)
        say(f"run {number}/{len(requests)}: {name} · {verdicts[name]}")
    width = max(map(len, verdicts))
    say("\n".join(f"{name:<{width}}  {verdict}" for name, verdict in verdicts.items()))
    return verdicts


def _build_one(request: Request) -> str:
    try:
        if is_current(request):
            return SKIPPED
        build(request)
    except (UserError, NotebookFailed) as error:
        return f"{FAILED}: {error}"
    except Exception as error:  # a bug in one run; the others are worth having
        traceback.print_exc()
        return f"{FAILED}: {type(error).__name__}: {error}"
    return DONE


def _sets(path: Path) -> list[dict[str, Any]]:
    try:
        tree = yaml.safe_load(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"SWEEP: {path}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, list) or not tree:
        raise UserError(f"{path}: expected a list of parameter sets, - lr: 3.0e-4")
    for number, item in enumerate(tree, 1):
        if not isinstance(item, dict) or not all(isinstance(key, str) for key in item):
            raise UserError(f"{path}: set {number}: expected name: value, got {item!r}")
    return tree


def _name(values: Mapping[str, Any]) -> str:
    """Make a run's name of its parameters."""
    words = [f"{key}{_short(value)}" for key, value in values.items()]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(words)).strip("-")


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_short, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- reproduction -------------------------------------------------------------------------------


def reproduce(root: Path, name: str, only: Sequence[str] = ()) -> bool:
    """Compute results of a run anew, and tell whether the numbers are the same.

    A reproduction that was stopped goes on where it was; a complete one is begun afresh.

    Args:
        root: the project's folder.
        name: of the run; empty for the unnamed one.
        only: stages to compute; what they build on is taken as it is. None: all.

    Returns:
        Whether all values came out the same to the bit.

    Raises:
        UserError: no such run or stage, results that say not what they were made with, or the
            name of the reproduction is taken by another run.
    """
    from eurosat_lib.choices import ChosenLR, choose_lr
    from eurosat_lib.protocol import STAGE_NAMES
    from eurosat_lib.stages import STAGES

    before = find_run(root, name)
    wanted = _choose_stages(before, STAGE_NAMES, only)
    paths = _target(root, name)
    configs = {stage: _config(before, stage, paths) for stage in wanted}
    _prepare(paths)
    if only:
        say(f"taken as they are: {', '.join(_give(before, paths, wanted)) or 'no other results'}")
    say(f"{len(configs)} stages to compute anew: {', '.join(configs)}")
    if before.chosen_lr and "grid_search" in configs:
        choose_lr(configs["grid_search"], ChosenLR.model_validate(before.chosen_lr))
        say(f"learning rate chosen by hand in notebook 04: {before.chosen_lr['lr']:g}")
    for stage, config in configs.items():
        STAGES[stage](config)
    return _compared(before, Run(paths), wanted)


def _compared(before: Run, after: Run, wanted: Sequence[str]) -> bool:
    """Say and keep, stage by stage, whether the values came out the same."""
    results = [
        (before.results[stage]["result"], after.results[stage]["result"]) for stage in wanted
    ]
    verdicts = [judge(stage, *pair) for stage, pair in zip(wanted, results, strict=True)]
    lines = [line for _, line in verdicts]
    same = all(equal for equal, _ in verdicts)
    reasons = list(dict.fromkeys(_reasons(before, after, wanted)))
    say("\n".join([*lines, *_headline(before, after), *_conclusion(same, reasons)]))
    tree = {"same": same, "stages": dict(zip(wanted, lines, strict=True)), "conditions": reasons}
    write_json(after.paths.artifacts / VERDICT, tree)
    return same


def _choose_stages(run: Run, known: Sequence[str], only: Sequence[str]) -> list[str]:
    """Return the stages to compute again, in the order of the report."""
    for stage in only:
        if stage not in known:
            raise UserError(f"STAGES: no stage {stage}{did_you_mean(stage, known)}")
        if stage not in run.results:
            raise UserError(f"STAGES: {run.name or 'the unnamed run'} has no result of {stage}")
        missing = [name for name in NEEDS.get(stage, ()) if name not in only]
        if missing and all(name in run.results for name in missing):
            raise UserError(f"STAGES: {stage} trains anew; name {' and '.join(missing)} as well")
    return [stage for stage in known if stage in run.results and (not only or stage in only)]


def _target(root: Path, name: str) -> Paths:
    wanted = f"reproduction-{name}" if name else "reproduction"
    try:
        return Paths(root=str(root), name=wanted)
    except ValueError:
        raise UserError(f"{wanted}: too long for the name of a run") from None


def _config(run: Run, stage: str, paths: Paths) -> Config:
    """Return the configuration that a result was made with, for another run."""
    stored = run.results[stage].get("config")
    if stored is None:
        raise UserError(
            f"artifacts/results of {run.name or 'the unnamed run'}: {stage} was kept by a version "
            "that stored no configuration; run its notebook once more"
        )
    known = {key: value for key, value in stored.items() if key not in ("paths", "identity")}
    if stage in NEEDS["compare_splits"]:  # published with the cut that they made themselves
        known["data"] = known["data"] | {"split": "standard"}
    base = configure({"config_path": str(Path(paths.root, CONFIG)), "name": paths.name})
    return override(base, flatten(known))


def _prepare(paths: Paths) -> None:
    """Make the run's own cache; clear what a complete reproduction has left."""
    own = paths.artifacts / ".stages"
    if paths.artifacts.exists() and not own.is_dir():
        raise UserError(f"artifacts/{paths.name}: another run has the name of the reproduction")
    if (paths.artifacts / VERDICT).is_file():
        for folder in (paths.artifacts, paths.runs, paths.reports):
            shutil.rmtree(folder, ignore_errors=True)
    own.mkdir(parents=True, exist_ok=True)


def _give(run: Run, paths: Paths, computed: Sequence[str]) -> list[str]:
    """Copy the results that are not computed again, for the stages that build on them."""
    results = paths.artifacts / "results"
    results.mkdir(parents=True, exist_ok=True)
    taken = [p for p in (run.paths.artifacts / "results").glob("*.json") if p.stem not in computed]
    for path in taken:
        shutil.copy2(path, results / path.name)
    for stage, name in WEIGHTS.items():
        path = run.paths.artifacts / name
        if stage not in computed and path.is_file():
            shutil.copy2(path, paths.artifacts / name)
    return sorted(path.stem for path in taken)


def _reasons(before: Run, after: Run, stages: Iterable[str]) -> Iterator[str]:
    """Name what was not the same, the result aside."""
    for stage in stages:
        old, new = before.results[stage], after.results[stage]
        if old["scope"].get("data") != new["scope"].get("data"):
            yield "other images"
        origins = old["provenance"], new["provenance"]
        for key in CONDITIONS:
            a, b = (origin.get(key, "") for origin in origins)
            if a != b:
                yield f"{key}: {a or 'not recorded'} -> {b or 'not recorded'}"


def _headline(before: Run, after: Run) -> list[str]:
    """Say how far the test accuracy went, and whether that is within its interval."""
    old, new = before.score("evaluate"), after.score("evaluate")
    if not old or not new:
        return []
    inside = old["low"] <= new["accuracy"] <= old["high"]
    level = f"{old['confidence_level']:.0%} interval [{old['low']:.2%}, {old['high']:.2%}]"
    where = f"{'inside' if inside else 'outside'} its {level}"
    return [f"test accuracy: {old['accuracy']:.2%} -> {new['accuracy']:.2%}, {where}"]


def _conclusion(same: bool, reasons: Sequence[str]) -> list[str]:
    conditions = [f"  {reason}" for reason in reasons]
    if same:
        also = ["though not all was the same:", *conditions] if reasons else []
        return ["reproduced: every number is the same to the bit", *also]
    if reasons:
        return ["not reproduced to the bit; what was not the same:", *conditions]
    return ["not reproduced to the bit, on the same machine, versions and commit"]


def judge(stage: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[bool, str]:
    """Compare two results of a stage, value by value; times and places are left aside.

    Returns:
        Whether all are the same to the bit, and a line that says so, or how far they are apart
        and which value is the first that differs.
    """
    first, second = dict(_leaves(before)), dict(_leaves(after))
    pairs = {name: (first.get(name), second.get(name)) for name in first | second}
    changed = {name: pair for name, pair in pairs.items() if not _equal(*pair)}
    if not changed:
        return True, f"{stage}: the same to the bit ({len(pairs)} values)"
    name, (a, b) = next(iter(changed.items()))
    largest = max(_distance(*pair) for pair in changed.values())
    within = "" if math.isinf(largest) else f", within {largest:.1e} (relative)"
    apart = f"{len(changed)} of {len(pairs)} values differ{within}"
    return False, f"{stage}: {apart}; {name}: {_show(a)} -> {_show(b)}"


def _leaves(tree: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        pairs = [(key, value) for key, value in tree.items() if not ASIDE.search(key)]
    elif isinstance(tree, list):
        pairs = list(enumerate(tree))
    else:
        yield above, tree
        return
    for key, value in pairs:
        yield from _leaves(value, f"{above}.{key}" if above else str(key))


def _equal(a: Any, b: Any) -> bool:
    both_nan = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
    return both_nan or a == b


def _distance(a: Any, b: Any) -> float:
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b)):
        return math.inf
    if not all(map(math.isfinite, (a, b))):
        return math.inf
    return abs(a - b) / max(abs(a), abs(b))


def _show(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
