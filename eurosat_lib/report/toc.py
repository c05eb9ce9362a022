"""Headings: ASCII anchors that are unique in the whole report, and the table of contents."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Mapping

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.report.places import where, words

LEVELS = ("h2", "h3")  # what the contents list


def slug(text: str) -> str:
    """Return the ASCII anchor of a heading: ``1.2 Où et cœur`` → ``1-2-ou-et-coeur``."""
    text = text.lower().replace("œ", "oe").replace("æ", "ae")
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")


def number_headings(main: HtmlElement) -> None:
    """Give every heading of the report an anchor ``sec-…``; drop the titles of the notebooks."""
    for title in main.xpath(".//h1"):
        title.drop_tree()
    taken: set[str] = set()
    above = 2
    for heading in main.xpath(".//h2|.//h3|.//h4"):
        above = min(int(heading.tag[1]), above + 1)
        if heading.tag != f"h{above}":
            heading.set("aria-level", str(above))  # no level left out for those who listen
        base = name = f"sec-{slug(words(heading)) or 'titre'}"
        count = 1
        while name in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name)
        heading.set("id", name)


def contents(main: HtmlElement) -> HtmlElement:
    """Return the nested list of the headings of level 2 and 3, each a link."""
    outer = lxml.html.Element("ol")
    inner: HtmlElement | None = None
    for heading in main.xpath(".//h2|.//h3"):
        if heading.tag == "h2" or inner is None:
            item = _entry(outer, heading)
            inner = None
        else:
            item = _entry(inner, heading)
        if heading.tag == "h2":
            inner = lxml.html.Element("ol")
            item.append(inner)
    for empty in [ol for ol in outer.iter("ol") if len(ol) == 0 and ol is not outer]:
        empty.drop_tree()
    return outer


def link_headings(main: HtmlElement, sources: Mapping[str, str]) -> None:
    """Append to each listed heading a link to itself and one to the notebook it comes from.

    Args:
        main: the report's text.
        sources: name of a notebook → address of its executed copy.
    """
    for heading in main.xpath(".//h2|.//h3"):
        link = lxml.html.Element("a", {"class": "here", "href": f"#{heading.get('id')}"})
        link.set("aria-label", f"Lien vers la section {words(heading)}")
        link.text = "#"
        name = where(heading).partition(",")[0]
        heading.append(link)
        if heading.tag == "h2" and name in sources:
            heading.addnext(_source(name, sources[name]))


def _source(name: str, address: str) -> HtmlElement:
    line = lxml.html.Element("p", {"class": "source"})
    link = lxml.html.Element("a", {"href": address})
    link.text = f"Carnet {name.removesuffix('.ipynb')}"
    line.append(link)
    return line


def _entry(target: HtmlElement, heading: HtmlElement) -> HtmlElement:
    item = lxml.html.Element("li")
    link = lxml.html.Element("a", {"href": f"#{heading.get('id')}"})
    link.text = heading.text
    link.extend(copy.deepcopy(child) for child in heading)
    item.append(link)
    target.append(item)
    return item
