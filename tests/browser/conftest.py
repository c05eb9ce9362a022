"""A real Chromium, the system's or Playwright's own; without one the tests here are skipped."""

import os
import shutil

import pytest


@pytest.fixture(scope="module")
def browser():
    """One browser for a module: while it runs, no other event loop can."""
    playwright = pytest.importorskip("playwright.sync_api")
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with playwright.sync_playwright() as running:
        try:
            started = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {error}")
        yield started
        started.close()


@pytest.fixture
def visit(browser, address):
    """Open the page in a fresh context; ``requests`` and ``errors`` collect what happens there."""
    contexts = []

    def open_page(**options):
        context = browser.new_context(**({"viewport": {"width": 1400, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.requests, page.errors = [], []
        context.route("**/*", lambda route: _count(route, page.requests, address))
        page.on("console", lambda m: page.errors.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


def _count(route, requests, address):
    """Let the page itself through, and nothing else."""
    if route.request.url.partition("#")[0] == address:
        route.continue_()
    else:
        requests.append(route.request.url)
        route.abort()
