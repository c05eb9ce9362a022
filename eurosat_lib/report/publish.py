"""A finished run for git: its model card, and the headline of the README (``make results``)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.files import write_text
from eurosat_lib.report.runs import Run, find_run

CARD = "MODEL_CARD.md"
TEMPLATE = Path(__file__).parents[2] / "reports" / "template" / f"{CARD}.j2"
DATASET = "timm/eurosat-rgb"
BEGIN, END = "<!-- headline: written by make results -->", "<!-- end of headline -->"
NEEDED = ("explore_dataset", "train", "evaluate", "analyse_errors", "evaluate_seeds")


def make_results(config: Config, name: str, say: Callable[[str], None]) -> None:
    """Check a run, write its model card and the README's headline, name the files for git.

    Args:
        config: of the project.
        name: of the run.
        say: gets the lines for the console.

    Raises:
        UserError: no such run, or it is not fit to be committed; says why.
    """
    if not name:
        raise UserError("make results NAME=…: git holds named runs")
    run = find_run(Path(config.paths.root), name)
    if found := list(faults(run)):
        raise UserError(f"{name}: not fit to be committed: " + "; ".join(found))
    readme = Path(config.paths.root, "README.md")
    text = replace_headline(readme.read_text(encoding="utf-8"), headline(run))
    card = run.paths.artifacts / CARD
    write_text(card, model_card(run, config.identity.repository))
    write_text(readme, text)
    places = [p.relative_to(run.paths.root) for p in (run.paths.artifacts, run.paths.reports)]
    say(f"written: {card.relative_to(run.paths.root)}, the headline of README.md")
    say(f"git add README.md {' '.join(place.as_posix() for place in places)}")


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
    if run.facts["explore_dataset"]["synthetic"]:
        yield "the images are drawn by program, not EuroSAT's"
    if not (run.paths.artifacts / "best.ckpt").is_file() or run.tested_other:
        yield "best.ckpt is not the checkpoint that was tested"
    if not (run.paths.reports / "rapport.pdf").is_file():
        yield "no report: make report"


def headline(run: Run) -> str:
    """Say in a paragraph what the run found: its scores, each with its interval."""
    e, profile = run.facts["evaluate"], run.results["train"]["config"]["profile"]
    parts = [
        f"Run `{run.name}`, profile `{profile}`, seed {e['seed']}: test accuracy "
        f"{_score(e)}, {e['correct']:,} of {e['n']:,} images"
    ]
    parts += _seeds(run.facts["evaluate_seeds"])
    if spatial := run.score("evaluate_spatial"):
        parts.append(f"on the spatial split {_score(spatial)}")
    text = "; ".join(parts) + "."
    recipe = run.facts.get("train_recipe")
    if recipe:
        first = recipe | {"accuracy": recipe["correct"] / recipe["n"]}
        own = [f"Trained by the recipe `{recipe['name']}` instead: {_score(first)}"]
        own += _seeds(recipe | {"several": recipe["count"] > 1})
        if "spatial" in recipe:
            own.append(f"on the spatial split {_score(recipe['spatial'])}")
        text += " " + "; ".join(own) + "."
    return text


def replace_headline(text: str, new: str) -> str:
    """Put a headline into the README's text, between its marks.

    Raises:
        UserError: the marks are missing.
    """
    block = f"{BEGIN}\n{new}\n{END}"
    found = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, text, flags=re.S)
    if block not in found:
        raise UserError(f"README.md: the marks {BEGIN} and {END} are missing")
    return found


def model_card(run: Run, repository: str) -> str:
    """Write the card of a run's ``best.ckpt``, in the form of the Hugging Face Hub."""
    e, train, path = run.facts["evaluate"], run.results["train"], run.paths.artifacts / "best.ckpt"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    card = ModelCard.from_template(
        _header(run),
        template_path=str(TEMPLATE),
        headline=headline(run),
        repository=repository or "this repository",
        e=e,
        percent=_percent,
        per_class=run.results["evaluate"]["result"]["per_class"],
        errors=run.facts["analyse_errors"],
        fit=run.facts["train"],
        config=train["config"],
        origin=train["provenance"],
        sha256=digest,
        megabytes=f"{path.stat().st_size / 1e6:.1f}",
        place=path.parent.relative_to(run.paths.root).as_posix(),
        spatial=run.score("evaluate_spatial"),
        several=run.facts["evaluate_seeds"]["several"],
    )
    return str(card)


def _header(run: Run) -> ModelCardData:
    e = run.facts["evaluate"]
    scores = {"accuracy": ("Accuracy", e["accuracy"]), "f1": ("Macro-F1", e["macro_f1"])}
    return ModelCardData(
        language="en",
        license="mit",
        library_name="pytorch",
        pipeline_tag="image-classification",
        datasets=[DATASET],
        metrics=list(scores),
        tags=["remote-sensing", "land-cover", "sentinel-2", "eurosat"],
        model_name=f"eurosat-dilated-cnn-{run.name}",
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type=DATASET,
                dataset_name="EuroSAT RGB",
                dataset_split="test",
                metric_type=kind,
                metric_name=name,
                metric_value=round(score, 4),
            )
            for kind, (name, score) in scores.items()
        ],
    )


def _seeds(facts: dict[str, Any]) -> list[str]:
    """Say the mean of several seeds; nothing of one."""
    if not facts["several"]:
        return []
    mean, sd = facts["accuracy"]["mean"], facts["accuracy"]["sd"]
    return [f"mean of {facts['count']} seeds {_percent(mean)} ± {100 * sd:.2f}"]


def _score(facts: dict[str, Any]) -> str:
    bounds = f"{100 * facts['low']:.2f}, {100 * facts['high']:.2f}"
    return f"**{_percent(facts['accuracy'])} [{bounds}]**"


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"
