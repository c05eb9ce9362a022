"""Executed notebooks to one French page: nbconvert's exporter, and one pass over what it wrote.

``jupyter nbconvert --to rapport X.ipynb`` and JupyterLab's menu export one notebook by the same
template; a notebook alone may be unfinished, so there the faults are only logged.
"""

from __future__ import annotations

import ast
import copy
import datetime
import html
import re
import sys
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import lxml.html
import nbformat
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from traitlets import default
from traitlets.config import Config

from eurosat_lib.errors import UserError
from eurosat_lib.report import check
from eurosat_lib.report.cells import capture_html, data_address
from eurosat_lib.report.page import shape
from eurosat_lib.report.words import render

if TYPE_CHECKING:
    from eurosat_lib.report.title import Title

TEMPLATE = Path(__file__).resolve().parents[2] / "reports" / "template"
SHOWN = {"figure", "table", "capture", "answer"}  # a cell of such calls alone has no code to show
WIDGET = "application/vnd.jupyter.widget-view+json"  # nothing to see on paper
SPACED = re.compile(r"(?<=\]\()attachment:[^()\n\"]+(?=\))")  # as editors write them
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
    except FileNotFoundError:
        raise UserError(f"{path}: no such notebook; execute it first") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: not readable as a notebook ({reason})") from None


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
        _make_visible(output.get("data", {}))
        kept = output.get("metadata", {}).get("eurosat", {})
        try:
            if "facts" in kept:
                output.data["text/markdown"] = render(kept["answer"], kept["facts"])
            elif "capture" in kept:
                output.data["text/html"] = _latest_capture(kept, root)
        except UserError as error:
            problems.append(str(error))
    if cell.outputs and _only_shows(cell.source):
        cell.source = ""
    return problems


def _make_visible(data: dict[str, Any]) -> None:
    """Give an output that has only a formula, or a picture of a rare kind, one of our kinds."""
    if set(KINDS[:-1]) & set(data):
        return
    if formula := data.get("text/latex"):
        data["text/markdown"] = formula
    for kind in [kind for kind in data if kind.startswith("image/")]:
        address = f"data:{kind};base64,{data[kind]}"
        data["text/html"] = f'<img src="{html.escape(address)}" alt="Figure sans légende">'


def _latest_capture(kept: Mapping[str, Any], root: Path) -> str:
    from eurosat_lib.captures import find_captures
    from eurosat_lib.config import configure

    run = dict(kept["run"])
    config = configure(run | {"config_path": str(root / run["config_path"])})
    taken = find_captures(config).get(kept["capture"])
    return capture_html(kept["capture"], kept["caption"], taken)


def _only_shows(source: str) -> bool:
    """Tell whether code is nothing but calls of ``figure``, ``table``, ``capture``, ``answer``."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic command
        return False
    calls = [s.value for s in statements if isinstance(s, ast.Expr)]
    return len(calls) == len(statements) and all(
        isinstance(call, ast.Call) and getattr(call.func, "id", "") in SHOWN for call in calls
    )


class Renderer(IPythonRenderer):
    """Marks formulas by elements; embeds attachments and the pictures beside the notebook."""

    def __init__(self, metadata: Mapping[str, Any], **options: Any) -> None:
        """Take the metadata of the cell, which say where its pictures may lie."""
        super().__init__(escape=False, exclude_anchor_links=True, **options)
        self.folders = [Path(folder) for folder in metadata.get("folders", ())]

    def inline_math(self, body: str) -> str:
        """Mark a formula in a line."""
        return f'<span class="tex">{html.escape(body, quote=False)}</span>'

    def block_math(self, body: str) -> str:
        """Mark a formula on a line of its own."""
        return f'<span class="tex display">{html.escape(body, quote=False)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        """Mark a LaTeX environment as a formula of its own."""
        if name.rstrip("*") in ("equation", "displaymath"):
            return self.block_math(body)
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Write a picture; one that can be embedded is."""
        source = self._embedded(url) or url
        return f'<img src="{html.escape(source)}" alt="{html.escape(text)}">'

    def _embedded(self, url: str) -> str | None:
        if url.startswith("attachment:"):
            attached = {_plain(name): kinds for name, kinds in self.attachments.items()}
            kinds = attached.get(_plain(url.removeprefix("attachment:")), {})
            return next((f"data:{mime};base64,{data}" for mime, data in kinds.items()), None)
        for folder in self.folders:  # the last is the project's
            path = (folder / unquote(url)).resolve()  # a link out of the folder leads out of it
            inside = any(path.is_relative_to(place) for place in (folder, self.folders[-1]))
            if inside and path.is_file():
                return _picture(path)
        return None


def _plain(name: str) -> str:
    """Return the name of an attachment as it is compared: no ``%20``, accents in one form."""
    return unicodedata.normalize("NFC", unquote(name))


def _picture(path: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return data_address(Image.MIME[picture.format], path.read_bytes())
    except (OSError, KeyError):
        return None


class Rapport(HTMLExporter):
    """A page of the report's form: one notebook, or several that were merged."""

    export_from_notebook = "Rapport"

    @default("template_name")
    def _template_name_default(self) -> str:
        return "rapport"

    @default("extra_template_basedirs")
    def _default_extra_template_basedirs(self) -> list[str]:
        return [str(TEMPLATE)]

    @default("language_code")
    def _language_default(self) -> str:
        return "fr"

    @property
    def default_config(self) -> Config:
        """The exporter's own, with the kinds of output that a printed page can show."""
        config = super().default_config
        config.merge(Config({"NbConvertBase": {"display_data_priority": KINDS}}))
        return config

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Turn Markdown into HTML; formulas and pictures as `Renderer` writes them."""
        cell = context.get("cell", {})
        renderer = Renderer(
            cell.get("metadata", {}).get("eurosat", {}), attachments=cell.get("attachments", {})
        )
        source = SPACED.sub(lambda found: found[0].replace(" ", "%20"), source)
        return MarkdownWithMath(renderer=renderer).render(source)

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

    def _init_preprocessors(self) -> None:
        super()._init_preprocessors()

        def bind(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
            return _bind_single(notebook, resources)

        self.register_preprocessor(bind, enabled=True)  # the last: after --execute


def _bind_single(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
    """Leave cells out as the report does; say what stands on top of the page of one notebook."""
    if "report" in resources:
        return notebook, resources
    from eurosat_lib.report.title import Title, french_date

    about = resources.get("metadata", {})
    path = Path(about.get("path") or ".") / f"{about.get('name') or 'notebook'}.ipynb"
    source = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    heading = re.search(r"^# (.+)$", source, re.MULTILINE)
    name = re.sub("[*`]", "", heading[1]).strip() if heading else path.stem
    run = notebook.metadata.get("papermill", {})
    given = {k: v for k, v in (run.get("parameters") or {}).items() if v not in (None, "")}
    card = {"Carnet": path.name}
    if given:
        card["Paramètres"] = ", ".join(f"{key} = {value}" for key, value in given.items())
    day = run.get("start_time")
    date = french_date(datetime.date.fromisoformat(day[:10])) if day else ""
    resources["report"] = Title(name, date=date, card=card)
    resources |= {"folder": path.parent, "single": True}
    faults = check.notebook_problems(path, notebook)
    notebook, more = merge([(path, notebook)], TEMPLATE.parents[1])
    return notebook, resources | {"faults": [*faults, *more]}


class RapportPDF(Rapport):
    """The same page on paper: ``jupyter nbconvert --to rapport-pdf X.ipynb``."""

    export_from_notebook = "Rapport PDF"
    output_mimetype = "application/pdf"

    @default("enabled")
    def _enabled_default(self) -> bool:
        return not _in_server()

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".pdf"

    @default("template_extension")
    def _template_extension_default(self) -> str:
        return ".html.j2"

    def from_notebook_node(
        self, nb: NotebookNode, resources: Mapping[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Export a notebook to the bytes of a PDF."""
        from eurosat_lib.report.pdf import write_pdf

        page, resources = super().from_notebook_node(nb, resources, **kw)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "page.pdf")
            try:
                write_pdf(page, target)
            except UserError as error:
                if _in_server():
                    raise
                sys.exit(f"error: {error}")  # nbconvert would print a trace-back
            resources["output_extension"] = ".pdf"
            return target.read_bytes(), resources


class RapportPDFMenu(RapportPDF):
    """The same under a name without hyphen, the only kind that JupyterLab's server can serve."""

    @default("enabled")
    def _enabled_default(self) -> bool:
        return _in_server()


def _in_server() -> bool:
    module = sys.modules.get("jupyter_server.serverapp")
    return module is not None and module.ServerApp.initialized()
