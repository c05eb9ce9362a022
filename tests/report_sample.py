"""Executed notebooks for the report's tests: short, French, with every kind of output."""

import matplotlib
import nbformat
import numpy as np
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from eurosat_lib.report import figure, table
from eurosat_lib.report.questionnaire import Questionnaire

matplotlib.use("agg")


def markdown(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)} if tags else {})


def code(source, *outputs, tags=(), count=1):
    cell = new_code_cell(source, outputs=list(outputs), execution_count=count)
    cell.metadata["tags"] = list(tags)
    return cell


def html_output(text):
    return new_output("display_data", {"text/html": text, "text/plain": "x"})


def answer_output(name, text):
    metadata = {"eurosat": {"answer": name}}
    return new_output("display_data", {"text/markdown": text}, metadata=metadata)


def displayed(call, *arguments, **options):
    """Call `figure`, `table` or `answer` and return the output it would display."""
    from unittest import mock

    with mock.patch("IPython.display.publish_display_data") as publish:
        call(*arguments, **options)
    ((data, metadata), _) = publish.call_args
    return new_output("display_data", data, metadata=metadata)


def write(path, *cells):
    notebook = new_notebook(cells=list(cells))
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, path)
    return path


WANTED = Questionnaire(
    sections=((2, "1) Données"), (3, "1.1 Le _dataset_ & co"), (2, "2) Modèle")),
    questions={"D1": "Quel **dataset** utilisez-vous ?", "M0": None},
)
META = {
    "title": "Un rapport",
    "author": "Camille Exemple",
    "course": "Cours",
    "date": "22 novembre 2025",
    "profile": "quick",
    "synthetic": True,
    "card": {"Graine": 42},
}


def curve_output():
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(figsize=(4, 2))
    axes.plot([1, 3, 2])
    return displayed(figure, fig, "La perte, en $\\ln$", name="perte")


def picture_output():
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(figsize=(3, 2))
    axes.imshow(np.random.default_rng(0).random((9, 9, 3)))
    return displayed(figure, fig, "Des images")


def table_output(columns=2):
    data = pd.DataFrame({f"colonne {n}": [0.5, 1234.5] for n in range(columns)})
    return displayed(table, data, f"Un tableau de {columns}", digits=1)


def widget_output():
    view = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "IntSlider(value=4)"}
    return new_output("display_data", view)


def three_notebooks(tmp_path):
    """Write three executed notebooks with every kind of output; they answer to WANTED."""
    first = write(
        tmp_path / "01_data.ipynb",
        markdown("# 01 · Données", "hide"),
        code("seed: int = 3", tags=["parameters"]),
        code("secret = 'seed: int = 5'", tags=["injected-parameters"]),
        markdown("## 1) Données\n\nTexte à 27 000 images : l'essentiel, $\\ln 10 = 2,303$."),
        markdown("### 1.1 Le _dataset_ & co\n\n| a | b |\n|--|--|\n| $x_1$ | 5 |\n\n- $y^2$ ;\n"),
        markdown("> **D1.** Quel **dataset** utilisez-vous ?"),
        code("figure(f)", picture_output()),
        code("answer('D1')", answer_output("D1", "Il y a $3 \\times 10^{-4}$ ; [table](#tab-1).")),
        code("slider", html_output("<p>interactif</p>"), tags=["exploration"]),
    )
    second = write(
        tmp_path / "02_model.ipynb",
        markdown("## 2) Modèle\n\n$$\\mathcal{L} = -\\frac{1}{N}\\sum_i \\ln p_i$$\n\n- [x] fait"),
        code("figure(g)", curve_output()),
        code("table(t)", table_output(), table_output(columns=20)),
        markdown("> **Attention.** Voir la [figure](#fig-perte).\n\n#### Données\n\nFin."),
    )
    third = write(
        tmp_path / "03_end.ipynb",
        markdown("> **M0.** À vous."),
        code("answer('M0')", answer_output("M0", "**Oui** : `a $ b $ c`, 81,2 %.")),
        code("print(1)", new_output("stream", name="stdout", text="perte 0.5\n"), widget_output()),
        markdown("#### Données\n\nEncore."),
    )
    return [first, second, third]


def edit(path, index, change):
    """Change one cell of a notebook on disk."""
    notebook = nbformat.read(path, as_version=4)
    change(notebook.cells[index])
    nbformat.write(notebook, path)
