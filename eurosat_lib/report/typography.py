"""French typography, once for the whole page: no-break spaces, apostrophes, thousands."""

from __future__ import annotations

import re

from lxml.html import HtmlElement

UNTOUCHED = {"code", "pre", "script", "style", "svg", "kbd", "samp"}
RULES = (
    (re.compile(r" +([;!?])(?!\w)"), "\u202f\\1"),
    (re.compile(r" +(:)(?=\s|$)"), "\u00a0\\1"),
    (re.compile(r"«[ \u00a0\u202f]*"), "«\u00a0"),
    (re.compile(r"[ \u00a0\u202f]*»"), "\u00a0»"),
    (re.compile(r"(?<=\d) +%"), "\u202f%"),
    (re.compile(r"(?<![\d,.])(\d{1,3}) (?=\d{3}(?!\d))"), "\\1\u202f"),
    (re.compile(r"(?<=\u202f\d{3}) (?=\d{3}(?!\d))"), "\u202f"),
    (re.compile(r"(?<=\w)'(?=\w)"), "’"),
    (re.compile(r"\.\.\.(?!\.)"), "…"),
    (re.compile(r" +([–—]) +"), "\u00a0\\1 "),
    (re.compile(r"(?<=[\d%]) ± (?=\d)"), "\u00a0±\u00a0"),
)


def french(text: str) -> str:
    """Set a text as French printers do: ``vrai ?`` with a thin space, ``27 000`` unbreakable."""
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return text


def set_french(element: HtmlElement) -> None:
    """Apply `french` to all text below an element, leaving code, formulas and scripts alone."""
    if not isinstance(element.tag, str) or element.tag in UNTOUCHED:
        return
    if element.text:
        element.text = french(element.text)
    for child in element:
        set_french(child)
        if child.tail:
            child.tail = french(child.tail)
