"""A small dilated CNN on EuroSAT RGB: data, checks, searches, training, evaluation, report.

Import from the rooms (``from eurosat_lib import protocol, tables``); importing the package itself
loads nothing heavy.
"""

__version__ = "0.1.0"
