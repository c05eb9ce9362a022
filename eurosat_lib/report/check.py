"""What must not leave the house: a report with errors, holes, or things fetched from elsewhere."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import yaml
from lxml.html import HtmlElement
from nbformat import NotebookNode

from eurosat_lib.errors import UserError

NO_VALUE = re.compile(r"[-+]?(nan|NaN|None|NaT|<NA>|inf)")
TEX = re.compile(r"\\[a-zA-Z]{2,}|\$\$|(?<!\w)\$[^$\s][^$]*\$(?!\w)")
NO_ALT = "No description has been provided for this image"  # what nbconvert writes for none
SHAPE = re.compile(rb"<(?:path|use|text|image|rect|circle|line|poly)")
CODE = "ancestor::*[self::code or self::script or self::style or self::svg or self::details]"
CODE += " or ancestor::*[self::h1 or @class='author' or @class='course' or @class='literal']"
PLACES = "beside the notebook, in notebooks, reports/answers and the project's folder"
LEFT_OUT = {"hide", "exploration", "parameters", "injected-parameters"}  # tags of cells
RICH = ("text/html", "text/markdown", "text/latex", "image/", "application/vnd.jupyter.widget")
# What a cell's output must not hold: elements that run or fetch, attributes that name an address.
LIVE = ("script", "iframe", "frame", "object", "embed", "applet", "link", "meta", "base", "portal")
FETCHING = ("src", "srcset", "poster", "data", "background", "action", "formaction", "ping")
FETCHING += ("href", "xlink:href", "manifest", "codebase", "archive", "srcdoc")
STYLES = ("style", "fill", "stroke", "filter", "mask", "clip-path", "cursor")
IN_STYLE = re.compile(
    r"""url\(\s*["']?(?!data:|#)([^)"']*)|@import\s+([^;]*)|(image-set\(|\\)""", re.IGNORECASE
)
IN_SVG = re.compile(
    rb"""(?i)(?:(?:href|src)\s*=|url\(|@import)\s*["']?\s*(?!data:|#|["'\s])([^"'\s>)]+)"""
)


def refuse(problems: Iterable[str]) -> None:
    """Raise a ``UserError`` that tells every problem, once and on a line of its own."""
    lines = [f"\n  - {problem}" for problem in dict.fromkeys(problems)]
    if lines:
        count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
        raise UserError(f"the report was not built, {count}:{''.join(lines)}")


def load_template(path: Path) -> dict[str, Any]:
    """Read the course's ``sections`` (level, title) and ``questions`` (name → wording).

    Raises:
        UserError: the file is missing or not of that form.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        sections = [(int(section["level"]), str(section["title"])) for section in tree["sections"]]
        return {"sections": sections, "questions": dict(tree["questions"])}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: expected sections and questions ({reason})") from None


def notebook_problems(path: Path, notebook: NotebookNode) -> list[str]:
    """Look for error outputs, text on stderr, and cells that were never executed."""
    problems, idle = [], []
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        place = f"{path.name}, cell {number} ({_short(cell.source.strip().splitlines()[0], 50)})"
        hidden = LEFT_OUT & set(cell.metadata.get("tags", []))
        problems += [f"{place}: {line}" for line in _output_problems(cell.outputs, bool(hidden))]
        if cell.get("execution_count") is None:
            idle.append(f"{place}: never executed")
    return problems or idle[:1]


def _output_problems(outputs: Iterable[NotebookNode], hidden: bool) -> Iterator[str]:
    """Name errors; and, of a cell that is shown, what no report shows, with the remedy."""
    aside = ""
    for output in outputs:
        data = output.get("data", {})
        if output.output_type == "error":
            message = _short(str(output.get("evalue", "")), 300)
            yield f"{output.get('ename', 'error')}: {message}"
        elif output.get("name") == "stderr":
            aside += output.text
        text = "".join(data.get("text/plain", ""))
        if text.startswith("<IPython.") and not (hidden or any(k.startswith(RICH) for k in data)):
            yield f"{text}: a report cannot show this; tag the cell hide"
    if aside.strip() and not hidden:
        shown = _short(re.split(r"[\r\n]+", aside.strip())[0])
        yield f"text on stderr: {shown} (a bar: tqdm.auto; a warning: its cause; or tag hide)"


def template_problems(main: HtmlElement, wanted: Mapping[str, Any]) -> list[str]:
    """Compare a page with the course's template, and name what its text never calls.

    Args:
        main: the text of the page.
        wanted: see `load_template`.
    """
    titles = [f"heading {'#' * level} {normal(title)}" for level, title in wanted["sections"]]
    headings = main.xpath(".//h2|.//h3|.//h4")
    headings = [f"heading {'#' * int(h.tag[1])} {normal(words(h))}" for h in headings]
    blocks = main.xpath(".//div[@class='question' or @class='answer reply']")
    names = [f"{b.get('class').split()[0]} {b.get('data-answer') or b.get('id')}" for b in blocks]
    pairs = [f"{kind} {name}" for name in wanted["questions"] for kind in ("question", "answer")]
    return [
        *_order([heading for heading in headings if heading in titles], titles),
        *_order(names, pairs),
        *_reworded(main, wanted["questions"]),
        *_uncalled(main),
    ]


def content_problems(page: HtmlElement) -> list[str]:
    """Look for what no page may hold: pictures not embedded or empty, missing values."""
    return [
        *_picture_problems(page),
        *_text_problems(page),
        *(
            f"the name {name!r} is given {count} times"
            for name, count in Counter(page.xpath("//*[not(ancestor::svg)]/@id")).items()
            if count > 1
        ),
    ]


def where(element: HtmlElement) -> str:
    """Return the notebook and cell an element was made by ("05_grid.ipynb, cell 7")."""
    places = (e.get("data-cell") for e in (element, *element.iterancestors()))
    return next(filter(None, places), "title page")


def words(element: HtmlElement) -> str:
    """Return an element's text without drawings, formulas and scripts, with single spaces."""
    hidden = "self::svg or self::math or self::script or self::style"
    return " ".join("".join(element.xpath(f".//text()[not(ancestor::*[{hidden}])]")).split())


def normal(text: str) -> str:
    """Return a text as it is compared: no Markdown marks, one kind of space and apostrophe."""
    text = re.sub(r"(?<![\w\"])_([^_]+)_(?![\w\"])", r"\1", re.sub("[*`]", "", text))
    text = text.translate({ord("’"): "'", ord("…"): "...", ord("“"): '"', ord("”"): '"'})
    return " ".join(text.split())


def _order(found: list[str], wanted: list[str]) -> list[str]:
    """Compare names with those that must stand there, in this order."""
    problems = [f"{name}: missing" for name in wanted if name not in found]
    for name, count in Counter(found).items():
        if name not in wanted:
            problems.append(f"{name}: not in the template")
        elif count > 1:
            problems.append(f"{name}: given {count} times")
    kept = [name for name in dict.fromkeys(found) if name in wanted]
    pairs = zip(kept, [name for name in wanted if name in found], strict=True)
    return problems + [f"{got}: out of order" for got, want in pairs if got != want][:1]


def _reworded(main: HtmlElement, wordings: Mapping[str, str | None]) -> list[str]:
    problems = []
    for block in main.find_class("question"):
        text = wordings.get(block.get("id"))
        got = normal(words(block)).removeprefix(f"{block.get('id')}.").strip()
        if text and got != normal(text):
            name = block.get("id")
            problems.append(f'{where(block)}: question {name} must read "{text}", got "{got}"')
    return problems


def _uncalled(main: HtmlElement) -> list[str]:
    """Name the figures and tables of the printed report that no sentence refers to."""
    called = set(main.xpath(".//a/@href"))
    return [
        f"{where(item)}: {'figure' if item.tag == 'figure' else 'tableau'} "
        f"{item.get('data-number')} (#{item.get('id')}) is never called in the text"
        for item in main.xpath(".//*[@data-number][not(@data-detail)]")
        if f"#{item.get('id')}" not in called
    ]


def _picture_problems(page: HtmlElement) -> list[str]:
    problems = []
    for image in page.iter("img"):
        source = image.get("src", "")
        if not source.startswith("data:"):
            looked = "" if ":" in source else f" (looked for {PLACES})"
            name = source or "(no address)"
            problems.append(f"{where(image)}: image {name} is not embedded{looked}")
        elif "svg" in source[:16] and (found := IN_SVG.search(_bytes(source))):
            problems.append(f"{where(image)}: the image fetches {_short(found[1].decode())}")
        elif _is_blank(source):
            problems.append(f"{where(image)}: the image is empty")
        elif image.get("alt") in (None, NO_ALT):
            problems.append(f"{where(image)}: the image has no alternative text (alt)")
    for figure in page.iter("figure"):
        if figure.find(".//img") is None and figure.find(".//svg") is None:
            problems.append(f"{where(figure)}: the figure holds no image")
    return problems


def _is_blank(source: str) -> bool:
    """Tell whether an embedded image holds nothing, or one colour only."""
    from PIL import Image

    data = _bytes(source)
    if "svg" in source.partition(",")[0]:
        return len(SHAPE.findall(data)) < 2
    try:
        extrema = Image.open(io.BytesIO(data)).convert("RGB").getextrema()
    except OSError:
        return True
    return all(low == high for low, high in extrema)


def _bytes(address: str) -> bytes:
    """Return what a ``data:`` address holds; nothing if it is damaged."""
    head, _, body = address.partition(",")
    data = unquote_to_bytes(body)
    try:
        return base64.b64decode(data) if head.endswith(";base64") else data
    except ValueError:
        return b""


def disarm(page: HtmlElement) -> list[str]:
    """Take out of a page whatever would run, or be fetched when it is opened, and name it.

    Links to follow stay, and the last script, which is the template's.
    """
    problems, own = [], page.body.xpath("./script")[-1:]
    for element in [page, *page.body.iter()]:
        if not isinstance(element.tag, str):
            element.drop_tree()  # a comment
        elif element not in own:
            place, found = where(element), dict(_fetched(element))
            for name in found.keys() & element.keys():
                del element.attrib[name]
            address = next(iter(found.values()), "")
            if element.tag == "img" and "src" in found:  # named before, by the picture's check
                element.tag, element.text = "span", element.get("alt") or "image"
            elif found:
                problems.append(f"{place}: <{element.tag}> fetches {_short(address, 60)}")
            elif element.tag in LIVE:
                problems.append(f"{place}: <{element.tag}> is nothing a report can show")
            if element.tag == "style" and found:
                element.text = None
            if element.tag in LIVE:
                element.drop_tree()
    return problems


def _fetched(element: HtmlElement) -> Iterator[tuple[str, str]]:
    """Name the attributes (``text`` of a style) that run or fetch something, with what."""
    for name, value in element.items():
        if name.lower().startswith("on"):
            yield name, f"{name}={value}"
        elif name in STYLES:
            yield from ((name, "".join(found)) for found in IN_STYLE.findall(value))
        elif name in FETCHING and not (name == "href" and element.tag == "a"):
            if value and not value.startswith(("data:", "#")):
                yield name, value
            elif value.startswith("data:image/svg") and (found := IN_SVG.search(_bytes(value))):
                yield name, found[1].decode(errors="replace")
        elif name == "content" and element.get("http-equiv"):
            yield name, value
    if element.tag == "style":
        yield from (("", "".join(found)) for found in IN_STYLE.findall(element.text or ""))


def _text_problems(page: HtmlElement) -> list[str]:
    problems = []
    for cell in page.xpath("//td|//th"):
        if found := NO_VALUE.fullmatch(words(cell)):
            problems.append(f"{where(cell)}: {found[0]} in a table")
    for text in page.xpath(f"//body//text()[not({CODE})]"):
        place = where(text.getparent())
        if re.search(r"\bnan\b", text):
            problems.append(f"{place}: nan in the text: {_short(text)}")
        if "Traceback" in text:
            problems.append(f"{place}: a traceback in the text")
        if (found := TEX.search(text)) and not text.getparent().xpath("ancestor-or-self::pre"):
            problems.append(f"{place}: raw TeX in the text: {found[0]}")
    return problems


def _short(text: str, limit: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
