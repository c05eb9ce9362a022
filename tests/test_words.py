"""Words and answers: the dispatcher, what it refuses, and the rules that keep answers prose."""

import ast
import re
from itertools import product
from pathlib import Path

import jinja2
import nbformat
import pytest
from jinja2 import nodes

from eurosat_lib.errors import UserError
from eurosat_lib.report import words, words_data

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = sorted((ROOT / "reports" / "answers").glob("*.md"))
TAG = re.compile(r"\{[{%].*?[%}]\}")
COMPOSED = "compare-"  # figures that the words of M7 call by a name they put together
KEYWORDS = ("if", "elif", "else", "endif")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an answer into a project of its own; the words of D4 are those given."""
    folder = tmp_path / "reports" / "answers"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(words_data, "d4", lambda facts: facts)

    def write_answer(text):
        (folder / "D4.md").write_text(text, encoding="utf-8")

    return write_answer


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (words.magnitude(-0.057), "5,7\u00a0points"),
        (words.points_and_interval(0.012, 0.003, 0.021), "+1,2\u00a0point [0,3\u00a0;\u00a02,1]"),
        (words.points_and_interval(-0.02, None, None), "−2,0\u00a0points"),
        (words.agree(1, "image est", "images sont"), "1\u00a0image est"),
        (words.agree(1200, "image est", "images sont"), "1\u202f200\u00a0images sont"),
        (words.share(3, 8), "37,5\u202f%"),
        (words.rates([1e-5, 1e-4]), "10⁻⁵ et 10⁻⁴"),
    ],
)
def test_phrases(written, expected):
    assert written == expected


def test_a_run_is_named_on_both_command_lines():
    config = {"paths": {"name": "x"}, "profile": "quick"}
    assert words.options(config, True) == " --profile quick --data synthetic --name x"
    given = words.make_options(config, False, {"lr": 1e-3})
    assert given == ' PROFILE=quick NAME=x PARAMS="-f artifacts/x/params.yaml"'
    assert words.results_folder({"paths": {"name": ""}}) == "artifacts/"


def test_an_answer_takes_the_words_of_the_function_with_its_name(write):
    write(
        "Écart {{ gap }}.\n{% if verdict == 'gain' %}\nMieux.\n{% else %}\nPas mieux.\n{% endif %}"
    )
    assert words.render("D4", {"gap": "+1", "verdict": "gain"}) == "Écart +1.\nMieux.\n"
    assert words.render("D4", {"gap": "+1", "verdict": "perte"}) == "Écart +1.\nPas mieux.\n"
    assert words.words_of("D7", {}) == {}  # only prose
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
    texts = [path.read_text(encoding="utf-8") for path in ANSWERS]
    jinja = sum(len(tag) for text in texts for tag in TAG.findall(text))
    lines = [line for text in texts for line in text.splitlines()]
    assert jinja / sum(map(len, texts)) <= 0.30
    assert len(lines) <= 480
    assert max(map(len, lines)) <= 300


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_an_answer_only_prints_values_and_chooses_sentences(path):
    text, depth = path.read_text(encoding="utf-8"), 0
    for value in re.findall(r"\{\{(.*?)\}\}", text):
        assert re.fullmatch(r" [\w.]+ ", value), value
    for line in text.splitlines():
        for tag in re.findall(r"\{%-?\s*(\w+)", line):
            assert tag in KEYWORDS, f"{tag}: {line}"
            assert re.fullmatch(r"\{% .* %\}", line), f"a condition is a line of its own: {line}"
            depth += (tag == "if") - (tag == "endif")
            assert depth <= 1, f"nested: {line}"
    for condition in jinja2.Environment().parse(text).find_all(nodes.If):
        for node in condition.test.find_all((nodes.Filter, nodes.Call, nodes.BinExpr)):
            assert isinstance(node, nodes.And | nodes.Or), path.stem


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_an_answer_renders_with_every_verdict(path):
    tree = jinja2.Environment().parse(path.read_text(encoding="utf-8"))
    verdicts: dict[str, list[str]] = {}
    for compared in tree.find_all(nodes.Compare):
        name, value = compared.expr.name, compared.ops[0].expr.as_const()
        verdicts.setdefault(name, ["autre"]).append(value)
    for condition in tree.find_all(nodes.If):
        if isinstance(condition.test, nodes.Name):
            verdicts[condition.test.name] = ["x", ""]
    plain = {name.name: "x" for name in tree.find_all(nodes.Name)}
    for chosen in product(*map(set, verdicts.values())):
        text = words.fill(path.stem, plain | dict(zip(verdicts, chosen, strict=True)))
        assert "{" not in re.sub(r"`[^`]*`", "", text) and text.strip()


def cells():
    """Yield notebook, function and call of every figure, table, capture and answer."""
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        code = (c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
        for call in ast.walk(ast.parse("\n".join(code))):
            kind = getattr(getattr(call, "func", None), "id", "")
            if kind in ("figure", "table", "answer"):
                yield path.stem, kind, call


def test_every_answer_of_a_notebook_has_its_file_and_every_file_its_cell():
    named = {call.args[0].value for _, kind, call in cells() if kind == "answer"}
    assert named == {path.stem for path in ANSWERS}


def test_every_printed_figure_and_table_is_named_and_called():
    text = "".join(path.read_text(encoding="utf-8") for path in ANSWERS)
    for notebook, kind, call in cells():
        options = {option.arg: getattr(option.value, "value", "") for option in call.keywords}
        if kind == "answer" or options.get("detail"):
            continue
        name = str(options.get("name"))
        called = f"#{kind[:3]}-{name})" in text or name.startswith(COMPOSED)
        assert called, f"{notebook}: {ast.unparse(call)[:90]}"
