"""A finished run for git: its model card, and the headline of the README (``make results``)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import UndefinedError

from eurosat_lib.errors import UserError, one_line
from eurosat_lib.files import read_json, write_text
from eurosat_lib.report.runs import CARD, Run, filled, find_run
from eurosat_lib.sources import HUB, digest

BEGIN, END = "<!-- headline: written by make results -->", "<!-- end of headline -->"
NEEDED = ("explore_dataset", "train", "evaluate", "analyse_errors", "evaluate_seeds")
TASK = "image-classification"
ABOUT = {"language": "en", "license": "mit", "library_name": "pytorch", "datasets": [HUB]}
ABOUT |= {"pipeline_tag": TASK, "tags": ["remote-sensing", "land-cover", "sentinel-2", "eurosat"]}


def make_results(root: Path, name: str) -> None:
    """Check a run, write its model card and the README's headline."""
    if not name:
        raise UserError("make results NAME=…: git holds named runs")
    run = find_run(root, name)
    try:
        if found := list(faults(run)):
            raise UserError(f"{name}: not fit to be committed: " + "; ".join(found))
        said, card = headline(run), model_card(run)
    except (KeyError, UndefinedError) as error:
        raise UserError(f"{name}: results of an older shape: {one_line(error)}") from None
    readme = root / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise UserError(f"README.md: the marks {BEGIN} and {END} are missing")
    write_text(run.paths.artifacts / CARD, card)
    write_text(readme, f"{before}{BEGIN}\n{said}\n{END}{after}")
    print(f"written: artifacts/{name}/{CARD}, the headline of README.md")


def faults(run: Run) -> Iterator[str]:
    """Say what keeps a run from being committed."""
    missing = [stage for stage in NEEDED if stage not in run.results]
    if missing:
        yield f"no result of {', '.join(missing)}"
        return
    commits = {stage: tree["provenance"].get("commit", "") for stage, tree in run.results.items()}
    unknown = [stage for stage, at in commits.items() if not at or at.endswith("-dirty")]
    if unknown:
        yield f"computed by code that no commit holds: {', '.join(unknown)}"
    metrics, scores = read_json(run.paths.artifacts / "metrics.json") or {}, run.facts["evaluate"]
    if not metrics or any(scores.get(name, value) != value for name, value in metrics.items()):
        yield "metrics.json does not say what was evaluated"
    if run.facts["explore_dataset"]["synthetic"]:
        yield "the images are drawn by program, not EuroSAT's"
    if not (run.paths.artifacts / "best.ckpt").is_file() or run.tested_other:
        yield "best.ckpt is not the checkpoint that was tested"
    beside = [run.results["evaluate_seeds"]["result"]["runs"][0]]
    beside += [run.results.get("compare_splits", {"result": {}})["result"].get("standard")]
    if any(one and one["checkpoint_sha256"] != scores["checkpoint_sha256"] for one in beside):
        yield "seeds or splits are of another checkpoint than the one that was tested"
    if not (run.paths.reports / "rapport.pdf").is_file():
        yield "no report: make report"


def headline(run: Run) -> str:
    """Say in a paragraph what the run found: its scores, each with its interval."""
    e, profile = run.facts["evaluate"], run.results["train"]["config"]["profile"]
    told = f"Run `{run.paths.name}`, profile `{profile}`, seed {e['seed']}: test accuracy "
    told += f"{_score(e)}, {e['correct']:,} of {e['n']:,} images{_seeds(run, 'evaluate_seeds')}"
    if spatial := run.score("evaluate_spatial"):
        told += f"; on the spatial split {_score(spatial)}"
    if recipe := run.facts.get("train_recipe"):
        first = recipe | {"accuracy": recipe["correct"] / recipe["n"]}
        told += f"; trained by the recipe `{recipe['name']}` instead: {_score(first)}"
        told += _seeds(run, "train_recipe")
    return f"{told}."


def model_card(run: Run) -> str:
    """Write the card of a run's ``best.ckpt``, in the form of the Hugging Face Hub."""
    e, name = run.facts["evaluate"], f"eurosat-dilated-cnn-{run.paths.name}"
    scores = {"accuracy": e["accuracy"], "f1": e["macro_f1"]}
    results = [
        EvalResult(TASK, HUB, "EuroSAT RGB", score, round(value, 4), dataset_split="test")
        for score, value in scores.items()
    ]
    about = ModelCardData(**ABOUT, metrics=[*scores], model_name=name, eval_results=results)
    more = {"about": about.to_yaml(), "headline": headline(run), "percent": _percent}
    sha256 = digest(run.paths.artifacts / "best.ckpt")
    return filled("MODEL_CARD.md.j2", run=run, sha256=sha256, **more)


def _seeds(run: Run, stage: str) -> str:
    count, scores = run.facts[stage]["count"], run.facts[stage]["accuracy"]
    spread = "" if scores["low"] is None else f" ± {100 * scores['sd']:.2f}"  # two tell of none
    return f"; mean of {count} seeds {_percent(scores['mean'])}{spread}" if count > 1 else ""


def _score(facts: dict[str, Any]) -> str:
    bounds = f"{100 * facts['low']:.2f}, {100 * facts['high']:.2f}"
    return f"**{_percent(facts['accuracy'])} [{bounds}]**"


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"
