"""The PDF as a reader's tools see it (pikepdf), and the pages as they are filled."""

import re
from collections import Counter

import lxml.html
import pikepdf
import pytest
from matterhorn import failures
from pypdf import PdfReader

from eurosat_lib.report.maths import typeset
from eurosat_lib.report.paper import keep_equations
from eurosat_lib.report.pdf import write_pdf

PICTURE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='600' height='420'%3E"
    "%3Crect width='600' height='420' fill='gray'/%3E%3C/svg%3E"
)
COMMAND = "python -m eurosat_lib evaluate --config configs/config.yaml --profile quick"
LINE = "Une phrase assez longue pour remplir une ligne entière de la page imprimée. "
FILL = f"<p>{LINE * 9}</p>"
CONTENT = f"""
<div class="cell"><h2 id="un">1) Un</h2>{FILL * 5}</div>
<div class="cell"><figure class="eurosat" id="fig-1"><img src="{PICTURE}" width="600"
 height="420" alt="Un rectangle gris">
<figcaption>Figure 1. Un rectangle.</figcaption></figure></div>
<div class="cell"><p>APRÈS {LINE * 4} FIN</p></div>
<div class="cell"><h3 id="deux">1.1 Deux</h3><p>Voir la <a href="#fig-1">figure 1</a>, ou
<a href="https://example.org/">ailleurs</a>. Taper <code>{COMMAND}</code> dans un terminal.</p>
<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>
<tbody><tr><th scope="row">1</th><td>2</td></tr></tbody></table></div>
<div class="cell"><div class="question" id="D1"><p><strong class="id">D1.</strong> Quoi ?</p></div>
<div class="answer reply">{FILL * 7}</div></div>
"""


@pytest.fixture(scope="module")
def pdf(tmp_path_factory):
    from eurosat_lib.report.folders import find_folder

    template = find_folder("reports/template") / "rapport"
    styles = "".join(
        (template / name).read_text(encoding="utf-8")
        for name in ("colours.css", "text.css", "print.css")
    )
    target = tmp_path_factory.mktemp("print") / "x.pdf"
    page = (
        f'<!DOCTYPE html><html lang="fr"><head><title>Essai</title><style>{styles}</style></head>'
        f'<body><header id="debut"><h1>Essai</h1></header><main id="contenu">{CONTENT}</main>'
        "</body></html>"
    )
    write_pdf(page, target)
    return target


def elements(node):
    """Yield all elements of the structure tree, outer ones first."""
    if isinstance(node, pikepdf.Array):
        for child in node:
            yield from elements(child)
    elif isinstance(node, pikepdf.Dictionary):
        if "/S" in node:
            yield node
        if "/K" in node:
            yield from elements(node.K)


@pytest.fixture(scope="module")
def tree(pdf):
    with pikepdf.open(pdf) as document:
        found = list(elements(document.Root.StructTreeRoot.K))
        yield document, found


def test_language_title_and_conformance_are_declared(tree):
    document, _ = tree
    assert str(document.Root.Lang) == "fr"
    assert bool(document.Root.MarkInfo.Marked)
    assert bool(document.Root.ViewerPreferences.DisplayDocTitle)
    assert str(document.docinfo["/Title"]) == "Essai"
    with document.open_metadata() as metadata:
        assert metadata["pdfuaid:part"] == "1"


def test_structure_has_headings_figures_tables_lists_of_the_page(tree):
    _, found = tree
    kinds = Counter(str(element.S) for element in found)
    assert kinds["/H1"] == kinds["/H2"] == kinds["/H3"] == 1
    assert kinds["/Figure"] == 1 and kinds["/TH"] == 3 and kinds["/TD"] == 1
    figures = [element for element in found if element.S == "/Figure"]
    assert [str(element.Alt) for element in figures] == ["Un rectangle gris"]
    (cell,) = (element for element in found if element.S == "/TD")
    heads = {bytes(e.ID) for e in found if e.S == "/TH"}
    assert len(heads) == 3 and {bytes(name) for name in cell.A.Headers} < heads
    assert len(cell.A.Headers) == 2  # its column's and its row's


def test_links_are_tagged_and_lead_somewhere(tree):
    document, found = tree
    links = [a for page in document.pages for a in page.get("/Annots", []) if a.Subtype == "/Link"]
    assert len(links) == 2 and all("/StructParent" in link for link in links)
    assert {str(a.A.URI) for a in links if "/A" in a and "/URI" in a.A} == {"https://example.org/"}
    assert sum(element.S == "/Link" for element in found) == 2
    assert all(page.get("/Tabs") == "/S" for page in document.pages if "/Annots" in page)


def test_all_fonts_are_embedded_and_map_to_text(tree):
    document, _ = tree
    fonts = {
        str(font.BaseFont): font
        for page in document.pages
        for font in page.Resources.get("/Font", {}).values()
    }
    assert fonts
    for font in fonts.values():
        described = font.DescendantFonts[0].FontDescriptor
        assert "/FontFile2" in described or "/FontFile3" in described
        assert "/ToUnicode" in font
        assert "Rapport" in str(font.BaseFont)


def test_bookmarks_follow_the_headings(tree):
    document, _ = tree
    with document.open_outline() as outline:
        (top,) = outline.root
        assert top.title == "Essai"
        assert [item.title for item in top.children] == ["1) Un"]
        assert [item.title for item in top.children[0].children] == ["1.1 Deux"]


def test_text_fills_the_page_before_a_figure(pdf):
    pages = [page.extract_text() for page in PdfReader(pdf).pages]
    text = next(number for number, page in enumerate(pages) if "APRÈS" in page)
    figure = next(number for number, page in enumerate(pages) if "Un rectangle." in page)
    assert text == 1 and figure == 2  # the first page after the title is full


def test_a_command_is_broken_at_spaces_only(pdf):
    text = "\n".join(page.extract_text() for page in PdfReader(pdf).pages)
    lines = text.splitlines()
    assert not [line for line in lines if re.search(r"-$|^\s*(profile|config)\b", line)]
    assert "--profile" in text


def test_a_side_bar_ends_with_its_text():
    import weasyprint

    from eurosat_lib.report.boxes import trim

    css = "@page { size: 300px 200px; margin: 10px } p { margin: 0; orphans: 3; widows: 3 }"
    body = f'<div class="bar" style="border-left: 3px solid">{"<p>a<br>b<br>c</p>" * 9}</div>'
    pages = weasyprint.HTML(string=f"<style>{css}</style>{body}").render().pages
    (before,) = bars(pages[0])
    trim(pages)
    (after,) = bars(pages[0])
    last = after.children[-1]
    assert before.height >= after.height == last.position_y + last.height - after.content_box_y()
    assert after.height < 180


def bars(page):
    stack, found = [page._page_box], []
    while stack:
        box = stack.pop()
        if box.element is not None and box.element.get("class") == "bar" and box.children:
            found.append(box)
        else:
            stack += getattr(box, "children", ())
    return found


def test_it_keeps_the_rules_of_accessible_pdf(pdf):
    with pikepdf.open(pdf) as document:
        assert failures(document) == []


def first(document, kind):
    name = pikepdf.Name(f"/{kind}")
    return next(e for e in elements(document.Root.StructTreeRoot.K) if name == e.S)


def retype(document, kind, other):
    first(document, kind).S = pikepdf.Name(f"/{other}")


def drop(dictionary, *keys):
    for key in keys:
        if key in dictionary:
            del dictionary[key]


def paint(document):
    page = document.pages[1]
    page.contents_add(document.make_stream(b"0 0 9 9 re f"))


def unmap(document):
    drop(next(iter(document.pages[1].Resources.Font.values())), "/ToUnicode")


def link(document):
    annotations = (a for page in document.pages for a in page.get("/Annots", []))
    return next(a for a in annotations if a.Subtype == "/Link")


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda d: drop(d.Root, "/Lang"), "11-006"),
        (lambda d: drop(d.Root, "/MarkInfo"), "01-007"),
        (lambda d: drop(d.Root, "/ViewerPreferences"), "07-001"),
        (lambda d: drop(d.Root, "/Metadata"), "06-002"),
        (lambda d: drop(d.Root, "/StructTreeRoot"), "01-005"),
        (lambda d: drop(first(d, "Figure"), "/Alt"), "13-004"),
        (lambda d: retype(d, "H2", "H3"), "14-003"),
        (lambda d: retype(d, "P", "Absatz"), "02-001"),
        (lambda d: retype(d, "TR", "Div"), "09-004"),
        (lambda d: drop(first(d, "TH"), "/ID", "/A"), "15-003"),
        (lambda d: drop(link(d), "/Contents"), "28-012"),
        (lambda d: drop(link(d), "/StructParent"), "28-002"),
        (lambda d: [drop(page.obj, "/Tabs") for page in d.pages], "28-008"),
        (paint, "01-005: page 2"),
        (unmap, "31-027"),
    ],
)
def test_a_broken_rule_is_found(pdf, spoil, rule):
    with pikepdf.open(pdf) as document:
        spoil(document)
        assert [line for line in failures(document) if line.startswith(rule)]


def test_a_number_is_text_and_stays_with_what_is_tied_to_it():
    words = "avec LR\u00a0=\u00a0<span class='tex'>5{,}5 \\times 10^{-4}</span>, puis"
    page = lxml.html.fromstring(f"<div><p>{words} <span class='tex'>10^{{-5}}</span></p></div>")
    assert typeset(page) == []
    assert page.text_content() == "avec LR\u00a0=\u00a05,5\u00a0×\u00a010−4, puis 10−5"
    assert not page.xpath(".//svg") and [e.text for e in page.iter("sup")] == ["−4", "−5"]
    keep_equations(page)
    held = [span.text_content() for span in page.find_class("sci")]
    assert held == ["LR\u00a0=\u00a05,5\u00a0×\u00a010−4,", "10−5"]
