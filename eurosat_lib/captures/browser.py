"""A headless Chromium: the system's, or the one that Playwright has downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from eurosat_lib.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
COMMANDS += ("microsoft-edge", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
VARIABLE = "CHROMIUM"  # names a browser of one's own
INSTALL = (
    "no Chromium was found: install one ('apt-get install chromium', Chrome or Edge), "
    f"download Playwright's ('playwright install chromium'), or set {VARIABLE} to its path"
)


def system_chromium() -> str | None:
    """Return the path of ``$CHROMIUM`` or of the system's Chromium, Chrome or Edge, if any.

    Raises:
        UserError: ``$CHROMIUM`` names no program.
    """
    if wanted := os.environ.get(VARIABLE):
        if found := shutil.which(wanted):
            return found
        raise UserError(f"{VARIABLE}={wanted}: no such program")
    found = next(filter(None, map(shutil.which, COMMANDS)), None)
    return found or next((place for place in PLACES if Path(place).exists()), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless Chromium; close it at the end.

    Raises:
        UserError: there is none, or Playwright, which drives it, is not installed.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UserError("Playwright drives the browser: pip install playwright") from None
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright) -> Browser:
    path = system_chromium()
    if path is None and not Path(playwright.chromium.executable_path).exists():
        raise UserError(INSTALL)
    # In a container, and as root, Chromium's sandbox cannot be made; it reads loopback pages only.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"]
    return playwright.chromium.launch(executable_path=path, args=arguments)
