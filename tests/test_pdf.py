"""The printed report, read back: pages, contents, bookmarks, tags, margins; and what stops it."""

import base64
import re
import subprocess

import pytest
from pypdf import PdfReader

from eurosat_lib.errors import UserError
from eurosat_lib.report.pdf import write_pdf

MARGIN, WIDTH = 63, 595  # points: 22.5 mm of 210 mm
SVG = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 4'><path d='M0 0h9v4z'/></svg>"
PICTURE = f"data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}"
LONG = "".join(f"<tr><td>run{n}</td><td class='num'>{n},5\u202f%</td></tr>" for n in range(90))
WIDE = "".join(f"<td class='num'>{n}\u202f234,5 [{n} ; 9]</td>" for n in range(16))
FORMULA = "<math display='inline'><mi>ln</mi><mo>(</mo><mn>10</mn><mo>)</mo></math>"
MAIN = f"""
<div class="cell"><h2 id="sec-1">1) Données<a class="here" href="#sec-1">#</a></h2>
<p>« Œuvre » de l’été, {FORMULA}, <a href="#fig-a">figure 1</a>, <a href="#fig-s1">figure S1</a>,
<a href="notebooks/01.ipynb">carnet</a>, <a href="https://example.org/">site</a> ;
#read("x") $y$.</p>
<div class="question" id="D1"><p><strong class="id">D1.</strong> Combien ?</p></div>
<div class="answer reply" id="reponse-D1"><p class="label"><a href="#D1">Réponse D1</a></p>
<p>27 000.</p><pre><code>python -m {"x" * 200} {"--option " * 40}</code></pre></div>
<figure class="eurosat" id="fig-a"><img src="{PICTURE}" alt="Une courbe" width="624" height="300">
<figcaption><span class="number">Figure 1.</span> La perte</figcaption></figure>
<details class="fold"><summary>Figure S1.</summary><figure id="fig-s1">Détail</figure></details>
<h3 id="sec-1-1">1.1 Splits</h3>
<div class="table" id="tab-long"><table><caption>Tous les runs</caption>
<thead><tr><th>Nom du run</th><th class="num">Score</th></tr></thead><tbody>{LONG}</tbody></table>
<p class="note">Une note</p></div>
<div class="table"><table><caption>Un large</caption><tbody><tr>{WIDE}</tr></tbody></table></div>
<h2 id="sec-2">2) Modèle</h2>{"<p>Un paragraphe assez long pour remplir des pages.</p>" * 90}</div>
"""


def page(main, head=""):
    return f"""<!DOCTYPE html><html lang="fr"><head><style>p {{}}</style></head><body>
<nav><ol><li><a href="#sec-1">1) Données</a></li></ol></nav>
<header id="debut"><p class="course">Cours</p><h1>Un rapport × imprimé</h1>
<p class="byline"><span class="author">Zoé Élan</span> <span class="date">1er mars 2026</span></p>
{head}</header><main id="contenu">{main}</main><script>alert(1)</script></body></html>"""


def printed(tmp_path, main):
    write_pdf(page(main), tmp_path / "page.pdf")
    return " ".join(p.extract_text() for p in PdfReader(tmp_path / "page.pdf").pages)


@pytest.fixture(scope="module")
def pdf(tmp_path_factory):
    path = tmp_path_factory.mktemp("pdf") / "rapport.pdf"
    head = "<div class='banner'><p>Profil rapide.</p></div><section class='card'><h2>Fiche</h2>"
    head += "<table><tr><th scope='row'>Graine</th><td>42</td></tr></table></section>"
    abstract = "<div class='answer' data-answer='resume'><p>Le résumé.</p></div>"
    pages = write_pdf(page(abstract + MAIN, head), path)
    reader = PdfReader(path)
    assert pages == len(reader.pages)
    return path, reader, [" ".join(p.extract_text().split()) for p in reader.pages]


def test_pages_are_a4_and_numbered(pdf):
    _, reader, texts = pdf
    assert {tuple(round(float(x)) for x in p.mediabox[2:]) for p in reader.pages} == {(595, 842)}
    assert len(texts) > 4
    for number, text in enumerate(texts, start=1):
        assert f"{number} / {len(texts)}" in text
        assert number == 1 or "Un rapport × imprimé" in text  # running head


def test_the_title_page_has_abstract_banner_and_card(pdf):
    first = pdf[2][0]
    for words in ("Cours", "Un rapport × imprimé", "Zoé Élan · 1er mars 2026", "Profil rapide."):
        assert words in first
    assert "Le résumé." in first and "Graine 42" in first and "1) Données" not in first


def test_the_contents_give_the_right_pages(pdf):
    texts = pdf[2]
    found = re.findall(r"(\d\) \w+|1\.1 Splits)[ .]+(\d+)", texts[1])
    assert [title for title, _ in found][:3] == ["1) Données", "1.1 Splits", "2) Modèle"]
    for title, number in found[:3]:
        assert title in texts[int(number) - 1]


def test_bookmarks_follow_the_headings(pdf):
    outline = pdf[1].outline
    assert [e.title for e in outline if not isinstance(e, list)] == [
        "Sommaire",
        "1) Données",
        "2) Modèle",
    ]
    assert [e.title for nested in outline if isinstance(nested, list) for e in nested] == [
        "1.1 Splits"
    ]


def test_it_is_accessible_and_in_french(pdf):
    root = pdf[1].trailer["/Root"]
    assert bool(root["/MarkInfo"]["/Marked"]) and root["/Lang"].startswith("fr")
    assert "pdfuaid" in root["/Metadata"].get_object().get_data().decode()
    assert (pdf[1].metadata.title, pdf[1].metadata.author) == ("Un rapport × imprimé", "Zoé Élan")
    assert {"Une courbe", r"\ln(10)"} <= set(descriptions(root["/StructTreeRoot"]))


def descriptions(element):
    """Yield the alternative texts below an element of the structure tree."""
    element = element.get_object()
    for child in element if isinstance(element, list) else ():
        yield from descriptions(child)
    if isinstance(element, dict):
        yield from [str(element["/Alt"]).replace(" ", "")] if "/Alt" in element else []
        yield from [str(element["/Alt"])] if "/Alt" in element else []
        yield from descriptions(element["/K"]) if "/K" in element else ()


def test_nothing_leaves_the_margins(pdf):
    done = subprocess.run(["pdftotext", "-bbox", pdf[0], "-"], capture_output=True, text=True)
    edges = re.findall(r'xMin="([\d.]+)".*?xMax="([\d.]+)"', done.stdout)
    assert len(edges) > 500
    assert min(float(left) for left, _ in edges) > MARGIN
    assert max(float(right) for _, right in edges) < WIDTH - MARGIN + 2


def test_a_long_table_repeats_its_head_and_keeps_its_note(pdf):
    assert sum("Nom du run" in text for text in pdf[2]) >= 2
    assert sum("Une note" in text for text in pdf[2]) == 1


def test_links_lead_somewhere(pdf):
    text, links = " ".join(pdf[2]), []
    for one in pdf[1].pages:
        links += [a.get_object() for a in one.get("/Annots", [])]
    addresses = [link["/A"]["/URI"] for link in links if "/URI" in link.get("/A", {})]
    assert addresses == ["https://example.org/"]
    for words in ("figure S1", "carnet", "« Œuvre » de l’été", '#read("x") $y$'):
        assert words in text.replace("\xa0", " ")
    assert "Détail" not in text and "alert" not in text


def test_the_same_page_gives_the_same_file(pdf, tmp_path):
    for name in ("a.pdf", "b.pdf"):
        write_pdf(page(MAIN), tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


@pytest.mark.parametrize("source", ["https://example.org/a.png", "/etc/passwd", "a.png", ""])
def test_a_picture_from_outside_is_refused(tmp_path, source):
    target = tmp_path / "rapport.pdf"
    target.write_text("the last good one")
    with pytest.raises(UserError, match="embedded pictures only") as caught:
        write_pdf(page(f'<p><img src="{source}" alt="x"></p>'), target)
    assert "\n" not in str(caught.value) and target.read_text() == "the last good one"


def test_a_broken_picture_is_one_line(tmp_path):
    with pytest.raises(UserError, match="the PDF cannot be made") as caught:
        write_pdf(page('<img src="data:image/png;base64,AAAA" alt="x">'), tmp_path / "a.pdf")
    assert "\n" not in str(caught.value)


def test_nothing_in_a_page_is_an_order(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("confidentiel")
    orders = f'<p data-typst:text:fill="read(&quot;{secret}&quot;)">a</p>'
    orders += f'<iframe src="file://{secret}"></iframe><embed src="{secret}">'
    orders += '<pre class="typst">#panic()</pre><p>#panic() @preview/x:1.0.0 [#include "a"]</p>'
    orders += f'<div class="answer" custom="x" typst:fill="read(&quot;{secret}&quot;)">b</div>'
    text = printed(tmp_path, orders)
    assert "confidentiel" not in text and "#panic()" in text


def test_a_layout_that_cannot_be_tagged_gives_way_to_the_next(tmp_path, monkeypatch):
    from eurosat_lib.report import pdf

    broken = {"flush": "", "size": "no number"}
    monkeypatch.setattr(pdf, "LAYOUTS", [broken, pdf.LAYOUTS[0]])
    assert "un texte" in printed(tmp_path, "<p>un texte</p>")
    monkeypatch.setattr(pdf, "LAYOUTS", [broken])
    with pytest.raises(UserError, match="the PDF cannot be made"):
        printed(tmp_path, "<p>un texte</p>")
