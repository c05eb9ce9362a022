"""Places that show progress: a file of JSON lines, JupyterLab; the console is in ``display``."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import Any, Protocol

from eurosat_lib.french import FIXED, nombre, pct
from eurosat_lib.progress.display import Display, duration
from eurosat_lib.progress.pace import Pace
from eurosat_lib.progress.words import in_french

FILE_VARIABLE = "EUROSAT_PROGRESS"
FILE_INTERVAL = 0.2  # seconds between two lines of one bar; its first and last always are written


class Sink(Protocol):
    """A place that shows progress events."""

    def feed(self, event: dict[str, Any]) -> None:
        """Take one event: start, advance, end (fields of ``Bar``), or announce (``text``)."""


class FileSink:
    """Appends events to a file as JSON lines, each with one atomic write."""

    def __init__(self, path: str):
        """Remember the path; the first event creates the file."""
        self.path = path
        self._last: dict[str, float] = {}

    def feed(self, event: dict[str, Any]) -> None:
        """Write the event, unless its bar has been heard of a moment ago."""
        if event["event"] == "advance" and event["done"] < event["total"]:
            if event["time"] - self._last.get(event["key"], 0.0) < FILE_INTERVAL:
                return
            self._last[event["key"]] = event["time"]
        line = json.dumps(event, ensure_ascii=False) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


class JupyterSink:
    """Shows tqdm bars below the running cell, in French; an inner bar vanishes when it ends."""

    def __init__(self) -> None:
        """Start without bars."""
        self._bars: dict[str, tuple[Any, Pace]] = {}

    def feed(self, event: dict[str, Any]) -> None:
        """Make, move or close the tqdm bar of the event; print an announcement."""
        if event["event"] == "announce":
            print(in_french(event["text"]))
        elif event["event"] == "start":
            self._bars[event["key"]] = (self._start(event), Pace(event))
        else:
            bar, pace = self._bars[event["key"]]
            pace.hear(event)
            left = pace.left(event) if event["event"] == "advance" else None
            bar.told = tell(event, event["time"] - pace.began, left)
            bar.update(event["done"] - bar.n)
            if event["event"] == "end":
                self._bars.pop(event["key"])
                bar.refresh()
                bar.close()

    def _start(self, event: dict[str, Any]) -> Any:
        label, form = (
            f"{in_french(event['label'])} : ".replace(" ", FIXED),
            "{desc}{share} {bar} {told}",
        )
        options = {"bar_format": form, "leave": not self._bars, "miniters": 1}
        return _bar()(total=event["total"], desc=label, **options)


def tell(event: dict[str, Any], elapsed: float, left: float | None) -> str:
    """Say in French what stands behind a bar: steps, seconds so far and left, the last note."""
    steps = f"{nombre(event['done'])} / {nombre(event['total'])} {in_french(event['unit'])}"
    parts = [steps, duration(round(elapsed))]
    if left is not None and left >= 1:
        parts.append(f"encore environ {duration(round(left))}")
    told = " · ".join([*parts, *filter(None, [in_french(event["note"])])])
    return told.replace(" ", FIXED)  # tqdm widens plain spaces


@cache
def _bar() -> Any:
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        told = ""

        @property
        def format_dict(self) -> dict[str, Any]:
            known = super().format_dict
            return known | {"share": pct(self.n / (self.total or 1), 0), "told": self.told}

    return Bar


_sinks: dict[str, Sink] = {}


def current_sink() -> Sink:
    """Return the sink of this place: one object per place, so that nested bars meet."""
    path = os.environ.get(FILE_VARIABLE)
    place = path or ("jupyter" if _in_jupyter() else "console")
    if place not in _sinks:
        if path:
            _sinks[place] = FileSink(path)
        else:
            _sinks[place] = JupyterSink() if place == "jupyter" else Display()
    return _sinks[place]


def _in_jupyter() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"
