"""The course's template: its headings in order and the wording of its questions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from eurosat_lib.errors import UserError
from eurosat_lib.report.folders import find_folder


@dataclass(frozen=True)
class Questionnaire:
    """What the report must hold, in this order.

    Attributes:
        sections: (level, title) of each heading; level 2 is ``##``.
        questions: id → wording in Markdown; ``None`` where the template gives none.
    """

    sections: tuple[tuple[int, str], ...]
    questions: dict[str, str | None]


def load_questionnaire(path: Path | None = None) -> Questionnaire:
    """Read the headings and questions; ``reports/template/questions.yaml`` if no file is given.

    Raises:
        UserError: the file is missing or not of that form.
    """
    path = path or find_folder("reports/template") / "questions.yaml"
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        sections = tuple((int(s["level"]), str(s["title"])) for s in tree["sections"])
        return Questionnaire(sections, dict(tree["questions"]))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: expected sections and questions ({reason})") from None


def normal(text: str) -> str:
    """Return a text as it is compared: no Markdown marks, one kind of space and apostrophe."""
    text = re.sub(r"(?<![\w\"])_([^_]+)_(?![\w\"])", r"\1", text.replace("*", "").replace("`", ""))
    text = text.translate({ord("’"): "'", ord("…"): "...", ord("“"): '"', ord("”"): '"'})
    return " ".join(text.split())
