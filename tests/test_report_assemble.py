"""The assembled page: what is in it, where, and what is not."""

import base64
import io
import re
from urllib.parse import unquote

import lxml.html
import nbformat
import numpy as np
import pytest
from lxml import etree
from matplotlib.figure import Figure
from PIL import Image
from report_sample import META, WANTED, edit, three_notebooks

from eurosat_lib.errors import UserError
from eurosat_lib.report.assemble import assemble, paper
from eurosat_lib.report.images import lighten
from eurosat_lib.report.maths import draw
from eurosat_lib.report.meta import ReportMeta
from eurosat_lib.report.pictures import encode
from eurosat_lib.report.questionnaire import load_questionnaire, normal
from eurosat_lib.report.toc import slug
from eurosat_lib.report.typography import french


@pytest.fixture
def notebooks(tmp_path):
    return three_notebooks(tmp_path)


@pytest.fixture
def build(notebooks, tmp_path):
    def build_page(**changes):
        target = tmp_path / "reports" / "rapport.html"
        info = assemble(notebooks, META | changes, target, questionnaire=WANTED)
        return info, lxml.html.fromstring(target.read_text(encoding="utf-8"))

    return build_page


def test_the_page_holds_what_it_should(build):
    info, page = build()
    assert (info.figures, info.tables, info.answers) == (2, 2, ("D1", "M0"))
    assert (
        info.formulas == len(page.xpath('//span[starts-with(@class,"math")]/*[@role="img"]')) == 5
    )
    assert page.xpath("//span[@class='sci']/sup/text()") == ["−4"]  # a number is written out
    assert page.get("lang") == "fr" and len(page.xpath("//h1")) == 1
    text = page.body.text_content()
    assert "27\u202f000 images\u00a0: l’essentiel" in text
    for left_out in ("01 · Données", "seed: int", "interactif", "slider", "IntSlider"):
        assert left_out not in text
    assert "Données synthétiques de démonstration." in text and "Profil rapide." in text
    assert page.xpath("//section[@class='card']//tr[not(@class)]/td/text()") == ["42"]


def test_nothing_is_fetched(build):
    _, page = build()
    addresses = page.xpath("//@src | //link/@href | //script/@src | //use/@href")
    assert all(address.startswith("data:") for address in addresses)
    assert "default-src 'none'" in page.xpath("//meta[@http-equiv]/@content")[0]
    for image in page.iter("img"):
        assert not re.search(r"url\((?!%23|data:)", image.attrib.pop("src"))  # to itself, a font
    raw = lxml.html.tostring(page, encoding="unicode")
    for word in ("MathJax", "require.min.js", "cdnjs", "unpkg", "@import", "url("):
        assert word not in raw


def test_questions_and_answers_are_linked(build):
    _, page = build()
    question = page.get_element_by_id("D1")
    reply = page.get_element_by_id("reponse-D1")
    assert question.get("class") == "question"
    assert question.text_content().strip() == "D1. Quel dataset utilisez-vous\u202f?"
    assert reply.xpath("p[@class='label']/a/@href") == ["#D1"]


def test_numbers_and_references(build):
    _, page = build()
    labels = ["".join(e.itertext()) for e in page.find_class("number")]
    assert labels == ["Figure\u00a01.", "Figure\u00a02.", "Tableau\u00a01.", "Tableau\u00a02."]
    assert page.xpath("//a[@href='#fig-perte']")[0].text == "figure\u00a02"
    assert page.xpath("//a[@href='#tab-1']")[0].text == "table\u00a01"
    classes = [e.get("class") for e in page.xpath("//div[@data-number]")]
    assert classes == ["table narrow short", "table landscape short"]
    markers = [e.text for e in page.find_class("marker")]
    assert markers == ["données synthétiques, profil rapide"] * 2


def test_contents_are_nested_and_anchors_ascii_and_unique(build):
    _, page = build()
    toc = page.get_element_by_id("toc")
    assert toc.xpath("ol/li/a/@href") == ["#sec-1-donnees", "#sec-2-modele"]
    assert toc.xpath("ol/li/ol/li/a/@href") == ["#sec-1-1-le-dataset-co"]
    identifiers = page.xpath("//@id")
    assert len(identifiers) == len(set(identifiers))
    assert page.xpath("//h4/@id") == ["sec-donnees", "sec-donnees-2"]


@pytest.mark.parametrize(
    ("word", "kind"), [("Remarque", "remark"), ("À retenir", "tip"), ("Attention", "warning")]
)
def test_callouts_are_told_from_quotations(notebooks, build, word, kind):
    source = f"> **{word}.** Un mot.\n\nTexte.\n\n> **Ceci** n’en est pas un."
    edit(notebooks[2], 3, lambda cell: cell.update(source=source))
    _, page = build()
    last = page.find_class("callout")[-1]
    assert last.get("class") == f"callout {kind}" and last.get("role") == "note"
    assert page.xpath("//blockquote")[-1].text_content().strip() == "Ceci n’en est pas un."


def test_a_section_named_in_the_prose_is_a_link_where_it_exists(notebooks, build):
    source = "Sections 2 et 1, section 1.1 ; la section 9, `section 1`.\n\n#### Fin"
    edit(notebooks[2], 3, lambda cell: cell.update(source=source))
    _, page = build()
    links = page.xpath("//p/a[starts-with(@href, '#sec-')]")
    assert [(link.text, link.get("href")) for link in links] == [
        ("Sections\u00a02", "#sec-2-modele"),
        ("section\u00a01.1", "#sec-1-1-le-dataset-co"),
    ]
    text = links[0].getparent().text_content()
    assert text.startswith(
        "Sections\u00a02 et 1, section\u00a01.1\u202f; la section\u00a09, section 1."
    )


def test_the_questions_are_listed_beside_the_contents(build):
    _, page = build()
    assert page.xpath("//*[@id='questions']//a/@href") == ["#D1", "#M0"]


def test_the_contents_number_as_the_template_does(build):
    _, page = build()
    listed = [normal(link.text_content()) for link in page.xpath("//*[@id='toc']//a")]
    assert listed == [normal(title) for _, title in WANTED.sections]


def test_notebooks_and_results_are_linked_from_where_the_page_lies(build, tmp_path):
    result, folder = tmp_path / "artifacts" / "méta.json", tmp_path / "runs"
    result.parent.mkdir()
    result.touch()
    folder.mkdir()
    missing = tmp_path / "nothing.csv"
    _, page = build(files={"Résultats": [result, missing, folder]})
    rows = {row.find("th").text: row for row in page.xpath("//tr[@class='files']")}
    assert list(rows) == ["Carnets exécutés", "Résultats"]
    names = [link.text for link in rows["Résultats"].iter("a")]
    assert names == ["méta.json", "runs/"]
    for link in page.xpath("//tr[@class='files']//a | //p[@class='source']/a"):
        assert (tmp_path / "reports" / unquote(link.get("href"))).exists()
    assert page.xpath("//h2/following-sibling::p[1][@class='source']/a/text()") == [
        "Carnet 01_data",
        "Carnet 02_model",
    ]


def test_what_is_printed_names_the_files_without_links(build):
    _, page = build()
    targets = paper(page).xpath("//a/@href")
    assert targets and all(target.startswith("#") for target in targets)
    assert page.xpath("//tr[@class='files']//a/@href")


def test_an_svg_is_written_short_and_keeps_its_drawing():
    fig = Figure(figsize=(4, 2))
    fig.subplots().plot([0.123456789, 2], label="l'axe")
    source, _, _ = encode(fig)
    main = lxml.html.fragment_fromstring(f'<div><img src="{source}"></div>')
    lighten(main)
    image = main.find("img")
    head, _, body = image.get("src").partition(",")
    root = etree.fromstring(unquote(body).encode())
    before = etree.fromstring(base64.b64decode(source.partition(",")[2]))
    assert head == "data:image/svg+xml" and image.get("class") == "drawing"
    assert len(image.get("src")) < 0.9 * len(source)
    for name in ("path", "use", "clipPath"):
        assert len(root.findall(f".//{{*}}{name}")) == len(before.findall(f".//{{*}}{name}")) > 0
    used = set(re.findall(r"(?:href=.|url\()#([\w.-]+)", unquote(body)))
    assert used == set(root.xpath("//@id"))


def test_the_text_of_an_svg_keeps_its_spaces():
    words = "1\u202f863\u00a0: #5 % &amp; c'est"
    head = '<svg xmlns="http://www.w3.org/2000/svg">\n <text style="font: 8px \'A\'">'
    text = f"{head}{words}</text>\n</svg>"
    source = f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"
    main = lxml.html.fragment_fromstring(f'<div><img src="{source}"></div>')
    lighten(main)
    root = etree.fromstring(unquote(main.find("img").get("src").partition(",")[2]).encode())
    assert root.findtext("{*}text") == words.replace("&amp;", "&")


def test_a_png_becomes_a_smaller_webp_of_the_same_pixels():
    pixels = np.zeros((90, 90, 4), dtype=np.uint8)
    pixels[..., 3], pixels[:, ::3, 0] = 255, 200
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    source = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    main = lxml.html.fragment_fromstring(f'<div><img src="{source}"></div>')
    lighten(main)
    small = Image.open(io.BytesIO(base64.b64decode(main.find("img").get("src").split(",")[1])))
    assert small.format == "WEBP" and len(main.find("img").get("src")) < len(source) / 5
    assert small.mode == "RGB" and np.array_equal(np.asarray(small), pixels[..., :3])


def test_code_is_folded_and_highlighted(build):
    _, page = build()
    blocks = page.xpath("//details[@class='code']")
    assert [b.get("open") for b in blocks] == [None] * 6
    assert blocks[0].xpath(".//span/text()")


def test_a_full_run_on_real_images_has_no_banner(build):
    _, page = build(profile="full", synthetic=False)
    assert not page.find_class("banner") and not page.find_class("marker")


def test_single_notebook_metadata_is_stripped(notebooks, build):
    notebook = nbformat.read(notebooks[0], as_version=4)
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    nbformat.write(notebook, notebooks[0])
    _, page = build()
    assert "widget-state" not in lxml.html.tostring(page, encoding="unicode")


def test_formulas_keep_their_tex_and_sit_on_the_line(build):
    _, page = build()
    labels = page.xpath("//*[@role='img']/@aria-label")
    assert r"\ln 10 = 2,303" in labels and "x_1" in labels and r"\ln" in labels
    inline = lxml.html.fragment_fromstring(draw("y_i"))
    assert "vertical-align:-0." in inline.get("style")
    assert "vertical-align" not in lxml.html.fragment_fromstring(draw("y_i", True)).get("style")
    assert "currentColor" in draw("y_i")
    assert draw("2,5") != draw("2, 5")


def test_a_number_is_text_as_beside_it(build):
    _, page = build()
    (number,) = page.find_class("sci")
    assert number.text_content().strip(";\u202f") == "3\u00a0×\u00a010\u22124"
    assert number.find("sup").text == "\u22124"


def test_a_markdown_image_is_embedded_from_its_own_folder(notebooks, build, tmp_path):
    from PIL import Image

    Image.fromarray(np.eye(4, dtype=np.uint8) * 255).save(tmp_path / "x.png")
    edit(notebooks[2], 3, lambda cell: cell.update(source="![une croix](x.png)"))
    _, page = build()
    assert page.xpath("//img[@alt='une croix']/@src")[0].startswith("data:image/webp;base64,")


def test_a_missing_notebook_and_a_wrong_entry_are_named(notebooks, tmp_path):
    with pytest.raises(UserError, match=r"04_x\.ipynb: no such notebook"):
        assemble([tmp_path / "04_x.ipynb"], META, tmp_path / "r.html", questionnaire=WANTED)
    with pytest.raises(UserError, match="did you mean title"):
        ReportMeta.of(META | {"titel": "x"})


def test_the_template_of_the_course():
    wanted = load_questionnaire()
    assert len(wanted.sections) == 21 and len(wanted.questions) == 21
    assert list(wanted.questions) == [f"D{n}" for n in range(1, 12)] + [f"M{n}" for n in range(10)]
    assert wanted.sections[4] == (
        3,
        "1.3 Prétraitements (preprocessing) — _appliqués à train/val/test_",
    )


def test_small_rules():
    assert slug("1.3 Prétraitements — « œuvre »") == "1-3-pretraitements-oeuvre"
    assert french("« Quoi ? » : 27 000 000 images, 5 % ; l'écart...") == (
        "«\u00a0Quoi\u202f?\u00a0»\u00a0: 27\u202f000\u202f000 images, 5\u202f%\u202f; l’écart…"
    )
    assert normal("_L’essai_ de `seq_len` **x**\u202f?") == "L'essai de seq_len x ?"
