"""One pass over the page that nbconvert wrote: questions, numbers, references, folds, contents."""

from __future__ import annotations

import copy
import itertools
import logging
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import lxml.html
from lxml import etree
from lxml.html import HtmlElement
from lxml.html import fragment_fromstring as fragment

from eurosat_lib.errors import did_you_mean
from eurosat_lib.french import FIXED, MINUS
from eurosat_lib.report import check
from eurosat_lib.report.check import where, words

if TYPE_CHECKING:
    from eurosat_lib.report.title import Title

QUESTION = re.compile(r"([DM]\d{1,2})\.")
CALLOUTS = {
    "Remarque": "remark",
    "Note": "remark",
    "À retenir": "tip",
    "Conseil": "tip",
    "Attention": "warning",
    "Important": "warning",
}
NUMBER = re.compile(r"(-?\d+(?:\{,\}\d+)?)(?: ?\\times ?10\^\{(-?\d+)\})?|10\^\{(-?\d+)\}")
PANDOC = "markdown_strict+tex_math_dollars"
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
    (re.compile(r"(?<=[\d%]) ± (?=\d)"), "\u00a0±\u00a0"),
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
    _set_checkboxes(main)
    _lift_abstract(page, main)
    _name_headings(main)
    _number(main.xpath(".//figure[contains(@class, 'eurosat')]"), "Figure", "figcaption", "fig")
    _number(main.xpath(".//div[@class='table']"), "Tableau", "caption", "tab")
    _mark(main, title)
    problems = [*_set_formulas(page), *_set_links(page, folder, alone=wanted is None)]
    if wanted:
        problems += check.template_problems(main, wanted)
    problems += [*check.content_problems(page), *check.disarm(page)]
    _fold(main)
    _set_french(page.body)
    page.get_element_by_id("toc").append(_contents(main))
    _list_questions(page, main)
    etree.strip_attributes(page, "data-cell", "data-detail")
    return problems


def _set_quotes(main: HtmlElement) -> None:
    """Turn quoted questions and remarks into blocks, and label the answers to questions."""
    for quote in main.xpath(".//blockquote[p/strong]"):
        strong = quote.find("p/strong")
        label = words(strong)
        if found := QUESTION.fullmatch(label):
            quote.tag, quote.attrib["class"], quote.attrib["id"] = "div", "question", found[1]
            strong.set("class", "id")
        elif kind := CALLOUTS.get(label.rstrip(". :")):
            quote.tag, quote.attrib["class"] = "div", f"callout {kind}"
            quote.set("role", "note")
    for answer in main.find_class("answer"):
        name = answer.get("data-answer")
        if QUESTION.fullmatch(f"{name}."):
            answer.set("class", "answer reply")
            answer.set("id", f"reponse-{name}")
            label = f'<p class="label"><a href="#{name}">Réponse\u00a0{name}</a></p>'
            answer.insert(0, fragment(label))


def _set_checkboxes(main: HtmlElement) -> None:
    """Write the boxes of task lists as characters, which print."""
    for box in main.xpath('.//input[@type="checkbox"]'):
        done = box.get("checked") is not None
        mark = fragment(f'<span class="checkbox" role="img">{"☑" if done else "☐"}</span>')
        mark.set("aria-label", "fait" if done else "à faire")
        mark.tail, box.tail = box.tail, None
        box.getparent().replace(box, mark)


def _lift_abstract(page: HtmlElement, main: HtmlElement) -> None:
    """Put the abstract on top of the page, before the run card."""
    head = page.get_element_by_id("debut")
    for abstract in main.xpath(".//div[@data-answer='resume']")[:1]:
        for old in head.xpath("./div[@data-answer='resume']"):
            old.drop_tree()
        card = head.find_class("card")
        head.insert(head.index(card[0]) if card else len(head), abstract)
    for abstract in head.xpath("./div[@data-answer='resume']"):
        abstract.insert(0, fragment('<p class="label">Résumé</p>'))


def _name_headings(main: HtmlElement) -> None:
    """Give every heading an ASCII anchor that is unique in the page."""
    taken: dict[str, int] = {}
    above = 2
    for heading in main.xpath(".//h2|.//h3|.//h4"):
        above = min(int(heading.tag[1]), above + 1)
        if heading.tag != f"h{above}":
            heading.set("aria-level", str(above))  # no level left out for those who listen
        text = words(heading).lower().replace("œ", "oe").replace("æ", "ae")
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        slug = f"sec-{re.sub(r'[^a-z0-9]+', '-', plain).strip('-') or 'titre'}"
        taken[slug] = taken.get(slug, 0) + 1
        heading.set("id", slug if taken[slug] == 1 else f"{slug}-{taken[slug]}")


def _number(items: list[HtmlElement], word: str, caption: str, prefix: str) -> None:
    """Number figures or tables in the order of the page; supplementary ones apart (S1, S2)."""
    series = {False: itertools.count(1), True: itertools.count(1)}
    for item in items:
        detail = item.get("data-detail") is not None
        count = f"{'S' if detail else ''}{next(series[detail])}"
        item.set("data-number", count)
        item.set("id", item.get("id") or f"{prefix}-{count.lower()}")
        legend = next(item.iter(caption))
        label = fragment(f'<span class="number">{word}\u00a0{count}.</span>')
        label.tail, legend.text = f" {(legend.text or '').lstrip()}", None
        legend.insert(0, label)


def _mark(main: HtmlElement, title: Title) -> None:
    """Say beside each figure and table what it owes to the profile or to drawn images."""
    section = ""
    for element in main.iter("h2", "h3", "figure", "div"):
        if element.tag in ("h2", "h3"):
            found = re.match(r"\d+(\.\d+)*", words(element))
            section = found[0] if found else ""
        elif element.get("data-number"):
            mark = title.mark(section, element.get("id").partition("-")[2])
            if mark:
                caption = next(element.iter("figcaption", "caption"))
                caption[-1].tail = f"{(caption[-1].tail or '').rstrip()} "
                caption.append(fragment(f'<span class="marker">{mark}</span>'))


def _set_formulas(page: HtmlElement) -> list[str]:
    """Write numbers in powers of ten as text, other formulas as MathML; name the faulty ones."""
    import pypandoc

    logging.getLogger("pypandoc").setLevel(logging.ERROR)  # we say ourselves which one is faulty
    left = [span for span in page.find_class("tex") if not _write_number(span)]
    if not left:
        return []
    signs = ["$$" if "display" in span.get("class") else "$" for span in left]
    texts = [" ".join((span.text or "").split()) for span in left]
    source = "\n\n".join(f"{s}{text}{s}" for s, text in zip(signs, texts, strict=True))
    written = pypandoc.convert_text(
        source, "html", format=PANDOC, extra_args=["--mathml", "--sandbox", "--wrap=none"]
    )
    problems = []
    drawn = lxml.html.fragments_fromstring(written)
    for span, text, paragraph in zip(left, texts, drawn, strict=True):
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


def _write_number(span: HtmlElement) -> bool:
    """Write a mere number, such as a learning rate, as text; say if it is one."""
    found = NUMBER.fullmatch((span.text or "").strip())
    if not found or "display" in span.get("class"):
        return False
    mantissa, exponent = found[1], found[2] or found[3]
    pieces = [mantissa.replace("{,}", ",")] if mantissa else []
    pieces += ["10"] if exponent else []
    span.text = f"{FIXED}×{FIXED}".join(pieces).replace("-", MINUS)
    span.set("class", "sci")
    if exponent:
        span.append(fragment(f"<sup>{exponent.replace('-', MINUS)}</sup>"))
    return True


def _set_links(page: HtmlElement, folder: Path, alone: bool) -> list[str]:
    """Write "figure 3" for ``[figure](#fig-courbes)``; make text of links that lead nowhere."""
    problems = []
    targets = {element.get("id"): element for element in page.xpath("//*[@id]")}
    for link in page.xpath("//body//a[@href]"):
        address = link.get("href")
        if re.match(r"https?://|mailto:", address):
            continue
        if not address.startswith("#"):
            path = folder / unquote(re.split("[?#]", address)[0])
            link.set("target", "_blank")  # JupyterLab would put it in the report's own place
            if re.match(r"[a-zA-Z]+:|/", address) or not path.exists():
                link.drop_tag()
        elif (target := targets.get(address[1:])) is not None and target.tag == "details":
            _drop_aside(link)  # a screenshot still to be taken
        elif target is not None:
            text, count = words(link), target.get("data-number")
            if count and not re.search(r"\d$", text):
                link.text = f"{text}\u00a0{count}" if text else count
        elif alone:
            link.drop_tag()  # to a figure of another notebook
        else:
            hint = did_you_mean(address[1:], targets)
            problems.append(f"{where(link)}: the link {address} leads nowhere{hint}")
    return problems


def _drop_aside(link: HtmlElement) -> None:
    """Drop a reference and its parenthesis, ``(capture : [figure](#capture-train))``."""
    before, parent = link.getprevious(), link.getparent()
    text = (parent.text if before is None else before.tail) or ""
    if (at := text.rfind("(")) < 0 or ")" in text[at:] or not (link.tail or "").startswith(")"):
        link.drop_tag()
        return
    kept, link.tail = text[:at].rstrip(), link.tail[1:]
    if before is None:
        parent.text = kept
    else:
        before.tail = kept
    link.drop_tree()


def _fold(main: HtmlElement) -> None:
    """Put each supplement into a closed fold that bears its caption, with the text before it."""
    for item in main.xpath(".//*[@data-detail]"):
        caption = next(item.iter("figcaption", "caption"))
        details = fragment('<details class="fold"></details>')
        summary = fragment(f'<summary id="{item.get("id")}-legende"></summary>')
        summary.text = caption.text
        summary.extend(list(caption))
        details.tail, item.tail = item.tail, None
        item.addprevious(details)
        details.extend([summary, item])
        caption.drop_tree()
        named = item.find(".//table") if item.tag == "div" else item
        named.set("aria-labelledby", summary.get("id"))
    for text in reversed(main.find_class("more")):
        later = text.getnext()
        if later is not None and (details := later.find("details[@class='fold']")) is not None:
            details.insert(1, text)
    for cell in main.find_class("cell"):
        if len(cell) == 1 and cell[0].get("class") == "code":
            cell.set("class", "cell silent")


def _contents(main: HtmlElement) -> HtmlElement:
    outer = fragment("<ol></ol>")
    inner: HtmlElement | None = None
    for heading in main.xpath(".//h2|.//h3"):
        link = fragment(f'<a href="#{heading.get("id")}"></a>')
        link.text = heading.text
        link.extend(copy.deepcopy(child) for child in heading)
        etree.strip_tags(link, "a")  # of a link in the heading
        item = etree.SubElement(outer if heading.tag == "h2" or inner is None else inner, "li")
        item.append(link)
        if heading.tag == "h2":
            inner = etree.SubElement(item, "ol")
        here = fragment(f'<a class="here" href="#{heading.get("id")}">#</a>')
        here.set("aria-label", f"Lien vers la section {words(heading)}")
        heading.append(here)
    for empty in outer.xpath(".//ol[not(*)]"):
        empty.drop_tree()
    return outer


def _list_questions(page: HtmlElement, main: HtmlElement) -> None:
    """Offer the questions beside the contents; a page with fewer than two needs no list."""
    holder = page.get_element_by_id("questions")
    names = [question.get("id") for question in main.find_class("question")]
    if len(names) < 2:
        holder.drop_tree()
        return
    items = "".join(f'<li><a href="#{name}">{name}</a></li>' for name in names)
    holder.append(fragment(f"<ol>{items}</ol>"))


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
