"""The model card of a run's checkpoint, in the form of the Hugging Face Hub."""

from __future__ import annotations

from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from eurosat_lib.data.audit import Audit, Overlaps
from eurosat_lib.evaluation import Errors, Evaluation, Seeds
from eurosat_lib.progress import duration
from eurosat_lib.report.results import tables
from eurosat_lib.report.results.english import interval, number, percent, points
from eurosat_lib.report.results.page import headline, render
from eurosat_lib.report.results.reading import Results
from eurosat_lib.spatial import SplitComparison
from eurosat_lib.training.checkpoint import sha256
from eurosat_lib.training.final import Training

DATASET = "timm/eurosat-rgb"
TABLES = ("metrics", "per_class", "split_scores", "configuration", "environment")


def model_card(r: Results, repository: str) -> str:
    """Write the card.

    Args:
        r: of the run; its ``best.ckpt`` is described.
        repository: address of the code, empty if there is none.

    Raises:
        UserError: a result is missing, or of another version of the library.
    """
    content = {name: tables.TABLES[name](r) for name in TABLES}
    content |= _network(r) | _data(r) | _limits(r) | _training(r)
    return render(
        "MODEL_CARD.md.j2",
        r,
        **content,
        header=_header(r),
        headline=headline(r),
        repository=f"<{repository}>" if repository else "this repository",
    )


def _header(r: Results) -> str:
    """Return the card's YAML: licence, tags, and the scores in the Hub's form."""
    e = r.need(Evaluation)
    scores = {"accuracy": ("Accuracy", e.accuracy), "f1": ("Macro-F1", e.macro_f1)}
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=DATASET,
            dataset_name="EuroSAT RGB",
            dataset_split="test",
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 4),
        )
        for kind, (name, value) in scores.items()
    ]
    return ModelCardData(
        language="en",
        license="mit",
        library_name="pytorch",
        pipeline_tag="image-classification",
        datasets=[DATASET],
        metrics=["accuracy", "f1"],
        tags=["remote-sensing", "land-cover", "sentinel-2", "eurosat"],
        model_name=f"eurosat-dilated-cnn-{r.run.name or 'run'}",
        eval_results=results,
    ).to_yaml(line_break="\n")


def _network(r: Results) -> dict[str, Any]:
    e, config, path = r.need(Evaluation), r.config, r.folder / "best.ckpt"
    return {
        "parameters": number(e.parameters),
        "blocks": e.hyperparameters.blocks_per_stage,
        "dilation": e.hyperparameters.dilation_stage3,
        "channels": ", ".join(map(str, config["model"]["channels"])),
        "size": config["data"]["image_size"],
        "classes": e.classes,
        "megabytes": f"{path.stat().st_size / 1e6:.1f}",
        "sha": sha256(path),
        "commit": r.origin("train").get("commit", ""),
    }


def _data(r: Results) -> dict[str, Any]:
    config, fit, e = r.config, r.need(Training).fit, r.need(Evaluation)
    return {
        "dataset": DATASET,
        "train_images": number(fit.train_images),
        "validation_images": number(fit.validation_images),
        "n": number(e.n),
        "fingerprint": r.trees["train"]["scope"]["data"][:16],
        "mean": tuple(config["preprocess"]["mean"]),
        "std": tuple(config["preprocess"]["std"]),
        "augment": config["augment"],
        "lists": "published" if r.need(Audit).published_lists else "run's own",
        "opened": sum(row["sha256"] == e.checkpoint_sha256 for row in tables.opened(r)),
        "level": percent(e.confidence_level, 0),
    }


def _limits(r: Results) -> dict[str, Any]:
    e, errors, cut = r.need(Evaluation), r.need(Errors), r.get(SplitComparison)
    worst = min(e.per_class, key=lambda score: score.f1)
    shared = r.need(Overlaps).facts()["test_images"]
    spatial = None
    if cut and not cut.absent:
        gap, bounds = cut.gap()
        spatial = {
            "accuracy": f"{percent(cut.spatial.accuracy)} {interval(cut.interval(cut.spatial))}",
            "standard": percent(cut.standard.accuracy),
            "gap": points(gap, bounds),
        }
    return {
        "spatial": spatial,
        "overlap": f"; {number(shared)} test tiles share ground with a tile of another split",
        "doubtful": number(sum(errors.doubtful)),
        "worst": f"{worst.name}, F1 {percent(worst.f1, 1)} "
        f"{interval(worst.interval('f1', e.confidence_level), 1)}",
        "excess": points(errors.before.excess, errors.before.excess_interval),
        "ece": percent(errors.before.ece),
        "temperature": number(errors.temperature, 3),
        "several": r.need(Seeds).several,
    }


def _training(r: Results) -> dict[str, Any]:
    origin = r.origin("train")
    return {
        "seconds": duration(origin["seconds"]).capitalize(),
        "device": origin["device"],
        "precision": origin["precision"],
        "tested": r.origin("evaluate")["precision"],
        "pace": tables.pace(r),
    }
