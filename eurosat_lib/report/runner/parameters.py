"""Read the ``parameters`` cell of a notebook, without running it, and check values against it."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eurosat_lib.errors import UserError, did_you_mean

KINDS = {"int": int, "float": float, "str": str, "bool": bool, "list": list}


@dataclass(frozen=True)
class Parameter:
    """One line ``name: annotation = default  # help`` of a parameters cell."""

    name: str
    kind: str  # int, float, str, bool or list
    item: str | None  # kind of the items of a list, if given
    default: Any
    help: str

    def convert(self, text: str) -> Any:
        """Read a value typed on the command line, by the kind of the parameter.

        Raises:
            UserError: the text is no value of this kind.
        """
        if text == "None" and (self.default is None or self.kind != "str"):
            return self.check(None)
        if self.kind == "str":
            return text
        if self.kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        read = {"int": int, "float": float}.get(self.kind, ast.literal_eval)
        try:
            value = read(text)
        except (ValueError, SyntaxError):
            value = text
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Return the value, a whole number as ``float`` where one is asked for.

        Raises:
            UserError: the value is not of this kind.
        """
        if value is None and self.default is None:
            return None
        if self.kind == "list" and isinstance(value, (list, tuple)):
            return [self._item(item) for item in value]
        if not _fits(value, self.kind):
            got = _shown(value, self.kind)
            raise UserError(f"{self.name}: expected {self._expected()}, got {got}")
        return float(value) if self.kind == "float" else value

    def _item(self, value: Any) -> Any:
        if self.item is None:
            return value
        if not _fits(value, self.item):
            got = _shown(value, self.item)
            raise UserError(f"{self.name}: expected {self._expected()}, got {got} in it")
        return float(value) if self.item == "float" else value

    def _expected(self) -> str:
        kind = f"list of {self.item}" if self.item else self.kind
        return f"{kind} or None" if self.default is None else kind


class Cell(NamedTuple):
    """What counts of a cell: outputs and counters do not."""

    id: str
    kind: str  # code, markdown or raw
    source: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Notebook:
    """A source notebook: its path, cells and declared parameters."""

    path: Path
    cells: tuple[Cell, ...]
    parameters: Mapping[str, Parameter]

    @property
    def code(self) -> list[str]:
        """Sources of the code cells."""
        return [cell.source for cell in self.cells if cell.kind == "code"]

    @property
    def name(self) -> str:
        """``06_train`` for ``notebooks/06_train.ipynb``."""
        return self.path.stem


def read_notebook(path: Path) -> Notebook:
    """Read a notebook's code and its parameters.

    Raises:
        UserError: not a notebook, no ``parameters`` cell, or one that is more than literals.
    """
    try:
        cells = tuple(map(_cell, json.loads(path.read_text(encoding="utf-8"))["cells"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a readable notebook") from None
    tagged = [cell.source for cell in cells if "parameters" in cell.tags]
    if len(tagged) != 1:
        raise UserError(f"{path}: {len(tagged)} cells are tagged parameters, expected one")
    return Notebook(path, cells, _parse_cell(tagged[0], str(path)))


def unknown_parameter(name: str, selected: Iterable[Notebook], others: Iterable[Notebook]) -> str:
    """Say that no selected notebook takes a parameter, and which name or notebook was meant."""
    selected = list(selected)
    known = sorted({known for notebook in selected for known in notebook.parameters})
    where = selected[0].name if len(selected) == 1 else "the notebooks"
    takers = [notebook.name for notebook in others if name in notebook.parameters]
    if takers:
        return f"{where}: no parameter {name}; {' and '.join(takers)} take it"
    hint = did_you_mean(name, known)
    return f"{where}: unknown parameter {name}{hint}; there are {', '.join(known)}"


def _cell(raw: Mapping[str, Any]) -> Cell:
    tags = tuple(raw["metadata"].get("tags", ()))
    return Cell(raw.get("id", ""), raw["cell_type"], "".join(raw["source"]), tags)


def _parse_cell(source: str, where: str) -> dict[str, Parameter]:
    helps = _comments(source)
    parameters = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        try:
            parameter = _parse_line(node, helps.get(node.end_lineno or 0, ""))
        except (AttributeError, KeyError, ValueError, UserError) as error:
            reason = f": {error}" if isinstance(error, UserError) else ""
            line = ast.get_source_segment(source, node)
            form = "name: int|float|str|bool|list = literal  # help"
            raise UserError(f"{where}: parameters cell: {line!r} is not {form}{reason}") from None
        parameters[parameter.name] = parameter
    return parameters


def _parse_line(node: Any, help_: str) -> Parameter:
    annotation, item = node.annotation, None
    if isinstance(annotation, ast.Subscript):
        annotation, item = annotation.value, annotation.slice.id
    default = ast.literal_eval(node.value)
    parameter = Parameter(node.target.id, annotation.id, item, default, help_)
    for kind in (parameter.kind, parameter.item or "int"):
        KINDS[kind]
    parameter.check(default)
    return parameter


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, (int, float) if kind == "float" else KINDS[kind])


def _shown(value: Any, kind: str) -> str:
    if not isinstance(value, str):
        return f"{type(value).__name__} {value!r}"
    shown = f"text {value!r}"
    try:
        number = repr(float(value))
    except ValueError:
        return shown
    if "e" in number and "." not in number:
        number = number.replace("e", ".0e")
    return f"{shown}; YAML reads {value} as text, write {number}" if kind == "float" else shown
