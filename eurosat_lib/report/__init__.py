"""The course report: what notebooks display (here), how it is bound (``assemble``), how it runs.

Notebooks need three names: ``figure``, ``table`` and ``answer``.
"""

from eurosat_lib.report.cells import answer, figure, table

__all__ = ["answer", "figure", "table"]
