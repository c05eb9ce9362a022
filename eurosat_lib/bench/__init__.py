"""Time the training path against the usual loop, pairwise: ``python -m eurosat_lib.bench``."""
