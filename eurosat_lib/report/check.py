"""What must not leave the house: a report with errors, holes, or things fetched from elsewhere."""

from __future__ import annotations

import base64
import difflib
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

from eurosat_lib.errors import UserError, one_line
from eurosat_lib.files import PICTURES

LEFT_OUT = {"hide", "exploration", "parameters", "injected-parameters"}  # tags of cells
RICH = ("text/html", "text/markdown", "text/latex", "image/", "application/vnd.jupyter.widget")
CODE = "ancestor::*[self::code or self::script or self::style or self::svg or self::details]"
CODE += " or ancestor::*[self::h1 or @class='author' or @class='course' or @class='literal']"
TEXT, IMAGE = f"//body//text()[not({CODE})]", "//img[starts-with(@src, 'data:')]"
VALUE = r"^\s*[-+]?(nan|NaN|None|NaT|<NA>|inf)\s*$"
TEX = r"\\[a-zA-Z]{2,}|\$\$|(?<!\w)\$[^$\s][^$]*\$(?!\w)"
NO_ALT = "No description has been provided for this image"  # what nbconvert writes for none
PLACES = "looked for beside the notebook, in notebooks, reports/answers and the project's folder"
RULES = {  # what no page may hold, and how it is told
    "//img[not(starts-with(@src, 'data:'))]": f"image {{src}} is not embedded ({PLACES})",
    f"{IMAGE}[not(@alt) or @alt = '{NO_ALT}']": "the image has no alternative text (alt)",
    "//figure[not(.//img or .//svg)]": "the figure holds no image",
    f"//*[self::td or self::th][re:test(., '{VALUE}')]": "{text} in a table",
    rf"{TEXT}[re:test(., '\bnan\b')]": "nan in the text: {text}",
    f"{TEXT}[contains(., 'Traceback')]": "a traceback in the text",
    f"{TEXT}[not(ancestor::pre)][re:test(., '{TEX}')]": "raw TeX in the text: {text}",
}
# What would run, or be fetched when the page is opened; links to follow stay, and the last script,
# which is the template's.
LIVE = "^(script|iframe|frame|object|embed|applet|link|meta|base|portal)$"
FETCHING = "^(src|srcset|poster|data|background|(form)?action|ping|(xlink:)?href|manifest"
FETCHING += "|codebase|archive|srcdoc)$"
STYLE = r"url\(\s*[\x22\x27]?(?!data:|#|[\x22\x27\s])|@import|image-set\(|\\"
STYLED = "^(style|fill|stroke|filter|mask|clip-path|cursor)$"
ADDRESS = "not(starts-with(., 'data:') or starts-with(., '#') or . = '')"
OWN = "self::script[parent::body][not(following-sibling::script)]"
FOREIGN = {
    f"//body//@*[re:test(name(), '{FETCHING}')][{ADDRESS}][not(name() = 'href' and parent::a)]": (
        "<{tag}> fetches {text}"
    ),
    f"//body//@*[re:test(name(), '{STYLED}')][re:test(., '{STYLE}', 'i')]": (
        "<{tag}> fetches {text}"
    ),
    f"//body//style[re:test(., '{STYLE}', 'i')]": "<{tag}> fetches something",
    "//body//@*[starts-with(name(), 'on')]": "<{tag}> runs {text}",
    f"//body//*[re:test(name(), '{LIVE}')][not({OWN})]": ("<{tag}> is nothing a report can show"),
}
EXSLT = {"re": "http://exslt.org/regular-expressions"}
SHAPE = re.compile(rb"<(?:path|use|text|image|rect|circle|line|poly)")
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
        raise UserError(f"{path}: expected sections and questions ({one_line(error)})") from None


def notebook_problems(path: Path, notebook: NotebookNode) -> list[str]:
    """Look for error outputs, text on stderr, and cells that were never executed."""
    problems, idle = [], []
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        place = f"{path.name}, cell {number} ({_short(cell.source.strip().splitlines()[0], 50)})"
        hidden = bool(LEFT_OUT & set(cell.metadata.get("tags", [])))
        problems += [f"{place}: {line}" for line in _output_problems(cell.outputs, hidden)]
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
    asked, found = [], []
    for name, text in wanted["questions"].items():
        asked += [f"question {name}. {normal(text or '')}".strip(), f"answer {name}"]
    for block in main.xpath(".//div[@class='question' or @class='answer reply']"):
        name = block.get("data-answer") or block.get("id")
        free = wanted["questions"].get(name, "") is None
        text = f"{name}." if free else normal(words(block))
        found.append(f"answer {name}" if block.get("data-answer") else f"question {text}")
    problems = _differences(titles, [heading for heading in headings if heading in titles])
    problems += _differences(asked, found)
    called = main.xpath(".//a/@href")
    for item in main.xpath(".//*[@data-number][not(@data-detail)]"):
        if (address := f"#{item.get('id')}") not in called:
            kind = f"{'figure' if item.tag == 'figure' else 'tableau'} {item.get('data-number')}"
            problems.append(f"{where(item)}: {kind} ({address}) is never called in the text")
    return problems


def _differences(wanted: list[str], found: list[str]) -> list[str]:
    """Name what is missing, and what stands where the template has something else."""
    told = {"- ": "missing", "+ ": "not in the template at this place"}
    lines = difflib.ndiff(wanted, found)
    return [f"{line[2:]}: {told[line[:2]]}" for line in lines if line[:2] in told]


def content_problems(page: HtmlElement) -> list[str]:
    """Look for what no page may hold; take out what would run or be fetched."""
    names = Counter(page.xpath("//*[not(ancestor::svg)]/@id"))
    problems = [f"the name {n!r} is given {k} times" for n, k in names.items() if k > 1]
    for image in page.xpath(IMAGE):
        if fault := _picture_fault(image.get("src")):
            problems.append(f"{where(image)}: the image {fault}")
    for path, message in (RULES | FOREIGN).items():
        for found in page.xpath(path, namespaces=EXSLT):
            element = found if isinstance(found, HtmlElement) else found.getparent()
            text = _short(words(found) if element is found else found)
            told = message.format(text=text, src=element.get("src"), tag=element.tag)
            problems.append(f"{where(element)}: {told}")
            if path in FOREIGN and element is found:
                element.drop_tree()
            elif path in FOREIGN:
                del element.attrib[found.attrname]
    return problems


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


def _picture_fault(source: str) -> str:
    """Say what is wrong with an embedded picture: damaged, of one colour only, or fetching."""
    from PIL import Image

    data = content_of(source)
    if "svg" in source[:16]:
        found = IN_SVG.search(data)
        fault = "is empty" if len(SHAPE.findall(data)) < 2 else ""
        return f"fetches {_short(found[1].decode(errors='replace'))}" if found else fault
    try:
        extrema = (
            Image.open(io.BytesIO(data), formats=(*PICTURES, "GIF")).convert("RGB").getextrema()
        )
    except OSError:
        return "is empty"
    return "is empty" if all(low == high for low, high in extrema) else ""


def content_of(address: str) -> bytes:
    """Return what a ``data:`` address holds; nothing if it is damaged."""
    head, _, body = address.partition(",")
    data = unquote_to_bytes(body)
    try:
        return base64.b64decode(data + b"==") if head.endswith(";base64") else data
    except ValueError:
        return b""


def _short(text: str, limit: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
