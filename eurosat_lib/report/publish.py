"""A finished run for git: its model card, and the headline of the README (``make results``)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eurosat_lib.errors import UserError
from eurosat_lib.files import read_json, write_text
from eurosat_lib.report.runs import CARD, Run, filled, find_run

BEGIN, END = "<!-- headline: written by make results -->", "<!-- end of headline -->"
NEEDED = ("explore_dataset", "train", "evaluate", "analyse_errors", "evaluate_seeds")


def make_results(root: Path, name: str) -> None:
    """Check a run, write its model card and the README's headline, name the files for git."""
    if not name:
        raise UserError("make results NAME=…: git holds named runs")
    run = find_run(root, name)
    if found := list(faults(run)):
        raise UserError(f"{name}: not fit to be committed: " + "; ".join(found))
    readme, block = root / "README.md", f"{BEGIN}\n{headline(run)}\n{END}"
    pattern, before = f"{re.escape(BEGIN)}.*?{re.escape(END)}", readme.read_text(encoding="utf-8")
    text, count = re.subn(pattern, lambda _: block, before, flags=re.DOTALL)
    if not count:
        raise UserError(f"README.md: the marks {BEGIN} and {END} are missing")
    write_text(run.paths.artifacts / CARD, model_card(run))
    write_text(readme, text)
    print(f"written: artifacts/{name}/{CARD}, the headline of README.md")
    print(f"git add README.md artifacts/{name} reports/{name}")


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
    seeds, recipe = run.facts["evaluate_seeds"], run.facts.get("train_recipe")
    parts += [_seeds(seeds)] if seeds["several"] else []
    if spatial := run.score("evaluate_spatial"):
        parts.append(f"on the spatial split {_score(spatial)}")
    if recipe:
        first = recipe | {"accuracy": recipe["correct"] / recipe["n"]}
        parts.append(f"trained by the recipe `{recipe['name']}` instead: {_score(first)}")
        parts += [_seeds(recipe)] if recipe["count"] > 1 else []
    return "; ".join(parts) + "."


def model_card(run: Run) -> str:
    """Write the card of a run's ``best.ckpt``, in the form of the Hugging Face Hub."""
    sha256 = hashlib.sha256((run.paths.artifacts / "best.ckpt").read_bytes()).hexdigest()
    more = {"headline": headline(run), "sha256": sha256, "percent": _percent}
    return filled("MODEL_CARD.md.j2", run=run, **more)


def _seeds(facts: dict[str, Any]) -> str:
    mean, sd = facts["accuracy"]["mean"], facts["accuracy"]["sd"]
    return f"mean of {facts['count']} seeds {_percent(mean)} ± {100 * sd:.2f}"


def _score(facts: dict[str, Any]) -> str:
    bounds = f"{100 * facts['low']:.2f}, {100 * facts['high']:.2f}"
    return f"**{_percent(facts['accuracy'])} [{bounds}]**"


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"
