"""One pass over the page that nbconvert wrote: questions, numbers, references, folds, contents."""

from __future__ import annotations

import html
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import lxml.html
from lxml import etree
from lxml.html import HtmlElement
from lxml.html import fragment_fromstring as fragment

from eurosat_lib.errors import did_you_mean
from eurosat_lib.report import check
from eurosat_lib.report.check import where, words

if TYPE_CHECKING:
    from eurosat_lib.report.title import Title

QUESTION = re.compile(r"([DM]\d{1,2})\.")
CALLOUT = re.compile(r"(Remarque|Note|À retenir|Conseil|Attention|Important)[ \u00a0]?[.:]?")
NUMBERED = "self::figure[contains(@class, 'eurosat')][.//figcaption]"
NUMBERED = f".//*[self::h2 or self::h3 or {NUMBERED} or self::div[@class='table'][.//caption]]"
VERBATIM = {"code", "pre", "script", "style", "svg", "math", "kbd", "samp"}
FRENCH = (  # what French printers do to plain text
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
    (re.compile(r"(?<=[\w%]) ([±×=]) (?=[\d−])"), "\u00a0\\1\u00a0"),
    (re.compile(r"\b([Ss]ection|époque|graine) (?=\d)"), "\\1\u00a0"),
)


def shape(
    page: HtmlElement, title: Title, folder: Path, wanted: Mapping[str, Any] | None
) -> list[str]:
    """Give a raw page its form, in place.

    Args:
        page: as the template wrote it.
        title: says which figures and tables the profile touched.
        folder: where the page will lie.
        wanted: what must be in it, see `check.load_template`; none for a notebook alone.

    Returns:
        What is wrong with it, one line each.
    """
    main = page.find(".//main")
    for heading in main.xpath(".//h1"):
        heading.drop_tree()
    _set_quotes(main)
    _set_answers(page, main)
    problems = _set_formulas(page)
    _set_headings(page, main)
    _number(main, title)
    problems += _set_links(page, folder, alone=wanted is None)
    if wanted:
        problems += check.template_problems(main, wanted)
    problems += check.content_problems(page)
    _fold(main)
    _set_french(page.body)
    etree.strip_attributes(page, "data-cell", "data-detail")
    return problems


def _set_quotes(main: HtmlElement) -> None:
    """Turn quoted questions and remarks into blocks."""
    for quote in main.xpath(".//blockquote[p/strong]"):
        strong = quote.find("p/strong")
        label = words(strong)
        if found := QUESTION.fullmatch(label):
            quote.tag, quote.attrib["class"], quote.attrib["id"] = "div", "question", found[1]
            strong.set("class", "id")
        elif CALLOUT.fullmatch(label):
            quote.tag, quote.attrib["class"], quote.attrib["role"] = "div", "callout", "note"


def _set_answers(page: HtmlElement, main: HtmlElement) -> None:
    """Label the answers to questions; put the abstract on top of the page, before the card."""
    head = page.get_element_by_id("debut")
    for answer in main.find_class("answer"):
        name = answer.get("data-answer")
        if QUESTION.fullmatch(f"{name}."):
            answer.set("class", "answer reply")
            answer.set("id", f"reponse-{name}")
            label = f'<p class="label"><a href="#{name}">Réponse\u00a0{name}</a></p>'
            answer.insert(0, fragment(label))
        elif name == "resume":
            answer.set("class", "answer abstract")
            answer.insert(0, fragment('<p class="label">Résumé</p>'))
            card = head.find_class("card")
            head.insert(head.index(card[0]) if card else len(head), answer)


def _set_formulas(page: HtmlElement) -> list[str]:
    """Write formulas as MathML; name the faulty ones."""
    import pypandoc

    logging.getLogger("pypandoc").setLevel(logging.ERROR)  # we say ourselves which one is faulty
    if not (spans := page.find_class("tex")):
        return []
    signs = ["$$" if "display" in span.get("class") else "$" for span in spans]
    texts = [" ".join((span.text or "").split()) for span in spans]
    source = "\n\n".join(f"{s}{text}{s}" for s, text in zip(signs, texts, strict=True))
    form, options = "markdown_strict+tex_math_dollars", ["--mathml", "--sandbox", "--wrap=none"]
    written = pypandoc.convert_text(source, "html", format=form, extra_args=options)
    problems = []
    drawn = lxml.html.fragments_fromstring(written)
    for span, text, paragraph in zip(spans, texts, drawn, strict=True):
        formula = paragraph.find("math")
        if formula is None:
            problems.append(f"{where(span)}: formula ${text}$ cannot be set")
            continue
        etree.strip_elements(formula, "annotation")
        formula.set("alttext", text)
        formula.tail, span.text = None, None
        span.set("class", span.get("class").replace("tex", "math"))
        span.append(formula)
    return problems


def _set_headings(page: HtmlElement, main: HtmlElement) -> None:
    """Give headings ASCII anchors that are unique in the page, and list them."""
    taken: Counter[str] = Counter()
    contents = etree.SubElement(page.get_element_by_id("toc"), "ol")
    for heading in main.xpath(".//h2 | .//h3 | .//h4"):
        text = " ".join(heading.text_content().split())
        plain = text.lower().replace("œ", "oe").replace("æ", "ae")
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        slug = f"sec-{re.sub(r'[^a-z0-9]+', '-', plain).strip('-') or 'titre'}"
        taken[slug] += 1
        name = slug if taken[slug] == 1 else f"{slug}-{taken[slug]}"
        heading.set("id", name)
        if heading.tag != "h4":
            label = html.escape(text)
            item = f'<li class="{heading.tag}"><a href="#{name}">{label}</a></li>'
            contents.append(fragment(item))
            here = f'<a class="here" href="#{name}" aria-label="Lien vers la section {label}"></a>'
            heading.append(fragment(here))


def _number(main: HtmlElement, title: Title) -> None:
    """Number figures and tables in the order of the page, supplements apart (S1, S2).

    Beside each stands what it owes to the profile or to drawn images.
    """
    section, counts = "", Counter()
    for item in main.xpath(NUMBERED):
        if item.tag in ("h2", "h3"):
            section = re.match(r"(\d+(\.\d+)*)?", words(item))[0]
            continue
        word, prefix = ("Figure", "fig") if item.tag == "figure" else ("Tableau", "tab")
        series = "S" if item.get("data-detail") else ""
        counts[word, series] += 1
        count = f"{series}{counts[word, series]}"
        item.set("data-number", count)
        item.set("id", item.get("id") or f"{prefix}-{count.lower()}")
        caption = next(item.iter("figcaption", "caption"))
        label = fragment(f'<span class="number">{word}\u00a0{count}.</span>')
        label.tail, caption.text = f" {(caption.text or '').lstrip()}", None
        caption.insert(0, label)
        if mark := title.mark(section, item.get("id").partition("-")[2]):
            caption[-1].tail = f"{(caption[-1].tail or '').rstrip()} "
            caption.append(fragment(f'<span class="marker">{mark}</span>'))


def _set_links(page: HtmlElement, folder: Path, alone: bool) -> list[str]:
    """Write "figure 3" for ``[figure](#fig-courbes)``; make text of links that lead nowhere."""
    problems = []
    targets = {element.get("id"): element for element in page.xpath("//*[@id]")}
    for link in page.xpath("//body//a[@href]"):
        address = link.get("href")
        target = targets.get(address[1:]) if address.startswith("#") else None
        if re.match(r"https?://|mailto:", address):
            continue
        if not address.startswith("#"):
            path = folder / unquote(re.split("[?#]", address)[0])
            link.set("target", "_blank")  # JupyterLab would put it in the report's own place
            if re.match(r"[a-zA-Z]+:|/", address) or not path.exists():
                link.drop_tag()
        elif target is not None:
            text, count = words(link), target.get("data-number")
            if count and not re.search(r"\d$", text):
                link.text = f"{text}\u00a0{count}" if text else count
        elif alone or next(link.iterancestors("nav"), None) is not None:
            link.drop_tag()  # to a figure of another notebook, or an answer that is missing
        else:
            hint = did_you_mean(address[1:], targets)
            problems.append(f"{where(link)}: the link {address} leads nowhere{hint}")
    return problems


def _fold(main: HtmlElement) -> None:
    """Put each supplement into a closed fold that bears its caption, with the text before it."""
    for item in main.xpath(".//*[@data-detail][@data-number]"):
        caption = next(item.iter("figcaption", "caption"))
        caption.tag, caption.tail = "summary", None
        caption.set("id", f"{item.get('id')}-legende")
        named = item.find(".//table") if item.tag == "div" else item
        named.set("aria-labelledby", caption.get("id"))
        details = fragment('<details class="fold"></details>')
        details.tail, item.tail = item.tail, None
        item.addprevious(details)
        details.extend([caption, item])
    for text in reversed(main.find_class("more")):
        later = text.getnext()
        if later is not None and (details := later.find("details[@class='fold']")) is not None:
            details.insert(1, text)


def _set_french(element: HtmlElement) -> None:
    """Set all text below an element as French printers do; code and formulas are left alone."""
    if not isinstance(element.tag, str) or element.tag in VERBATIM:
        return
    element.text = french(element.text)
    for child in element:
        _set_french(child)
        child.tail = french(child.tail)


def french(text: str | None) -> str | None:
    """Set a text as French printers do: ``vrai ?`` with a thin space, ``27 000`` unbreakable."""
    for pattern, replacement in FRENCH:
        text = pattern.sub(replacement, text) if text else text
    return text
