"""One notebook exported by nbconvert: ``--to rapport`` and ``--to rapport-pdf``."""

import importlib
import io
import re
import tomllib
from pathlib import Path

import lxml.html
import nbformat
import pytest
from pypdf import PdfReader
from report_sample import answer_output, code, curve_output, markdown, table_output, write
from traitlets.config import Config

from eurosat_lib.report.exporters import RapportExporter, RapportPDFExporter

ROOT = Path(__file__).parents[1]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]


@pytest.fixture
def notebook(tmp_path):
    path = write(
        tmp_path / "06_train.ipynb",
        markdown("# 06 · Entraînement\n\nUne question ?", "hide"),
        code("lr: float = None", tags=["parameters"]),
        code("from eurosat_lib import plots", tags=["setup", "hide"]),
        markdown("## 6) Entraînement\n\nVoir la [figure](#fig-perte), puis [là](#ailleurs)."),
        code("figure(f)", curve_output()),
        code("table(t)", table_output()),
        markdown("> **M6.** Une autre question que celle du modèle."),
        code("answer('M6')", answer_output("M6", "La perte descend, $\\ln 10 = 2,303$.")),
        markdown("## Ce que nous avons appris", "hide"),
    )
    content = nbformat.read(path, as_version=4)
    content.metadata["papermill"] = {
        "parameters": {"lr": 0.0003, "profile": "quick", "name": ""},
        "start_time": "2026-11-22T10:00:00.000000+00:00",
        "duration": 200.4,
    }
    nbformat.write(content, path)
    return path


def exported(exporter, path):
    content, resources = exporter.from_filename(str(path))
    return content, resources["output_extension"]


def load(name):
    module, _, attribute = DECLARED["nbconvert.exporters"][name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def test_they_are_registered_for_nbconvert():
    assert load("rapport") is RapportExporter and load("rapport-pdf") is RapportPDFExporter
    assert RapportExporter().enabled and RapportPDFExporter().enabled
    assert not load("rapport_pdf")().enabled  # the menu's name


def test_jupyterlab_is_offered_what_its_server_can_serve(monkeypatch):
    from jupyter_server.nbconvert.handlers import default_handlers
    from jupyter_server.serverapp import ServerApp

    monkeypatch.setattr(ServerApp, "initialized", lambda: True)
    offered = [name for name in DECLARED["nbconvert.exporters"] if load(name)().enabled]
    assert offered == ["rapport", "rapport_pdf"]
    routes = [route for route, *_ in default_handlers]
    for name in offered:
        address = f"/nbconvert/{name}/04_lr_finder.ipynb"
        assert any(re.fullmatch(route, address) for route in routes)


def test_a_single_notebook_becomes_a_page(notebook):
    text, extension = exported(RapportExporter(), notebook)
    page = lxml.html.document_fromstring(text)
    assert extension == ".html" and page.get("lang") == "fr"
    assert page.findtext(".//h1") == page.findtext(".//title") == "06 · Entraînement"
    assert [h.text for h in page.xpath("//main//h2")] == [
        "6) Entraînement",
        "Ce que nous avons appris",
    ]
    shown = page.xpath("string(//main)")
    assert "figure\u00a01" in shown and "Tableau\u00a01." in shown and "Réponse\u00a0M6" in shown
    assert "float = None" not in shown and "import plots" not in shown
    assert not page.xpath("//a[@href='#ailleurs']") and "puis là." in shown


def test_the_head_says_what_papermill_left(notebook):
    page = lxml.html.document_fromstring(exported(RapportExporter(), notebook)[0])
    card = {
        r.find("th").text: r.findtext("td") for r in page.xpath("//section[@class='card']//tr")
    }
    assert card["Paramètres"] == "lr = 0.0003, profile = quick"
    assert card["Durée d’exécution"] == "3\u00a0min\u00a020\u00a0s"
    assert page.find_class("date")[0].text == "22\u00a0novembre 2026".replace("\u00a0", " ")
    assert "Profil rapide." in page.find_class("banner")[0].text_content()


def test_a_notebook_with_faults_is_exported_and_they_are_logged(tmp_path, caplog):
    error = nbformat.v4.new_output("error", ename="ValueError", evalue="non", traceback=[])
    path = write(
        tmp_path / "x.ipynb",
        code("1 / 0", error),
        code("print('à faire')", count=None),
        markdown("Du $\\inconnu{x}$."),
    )
    with caplog.at_level("WARNING"):
        page = lxml.html.document_fromstring(exported(RapportExporter(), path)[0])
    assert page.findtext(".//h1") == "x"
    assert "ValueError" in page.find_class("callout")[0].text_content()
    assert "x.ipynb, cell 1" in caplog.text and "inconnu" in caplog.text


def test_execution_comes_before_cells_are_left_out(tmp_path):
    path = write(
        tmp_path / "x.ipynb",
        code("n = 20", tags=["parameters"], count=None),
        code("print(n + 1)", count=None),
    )
    config = Config({"ExecutePreprocessor": {"enabled": True, "kernel_name": "python3"}})
    page = lxml.html.document_fromstring(exported(RapportExporter(config=config), path)[0])
    assert page.xpath("//pre[@class='output']/text()") == ["21\n"]


def test_a_single_notebook_is_printed(notebook):
    content, extension = exported(RapportPDFExporter(), notebook)
    reader = PdfReader(io.BytesIO(content))
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert extension == ".pdf" and RapportPDFExporter.output_mimetype == "application/pdf"
    assert len(reader.pages) <= 2 and "06 · Entraînement" in text and "Sommaire" not in text
    assert reader.trailer["/Root"]["/Lang"] == "fr"
