"""A real Chromium, the system's or Playwright's own; without one the tests here are skipped."""

import pytest

from eurosat_lib.captures import open_browser


@pytest.fixture(scope="module")
def browser():
    """One browser for a module: while it runs, no other event loop can."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        try:
            started = open_browser(running)
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {error}")
        yield started
        started.close()
