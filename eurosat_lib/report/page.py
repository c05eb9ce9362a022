"""One pass over the page that nbconvert wrote: its form, and what must not leave the house."""

import base64
import difflib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

import pypandoc
from lxml import etree
from lxml.html import HtmlElement
from lxml.html import fragment_fromstring as fragment
from PIL import Image

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.french import typeset
from eurosat_lib.report.title import Title

TEMPLATE = Path(__file__).resolve().parents[2] / "reports" / "template"
QUESTIONS = "reports/template/questions.yaml"  # headings and questions of the course
MATHML = {"format": "markdown_strict+tex_math_dollars"}
MATHML |= {"extra_args": ["--mathml", "--sandbox", "--wrap=none"]}
# Ours, whatever pandoc the machine has beside it: each prints its own way.
os.environ.setdefault("PYPANDOC_PANDOC", str(Path(pypandoc.__file__).parent / "files/pandoc"))
QUESTION = re.compile(r"([DM]\d{1,2})\.")
NUMBERED = ".//h2 | .//h3 | .//figure[@class='eurosat'] | .//div[@class='table'][.//caption]"
VERBATIM = " or ".join(f"self::{tag}" for tag in ("code", "pre", "script", "style", "math", "kbd"))
PLAIN = f"text()[not(ancestor::*[{VERBATIM} or @class='literal'])]"
IMAGE = re.compile(r"!\[[^\]]*\]\(")  # of Markdown, with a space in its address, say
ASKING = re.compile(r"(?i)url\((?!\s*['\"]?data:)|image-set\(")  # styles that would fetch
LINKED = re.compile(rb"""<image[^>]*href\s*=\s*["'](?!data:|#)""")  # what an SVG would fetch
TEX = re.compile(r"\\[a-zA-Z]{2,}|\$\$|(?<!\w)\$[^$\s][^$]*\$(?!\w)")
SHOWN = ("JPEG", "PNG", "WEBP", "GIF")  # kinds of pictures that browsers show, SVG aside
PLACES = "looked for beside the notebook, in notebooks, reports/answers and the project's folder"
KINDS = f"kinds that can be shown: {', '.join(SHOWN)}"
# What would run, or need more than the page; its policy lets nothing be fetched or run besides.
LIVE = {"script", "iframe", "frame", "object", "embed", "applet", "link", "meta", "base", "portal"}
LIVE |= {"svg", "video", "audio"}


def shape(page: HtmlElement, title: Title, folder: Path, wanted: dict | None) -> list[str]:
    """Give a raw page its form, in place; return what is wrong with it, one line each.

    It will lie in the folder; ``wanted`` is what must be in it, none for a notebook alone.
    """
    main = page.find(".//main")
    for heading in main.xpath(".//h1"):  # the page's is the title
        heading.tag = "h2"
    _set_blocks(page, main)
    problems = [*_set_formulas(page)]
    _set_headings(page, main)
    _number(main, title)
    problems += _set_links(page, folder, alone=wanted is None)
    if wanted:
        problems += _template_problems(main, wanted)
    problems += _content_problems(page)
    for text in page.body.xpath(f".//{PLAIN}"):
        setattr(text.getparent(), "text" if text.is_text else "tail", typeset(text))
    etree.strip_attributes(page, "data-cell", "data-detail", "background")
    for styled in page.xpath("//*[@style]"):  # where a reader has no policy
        if ASKING.search(styled.get("style")):
            del styled.attrib["style"]
    return problems


def _set_blocks(page: HtmlElement, main: HtmlElement) -> None:
    """Make blocks of questions; put the abstract on top of the page."""
    for quote in main.xpath(".//blockquote[p/strong]"):
        strong = quote.find("p/strong")
        if found := QUESTION.fullmatch(words(strong)):
            quote.tag, quote.attrib["class"], quote.attrib["id"] = "div", "question", found[1]
            strong.tag, strong.attrib["class"] = "span", "id"  # pandoc keeps classes of spans
    page.get_element_by_id("resume").extend(main.find_class("abstract"))


def _set_formulas(page: HtmlElement) -> Iterator[str]:
    """Write formulas as MathML; name the faulty ones."""
    logging.getLogger("pypandoc").setLevel(logging.ERROR)  # we say ourselves which one is faulty
    for span in page.find_class("tex"):
        text, sign = words(span), "$$" if "display" in span.get("class") else "$"
        written = pypandoc.convert_text(f"{sign}{text}{sign}", "html", **MATHML)
        formula = fragment(written, create_parent="div").find(".//math")
        if formula is None:
            yield f"{where(span)}: formula ${text}$ cannot be set"
            continue
        etree.strip_elements(formula, "annotation")
        formula.set("alttext", text)
        formula.tail, span.text = None, None
        span.set("class", span.get("class").replace("tex", "math"))
        span.append(formula)


def _set_headings(page: HtmlElement, main: HtmlElement) -> None:
    """Give headings anchors, and list them."""
    contents = etree.SubElement(page.get_element_by_id("toc"), "ol")
    for rank, heading in enumerate(main.xpath(".//h2 | .//h3"), start=1):
        heading.set("id", f"sec-{rank}")
        item = etree.SubElement(contents, "li", {"class": heading.tag})
        etree.SubElement(item, "a", href=f"#sec-{rank}").text = words(heading)


def _number(main: HtmlElement, title: Title) -> None:
    """Number figures and tables in the order of the page, supplements apart (S1, S2).

    Beside each stands what it owes to the profile or to drawn images. A supplement is put into a
    closed fold that bears its caption, with the text before it.
    """
    section, counts = "", Counter()
    for item in main.xpath(NUMBERED):
        if item.tag in ("h2", "h3"):
            numbered = re.match(r"\d+(?=\))|\d+(\.\d+)+", words(item))
            section = numbered[0] if numbered else section  # one's own heading begins none
            continue
        word, prefix = ("Figure", "fig") if item.tag == "figure" else ("Tableau", "tab")
        series = "S" if item.get("data-detail") else ""
        counts[word, series] += 1
        count = f"{series}{counts[word, series]}"
        item.set("data-number", count)
        item.set("id", item.get("id") or f"{prefix}-{count.lower()}")
        caption = next(item.iter("figcaption", "caption"))
        label = fragment(f'<span class="number">{word}\u00a0{count}.</span>')
        label.tail, caption.text = f" {caption.text or ''}", None
        caption.insert(0, label)
        if mark := title.mark(section, item.get("id").partition("-")[2]):
            caption[-1].tail = f"{caption[-1].tail or ''} "
            caption.append(fragment(f'<span class="marker">{mark}</span>'))
        if series:
            caption.tag, details = "summary", fragment('<details class="fold"></details>')
            item.addprevious(details)
            before = details.xpath("../preceding-sibling::*[1][contains(@class, 'more')]")
            details.extend([caption, *before, item])


def _set_links(page: HtmlElement, folder: Path, alone: bool) -> Iterator[str]:
    """Write "figure 3" for ``[figure](#fig-courbes)``; make text of links that lead nowhere."""
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
                link.text = f"{text}\u00a0{count}".strip()
        elif alone or next(link.iterancestors("nav"), None) is not None:
            link.drop_tag()  # to a figure of another notebook, or an answer that is missing
        else:
            hint = did_you_mean(address[1:], targets)
            yield f"{where(link)}: the link {address} leads nowhere{hint}"


def _template_problems(main: HtmlElement, wanted: dict) -> Iterator[str]:
    """Compare headings, questions and answers of a page with the course's template."""
    asked, found = [], []
    try:
        titles = [f"heading h{s['level']} {normal(s['title'])}" for s in wanted["sections"]]
        for name, text in wanted["questions"].items():
            asked += [f"question {name}. {normal(text or '')}".strip(), f"answer {name}"]
    except (KeyError, TypeError, AttributeError):
        said = "expected sections (level, title) and questions"
        raise UserError(f"{QUESTIONS}: {said}") from None
    headings = [f"heading {h.tag} {normal(words(h))}" for h in main.xpath(".//h2|.//h3|.//h4")]
    for block in main.xpath(".//div[@class='question' or @class='answer reply']"):
        name = block.get("data-answer")
        free = wanted["questions"].get(block.get("id"), "") is None
        text = f"{block.get('id')}." if free else normal(words(block))
        found.append(f"answer {name}" if name else f"question {text}")
    told = {"- ": "missing", "+ ": "not in the template at this place"}
    for pair in ((titles, [heading for heading in headings if heading in titles]), (asked, found)):
        lines = [line for line in difflib.ndiff(*pair) if line[:2] in told]
        yield from (f"{line[2:]}: {told[line[:2]]}" for line in lines)
    called = main.xpath(".//a/@href")
    for item in main.xpath(".//*[@data-number][not(@data-detail)]"):
        if (name := f"#{item.get('id')}") not in called:
            kind = f"{item.tag} {item.get('data-number')}"
            yield f"{where(item)}: {kind} ({name}) is never called in the text"


def _content_problems(page: HtmlElement) -> Iterator[str]:
    """Name what no page may hold; take out what is live, and pictures that cannot be shown."""
    for name, count in Counter(page.xpath("//@id")).items():
        if count > 1:
            yield f"the name {name!r} is given {count} times"
    for text in filter(TEX.search, page.xpath(f"(//main | //*[@id='resume'])//{PLAIN}")):
        yield f"{where(text.getparent())}: raw TeX in the text: {words(text)[:120]}"
    for text in filter(IMAGE.search, page.xpath(f"//main//{PLAIN}")):
        said = "no picture; an address with spaces is written ![…](<…>)"
        yield f"{where(text.getparent())}: {said}: {words(text)[:120]}"
    own = page.body.xpath("./footer/following-sibling::script[last()]")  # the template's
    if not own:
        yield "a cell's HTML ends the page, or leaves a tag or comment open"
    others = [element for element in page.body.iter("*") if element not in own]
    for element in others:
        yield from (f"{where(element)}: {fault}" for fault in _faults(element))
    for element in others:
        if element.tag in LIVE or (element.tag == "img" and not _is_sound(element)):
            element.drop_tree()


def _faults(element: HtmlElement) -> Iterator[str]:
    """Name what is wrong with an element."""
    source = element.get("src") or ""
    if element.tag in LIVE:
        yield f"<{element.tag}> is nothing a report can show"
    if element.tag == "td" and words(element) in ("nan", "NaN", "NaT", "None"):
        yield f"{words(element)} in a table"
    if element.tag == "img" and not (element.get("alt") or "").strip():
        yield "the image has no alternative text (alt)"
    if element.tag == "img" and not _is_sound(element):
        lost = f"image {source} is not embedded ({PLACES}; {KINDS})"
        yield f"the image is damaged ({KINDS})" if source.startswith("data:") else lost


def _is_sound(image: HtmlElement) -> bool:
    """Tell whether a picture is embedded and can be shown."""
    source = image.get("src") or ""
    try:
        if source.startswith("data:image/svg"):
            return not LINKED.search(embedded(source))
        with Image.open(BytesIO(embedded(source)), formats=SHOWN) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True


def embedded(source: str) -> bytes:
    """Return what a ``data:`` address holds; a damaged one is a ValueError."""
    head, _, body = source.partition(",")
    return base64.b64decode(body) if head.endswith(";base64") else unquote_to_bytes(body)


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
