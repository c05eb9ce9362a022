"""How long the stages will take on this machine, measured on a few real training steps."""

from eurosat_lib.estimate.pipeline import NOTEBOOK_STAGES, TIMED
from eurosat_lib.estimate.speed import seconds_per_image
from eurosat_lib.estimate.work import kept_stages, notebook_seconds, stage_seconds

__all__ = [
    "NOTEBOOK_STAGES",
    "TIMED",
    "kept_stages",
    "notebook_seconds",
    "seconds_per_image",
    "stage_seconds",
]
