"""Executed notebooks for the report's tests: short, French, with every kind of output."""

from unittest import mock

import nbformat
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from eurosat_lib.report import cells
from eurosat_lib.report.title import Title

TITLE = Title(
    "Un rapport",
    course="Cours",
    author="Camille Exemple",
    date="22 novembre 2025",
    card={"Graine": "42"},
    profile="profil rapide",
    departures={"evaluate.robustness_images"},
)
QUESTIONS = """
sections:
  - {level: 2, title: "1) Données"}
  - {level: 3, title: "1.1 Le _dataset_ & co"}
  - {level: 2, title: "2) Modèle"}
questions:
  D1: Quel **dataset** utilisez-vous ?
  M0: null
"""


def markdown(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)} if tags else {})


def code(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def html_output(text):
    return new_output("display_data", {"text/html": text, "text/plain": "x"})


def answer_output(name, text):
    kept = {"eurosat": {"answer": name}}
    return new_output("display_data", {"text/markdown": text}, metadata=kept)


def displayed(call, *arguments, **options):
    """Call `figure`, `table`, `capture` or `answer` and return the output it would display."""
    with mock.patch.object(cells, "publish_display_data") as publish:
        call(*arguments, **options)
    data, *metadata = publish.call_args.args
    return new_output("display_data", data, metadata=(metadata or [{}])[0])


def curve(caption="La perte, en $\\ln$", **options):
    fig, axes = plt.subplots(figsize=(4, 2))
    axes.plot([1, 3, 2])
    return displayed(cells.figure, fig, caption, **options)


def picture(caption="Des images", **options):
    fig, axes = plt.subplots(figsize=(3, 2))
    axes.imshow(np.random.default_rng(0).random((9, 9, 3)))
    return displayed(cells.figure, fig, caption, **options)


def numbers(columns=2, **options):
    data = pd.DataFrame({f"colonne {n}": [0.5, 1234.5] for n in range(columns)})
    return displayed(cells.table, data, f"Un tableau de {columns}", **options)


def write(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def project(root):
    """Write a project with a template of two questions; return its two executed notebooks."""
    (root / "reports/template").mkdir(parents=True)
    (root / "reports/template/questions.yaml").write_text(QUESTIONS, encoding="utf-8")
    reply = "Il y a $\\frac{1}{2}$ ; voir la [figure](#fig-photos) et le [](#tab-plus)."
    first = write(
        root / "reports/notebooks/01_data.ipynb",
        markdown("# 01 · Données", "hide"),
        code("seed: int = 3", tags=["parameters"]),
        markdown(
            "## 1) Données\n\nTexte à 27 000 images :\x0b l'essentiel, $x_1 = 2,303$, run$n$.csv."
        ),
        markdown("### 1.1 Le _dataset_ & co\n\n- [x] fait\n\n[Suite](02_model.ipynb)."),
        code("figure(f)", picture(name="photos")),
        markdown("Ce qui introduit le supplément.", "detail"),
        code("table(t)", numbers(name="plus", detail=True)),
        markdown("> **D1.** Quel **dataset** utilisez-vous ?"),
        code("answer('D1')", answer_output("D1", reply)),
        code("slider", html_output("<p>interactif</p>"), tags=["exploration"]),
    )
    second = write(
        root / "reports/notebooks/02_model.ipynb",
        markdown("## 2) Modèle\n\n$$\\mathcal{L} = -\\frac{1}{N}\\sum_i \\ln p_i$$"),
        code("curve = train()\nfigure(curve)", curve(name="perte")),
        code("table(t)", numbers(columns=20, name="large")),
        markdown("> **M0.** À vous."),
        code(
            "answer('M0')",
            answer_output("M0", "**Oui** : `a $ b $ c`, 81,2 %. [](#fig-perte), [](#tab-large)."),
        ),
        code("print(1)", new_output("stream", name="stdout", text="perte 0.5\n")),
        code("answer('resume')", answer_output("resume", "Ce qui est **trouvé**.")),
        code("rien = 1"),
    )
    return [first, second]
