"""Executed notebooks bound into one page, and what must not leave the house."""

import base64
import importlib
import io
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import lxml.html
import nbformat
import pytest
from PIL import Image
from report_sample import (
    TITLE,
    answer_output,
    code,
    curve,
    displayed,
    html_output,
    markdown,
    numbers,
    project,
    write,
)
from traitlets.config import Config

from eurosat_lib import captures
from eurosat_lib.config import load_config
from eurosat_lib.errors import UserError
from eurosat_lib.report import check, export
from eurosat_lib.report.cells import capture
from eurosat_lib.report.export import Rapport, RapportPDF, bind_page
from eurosat_lib.report.page import french

ROOT = Path(__file__).parents[1]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    text, problems = bind_page(project(root), TITLE, root)
    return lxml.html.document_fromstring(text), problems


def spoken(element):
    return " ".join(element.text_content().split())


def test_a_good_page_has_no_problem(bound):
    page, problems = bound
    assert problems == [] and page.get("lang") == "fr"
    main = page.find(".//main")
    assert main.get("id") == "contenu" and main.find(".//h1") is None
    assert [spoken(h) for h in main.iter("h2")] == ["1) Données#", "2) Modèle#"]
    assert main.xpath("string(.//h3/@id)") == "sec-1-1-le-dataset-co"
    listed = [spoken(a) for a in page.xpath("//div[@id='toc']//a")]
    assert listed == ["1) Données", "1.1 Le dataset & co", "2) Modèle"]
    assert [a.text for a in page.xpath("//div[@id='questions']//a")] == ["D1", "M0"]
    assert not page.xpath("//*[@data-cell or @data-detail]")


def test_questions_answers_and_remarks_are_blocks(bound):
    main = bound[0].find(".//main")
    assert spoken(main.get_element_by_id("D1")) == "D1. Quel dataset utilisez-vous ?"
    reply = main.get_element_by_id("reponse-D1")
    assert reply.get("class") == "answer reply" and reply.get("data-answer") == "D1"
    assert spoken(reply[0]) == "Réponse D1"
    assert spoken(reply[1]) == "Il y a 3,1 × 10−4 ; voir la figure 1 et le S1."
    assert main.find_class("callout")[0].get("class") == "callout warning"
    assert spoken(main.find_class("checkbox")[0]) == "☑"


def test_cells_are_left_out_by_tag_and_code_that_only_shows(bound):
    main = bound[0].find(".//main")
    text = spoken(main)
    assert "01 · Données" not in text and "interactif" not in text and "seed" not in text
    shown = [spoken(block.find_class("highlight")[0]) for block in main.find_class("code")]
    assert shown == ["curve = train() figure(curve)", "print(1)", "rien = 1"]
    assert spoken(main.find_class("silent")[0]).endswith("rien = 1")


def test_the_abstract_stands_on_top(bound):
    head = bound[0].get_element_by_id("debut")
    (abstract,) = head.xpath("./div[@data-answer='resume']")
    assert [spoken(part) for part in abstract] == ["Résumé", "Ce qui est trouvé."]
    assert abstract.getnext().get("class") == "card"
    assert not bound[0].xpath("//main//*[@data-answer='resume']")
    assert "Qui a écrit quoi." in spoken(head) and "Profil rapide." in spoken(head)


def test_supplements_are_folded_with_the_text_before_them(bound):
    (fold,) = bound[0].find_class("fold")
    summary, text, table = fold
    assert spoken(summary) == "Tableau S1. Un tableau de 2"
    assert spoken(text) == "Ce qui introduit le supplément."
    assert table.find("table").get("aria-labelledby") == summary.get("id")
    assert fold.find(".//caption") is None


def test_formulas_are_mathml_and_numbers_are_text(bound):
    page = bound[0]
    assert [m.get("alttext") for m in page.iter("math")] == [
        "x_1 = 2,303",
        "\\mathcal{L} = -\\frac{1}{N}\\sum_i \\ln p_i",
        "\\ln",
    ]
    assert page.xpath("string(//figcaption//math)") == "ln" or page.find(".//figcaption//math")
    assert not page.find_class("tex") and page.find_class("sci")[0].find("sup").text == "−4"


def test_links_lead_somewhere_or_are_text(bound, tmp_path):
    assert bound[0].xpath("//main//a[text()='Suite']") == []
    (tmp_path / "02_model.ipynb").touch()
    text, _ = bind_page(project(tmp_path), TITLE, tmp_path, tmp_path)
    assert lxml.html.document_fromstring(text).xpath("//a[text()='Suite']")


def test_the_profile_is_said_beside_what_it_touched(tmp_path):
    class Marked(type(TITLE)):
        def mark(self, section, name=""):
            return f"{section} {name}" if name == "photos" else ""

    text, _ = bind_page(project(tmp_path), Marked("Un rapport"), tmp_path)
    marks = lxml.html.document_fromstring(text).xpath("//span[@class='marker']")
    assert [mark.text for mark in marks] == ["1.1 photos"]


def test_answers_are_set_anew_and_a_faulty_one_is_named(tmp_path, monkeypatch):
    def render(name, facts):
        if name == "S1":
            raise UserError("reports/answers/S1.md, line 2: 'n' is undefined")
        return f"Il y en a {facts['n']}."

    monkeypatch.setattr(export, "render", render)
    kept = answer_output("D1", "ancien")
    kept.metadata["eurosat"]["facts"] = {"n": 9}
    faulty = answer_output("S1", "ancien")
    faulty.metadata["eurosat"]["facts"] = {}
    path = write(tmp_path / "x.ipynb", code("answer('D1')", kept), code("answer('S1')", faulty))
    notebook, problems = export.merge([(path, export.read_notebook(path))], tmp_path)
    assert notebook.cells[0].outputs[0].data["text/markdown"] == "Il y en a 9."
    assert problems == ["x.ipynb, cell 2: reports/answers/S1.md, line 2: 'n' is undefined"]


def test_a_screenshot_taken_after_the_run_is_placed(tmp_path, monkeypatch):
    config, taken = load_config(ROOT / "configs/config.yaml", "quick"), {}
    monkeypatch.setattr(captures, "find_captures", lambda config: taken)
    output = displayed(capture, config, "overfit", "La **capture**")
    path = write(tmp_path / "x.ipynb", code("capture(config)", output))
    Image.new("RGB", (9, 5)).save(tmp_path / "overfit.png")
    taken["overfit"] = SimpleNamespace(path=tmp_path / "overfit.png", alt="Deux courbes")
    notebook, problems = export.merge([(path, export.read_notebook(path))], ROOT)
    assert "<details" in output.data["text/html"] and problems == []
    assert 'alt="Deux courbes"' in notebook.cells[0].outputs[0].data["text/html"]


def test_pictures_beside_the_notebook_and_attachments_are_embedded(tmp_path):
    folder = tmp_path / "reports/notebooks"
    stream = io.BytesIO()
    Image.new("RGB", (2, 1)).save(stream, "PNG")
    folder.mkdir(parents=True)
    (folder / "a b.png").write_bytes(stream.getvalue())
    (tmp_path / "secret.png").write_bytes(stream.getvalue())
    (folder / "secret.txt").write_text("secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    cell = markdown("![un](a%20b.png) ![deux](attachment:d.png) ![trois](attachment:e.png)")
    data = base64.b64encode(stream.getvalue()).decode()
    cell["attachments"] = {"d.png": {"image/png": data}}
    outside = ["../../secret.png", "secret.txt", "link.png", "http://127.0.0.1:9/x.png"]
    text = " ".join(f"![x]({address})" for address in outside)
    more = write(
        folder / "03_more.ipynb",
        cell,
        code("display(Markdown(text))", answer_output("S9", text)),
        code("display(HTML(text))", html_output('<img src="a%20b.png" alt="x">')),
    )
    page, problems = bind_page([*project(tmp_path / "p"), more], TITLE, tmp_path / "p")
    sources = lxml.html.document_fromstring(page).xpath("//img[@alt='un' or @alt='deux']/@src")
    assert sources == [f"data:image/png;base64,{data}"] * 2
    for address in ["attachment:e.png", *outside, "a%20b.png"]:
        assert any(f"image {address} is not embedded" in line for line in problems), address


WRONG = {
    "ValueError: non": code(
        "1 / 0", nbformat.v4.new_output("error", ename="ValueError", evalue="non")
    ),
    "text on stderr: attention": code(
        "x", nbformat.v4.new_output("stream", name="stderr", text="attention")
    ),
    "never executed": code("x = 1", count=None),
    "question D2: not in the template": markdown("> **D2.** Autre chose ?"),
    "question D1: given 3 times": markdown("> **D1.** Quel **dataset** utilisez-vous ?"),
    'must read "Quel': markdown("> **D1.** Quel dataset ?"),
    "nan in a table": code("x", html_output("<table><tr><td>nan</td></tr></table>")),
    "nan in the text": markdown("Une perte de nan."),
    "raw TeX in the text: \\frac": markdown("Un \\\\frac perdu."),
    "formula $\\inconnu{x}$ cannot be set": markdown("Du $\\inconnu{x}$."),
    "the link #fig-phtos leads nowhere (did you mean fig-photos?)": markdown("[x](#fig-phtos)"),
    "figure 3 (#fig-seule) is never called in the text": code("x", curve(name="seule")),
    "tableau 2 (#tab-2) is never called in the text": code("x", numbers()),
    "the name 'x1' is given 2 times": code("x", html_output('<p id="x1">x</p><p id="x1">x</p>')),
    "<iframe> fetches https://x.org": code("x", html_output('<iframe src="https://x.org">')),
    "<p> fetches http://x/y.png": code(
        "x", html_output('<p style="background: url(http://x/y.png)">x</p>')
    ),
    "the image is empty": code(
        "x",
        html_output(
            '<img alt="x" src="data:image/gif;base64,'
            'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7">'
        ),
    ),
    "has no alternative text": code(
        "x", html_output(f'<img src="data:image/svg+xml,{"<path/>" * 2}">')
    ),
    "<meta> fetches 0;url=http://x": code(
        "x", html_output('<meta http-equiv="Refresh" content="0;url=http://x">')
    ),
    "the figure holds no image": code("x", html_output("<figure>rien</figure>")),
}


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """Bind two good notebooks, and one for each wrong cell; what is wrong with them."""
    root = tmp_path_factory.mktemp("faults")
    wrong = [write(root / f"{n:02d}_x.ipynb", cell) for n, cell in enumerate(WRONG.values(), 3)]
    return bind_page([*project(root), *wrong], TITLE, root)[1]


@pytest.mark.parametrize("message", WRONG)
def test_what_must_not_leave_the_house(faults, message):
    assert any(message in line for line in faults), faults


def test_a_report_with_faults_is_refused(faults):
    with pytest.raises(UserError, match=r"the report was not built, .* problems"):
        check.refuse([*faults, *faults])
    check.refuse([])


def test_what_is_missing_is_named(tmp_path):
    first, _ = project(tmp_path)
    problems = bind_page([first], TITLE, tmp_path)[1]
    assert problems == [
        "heading ## 2) Modèle: missing",
        "question M0: missing",
        "answer M0: missing",
    ]
    with pytest.raises(UserError, match="no such notebook"):
        bind_page([tmp_path / "x.ipynb"], TITLE, tmp_path)


def test_french_is_set_as_printers_do():
    assert french("C'est vrai ? Oui : « 27 000 » images, 81 % - fin...") == (
        "C’est vrai\u202f? Oui\u00a0: «\u00a027\u202f000\u00a0» images, 81\u202f% - fin…"
    )


def load(name):
    module, _, attribute = DECLARED["nbconvert.exporters"][name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def test_nbconvert_and_the_menu_know_the_exporters(monkeypatch):
    assert load("rapport") is Rapport and load("rapport-pdf") is RapportPDF
    assert Rapport().enabled and RapportPDF().enabled and not load("rapport_pdf")().enabled
    from jupyter_server.nbconvert.handlers import default_handlers
    from jupyter_server.serverapp import ServerApp

    monkeypatch.setattr(ServerApp, "initialized", lambda: True)
    offered = [name for name in DECLARED["nbconvert.exporters"] if load(name)().enabled]
    assert offered == ["rapport", "rapport_pdf"]
    for name in offered:
        address = f"/nbconvert/{name}/04_lr_finder.ipynb"
        assert any(re.fullmatch(route, address) for route, *_ in default_handlers)


def test_a_notebook_alone_is_exported_and_its_faults_are_logged(tmp_path, caplog):
    path = write(
        tmp_path / "06_train.ipynb",
        markdown("# 06 · Entraînement", "hide"),
        markdown("## 6) Entraînement\n\nVoir la [figure](#fig-perte), puis [là](#ailleurs)."),
        code("figure(f)", curve(name="perte")),
        markdown("Une perte de nan."),
    )
    with caplog.at_level("WARNING"):
        text, resources = Rapport().from_filename(str(path))
    page = lxml.html.document_fromstring(text)
    assert (
        resources["output_extension"] == ".html" and "06_train.ipynb, cell 4: nan" in caplog.text
    )
    assert page.findtext(".//h1") == page.findtext(".//title") == "06 · Entraînement"
    assert spoken(page.find(".//main/div/p")) == "Voir la figure 1, puis là."
    assert not page.xpath("//*[@id='questions']")


def test_execution_comes_before_cells_are_left_out(tmp_path):
    path = write(
        tmp_path / "x.ipynb",
        code("n = 20", tags=["parameters"], count=None),
        code("print(n + 1)", count=None),
    )
    config = Config({"ExecutePreprocessor": {"enabled": True, "kernel_name": "python3"}})
    page = lxml.html.document_fromstring(Rapport(config=config).from_filename(str(path))[0])
    assert page.xpath("//pre[@class='output']/text()") == ["21\n"]


def test_a_notebook_alone_is_printed(tmp_path):
    path = write(tmp_path / "x.ipynb", markdown("# Titre\n\nTexte."), code("f", curve()))
    content, resources = RapportPDF().from_filename(str(path))
    assert content.startswith(b"%PDF") and resources["output_extension"] == ".pdf"
