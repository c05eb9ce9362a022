"""From the finished page to paper: pandoc writes Typst, Typst an accessible PDF (PDF/UA-1).

Both work in a folder of their own that holds the page's pictures and nothing else: what a cell
displays can make neither of them fetch an address or read a file.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from pathlib import Path
from urllib.parse import unquote_to_bytes

import lxml.html
import matplotlib
import pypandoc
import typst
from lxml import etree
from lxml.html import HtmlElement
from lxml.html import fragment_fromstring as fragment

from eurosat_lib.errors import UserError
from eurosat_lib.files import replacing

TEMPLATE = Path(__file__).resolve().parents[2] / "reports" / "template"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # as in the figures
FULL, TALLEST = 624, 830  # CSS pixels: a picture as wide as the text, 16.5 cm; most of a page
GONE = ("details", "nav", "footer", "button", "script", "style", "svg")
FOREIGN = ("iframe", "object", "embed", "video", "audio", "source", "track")
SCREEN = "//*[@class='here' or @class='skip']"  # what only a screen needs
KEPT = ("id", "class", "href", "src", "alt", "width", "height", "colspan", "rowspan", "style")
MATHS = ("display", "mathvariant", "accent", "form", "stretchy")  # of formulas
TARGETS = ("h2", "h3", "h4", "figure", "table", "div")  # what a reference may lead to
FORMATS = {"svg+xml": "svg", "png": "png", "jpeg": "jpg", "webp": "webp", "gif": "gif"}
# Layouts, the best first: Typst 0.15 fails to tag some, by where floats and page breaks fall.
LAYOUTS = [{"flush": "yes", "size": "10.5"}]  # no figure stands behind the next section's heading
LAYOUTS += [{"flush": "", "size": size} for size in ("10.5", "10.4", "10.3", "10.6")]  # points
PANDOC = ("--sandbox", "--wrap=none", "--shift-heading-level-by=-1")


def write_pdf(page: str, target: Path) -> int:
    """Print a self-contained HTML page as a tagged A4 PDF.

    Args:
        page: the whole HTML text, pictures embedded.
        target: the file to write.

    Returns:
        The number of pages.

    Raises:
        UserError: a picture is not embedded, or the PDF would not be accessible to every reader.
    """
    root = lxml.html.document_fromstring(page)
    about = {"title": _text(root, "//h1"), "author": _text(root, "//*[@class='author']")}
    about["single"] = root.body.get("class", "")  # of a notebook alone: no contents
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _leave_out(root)
        _lay_title(root)
        _save_pictures(root, folder)
        _prepare_tables(root)
        _unlink(root)
        (folder / "rapport.typ").write_text(_to_typst(root), encoding="utf-8")
        document, pages = _compile(folder, about)
    with replacing(target) as partial:
        partial.write_bytes(document)
    return pages


def _text(root: HtmlElement, path: str) -> str:
    found = root.xpath(path)
    return " ".join(found[0].text_content().split()) if found else ""


def _leave_out(root: HtmlElement) -> None:
    """Drop what a screen alone needs, and every attribute that pandoc could take for an order."""
    for element in [*root.iter(*GONE, etree.Comment), *root.xpath(SCREEN)]:
        if element.getparent() is not None:
            element.drop_tree()
    for element in list(root.iter(*FOREIGN)):
        element.drop_tag()
    for element in root.iter():
        if element.get("data-answer") == "resume":
            element.set("class", "abstract")
        for name in {*element.attrib} - {*KEPT, *MATHS}:
            del element.attrib[name]


def _lay_title(root: HtmlElement) -> None:
    """Make the head of the page its title page; classes of paragraphs become blocks."""
    for front in root.xpath("//header"):
        front.tag = "div"
        front.set("class", "front")
        for heading in front.xpath(".//h1|.//h2"):
            heading.set("class", "title" if heading.tag == "h1" else "label")
            heading.tag = "div"
        for abstract in root.xpath("//main//*[@class='abstract']"):
            front.append(abstract)
    for element in root.xpath("//main|//section|//p[@class]"):
        element.tag = "div"  # pandoc reads main alone, and has no classes of paragraphs


def _save_pictures(root: HtmlElement, folder: Path) -> None:
    """Write embedded pictures as files; those of the text's width stay so, none is too tall."""
    for image in root.iter("img"):
        kind, _, data = image.get("src", "").partition(",")
        form = FORMATS.get(kind.removeprefix("data:image/").partition(";")[0])
        if not kind.startswith("data:image/") or not form:
            raise UserError(f"the PDF takes embedded pictures only, not {image.get('src')!r:.80}")
        content = unquote_to_bytes(data)
        if kind.endswith(";base64"):
            content = base64.b64decode(content + b"==")
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{form}"
        (folder / name).write_bytes(content)
        image.set("src", name)
        width, height = _pixels(image, "width"), _pixels(image, "height")
        image.set("width", f"{min(width, FULL, TALLEST * width / height) / FULL:.1%}")


def _pixels(image: HtmlElement, side: str) -> int:
    found = re.match(r"[1-9]\d*(?=(px)?$)", image.get(side, ""))
    return int(found[0]) if found else FULL


def _prepare_tables(root: HtmlElement) -> None:
    """Give a table the name of its block, and the note below as its foot."""
    for block in root.xpath("//div[contains(concat(' ', @class, ' '), ' table ')][.//table]"):
        table = next(block.iter("table"))
        if block.get("id"):
            table.set("id", block.attrib.pop("id"))
        for note in block.find_class("note"):
            columns = max(len(row) for row in table.iter("tr"))
            foot = fragment(f"<tfoot><tr><td colspan='{columns}'></td></tr></tfoot>")
            note.tag = "span"
            foot[0][0].append(note)
            table.append(foot)


def _unlink(root: HtmlElement) -> None:
    """Keep the links that lead somewhere from paper: into the document, or to the Web."""
    places = [e.get("id") for name in TARGETS for e in root.iter(name) if e.get("id")]
    for link in root.xpath("//a"):
        address = link.get("href", "")
        inside = address.startswith("#") and address[1:] in places
        if not inside and not address.startswith(("https://", "http://", "mailto:")):
            link.drop_tag()


def _to_typst(root: HtmlElement) -> str:
    try:
        body = pypandoc.convert_text(
            lxml.html.tostring(root.body, encoding="unicode"),
            "typst-smart",
            format="html",
            extra_args=[*PANDOC, f"--lua-filter={TEMPLATE / 'rapport.lua'}"],
        )
    except RuntimeError as error:
        raise UserError(f"pandoc cannot read the page: {_line(error)}") from None
    return (TEMPLATE / "rapport.typ").read_text(encoding="utf-8") + body


def _compile(folder: Path, about: dict[str, str]) -> tuple[bytes, int]:
    """Typeset the folder's document in the first layout that Typst can tag; count its pages."""
    faults = []
    for layout in LAYOUTS:
        compiler = typst.Compiler(
            folder / "rapport.typ",
            root=folder,
            font_paths=[FONTS],
            ignore_system_fonts=True,  # the same page on every machine
            sys_inputs=about | layout,
        )
        try:
            document = compiler.compile(format="pdf", pdf_standards=["ua-1"])
            return document, int(compiler.query("<pages>", field="value", one=True))
        except typst.TypstError as error:
            faults.append(_line(error))
    raise UserError(f"the PDF cannot be made: {faults[0]}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
