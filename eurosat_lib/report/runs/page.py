"""Write the pages beside the reports: one self-contained French HTML file each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from eurosat_lib.french import FILTERS, MINUS, THIN, split_exponent
from eurosat_lib.report.folders import find_folder


def write_page(path: Path, template: str, root: Path, **content: Any) -> Path:
    """Render a template of ``reports/template/pages`` into a file, whole or not at all.

    Args:
        path: of the page.
        template: file name, for instance ``index.html.j2``.
        root: the project's folder, where the templates are looked for first.
        content: names of the template.
    """
    folder = find_folder("reports/template", root)
    text = _environment(folder).get_template(f"pages/{template}").render(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path


def value(item: Any) -> Markup:
    """Write a setting's value: 3 × 10⁻⁴, a list, « automatique » for none."""
    if item is None:
        return Markup("automatique")
    if isinstance(item, bool):
        return Markup("oui" if item else "non")
    if isinstance(item, list | tuple):
        return Markup("[") + Markup(f"{THIN};\u00a0").join(map(value, item)) + Markup("]")
    if isinstance(item, int | float):
        return _number(item)
    return Markup("{}").format(item)


def link(target: Path, page: Path) -> str:
    """Return the address of a file or folder, from a page's folder."""
    address = quote(Path(os.path.relpath(target, page.parent)).as_posix())
    return f"{address}/" if target.is_dir() else address


def _number(item: float) -> Markup:
    if isinstance(item, int) or item == 0 or 1e-2 <= abs(item) < 1e5:
        return Markup(FILTERS["nombre"](item))
    mantissa, exponent = split_exponent(item, 3)
    power = f"10<sup>{str(exponent).replace('-', MINUS)}</sup>"
    return Markup(power if mantissa == "1" else f"{mantissa}{THIN}×{THIN}{power}")


def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS | {"value": value}
    return environment
