"""Rules of PDF/UA-1 that a machine can check, by their numbers in the Matterhorn protocol 1.1.

What a person must judge (is the alternative text apt? is the order sensible?) is not here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pikepdf
from pikepdf import Array, Dictionary, Name

WORDS = (
    "Document Part Art Sect Div BlockQuote Caption TOC TOCI Index NonStruct Private P H H1 H2 H3 "
    "H4 H5 H6 L LI Lbl LBody Table TR TH TD THead TBody TFoot Span Quote Note Reference BibEntry "
    "Code Link Annot Ruby RB RT RP Warichu WT WP Figure Formula Form"
)
STANDARD = set(WORDS.split())
PARENTS = {
    "LI": {"L"},
    "LBody": {"LI"},
    "TOCI": {"TOC"},
    "TR": {"Table", "THead", "TBody", "TFoot"},
    "TH": {"TR"},
    "TD": {"TR"},
    "THead": {"Table"},
    "TBody": {"Table"},
    "TFoot": {"Table"},
}
OPERATORS = "Tj TJ ' \" S s f F f* B B* b b* sh Do EI"
PAINT = set(OPERATORS.split())


def failures(document: pikepdf.Pdf) -> list[str]:
    """Return what is wrong, "06-003: …" each; an empty list for a sound document."""
    found = [*_document(document), *_fonts(document), *_annotations(document)]
    if "/StructTreeRoot" not in document.Root:
        return [*found, "01-005: no structure tree"]
    tagged = list(_walk(document.Root.StructTreeRoot.get("/K"), "Document"))
    return [*found, *_structure(document, tagged), *_content(document)]


def _document(document: pikepdf.Pdf) -> Iterator[str]:
    root = document.Root
    with document.open_metadata() as metadata:
        if str(metadata.get("pdfuaid:part")) != "1":
            yield "06-002: the metadata do not say PDF/UA-1"
        if not str(metadata.get("dc:title") or "").strip():
            yield "06-003: no title in the metadata"
    if not root.get("/ViewerPreferences", Dictionary()).get("/DisplayDocTitle"):
        yield "07-001: the window does not show the title"
    if not root.get("/MarkInfo", Dictionary()).get("/Marked"):
        yield "01-007: not marked as tagged"
    if root.get("/MarkInfo", Dictionary()).get("/Suspects"):
        yield "03-001: suspect tags"
    if not str(root.get("/Lang", "")).strip():
        yield "11-006: no language"
    if document.is_encrypted:
        yield "26-001: encrypted"
    if "/OCProperties" in root or "/XFA" in root.get("/AcroForm", Dictionary()):
        yield "20-001, 25-001: optional content or dynamic forms"


def _fonts(document: pikepdf.Pdf) -> Iterator[str]:
    fonts = [
        o for o in document.objects if isinstance(o, Dictionary) and o.get("/Type") == "/Font"
    ]
    for font in fonts:
        parts = font.get("/DescendantFonts", [font])
        described = parts[0].get("/FontDescriptor", Dictionary())
        name = str(font.get("/BaseFont"))
        if "/DescendantFonts" in font and "/ToUnicode" not in font:
            yield f"31-027: {name} does not map to Unicode"
        if "/FontDescriptor" in parts[0] and not {"/FontFile", "/FontFile2", "/FontFile3"} & set(
            described.keys()
        ):
            yield f"31-009: {name} is not embedded"


def _annotations(document: pikepdf.Pdf) -> Iterator[str]:
    for number, page in enumerate(document.pages, 1):
        annotations = list(page.get("/Annots", []))
        if annotations and page.get("/Tabs") != "/S":
            yield f"28-008: page {number}: the tabulator does not follow the structure"
        for annotation in annotations:
            if annotation.get("/Subtype") == "/Link" and not str(annotation.get("/Contents", "")):
                yield f"28-012: page {number}: a link says nothing of itself"
            if "/StructParent" not in annotation:
                yield f"28-002: page {number}: an annotation is not tagged"


def _walk(node, parent: str) -> Iterator[tuple[Dictionary, str]]:
    """Yield each structure element with the kind of the one it stands in."""
    if isinstance(node, Array):
        for child in node:
            yield from _walk(child, parent)
    elif isinstance(node, Dictionary) and "/S" in node:
        yield node, parent
        yield from _walk(node.get("/K"), str(node.S)[1:])


def _structure(document: pikepdf.Pdf, tagged: list[tuple[Dictionary, str]]) -> Iterator[str]:
    roles = document.Root.StructTreeRoot.get("/RoleMap", Dictionary())
    level = 0
    for element, parent in tagged:
        kind = str(element.S)[1:]
        if kind not in STANDARD and f"/{kind}" not in roles:
            yield f"02-001: {kind} is no standard type"
        if kind in PARENTS and parent not in PARENTS[kind]:
            yield f"09-004, 09-005: {kind} within {parent}"
        if kind == "Figure" and not str(element.get("/Alt", element.get("/ActualText", ""))):
            yield "13-004: a figure without description"
        if kind == "Formula" and not str(element.get("/Alt", element.get("/ActualText", ""))):
            yield "17-002: a formula without description"
        if kind[:1] == "H" and kind[1:].isdigit():
            if int(kind[1:]) > level + 1:
                yield f"14-003: {kind} follows H{level}" if level else f"14-002: {kind} first"
            level = int(kind[1:])
    yield from _tables(tagged)
    names = Counter(bytes(e.ID) for e, _ in tagged if "/ID" in e)
    yield from (f"19-004: ID {name!r} twice" for name, count in names.items() if count > 1)


def _tables(tagged: list[tuple[Dictionary, str]]) -> Iterator[str]:
    """A data cell must lead to its headers: through their scope, or by naming them."""
    for element, _ in tagged:
        attributes = element.get("/A", Dictionary())
        several = attributes if isinstance(attributes, Array) else [attributes]
        keys = {key for one in several for key in one.keys()}  # noqa: SIM118, a pikepdf dictionary iterates otherwise
        if element.S == Name.TH and not {"/Scope", "/Headers"} & keys and "/ID" not in element:
            yield "15-003: a header cell without scope or name"


def _content(document: pikepdf.Pdf) -> Iterator[str]:
    """Nothing is painted but under a tag or as an artifact; each tag belongs to the tree."""
    for number, page in enumerate(document.pages, 1):
        used = Counter()
        depth = 0
        for instruction in pikepdf.parse_content_stream(page):
            operator = str(instruction.operator)
            if operator in ("BMC", "BDC"):
                depth += 1
                mark = instruction.operands[1] if operator == "BDC" else None
                if isinstance(mark, Dictionary) and "/MCID" in mark:
                    used[int(mark.MCID)] += 1
            elif operator == "EMC":
                depth -= 1
            elif operator in PAINT and not depth:
                yield f"01-005: page {number}: {operator} neither tagged nor an artifact"
        parents = _parents(document, page)
        yield from (f"01-006: page {number}: mark {m} twice" for m, n in used.items() if n > 1)
        if any(mark >= len(parents) or parents[mark] is None for mark in used):
            yield f"01-005: page {number}: content that the structure does not hold"


def _parents(document: pikepdf.Pdf, page: pikepdf.Page) -> list:
    tree = pikepdf.NumberTree(document.Root.StructTreeRoot.ParentTree)
    return list(tree[int(page.StructParents)]) if "/StructParents" in page else []
