"""Executed notebooks bound into one page, and what must not leave the house."""

import shutil
import tomllib

import lxml.html
import nbformat
import pytest
import report_sample as sample
from nbconvert.nbconvertapp import NbConvertApp
from PIL import Image
from report_sample import TITLE, code, displayed, html_output, markdown, project, write
from settings import ROOT
from traitlets.config import Application, Config

from eurosat_lib.config import load_config
from eurosat_lib.errors import UserError
from eurosat_lib.french import typeset
from eurosat_lib.report import cells, export
from eurosat_lib.report.export import Rapport, RapportPDF, bind_page

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
HEADS = ".//h2 | .//h3"


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    text, problems, _ = bind_page(project(root), TITLE, root)
    return lxml.html.document_fromstring(text), problems


def spoken(element):
    return " ".join(element.text_content().split())


def test_a_good_page_has_no_problem(bound):
    page, problems = bound
    assert problems == [] and page.get("lang") == "fr"
    main, head = page.find(".//main"), page.get_element_by_id("debut")
    assert main.get("id") == "contenu" and main.find(".//h1") is None
    listed = [(a.getparent().get("class"), a.text) for a in page.xpath("//div[@id='toc']//a")]
    assert listed == [("h2", "1) Données"), ("h3", "1.1 Le dataset & co"), ("h2", "2) Modèle")]
    aims = [f"#{head.get('id')}" for head in main.xpath(HEADS)]
    assert page.xpath("//div[@id='toc']//a/@href") == aims
    listed = [(a.text, a.get("href")) for a in page.xpath("//div[@id='questions']//a")]
    assert listed == [("D1", "#D1"), ("M0", "#M0")]
    assert not page.xpath("//*[@data-cell or @data-detail]")
    (abstract,) = head.find_class("abstract")
    assert [spoken(part) for part in abstract] == ["Résumé", "Ce qui est trouvé."]
    assert "composé par un outil" in spoken(head) and "Profil rapide." in spoken(head)
    assert spoken(head.find_class("byline")[0]) == "Camille Exemple 22 novembre 2025"


def test_questions_answers_supplements_and_code_are_blocks(bound):
    main = bound[0].find(".//main")
    assert spoken(main.get_element_by_id("D1")) == "D1. Quel dataset utilisez-vous ?"
    reply = main.get_element_by_id("reponse-D1")
    assert reply.get("class") == "answer reply" and spoken(reply[0]) == "Réponse D1"
    assert spoken(reply[1]).endswith("; voir la figure 1 et le S1.")
    assert spoken(main.find(".//li")) == "☑ fait"
    (fold,) = main.find_class("fold")
    told = ["Tableau S1. Un tableau de 2", "Ce qui introduit le supplément."]
    assert [spoken(part) for part in fold[:2]] == told
    assert fold[2].find(".//td") is not None and fold.find(".//caption") is None
    text = spoken(main)
    assert "01 · Données" not in text and "interactif" not in text and "seed" not in text
    shown = [spoken(block.find_class("highlight")[0]) for block in main.find_class("code")]
    assert shown == ["curve = train() figure(curve)", "print(1)", "rien = 1"]
    formulas = [m.get("alttext") for m in bound[0].iter("math")]
    assert formulas[:3] == ["x_1 = 2,303", "n", "\\frac{1}{2}"]
    assert not bound[0].find_class("tex")


def test_a_heading_of_ones_own_is_kept_but_for_the_title_of_a_notebook_alone(tmp_path):
    cells = [markdown("# Mes *essais*\n\nTexte"), code("x", sample.answer_output("S1", "# Suite"))]
    path = write(tmp_path / "08_essais.ipynb", *cells)
    text, problems, _ = bind_page([*project(tmp_path), path], TITLE, tmp_path)
    whole = lxml.html.document_fromstring(text)
    alone = lxml.html.document_fromstring(Rapport().from_filename(str(path))[0])
    assert [spoken(h) for h in whole.find(".//main").iter("h2")][2:] == ["Mes essais", "Suite"]
    assert "Mes essais" in spoken(whole.get_element_by_id("toc")) and problems == []
    assert [spoken(h) for h in alone.find(".//main").iter("h1", "h2")] == ["Suite"]


@pytest.mark.parametrize(("lead", "fence"), [("", "```"), ("", "~~~~"), ("> ", "```")])
def test_code_in_a_fence_stays_as_it_is(tmp_path, lead, fence):
    lines = [f"{fence}sh", "- [ ] x", "![x](mon image.png)", fence]
    text = "\n".join([*(lead + line for line in lines), "", "# Vrai", "- [ ] fait"])
    path = write(tmp_path / "x.ipynb", markdown(text))
    page = lxml.html.document_fromstring(Rapport().from_filename(str(path))[0])
    assert spoken(page.find(".//main//pre")) == "- [ ] x ![x](mon image.png)"
    assert page.findtext(".//h1") == "Vrai" and spoken(page.find(".//main//li")) == "☐ fait"


def test_links_lead_somewhere_and_the_profile_is_said_beside_what_it_touched(bound, tmp_path):
    class Marked(type(TITLE)):
        def mark(self, section, name=""):
            return f"{section} {name}" if name == "photos" else ""

    assert bound[0].xpath("//main//a[text()='Suite']") == []
    (tmp_path / "02_model.ipynb").touch()
    path, more = project(tmp_path)
    read = nbformat.read(path, as_version=4)
    read.cells[4:4] = [markdown("### Mes remarques\n\n### 2 essais")]  # before the figure
    nbformat.write(read, path)
    text, *_ = bind_page([path, more], Marked("Un rapport"), tmp_path, tmp_path)
    page = lxml.html.document_fromstring(text)
    assert page.xpath("//a[text()='Suite']")
    assert [mark.text for mark in page.find_class("marker")] == ["1.1 photos"]


def test_answers_and_screenshots_are_set_anew_and_a_faulty_one_is_named(tmp_path, monkeypatch):
    def render(name, facts):
        if name == "S1":
            raise UserError("reports/answers/S1.md, line 2: 'n' is undefined")
        return f"Il y en a {facts['n']}."

    monkeypatch.setattr(export, "render", render)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    config = load_config(ROOT / "configs/config.yaml", "quick")
    monkeypatch.setattr(cells, "find_captures", lambda config: {})
    output = displayed(cells.capture, config, "overfit", "La **capture**")
    Image.new("RGB", (2, 2)).save(tmp_path / "overfit.png")
    taken = {"overfit": (tmp_path / "overfit.png", "Deux courbes")}
    monkeypatch.setattr(cells, "find_captures", lambda config: taken)
    answers = [sample.answer_output(name, "avant") for name in ("S0", "S1")]
    for answer in answers:
        answer.metadata["eurosat"]["facts"] = {"n": 3}
    shots = [code("capture(c)", output), code("answers()", *answers)]
    path = write(tmp_path / "x.ipynb", *shots, markdown("[](#capture-overfit)"))
    shown, problems, _ = bind_page([*project(tmp_path), path], TITLE, tmp_path)
    assert problems == ["x.ipynb, cell 2: reports/answers/S1.md, line 2: 'n' is undefined"]
    assert "Il y en a 3." in shown and 'alt="Deux courbes"' in shown


WRITTEN = {
    "question D2. Autre chose ?: not in": "> **D2.** Autre chose ?",
    "question D1. Quel dataset utilisez-vous ?: not": "> **D1.** Quel **dataset** utilisez-vous ?",
    "question D1. Quel dataset ?: not in": "> **D1.** Quel dataset ?",
    "raw TeX in the text: Un \\frac perdu.": "Un \\\\frac perdu.",
    "no picture; an address with spaces": "![x](mon image.png)",
    "formula $\\inconnu{x}$ cannot be set": "Du $\\inconnu{x}$.",
    "the link #fig-phtos leads nowhere (did you mean fig-photos?)": "[x](#fig-phtos)",
}
URL = "http://127.0.0.1:9/x"
LIVE = {  # written or displayed
    f"image {URL} is not embedded": f"<img src='{URL}' alt='x'>",
    "<object> is nothing": f"<object data='{URL}'>x</object>",
    "<iframe> is nothing": f"<iframe src='{URL}'></iframe>",
    "<link> is nothing": f"<link rel='stylesheet' href='{URL}'>",
    "<svg> is nothing": f"<svg><image xlink:href='{URL}'/></svg>",
    "<meta> is nothing": f"<meta http-equiv='refresh' content='0;url={URL}'>",
    "<script> is nothing": "<script>alert(1)</script>",
}
DISPLAYED = {
    "the name 'x1' is given 2 times": '<p id="x1">x</p><p id="x1">x</p>',
    "the image has no alternative text": '<img alt="" src="data:image/gif;base64,R0lGOD">',
    "the image is damaged": '<img alt="x" src="data:image/gif;base64,R0lGOD">',
    "damaged": '<img alt="x" src="data:image/svg+xml,<svg><image href=\'file:///\'/></svg>">',
    "nan in a table": "<table><tr><td>nan</td></tr></table>",
    "None in a table": "<table><tr><td>None</td></tr></table>",
    "a cell's HTML ends the page": "<p>x</p></main></body></html>",
}
BROKEN = nbformat.v4.new_output("error", ename="ValueError", evalue="non")
WRONG = [
    ("ValueError: non", code("1 / 0", BROKEN)),
    ("(#fig-perdue) is never called in the text", code("f()", sample.curve(name="perdue"))),
    *((message, markdown(text)) for message, text in (WRITTEN | LIVE).items()),
    *((message, code("x", html_output(text))) for message, text in (LIVE | DISPLAYED).items()),
]


def test_what_must_not_leave_the_house(tmp_path):
    wrong = [write(tmp_path / f"{n}_x.ipynb", cell) for n, (_, cell) in enumerate(WRONG)]
    text, faults, _ = bind_page([*project(tmp_path), *wrong], TITLE, tmp_path)
    assert not any(bad in text for bad in (URL, "alert(1)", "file:"))
    for number, (message, _) in enumerate(WRONG):
        nowhere = message.startswith(("question", "the name", "a cell"))
        place = "" if nowhere else f"{number}_x.ipynb, cell 1"
        assert any(line.startswith(place) and message in line for line in faults), message


def test_what_is_missing_is_named(tmp_path):
    first, _ = project(tmp_path)
    problems = bind_page([first], TITLE, tmp_path)[1]
    missing = ["heading h2 2) Modèle: missing", "question M0.: missing", "answer M0: missing"]
    assert problems == missing
    with pytest.raises(UserError, match="not readable as a notebook"):
        bind_page([tmp_path / "x.ipynb"], TITLE, tmp_path)
    (tmp_path / export.QUESTIONS).write_text("sections: [1]")
    with pytest.raises(UserError, match=r"questions\.yaml: expected sections"):
        bind_page([first], TITLE, tmp_path)


def test_french_is_set_as_printers_do():
    text = "C'est vrai ? Oui : « 27 000 » images de 2017 200, 81 % et 0,5 200 - fin..."
    assert typeset(text).replace("\u202f", "~").replace("\u00a0", "_") == (
        "C’est vrai~? Oui_: «_27~000_» images de 2017 200, 81~% et 0,5 200 - fin…"
    )


def test_a_notebook_alone_is_exported_and_its_faults_are_logged(tmp_path, caplog):
    kinds = [entry.partition(":")[2] for entry in DECLARED["nbconvert.exporters"].values()]
    assert kinds == ["Rapport", "RapportPDF"]
    path = write(
        tmp_path / "06_train.ipynb",
        markdown("# 06 · Entraînement", "hide"),
        markdown("## 6) Entraînement\n\nVoir la [figure](#fig-perte), puis [là](#ailleurs)."),
        code("figure(f)", sample.curve(name="perte")),
        code("table(t)", sample.numbers()),
        code("n = 20", tags=["parameters"]),
        markdown("Du $\\inconnu{x}$."),
    )
    given = [code("n = 20", tags=[tag]) for tag in ("parameters", "injected-parameters")]
    source = write(tmp_path / "x.ipynb", *given, code("print(n + 1)"))
    executing = Rapport(config=Config({"ExecutePreprocessor": {"enabled": True}}))
    text = executing.from_filename(str(source))[0]
    assert ">21\n</pre>" in text and text.count("<details") == 1  # run, then left out
    with caplog.at_level("WARNING"):
        text, resources = Rapport().from_filename(str(path))
    page = lxml.html.document_fromstring(text)
    assert resources["output_extension"] == ".html"
    assert "06_train.ipynb, cell 6: formula $\\inconnu{x}$" in caplog.text
    assert page.findtext(".//h1") == page.findtext(".//title") == "06 · Entraînement"
    assert spoken(page.find(".//main/div/p")) == "Voir la figure 1, puis là."
    assert not page.xpath("//*[@id='questions']")
    paper, resources = RapportPDF().from_filename(str(path))
    assert paper.startswith(b"%PDF-") and resources["output_extension"] == ".pdf"


def test_what_stops_the_pdf_of_a_notebook_is_a_line_of_nbconvert(tmp_path, monkeypatch):
    path = write(tmp_path / "x.ipynb", markdown("\U0010fffd"))
    for app, kind in ((None, UserError), (NbConvertApp(), SystemExit)):
        monkeypatch.setattr(Application, "_instance", app)
        with pytest.raises(kind, match="no font has the sign"):
            RapportPDF().from_filename(str(path))


def test_a_picture_that_cannot_be_shown_is_left_out_of_a_notebook_alone(tmp_path, caplog):
    images = (
        '<img src="https://example.org/a.png">',
        '<img src="data:image/png;base64,AAAA" alt="a">',
    )
    shown = [code("a()", html_output(f"{image}<p>b</p>")) for image in images]
    paper, _ = RapportPDF().from_filename(str(write(tmp_path / "x.ipynb", *shown)))
    assert paper.startswith(b"%PDF-")
    assert all(f"x.ipynb, cell {number}: " in caplog.text for number in (1, 2))
