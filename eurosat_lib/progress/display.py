"""Progress on a console: one rewritten line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from typing import Any, TextIO

from eurosat_lib.progress.pace import HEAD_START

INTERVAL = 10.0  # seconds between two lines where a line cannot be rewritten
REDRAW = 0.1  # seconds between two drawings of the rewritten line
ERASE = "\r\x1b[2K"


def duration(seconds: float) -> str:
    """Return a duration for people: ``0.4 s``, ``45 s``, ``1 min 10 s``, ``2 h 05 min``."""
    if 0.95 <= seconds < 9.95:
        return f"{seconds:.2g} s"
    if 0 < seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = round(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes:02d} min"


@dataclass
class _State:
    """What is known of a running bar; times in seconds since the epoch."""

    event: dict[str, Any]
    started: float
    since: float  # from here the pace counts
    base: float = 0.0  # share done by then

    def steps(self) -> str:
        e = self.event
        return f"{e['label']} {e['done']}/{e['total']} {e['unit']}"

    def fraction(self, inner: float) -> float:
        """Share done, 0 to 1; ``inner`` is the share of the running step."""
        total = self.event["total"]
        return min((self.event["done"] + inner) / total, 1.0) if total > 0 else 0.0


class Display:
    """Shows progress events on a text stream, with elapsed time and time left."""

    def __init__(self, stream: TextIO | None = None, interval: float = INTERVAL, indent: str = ""):
        """Choose the stream (``None``: standard error, as it is when something is shown)."""
        self._stream, self.interval, self.indent = stream, interval, indent
        self._bars: dict[str, _State] = {}
        self._left: float | None = None  # seconds, at the time of the last event
        self._heard = self._shown = 0.0
        self._live = False

    @property
    def busy(self) -> bool:
        """Whether a bar is running."""
        return bool(self._bars)

    def feed(self, event: dict[str, Any]) -> None:
        """Take one event (see ``sinks.Sink``) and show it when its time has come."""
        kind, now = event["event"], event["time"]
        if kind == "announce":
            self.say(event["text"])
            return
        if kind == "start":
            if not self._bars:
                self._shown = now
            self._bars[event["key"]] = _State(event, now, now)
        elif event["key"] in self._bars:
            self._bars[event["key"]].event = event
        self._heard, self._left = now, self._estimate(now)
        if kind == "end" and event["key"] in self._bars:
            self._end(event, now)
        else:
            self.refresh(now)

    def refresh(self, now: float | None = None) -> None:
        """Show the running bars again if their last showing is old enough."""
        now = time.time() if now is None else now
        if not self._bars or now - self._shown < (REDRAW if self._tty() else self.interval):
            return
        self._shown = now
        if self._tty():
            self._rewrite(self._line(now))
        else:
            self._print(self._line(now))

    def say(self, text: str) -> None:
        """Print a line of its own."""
        self.clear()
        self._print(text)

    def status(self, text: str) -> None:
        """Show a passing line, on a terminal only."""
        if self._tty():
            self._rewrite(text)

    def clear(self) -> None:
        """Wipe the rewritten line."""
        if self._live:
            self._out().write(ERASE)
            self._live = False

    def reset(self) -> None:
        """Forget all bars: whoever ran them is gone."""
        self.clear()
        self._bars.clear()

    def _end(self, event: dict[str, Any], now: float) -> None:
        outermost = next(iter(self._bars)) == event["key"]
        state = self._bars.pop(event["key"])
        if outermost:
            parts = [state.steps(), f"took {duration(now - state.started)}", event["note"]]
            self.say(" · ".join(part for part in parts if part))
            self._shown = now

    def _estimate(self, now: float) -> float | None:
        """Seconds left for the outermost bar, by the pace so far; ``None`` when unknown."""
        share = 0.0
        for state in reversed(self._bars.values()):
            share = state.fraction(share)
        if not self._bars:
            return None
        outer = next(iter(self._bars.values()))
        if now - outer.started < HEAD_START:
            outer.since, outer.base = now, share
        done = share - outer.base
        return (now - outer.since) * (1 - share) / done if done > 0 else None

    def _line(self, now: float) -> str:
        outer, *inner = self._bars.values()
        parts = [outer.steps(), duration(int(now - outer.started))]
        left = round((self._left or 0.0) - (now - self._heard))
        if left > 0:
            parts.append(f"about {duration(left)} left")
        if inner:
            parts.append(inner[-1].steps())
        parts.append((inner[-1] if inner else outer).event["note"] or outer.event["note"])
        return " · ".join(part for part in parts if part)

    def _rewrite(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._out().write(ERASE + (self.indent + text)[:width])
        self._out().flush()
        self._live = True

    def _print(self, text: str) -> None:
        self._out().write(f"{self.indent}{text}\n")
        self._out().flush()

    def _out(self) -> TextIO:
        return self._stream or sys.stderr

    def _tty(self) -> bool:
        return self._out().isatty()
