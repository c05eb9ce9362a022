"""Time left of a piece of work, by the pace of what is done now."""

from __future__ import annotations

from typing import Any

HEAD_START = 0.5  # seconds: what is told this early was kept from an earlier run, not done now


class Pace:
    """The pace of one bar, from its events (``sinks.Sink``)."""

    def __init__(self, start: dict[str, Any]) -> None:
        """Take the event of its start."""
        self.began = self._since = start["time"]
        self._base = 0

    def hear(self, event: dict[str, Any]) -> None:
        """Take an event; a training that goes on tells its earlier epochs all at once."""
        if event["time"] - self.began < HEAD_START:
            self._since, self._base = event["time"], event["done"]

    def left(self, event: dict[str, Any]) -> float | None:
        """Return the seconds left at an event; ``None`` while nothing is done."""
        done = event["done"] - self._base
        if done <= 0:
            return None
        return (event["time"] - self._since) * (event["total"] - event["done"]) / done
