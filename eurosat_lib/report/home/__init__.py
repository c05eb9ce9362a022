"""The landing page of ``make lab``: the seven steps, what is computed, the runs.

``status`` finds out, ``cells`` is what the notebook ``accueil`` displays, ``prepare`` fills that
notebook in before JupyterLab opens it.
"""
