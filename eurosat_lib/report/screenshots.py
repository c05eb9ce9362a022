"""Screenshots of TensorBoard in the report: where they stand, what stands there without."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.captures import Capture

HOW = (
    "À faire par <code>make captures</code>, puis <code>make report</code>, qui la placera ici "
    "(il faut un navigateur Chromium)."
)

ALL = "<code>make captures</code>, puis <code>make report</code>, les placent."


def markup(name: str, caption: str, capture: Capture | None) -> str:
    """Write the figure of a screenshot, or a line that says how to take it.

    Args:
        name: of the view.
        caption: HTML.
        capture: the picture, if there is one of the present runs.
    """
    if capture is None:
        text = f'<p><span class="caption">{caption}</span> {HOW}</p>'
        return f'<div class="callout capture" data-capture="{name}">{text}</div>'
    png = capture.path.read_bytes()
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    picture = (
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" '
        f'alt="{html.escape(capture.alt)}" width="{width}" height="{height}">'
    )
    return (
        f'<figure class="eurosat capture" id="capture-{name.replace("_", "-")}" '
        f'data-capture="{name}">{picture}<figcaption>{caption}</figcaption></figure>'
    )


def unprint(main: HtmlElement) -> None:
    """Leave one line on paper for all the screenshots that are not there: where the first stood.

    Args:
        main: of the page to be printed; on screen each place says how to take its picture.
    """
    missing = main.xpath(".//div[@data-capture]")
    for place in missing[1:]:
        place.drop_tree()
    if missing:
        line = f"<p>Captures d’écran TensorBoard : absentes de cette version. {ALL}</p>"
        note = lxml.html.fragment_fromstring(line)
        note.set("class", "elsewhere")
        note.tail = missing[0].tail
        missing[0].getparent().replace(missing[0], note)


def refresh(main: HtmlElement, captures: Mapping[str, Capture]) -> None:
    """Put the present screenshots where the notebooks left room for them when they ran."""
    for place in main.xpath(".//*[@data-capture]"):
        name = place.get("data-capture")
        new = markup(name, _caption(place), captures.get(name))
        place.getparent().replace(place, lxml.html.fragment_fromstring(new))


def _caption(place: HtmlElement) -> str:
    caption = next(iter(place.xpath(".//figcaption|.//*[@class='caption']")))
    return (caption.text or "") + "".join(
        lxml.html.tostring(child, encoding="unicode") for child in caption
    )
