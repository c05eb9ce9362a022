"""From the raw page of nbconvert to the finished one: blocks, numbers, formulas, contents."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree
from lxml.html import HtmlElement

from eurosat_lib.report import blocks, code, folds, images, screenshots, toc
from eurosat_lib.report.maths import typeset
from eurosat_lib.report.meta import ReportMeta
from eurosat_lib.report.paper import keep_words
from eurosat_lib.report.typography import set_french


def shape(page: HtmlElement, meta: ReportMeta) -> list[str]:
    """Give a raw page its form: questions, answers, numbers, formulas, references.

    Returns:
        What is wrong with it, one line each: formulas that cannot be drawn, links that lead
        nowhere.
    """
    main = page.get_element_by_id("contenu")
    screenshots.refresh(main, meta.captures)
    blocks.set_quotes(main)
    blocks.set_answers(main)
    blocks.set_checkboxes(main)
    code.fold(main)
    toc.number_headings(main)
    toc.link_sections(main)
    blocks.number(main, meta)
    problems = [*typeset(page), *blocks.set_references(main)]
    folds.fold(main)
    return problems


def complete(page: HtmlElement, sources: Mapping[str, str]) -> HtmlElement:
    """Set the text as French printers do, list the contents, link the sections; return the page.

    Args:
        page: shaped.
        sources: name of a notebook → address of its executed copy, as seen from the page.
    """
    main = page.get_element_by_id("contenu")
    images.lighten(main)
    set_french(page.body)
    keep_words(main)
    page.get_element_by_id("toc").append(toc.contents(main))
    _list_questions(page, main)
    toc.link_headings(main, sources)
    etree.strip_attributes(page, "data-cell")
    return page


def _list_questions(page: HtmlElement, main: HtmlElement) -> None:
    """Offer the questions beside the contents; a page with fewer than two needs no list."""
    holder = page.get_element_by_id("questions")
    links = toc.questions(main)
    if len(links) > 1:
        holder.append(links)
    else:
        holder.drop_tree()
