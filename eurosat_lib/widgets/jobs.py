"""Work in a thread, so that a notebook stays usable: stopped by a button, resumed by another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from eurosat_lib.errors import UserError, in_french
from eurosat_lib.progress import heard_by


class Stopped(Exception):
    """The work was asked to stop, between two batches."""


class Job:
    """Work in a thread: it says how far it is, and can be stopped and started again.

    Attributes:
        state: ``idle``, ``running``, ``stopped``, ``done`` or ``failed``.
        result: of the work, once done.
        error: why it failed; empty otherwise.
    """

    def __init__(self, work: Callable[[], Any], tell: Callable[[dict[str, Any]], None]) -> None:
        """Take the work, and a function that is told of its progress, in its thread.

        Args:
            work: goes on where it was when called again.
            tell: gets progress events (``progress.sinks``) and ``{"event": "state"}``.
        """
        self.work, self.tell = work, tell
        self.state, self.result, self.error = "idle", None, ""
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Start or go on; nothing if it runs or is done."""
        if self.state not in ("running", "done"):
            self._stop.clear()
            self.state = "running"
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask for a stop; the work ends at its next batch."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it runs and was asked to stop."""
        return self.state == "running" and self._stop.is_set()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the thread."""
        if self._thread:
            self._thread.join(seconds)

    def feed(self, event: dict[str, Any]) -> None:
        """Take a progress event, as a sink does.

        Raises:
            Stopped: a stop was asked for.
        """
        self.tell(event)
        if event["event"] == "advance" and self._stop.is_set():
            raise Stopped

    def _run(self) -> None:
        try:
            with heard_by(self):
                self.result = self.work()
            self.state = "done"
        except Stopped:
            self.state = "stopped"
        except UserError as error:
            self.state, self.error = "failed", in_french(error)
        except Exception as error:  # a thread's trace-back would be lost: say it in the view
            self.state, self.error = "failed", f"{type(error).__name__}: {error}"
        self.tell({"event": "state"})
