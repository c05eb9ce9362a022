"""Words and answers: the dispatcher, what it refuses, and the rules that keep answers prose."""

import ast
import re
from itertools import product
from pathlib import Path

import jinja2
import nbformat
import pytest
from answer_facts import facts
from jinja2 import nodes

from eurosat_lib.errors import UserError
from eurosat_lib.report import words, words_data

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = sorted((ROOT / "reports" / "answers").glob("*.md"))
PROSE = {path.stem: path.read_text(encoding="utf-8") for path in ANSWERS}
EVERYWHERE = "".join(PROSE.values())
KEYWORDS = ("if", "elif", "else", "endif")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an answer into a project of its own; the words of D4 are those given."""
    folder = tmp_path / "reports" / "answers"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    own = lambda facts: facts  # noqa: E731
    own.__module__ = words_data.__name__
    monkeypatch.setattr(words_data, "d4", own)
    return lambda text: (folder / "D4.md").write_text(text, encoding="utf-8")


def test_phrases():
    assert words.magnitude(-0.057) == "5,7\u00a0points"
    assert words.bounded(0.012, 0.003, 0.021) == "+1,2\u00a0point [0,3\u202f;\u00a02,1]"
    plain = words.plain({"n": 5400, "name": "x", "shape": [3, 64], "lr": 0.1, "ok": True})
    assert plain == {"n": "5\u202f400", "name": "x", "shape": "(3, 64)"}


def test_a_run_is_named_on_both_command_lines():
    config = {"paths": {"name": "x"}, "profile": "quick"}
    told = words.commands(config, synthetic=True)
    assert told["options"] == " --profile quick --data synthetic --name x"
    told = words.commands(config, given={"lr": 1e-3})
    assert told["make"] == ' PROFILE=quick NAME=x PARAMS="-f artifacts/x/params.yaml"'


def test_an_answer_takes_the_words_of_the_function_with_its_name(write):
    write("Écart {{ gap }}.\n{% if v == 'gain' %}\nMieux.\n{% else %}\nPas mieux.\n{% endif %}")
    assert words.render("D4", {"gap": "+1", "v": "gain"}) == "Écart +1.\nMieux.\n"
    assert words.render("D4", {"gap": "+1", "v": "perte"}) == "Écart +1.\nPas mieux.\n"
    assert words.words_of("D7", {}) == words.words_of("plural", {}) == {}  # only prose
    with pytest.raises(UserError, match=r"answers/D44\.md: no such answer \(did you mean D4\?\)"):
        words.render("D44", {})


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("a\n\nb {{ gapp }}", {"gap": "1"}, r"line 3, \{\{ gapp \}\}.*did you mean gap\?"),
        ("{{ loss }}", {"loss": None}, "line 1.*None is not a written value"),
        ("{{ loss }}", {"loss": 0.5}, "0.5 is not a written value"),
        ("{{ loss }}", {"loss": True}, "True is not"),
        ("{{ loss }}", {"loss": "perte nan"}, "missing.*nan"),
        ("{% if x %}", {}, "line 1"),
        ("{# nothing #}\n", {}, "empty"),
    ],
)
def test_what_is_missing_is_refused(write, text, given, message):
    write(text)
    with pytest.raises(UserError, match=rf"(?s)answers/D4\.md.*{message}"):
        words.render("D4", given)


def test_a_missing_fact_is_named_with_its_place():
    with pytest.raises(UserError, match=r"answer D4: .*'explore_dataset' is missing \(words_data"):
        words.words_of("D4", {})


def test_prose_is_what_answers_are_made_of():
    jinja = sum(map(len, re.findall(r"\{[{%].*?[%}]\}", EVERYWHERE)))
    assert jinja / len(EVERYWHERE) <= 0.30
    assert len(EVERYWHERE.splitlines()) <= 450
    assert max(map(len, EVERYWHERE.splitlines())) <= 300


@pytest.mark.parametrize("name", PROSE)
def test_an_answer_only_prints_values_and_chooses_sentences(name):
    depth = 0
    for value in re.findall(r"\{\{(.*?)\}\}", PROSE[name]):
        assert re.fullmatch(r" \w+ ", value), value
    for line in PROSE[name].splitlines():
        for tag in re.findall(r"\{%-?\s*(\w+)", line):
            assert tag in KEYWORDS, f"{tag}: {line}"
            assert re.fullmatch(r"\{% [^|(]* %\}", line), f"a condition has its own line: {line}"
            depth += (tag == "if") - (tag == "endif")
            assert depth <= 1, f"nested: {line}"


@pytest.mark.parametrize("name", PROSE)
@pytest.mark.parametrize("profile", ["full", "quick"])
def test_the_facts_of_a_run_fill_every_answer(name, profile):
    assert words.render(name, facts(profile=profile))


@pytest.mark.parametrize("name", PROSE)
def test_an_answer_renders_with_every_verdict(name):
    tree = jinja2.Environment().parse(PROSE[name])
    verdicts: dict[str, list[str]] = {}
    for compared in tree.find_all(nodes.Compare):
        value = compared.ops[0].expr.as_const()
        verdicts.setdefault(compared.expr.name, ["autre"]).append(value)
    for condition in tree.find_all(nodes.If):
        if isinstance(condition.test, nodes.Name):
            verdicts[condition.test.name] = ["x", ""]
    plain = {name.name: "x" for name in tree.find_all(nodes.Name)}
    for chosen in product(*map(set, verdicts.values())):
        text = words.fill(name, plain | dict(zip(verdicts, chosen, strict=True)))
        assert "{" not in re.sub(r"`[^`]*`", "", text)


def cells():
    """Yield notebook, function and call of every figure, table, capture and answer."""
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        code = (c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
        for call in ast.walk(ast.parse("\n".join(code))):
            kind = getattr(getattr(call, "func", None), "id", "")
            if kind in ("figure", "table", "answer"):
                yield path.stem, kind, call


def test_every_answer_of_a_notebook_has_its_file_and_every_file_its_cell():
    assert {call.args[0].value for _, kind, call in cells() if kind == "answer"} == set(PROSE)


def test_every_printed_figure_and_table_is_called():
    notebooks = "".join(path.read_text("utf-8") for path in (ROOT / "notebooks").glob("0*.ipynb"))
    for notebook, kind, call in cells():
        options = {option.arg: getattr(option.value, "value", "") for option in call.keywords}
        if kind != "answer" and not options.get("detail"):
            called = f"(#{kind[:3]}-{options.get('name')})"
            assert called in EVERYWHERE + notebooks, f"{notebook}: {ast.unparse(call)[:90]}"


def test_every_reference_is_called_and_every_call_has_its_reference():
    cells = [
        c for path in (ROOT / "notebooks").glob("0*.ipynb") for c in nbformat.read(path, 4).cells
    ]
    printed = "".join(c.source for c in cells if "detail" not in c.metadata.get("tags", []))
    texts = printed + EVERYWHERE.replace(PROSE["S12"], "")
    listed = re.findall(r"^- \*\*`?([\w-]+)", PROSE["S12"], re.MULTILINE)
    keys = [{"Images": "timm/eurosat-rgb", "Listes": "spatial"}.get(key, key) for key in listed]
    assert [key for key in keys if key not in texts] == []
    assert len(set(listed)) == len(listed)
    cited = re.findall(r"([A-Z]\w+)(?: \*et al\.\*| et \w+)?,? \((?:19|20)\d\d\)", texts)
    cited += re.findall(r"\(([A-Z]\w+)(?: \*et al\.\*| et \w+)?, (?:19|20)\d\d\)", texts)
    assert {"Guo", "Wilson", "Helber"} <= set(cited) <= set(listed)
