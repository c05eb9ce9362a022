"""Bars: what library code says about its progress. Saying it never breaks the work."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from eurosat_lib.progress.sinks import Sink, current_sink

_numbers = itertools.count(1)
_listener: ContextVar[Sink | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(sink: Sink) -> Iterator[None]:
    """Send what is said in this thread to a sink instead of the place's own.

    What its ``feed`` raises, other than ``OSError`` and ``ValueError``, stops the work.
    """
    token = _listener.set(sink)
    try:
        yield
    finally:
        _listener.reset(token)


class Bar:
    """One piece of work in equal steps; made by ``progress``.

    Attributes:
        label: what is being done, for instance ``"grid search"``.
        total: number of steps.
        unit: name of the steps, plural.
        done: steps finished so far, 0 to ``total``.
        note: the last word about it, for instance ``"val 81.2 %"``.
    """

    def __init__(self, label: str, total: int, unit: str, sink: Sink):
        """Start the bar in a sink."""
        self.label, self.total, self.unit = label, int(total), unit
        self.done, self.note = 0, ""
        self.key = f"{os.getpid()}-{next(_numbers)}"
        self._sink = sink
        self._tell("start")

    def advance(self, n: int = 1, note: str | None = None) -> None:
        """Count ``n`` more steps as done; ``note`` replaces the last one unless ``None``."""
        self.done += n
        if note is not None:
            self.note = note
        self._tell("advance")

    def end(self) -> None:
        """Say that no more steps come, all done or not."""
        self._tell("end")

    def _tell(self, kind: str) -> None:
        fields = ("key", "label", "total", "unit", "done", "note")
        _emit(self._sink, kind, {name: getattr(self, name) for name in fields})


@contextmanager
def progress(label: str, total: int, unit: str) -> Iterator[Bar]:
    """Show a piece of work of ``total`` steps; bars may be nested.

    Example:
        with progress("training", 20, "epochs") as bar:
            for epoch in range(20):
                ...
                bar.advance(note=f"val {accuracy:.1%}")
    """
    bar = Bar(label, total, unit, _listener.get() or current_sink())
    try:
        yield bar
    finally:
        bar.end()


def announce(text: str) -> None:
    """Say one line where the bars are shown."""
    _emit(_listener.get() or current_sink(), "announce", {"text": text})


def _emit(sink: Sink, kind: str, fields: dict[str, Any]) -> None:
    with suppress(OSError, ValueError):  # a full disk, a closed stream
        sink.feed({"event": kind, "time": time.time()} | fields)
