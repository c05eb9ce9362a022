"""What a cell displays: figures, tables, screenshots, answers."""

import json
from types import SimpleNamespace
from urllib.parse import unquote

import lxml.html
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from report_sample import curve, displayed, picture

from eurosat_lib.errors import UserError
from eurosat_lib.report.cells import answer, caption_html, capture, capture_html, figure, table


def shown(output):
    return lxml.html.fragment_fromstring(output.data["text/html"])


def rows(frame, **options):
    holder = shown(displayed(table, frame, "Un tableau", **options))
    return [[cell.text_content() for cell in row] for row in holder.iter("tr")]


def test_curves_are_drawings_and_photographs_are_pictures():
    drawn, photo = shown(curve(name="perte")), shown(picture(detail=True))
    assert drawn.get("id") == "fig-perte" and drawn.get("class") == "eurosat"
    image = drawn.find("img")
    assert image.get("src").startswith("data:image/svg+xml,") and image.get("class") == "drawing"
    assert (
        image.get("alt") == "La perte, en ln" and drawn.find(".//*[@class='tex']").text == "\\ln"
    )
    svg = unquote(image.get("src"))
    assert "scale(0.015625)" in svg and "<!--" not in svg and "metadata" not in svg
    assert photo.get("data-detail") == "1" and photo.find("img").get("class") == "photo"
    assert photo.find("img").get("src").startswith("data:image/webp;base64,")
    assert curve().data == curve().data and not plt.get_fignums()
    fig, axes = plt.subplots()
    axes.plot(*np.random.default_rng(0).random((2, 20000)))  # a crowd, whose colours are turned
    image = shown(displayed(figure, fig, "Beaucoup")).find("img")
    assert image.get("src").startswith("data:image/webp") and image.get("class") == "drawing"


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(UserError, match="nothing was drawn"):
        figure(plt.figure(), "Vide")
    with pytest.raises(UserError, match="caption is wanted"):
        curve(" ")
    with pytest.raises(UserError, match="lower-case letters"):
        curve(name="La perte")
    with pytest.raises(UserError, match="table is empty"):
        table(pd.DataFrame(), "Vide")
    figure(None, "Pas dans ce run")
    table(None, "Pas dans ce run")


def test_captions_hold_bold_code_and_formulas():
    text = caption_html("**Gras**, *penché*, `a*b*c` & $x < 1$ $-3{,}1 \\times 10^{-4}$")
    assert text == (
        "<strong>Gras</strong>, <em>penché</em>, <code>a*b*c</code> &amp; "
        '<span class="tex">x &lt; 1</span> '
        '<span class="sci">−3,1\xa0×\xa010<sup>−4</sup></span>'
    )


def test_numbers_are_french_and_to_the_right():
    frame = pd.DataFrame(
        {"nom": ["a<b", "c"], "n": [16200, 3], "part": [0.8123, 1], "lr": [5e-4, 1e-3]}
    )
    frame.attrs = {"percent": ["part"], "note": "Une *note*."}
    assert rows(frame)[1:] == [
        ["a<b", "16\u202f200", "81,2\u202f%", "5\u202f×\u202f10⁻⁴"],
        ["c", "3", "100,0\u202f%", "10⁻³"],
        ["Une note."],
    ]
    holder = shown(displayed(table, frame, "Un tableau", name="lr", note="Une autre."))
    assert holder.get("id") == "tab-lr" and holder.find(".//tfoot//p").text == "Une autre."
    assert holder.find("table")[0].tag == "caption"
    classes = [cell.get("class") for cell in holder.iter("th")]
    assert classes == [None, "num", "num", "num"]
    assert {cell.get("scope") for cell in holder.iter("th")} == {"col"}


def test_an_index_with_a_name_is_a_column_and_names_of_runs_are_words():
    frame = pd.DataFrame({"run": ["lr7e-4_wd1e-5_D3_B2"], "juste": [True]})
    frame.index = pd.RangeIndex(1, 2, name="Rang")
    assert rows(frame) == [["Rang", "run", "juste"], ["1", "lr7e-4_wd1e-5_D3_B2", "oui"]]
    holder = shown(displayed(table, frame, "Un tableau"))
    assert [cell.get("class") for cell in holder.iter("td")] == ["num", "word", None]


def test_a_missing_value_or_an_unknown_column_is_refused():
    frame = pd.DataFrame({"score": [0.5, None]})
    with pytest.raises(UserError, match="'score' lacks a value"):
        table(frame, "Un tableau")
    assert rows(frame, missing="—", digits={"score": 1})[1:] == [["0,5"], ["—"]]
    with pytest.raises(UserError, match=r"no column 'scor'.*did you mean score"):
        table(frame, "Un tableau", percent=["scor"])


def test_a_screenshot_or_how_to_take_it(tmp_path):
    path = tmp_path / "overfit.png"
    plt.imsave(path, np.eye(9))
    taken = SimpleNamespace(path=path, alt="Deux courbes")
    held = lxml.html.fragment_fromstring(capture_html("lr_finder", "La capture", taken))
    assert held.get("id") == "capture-lr-finder" and held.get("class") == "eurosat capture"
    assert held.find("img").get("width") == "4" and held.find("img").get("alt") == "Deux courbes"
    fold = lxml.html.fragment_fromstring(capture_html("lr_finder", "La capture", None))
    assert fold.tag == "details" and "make captures" in fold.text_content()
    with pytest.raises(UserError, match="did you mean overfit"):
        capture(None, "overfitt", "La capture")


def test_an_answer_keeps_its_facts(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "eurosat_lib.report.words.render", lambda name, facts: f"{name}: {facts['audit']['n']}\n"
    )
    result = SimpleNamespace(stage="audit", facts=lambda: {"n": 3, "nan": float("nan")})
    output = displayed(answer, "D4", result, None, folder=tmp_path, sides=(64, 64))
    assert output.data["text/markdown"] == "D4: 3\n"
    kept = output.metadata["eurosat"]
    assert kept["answer"] == "D4" and kept["facts"]["audit"] == {"n": 3, "nan": None}
    assert kept["facts"]["folder"] == str(tmp_path) and kept["facts"]["sides"] == [64, 64]
    assert json.dumps(kept, allow_nan=False)
