"""The printed report, read back: pages, contents, bookmarks, tags, margins; and what stops it."""

import base64
import io
import os
import re
import subprocess

import pypandoc
import pytest
from PIL import Image
from pypdf import PdfReader

from eurosat_lib.errors import UserError
from eurosat_lib.report import pdf as printer
from eurosat_lib.report.cells import data_address
from eurosat_lib.report.pdf import make_pdf

MARGIN, WIDTH = 63, 595  # points: 22.5 mm of 210 mm
SVG = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 4'><path d='M0 0h9v4z'/></svg>"
PICTURE = f"data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}"
LONG = "".join(f"<tr><td>run{n}</td><td class='num'>{n},5\u202f%</td></tr>" for n in range(90))
WIDE = "".join(f"<td class='num'>{n}\u202f234,5 [{n} ; 9]</td>" for n in range(16))
WIDER = "".join(f"<td>colonne_{n}</td>" for n in range(30))
FORMULA = "<math display='inline'><mi>ln</mi><mo>(</mo><mn>10</mn><mo>)</mo></math>"
MAIN = f"""
<div class="cell"><h2 id="sec-1">1) Données</h2>
<p>« Œuvre » de l’été, {FORMULA}, <a href="#fig-a">figure 1</a>, <a href="#fig-s1">figure S1</a>,
<a href="notebooks/01.ipynb">carnet</a>, <a href="https://example.org/">site</a> ;
#read("x") $y$.</p>
<div class="question" id="D1"><p><span class="id">D1.</span> Combien ?</p></div>
<div class="answer reply" id="reponse-D1"><p class="label"><a href="#D1">Réponse D1</a></p>
<pre><code>python -m {"x" * 200} {"--option " * 40}</code></pre></div>
<figure class="eurosat" id="fig-a"><img src="{PICTURE}" alt="Une courbe" width="624" height="300">
<figcaption><span class="number">Figure 1.</span> La perte</figcaption></figure>
<details class="fold"><summary>Figure S1.</summary><figure id="fig-s1">Détail</figure></details>
<details class="code"><summary>Code</summary>Détail</details>
<details><summary>Mon <i>calcul</i></summary>trois lignes<p>de plus</p></details>
<h3 id="sec-1-1">1.1 Splits</h3>
<div class="table" id="tab-long"><table><caption>Tous les runs</caption>
<thead><tr><th>Nom du run</th><th class="num">Score</th></tr></thead><tbody>{LONG}</tbody>
<tfoot><tr><td colspan="2"><p class="note">Une note</p></td></tr></tfoot></table>
</div>
<div class="table"><table><caption>Un large</caption><tbody><tr>{WIDE}</tr></tbody></table></div>
<table class="dataframe"><tbody><tr>{WIDER}<td>{"a" * 64}</td></tr></tbody></table>
<h2 id="sec-2">2) Modèle</h2>{"<p>Un paragraphe assez long pour remplir des pages.</p>" * 90}</div>
"""


def test_the_pandoc_that_prints_is_ours_whatever_the_machine_has(tmp_path, monkeypatch):
    (tmp_path / "pandoc").write_text("#!/bin/sh\necho pandoc 99.0\n")
    (tmp_path / "pandoc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    pypandoc.clean_pandocpath_cache()
    assert pypandoc.get_pandoc_version() < "99"
    pypandoc.clean_pandocpath_cache()


def page(main, head=""):
    return f"""<!DOCTYPE html><html lang="fr"><head><style>p {{}}</style></head><body>
<nav><ol><li><a href="#sec-1">1) Données</a></li></ol></nav>
<header class="front"><p class="course">Cours</p><h1 class="title">Un rapport × imprimé</h1>
<p class="byline"><span class="author">Zoé Élan</span> <span class="date">1er mars 2026</span></p>
{head}</header><main id="contenu">{main}</main><script>alert(1)</script></body></html>"""


def printed(path, main, head=""):
    """Print a page; return what reads it, and the text of each sheet."""
    document, pages = make_pdf(page(main, head))
    path.write_bytes(document)
    reader = PdfReader(path)
    texts = [" ".join(sheet.extract_text().split()) for sheet in reader.pages]
    assert pages == len(texts)
    return reader, texts


@pytest.fixture(scope="module")
def pdf(tmp_path_factory):
    path = tmp_path_factory.mktemp("pdf") / "rapport.pdf"
    head = "<div class='answer abstract'><p>Le résumé.</p></div>"
    head += "<div class='banner'><p>Profil rapide.</p></div><section class='card'>"
    head += "<h2>Fiche</h2><table><tr><th>Graine</th><td>42</td></tr></table></section>"
    printed(path, MAIN, head)
    first = path.read_bytes()
    reader, texts = printed(path, MAIN, head)
    assert path.read_bytes() == first  # the same page gives the same file
    return path, reader, texts


def test_pages_contents_and_bookmarks(pdf):
    _, reader, texts = pdf
    assert {tuple(round(float(x)) for x in p.mediabox[2:]) for p in reader.pages} == {(595, 842)}
    for number, text in enumerate(texts, start=1):
        assert f"{number} / {len(texts)}" in text
        assert "Un rapport × imprimé" in text  # the title, then running heads
    for words in ("Zoé Élan · 1er mars 2026", "Profil rapide.", "Le résumé.", "Graine 42"):
        assert words in texts[0] and words not in texts[1]
    found = re.findall(r"(\d\) \w+|1\.1 Splits)[ .]+(\d+)", texts[1])
    assert [title for title, _ in found][:3] == ["1) Données", "1.1 Splits", "2) Modèle"]
    assert all(title in texts[int(number) - 1] for title, number in found[:3])
    first, second, (below,), third = reader.outline
    titles = [entry.title for entry in (first, second, below, third)]
    assert titles == ["Sommaire", "1) Données", "1.1 Splits", "2) Modèle"]


def test_it_is_accessible_and_in_french(pdf):
    root = pdf[1].trailer["/Root"]
    assert bool(root["/MarkInfo"]["/Marked"]) and root["/Lang"].startswith("fr")
    assert "pdfuaid" in root["/Metadata"].get_object().get_data().decode()
    assert (pdf[1].metadata.title, pdf[1].metadata.author) == ("Un rapport × imprimé", "Zoé Élan")
    elements = map(pdf[1].get_object, range(1, len(pdf[1].xref[0])))
    found = [e["/Alt"].replace(" ", "") for e in elements if isinstance(e, dict) and "/Alt" in e]
    assert "Unecourbe" in found and r"\ln(10)" in found


def test_nothing_leaves_the_margins_and_a_long_table_repeats_its_head(pdf):
    told = subprocess.check_output(["pdftotext", "-bbox", pdf[0], "-"], text=True)
    for sheet in told.split("<page ")[1:]:
        left, top, right, bottom = (
            [float(place) for place in re.findall(rf'{side}="([\d.]+)"', sheet)]
            for side in ("xMin", "yMin", "xMax", "yMax")
        )
        assert min(left) > MARGIN and max(right) < WIDTH - MARGIN + 2
        assert min(top) > 30 and max(bottom) < 842 - 20
    assert sum("Nom du run" in text for text in pdf[2]) >= 2
    assert all(f"run{n} " in " ".join(pdf[2]) for n in range(90))
    assert sum("Une note" in text for text in pdf[2]) == 1


def test_no_figure_leaves_its_section_or_cuts_a_paragraph(tmp_path):
    picture = f"<img src='{PICTURE}' alt='x' width='624' height='300'>"
    parts = [
        f"<h2 id='s{n}'>Partie {n}</h2><p>{'mot ' * 50 * n}fin.</p>"
        f"<figure>{picture}<figcaption>Courbe {n}</figcaption></figure><p>Liste {n} :</p>"
        "<ul><li>Point :<ul><li>Suite</li></ul></li></ul>"
        for n in range(1, 8)
    ]
    text = " ".join(printed(tmp_path / "page.pdf", "".join(parts))[1])
    body = re.sub(r"Un rapport × imprimé Partie \d", "", text)  # running heads
    seen = re.findall(r"(?:Partie|Courbe) \d", body)[len(parts) :]  # after the contents
    assert seen == [f"{what} {n}" for n in range(1, 8) for what in ("Partie", "Courbe")]
    assert not re.search(r"Courbe \d mot|: (\d / 7|Courbe)", body)


def test_a_short_answer_stays_on_one_page(tmp_path):
    body = "<p>début</p>" + "<p>mot</p>" * 7 + "<p>terme</p>"
    _, texts = printed(tmp_path / "page.pdf", f"<div class='answer reply'>{body}</div>" * 20)
    assert sum(text.count("début") for text in texts) == 20
    assert all(text.count("début") == text.count("terme") for text in texts)


def test_links_lead_somewhere_and_nothing_is_an_order(pdf, tmp_path):
    text, links = " ".join(pdf[2]), []
    for one in pdf[1].pages:
        links += [a.get_object() for a in one.get("/Annots", [])]
    addresses = [link["/A"]["/URI"] for link in links if "/URI" in link.get("/A", {})]
    assert addresses == ["https://example.org/"]
    for words in ("figure S1, version HTML", "carnet", "« Œuvre » de l’été", '#read("x") $y$'):
        assert words in text.replace("\xa0", " ")
    assert "Mon calcul trois lignes de plus" in text
    assert "Détail" not in text and "Code" not in text and "alert" not in text
    secret = tmp_path / "secret.txt"
    secret.write_text("confidentiel")
    orders = f'<p data-typst:text:fill="read(&quot;{secret}&quot;)">a</p>'
    orders += '<pre class="typst">#panic()</pre><p>#panic() @preview/x:1.0.0 [#include "a"]</p>'
    orders += f'<div class="answer" custom="x" typst:fill="read(&quot;{secret}&quot;)">b</div>'
    text = " ".join(printed(tmp_path / "page.pdf", orders)[1])
    assert "confidentiel" not in text and "#panic()" in text


@pytest.mark.parametrize(
    "source", ["https://example.org/a.png", "/etc/passwd", "", "data:image/png;base64,AAAA"]
)
def test_a_picture_from_outside_or_broken_is_refused(source):
    with pytest.raises(UserError, match=r"embedded pictures only|cannot be made") as caught:
        make_pdf(page(f'<p><img src="{source}" alt="x"></p>'))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("size", "more", "width"),  # points on paper
    [
        ((64, 64), "", 64),
        ((540, 1200), "", 280),  # as tall as most of a page
        ((2000, 1000), "width='50%'", 234),
        ((2000, 1000), "width='100px' height='999'", 75),
    ],
)
def test_a_picture_has_its_own_size_where_it_fits(tmp_path, size, more, width):
    Image.new("RGB", size).save(stream := io.BytesIO(), "JPEG")
    source = data_address("image/jpeg", stream.getvalue())
    printed(tmp_path / "page.pdf", f'<p><img src="{source}" alt="x" {more}></p>')
    command = ["pdfimages", "-list", tmp_path / "page.pdf"]
    *_, row = subprocess.check_output(command, text=True).splitlines()
    assert 72 * size[0] / int(row.split()[12]) == pytest.approx(width, rel=0.02)


def test_a_size_that_cannot_be_tagged_gives_way_to_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(printer, "SIZES", ["no number", "10.5"])
    assert "un texte" in printed(tmp_path / "page.pdf", "<p>un texte</p>")[1][-1]
