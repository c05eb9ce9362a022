"""The list of all runs in a real browser: light, dark, phone."""

from pathlib import Path

import pytest

from eurosat_lib import protocol
from eurosat_lib.config import override
from eurosat_lib.report.runs import write_index

LOOKS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


@pytest.fixture
def address(on_blobs, monkeypatch):
    monkeypatch.chdir(on_blobs.paths.root)
    for name, rate in (("", 1e-2), ("slow", 3e-4)):
        run = override(on_blobs, {"paths.name": name, "train.lr": rate, "train.max_epochs": 1})
        protocol.train(run)
        protocol.evaluate(run)
    return write_index(Path(on_blobs.paths.root)).as_uri()


def test_the_page_is_whole_and_open_to_all(visit):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs: pip install axe-playwright-python"
    )
    for look, options in LOOKS.items():
        page = visit(**options)
        width = page.viewport_size["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, look
        assert page.requests == [] and page.errors == []
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
