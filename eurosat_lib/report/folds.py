"""Supplementary figures and tables: in a fold on screen, named but not printed on paper."""

from __future__ import annotations

from collections.abc import Sequence

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.french import nombre

WORDS = {"figure": ("figure", "figures"), "div": ("tableau", "tableaux")}


def fold(main: HtmlElement) -> None:
    """Put each supplementary figure or table into a closed fold that bears its caption.

    Args:
        main: the report's text, numbered, formulas drawn.
    """
    for item in main.xpath(".//*[@data-detail]"):
        del item.attrib["data-detail"]
        caption = next(item.iter("figcaption", "caption"))
        details = lxml.html.Element("details", {"class": "detail"})
        summary = lxml.html.Element("summary", {"id": f"{item.get('id')}-legende"})
        summary.text = caption.text
        summary.extend(list(caption))
        details.tail, item.tail = item.tail, None
        item.addprevious(details)
        details.extend([summary, item])
        caption.drop_tree()
        named = item.find(".//table") if item.tag == "div" else item
        named.set("aria-labelledby", summary.get("id"))


def unprint(page: HtmlElement) -> None:
    """Take the supplements off a page to be printed; say what they are where they stood.

    The text of Markdown cells with the tag ``detail``, which only introduces them, goes too.
    """
    folds = page.xpath('//details[contains(@class, "detail")]')
    if not folds:
        return
    _tell(page, [details[1] for details in folds])
    for text in page.find_class("more"):
        text.drop_tree()
    gone = {name for details in folds for name in details.xpath(".//@id")}
    for link in page.xpath('//a[starts-with(@href, "#")]'):
        if link.get("href")[1:] in gone and not link.xpath("ancestor::details"):
            link.tail = ", version HTML" + (link.tail or "")
            link.drop_tag()
    for cell in page.xpath('//div[contains(@class, "cell")]'):
        _point(cell)
    _join(page)


def _point(cell: HtmlElement) -> None:
    """Replace the folds of a cell by one line that names them."""
    folds = cell.xpath('./details[contains(@class, "detail")]|.//*[not(self::details)]/details')
    folds = [details for details in folds if "detail" in (details.get("class") or "").split()]
    if not folds:
        return
    line = lxml.html.Element("p", {"class": "elsewhere"})
    for details in folds:
        line.append(_name(details[1]))
    folds[0].addprevious(line)
    for details in folds:
        details.drop_tree()


def _name(item: HtmlElement) -> HtmlElement:
    name = lxml.html.Element("span")
    name.text = f"{WORDS[item.tag][0]}\u00a0{item.get('data-number')}"
    return name


def _join(page: HtmlElement) -> None:
    """Let lines that follow one another be one, and write them out."""
    last: HtmlElement | None = None
    for block in page.xpath("//main//div[contains(@class, 'cell')]/*"):
        if block.tag == "details" or block.tag == "a":
            continue  # code, not printed
        if block.get("class") != "elsewhere":
            last = None
        elif last is None:
            last = block
        else:
            last.extend(list(block))
            block.drop_tree()
    for line in page.find_class("elsewhere"):
        line.text = "Version HTML\u00a0: "
        for span in line[:-2]:
            span.tail = ", "
        if len(line) > 1:
            line[-2].tail = " et "
        line[-1].tail = "."


def _tell(page: HtmlElement, items: Sequence[HtmlElement]) -> None:
    """Say on the first page how much more the page on screen holds."""
    counts = []
    for tag, words in WORDS.items():
        if count := sum(item.tag == tag for item in items):
            counts.append(f"{nombre(count)}\u00a0{words[count > 1]}")
    more = "de plus, numérotés" if len(items) > 1 else "de plus, numéroté"
    if all(item.tag == "figure" for item in items):
        more = more.replace("numéroté", "numérotée")
    text = (
        f"La version HTML de ce rapport contient {' et '.join(counts)} {more} S1, S2… ; "
        "les réponses n’en dépendent pas."
    ).replace(" ;", "\u202f;")
    line = lxml.html.Element("p", {"class": "supplements"})
    line.text = text
    page.get_element_by_id("debut").append(line)
