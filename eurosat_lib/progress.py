"""Progress of long work, by tqdm: in a notebook, on a console, or from a built notebook to it."""

import os
import sys

from tqdm import auto, std

BUILT = "EUROSAT_REPORT"  # in the environment of the notebooks that make report executes
LINE = "{desc}\u00a0: {percentage:.0f}\u202f% |{bar}| {n_fmt}/{total_fmt}\u00a0{unit} · {elapsed}"
LINE += " · encore {remaining}{postfix}"
QUIET = 10.0  # seconds between two lines in a log


def progress(label: str, total: int, unit: str) -> std.tqdm:
    """Show a piece of work of ``total`` steps with the time left; label and unit are French."""
    built, console = BUILT in os.environ, sys.__stderr__
    live = not built or (console is not None and console.isatty())
    show = std.tqdm if built else auto.tqdm  # past a built notebook's outputs, to the console
    own = {"file": console if built else None, "mininterval": 0.1 if live else QUIET}
    own |= {"leave": not (built and live), "delay": 0.5}  # what was kept needs no bar
    return show(desc=label, total=int(total), unit=unit, bar_format=LINE, miniters=1, **own)


def announce(text: str) -> None:
    """Say one line where the bars are: on the console, or in a notebook in the cell's output."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    place = sys.stdout if type(shell).__name__ == "ZMQInteractiveShell" else sys.stderr
    std.tqdm.write(text, file=sys.__stderr__ if BUILT in os.environ else place)
