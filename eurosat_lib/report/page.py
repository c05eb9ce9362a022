"""One pass over the page that nbconvert wrote: its form, and what must not leave the house."""

from __future__ import annotations

import base64
import difflib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pypandoc
from lxml import etree
from lxml.html import HtmlElement
from lxml.html import fragment_fromstring as fragment
from PIL import Image

from eurosat_lib.errors import did_you_mean
from eurosat_lib.files import PICTURES
from eurosat_lib.report.title import Title

TEMPLATE = Path(__file__).resolve().parents[2] / "reports" / "template"
QUESTION = re.compile(r"([DM]\d{1,2})\.")
NUMBERED = "self::figure[contains(@class, 'eurosat')][.//figcaption]"
NUMBERED = f".//*[self::h2 or self::h3 or {NUMBERED} or self::div[@class='table'][.//caption]]"
VERBATIM = " or ".join(f"self::{tag}" for tag in ("code", "pre", "script", "style", "math", "kbd"))
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
CODE = "ancestor::*[self::code or self::pre or self::style or self::details or @class='literal']"
TEXT = f"(//main | //*[@class='answer abstract'])//text()[not({CODE})]"
TEX = re.compile(r"\\[a-zA-Z]{2,}|\$\$|(?<!\w)\$[^$\s][^$]*\$(?!\w)")
PLACES = "looked for beside the notebook, in notebooks, reports/answers and the project's folder"
# What would run, or be fetched when the page is opened; links to follow stay.
LIVE = {"script", "iframe", "frame", "object", "embed", "applet", "link", "meta", "base", "portal"}
LIVE |= {"svg", "video", "audio"}
FETCHING = {"src", "srcset", "poster", "data", "background", "action", "formaction", "ping"}
FETCHING |= {"href", "xlink:href", "manifest", "codebase", "archive", "srcdoc"}
IN_SVG = re.compile(
    rb"""(?i)((href|src)\s*=|url\(|@import)\s*["']?\s*(?!data:|#|["'\s])[^"'\s>)]"""
)
STYLE = re.compile(r"(?i)url\(\s*[\"']?(?!data:|#|[\"'\s])|@import|image-set\(|\\")


def shape(
    page: HtmlElement, title: Title, folder: Path, wanted: Mapping[str, Any] | None
) -> list[str]:
    """Give a raw page its form, in place; return what is wrong with it, one line each.

    It will lie in the folder; ``wanted`` is what must be in it, none for a notebook alone.
    """
    main = page.find(".//main")
    for heading in main.xpath(".//h1"):
        heading.drop_tree()
    _set_blocks(page, main)
    problems = _set_formulas(page)
    _set_headings(page, main)
    _number(main, title)
    problems += _set_links(page, folder, alone=wanted is None)
    if wanted:
        problems += _template_problems(main, wanted)
    problems += _content_problems(page)
    _fold(main)
    for text in page.body.xpath(f".//text()[not(ancestor::*[{VERBATIM}])]"):
        setattr(text.getparent(), "text" if text.is_text else "tail", french(text))
    etree.strip_attributes(page, "data-cell", "data-detail")
    return problems


def _set_blocks(page: HtmlElement, main: HtmlElement) -> None:
    """Make blocks of questions; put the abstract on top of the page."""
    for quote in main.xpath(".//blockquote[p/strong]"):
        strong = quote.find("p/strong")
        if found := QUESTION.fullmatch(words(strong)):
            quote.tag, quote.attrib["class"], quote.attrib["id"] = "div", "question", found[1]
            strong.set("class", "id")
    for abstract in main.find_class("abstract"):
        head = page.get_element_by_id("debut")
        card = head.find_class("card")
        head.insert(head.index(card[0]) if card else len(head), abstract)


def _set_formulas(page: HtmlElement) -> list[str]:
    """Write formulas as MathML; name the faulty ones."""
    logging.getLogger("pypandoc").setLevel(logging.ERROR)  # we say ourselves which one is faulty
    form, options = "markdown_strict+tex_math_dollars", ["--mathml", "--sandbox", "--wrap=none"]
    problems = []
    for span in page.find_class("tex"):
        text, sign = words(span), "$$" if "display" in span.get("class") else "$"
        source = f"{sign}{text}{sign}"
        written = pypandoc.convert_text(source, "html", format=form, extra_args=options)
        formula = fragment(written, create_parent="div").find(".//math")
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
        text = words(heading)
        plain = unicodedata.normalize("NFKD", text.lower().replace("œ", "oe"))
        plain = re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")
        taken[plain] += 1
        name = f"sec-{plain}" + (f"-{taken[plain]}" if taken[plain] > 1 else "")
        heading.set("id", name)
        if heading.tag != "h4":
            item = etree.SubElement(contents, "li", {"class": heading.tag})
            etree.SubElement(item, "a", href=f"#{name}").text = text


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
        target = targets.get(address[1:])
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
        details = fragment('<details class="fold"></details>')
        details.tail, item.tail = item.tail, None
        item.addprevious(details)
        details.extend([caption, item])
    for text in reversed(main.find_class("more")):
        later = text.getnext()
        if later is not None and (details := later.find("details[@class='fold']")) is not None:
            details.insert(1, text)


def french(text: str) -> str:
    """Set a text as French printers do: ``vrai ?`` with a thin space, ``27 000`` unbreakable."""
    for pattern, replacement in FRENCH:
        text = pattern.sub(replacement, text)
    return text


def _template_problems(main: HtmlElement, wanted: Mapping[str, Any]) -> list[str]:
    """Compare headings, questions and answers of a page with the course's template."""
    titles = [f"heading h{s['level']} {normal(s['title'])}" for s in wanted["sections"]]
    headings = main.xpath(".//h2|.//h3|.//h4")
    headings = [f"heading {h.tag} {normal(words(h))}" for h in headings]
    asked, found = [], []
    for name, text in wanted["questions"].items():
        asked += [f"question {name}. {normal(text or '')}".strip(), f"answer {name}"]
    for block in main.xpath(".//div[@class='question' or @class='answer reply']"):
        name = block.get("data-answer")
        free = wanted["questions"].get(block.get("id"), "") is None
        text = f"{block.get('id')}." if free else normal(words(block))
        found.append(f"answer {name}" if name else f"question {text}")
    told, problems = {"- ": "missing", "+ ": "not in the template at this place"}, []
    for pair in ((titles, [heading for heading in headings if heading in titles]), (asked, found)):
        lines = [line for line in difflib.ndiff(*pair) if line[:2] in told]
        problems += [f"{line[2:]}: {told[line[:2]]}" for line in lines]
    called = main.xpath(".//a/@href")
    for item in main.xpath(".//*[@data-number][not(@data-detail)]"):
        if (name := f"#{item.get('id')}") not in called:
            kind = f"{item.tag} {item.get('data-number')}"
            problems.append(f"{where(item)}: {kind} ({name}) is never called in the text")
    return problems


def _content_problems(page: HtmlElement) -> list[str]:
    """Look for what no page may hold; take out what would run or be fetched."""
    names = Counter(page.xpath("//@id"))
    problems = [f"the name {n!r} is given {k} times" for n, k in names.items() if k > 1]
    for text in filter(TEX.search, page.xpath(TEXT)):
        problems.append(f"{where(text.getparent())}: raw TeX in the text: {words(text)[:120]}")
    live = []
    own = page.body.xpath("./footer/following-sibling::script[last()]")  # the template's
    if not own:
        problems.append("a cell's HTML ends the page, or leaves a tag or comment open")
    for element in [one for one in page.body.iter("*") if one not in own]:
        problems += [f"{where(element)}: {fault}" for fault in _drop_fetching(element)]
        if element.tag == "img" and not (element.get("alt") or "").strip():
            problems.append(f"{where(element)}: the image has no alternative text (alt)")
        if fault := _picture_fault(element.get("src") or ""):
            problems.append(f"{where(element)}: the image {fault}")
        if element.tag == "td" and words(element) in ("nan", "NaN", "NaT", "None"):
            problems.append(f"{where(element)}: {words(element)} in a table")
        text = element.text_content() if element.tag == "style" else ""
        styled = STYLE.search(text) or "<" in text
        if element.tag in LIVE or styled:
            problems.append(f"{where(element)}: <{element.tag}> is nothing a report can show")
            live.append(element)
    for element in live:
        element.drop_tree()
    return problems


def _picture_fault(source: str) -> str:
    """Say what is wrong with an embedded picture: it is damaged, or fetches something."""
    head, _, body = source.partition(",")
    if not head.startswith("data:image/"):
        return ""
    try:
        data = base64.b64decode(body) if head.endswith("base64") else unquote_to_bytes(body)
        if "svg" in head:
            return "fetches something" if IN_SVG.search(data) else ""
        with Image.open(BytesIO(data), formats=(*PICTURES, "GIF")) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "is damaged"
    return ""


def _drop_fetching(element: HtmlElement) -> Iterator[str]:
    """Take off the attributes that would run or fetch something; name them."""
    for name, value in element.items():
        inside = value.startswith(("data:", "#")) and name != "srcset"
        fetches = name in FETCHING and value and not inside
        fetches = fetches and (element.tag, name) != ("a", "href")
        if fetches or name.startswith("on") or (name == "style" and STYLE.search(value)):
            del element.attrib[name]
            lost = f"image {value} is not embedded ({PLACES})"
            told = f"<{element.tag} {name}> runs or fetches {words(value)[:120]}"
            yield lost if element.tag == "img" else told


def where(element: HtmlElement) -> str:
    """Return the notebook and cell an element was made by ("05_grid.ipynb, cell 7")."""
    return next(iter(element.xpath("ancestor-or-self::*/@data-cell")), "title page")


def words(found: HtmlElement | str) -> str:
    """Return a text, or that of an element, with single spaces."""
    return " ".join((found if isinstance(found, str) else found.text_content()).split())


def normal(text: str) -> str:
    """Return a text as it is compared: no Markdown marks, one kind of space and apostrophe."""
    text = re.sub(r"(?<![\w\"])_([^_]+)_(?![\w\"])", r"\1", re.sub("[*`]", "", text))
    text = text.translate({ord("’"): "'", ord("…"): "...", ord("“"): '"', ord("”"): '"'})
    return words(text)
