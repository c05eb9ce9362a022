"""Interactive views for JupyterLab: each is one line of a notebook cell tagged ``exploration``.

What a view computes is in plain functions, tested without a browser; the widgets only call them.
Without ipywidgets, and while a report is built, a view is one line of text.
"""

from eurosat_lib.widgets.activations import layers
from eurosat_lib.widgets.album import browse
from eurosat_lib.widgets.bench import augmentation
from eurosat_lib.widgets.matrix import confusion
from eurosat_lib.widgets.points import trials
from eurosat_lib.widgets.rates import sweep
from eurosat_lib.widgets.recognition import own_image
from eurosat_lib.widgets.risk import threshold

__all__ = [
    "augmentation",
    "browse",
    "confusion",
    "layers",
    "own_image",
    "sweep",
    "threshold",
    "trials",
]
