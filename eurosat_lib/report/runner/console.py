"""What the runner says while it works: a header per notebook, live progress, a closing line."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from eurosat_lib.progress import Display, duration

SILENCE = 30.0  # seconds without progress after which a log says that the notebook still runs


class Tail:
    """Reads a growing file of JSON lines; half a line waits for its other half."""

    def __init__(self, path: Path):
        """Start at the beginning of a file that need not exist yet."""
        self.path, self._offset = path, 0

    def events(self) -> list[dict[str, Any]]:
        """Return the events written since the last call."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class Console:
    """The runner's voice, on standard output unless told otherwise."""

    def __init__(self, stream: TextIO | None = None, interval: float = 10.0):
        """Choose the stream, and the seconds between two progress lines in a log."""
        self.stream = stream or sys.stdout
        self._display = Display(self.stream, interval, indent="      ")
        self._tail: Tail | None = None
        self._started = self._spoken = 0.0

    def line(self, text: str) -> None:
        """Say one line."""
        self._display.clear()
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def begin(self, title: str, events: Path | None = None) -> None:
        """Open a piece of work.

        Args:
            title: for instance ``[3/7] 03_model_checks``.
            events: file where its progress will be written.
        """
        self.line(title)
        self._tail = Tail(events) if events else None
        self._started = self._spoken = time.time()

    def tick(self) -> None:
        """Show the progress made since the last tick."""
        now = time.time()
        for event in self._tail.events() if self._tail else ():
            self._display.feed(event)
            self._spoken = now
        if self._display.busy:
            self._display.refresh(now)
            self._spoken = now
        elif now - self._spoken >= SILENCE and not self.stream.isatty():
            self._display.say(f"still running, {duration(now - self._started)}")
            self._spoken = now
        else:
            self._display.status(duration(int(now - self._started)))

    def finish(self, verdict: str = "done") -> float:
        """Close it: say how long it took, return that in seconds."""
        self.tick()
        self._display.reset()
        took = time.time() - self._started
        self.line(f"      {verdict} in {duration(took)}")
        return took

    def abandon(self) -> None:
        """Wipe the live line: what was running is gone."""
        self._display.reset()
