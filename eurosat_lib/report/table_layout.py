"""The markup of tables: heads with a scope, aligned numbers, caption, note; wide ones."""

from __future__ import annotations

import re

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.french import MINUS
from eurosat_lib.report.places import words

# A cell that reads as a number, an interval or a duration: its column is right-aligned.
NUMBER_LIKE = re.compile(r"[-\d\s,.+\u2212±×%()\[\];/–—]+(?:h|min|s|ms|Mo|ko|points?)?")
ENGLISH = re.compile(r"[-+]?\d+\.\d+\s*%?")
NARROW, DENSE, LANDSCAPE = (
    60,
    105,
    160,
)  # characters across a table: small type, then a page turned
# Never broken: the name of a run, though it holds hyphens, and the shape of a tensor.
NAME = re.compile(r"(?=.*_)[\w.-]{8,30}|\([\d, ]+\)")
BREAK = 24  # characters of a text cell before it is broken into lines
SHORT = 34  # rows of a table that is never cut


def lay_out(text: str, caption: str, note: str | None, decimal_point: bool) -> str:
    """Turn the HTML that pandas writes into the table of the report.

    Args:
        text: what a Styler wrote.
        caption: HTML, above the table.
        note: HTML, below it.
        decimal_point: the numbers are English; write a comma.
    """
    root = lxml.html.fragment_fromstring(text, create_parent="div")
    _tidy(root.find("table"), decimal_point)
    _explain(root.find("table"), caption, note)
    return _write(root)


def fit(holder: HtmlElement, table: HtmlElement) -> None:
    """Let a wide table scroll on screen and be printed small or turned; keep short ones whole."""
    for cell in table.xpath("./tbody/tr/*[not(@class)]"):
        if NAME.fullmatch(words(cell)):
            cell.set("class", "word")
    rows = [[_width(cell) for cell in row] for row in table.xpath("./thead/tr|./tbody/tr")]
    columns = max(len(row) for row in rows)
    width = sum(max(row[i] for row in rows if i < len(row)) for i in range(columns))
    classes = ["table"]
    if width < NARROW:
        classes.append("narrow")
    elif width > DENSE:
        classes.append("landscape" if width > LANDSCAPE else "dense")
    if len(rows) <= SHORT:
        classes.append("short")
    holder.set("class", " ".join(classes))
    scroll = lxml.html.Element("div", {"class": "scroll"})
    table.addprevious(scroll)
    scroll.append(table)


def _tidy(table: HtmlElement, decimal_point: bool) -> None:
    """Give heads a scope and numeric columns their class; drop what pandas adds for itself."""
    head, body = table.find("thead"), table.find("tbody")
    _merge_index_names(head)
    for cell in table.iter("th", "td"):
        kept = {key: value for key, value in cell.items() if key in ("id", "rowspan", "colspan")}
        cell.attrib.clear()
        cell.attrib.update(kept)
    for part, scope in ((head, "col"), (body, "row")):
        for cell in list(part.iter("th")):
            if "".join(cell.itertext()).strip():
                cell.set("scope", f"{scope}group" if cell.get(f"{scope}span") else scope)
            else:
                cell.tag = "td"  # an empty corner heads nothing
    if decimal_point:
        _comma(body)
    _align(head, body)
    table.set("class", "eurosat")


def _explain(table: HtmlElement, caption: str, note: str | None) -> None:
    """Put the caption above a table and the note below it."""
    columns = len(table.find("tbody/tr"))
    table.insert(0, lxml.html.fragment_fromstring(f"<caption>{caption}</caption>"))
    if note:
        foot = f'<tfoot><tr><td colspan="{columns}">{note}</td></tr></tfoot>'
        table.append(lxml.html.fragment_fromstring(f"<table>{foot}</table>").find("tfoot"))


def _write(root: HtmlElement) -> str:
    """Write a table, after its styles if it has any; without them it needs no identifier."""
    table, style = root.find("table"), root.find("style")
    text = ""
    if style is not None and (style.text or "").strip():
        text = lxml.html.tostring(style, encoding="unicode", with_tail=False)
    else:
        del table.attrib["id"]
    written = lxml.html.tostring(table, encoding="unicode", with_tail=False)
    return text + re.sub(r"\s*\n\s*", "\n", written)


def _merge_index_names(head: HtmlElement) -> None:
    """Write the names of the index in the row of the column names, where pandas adds a row."""
    rows = head.findall("tr")
    if len(rows) > 1 and rows[-1].find_class("index_name"):
        for above, name in zip(rows[-2], rows[-1], strict=False):
            if "index_name" in name.get("class", ""):
                above.text = name.text
        head.remove(rows[-1])


def _comma(body: HtmlElement) -> None:
    for cell in body.iter("td"):
        if cell.text and ENGLISH.fullmatch(cell.text.strip()):
            cell.text = cell.text.strip().replace(".", ",").replace("-", MINUS)


def _align(head: HtmlElement, body: HtmlElement) -> None:
    """Mark the columns whose cells all read as numbers; their heads as well."""
    rows = body.findall("tr")
    for back in range(1, len(rows[0].findall("td")) + 1):  # from the right: rowspans stand left
        cells = [row[-back] for row in rows if len(row) >= back]
        if all(NUMBER_LIKE.fullmatch("".join(cell.itertext()).strip()) for cell in cells):
            for cell in [*cells, head.findall("tr")[-1][-back]]:
                cell.set("class", "num")


def _width(cell: HtmlElement) -> int:
    """Return the least width of a cell, in characters: a number is one word, a text breaks."""
    text = words(cell)
    whole = cell.tag == "td" and cell.get("class") == "num"
    longest = len(text) if whole else max(map(len, text.split()), default=0)
    return 3 + max(longest, min(len(text), BREAK) if cell.tag == "td" else 0)
