"""Headings: ASCII anchors that are unique in the whole report, and the table of contents."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.report.places import where, words

LEVELS = ("h2", "h3")  # what the contents list
NUMBERED = re.compile(r"(\d+(?:\.\d+)*)[) ]")
MENTION = re.compile(r"\b([Ss]ections?)[ \u00a0\u202f](\d+(?:\.\d+)*)(?![\d%])")
PROSE = (
    ".//text()[ancestor::p or ancestor::li]"
    "[not(ancestor::a or ancestor::code or ancestor::pre or ancestor::details)]"
    "[not(ancestor::*[contains(@class, 'question') or contains(@class, 'tex')])]"
)


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


def link_sections(main: HtmlElement) -> None:
    """Make each "section 9" of the prose a link to it, if that section is in the page."""
    known = {
        found[1]: heading.get("id")
        for heading in main.xpath(".//h2|.//h3")
        if (found := NUMBERED.match(words(heading)))
    }
    for text in main.xpath(PROSE):
        pieces = MENTION.split(text)
        if len(pieces) > 1:
            _link_mentions(text, pieces, known)


def questions(main: HtmlElement) -> HtmlElement:
    """Return a list of links to the questions, by their numbers."""
    row = lxml.html.Element("ol")
    for question in main.find_class("question"):
        item = lxml.html.Element("li")
        link = lxml.html.Element("a", {"href": f"#{question.get('id')}"})
        link.text = question.get("id")
        item.append(link)
        row.append(item)
    return row


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


def _link_mentions(text: Any, pieces: list[str], known: Mapping[str, str]) -> None:
    """Rewrite one text node: ``pieces`` are text, word, number, text, word, number … text."""
    holder = text.getparent()
    parent = holder if text.is_text else holder.getparent()
    place = 0 if text.is_text else parent.index(holder) + 1
    before, links = pieces[0], []
    for word, number, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        mention = f"{word}\u00a0{number}"
        if number in known:
            link = lxml.html.Element("a", {"href": f"#{known[number]}"})
            link.text, link.tail = mention, after
            links.append(link)
        elif links:
            links[-1].tail += mention + after
        else:
            before += mention + after
    if text.is_text:
        holder.text = before
    else:
        holder.tail = before
    parent[place:place] = links


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
