"""Executed notebooks to one French page: nbconvert's exporter, and one pass over what it wrote.

``jupyter nbconvert --to rapport X.ipynb`` and JupyterLab's menu export one notebook by the same
template; a notebook alone may be unfinished, so there the faults are only logged.
"""

from __future__ import annotations

import copy
import html
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import lxml.html
import nbformat
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config as Traits

from eurosat_lib.captures import find_captures
from eurosat_lib.config import configure
from eurosat_lib.errors import UserError, one_line
from eurosat_lib.files import PICTURES
from eurosat_lib.report import check
from eurosat_lib.report.cells import capture_html, data_address, formula_html
from eurosat_lib.report.page import shape
from eurosat_lib.report.title import Title
from eurosat_lib.report.words import render

TEMPLATE = Path(__file__).resolve().parents[2] / "reports" / "template"
WIDGET = "application/vnd.jupyter.widget-view+json"  # nothing to see on paper
SPACED = re.compile(r"(?<=\]\()attachment:[^()\n\"]+(?=\))")  # as editors write them
TASK = re.compile(r"^(\s*[-*+] )\[([ xX])\] ", re.MULTILINE)
# "(capture : figure)" or "; capture : figure", of a screenshot still to be taken.
ASIDE = re.compile(r'\s*(?:(\()|;)[^()<>;]*<a href="#(capture-[\w-]+)">[^<]*</a>(?(1)\))')
KINDS = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain"]


def bind_page(
    executed: Sequence[Path], title: Title, root: Path, folder: Path | None = None
) -> tuple[str, list[str]]:
    """Bind executed notebooks into the report.

    Answers are set anew from the facts that their cells kept, screenshots are the latest.

    Args:
        executed: notebooks with outputs, in the order of the report.
        title: what stands on top of the page.
        root: of the project: ``reports/template/questions.yaml`` says what must be in the page.
        folder: where the page will lie; of its links to files those that exist from there stay.

    Returns:
        The HTML page, and what is wrong with it: one line each, with notebook and cell.

    Raises:
        UserError: a notebook is missing or not readable.
    """
    notebooks = [(path, read_notebook(path)) for path in executed]
    problems = [line for pair in notebooks for line in check.notebook_problems(*pair)]
    bound, faults = merge(notebooks, root)
    resources = {"report": title, "folder": folder or root}
    resources["wanted"] = check.load_template(root / "reports/template/questions.yaml")
    page, resources = Rapport().from_notebook_node(bound, resources)
    return page, list(dict.fromkeys([*problems, *faults, *resources["problems"]]))


def read_notebook(path: Path) -> NotebookNode:
    """Read an executed notebook.

    Raises:
        UserError: there is none, or it is not a notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise UserError(f"{path}: not readable as a notebook ({one_line(error)})") from None


def merge(
    notebooks: Sequence[tuple[Path, NotebookNode]], root: Path
) -> tuple[NotebookNode, list[str]]:
    """Bind notebooks into one, without the cells tagged to be left out.

    Every kept cell knows where it comes from, ``05_grid.ipynb, cell 7`` (counted from 1), and in
    which folders its pictures may lie.

    Returns:
        The notebook, and the answers that cannot be set.
    """
    first = notebooks[0][1].metadata
    kept = {key: first[key] for key in ("kernelspec", "language_info") if key in first}
    bound, problems = nbformat.v4.new_notebook(metadata=kept), []
    for path, notebook in notebooks:
        places = (path.parent, root / "notebooks", root / "reports/answers", root)
        folders = [str(place.resolve()) for place in places]
        for number, original in enumerate(notebook.cells, start=1):
            if check.LEFT_OUT & set(original.metadata.get("tags", [])):
                continue
            cell = copy.deepcopy(original)
            cell.id = f"c{len(bound.cells)}"
            place = f"{path.name}, cell {number}"
            cell.metadata["eurosat"] = {"where": place, "folders": folders}
            if cell.cell_type == "code":
                problems += [f"{place}: {line}" for line in _renew(cell, root)]
            bound.cells.append(cell)
    return bound, problems


def _renew(cell: NotebookNode, root: Path) -> list[str]:
    """Set answers and screenshots of a cell anew; drop widgets, and code that only shows."""
    problems = []
    cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    for output in cell.outputs:
        data, kept = output.get("data", {}), output.get("metadata", {}).get("eurosat", {})
        rare = [] if set(KINDS[:-1]) & set(data) else [k for k in data if k.startswith("image/")]
        if "text/latex" in data and not set(KINDS[:-1]) & set(data):
            data.setdefault("text/markdown", data["text/latex"])
        for kind in rare:
            address = html.escape(f"data:{kind};base64,{data[kind]}")
            data["text/html"] = f'<img src="{address}" alt="Figure sans légende">'
        try:
            if "facts" in kept:
                data["text/markdown"] = render(kept["answer"], kept["facts"])
            elif "capture" in kept:
                run = kept["run"] | {"config_path": str(root / kept["run"]["config_path"])}
                taken = find_captures(configure(run)).get(kept["capture"])
                data["text/html"] = capture_html(kept["capture"], kept["caption"], taken)
        except UserError as error:
            problems.append(str(error))
    if cell.outputs and _only_shows(cell.source):
        cell.source = ""
    return problems


def _only_shows(source: str) -> bool:
    """Tell whether code is nothing but calls of ``figure``, ``table``, ``capture``, ``answer``."""
    starts = [line for line in source.splitlines() if line and not line.startswith((" ", ")"))]
    return all(re.match(r"(figure|table|capture|answer)\(", line) for line in starts)


class Renderer(IPythonRenderer):
    """Marks formulas by elements; embeds attachments and the pictures beside the notebook."""

    def __init__(self, cell: Mapping[str, Any]) -> None:
        """Take the cell: its attachments, and the folders in which its pictures may lie."""
        super().__init__(
            escape=False, exclude_anchor_links=True, attachments=cell.get("attachments", {})
        )
        metadata = cell.get("metadata", {}).get("eurosat", {})
        self.folders = [Path(folder) for folder in metadata.get("folders", ())]

    def inline_math(self, body: str) -> str:
        """Mark a formula in a line."""
        return formula_html(body)

    def block_math(self, body: str) -> str:
        """Mark a formula on a line of its own."""
        return f'<span class="tex display">{html.escape(body, quote=False)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        """Mark a LaTeX environment as a formula of its own."""
        plain = name.rstrip("*") in ("equation", "displaymath")
        return self.block_math(body if plain else rf"\begin{{{name}}}{body}\end{{{name}}}")

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Write a picture; one that can be embedded is."""
        source = self._embedded(url) or url
        return f'<img src="{html.escape(source)}" alt="{html.escape(text)}">'

    def _embedded(self, url: str) -> str | None:
        if url.startswith("attachment:"):
            wanted = _plain(url.removeprefix("attachment:"))
            found = [kinds for name, kinds in self.attachments.items() if _plain(name) == wanted]
            return next(
                (f"data:{m};base64,{d}" for kinds in found for m, d in kinds.items()), None
            )
        for folder in self.folders:  # the last is the project's
            path = (folder / unquote(url)).resolve()  # a link out of the folder leads out of it
            inside = any(path.is_relative_to(place) for place in (folder, self.folders[-1]))
            if inside and path.is_file():
                try:
                    with Image.open(path, formats=(*PICTURES, "GIF")) as picture:
                        return data_address(Image.MIME[picture.format], path.read_bytes())
                except (OSError, KeyError):  # no picture
                    return None
        return None


def _plain(name: str) -> str:
    """Return the name of an attachment as it is compared: no ``%20``, accents in one form."""
    return unicodedata.normalize("NFC", unquote(name))


class Rapport(HTMLExporter):
    """A page of the report's form: one notebook, or several that were merged."""

    export_from_notebook = "Rapport"

    @property
    def default_config(self) -> Traits:
        """The exporter's own, with our template and the kinds of output that paper can show."""
        template = {"template_name": "rapport", "extra_template_basedirs": [str(TEMPLATE)]}
        own = {"NbConvertBase": {"display_data_priority": KINDS}, "TemplateExporter": template}
        config = super().default_config
        config.merge(Traits(own | {"HTMLExporter": {"language_code": "fr"}}))
        return config

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Turn Markdown into HTML; formulas and pictures as `Renderer` writes them."""
        source = SPACED.sub(lambda found: found[0].replace(" ", "%20"), source)
        source = TASK.sub(lambda found: f"{found[1]}{'☐' if found[2] == ' ' else '☑'} ", source)
        return MarkdownWithMath(renderer=Renderer(context.get("cell", {}))).render(source)

    def _init_preprocessors(self) -> None:
        super()._init_preprocessors()
        self.register_preprocessor(_bind_single, enabled=True)  # the last: after --execute

    def from_notebook_node(
        self, nb: NotebookNode, resources: Mapping[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Export a notebook.

        Args:
            nb: one notebook, or several merged.
            resources: ``report`` is the `Title` of merged ones, ``folder`` where the page will
                lie, ``wanted`` what must be in it.
            kw: of nbconvert.

        Returns:
            The page, and the resources, whose ``problems`` say what is wrong with it.
        """
        text, resources = super().from_notebook_node(nb, resources, **kw)
        missing = re.findall(r'<details class="fold" id="(capture-[\w-]+)"', text)
        text = ASIDE.sub(lambda found: "" if found[2] in missing else found[0], text)
        page = lxml.html.document_fromstring(text)
        wanted, folder = resources.get("wanted"), Path(resources.get("folder", "."))
        problems = shape(page, resources["report"], folder, wanted)
        problems = [*resources.get("faults", ()), *problems]
        if wanted is None and problems:
            self.log.warning("\n".join(problems))
            banner = lxml.html.fragment_fromstring('<div class="banner" role="note"></div>')
            banner.text = f"À corriger : {' ; '.join(problems)}"
            page.get_element_by_id("debut").append(banner)
        resources["problems"] = problems
        page = lxml.html.tostring(page, encoding="unicode", doctype="<!DOCTYPE html>")
        return page + "\n", resources


def _bind_single(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
    """Leave cells out as the report does; say what stands on top of the page of one notebook."""
    if "report" in resources:
        return notebook, resources
    about = resources.get("metadata", {})
    path = Path(about.get("path") or ".") / f"{about.get('name') or 'notebook'}.ipynb"
    source = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    heading = re.search(r"^# (.+)$", source, re.MULTILINE)
    name = re.sub("[*`]", "", heading[1]).strip() if heading else path.stem
    given = notebook.metadata.get("papermill", {}).get("parameters") or {}
    given = [f"{key} = {value}" for key, value in given.items() if value not in (None, "")]
    card = {"Carnet": path.name} | ({"Paramètres": ", ".join(given)} if given else {})
    resources |= {"report": Title(name, card=card), "folder": path.parent}
    faults = check.notebook_problems(path, notebook)
    notebook, more = merge([(path, notebook)], TEMPLATE.parents[1])
    return notebook, resources | {"faults": [*faults, *more]}
