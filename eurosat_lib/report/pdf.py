"""From the finished page to paper: pandoc writes Typst, Typst an accessible PDF (PDF/UA-1).

Both work in a folder of their own that holds the page's pictures and nothing else: what a cell
displays can make neither of them fetch an address or read a file.
"""

import re
import tempfile
from contextlib import suppress
from itertools import product
from pathlib import Path

import lxml.html
import matplotlib
import pypandoc
import typst
from lxml import etree
from lxml.html import HtmlElement

from eurosat_lib.errors import UserError, one_line
from eurosat_lib.report.page import TEMPLATE, embedded, words

# As in the figures, but for the one that has a box for every sign.
FONTS = [*Path(matplotlib.get_data_path(), "fonts", "ttf").glob("[!L]*.ttf")]
FULL = 624  # CSS pixels: a picture as wide as the text, 16.5 cm
CAPTURE = 710  # CSS pixels of a screenshot of TensorBoard as wide as the text
GONE = ("nav", "footer", "button", "script", "style")
KEPT = ("id", "class", "href", "src", "alt", "width", "height", "colspan", "rowspan", "style")
KEPT += ("display", "mathvariant", "accent", "form", "stretchy")  # of formulas
OURS = "//details[@class='fold' or @class='code']"  # supplements, code: on screen alone
DIVS = "//details | //header | //header//h1 | //header//h2 | //main | //section | //p[@class]"
TARGETS = "//*[self::h2 or self::h3 or self::figure or self::table or self::div]/@id"
SIZES = ("10.5", "10.4", "10.3", "10.6")  # points, of the text; Typst 0.15 fails to tag some
PANDOC = ("--sandbox", "--wrap=none", "--shift-heading-level-by=-1")


def make_pdf(page: str) -> tuple[bytes, int]:
    """Print a self-contained HTML page, pictures embedded: a tagged A4 PDF, its number of pages.

    Raises:
        UserError: a picture is not embedded, or the PDF would not be accessible to every reader.
    """
    root = lxml.html.document_fromstring(page)
    author = " ".join(map(words, root.find_class("author")))
    about = {"title": words(root.find(".//h1")), "author": author}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(root)
        _save_pictures(root, folder)
        options = [*PANDOC, f"--lua-filter={TEMPLATE / 'rapport.lua'}"]
        text = lxml.html.tostring(root.body, encoding="unicode")
        text = pypandoc.convert_text(text, "typst-smart", format="html", extra_args=options)
        text = (TEMPLATE / "rapport.typ").read_text(encoding="utf-8") + text
        (folder / "rapport.typ").write_text(text, encoding="utf-8")
        return _compile(folder, about, root)


def _prepare(root: HtmlElement) -> None:
    """Leave out what a screen alone needs, and what pandoc could take for an order.

    Of links, those stay that lead somewhere from paper.
    """
    etree.strip_elements(root, etree.Comment, *GONE, with_tail=False)
    for fold in root.xpath(OURS):
        fold.drop_tree()
    for summary in root.xpath("//summary"):
        bold = etree.SubElement(summary, "strong")
        bold.text, summary.text = summary.text, None
        bold.extend(summary[:-1])  # moves all that stood before it
        summary.tag = "p"
    for element in root.xpath(DIVS):
        element.tag = "div"  # pandoc reads main alone, and has no classes of paragraphs
    places = {f"#{name}" for name in root.xpath(TARGETS)}
    for link in root.xpath("//a"):
        address = link.get("href", "")
        if address not in places and not re.match("https?://|mailto:", address):
            if re.search(r"\bS\d+$", words(link)):  # a supplement, which paper has not
                link.text = f"{words(link)}, version HTML"
            link.drop_tag()
    names = {name for element in root.iter() for name in element.attrib}
    etree.strip_attributes(root, *(names - {*KEPT}))


def _save_pictures(root: HtmlElement, folder: Path) -> None:
    """Write embedded pictures as files; a given width becomes a share of the text's.

    Without one Typst takes the picture's own size, turned as its camera says, where that fits.
    """
    for number, image in enumerate(root.iter("img")):
        source, asked = image.get("src", ""), re.match(r"(\d*\.?\d+)(%?)", image.get("width", ""))
        if not source.startswith("data:image/"):
            raise UserError(f"the PDF takes embedded pictures only, not {source!r:.80}")
        image.set("src", f"picture{number}")
        with suppress(ValueError):  # damaged; Typst says so
            (folder / image.get("src")).write_bytes(embedded(source))
        full = CAPTURE if "capture" in image.get("class", "") else FULL
        share = float(asked[1]) / (100 if asked[2] else full) if asked else 0
        image.set("width", f"{min(share, 1):.1%}" if share else "auto")


def _compile(folder: Path, about: dict[str, str], root: HtmlElement) -> tuple[bytes, int]:
    """Typeset the folder's document in the first size that Typst can tag; count its pages.

    The system's fonts are asked only for signs that ours do not have.
    """
    faults, text = [], folder / "rapport.typ"
    for ours, size in product((True, False), SIZES):
        options = {"font_paths": FONTS, "ignore_system_fonts": ours}
        own = about | {"size": size}
        compiler = typst.Compiler(text, root=folder, sys_inputs=own, **options)
        try:
            document = compiler.compile(format="pdf", pdf_standards=["ua-1"])
            return document, int(compiler.eval("query(<pages>).first().value"))
        except typst.TypstError as error:
            faults.append(one_line(error))
    raise UserError(f"the PDF cannot be made: {_explained(faults[-len(SIZES)], root)}")


def _explained(fault: str, root: HtmlElement) -> str:
    """Say of a sign without a font where it stands, and what to do; another fault stays."""
    found = re.search(r'the text `"(.+)"` could not be displayed', fault)
    if not found:
        return fault
    sign = re.sub(r"\\u\{(\w+)\}", lambda code: chr(int(code[1], 16)), found[1])
    place = next((text for text in root.itertext() if sign in text), "")
    told = f"no font has the sign {sign}, in « {words(place)[:60]} »"
    return f"{told}: remove it, or install a font that has it"
