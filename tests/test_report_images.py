"""Letters in figures, screenshots in the page."""

import base64
import io
import re

import lxml.html
import nbformat
import pytest
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure
from PIL import Image
from report_sample import META, WANTED, code, displayed, three_notebooks

from eurosat_lib.captures import Capture
from eurosat_lib.errors import UserError
from eurosat_lib.report import capture
from eurosat_lib.report.assemble import assemble
from eurosat_lib.report.pictures import encode


def drawing(label):
    fig = Figure(figsize=(4, 2))
    ax = fig.subplots()
    ax.plot([1, 2])
    ax.set_xlabel(label)
    ax.set_title("Gras", weight="bold")
    return fig


def svg(figure):
    return base64.b64decode(encode(figure)[0].partition(",")[2]).decode()


def fonts(text):
    """Return the letters that each embedded font can write, by weight."""
    faces = re.findall(r"font-weight:(\d+);src:url\(data:font/woff2;base64,([^)]+)\)", text)
    return {w: set(TTFont(io.BytesIO(base64.b64decode(data))).getBestCmap()) for w, data in faces}


def test_letters_of_a_figure_are_text_in_a_font_of_its_own():
    text = svg(drawing("perte à 81,2\u202f% → 10⁻⁴ <é> & œ"))
    written = lxml.html.fromstring(text.encode()).xpath("//*[local-name()='text']")
    labels = [" ".join(element.text_content().split(" ")) for element in written]
    assert "perte à 81,2\u202f% → 10⁻⁴ <é> & œ" in labels and "Gras" in labels
    held = fonts(text)
    assert set(map(ord, "perte à81,2\u202f%→10⁻⁴<é>&œ")) <= held["400"]
    assert set(map(ord, "Gras")) <= held["700"] and ord("z") not in held["400"] | held["700"]
    assert text.count("font-family: 'Rapport Sans', ") == len(written)


def test_the_same_figure_gives_the_same_bytes():
    assert svg(drawing("époque")) == svg(drawing("époque"))


def test_spaces_at_the_ends_of_a_label_are_kept():
    assert ">\u00a0\u00a0loin\u00a0<" in svg(drawing("  loin "))


def test_formulas_stay_outlines():
    text = svg(drawing("$10^{-4}$"))
    assert "<text" not in text and "@font-face" not in text


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "overfit.png"
    Image.effect_noise((60, 40), 50).save(path)
    return Capture("overfit", path, "Des courbes qui descendent", "digest")


def test_a_screenshot_taken_after_the_notebooks_is_put_into_the_page(tiny, tmp_path, picture):
    notebooks = three_notebooks(tmp_path)
    notebook = nbformat.read(notebooks[1], as_version=4)
    place = displayed(capture, tiny, "overfit", "Capture : `train/loss`.")
    notebook.cells.insert(2, code("capture(...)", place))
    nbformat.write(notebook, notebooks[1])

    def page(**changes):
        target = tmp_path / "rapport.html"
        info = assemble(notebooks, META | changes, target, questionnaire=WANTED)
        return info.figures, lxml.html.fromstring(target.read_text(encoding="utf-8"))

    count, without = page()
    (note,) = without.xpath("//div[@data-capture='overfit']")
    assert count == 2 and "make captures" in note.text_content()
    count, shown = page(captures={"overfit": picture})
    (figure,) = shown.xpath("//figure[@data-capture='overfit']")
    assert count == 3 and figure.find("img").get("alt") == "Des courbes qui descendent"
    assert figure.find("img").get("width") == "60"
    caption = " ".join(figure.find("figcaption").text_content().split())
    assert re.fullmatch(r"Figure\s\d\. Capture\s: train/loss\.", caption)
    assert "make captures" not in shown.get_element_by_id("contenu").text_content()


def test_an_unknown_screenshot_is_refused(tiny):
    with pytest.raises(UserError, match=r"capture 'overfitt'.*did you mean overfit"):
        capture(tiny, "overfitt", "Une légende.")
