"""From executed notebooks to one raw HTML page: merge the cells, export by nbconvert."""

from __future__ import annotations

import copy
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from traitlets import default
from traitlets.config import Config

from eurosat_lib.errors import UserError
from eurosat_lib.report.folders import find_folder
from eurosat_lib.report.meta import Links, ReportMeta

LEFT_OUT = frozenset({"hide", "exploration", "parameters", "injected-parameters"})
WIDGET = "application/vnd.jupyter.widget-view+json"  # nothing to see on paper
SHOWN = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain"]


def read_notebook(path: Path) -> NotebookNode:
    """Read an executed notebook.

    Raises:
        UserError: there is none, or it is not a notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise UserError(f"{path}: no such notebook; execute it first") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: not readable as a notebook ({reason})") from None


def merge(
    notebooks: Sequence[tuple[Path, NotebookNode]], left_out: frozenset[str] = LEFT_OUT
) -> NotebookNode:
    """Bind notebooks into one, without the cells tagged to be left out.

    Every kept cell knows where it comes from: ``cell.metadata.eurosat`` holds ``where``
    ("05_grid.ipynb, cell 7", counted from 1) and ``folder``.
    """
    first = notebooks[0][1].metadata
    kept = {key: first[key] for key in ("kernelspec", "language_info") if key in first}
    bound = nbformat.v4.new_notebook(metadata=kept)  # no widget state
    for path, notebook in notebooks:
        for number, original in enumerate(notebook.cells, start=1):
            if left_out & set(original.metadata.get("tags", [])):
                continue
            cell = copy.deepcopy(original)
            cell.id = f"c{len(bound.cells)}"
            if cell.cell_type == "code":
                cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
            cell.metadata["eurosat"] = {
                "where": f"{path.name}, cell {number}",
                "folder": str(path.parent),
            }
            bound.cells.append(cell)
    return bound


def export(notebook: NotebookNode, meta: ReportMeta, links: Links | None = None) -> str:
    """Export a merged notebook with the template ``rapport``; formulas are still TeX.

    Args:
        notebook: what `merge` returned.
        meta: the title page.
        links: the files that the title page names, see `links_from`.
    """
    resources = {"report": meta, "links": links or {}}
    page, _ = PageExporter().from_notebook_node(notebook, resources=resources)
    return page


class PageExporter(HTMLExporter):
    """nbconvert's HTML exporter with our template, in French, with nothing fetched from afar.

    Its page is raw: formulas are TeX, nothing is numbered; ``finish`` does the rest.
    """

    @default("template_name")
    def _template_name_default(self) -> str:
        return "rapport"

    @default("extra_template_basedirs")
    def _default_extra_template_basedirs(self) -> list[str]:
        try:
            return [str(find_folder("reports/template"))]
        except UserError:  # nbconvert builds every exporter it knows, and skips one without
            return []

    @default("language_code")
    def _language_default(self) -> str:
        return "fr"

    @default("embed_images")
    def _embed_default(self) -> bool:
        return True

    @property
    def default_config(self) -> Config:
        """The exporter's own, with the kinds of output that a printed page can show."""
        config = super().default_config
        config.merge(Config({"NbConvertBase": {"display_data_priority": SHOWN}}))
        return config

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Turn Markdown into HTML; formulas become ``<span class="tex">`` and ``<div …>``."""
        cell = context.get("cell", {})
        renderer = _Renderer(
            escape=False,
            attachments=cell.get("attachments", {}),
            embed_images=True,
            path=cell.get("metadata", {}).get("eurosat", {}).get("folder", ""),
            exclude_anchor_links=True,
        )
        return MarkdownWithMath(renderer=renderer).render(source)


class _Renderer(IPythonRenderer):
    """Marks formulas by elements, so that no dollar sign is ever guessed about."""

    def inline_math(self, body: str) -> str:
        return f'<span class="tex">{html.escape(body, quote=False)}</span>'

    def block_math(self, body: str) -> str:
        return f'<span class="tex display">{html.escape(body, quote=False)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        """Write a LaTeX environment as a formula of its own."""
        name = name.rstrip("*")
        if name in ("equation", "displaymath"):
            return self.block_math(body)
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")
