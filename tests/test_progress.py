"""Progress: what a console, a log and a notebook show of long work."""

import io
import sys
import time

from eurosat_lib import progress as room
from eurosat_lib.progress import BUILT, announce, progress


def work(monkeypatch, console, steps=4, seconds=0.25):
    """Do some steps in a built notebook, its console given."""
    monkeypatch.setenv(BUILT, "somewhere")
    monkeypatch.setattr(sys, "__stderr__", console)
    with progress("Grille", steps, "essais") as bar:
        for _ in range(steps):
            time.sleep(seconds)
            bar.update()
    return [line.strip() for line in console.getvalue().split("\r") if "Grille" in line]


def test_a_built_notebook_speaks_to_the_console_and_leaves_nothing_in_itself(monkeypatch, capsys):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    shown = [line for line in work(monkeypatch, terminal) if "3/4" in line]
    announce("chargement")
    assert shown[-1].startswith("Grille\u00a0: 75\u202f% |")
    assert shown[-1].endswith("3/4\u00a0essais · 00:00 · encore 00:00")
    assert terminal.getvalue().endswith("chargement\n")
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_a_line_now_and_then_and_of_kept_work_none(monkeypatch):
    assert work(monkeypatch, io.StringIO(), seconds=0) == []
    monkeypatch.setattr(room, "QUIET", 0.6)
    lines = work(monkeypatch, io.StringIO(), 8)
    assert 2 <= len(lines) <= 5 and "8/8" in lines[-1]
