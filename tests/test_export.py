"""Executed notebooks bound into one page, and what must not leave the house."""

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
from eurosat_lib.report.export import Rapport, bind_page
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
    assert [spoken(h) for h in main.iter("h2")] == ["1) Données", "2) Modèle"]
    assert main.xpath("string(.//h3/@id)") == "sec-1-1-le-dataset-co"
    listed = [(a.getparent().get("class"), a.text) for a in page.xpath("//div[@id='toc']//a")]
    assert listed == [("h2", "1) Données"), ("h3", "1.1 Le dataset & co"), ("h2", "2) Modèle")]
    assert [a.text for a in page.xpath("//div[@id='questions']//a")] == ["D1", "M0"]
    assert not page.xpath("//*[@data-cell or @data-detail]")


def test_questions_answers_and_remarks_are_blocks(bound):
    main = bound[0].find(".//main")
    assert spoken(main.get_element_by_id("D1")) == "D1. Quel dataset utilisez-vous ?"
    reply = main.get_element_by_id("reponse-D1")
    assert reply.get("class") == "answer reply" and reply.get("data-answer") == "D1"
    assert spoken(reply[0]) == "Réponse D1"
    assert spoken(reply[1]) == "Il y a 3,1 × 10−4 ; voir la figure 1 et le S1."
    assert main.find_class("callout")[0].get("role") == "note"
    assert spoken(main.find(".//li")) == "☑ fait"


def test_cells_are_left_out_by_tag_and_code_that_only_shows(bound):
    main = bound[0].find(".//main")
    text = spoken(main)
    assert "01 · Données" not in text and "interactif" not in text and "seed" not in text
    shown = [spoken(block.find_class("highlight")[0]) for block in main.find_class("code")]
    assert shown == ["curve = train() figure(curve)", "print(1)", "rien = 1"]


def test_the_abstract_stands_on_top(bound):
    head = bound[0].get_element_by_id("debut")
    (abstract,) = head.find_class("abstract")
    assert [spoken(part) for part in abstract] == ["Résumé", "Ce qui est trouvé."]
    assert abstract.getnext().get("class") == "card"
    assert "composé par un outil" in spoken(head) and "Profil rapide." in spoken(head)


def test_supplements_are_folded_with_the_text_before_them(bound):
    (fold,) = bound[0].find_class("fold")
    summary, text, table = fold
    assert spoken(summary) == "Tableau S1. Un tableau de 2"
    assert spoken(text) == "Ce qui introduit le supplément."
    assert table.find("table").get("aria-labelledby") == summary.get("id")
    assert fold.find(".//caption") is None


def test_formulas_are_mathml_and_numbers_are_text(bound):
    assert [m.get("alttext") for m in bound[0].iter("math")] == [
        "x_1 = 2,303",
        "\\mathcal{L} = -\\frac{1}{N}\\sum_i \\ln p_i",
        "\\ln",
    ]
    assert not bound[0].find_class("tex")


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


def test_answers_and_screenshots_are_set_anew_and_a_faulty_one_is_named(tmp_path, monkeypatch):
    def render(name, facts):
        if name == "S1":
            raise UserError("reports/answers/S1.md, line 2: 'n' is undefined")
        return f"Il y en a {facts['n']}."

    config, taken = load_config(ROOT / "configs/config.yaml", "quick"), {}
    monkeypatch.setattr(captures, "find_captures", lambda config: {})
    monkeypatch.setattr(export, "find_captures", lambda config: taken)
    monkeypatch.setattr(export, "render", render)
    shot = displayed(capture, config, "overfit", "La **capture**")
    outputs = [answer_output("D1", "ancien"), answer_output("S1", "ancien"), shot]
    for output in outputs[:2]:
        output.metadata["eurosat"]["facts"] = {"n": 9}
    path = write(tmp_path / "x.ipynb", *(code("answer(n)", output) for output in outputs))
    Image.new("RGB", (9, 5)).save(tmp_path / "overfit.png")
    taken["overfit"] = SimpleNamespace(path=tmp_path / "overfit.png", alt="Deux courbes")
    notebook, problems = export.merge([(path, export.read_notebook(path))], ROOT)
    first, _, last = (cell.outputs[0].data for cell in notebook.cells)
    assert first["text/markdown"] == "Il y en a 9."
    assert problems == ["x.ipynb, cell 2: reports/answers/S1.md, line 2: 'n' is undefined"]
    assert "<details" in shot.data["text/html"] and 'alt="Deux courbes"' in last["text/html"]


def test_no_picture_is_read_from_outside_the_project(tmp_path):
    folder = tmp_path / "reports/notebooks"
    folder.mkdir(parents=True)
    Image.new("RGB", (2, 1)).save(tmp_path / "secret.png")
    (folder / "secret.txt").write_text("secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    outside = ["../../secret.png", "secret.txt", "link.png", "http://127.0.0.1:9/x.png"]
    outside += ["attachment:e.png"]
    text = " ".join(f"![x]({address})" for address in outside)
    more = write(
        folder / "03_more.ipynb",
        code("display(Markdown(text))", answer_output("S9", text)),
        code("display(HTML(text))", html_output('<img src="link.png" alt="x">')),
    )
    _, problems = bind_page([*project(tmp_path / "p"), more], TITLE, tmp_path / "p")
    for address in outside:
        assert any(f"image {address} is not embedded" in line for line in problems), address


WRITTEN = {
    "question D2. Autre chose ?: not in": "> **D2.** Autre chose ?",
    "question D1. Quel dataset utilisez-vous ?: not": "> **D1.** Quel **dataset** utilisez-vous ?",
    "question D1. Quel dataset ?: not in": "> **D1.** Quel dataset ?",
    "nan in the text": "Une perte de nan.",
    "raw TeX in the text: Un \\frac perdu.": "Un \\\\frac perdu.",
    "formula $\\inconnu{x}$ cannot be set": "Du $\\inconnu{x}$.",
    "the link #fig-phtos leads nowhere (did you mean fig-photos?)": "[x](#fig-phtos)",
}
DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
DISPLAYED = {
    "nan in a table": "<table><tr><td>nan</td></tr></table>",
    "the name 'x1' is given 2 times": '<p id="x1">x</p><p id="x1">x</p>',
    "<iframe> fetches https://x.org": '<iframe src="https://x.org">',
    "<p> fetches background: url(http": '<p style="background: url(http://x/y.png)">x</p>',
    "the image is empty": f'<img alt="x" src="{DOT}">',
    "has no alternative text": f'<img src="data:image/svg+xml,{"<path/>" * 2}">',
    "the figure holds no image": "<figure>rien</figure>",
}
BROKEN = nbformat.v4.new_output("error", ename="ValueError", evalue="non")
WRONG = {
    "ValueError: non": code("1 / 0", BROKEN),
    "text on stderr: oh": code("x", nbformat.v4.new_output("stream", name="stderr", text="oh")),
    "never executed": code("x = 1", count=None),
    "figure 3 (#fig-seule) is never called in the text": code("x", curve(name="seule")),
    "tableau 2 (#tab-2) is never called in the text": code("x", numbers()),
    **{message: markdown(text) for message, text in WRITTEN.items()},
    **{message: code("x", html_output(text)) for message, text in DISPLAYED.items()},
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


def test_what_is_missing_is_named(tmp_path):
    first, _ = project(tmp_path)
    problems = bind_page([first], TITLE, tmp_path)[1]
    assert problems == [
        "heading ## 2) Modèle: missing",
        "question M0.: missing",
        "answer M0: missing",
    ]
    with pytest.raises(UserError, match=r"the report was not built, 3 problems:\n  - heading"):
        check.refuse([*problems, *problems])
    with pytest.raises(UserError, match="not readable as a notebook"):
        bind_page([tmp_path / "x.ipynb"], TITLE, tmp_path)


def test_french_is_set_as_printers_do():
    assert french("C'est vrai ? Oui : « 27 000 » images, 81 % - fin...") == (
        "C’est vrai\u202f? Oui\u00a0: «\u00a027\u202f000\u00a0» images, 81\u202f% - fin…"
    )


def test_nbconvert_and_the_menu_know_the_exporter():
    assert DECLARED["nbconvert.exporters"] == {"rapport": "eurosat_lib.report.export:Rapport"}
    assert Rapport().enabled


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
    assert resources["output_extension"] == ".html"
    assert "06_train.ipynb, cell 4: nan" in caplog.text
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
