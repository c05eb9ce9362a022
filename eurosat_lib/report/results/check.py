"""Whether a run is fit to be committed: whole, of one experiment, from known code, up to date."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from eurosat_lib import stages
from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.report.results.reading import Results
from eurosat_lib.report.runner.binding import up_to_date
from eurosat_lib.report.runner.plan import Request, prepare
from eurosat_lib.report.runner.runcard import SOURCES
from eurosat_lib.revision import CHANGED, read_revision
from eurosat_lib.training.checkpoint import load_checkpoint, sha256

LIMIT = 8_000_000  # bytes of a checkpoint that git takes: 1,925,258 float32 are 7.7 MB
SPATIAL = ("train_spatial", "evaluate_spatial")


def faults(r: Results, data: str | None = None) -> list[str]:
    """Say what keeps a run from being committed, one line each.

    Args:
        r: of the run.
        data: source that the run was asked for; ``None``: the configuration's.
    """
    found = [*_missing(r), *_mixed(r), *_unknown_code(r)]
    return found + ([] if found else [*_checkpoint(r), *_predictions(r), *_report(r, data)])


def _missing(r: Results) -> Iterator[str]:
    split = r.run.facts.get("compare_splits", {})
    excused = () if split.get("available", True) else SPATIAL
    wanted = [stage for stage in stages.STAGES if stage not in (*excused, *stages.ON_DEMAND)]
    lost = [stage for stage in wanted if stage not in r.trees]
    if lost:
        yield f"no result of {', '.join(lost)}"


def _mixed(r: Results) -> Iterator[str]:
    """Compare what two results must share to speak of the same experiment."""
    groups: dict[str, dict[str, list[str]]] = {}
    for stage, tree in r.trees.items():
        for key, value in tree["scope"].items():
            if key != "data" or stage not in SPATIAL:
                groups.setdefault(key, {}).setdefault(str(value), []).append(stage)
    for key, values in groups.items():
        if len(values) > 1:
            few = min(values.values(), key=len)
            yield f"results of several experiments: {key} is another in {', '.join(few)}"
    if r.run.facts.get("explore_dataset", {}).get("synthetic"):
        yield "the images are drawn by program, not EuroSAT's"


def _unknown_code(r: Results) -> Iterator[str]:
    """Name the results whose code no commit holds."""
    commits = {stage: r.origin(stage).get("commit", "") for stage in r.trees}
    unknown = [stage for stage, commit in commits.items() if not commit]
    changed = [stage for stage, commit in commits.items() if commit.endswith(CHANGED)]
    if unknown:
        yield f"computed outside of a git repository: {', '.join(unknown)}"
    if changed:
        yield f"computed with local changes that no commit holds: {', '.join(changed)}"


def _checkpoint(r: Results) -> Iterator[str]:
    path, e = r.folder / "best.ckpt", r.need(Evaluation)
    try:
        load_checkpoint(path)  # weights_only
    except UserError as error:
        yield str(error)
        return
    if sha256(path) != e.checkpoint_sha256:
        yield f"{r.place}/best.ckpt is not the checkpoint that was tested"
    if path.stat().st_size > LIMIT:
        yield f"{r.place}/best.ckpt weighs {path.stat().st_size:,} bytes, more than {LIMIT:,}"


def _predictions(r: Results) -> Iterator[str]:
    e, path = r.need(Evaluation), r.folder / "predictions.csv"
    if not path.is_file():
        yield f"{r.place}/predictions.csv is missing"
        return
    with open(path, encoding="utf-8", newline="") as file:
        right = [int(row["correct"]) for row in csv.DictReader(file)]
    if (len(right), sum(right)) != (e.n, e.correct):
        yield (
            f"{r.place}/predictions.csv: {sum(right)} right of {len(right)}, "
            f"while evaluate.json says {e.correct} of {e.n}"
        )


def _report(r: Results, data: str | None) -> Iterator[str]:
    """Tell whether ``make report`` would have something to do."""
    again = f"make report PROFILE={r.profile}" + (f" NAME={r.run.name}" if r.run.name else "")
    if r.parameters:
        again += f' PARAMS="-f {r.place}/params.yaml"'
    root = Path(r.run.paths.root)
    if read_revision(root, SOURCES).endswith(CHANGED):
        yield f"local changes in {', '.join(SOURCES)}: commit them, then {again}"
        return
    config, plans = prepare(_request(r, data))
    late = [plan.notebook.name for plan in plans if not plan.current()]
    if late:
        yield f"out of date: {', '.join(late)}; {again}"
    elif not _bound(config, [plan.target for plan in plans]):
        yield f"the report is not that of these notebooks and this commit; {again}"


def _bound(config: Config, executed: list[Path]) -> bool:
    return up_to_date(executed, config, pdf=True)


def _request(r: Results, data: str | None) -> Request:
    fields = {"profile": r.profile, "name": r.run.name or None, "data": data}
    return Request(**fields, values=r.parameters)
