"""TensorBoard photographed for the report: ``python -m eurosat_lib.captures``."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eurosat_lib.config import Config, load_config
from eurosat_lib.errors import UserError
from eurosat_lib.files import read_json
from eurosat_lib.tracking import run_key

VIEWS = {  # picture -> stage, or factors compared; cards of the Time Series tab (none: HParams)
    "overfit": (["overfit_small"], ["train/accuracy", "train/loss"]),
    "lr_finder": (["lr_finder"], ["lr_finder/loss", "lr_finder/lr"]),
    "grid": (["grid_search"], []),
    "train": (["train"], ["train/accuracy", "val/accuracy", "train/loss", "val/loss"]),
    "compare_lr": (["lr"], ["train/loss", "val/accuracy"]),
    "compare_wd": (["weight_decay"], ["train/accuracy", "val/accuracy"]),
    "compare_model": (["dilation_stage3", "blocks_per_stage"], ["val/accuracy", "val/loss"]),
}
SIZE = {"width": 720, "height": 756}  # on 16.5 cm of paper, letters of 11 pixels have 7.2 points
PATIENCE = 60.0  # seconds for TensorBoard to read the runs, and for a page to be drawn
SETTINGS = {"scalarSmoothing": 0, "ignoreOutliers": False, "stepSelectorEnabled": True}
SETTINGS |= {"timeSeriesSettingsPaneOpened": False}
PALETTE = re.compile('lightHex:"#[0-9a-f]{6}"')  # in TensorBoard's script, in the order of runs
STYLE = """
.sidebar, .expand-collapsed-sidebar, .controls, metrics-main-view .toolbar, .group-toolbar,
app-header mat-toolbar > :not(.brand, .plugins), plugin-selector mat-form-field, .expand-button,
.mat-mdc-tab-header-pagination, .add-button-column, tb-data-table-content-cell:nth-child(n+4),
tb-data-table-header-cell:nth-child(n+4) { display: none !important; }
plugin-selector { margin-left: 24px; }
.card-grid { grid-template-columns: 1fr 1fr !important; padding: 8px !important; }
.chart-container, .data-table-container { resize: none !important; }
.data-table-container { height: auto !important; min-height: 0 !important; }
.data-table { font-size: 12px !important; width: auto !important; }
"""
TABLE = """(columns, widths) => columns.forEach((column, n) =>
  Object.assign(column, {width: `${widths[n]}em`, hidden: !widths[n], flexGrow: 0}))"""
WIDTHS = (14, 0, 5.6, 5.6, 7.6, 8.2, 5.9)  # of the columns: trial, a button, factors, score


@dataclass(frozen=True)
class Capture:
    """A picture of TensorBoard: the name of its view, the PNG file, what it shows in French."""

    name: str
    path: Path
    alt: str


def find_captures(config: Config) -> dict[str, Capture]:
    """Return the pictures that are not older than the events they show, by name."""
    found = {}
    for name, runs in _shown_runs(config).items():
        path = config.paths.artifacts / "captures" / f"{name}.png"
        events = [file.stat().st_mtime for run in runs.values() for file in run.glob("events*")]
        if events and path.is_file() and path.stat().st_mtime >= max(events):
            what = ", ".join(VIEWS[name][1]) or "tableau HParams, par score décroissant"
            found[name] = Capture(name, path, f"Page de TensorBoard. {what} : {', '.join(runs)}.")
    return found


def _shown_runs(config: Config) -> dict[str, dict[str, Path]]:
    """Return the finished runs of each view: name -> folder."""
    facts, shown = _compared(config), {}
    for name, (sources, _) in VIEWS.items():
        compared = name.startswith("compare_")
        stage = facts.get("source", "none") if compared else sources[0]
        names = [c["name"] for factor in sources for c in facts.get(factor, {}).get("curves", [])]
        folders = [f for f in sorted((config.paths.runs / stage).glob("*")) if run_key(f)]
        shown[name] = {f.name: f for f in folders if not compared or f.name in names}
    return shown


def _compared(config: Config) -> dict[str, Any]:
    return (read_json(config.paths.artifacts / "facts.json") or {}).get("compare_curves", {})


def take_captures(config: Config) -> Iterator[Path]:
    """Photograph the views that have runs, one after the other, by a headless Chromium.

    Raises:
        UserError: nothing to show, no browser, or a page that is not drawn.
    """
    from playwright.sync_api import Error, sync_playwright

    from eurosat_lib.plots import style

    views = {name: runs for name, runs in _shown_runs(config).items() if runs}
    if not views:
        raise UserError(f"{config.paths.runs}: no runs to show yet; compute them: make report")
    folder = config.paths.artifacts / "captures"
    folder.mkdir(parents=True, exist_ok=True)
    known = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    own = os.environ.get("CHROMIUM") or next(known, None)  # none: Playwright's
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])
            for name, runs in views.items():
                page = browser.new_page(viewport=SIZE, device_scale_factor=2)
                colours = dict(zip(runs, itertools.cycle(style.SEED_COLOURS), strict=False))
                colours |= style.run_colours(_compared(config)) if "compare" in name else {}
                picture = _photograph(page, VIEWS[name][1], runs, colours)
                (folder / f"{name}.png").write_bytes(picture)
                yield folder / f"{name}.png"
    except Error as error:
        raise UserError(f"no picture of TensorBoard: {str(error).splitlines()[0]}") from None


def _photograph(
    page: Any, tags: list[str], runs: Mapping[str, Path], colours: Mapping[str, str]
) -> bytes:
    """Open TensorBoard on some runs alone, in our figures' colours; return a PNG of its page."""
    with TemporaryDirectory() as folder:
        for name, path in runs.items():
            shutil.copytree(path, Path(folder, name))
        address, order = _serve(folder, len(runs))
        wanted = [colours[name] for name in order]
        page.set_default_timeout(1000 * PATIENCE)
        kept = json.dumps(json.dumps(SETTINGS))
        page.add_init_script(f"localStorage.setItem('_tb_global_settings', {kept})")
        page.route("**/index.js*", lambda route: _repaint(route, iter(wanted)))
        tab = f"tagFilter=^({'|'.join(tags)})$#timeseries" if tags else "#hparams"
        page.goto(f"{address}?darkMode=false&{tab}")
        page.add_style_tag(content=STYLE)
        _set_cards(page, tags) if tags else _set_table(page)
        page.wait_for_timeout(1000)  # the last animation
        picture = page.screenshot(animations="disabled")
        page.close()
    return picture


def _serve(folder: str, count: int) -> tuple[str, list[str]]:
    """Start TensorBoard; return its address and its runs, in the order of its colours."""
    from tensorboard import program

    server, order, start = program.TensorBoard(), [], time.monotonic()
    options = {"logdir": folder, "port": "0", "load_fast": "false", "reload_interval": "0"}
    server.configure([None, *(f"--{name}={value}" for name, value in options.items())])
    address = server.launch()
    while len(order) < count and time.monotonic() < start + PATIENCE:
        time.sleep(0.2)
        order = json.load(urllib.request.urlopen(f"{address}data/runs"))
    return address, order


def _repaint(route: Any, wanted: Iterator[str]) -> None:
    answer = route.fetch()
    script = PALETTE.sub(lambda old: f'lightHex:"{next(wanted, "#888888")}"', answer.text())
    route.fulfill(response=answer, body=script)


def _set_cards(page: Any, tags: list[str]) -> None:
    """Wait for the curves, then fit the window to them."""
    page.set_viewport_size(SIZE | {"height": 1500})  # only what is seen is drawn
    cards = page.locator("scalar-card")
    cards.nth(len(tags) - 1).wait_for()
    for card in cards.all():
        card.locator("line-chart .series-view").first.wait_for(state="attached")
        card.locator("mat-spinner").wait_for(state="detached")
    for card in cards.filter(has_text="lr_finder/lr").all():
        card.locator("button[aria-label*=More]").evaluate("button => button.click()")
        page.locator(".mat-mdc-menu-panel button").filter(has_text="log scale").click()
    bottom = max(box["y"] + box["height"] for box in (card.bounding_box() for card in cards.all()))
    page.set_viewport_size(SIZE | {"height": round(bottom) + 8})


def _set_table(page: Any) -> None:
    """Sort the trials by score; leave out the columns that say nothing here."""
    pane = page.locator("tf-hparams-query-pane")
    for name in ("seed", "hparam/best_val_accuracy"):
        pane.locator("paper-checkbox").filter(has_text=name).click()
    for label, choice in (("Sort by", "hparam/score"), ("Direction", "Descending")):
        menu = pane.locator(f"paper-dropdown-menu[label='{label}']")
        menu.click()
        menu.locator("paper-item").filter(has_text=choice).click()
        page.wait_for_timeout(600)
    page.set_viewport_size(SIZE | {"width": 756})
    pane.evaluate("pane => { pane.parentElement.style.display = 'none' }")
    page.locator("tf-hparams-sessions-pane vaadin-grid-column").evaluate_all(TABLE, WIDTHS)


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m eurosat_lib.captures", description=__doc__)
    parser.add_argument("--name", default="", help="of the run: runs/NAME, artifacts/NAME")
    name = parser.parse_args(arguments).name
    try:
        for path in take_captures(load_config(overrides={"paths.name": name})):
            print(os.path.relpath(path), flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
