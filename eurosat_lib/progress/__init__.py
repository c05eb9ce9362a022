"""Progress of long work: library code calls ``progress`` and ``announce``, the place decides how.

``EUROSAT_PROGRESS=<file>``: JSON lines there, for the report runner, and nothing in a notebook's
outputs. Otherwise a tqdm bar in JupyterLab, lines on standard error elsewhere.
"""

from eurosat_lib.progress.bars import Bar, announce, heard_by, progress
from eurosat_lib.progress.display import Display, duration
from eurosat_lib.progress.pace import Pace
from eurosat_lib.progress.sinks import FILE_VARIABLE

__all__ = [
    "FILE_VARIABLE",
    "Bar",
    "Display",
    "Pace",
    "announce",
    "duration",
    "heard_by",
    "progress",
]
