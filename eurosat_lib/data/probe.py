"""Whether the Hub can be used from here: asked within bounded time, a failure remembered."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from eurosat_lib.data.entry import cache_folder
from eurosat_lib.data.hubcache import REPOSITORY, REVISION
from eurosat_lib.data.tables import one_line

PROBE_SECONDS = 7.0  # until the Hub counts as unreachable, name resolution included
REMEMBER_SECONDS = 600.0  # notebooks run one after the other take the same source


def probe() -> str | None:
    """Ask the Hub for the pinned revision, for at most ``PROBE_SECONDS``.

    Returns:
        ``None`` when it can be downloaded, else the reason why not, one line.
    """
    if is_offline():
        return "HF_HUB_OFFLINE is set, and the data set is in no local cache"
    return within(PROBE_SECONDS, _ask)


def within(seconds: float, ask: Callable[[], str | None]) -> str | None:
    """Ask the Hub for something, for so many seconds at most.

    Returns:
        What ``ask`` does: ``None``, or the reason why not; a reason too if it takes longer.
    """
    answers: list[str | None] = []
    # A daemon thread, because name resolution can hang and nothing can interrupt it.
    asking = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    asking.start()
    asking.join(seconds)
    return answers[0] if answers else f"{endpoint()} gives no answer in {seconds:g} s"


def recent_failure(what: str = "hub") -> str | None:
    """Return why the Hub could not be used a moment ago for ``what``, or ``None``."""
    try:
        stamp = json.loads(_stamp(what).read_text("utf-8"))
        fresh = 0 <= time.time() - stamp["time"] < REMEMBER_SECONDS
        return str(stamp["reason"]) if fresh and stamp["for"] == _circumstances() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember_failure(reason: str, what: str = "hub") -> None:
    """Keep a failure for ``REMEMBER_SECONDS``, for ``recent_failure`` in any process."""
    stamp = {"time": time.time(), "for": _circumstances(), "reason": reason}
    with suppress(OSError):  # without it the Hub is merely asked again
        _stamp(what).parent.mkdir(parents=True, exist_ok=True)
        _stamp(what).write_text(json.dumps(stamp), "utf-8")


def endpoint() -> str:
    """Return the address of the Hub, or of the mirror in ``HF_ENDPOINT``."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Tell whether the environment forbids the network."""
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def _ask() -> str | None:
    try:
        from huggingface_hub import HfApi

        HfApi(endpoint=endpoint()).dataset_info(
            REPOSITORY, revision=REVISION, timeout=PROBE_SECONDS
        )
    except Exception as error:  # whatever it is, the user is shown the reason
        return f"{endpoint()}: {one_line(error)}"
    return None


def _circumstances() -> list[object]:
    """What, when changed, makes a remembered failure void."""
    return [endpoint(), "HF_TOKEN" in os.environ, is_offline()]


def _stamp(what: str) -> Path:
    return cache_folder() / f"{what}-unreachable.json"
