r"""Formulas: TeX to drawings (SVG paths) inside the page, the same on screen and on paper.

A mere number (``1{,}1 \times 10^{-3}``) is written out: it can be searched, copied and read aloud.
"""

from __future__ import annotations

import functools
import re

import lxml.html
from lxml import etree
from lxml.html import HtmlElement

from eurosat_lib.errors import UserError
from eurosat_lib.french import FIXED, MINUS
from eurosat_lib.report.places import where

UNITS = 256  # drawing units per em; coordinates are rounded to whole ones
DOLLARS = re.compile(r"(?<![\\$\w])\$(?![\s$])([^$\n]+?)(?<!\s)\$(?![\w$])")
NUMBER = re.compile(r"(-?\d+(?:\{,\}\d+)?)(?: ?\\times ?10\^\{(-?\d+)\})?|10\^\{(-?\d+)\}")
# The only text outside Markdown in which $…$ is a formula: what `figure` and `table` write.
CAPTIONED = ("figcaption", "caption", "th", "td")


def typeset(page: HtmlElement) -> list[str]:
    """Replace every formula of a page by its drawing; return what could not be drawn.

    A formula is a ``<span class="tex">`` (``tex display`` on a line of its own), or ``$…$`` in
    the caption, cell or note of a figure or table. Its TeX stays as the drawing's description.
    """
    problems = []
    for element in page.xpath('//*[contains(@class, "eurosat") or @class="table"]//*'):
        if element.tag in CAPTIONED:
            _mark_dollars(element)
    for span in page.xpath('//span[contains(concat(" ", @class, " "), " tex ")]'):
        tex, display = span.text or "", "display" in span.get("class")
        if not display and (found := NUMBER.fullmatch(tex.strip())):
            _write(span, *found.groups())
            continue
        try:
            drawing = lxml.html.fragment_fromstring(draw(tex, display))
        except UserError as error:
            problems.append(f"{where(span)}: {error}")
            continue
        span.text = None
        span.set("class", "math display" if display else "math")
        span.append(drawing)
        _hold_together(span)
    return problems


def _write(span: HtmlElement, mantissa: str | None, scale: str | None, power: str | None) -> None:
    """Write a number in powers of ten as text, which is not broken."""
    exponent = scale or power
    pieces = [mantissa.replace("{,}", ",")] if mantissa else []
    pieces += ["10"] if exponent else []
    span.text = f"{FIXED}×{FIXED}".join(pieces).replace("-", MINUS)
    span.set("class", "sci")
    if exponent:
        raised = lxml.html.Element("sup")
        raised.text = exponent.replace("-", MINUS)
        span.append(raised)
    _hold_together(span)


@functools.lru_cache(maxsize=2048)
def draw(tex: str, display: bool = False) -> str:
    """Draw a formula as an SVG sized in em, sitting on the text's baseline, in its colour.

    Args:
        tex: TeX without dollar signs; between digits a comma is a decimal comma.
        display: large operators, limits above and below.

    Raises:
        UserError: not valid TeX, or a command that is not known.
    """
    import ziamath

    config = ziamath.config
    config.svg2, config.precision, config.decimal_separator = False, 1, ","
    try:
        formula = ziamath.Latex(tex.strip(), inline=not display, size=UNITS, color="currentColor")
        svg = etree.fromstring(formula.svg())
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"formula ${tex.strip()}$ cannot be drawn ({reason})") from None
    unknown = re.search(r"\\[a-zA-Z]+", "".join(formula.mathml.itertext()))
    if unknown:
        raise UserError(f"formula ${tex.strip()}$: the command {unknown[0]} is not known")
    return _finish(svg, tex.strip(), display)


def _finish(svg: etree._Element, tex: str, display: bool) -> str:
    left, top, width, height = (float(n) for n in svg.get("viewBox").split())
    svg.attrib.clear()
    svg.set("viewBox", f"{left:.0f} {top:.0f} {width:.0f} {height:.0f}")
    style = f"width:{width / UNITS:.3f}em;height:{height / UNITS:.3f}em"
    if not display:
        style += f";vertical-align:{-(top + height) / UNITS:.3f}em"
    svg.set("style", style)
    svg.set("role", "img")
    svg.set("aria-label", tex)
    title = etree.Element("title")  # the description that ends up in the tagged PDF
    title.text = tex
    svg.insert(0, title)
    for path in svg.iter("{*}path"):
        path.set("d", _compact(path.get("d")))
    return etree.tostring(svg, encoding="unicode")


def _compact(data: str) -> str:
    """Round the coordinates of a path and drop needless spaces: half the size."""
    data = re.sub(r"-?\d*\.?\d+", lambda found: str(round(float(found[0]))), data)
    return re.sub(r"\s*([A-Z])\s*", r"\1", data).replace(" -", "-").strip()


def _mark_dollars(element: HtmlElement) -> None:
    """Wrap each ``$…$`` of an element's own text in ``<span class="tex">``."""
    pieces = DOLLARS.split(element.text or "")
    element.text = pieces[0]
    for index in range(1, len(pieces), 2):
        element.insert(index // 2, _tex(pieces[index], pieces[index + 1]))
    for child in list(element):
        pieces = DOLLARS.split(child.tail or "")
        child.tail = pieces[0]
        place = element.index(child) + 1
        for index in range(1, len(pieces), 2):
            element.insert(place + index // 2, _tex(pieces[index], pieces[index + 1]))


def _tex(tex: str, tail: str) -> HtmlElement:
    span = lxml.html.Element("span", {"class": "tex"})
    span.text, span.tail = tex, tail
    return span


def _hold_together(span: HtmlElement) -> None:
    """Keep a full stop or a comma on the line of the formula before it."""
    follow = re.match(r"[.,;:)\u00a0\u202f]+", span.tail or "")
    if follow and span.get("class") != "math display":
        mark = lxml.html.Element("span")
        mark.text = follow[0]
        span.tail = span.tail[follow.end() :]
        span.append(mark)
