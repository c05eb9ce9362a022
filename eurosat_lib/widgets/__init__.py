"""Interactive views for JupyterLab: each is one line of a notebook cell tagged ``exploration``.

What a view computes is in plain functions, tested without a browser; the widgets only call them.
Without ipywidgets, and while a report is built, a view is one line of text.
"""

from eurosat_lib.widgets.augmentation import augmentation
from eurosat_lib.widgets.browse import browse
from eurosat_lib.widgets.confusion import confusion
from eurosat_lib.widgets.live import train
from eurosat_lib.widgets.own_image import own_image
from eurosat_lib.widgets.risk import threshold
from eurosat_lib.widgets.runs import runs
from eurosat_lib.widgets.sweep import sweep
from eurosat_lib.widgets.trials import trials

__all__ = [
    "augmentation",
    "browse",
    "confusion",
    "own_image",
    "runs",
    "sweep",
    "threshold",
    "train",
    "trials",
]
