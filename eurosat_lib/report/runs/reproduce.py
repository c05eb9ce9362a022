"""Compute a run once more from what is stored beside its results, and compare the numbers.

The new run, ``reproduction-NAME``, has a cache of stage results of its own: nothing that was kept
for another run is taken, so every network is trained anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config, configure, override
from eurosat_lib.errors import UserError
from eurosat_lib.report.runs.given import choose_stages, give
from eurosat_lib.report.runs.reading import Run, find_run
from eurosat_lib.report.runs.settings import flatten
from eurosat_lib.report.runs.verdict import Verdict, judge
from eurosat_lib.schema import Paths

# Published with the cut that they made themselves, beside a run on the standard split.
CUT = ("train_spatial", "evaluate_spatial")
VERDICT = "reproduction.json"  # in the artifacts of the new run, once it is complete
CONDITIONS = ("commit", "device", "precision", "processor", "python", "torch", "torchvision")
CONDITIONS += ("cuda", "numpy", "scikit-learn", "system", "cores")


def reproduce(root: Path, name: str, say: Callable[[str], None], only: Sequence[str] = ()) -> bool:
    """Compute results of a run anew, and tell whether the numbers are the same.

    A reproduction that was stopped goes on where it was; a complete one is begun afresh.

    Args:
        root: the project's folder.
        name: of the run; empty for the unnamed one.
        say: gets the lines for the console.
        only: stages to compute; what they build on is taken as it is. None: all.

    Returns:
        Whether all values came out the same to the bit.

    Raises:
        UserError: no such run or stage, results that say not what they were made with, or the
            name of the reproduction is taken by another run.
    """
    from eurosat_lib.protocol import STAGES

    before = find_run(root, name)
    wanted = choose_stages(before, list(STAGES), only)
    configs = {stage: _config(before, stage, _target(root, name)) for stage in wanted}
    paths = _prepare(configs[wanted[0]].paths)
    if only:
        say(f"taken as they are: {', '.join(give(before, paths, wanted)) or 'no other results'}")
    say(f"{len(configs)} stages to compute anew: {', '.join(configs)}")
    if before.chosen_lr and "grid_search" in configs:
        _choose(configs["grid_search"], before.chosen_lr, say)
    for stage, config in configs.items():
        STAGES[stage](config)
    after = Run(paths)
    verdicts = [judge(s, before.results[s]["result"], after.results[s]["result"]) for s in wanted]
    reasons = list(dict.fromkeys(_reasons(before, after, wanted)))
    lines = [*map(str, verdicts), *_headline(before, after), *_conclusion(verdicts, reasons)]
    _write(paths.artifacts / VERDICT, verdicts, reasons)
    say("\n".join(lines))
    return all(verdict.same for verdict in verdicts)


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
    if stage in CUT:
        known["data"] = known["data"] | {"split": "standard"}
    base = configure(str(Path(paths.root, "configs/config.yaml")), name=paths.name)
    return override(base, flatten(known))


def _prepare(paths: Paths) -> Paths:
    """Make the run's own cache; clear what a complete reproduction has left."""
    own = paths.artifacts / ".stages"
    if paths.artifacts.exists() and not own.is_dir():
        raise UserError(f"artifacts/{paths.name}: another run has the name of the reproduction")
    if (paths.artifacts / VERDICT).is_file():
        for folder in (paths.artifacts, paths.runs, paths.reports):
            shutil.rmtree(folder, ignore_errors=True)
    own.mkdir(parents=True, exist_ok=True)
    return paths


def _choose(config: Config, choice: dict[str, Any], say: Callable[[str], None]) -> None:
    """Make the choice by hand that the run's grid was built on."""
    from eurosat_lib.protocol import ChosenLR, choose_lr

    choose_lr(config, ChosenLR.model_validate(choice))
    say(f"learning rate chosen by hand in notebook 04: {choice['lr']:g}")


def _reasons(before: Run, after: Run, stages: Iterable[str]) -> Iterable[str]:
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
    old, new = before.test, after.test
    if not old or not new:
        return []
    inside = old["low"] <= new["accuracy"] <= old["high"]
    level = f"{old['confidence_level']:.0%} interval [{old['low']:.2%}, {old['high']:.2%}]"
    where = f"{'inside' if inside else 'outside'} its {level}"
    return [f"test accuracy: {old['accuracy']:.2%} -> {new['accuracy']:.2%}, {where}"]


def _conclusion(verdicts: list[Verdict], reasons: list[str]) -> list[str]:
    conditions = [f"  {reason}" for reason in reasons]
    if all(verdict.same for verdict in verdicts):
        return ["reproduced: every number is the same to the bit"] + (
            ["though not all was the same:", *conditions] if reasons else []
        )
    if reasons:
        return ["not reproduced to the bit; what was not the same:", *conditions]
    return ["not reproduced to the bit, on the same machine, versions and commit"]


def _write(path: Path, verdicts: list[Verdict], reasons: list[str]) -> None:
    tree: dict[str, Any] = {"same": all(verdict.same for verdict in verdicts)}
    tree |= {"stages": {v.stage: str(v) for v in verdicts}, "conditions": reasons}
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
