"""What all stages share: keys, cache, publication, and the results of earlier stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import Interrupted
from eurosat_lib.record import Record
from eurosat_lib.stages import cache, files, publish
from eurosat_lib.stages.sealed import sealed_result
from eurosat_lib.training.records import Hyperparameters

R = TypeVar("R", bound=Record)

# Keys of the configuration that groups of stages read.
IMAGES = ("data.image_size", "preprocess")
FITTING = (
    *IMAGES,
    "seed",
    "data.batch_size",
    "data.validation_limit",
    "augment",
    "model.channels",
)
BATCHES = (*IMAGES, "seed", "data.batch_size", "data.train_limit", "augment")
DEVICE = ("device", "precision", "processor")  # entries of a provenance


def run_stage(
    config: Config,
    kind: type[R],
    module: str,
    reads: Iterable[str],
    compute: Callable[[Path], R],
    labels: Mapping[str, Any] | None = None,
    **inputs: Any,
) -> R:
    """Load or compute the result of a stage, and publish it.

    Args:
        config: the whole configuration.
        kind: type of the result; its ``stage`` is the name.
        module: room that computes, below ``eurosat_lib``.
        reads: dotted keys of the configuration that it reads.
        compute: gets the stage's folder.
        labels: fields to set on the result, loaded or computed: what is said about it, not
            what it depends on.
        inputs: whatever else the result depends on.
    """
    result, origin = keep_stage(config, kind, module, reads, compute, **inputs)
    result = result.model_copy(update=dict(labels or {}))
    if cache.may_compute():  # a dry run changes nothing
        publish.publish(config, result, origin, scope(config))
    cache.remember(result)
    return result


def keep_stage(
    config: Config,
    kind: type[R],
    module: str,
    reads: Iterable[str],
    compute: Callable[[Path], R],
    **inputs: Any,
) -> tuple[R, dict[str, Any]]:
    """Load or compute a result without publishing it; arguments as in :func:`run_stage`.

    What git holds of a run comes first.

    Returns:
        The result and its provenance.

    Raises:
        Interrupted: stopped by Ctrl-C or JupyterLab's stop button.
    """
    fingerprint = load_dataset(config).fingerprint
    key = cache.stage_key(config, kind.stage, f"eurosat_lib.{module}", reads, fingerprint, inputs)
    folder = cache.stage_folder(config, kind.stage, key).name
    taken = cache.parse(sealed_result(config, kind.stage, folder, fingerprint, inputs), kind)
    try:
        return taken or cache.cached(config, kind, kind.stage, key, compute)
    except KeyboardInterrupt:
        raise Interrupted from None


def scope(config: Config) -> dict[str, Any]:
    """Return what two results must share to speak of the same experiment."""
    return {
        "data": load_dataset(config).fingerprint,
        "image_size": config.data.image_size,
        "batch_size": config.data.batch_size,
        "preprocess": config.preprocess.model_dump(mode="json"),
        "augment": config.augment.model_dump(mode="json"),
        "channels": list(config.model.channels),
        "profile": config.profile,
    }


def latest(config: Config, kind: type[R]) -> R | None:
    """Return the last published result of a stage in this run, if it is of the same experiment."""
    return cache.remembered(kind) or publish.published(config, kind, scope(config))


def standing(config: Config, kind: type[R]) -> R | None:
    """Return the published result of a sealed run; ``None`` for any other run."""
    return latest(config, kind) if config.paths.sealed else None


def provenance(config: Config, kind: type[Record]) -> dict[str, Any]:
    """Return where, when and with what the published result of a stage was computed."""
    tree = files.read_json(publish.result_path(config, kind.stage))
    return tree["provenance"] if tree else {}


def same_machine(config: Config, *results: Record | None) -> bool:
    """Tell whether these published results come from equal devices: only then do times compare.

    One that names no processor, computed by an older version, equals only others that name none.
    """
    origins = [provenance(config, type(result)) for result in results if result]
    return len({tuple(origin.get(entry) for entry in DEVICE) for origin in origins}) <= 1


def fallback_point(config: Config) -> Hyperparameters:
    """Return the configuration's own point, for a run without any search."""
    return Hyperparameters(
        lr=config.train.fallback_lr,
        weight_decay=config.train.fallback_weight_decay,
        blocks_per_stage=config.model.blocks_per_stage,
        dilation_stage3=config.model.dilation_stage3,
    )
