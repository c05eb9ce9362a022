"""Supplementary figures and tables: in a fold on screen, named but not printed on paper."""

from __future__ import annotations

from collections.abc import Sequence

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.french import FIXED, nombre

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
    _name_by_section(page, folds)


def _name_by_section(page: HtmlElement, folds: Sequence[HtmlElement]) -> None:
    """Replace the folds of each section by one line at its end that names them."""
    named: list[HtmlElement] = []
    where = page.xpath("//main//details|//main//*[self::h2 or self::h3 or self::h4]")
    for place in where:
        if place in folds:
            named.append(place[1])
        elif named and place.tag != "details":
            place.addprevious(_line(named))
            named = []
    if named:
        named[-1].getparent().addnext(_line(named))
    for details in folds:
        details.drop_tree()


def _line(items: Sequence[HtmlElement]) -> HtmlElement:
    """Write "Compléments dans la version HTML : figures S3 à S5 et tableau S2."."""
    kinds = []
    for tag, words in WORDS.items():
        numbers = [item.get("data-number") for item in items if item.tag == tag]
        if len(numbers) > 2:
            kinds.append(f"{words[1]}{FIXED}{numbers[0]} à{FIXED}{numbers[-1]}")
        elif numbers:
            kinds.append(f"{words[len(numbers) > 1]}{FIXED}{f' et{FIXED}'.join(numbers)}")
    line = lxml.html.Element("p", {"class": "elsewhere"})
    line.text = f"Compléments dans la version HTML\u00a0: {' ; '.join(kinds)}."
    line.text = line.text.replace(" ;", "\u202f;")
    return line


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
