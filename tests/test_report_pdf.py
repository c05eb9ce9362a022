"""The printed report, read back: pages, contents, bookmarks, tags; and what stops it."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from pypdf import PdfReader
from report_sample import markdown

from eurosat_lib.report import assemble as assembling
from eurosat_lib.report.assemble import assemble
from eurosat_lib.report.checks import ReportError
from eurosat_lib.report.pdf import PangoMissing
from eurosat_lib.report.questionnaire import Questionnaire

WANTED = Questionnaire(
    sections=((2, "1) Données"), (3, "1.1 Splits"), (2, "2) Modèle")), questions={"D1": None}
)
META = {
    "title": "Un rapport × imprimé",
    "author": "Camille Exemple",
    "course": "Cours",
    "repository": "https://example.org/depot",
    "date": "22 novembre 2025",
    "profile": "quick",
    "card": {"Graine": "42"},
}
SHOW = """
import numpy as np, pandas as pd
from matplotlib import pyplot as plt
from eurosat_lib.report import answer, figure, table
fig, axes = plt.subplots(figsize=(6, 3))
axes.plot([3, 1, 2])
fig.set_label("Une courbe qui descend puis remonte")
figure(fig, "La perte")
fig, axes = plt.subplots(figsize=(6, 3))
axes.imshow(np.arange(12).reshape(3, 4))
figure(fig, "Une image")
table(pd.DataFrame({f"colonne {n}": [0.5, 1234.5] for n in range(24)}), "Un large")
answer("D1", n=27000, lr=3e-4)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one notebook, really executed, whose answer is a file of the project."""
    folder = tmp_path_factory.mktemp("project")
    answers = folder / "reports" / "answers"
    answers.mkdir(parents=True)
    (answers / "D1.md").write_text("Il y a {{ n|nombre }} images, {{ lr|sci }}.", encoding="utf-8")
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.cells = [
        markdown("## 1) Données\n\nUn début, $\\ln 10$."),
        markdown("### 1.1 Splits\n\n> **D1.** Combien ?"),
        new_code_cell(SHOW),
        markdown("## 2) Modèle\n\n" + "Un paragraphe assez long pour remplir des pages. " * 300),
    ]
    resources = {"metadata": {"path": str(folder)}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        NotebookClient(notebook, timeout=60, resources=resources).execute()
    nbformat.write(notebook, folder / "01_data.ipynb")
    return folder


@pytest.fixture(scope="module")
def report(folder):
    html, pdf = folder / "reports" / "rapport.html", folder / "reports" / "rapport.pdf"
    info = assemble([folder / "01_data.ipynb"], META, html, pdf, WANTED)
    return info, PdfReader(pdf)


def texts(reader):
    return [" ".join(page.extract_text().split()) for page in reader.pages]


def test_pages_are_a4_and_numbered(report):
    info, reader = report
    assert info.pages == len(reader.pages) >= 4
    sizes = {tuple(round(float(x)) for x in page.mediabox[2:]) for page in reader.pages}
    assert sizes == {(595, 842), (842, 595)}  # one page turned for the wide table
    for number, text in enumerate(texts(reader)[1:], start=2):
        assert f"{number} / {info.pages}" in text
    assert f"1 / {info.pages}" not in texts(reader)[0]


def test_the_title_page_says_who_and_what(report):
    first = texts(report[1])[0]
    for word in ("Un rapport × imprimé", "Camille Exemple", "22 novembre 2025", "Profil rapide."):
        assert word in first


def test_the_contents_give_the_right_pages(report):
    pages = texts(report[1])
    found = re.findall(r"(\d\) \w+|1\.1 Splits)[ .]+(\d+)", pages[1])
    assert [title for title, _ in found] == ["1) Données", "1.1 Splits", "2) Modèle"]
    for title, number in found:
        assert title in pages[int(number) - 1]


def test_bookmarks_follow_the_headings(report):
    _, reader = report
    top = [entry.title for entry in reader.outline[0:] if not isinstance(entry, list)]
    nested = str(reader.outline)
    assert top == ["Un rapport × imprimé"]
    for title in ("Sommaire", "1) Données", "1.1 Splits", "2) Modèle"):
        assert title in nested
    assert "Fiche" not in nested


def test_the_text_is_there_and_the_code_is_not(report):
    text = " ".join(texts(report[1]))
    assert "Réponse D1" in text and "27 000 images" in text.replace("\u202f", " ")
    assert "Figure 1. La perte" in text and "Tableau 1. Un large" in text
    for word in ("nan", "Traceback", "\\ln", "$", "import numpy", "Afficher le code"):
        assert word not in text


def test_it_is_tagged_in_french_with_descriptions(report):
    _, reader = report
    root = reader.trailer["/Root"]
    assert bool(root["/MarkInfo"]["/Marked"])
    assert root["/Lang"] == "fr"
    assert "pdfuaid" in root["/Metadata"].get_object().get_data().decode()
    assert reader.metadata.title == "Un rapport × imprimé"
    alts = set(descriptions(root["/StructTreeRoot"]))
    assert {"Une courbe qui descend puis remonte", "Une image", r"\ln 10"} <= alts


def descriptions(element):
    """Yield the alternative texts of all figures below an element of the structure tree."""
    element = element.get_object()
    if isinstance(element, list):
        for child in element:
            yield from descriptions(child)
    elif isinstance(element, dict):
        if element.get("/S") == "/Figure":
            yield element["/Alt"]
        if "/K" in element:
            yield from descriptions(element["/K"])


def test_fonts_are_embedded(report):
    _, reader = report
    fonts = [
        font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        for page in reader.pages
        for font in page["/Resources"].get_object().get("/Font", {}).values()
    ]
    assert fonts and all("/FontFile2" in font or "/FontFile3" in font for font in fonts)
    assert any("Rapport-Serif" in font["/FontName"] for font in fonts)


def test_without_pango_the_page_is_written_and_the_way_out_is_told(folder, tmp_path, monkeypatch):
    def refuse(name, *arguments, **options):
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return original(name, *arguments, **options)

    import builtins

    original = builtins.__import__
    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    html, pdf = tmp_path / "rapport.html", tmp_path / "rapport.pdf"
    pdf.write_text("old")
    with pytest.raises(PangoMissing, match=r"libpangoft2-1\.0-0.*rapport\.pdf is an older one"):
        assemble([folder / "01_data.ipynb"], META, html, pdf, WANTED)
    assert html.stat().st_size > 10_000 and pdf.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rapport.html", "rapport.pdf"]


def test_a_failed_build_leaves_both_files(folder, tmp_path, monkeypatch):
    html, pdf = tmp_path / "rapport.html", tmp_path / "rapport.pdf"
    html.write_text("old page")
    pdf.write_text("old paper")

    def broken(page, target):
        raise RuntimeError("no ink")

    monkeypatch.setattr(assembling, "write_pdf", broken)
    with pytest.raises(RuntimeError, match="no ink"):
        assemble([folder / "01_data.ipynb"], META, html, pdf, WANTED)
    with pytest.raises(ReportError, match="answer D2: missing"):
        wanted = Questionnaire(WANTED.sections, {"D1": None, "D2": None})
        assemble([folder / "01_data.ipynb"], META, html, pdf, wanted)
    assert (html.read_text(), pdf.read_text()) == ("old page", "old paper")


def test_if_one_file_cannot_be_replaced_the_other_is_put_back(folder, tmp_path, monkeypatch):
    html, pdf = tmp_path / "rapport.html", tmp_path / "rapport.pdf"
    html.write_text("old page")
    pdf.write_text("old paper")
    replace = os.replace

    def refuse_the_page(source, target):
        if source.name == "new.html":
            raise PermissionError("open elsewhere")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse_the_page)
    monkeypatch.setattr(assembling, "write_pdf", lambda page, target: target.write_text("new"))
    with pytest.raises(PermissionError):
        assemble([folder / "01_data.ipynb"], META, html, pdf, WANTED)
    assert (html.read_text(), pdf.read_text()) == ("old page", "old paper")
