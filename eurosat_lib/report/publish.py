"""A finished run for git: its model card, and the headline of the README (``make results``)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from eurosat_lib.errors import UserError
from eurosat_lib.files import read_json, write_text
from eurosat_lib.report.runs import Run, find_run

CARD = "MODEL_CARD.md"
TEMPLATE = Path(__file__).parents[2] / "reports" / "template" / f"{CARD}.j2"
DATASET = "timm/eurosat-rgb"
BEGIN, END = "<!-- headline: written by make results -->", "<!-- end of headline -->"
NEEDED = ("explore_dataset", "train", "evaluate", "analyse_errors", "evaluate_seeds")


def make_results(root: Path, name: str) -> None:
    """Check a run, write its model card and the README's headline, name the files for git.

    Raises:
        UserError: no such run, or it is not fit to be committed; says why.
    """
    if not name:
        raise UserError("make results NAME=…: git holds named runs")
    run = find_run(root, name)
    if found := list(faults(run)):
        raise UserError(f"{name}: not fit to be committed: " + "; ".join(found))
    readme, card = root / "README.md", run.paths.artifacts / CARD
    block, before = f"{BEGIN}\n{headline(run)}\n{END}", readme.read_text(encoding="utf-8")
    text = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, before, flags=re.S)
    if block not in text:
        raise UserError(f"README.md: the marks {BEGIN} and {END} are missing")
    write_text(card, model_card(run))
    write_text(readme, text)
    places = [p.relative_to(run.paths.root) for p in (run.paths.artifacts, run.paths.reports)]
    print(f"written: {card.relative_to(run.paths.root)}, the headline of README.md")
    print(f"git add README.md {' '.join(place.as_posix() for place in places)}")


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
    if not (run.paths.reports / "rapport.pdf").is_file():
        yield "no report: make report"


def headline(run: Run) -> str:
    """Say in a paragraph what the run found: its scores, each with its interval."""
    e, profile = run.facts["evaluate"], run.results["train"]["config"]["profile"]
    parts = [f"Run `{run.paths.name}`, profile `{profile}`, seed {e['seed']}: test accuracy "]
    parts[0] += f"{_score(e)}, {e['correct']:,} of {e['n']:,} images"
    seeds = run.facts["evaluate_seeds"]
    parts += [_seeds(seeds)] if seeds["several"] else []
    if spatial := run.score("evaluate_spatial"):
        parts.append(f"on the spatial split {_score(spatial)}")
    if recipe := run.facts.get("train_recipe"):
        first = recipe | {"accuracy": recipe["correct"] / recipe["n"]}
        parts.append(f"trained by the recipe `{recipe['name']}` instead: {_score(first)}")
        parts += [_seeds(recipe)] if recipe["count"] > 1 else []
    return "; ".join(parts) + "."


def model_card(run: Run) -> str:
    """Write the card of a run's ``best.ckpt``, in the form of the Hugging Face Hub."""
    e, train, path = run.facts["evaluate"], run.results["train"], run.paths.artifacts / "best.ckpt"
    about = {"task_type": "image-classification", "dataset_type": DATASET}
    about |= {"dataset_name": "EuroSAT RGB", "dataset_split": "test"}
    results = [
        EvalResult(metric_type=kind, metric_value=round(e[name], 4), **about)
        for kind, name in (("accuracy", "accuracy"), ("f1", "macro_f1"))
    ]
    header = ModelCardData(
        language="en",
        license="mit",
        library_name="pytorch",
        pipeline_tag="image-classification",
        datasets=[DATASET],
        metrics=["accuracy", "f1"],
        tags=["remote-sensing", "land-cover", "sentinel-2", "eurosat"],
        model_name=f"eurosat-dilated-cnn-{run.paths.name}",
        eval_results=results,
    )
    card = ModelCard.from_template(
        header,
        template_path=str(TEMPLATE),
        headline=headline(run),
        repository=train["config"]["identity"]["repository"] or "this repository",
        e=e,
        percent=_percent,
        per_class=run.results["evaluate"]["result"]["per_class"],
        errors=run.facts["analyse_errors"],
        fit=run.facts["train"],
        config=train["config"],
        origin=train["provenance"],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        place=path.parent.relative_to(run.paths.root).as_posix(),
        spatial=run.score("evaluate_spatial"),
        several=run.facts["evaluate_seeds"]["several"],
    )
    return str(card)


def _seeds(facts: dict[str, Any]) -> str:
    mean, sd = facts["accuracy"]["mean"], facts["accuracy"]["sd"]
    return f"mean of {facts['count']} seeds {_percent(mean)} ± {100 * sd:.2f}"


def _score(facts: dict[str, Any]) -> str:
    bounds = f"{100 * facts['low']:.2f}, {100 * facts['high']:.2f}"
    return f"**{_percent(facts['accuracy'])} [{bounds}]**"


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"
