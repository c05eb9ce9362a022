"""The course report: what notebooks display, how they are bound (``export``) and run (``run``).

Notebooks need four names: ``figure``, ``table``, ``capture`` and ``answer``.
"""

__all__ = ["answer", "capture", "figure", "table"]


def __getattr__(name: str) -> object:  # so that a command is stopped at once, from its start
    if name not in __all__:
        raise AttributeError(name)
    from eurosat_lib.report import cells

    return getattr(cells, name)
