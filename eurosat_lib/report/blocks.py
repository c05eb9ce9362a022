"""What gives the report its form: questions, answers, remarks, numbered figures and tables."""

from __future__ import annotations

import itertools
import re

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.report.meta import ReportMeta
from eurosat_lib.report.places import where, words
from eurosat_lib.report.table_layout import fit

QUESTION = re.compile(r"([DM]\d{1,2})\.")
CALLOUTS = {
    "Remarque": "remark",
    "Note": "remark",
    "À retenir": "tip",
    "Conseil": "tip",
    "Attention": "warning",
    "Important": "warning",
}


def set_quotes(main: HtmlElement) -> None:
    """Turn quoted questions (``> **D4.** …``) and remarks (``> **Remarque.** …``) into blocks."""
    for quote in main.xpath(".//blockquote"):
        strong = quote.find("p/strong")
        if strong is None or (strong.getparent().text or "").strip():
            continue
        label = words(strong)
        if found := QUESTION.fullmatch(label):
            quote.tag = "div"
            quote.set("class", "question")
            quote.set("id", found[1])
            strong.set("class", "id")
        elif label.rstrip(". :") in CALLOUTS:
            quote.tag = "div"
            quote.set("class", f"callout {CALLOUTS[label.rstrip('. :')]}")
            quote.set("role", "note")


def set_answers(main: HtmlElement) -> None:
    """Label each answer to a question and link it to the question; lists of sections stay bare."""
    for answer in main.find_class("answer"):
        name = answer.get("data-answer")
        if not QUESTION.fullmatch(f"{name}."):
            continue
        answer.set("class", "answer reply")
        answer.set("id", f"reponse-{name}")
        label = lxml.html.fragment_fromstring(
            f'<p class="label"><a href="#{name}">Réponse\u00a0{name}</a></p>'
        )
        answer.insert(0, label)


def set_checkboxes(main: HtmlElement) -> None:
    """Write the boxes of task lists as characters, which print."""
    for box in main.xpath('.//input[@type="checkbox"]'):
        done = box.get("checked") is not None
        mark = lxml.html.Element("span", {"class": "checkbox", "role": "img"})
        mark.set("aria-label", "fait" if done else "à faire")
        mark.text = "☑" if done else "☐"
        mark.tail = box.tail
        box.tail = None
        box.getparent().replace(box, mark)


def number(main: HtmlElement, meta: ReportMeta) -> tuple[int, int]:
    """Number figures and tables in the order of the page; return how many there are of each.

    Supplementary ones have a series of their own, S1, S2 …, in the page as on paper.
    """
    figures = main.xpath('.//figure[contains(@class, "eurosat")]')
    for count, figure in zip(_series(figures), figures, strict=True):
        _label(figure, figure.find("figcaption"), "Figure", "fig", count)
    tables = main.xpath('.//div[@class="table"]')
    for count, holder in zip(_series(tables), tables, strict=True):
        table = holder.find("table")
        caption = table.find("caption")
        _label(holder, caption, "Tableau", "tab", count)
        if meta.marker:
            marker = lxml.html.Element("span", {"class": "marker"})
            marker.text = meta.marker
            caption[-1].tail = (caption[-1].tail or "").rstrip() + " "
            caption.append(marker)
        fit(holder, table)
    return len(figures), len(tables)


def set_references(main: HtmlElement) -> list[str]:
    """Complete links to figures and tables (``[figure](#fig-courbes)`` → "figure 3").

    Returns:
        A line for each link of the page whose target does not exist.
    """
    problems = []
    targets = {element.get("id"): element for element in main.xpath("//*[@id]")}
    for link in main.xpath('.//a[starts-with(@href, "#")]'):
        name = link.get("href")[1:]
        if name not in targets:
            problems.append(f"{where(link)}: the link #{name} leads nowhere")
        elif count := targets[name].get("data-number"):
            text = words(link)
            if not re.search(r"\d$", text):
                link.text = f"{text}\u00a0{count}" if text else count
    return problems


def _series(items: list[HtmlElement]) -> list[str]:
    main = itertools.count(1)
    more = itertools.count(1)
    return [f"S{next(more)}" if item.get("data-detail") else str(next(main)) for item in items]


def _label(holder: HtmlElement, caption: HtmlElement, word: str, prefix: str, count: str) -> None:
    holder.set("data-number", count)
    if not holder.get("id"):
        holder.set("id", f"{prefix}-{count.lower()}")
    label = lxml.html.Element("span", {"class": "number"})
    label.text = f"{word}\u00a0{count}."
    label.tail = " " + (caption.text or "").lstrip()
    caption.text = None
    caption.insert(0, label)
