"""Words and answers: the dispatcher, what it refuses, and the rules that keep answers prose."""

import ast
import re
from itertools import product

import jinja2
import nbformat
import pytest
from jinja2 import nodes
from settings import ROOT
from test_answers import facts

from eurosat_lib import french
from eurosat_lib.config import COMMON, PARAMETERS
from eurosat_lib.errors import UserError
from eurosat_lib.report import words

ANSWERS = sorted((ROOT / "reports" / "answers").glob("*.md"))
PROSE = {path.stem: path.read_text(encoding="utf-8") for path in ANSWERS}
EVERYWHERE = "".join(PROSE.values())
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
PRINTED = {nodes.Output, nodes.TemplateData, nodes.Name}
CHOSEN = {nodes.If, nodes.Compare, nodes.Operand, nodes.Const, nodes.Not, nodes.And}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an answer into a project of its own; the words of D4 are those given."""
    folder = tmp_path / "reports" / "answers"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(words, "d4", lambda facts: facts)
    return lambda text: (folder / "D4.md").write_text(text, encoding="utf-8")


def test_facts_are_written_by_their_names():
    found = {"n": 5400, "name": "x", "shape": [3, 64], "other": 0.1, "ok": True, "lr": 1e-3}
    found |= {"accuracy": {"mean": 0.5, "low": None}, "low": 0.9605, "high": 0.9703, "epochs": 1}
    assert words.write(found | {"largest_drop": -0.057}) == {
        **{"n": "5\u202f400", "name": "x", "shape": "(3, 64)", "ok": True, "lr": "10⁻³"},
        **{"largest_drop": "5,7\u00a0points", "epochs": "1\u00a0époque"},
        **{"intervalle": "[96,05\u202f%\u202f;\u00a097,03\u202f%]"},
        "accuracy_mean": "50,00\u202f%",
    }
    ends = {"top5_accuracy": 0.5, "largest_count": 7, "channel_mean": [0.5], "unknown": 0.5}
    assert words.write(ends) == {"top5_accuracy": "50,00\u202f%", "largest_count": "7"}
    times = {5.2: "5,2 s", 200: "3 min 20 s", 3600: "1 h", 3900: "1 h 05 min"}
    assert {time: french.duree(time).replace("\u00a0", " ") for time in times} == times
    luck = {0.0005: "p < 0,001", 0.001: "p = 0,001", 0.04: "p = 0,040"}
    assert {p: words.write({"p_value": p})["p_value"] for p in luck} == luck


def test_an_answer_takes_the_words_of_the_function_with_its_name(write):
    write("Écart {{ gap }}.\n{% if v == 'gain' %}\nMieux.\n{% else %}\nPas mieux.\n{% endif %}")
    assert words.render("D4", {"gap": "+1", "v": "gain"}) == "Écart +1.\nMieux.\n"
    assert words.render("D4", {"gap": "+1", "v": "perte"}) == "Écart +1.\nPas mieux.\n"
    assert words.words_of("M0", {"stage": {"n": 1200}, "extra": 1}) == {"n": "1\u202f200"}
    with pytest.raises(UserError, match=r"answers/D44\.md: no such answer \(did you mean D4\?\)"):
        words.render("D44", {})


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("a\n\nb {{ gapp }}", {"gap": "1"}, "line 3: 'gapp' is undefined"),
        ("{{ loss }}", {"loss": None}, "line 1: None is not a written value"),
        ("{{ loss }}", {"loss": 0.5}, "0.5 is not a written value"),
        ("{{ loss }}", {"loss": True}, "True is not"),
        ("{% if x %}", {}, "line 1"),
        ("{# nothing #}\n", {}, "empty"),
        ("{% include '/etc/hostname' %}", {}, ""),
        ("{{ 1 / 0 }}", {}, ""),
        ("{{ 'a' + 1 }}", {}, ""),
    ],
)
def test_what_is_missing_is_refused(write, text, given, message):
    write(text)
    with pytest.raises(UserError, match=rf"(?s)answers/D4\.md.*{message}"):
        words.render("D4", given)
    with pytest.raises(UserError, match=r"answer D5: missing.*KeyError: 'explore_dataset'"):
        words.words_of("D5", given)


def test_prose_is_what_answers_are_made_of():
    jinja = sum(map(len, re.findall(r"\{[{%].*?[%}]\}", EVERYWHERE)))
    assert jinja / len(EVERYWHERE) <= 0.30
    assert len(EVERYWHERE.splitlines()) <= 480
    assert max(map(len, EVERYWHERE.splitlines())) <= 300
    assert all("peu de la dilatation" in PROSE[name] for name in ("M1", "M5", "M7"))  # one hope


@pytest.mark.parametrize("name", PROSE)
def test_an_answer_chooses_whole_sentences_and_renders_with_every_verdict(name):
    assert all(words.render(name, facts(profile=profile)) for profile in ("full", "quick"))
    tree, verdicts = jinja2.Environment().parse(PROSE[name]), {}
    assert {type(node) for node in tree.find_all(nodes.Node)} <= PRINTED | CHOSEN
    for line in PROSE[name].splitlines():
        assert "{%" not in line or re.fullmatch(r"\{% [^%]+ %\}", line), f"not alone: {line}"
    for choice in tree.find_all(nodes.If):
        assert not any(part.find(nodes.If) for part in (*choice.body, *choice.else_)), "nested"
        for chosen in nodes.Output([choice.test]).find_all(nodes.Name):
            verdicts.setdefault(chosen.name, {"x", ""})
    for compared in tree.find_all(nodes.Compare):
        verdicts[compared.expr.name].add(compared.ops[0].expr.as_const())
    printed = {found.name: "x" for found in tree.find_all(nodes.Name)}
    for chosen in product(*verdicts.values()):
        text = words.fill(name, printed | dict(zip(verdicts, chosen, strict=True)))
        assert "{" not in re.sub(r"`[^`]*`", "", text)


def cells():
    """Yield function and call of every figure, table and answer of the notebooks."""
    for path in NOTEBOOKS:
        code = (c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
        for call in ast.walk(ast.parse("\n".join(code))):
            kind = getattr(getattr(call, "func", None), "id", "")
            if kind in ("figure", "table", "answer"):
                yield kind, call


def test_the_notebooks_together_take_every_parameter_and_no_other():
    every = (cell for path in NOTEBOOKS for cell in nbformat.read(path, 4).cells)
    given = [c.source for c in every if "parameters" in c.metadata.get("tags", ())]
    named = re.findall(r"^(\w+):", "\n".join(given), re.MULTILINE)
    assert set(named) == {*PARAMETERS, *COMMON}


def test_every_answer_has_its_cell_and_every_printed_figure_and_table_is_called():
    assert {call.args[0].value for kind, call in cells() if kind == "answer"} == set(PROSE)
    texts = EVERYWHERE + "".join(path.read_text("utf-8") for path in NOTEBOOKS)
    for kind, call in cells():
        options = {option.arg: getattr(option.value, "value", "") for option in call.keywords}
        if kind != "answer" and not options.get("detail"):
            assert f"(#{kind[:3]}-{options.get('name')})" in texts, ast.unparse(call)[:90]


def test_every_reference_is_called_and_every_call_has_its_reference():
    notebooks = (cell for path in NOTEBOOKS for cell in nbformat.read(path, 4).cells)
    printed = [c.source for c in notebooks if "detail" not in c.metadata.get("tags", [])]
    called = "".join(printed + [text for name, text in PROSE.items() if "S12" not in name])
    listed = re.findall(r"^- \*\*`?([\w-]+)", PROSE["S12"] + PROSE["S12.recette"], re.MULTILINE)
    keys = [{"Images": "timm/eurosat-rgb", "Listes": "spatial"}.get(key, key) for key in listed]
    assert [key for key in keys if key not in called] == []
    assert len(set(listed)) == len(listed)
    cited = re.findall(r"([A-Z]\w+)(?: \*et al\.\*| et \w+)?,? \((?:19|20)\d\d\)", called)
    cited += re.findall(r"\(([A-Z]\w+)(?: \*et al\.\*| et \w+)?, (?:19|20)\d\d\)", called)
    assert {"Guo", "Wilson", "Helber"} <= set(cited) <= set(listed)
