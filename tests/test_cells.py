"""What a cell displays: figures, tables, screenshots, answers."""

import json
from types import SimpleNamespace

import lxml.html
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from report_sample import curve, displayed, picture

from eurosat_lib.errors import UserError
from eurosat_lib.report import cells
from eurosat_lib.report.cells import caption_html, figure, table


def shown(output):
    return lxml.html.fragment_fromstring(output.data["text/html"])


def test_curves_are_drawings_and_photographs_are_pictures(monkeypatch):
    drawn, photo = shown(curve(name="perte")), shown(picture(detail=True))
    assert drawn.get("id") == "fig-perte" and drawn.get("class") == "eurosat"
    image = drawn.find("img")
    assert image.get("src").startswith("data:image/svg+xml;base64,")
    assert image.get("class") == "drawing" and image.get("alt") == "La perte, en ln"
    assert drawn.find(".//*[@class='tex']").text == "\\ln"
    assert photo.get("data-detail") == "1" and photo.find("img").get("class") == "photo"
    assert photo.find("img").get("src").startswith("data:image/webp;base64,")
    assert curve().data == curve().data and not plt.get_fignums()
    monkeypatch.setattr(cells, "LARGEST_SVG", 1000)
    fig, axes = plt.subplots()
    axes.plot([1, 2])  # counts as a crowd, whose colours are turned
    image = shown(displayed(figure, fig, "Beaucoup")).find("img")
    assert image.get("src").startswith("data:image/webp") and image.get("class") == "drawing"


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ({"score": [0.5]}, {"percent": ["scor"]}, r"no column 'scor'.*did you mean score"),
        ({}, {}, "table is empty"),
        ({"score": [0.5]}, {"note": " "}, "caption is wanted"),
    ],
)
def test_a_table_that_cannot_be_shown_is_refused(frame, options, message):
    with pytest.raises(UserError, match=message):
        table(pd.DataFrame(frame), "Un tableau", **options)
    figure(None, "Pas dans ce run")
    table(None, "Pas dans ce run")


def test_captions_hold_bold_code_and_formulas():
    text = caption_html("**Gras**, *penché*, `a*b*c` & $x < 1$ ; lr7e-4_wd1e-5_D3, * non")
    assert text == (
        "<strong>Gras</strong>, <em>penché</em>, <code>a*b*c</code> &amp; "
        '<span class="tex">x &lt; 1</span> ; lr7e-4_wd1e-5_D3, * non'
    )


def test_numbers_are_french_and_to_the_right():
    values = {"nom": ["a <b", "lr7e-4_D3"], "n": [16200, 3], "part": [0.8123, 1]}
    values |= {"loss": [2.34, None], "lr": [5e-4, 1e-3], "juste": [True, False]}
    frame = pd.DataFrame(values, index=pd.RangeIndex(1, 3, name="Rang"))
    frame.attrs = {"percent": ["part"], "digits": {"loss": 1}, "note": "Rien."}
    holder = shown(displayed(table, frame, "Un tableau", name="lr", note="Une *note*."))
    assert [[cell.text_content() for cell in row] for row in holder.iter("tr")][1:] == [
        ["1", "a <b", "16\u202f200", "81,2\u202f%", "2,3", "0,0005", "oui"],
        ["2", "lr7e-4_D3", "3", "100,0\u202f%", "—", "0,001", "non"],
        ["Une note."],
    ]
    assert holder.get("id") == "tab-lr" and holder.find("table")[0].tag == "caption"
    right = [cell.get("class") for cell in holder.iter("th")]
    assert right == ["num", None, "num", "num", "num", "num", None]
    assert [cell.get("class") for cell in holder.findall(".//td")][1:9:7] == [None, "word"]


def test_a_screenshot_or_how_to_take_it(tmp_path, monkeypatch):
    path = tmp_path / "overfit.png"
    plt.imsave(path, np.eye(9))
    monkeypatch.setattr(cells, "find_captures", lambda config: {"overfit": (path, "Deux courbes")})
    config = SimpleNamespace(profile="quick", paths=SimpleNamespace(name="x"))
    output = displayed(cells.capture, config, "overfit", "La capture")
    assert output.metadata["eurosat"]["run"] == {"profile": "quick", "name": "x"}
    assert shown(output).get("id") == "capture-overfit"
    image = shown(output).find("img")
    assert image.get("width") == "4" and image.get("alt") == "Deux courbes"
    fold = shown(displayed(cells.capture, config, "lr_finder", "La capture"))
    assert fold.tag == "details" and "make captures" in fold.text_content()
    with pytest.raises(UserError, match="did you mean overfit"):
        cells.capture(config, "overfitt", "La capture")


def test_an_answer_keeps_its_facts(monkeypatch, tmp_path):
    monkeypatch.setattr(cells, "render", lambda name, facts: f"{name}: {facts['audit']['n']}\n")
    result = SimpleNamespace(stage="audit", facts=lambda: {"n": 3, "nan": float("nan")})
    output = displayed(cells.answer, "D4", result, None, folder=tmp_path, sides=(64, 64))
    assert output.data["text/markdown"] == "D4: 3\n"
    facts = {"audit": {"n": 3, "nan": None}, "folder": str(tmp_path), "sides": [64, 64]}
    assert output.metadata["eurosat"] == {"answer": "D4", "facts": facts}
    assert json.dumps(output.metadata, allow_nan=False)
