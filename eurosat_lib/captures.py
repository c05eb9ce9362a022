"""TensorBoard photographed for the report (``make captures``)."""

import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.files import is_frozen, read_json, replacing, write_json
from eurosat_lib.tracking import run_key

VIEWS = {  # picture -> stage, or factors compared; cards of the Time Series tab
    "overfit": (["overfit_small"], ["train/accuracy", "train/loss"]),
    "lr_finder": (["lr_finder"], ["lr_finder/loss", "lr_finder/lr"]),
    "train": (["train"], ["train/accuracy", "val/accuracy", "train/loss", "val/loss"]),
    "compare_lr": (["lr"], ["train/loss", "val/accuracy"]),
    "compare_wd": (["weight_decay"], ["train/accuracy", "val/accuracy"]),
    "compare_model": (["dilation_stage3", "blocks_per_stage"], ["val/accuracy", "val/loss"]),
}
WIDTH = 690  # pixels, of two or four cards, 16 cm on paper: letters of 11 have 7 points
SCREEN = {"viewport": {"width": WIDTH, "height": 1500}, "device_scale_factor": 2}
PATIENCE = 60.0  # seconds for TensorBoard to read the runs, and for a page to be drawn
SETTINGS = {"scalarSmoothing": 0, "ignoreOutliers": False, "stepSelectorEnabled": True}
SETTINGS |= {"timeSeriesSettingsPaneOpened": False}
PALETTE = re.compile('lightHex:"#[0-9a-f]{6}"')  # in TensorBoard's script, in the order of runs
STYLE = Path(__file__).resolve().parents[1] / "reports" / "template" / "tensorboard.css"


def find_captures(config: Config) -> dict[str, tuple[Path, str]]:
    """Return the pictures of the runs as they are now: name -> PNG, alt text.

    With ``FROZEN=1`` all that there are: TensorBoard's files need not have come along.
    """
    found, shown = {}, _shown_runs(config)
    for name in VIEWS:
        path = config.paths.artifacts / "captures" / f"{name}.png"
        keys = read_json(path.with_suffix(".json"))
        if path.is_file() and keys and (is_frozen() or keys == _keys(shown.get(name, {}))):
            alt = f"Page de TensorBoard. {', '.join(VIEWS[name][1])} : {', '.join(keys)}."
            found[name] = path, alt
    return found


def _shown_runs(config: Config) -> dict[str, dict[str, Path]]:
    """Return the finished runs of each view that has some: name -> folder."""
    facts, shown = _compared(config), {}
    for name, (sources, _) in VIEWS.items():
        stage, wanted = sources[0], None  # all runs of this stage
        if name.startswith("compare_"):  # sources are factors: the trials that differ in them
            stage = facts.get("source", "none")
            parts = [facts.get(factor, {}).get("curves", []) for factor in sources]
            wanted = {curve["name"] for curves in parts for curve in curves}
        folders = [f for f in sorted((config.paths.runs / stage).glob("*")) if run_key(f)]
        if runs := {f.name: f for f in folders if wanted is None or f.name in wanted}:
            shown[name] = runs
    return shown


def _keys(runs: dict[str, Path]) -> dict[str, str]:
    """Return what a picture is of, kept beside it: run -> key of the result it shows."""
    return {name: run_key(folder) for name, folder in runs.items()}


def _compared(config: Config) -> dict[str, Any]:
    return (read_json(config.paths.artifacts / "facts.json") or {}).get("compare_curves", {})


def open_browser(playwright: Any) -> Any:
    """Start the Chromium of ``$CHROMIUM``, of the system, or Playwright's own."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


def take_captures(config: Config) -> Iterator[Path]:
    """Photograph the views that have runs; nothing to show, or no browser, is a UserError."""
    from playwright.sync_api import Error, sync_playwright

    from eurosat_lib.plots import style

    views, folder = _shown_runs(config), config.paths.artifacts / "captures"
    if not views:
        raise UserError(f"{config.paths.runs}: no runs to show yet; compute them: make report")
    try:
        with sync_playwright() as playwright:
            browser = open_browser(playwright)
            for name, runs in views.items():
                colours = dict(zip(runs, itertools.cycle(style.SEED_COLOURS), strict=False))
                colours |= style.run_colours(_compared(config)) if "compare" in name else {}
                keys, picture = _keys(runs), _photograph(browser, VIEWS[name][1], runs, colours)
                with replacing(folder / f"{name}.png") as partial:
                    partial.write_bytes(picture)
                write_json(folder / f"{name}.json", keys)  # last: of no older picture
                yield folder / f"{name}.png"
    except Error as error:
        raise UserError(f"no picture of TensorBoard: {str(error).splitlines()[0]}") from None


def _photograph(browser: Any, tags: list[str], runs: dict[str, Path], colours: dict) -> bytes:
    """Open TensorBoard on some runs alone, in our figures' colours; return a PNG of its page."""
    from tensorboard import program

    with TemporaryDirectory() as folder, browser.new_page(**SCREEN) as page:
        for name, path in runs.items():
            shutil.copytree(path, Path(folder, name))
        server, order, start = program.TensorBoard(), [], time.monotonic()
        options = {"logdir": folder, "port": "0", "load_fast": "false", "reload_interval": "0"}
        server.configure([None, *(f"--{name}={value}" for name, value in options.items())])
        address = server.launch()
        while len(order) < len(runs) and time.monotonic() < start + PATIENCE:
            page.wait_for_timeout(200)
            order = page.request.get(f"{address}data/runs").json()  # in the order of its colours
        wanted = iter([colours[name] for name in order])
        page.set_default_timeout(1000 * PATIENCE)
        kept = json.dumps(json.dumps(SETTINGS))
        page.add_init_script(f"localStorage.setItem('_tb_global_settings', {kept})")
        page.route("**/index.js*", lambda route: _repaint(route, wanted))
        page.goto(f"{address}?darkMode=false&tagFilter=^({'|'.join(tags)})$#timeseries")
        page.add_style_tag(path=STYLE)
        _fit(page, len(tags))
        page.wait_for_timeout(1000)  # the last animation
        return page.screenshot(animations="disabled")


def _repaint(route: Any, wanted: Iterator[str]) -> None:
    answer = route.fetch()
    script = PALETTE.sub(lambda old: f'lightHex:"{next(wanted, "#888888")}"', answer.text())
    route.fulfill(response=answer, body=script)


def _fit(page: Any, count: int) -> None:
    """Wait for the curves, then fit the window to their cards."""
    cards = page.locator("scalar-card")
    cards.nth(count - 1).wait_for()
    for card in cards.all():
        card.locator("line-chart .series-view").first.wait_for(state="attached")
        card.locator("mat-spinner").wait_for(state="detached")
    for card in cards.filter(has_text="lr_finder/lr").all():
        card.locator("button[aria-label*=More]").evaluate("button => button.click()")
        page.locator(".mat-mdc-menu-panel button").filter(has_text="log scale").click()
    bottom = max(box["y"] + box["height"] for box in (card.bounding_box() for card in cards.all()))
    page.set_viewport_size(page.viewport_size | {"height": round(bottom) + 8})
