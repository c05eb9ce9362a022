"""What stops the build: each problem is named with its notebook and cell."""

import base64
import io

import pytest
from nbformat.v4 import new_output
from report_sample import META, WANTED, answer_output, edit, html_output, three_notebooks

from eurosat_lib.report.assemble import assemble
from eurosat_lib.report.checks import ReportError


@pytest.fixture
def notebooks(tmp_path):
    return three_notebooks(tmp_path)


def failure(notebooks, tmp_path, *parts):
    """Assemble, and return the problems, which must name these parts."""
    target = tmp_path / "reports" / "rapport.html"
    target.parent.mkdir(exist_ok=True)
    target.write_text("the last good one", encoding="utf-8")
    with pytest.raises(ReportError) as caught:
        assemble(notebooks, META, target, questionnaire=WANTED)
    assert target.read_text(encoding="utf-8") == "the last good one"
    assert [p.name for p in target.parent.iterdir()] == ["rapport.html"]
    for part in parts:
        assert part in str(caught.value)
    return caught.value.problems


@pytest.mark.parametrize("tex", [r"\frac{1", r"\undefined{x}"])
def test_a_faulty_formula_stops_the_build(notebooks, tmp_path, tex):
    edit(notebooks[1], 3, lambda cell: cell.update(source=f"Une formule ${tex}$."))
    failure(notebooks, tmp_path, "02_model.ipynb, cell 4", tex)


def test_an_error_output_stops_the_build(notebooks, tmp_path):
    error = new_output("error", ename="NameError", evalue="name 'x'", traceback=["Traceback"])
    edit(notebooks[2], 1, lambda cell: cell.outputs.append(error))
    problems = failure(notebooks, tmp_path, "03_end.ipynb, cell 2 (answer('M0'))", "NameError")
    assert len(problems) == 1


def test_stderr_and_cells_never_run_stop_the_build(notebooks, tmp_path):
    noise = new_output("stream", name="stderr", text="FutureWarning: x")
    edit(notebooks[0], 6, lambda cell: cell.outputs.append(noise))
    edit(notebooks[1], 1, lambda cell: cell.update(execution_count=None))
    failure(
        notebooks, tmp_path, "01_data.ipynb, cell 7", "FutureWarning", "cell 2", "never executed"
    )


def test_a_missing_answer_and_a_wrong_order_are_named(notebooks, tmp_path):
    edit(notebooks[2], 1, lambda cell: cell.update(outputs=[]))
    assert failure(notebooks, tmp_path) == ("answer M0: missing",)
    edit(notebooks[2], 1, lambda cell: cell.update(outputs=[answer_output("D1", "x")]))
    edit(notebooks[0], 7, lambda cell: cell.update(outputs=[answer_output("M0", "x")]))
    problems = failure(notebooks, tmp_path, "answer M0: out of order")
    assert "01_data.ipynb, cell 8: answer M0 stands before its question" in problems


def test_wording_and_headings_are_compared(notebooks, tmp_path):
    edit(notebooks[0], 5, lambda cell: cell.update(source="> **D1.** Quel jeu ?"))
    edit(notebooks[1], 0, lambda cell: cell.update(source="## 2) Le modèle"))
    problems = failure(notebooks, tmp_path, "01_data.ipynb, cell 6: question D1 must read")
    assert "heading ## 2) Modèle: missing" in problems
    edit(notebooks[1], 0, lambda cell: cell.update(source="## 1) Données"))
    edit(notebooks[0], 3, lambda cell: cell.update(source="## 2) Modèle"))
    failure(notebooks, tmp_path, "heading ### 1.1 Le _dataset_ & co: out of order")


def png(colour):
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(stream, "png")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<img src='artifacts/x.png' alt='x'>", "image artifacts/x.png is not embedded"),
        ("<img src='https://x.org/a.png' alt='x'>", "is not embedded"),
        (f"<img src='{png('white')}' alt='x'>", "the image is empty"),
        ("<figure class='eurosat'><figcaption>x</figcaption></figure>", "holds no image"),
        ("<table><tr><td>NaN</td></tr></table>", "NaN in a table"),
        ("<p>vaut nan ici</p>", "nan in the text"),
        ("<pre class='output'>loss nan</pre>", "nan in the text"),
        ("<p>vaut \\frac{1}{2}</p>", "raw TeX"),
        ("<p>vaut $x$</p>", "raw TeX"),
        ("<p>Traceback (most recent call last)</p>", "traceback"),
        ("<p><a href='#fig-absente'>figure</a></p>", "#fig-absente leads nowhere"),
    ],
)
def test_holes_in_the_page_stop_the_build(notebooks, tmp_path, text, message):
    edit(notebooks[2], 2, lambda cell: cell.update(outputs=[html_output(text)]))
    failure(notebooks, tmp_path, "03_end.ipynb, cell 3", message)
