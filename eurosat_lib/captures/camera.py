"""Photograph a page of TensorBoard once everything on it has been drawn."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from PIL import Image

from eurosat_lib.captures.views import View
from eurosat_lib.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Locator, Page

WIDTH = 940  # CSS pixels: on 16 cm of paper, TensorBoard's letters are 6 to 8 points high
WIDE, TALL = 1300, 760  # of the table of hyperparameters: all its columns, its 16 best rows
SCALE = 1.5  # device pixels per CSS pixel
COLORS = 128  # of the saved picture; TensorBoard's page has few
PATIENCE = 30_000  # ms for a page to be drawn
SETTLE = 600  # ms for the last animation
# What a user sets in TensorBoard's own settings; it keeps them in the browser.
SETTINGS = {
    "ignoreOutliers": False,
    "scalarSmoothing": 0,
    "sideBarWidthInPercent": 0,
    "theme": "light",
    "timeSeriesCardMinWidth": 300,
    "timeSeriesSettingsPaneOpened": False,
}
CARD = "scalar-card"
MENU = "button[aria-label='More line chart options']"
LOG_SCALE = ".mat-mdc-menu-panel button"
MARGIN = 12  # CSS pixels around the cards


def photograph(browser: Browser, address: str, view: View) -> bytes:
    """Open a view in a fresh window and return its picture, a PNG of few colours.

    Args:
        browser: from ``chromium()``.
        address: of TensorBoard.
        view: what to show.

    Raises:
        UserError: TensorBoard does not draw it within half a minute.
    """
    from playwright.sync_api import TimeoutError as Timeout

    width = WIDTH if view.tags else WIDE
    context = browser.new_context(
        viewport={"width": width, "height": 1200}, device_scale_factor=SCALE
    )
    settings = json.dumps(SETTINGS | {"stepSelectorEnabled": view.table})
    context.add_init_script(f"localStorage.setItem('_tb_global_settings', {json.dumps(settings)})")
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address + view.address)
        if not view.tags:
            table = _set_table(page)
            page.wait_for_timeout(SETTLE)
            return compress(table.screenshot(animations="disabled"))
        clip = _set_cards(page, view)
        page.wait_for_timeout(SETTLE)
        return compress(page.screenshot(animations="disabled", clip=clip))
    except Timeout as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"TensorBoard did not draw the capture {view.name}: {reason}") from None
    finally:
        context.close()


def _set_cards(page: Page, view: View) -> FloatRect:
    """Wait for the curves, make axes logarithmic; return what is to be photographed."""
    cards = page.locator(CARD)
    cards.nth(len(view.tags) - 1).wait_for()
    for tag in view.logarithmic:
        cards.filter(has_text=tag).locator(MENU).click()
        page.locator(LOG_SCALE).filter(has_text="log scale").click()
    for card in cards.all():
        card.locator("line-chart .series-view").first.wait_for(state="attached")
        card.locator("mat-spinner").wait_for(state="detached")
    page.mouse.move(0, 0)  # or the curve under it would show its values
    boxes = [box for card in cards.all() if (box := card.bounding_box())]
    bottom = max(box["y"] + box["height"] for box in boxes) + MARGIN
    page.set_viewport_size({"width": WIDTH, "height": round(bottom)})
    left = 0 if view.bars else min(box["x"] for box in boxes) - MARGIN
    top = 0 if view.bars else min(box["y"] for box in boxes) - MARGIN
    return {"x": left, "y": top, "width": WIDTH - left, "height": round(bottom) - top}


def _set_table(page: Page) -> Locator:
    """Sort the trials by score, the best on top; leave out the columns that say nothing here."""
    pane = page.locator("tf-hparams-query-pane")
    for name in ("seed", "hparam/best_val_accuracy"):
        pane.locator("paper-checkbox").filter(has_text=name).click()
    for label, choice in (("Sort by", "hparam/score"), ("Direction", "Descending")):
        menu = pane.locator(f"paper-dropdown-menu[label='{label}']")
        menu.click()
        menu.locator("paper-item").filter(has_text=choice).click()
        page.wait_for_timeout(SETTLE)
    page.set_viewport_size({"width": WIDE, "height": TALL})
    return page.locator("tf-hparams-sessions-pane")


def compress(png: bytes) -> bytes:
    """Return the same picture with a palette of few colours: a third of the size."""
    stream = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.quantize(COLORS, dither=Image.Dither.NONE)
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
