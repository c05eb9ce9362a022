"""What must not leave the house: a report with errors, holes, or pictures that are not in it."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lxml.html import HtmlElement
from nbformat import NotebookNode

from eurosat_lib.errors import UserError
from eurosat_lib.report.places import where, words
from eurosat_lib.report.questionnaire import Questionnaire, normal

NO_VALUE = re.compile(r"[-+]?(nan|NaN|None|NaT|<NA>|inf)")
NO_ALT = "No description has been provided for this image"  # what nbconvert writes for none
TEX = re.compile(r"\\[a-zA-Z]{2,}|\$\$|(?<!\w)\$[^$\s][^$]*\$(?!\w)")
CODE = "ancestor::*[self::code or self::script or self::style or self::svg or self::details]"


class ReportError(UserError):
    """The report was not built; ``problems`` says why, one line each, with notebook and cell."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the problems; the message lists them."""
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        super().__init__(f"the report was not built, {count}:\n{lines}")


def refuse(problems: Iterable[str]) -> None:
    """Raise `ReportError` if there is any problem; the same one is told once."""
    problems = list(dict.fromkeys(problems))
    if problems:
        raise ReportError(problems)


def notebook_problems(path: Path, notebook: NotebookNode) -> list[str]:
    """Look for error outputs, text on stderr, and cells that were never executed."""
    problems, idle = [], []
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        place = f"{path.name}, cell {number}{_first_line(cell.source)}"
        for output in cell.outputs:
            if output.output_type == "error":
                message = " ".join(str(output.get("evalue", "")).split())
                problems.append(f"{place}: {output.get('ename', 'error')}: {message}")
            elif (
                output.output_type == "stream" and output.name == "stderr" and output.text.strip()
            ):
                problems.append(f"{place}: text on stderr: {_short(output.text)}")
        if cell.source.strip() and cell.get("execution_count") is None:
            idle.append(f"{place}: never executed")
    return problems or idle[:1]


def page_problems(main: HtmlElement, questionnaire: Questionnaire) -> list[str]:
    """Look for headings, questions and answers that are missing or out of order, and for holes."""
    return [
        *_heading_problems(main, questionnaire),
        *_question_problems(main, questionnaire),
        *content_problems(main),
    ]


def content_problems(main: HtmlElement) -> list[str]:
    """Look for what no page may hold: images not embedded or empty, missing values, raw TeX."""
    return [*_image_problems(main), *_text_problems(main)]


def _heading_problems(main: HtmlElement, questionnaire: Questionnaire) -> list[str]:
    found = [(int(h.tag[1]), normal(words(h))) for h in main.xpath(".//h2|.//h3|.//h4")]
    problems, position = [], 0
    for level, title in questionnaire.sections:
        wanted = (level, normal(title))
        if wanted in found[position:]:
            position = found.index(wanted, position) + 1
        else:
            order = "out of order" if wanted in found else "missing"
            problems.append(f"heading {'#' * level} {title}: {order}")
    return problems


def _question_problems(main: HtmlElement, questionnaire: Questionnaire) -> list[str]:
    blocks = [e for e in main.iter("div") if e.get("class") in ("question", "answer reply")]
    asked = [e.get("id") for e in blocks if e.get("class") == "question"]
    given = [e.get("data-answer") for e in blocks if e.get("class") == "answer reply"]
    problems = [
        *_sequence(asked, questionnaire, "question"),
        *_sequence(given, questionnaire, "answer"),
    ]
    seen: set[str] = set()
    for block in blocks:
        if block.get("class") == "question":
            seen.add(block.get("id"))
            problems += _wording(block, questionnaire)
        elif block.get("data-answer") in asked and block.get("data-answer") not in seen:
            name = block.get("data-answer")
            problems.append(f"{where(block)}: answer {name} stands before its question")
    return problems


def _sequence(names: list[str], questionnaire: Questionnaire, kind: str) -> list[str]:
    wanted = list(questionnaire.questions)
    problems = [f"{kind} {name}: missing" for name in wanted if name not in names]
    problems += [
        f"{kind} {name}: given {names.count(name)} times"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    problems += [
        f"{kind} {name}: not in the template"
        for name in dict.fromkeys(names)
        if name not in wanted
    ]
    present = [name for name in wanted if name in names]
    order = list(dict.fromkeys(name for name in names if name in wanted))
    if order != present:
        wrong = next(got for got, want in zip(order, present, strict=True) if got != want)
        problems.append(f"{kind} {wrong}: out of order")
    return problems


def _wording(block: HtmlElement, questionnaire: Questionnaire) -> list[str]:
    name = block.get("id")
    wanted = questionnaire.questions.get(name)
    got = normal(words(block)).removeprefix(f"{name}.").strip()
    if wanted and got != normal(wanted):
        return [f'{where(block)}: question {name} must read "{wanted}", got "{got}"']
    return []


def _image_problems(main: HtmlElement) -> list[str]:
    problems = []
    for image in main.iter("img"):
        source = image.get("src", "")
        if not source.startswith("data:"):
            problems.append(f"{where(image)}: image {source or '(no address)'} is not embedded")
        elif _is_blank(source):
            problems.append(f"{where(image)}: the image is empty")
        elif image.get("alt") == NO_ALT:
            problems.append(f"{where(image)}: the image has no alternative text (alt)")
    for figure in main.iter("figure"):
        if figure.find(".//img") is None and figure.find(".//svg") is None:
            problems.append(f"{where(figure)}: the figure holds no image")
    return problems


def _is_blank(source: str) -> bool:
    """Tell whether an embedded image holds nothing, or one colour only."""
    from PIL import Image

    head, _, body = source.partition(",")
    data = base64.b64decode(body) if head.endswith(";base64") else body.encode()
    if "svg" in head:
        return len(re.findall(rb"<(?:path|use|text|image|rect|circle|line|poly)", data)) < 2
    try:
        extrema = Image.open(io.BytesIO(data)).convert("RGB").getextrema()
    except OSError:
        return True
    return all(low == high for low, high in extrema)


def _text_problems(main: HtmlElement) -> list[str]:
    problems = []
    for cell in main.xpath(".//td|.//th"):
        if found := NO_VALUE.fullmatch(words(cell)):
            problems.append(f"{where(cell)}: {found[0]} in a table")
    for text in main.xpath(f".//text()[not({CODE})]"):
        place = where(text.getparent())
        if re.search(r"\bnan\b", text):
            problems.append(f"{place}: nan in the text: {_short(text)}")
        if "Traceback" in text:
            problems.append(f"{place}: a traceback in the text")
        if (found := TEX.search(text)) and not text.getparent().xpath("ancestor-or-self::pre"):
            problems.append(f"{place}: raw TeX in the text: {found[0]}")
    return problems


def _first_line(source: str) -> str:
    line = source.strip().splitlines()[0] if source.strip() else ""
    return f" ({_short(line, 50)})" if line else ""


def _short(text: str, limit: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
