"""Run the notebooks that are out of date with papermill, then bind the report.

``plan``, ``options`` and ``parameters`` check what the user asks for, ``incremental`` tells what
is out of date, ``execution`` runs a notebook, ``console`` shows it, ``binding`` calls
``assemble``.
"""

from eurosat_lib.report.runner.plan import Request
from eurosat_lib.report.runner.run import build

__all__ = ["Request", "build"]
