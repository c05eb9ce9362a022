"""The results of a finished run as files to commit: ``make results NAME=…``.

``reading`` loads what a run has published, ``check`` refuses one that is not fit to be committed,
``tables_*`` lay its results out in English, ``page`` writes ``docs/RESULTS.md`` and the README's
headline, ``card`` the model card; ``tracked`` says what git has to take.
"""
