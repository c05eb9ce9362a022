"""The course report: what notebooks display (here), how it is bound (``assemble``), how it runs.

Notebooks need four names: ``figure``, ``table``, ``capture`` and ``answer``.
"""

from eurosat_lib.report.cells import answer, capture, figure, table

__all__ = ["answer", "capture", "figure", "table"]
