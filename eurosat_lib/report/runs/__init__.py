"""The runs of a project beside each other: list, comparison, sweeps, reproduction.

``reading`` finds the runs, ``settings`` says what differs in their parameters, ``page`` writes
HTML; ``index`` and ``comparison`` are the two pages, ``sweep`` and ``reproduce`` start runs.
"""
