"""Hash the code that computes a result: a module and all it imports, without its prose."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "eurosat_lib"
# Rooms whose source does not change a number; decoded data are covered by their fingerprint.
SILENT = ("config", "errors", "progress", "tracking", "synthetic", "data", "stages")
SPEAKING = ("data.loaders", "data.store", "data.audit", "data.pipeline")


def _read_package() -> dict[str, str]:
    """Read all modules now: a file edited later is not the code that this process runs."""
    root = Path(__file__).resolve().parents[1]
    texts = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        texts[name] = path.read_text(encoding="utf-8")
    return texts


TEXTS = _read_package()


@cache
def source_digest(module: str) -> str:
    """Hash a module and all modules of the package that it imports, docstrings left out."""
    digest = hashlib.sha256()
    for name in sorted(_imports(module)):
        digest.update(f"{name}\n{_code(name)}\n".encode())
    return digest.hexdigest()


def _imports(module: str) -> set[str]:
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or _is_silent(name):
            continue
        found.add(name)
        for node in ast.walk(_tree(name)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                waiting.append(node.module)
                nested = (f"{node.module}.{alias.name}" for alias in node.names)
                waiting.extend(n for n in nested if n in TEXTS)
    return found


def _is_silent(name: str) -> bool:
    short = name.removeprefix(f"{PACKAGE}.") + "."
    if any(short.startswith(f"{room}.") for room in SPEAKING):
        return False
    return any(short.startswith(f"{room}.") for room in SILENT)


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(TEXTS[name])


@cache
def _code(name: str) -> str:
    tree = ast.parse(ast.unparse(_tree(name)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                node.body = body[1:]
    return ast.dump(tree)
