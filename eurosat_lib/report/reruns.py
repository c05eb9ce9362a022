"""Runs started from what is written down: a sweep of parameter sets, a run computed once more."""

from __future__ import annotations

import json
import re
import shutil
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from eurosat_lib.config import Config, configure, override
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.files import check_open, is_frozen, write_json
from eurosat_lib.report.request import CONFIG, Request
from eurosat_lib.report.run import NotebookFailed, build, prepare
from eurosat_lib.report.runs import CONDITIONS, Run, find_run, flatten
from eurosat_lib.schema import Paths

CARD = "MODEL_CARD.md"  # of a finished run: git holds its results
SAME = "the same to the bit"
VERDICT = "reproduction.json"  # in the artifacts of a reproduction, once it is complete


def read_sweep(path: str, common: Request) -> dict[str, Request]:
    """Read a sweep and check all of it; nothing is run. Return what is to be built, by name.

    Args:
        path: YAML file, a list of parameter sets; ``name`` in a set names its run, otherwise
            the parameters do (``lr0.0003_max_epochs5``).
        common: profile, data and parameters of all runs; those of a set win.

    Raises:
        UserError: unreadable, two sets of one name, or a set that no report can be made from.
    """
    if not path:
        raise UserError("make sweep SWEEP=…: which file? configs/sweeps/lr.yaml is an example")
    if common.name:
        raise UserError("make sweep: NAME is given to each run by the sweep's own file")
    try:
        tree = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"SWEEP: {path}: {' '.join(str(error).split())}") from None
    if not isinstance(tree, list) or not tree:
        raise UserError(f"{path}: expected a list of parameter sets, - lr: 3.0e-4")
    requests: dict[str, Request] = {}
    for number, values in enumerate(tree, 1):
        where = f"{path}: set {number}"
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            raise UserError(f"{where}: expected name: value, got {values!r}")
        usual = "_".join(f"{key}{value}" for key, value in values.items() if key != "name")
        usual = re.sub(r"[^A-Za-z0-9._]+", "-", usual).strip("-")
        name = str(values.pop("name", "")) or usual
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


def sweep(requests: Mapping[str, Request]) -> bool:
    """Build each report; one that fails does not stop the rest. Tell whether none failed."""
    failed = {}
    for number, (name, request) in enumerate(requests.items(), 1):
        print(f"run {number}/{len(requests)}: {name}")
        try:
            build(request)
        except Exception as error:  # perhaps a bug in one run; the others are worth having
            if not isinstance(error, UserError | NotebookFailed):
                traceback.print_exc()
            failed[name] = f"failed: {type(error).__name__}: {error}"
    for name in requests:
        print(f"{name}: {failed.get(name, 'done')}")
    return not failed


def reproduce(root: Path, name: str, stages: str = "") -> bool:
    """Compute results of a run anew, in a run ``reproduction-NAME`` that has a cache of its own.

    A reproduction that was stopped goes on where it was; a complete one is begun afresh. With
    ``stages``, in words, these alone are computed; what they build on is taken as it is.

    Returns:
        Whether all facts came out the same to the bit.

    Raises:
        UserError: no such run or stage, a result of an older version, or the name is taken.
    """
    from eurosat_lib.protocol import STAGE_NAMES
    from eurosat_lib.stages import STAGES

    before, only = find_run(root, name), stages.split()
    if is_frozen():
        raise UserError("FROZEN=1 computes nothing: reproduce without it")
    for stage in only:
        if stage not in before.results:
            hint = did_you_mean(stage, STAGE_NAMES)
            raise UserError(f"STAGES: no result of {stage} in {name or 'the unnamed run'}{hint}")
    wanted = [s for s in STAGE_NAMES if s in before.results and (not only or s in only)]
    new = f"reproduction-{name}".strip("-")
    base = configure({"config_path": str(root / CONFIG), "name": new})
    check_open(base.paths.artifacts)
    configs = {stage: _stored(before, stage, base) for stage in wanted}
    _begin(before, base.paths)
    print(f"{len(wanted)} stages to compute anew: {', '.join(wanted)}")
    for stage, config in configs.items():
        STAGES[stage](config)
    return _judge(before, Run(base.paths), wanted)


def _stored(run: Run, stage: str, base: Config) -> Config:
    """Return the configuration that a result was made with, for another run."""
    kept = run.results[stage].get("config", {})
    known = {key: value for key, value in kept.items() if key not in ("paths", "identity")}
    if "spatial" in stage:  # published with the cut that its stage makes itself
        known["data"] = known["data"] | {"split": "standard"}
    try:
        return override(base, flatten(known))
    except UserError as error:
        raise UserError(f"artifacts/{run.paths.name}: {stage}, another version: {error}") from None


def _begin(run: Run, paths: Paths) -> None:
    """Make the run's own cache; give it what is taken as it is."""
    own = paths.artifacts / ".stages"
    if paths.artifacts.exists() and not own.is_dir():
        raise UserError(f"artifacts/{paths.name}: another run has the name of the reproduction")
    if (paths.artifacts / VERDICT).is_file():
        for folder in (paths.artifacts, paths.runs, paths.reports):
            shutil.rmtree(folder, ignore_errors=True)
    own.mkdir(parents=True, exist_ok=True)

    def others(folder: str, names: list[str]) -> list[str]:
        folders = [n for n in names if Path(folder, n).is_dir() and n != "results"]
        return [*folders, CARD, VERDICT]

    shutil.copytree(run.paths.artifacts, paths.artifacts, ignore=others, dirs_exist_ok=True)


def _judge(before: Run, after: Run, stages: Sequence[str]) -> bool:
    """Say and keep, stage by stage, whether the facts came out the same; times aside."""
    lines, others = {}, {}
    for stage in stages:
        trees = [flatten(run.facts.get(stage, {})) for run in (before, after)]
        old, new = ({k: json.dumps(v) for k, v in t.items() if k != "seconds"} for t in trees)
        changed = [key for key in old | new if old.get(key) != new.get(key)]
        lines[stage] = f"{len(changed)} of {len(new)} facts differ" if changed else SAME
        for key in changed[:3]:
            lines[stage] += f"; {key}: {old.get(key)} -> {new.get(key)}"
        was, now = (run.results.get(stage, {}).get("provenance", {}) for run in (before, after))
        others |= {
            f"  {key}: {was.get(key)} -> {now.get(key)}": stage
            for key in CONDITIONS
            if was.get(key) != now.get(key)
        }
    same = set(lines.values()) == {SAME}
    print("\n".join(f"{stage}: {line}" for stage, line in lines.items()))
    print("reproduced: every fact is the same to the bit" if same else "not reproduced to the bit")
    if others:
        print("\n".join(["what was not the same:", *others]))
    write_json(after.paths.artifacts / VERDICT, {"same": same, "stages": lines})
    return same
