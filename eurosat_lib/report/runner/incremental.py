"""Tell which notebooks and reports are up to date, by hashes of all that they depend on.

Nothing heavy is imported here: with nothing to do, a build ends within a second or two.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from eurosat_lib.config import Config
from eurosat_lib.report.folders import find_folder
from eurosat_lib.report.runner.parameters import Notebook

PACKAGE = Path(__file__).resolve().parents[2]
# The modules of report/ that notebooks run; what they import from report/ is found by reading.
ENTRIES = ("__init__", "cells", "answers", "needs")
ANSWER = re.compile(r"""\banswer\(\s*["']([A-Z]\d+(?:\.\d+)*)["']""")
REPORT = "eurosat_lib.report."
STAGE = re.compile(r"\bprotocol\.(\w+)")
SHOWN = {"found_recipe": ("train_recipe", "ablate_recipe")}  # results that it loads


def digest(value: Any) -> str:
    """Return the sha256 of a JSON-able value, key order aside."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(paths: Iterable[Path]) -> str:
    """Return the sha256 of the names and bytes of files."""
    return digest([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths])


def notebook_key(notebook: Notebook, config: Config, data: str, parameters: str = "") -> str:
    """Hash what a notebook depends on, except the facts (see ``facts_key``).

    Args:
        notebook: the source.
        config: the configuration that it will build from its parameters.
        data: signature of the data that will be read.
        parameters: of the whole run; they count for a notebook that shows them.
    """
    shown = "stored_parameters" in str(notebook.cells)
    excluded = {"compute": True, "paths": {"root"}}
    return digest(
        {
            "cells": notebook.cells,
            "config": config.model_dump(mode="json", exclude=excluded),
            "data": data,
            "library": _library_key(),
            "parameters": parameters if shown else "",
            "frozen": os.environ.get("FROZEN", ""),
            "answers": file_digest(_answer_files(notebook, Path(config.paths.root))),
        }
    )


def facts_key(notebooks: Sequence[Notebook], artifacts: Path) -> str:
    """Hash the facts of the stages that the code of these notebooks calls.

    A notebook depends on the facts of its own stages and of those before it: pass it and the
    notebooks before it. Somebody else's run of one of these stages (another notebook's
    parameters, the command line) changes the key.
    """
    path = artifacts / "facts.json"
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    called = {name for n in notebooks for code in n.code for name in STAGE.findall(code)}
    called |= {stage for name in called for stage in SHOWN.get(name, ())}
    return digest({stage: value for stage, value in facts.items() if stage in called})


def report_key(executed: Sequence[Path], meta: Mapping[str, Any], root: Path) -> str:
    """Hash what the assembled report depends on: executed notebooks, template, meta, sources."""
    template = sorted(p for p in (root / "reports" / "template").rglob("*") if p.is_file())
    sources = sorted((PACKAGE / "report").rglob("*.py"))
    return digest([file_digest([*executed, *template, *sources]), dict(meta)])


def read_record(executed: Path) -> dict[str, Any]:
    """Return what ``execution`` wrote into an executed notebook; empty if there is none."""
    try:
        return json.loads(executed.read_text(encoding="utf-8"))["metadata"]["eurosat"]
    except (OSError, ValueError, KeyError):
        return {}


def _answer_files(notebook: Notebook, root: Path) -> list[Path]:
    names = sorted({name for code in notebook.code for name in ANSWER.findall(code)})
    if not names:
        return []
    folder = find_folder("reports/answers", root)
    files = [folder / f"{name}.md" for name in names]
    return [path for path in [*files, *sorted(folder.glob("_*"))] if path.is_file()]


@cache
def _library_key() -> str:
    """Hash the library's sources, without those modules of ``report/`` that build the report."""
    report = PACKAGE / "report"
    used = _with_imports([report / f"{name}.py" for name in ENTRIES])
    sources = [p for p in sorted(PACKAGE.rglob("*.py")) if report not in p.parents or p in used]
    return digest([(str(p.relative_to(PACKAGE)), file_digest([p])) for p in sources])


def _with_imports(modules: Iterable[Path]) -> set[Path]:
    """Return these modules of ``report/`` and those that they import, directly or not."""
    found: set[Path] = set()
    waiting = [path for path in modules if path.is_file()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imports(path)
    return found


def _imports(path: Path) -> list[Path]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    names = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    names |= {node.module for node in froms}
    bases = [PACKAGE.parent.joinpath(*n.split(".")) for n in names if REPORT in n]
    files = [f for base in bases for f in (base.with_suffix(".py"), base / "__init__.py")]
    return [file for file in files if file.is_file()]
