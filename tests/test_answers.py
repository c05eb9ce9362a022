"""Answers: French filters, templates with measured facts, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from eurosat_lib.errors import UserError
from eurosat_lib.french import duree, intervalle, liste, nombre, pct, sci, signe
from eurosat_lib.report.answers import context_of, render


@pytest.fixture
def write(tmp_path):
    folder = tmp_path / "reports" / "answers"
    folder.mkdir(parents=True)

    def write_answer(text, name="D4"):
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
        return folder

    return write_answer


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (nombre(2.344882, 3), "2,345"),
        (nombre(16200), "16\u202f200"),
        (nombre(np.int64(1149770)), "1\u202f149\u202f770"),
        (nombre(-1234.5, 1), "−1\u202f234,5"),
        (nombre(-0.0001, 2), "0,00"),
        (nombre(1e-05), "0,00001"),
        (nombre(3), "3"),
        (pct(0.8123), "81,2\u202f%"),
        (pct(np.float32(1), 0), "100\u202f%"),
        (sci(3e-4), r"$3 \times 10^{-4}$"),
        (sci(2.5e-4), r"$2{,}5 \times 10^{-4}$"),
        (sci(1e-5), "$10^{-5}$"),
        (sci(9.99e-4), "$10^{-3}$"),
        (duree(0.42), "0,4\u00a0s"),
        (duree(59.7), "1\u00a0min"),
        (duree(200), "3\u00a0min\u00a020\u00a0s"),
        (duree(3599.9), "1\u00a0h"),
        (duree(3900), "1\u00a0h\u00a005\u00a0min"),
        (signe(0.012), "+1,2\u00a0point"),
        (signe(-0.0234), "−2,3\u00a0points"),
        (signe(0.0001), "0,0\u00a0point"),
        (signe(-0.25, 2, ""), "−0,25"),
        (intervalle((0.791, 0.83)), "[79,1\u202f%\u202f;\u00a083,0\u202f%]"),
        (intervalle((1, 2), 0, "s"), "[1\u202f;\u00a02]\u00a0s"),
        (liste(["a", "b", "c"]), "a, b et c"),
        (liste([0.5, 1, 2]), "0,5\u202f; 1 et 2"),
        (liste(["seul"]), "seul"),
    ],
)
def test_french(written, expected):
    assert written == expected


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "3", True])
def test_nombre_refuses_what_is_no_number(value):
    with pytest.raises(UserError, match="number is wanted"):
        nombre(value)


def test_context_puts_the_first_facts_on_top_and_extra_above():
    loss = SimpleNamespace(stage="initial_loss", facts=lambda: {"loss": 2.3, "n": 1})
    grid = SimpleNamespace(stage="grid", facts=lambda: {"loss": 9.9})
    context = context_of((loss, grid), {"n": 20})
    assert (context["loss"], context["n"], context["grid"]["loss"]) == (2.3, 20, 9.9)


@pytest.mark.parametrize(("coherent", "word"), [(True, "cohérente"), (False, "incohérente")])
def test_the_text_follows_from_the_facts(write, coherent, word):
    folder = write(
        "Observée : {{ loss|nombre(3) }}, lot {{ shape|code }}, fini : {{ coherent }}.\n"
        "{% if coherent %}\n**cohérente**\n{% else %}\n**incohérente**\n{% endif %}\n"
        "Fin {{ x }}.\n"
    )
    text = render(
        "D4", {"loss": 2.3449, "shape": (64, 10), "coherent": coherent, "x": 0.5}, folder
    )
    yes = "oui" if coherent else "non"
    assert text == f"Observée : 2,345, lot `(64, 10)`, fini : {yes}.\n**{word}**\nFin 0,5.\n"


@pytest.mark.parametrize(
    ("template", "context", "message"),
    [
        ("a\n\nb {{ gapp|nombre }}", {"gap": 1}, r"D4.md, line 3.*gapp.*did you mean gap\?"),
        ("{{ grid.best }}", {"grid": {}}, "best"),
        ("{% if x %}\n{% endif %}\n{{ loss|nombre(3) }}", {"x": 1, "loss": None}, "line 3.*loss"),
        ("{{ loss }}", {"loss": float("nan")}, "loss.*nan"),
        ("{{ losses }}", {"losses": [1.0, {"a": None}]}, "losses.*None"),
        ("{{ text }}", {"text": "score nan"}, "text.*nan"),
        ("{{ loss|nombr }}", {"loss": 1}, "line 1.*nombr"),
        ("{% if %}", {}, "line 1"),
        ("{{ 1 / zero }}", {"zero": 0}, "line 1.*zero"),
        ("{# nothing #}\n", {}, "empty"),
    ],
)
def test_what_is_missing_is_refused(write, template, context, message):
    with pytest.raises(UserError, match=rf"(?s)answers/D4\.md.*{message}|{message}"):
        render("D4", context, write(template))


def test_an_answer_that_does_not_exist_is_named(write):
    with pytest.raises(UserError, match=r"D5\.md: no such answer"):
        render("D5", {}, write("x"))


def test_prose_may_speak_of_none(write):
    assert render("D4", {}, write("La perte devient `nan`, jamais None.")).startswith("La perte")
