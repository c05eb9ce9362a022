"""What `figure`, `table` and `answer` display."""

import base64
import io
import subprocess
import sys

import lxml.html
import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_sample import displayed

from eurosat_lib.errors import UserError
from eurosat_lib.report import answer, figure, table
from eurosat_lib.report.table_layout import fit

matplotlib.use("agg")
from matplotlib import pyplot as plt


def curve(points=20):
    fig, axes = plt.subplots(figsize=(4, 2))
    axes.plot(np.linspace(0, 1, points))
    return fig


def shown(output):
    return lxml.html.fragment_fromstring(output.data["text/html"])


def cells(row):
    return [cell.text_content() for cell in row]


def test_importing_is_light():
    code = "import sys, eurosat_lib.report; print([m for m in ('torch', 'nbconvert', 'matplotlib')"
    code += " if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_curve_is_svg_the_same_every_time_and_closed():
    fig = curve()
    fig.set_label("Perte < 0,1 selon l'époque")
    first = displayed(figure, fig, "Perte de `train` en **nats**", name="perte")
    second = displayed(figure, curve(), "autre")
    element = shown(first)
    image = element.find("img")
    assert not plt.fignum_exists(fig.number)
    assert image.get("src").startswith("data:image/svg+xml;base64,")
    assert image.get("src") == shown(second).find("img").get("src")
    assert image.get("alt") == "Perte < 0,1 selon l'époque"
    assert shown(second).find("img").get("alt") == "autre"
    assert element.get("id") == "fig-perte"
    assert element.find("figcaption/code").text == "train"
    assert element.find("figcaption/strong").text == "nats"
    assert 300 < int(image.get("width")) < 420  # about 4 inches


@pytest.mark.parametrize("kind", ["picture", "crowd"])
def test_pictures_and_crowds_are_png(kind):
    fig, axes = plt.subplots(figsize=(4, 2))
    if kind == "picture":
        axes.imshow(np.random.default_rng(0).random((8, 8, 3)))
    else:
        axes.scatter(*np.random.default_rng(0).random((2, 7000)))
    image = shown(displayed(figure, fig, "Légende")).find("img")
    data = base64.b64decode(image.get("src").removeprefix("data:image/png;base64,"))
    assert data[:4] == b"\x89PNG"
    assert int.from_bytes(data[16:20], "big") == pytest.approx(
        int(image.get("width")) / 0.6, abs=2
    )


def test_a_figure_says_where_its_photographs_are():
    fig, (photo, field) = plt.subplots(1, 2, figsize=(5, 2))
    photo.imshow(np.full((4, 8, 3), [1.0, 0, 0]))
    photo.set_axis_off()
    field.imshow(np.eye(4))
    image = shown(displayed(figure, fig, "Légende")).find("img")
    (place,) = image.get("data-photos").split(",")
    data = base64.b64decode(image.get("src").partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    rows, columns = np.nonzero((pixels == [255, 0, 0]).all(axis=2))
    height, width = pixels.shape[:2]
    found = [columns.min() / width, rows.min() / height]
    found += [np.ptp(columns) / width, np.ptp(rows) / height]
    assert [float(n) / 100 for n in place.split()] == pytest.approx(found, abs=0.006)
    assert shown(displayed(figure, curve(), "Légende")).find("img").get("data-photos") is None


def test_an_empty_figure_and_a_missing_caption_are_refused():
    with pytest.raises(UserError, match="empty"):
        figure(plt.subplots()[0], "Rien")
    with pytest.raises(UserError, match="caption"):
        figure(curve(), " ")
    with pytest.raises(UserError, match="name"):
        figure(curve(), "Légende", name="Perte d'été")


def test_a_table_speaks_french_and_aligns_numbers():
    data = pd.DataFrame(
        {
            "Classe": ["Forest & co", "River"],
            "Images": [1787, 16200],
            "Exactitude": [0.8123, 0.5],
            "LR": [3e-4, 1e-5],
            "Perte": [2.3449, -0.5],
        }
    )
    output = displayed(
        table,
        data,
        "Essais $x$",
        percent=["Exactitude"],
        scientific=["LR"],
        digits=2,
        name="essais",
    )
    holder = shown(output)
    rows = holder.findall(".//tbody/tr")
    assert holder.get("id") == "tab-essais" and holder.get("class") == "table"
    assert holder.find("table/caption").text == "Essais $x$"
    assert cells(rows[0]) == [
        "Forest & co",
        "1\u202f787",
        "81,2\u202f%",
        "3\u202f×\u202f10−4",
        "2,34",
    ]
    assert cells(rows[1]) == ["River", "16\u202f200", "50,0\u202f%", "10−5", "−0,50"]
    assert [cell.get("class") for cell in rows[0]] == [None] + ["num"] * 4
    assert [cell.get("class") for cell in holder.find(".//thead/tr")] == [None] + ["num"] * 4


def test_the_index_is_a_head_and_may_be_hidden():
    data = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="Classe"))
    holder = shown(displayed(table, data, "Légende", note="Une note"))
    assert cells(holder.find(".//thead/tr")) == ["Classe", "n"]
    assert holder.find(".//tbody/tr/th").get("scope") == "row"
    assert holder.find(".//tfoot/tr/td").get("colspan") == "2"
    hidden = shown(displayed(table, data, "Légende", hide_index=True))
    assert cells(hidden.find(".//tbody/tr")) == ["1"]


def test_a_styler_keeps_its_colours_and_gets_a_decimal_comma():
    data = pd.DataFrame({"x": [0.25, 0.75]})
    text = displayed(table, data.style.format("{:.2f}").highlight_max(), "L").data["text/html"]
    assert "0,75" in text and "0.75" not in text
    identifier = lxml.html.fragment_fromstring(text).xpath(".//td[text()='0,75']/@id")[0]
    assert f"#{identifier}" in text


def test_small_values_are_not_rounded_away():
    data = pd.DataFrame({"lr": [5e-4, 1e-3]})
    holder = shown(displayed(table, data, "Légende"))
    assert [c.text_content() for c in holder.iter("td")] == ["5\u202f×\u202f10−4", "10−3"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ({"a": [1.0, None]}, {}, "row 1, column 'a' has no value"),
        ({"a": []}, {}, "empty"),
        ({"perte": [1.0]}, {"percent": ["pertes"]}, "did you mean perte"),
    ],
)
def test_a_faulty_table_is_refused(data, options, message):
    with pytest.raises(UserError, match=message):
        table(pd.DataFrame(data), "Légende", **options)


def test_a_missing_value_may_be_a_dash():
    holder = shown(displayed(table, pd.DataFrame({"a": [1.0, None]}), "L", missing="—"))
    assert [cell.text for cell in holder.iter("td")] == ["1,000", "—"]


def test_an_answer_carries_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "reports" / "answers"
    folder.mkdir(parents=True)
    (folder / "D4.md").write_text("Il y a {{ n }} classes.", encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    output = displayed(answer, "D4", n=10)
    assert output.data["text/markdown"] == "Il y a 10 classes.\n"
    assert output.metadata == {"eurosat": {"answer": "D4"}}
    with pytest.raises(UserError, match=r"answer D4: reports/answers/D4\.md, line 1.*'n'"):
        answer("D4")


def test_names_of_runs_and_shapes_are_never_broken():
    frame = pd.DataFrame(
        {"run": ["lr7e-4_wd1e-5_D3_B2", "autre"], "sortie": ["(64, 8, 8)", "un mot de plus"]}
    )
    holder = shown(displayed(table, frame, "Un tableau"))
    fit(holder, holder.find("table"))
    classes = {cell.text: cell.get("class") for cell in holder.iter("td")}
    assert classes == {
        "lr7e-4_wd1e-5_D3_B2": "word",
        "(64, 8, 8)": "word",
        "autre": None,
        "un mot de plus": None,
    }
