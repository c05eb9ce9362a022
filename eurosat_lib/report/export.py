"""Executed notebooks to one French page: nbconvert's exporter, and one pass over what it wrote.

``jupyter nbconvert --to rapport X.ipynb`` and JupyterLab's menu export one notebook by the same
template; a notebook alone may be unfinished, so there the faults are only logged.
"""

from __future__ import annotations

import base64
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
from traitlets.config import Config

from eurosat_lib.config import configure, read_yaml
from eurosat_lib.errors import UserError, one_line
from eurosat_lib.files import PICTURES
from eurosat_lib.report.cells import capture_html, data_address, formula_html
from eurosat_lib.report.page import TEMPLATE, shape, words
from eurosat_lib.report.title import Title
from eurosat_lib.report.words import render

QUESTIONS = "reports/template/questions.yaml"  # headings and questions of the course
LEFT_OUT = {"hide", "exploration", "parameters", "injected-parameters"}  # tags of cells
KINDS = ["text/html", "text/markdown", "text/plain"]  # of outputs, as `_renew_output` leaves them
WIDGET = "application/vnd.jupyter.widget-view+json"  # nothing to see on paper
SPACED = re.compile(r"(?<=\]\()attachment:[^()\n\"]+(?=\))")  # as editors write them
TASK = re.compile(r"^(\s*[-*+] )\[([ xX])\] ", re.MULTILINE)
# "(capture : figure)" or "; capture : figure", of a screenshot still to be taken.
ASIDE = re.compile(r'\s*(?:(\()|;)[^()<>;]*<a href="#(capture-[\w-]+)">[^<]*</a>(?(1)\))')


def bind_page(
    executed: Sequence[Path], title: Title, root: Path, folder: Path | None = None
) -> tuple[str, list[str]]:
    """Bind executed notebooks into the report; answers and screenshots are set anew.

    Args:
        executed: notebooks with outputs, in the order of the report.
        title: what stands on top of the page.
        root: of the project, whose ``QUESTIONS`` say what must be in the page.
        folder: where the page will lie; of its links to files those that exist from there stay.

    Returns:
        The HTML page, and what is wrong with it: one line each, with notebook and cell.

    Raises:
        UserError: a notebook is missing or not readable.
    """
    notebooks = []
    for path in executed:
        try:
            notebooks.append((path, nbformat.read(path, as_version=4)))
        except Exception as error:
            raise UserError(f"{path}: not readable as a notebook ({one_line(error)})") from None
    bound, faults = _merge(notebooks, root)
    resources = {"report": title, "folder": folder or root, "faults": faults}
    resources["wanted"] = wanted = read_yaml(questions := root / QUESTIONS)
    try:
        sound = all({"level", "title"} <= set(one) for one in wanted["sections"])
        sound = sound and isinstance(wanted["questions"], dict)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise UserError(f"{questions}: expected sections (level, title) and questions")
    page, resources = Rapport().from_notebook_node(bound, resources)
    return page, resources["problems"]


def refuse(problems: Sequence[str]) -> None:
    """Raise a ``UserError`` that tells every problem on a line of its own."""
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise UserError("\n  - ".join([f"the report was not built, {count}:", *problems]))


def _merge(
    notebooks: Sequence[tuple[Path, NotebookNode]], root: Path
) -> tuple[NotebookNode, list[str]]:
    """Bind notebooks into one, without the cells tagged to be left out; name what is wrong.

    Every kept cell knows where it comes from, ``05_grid.ipynb, cell 7`` (counted from 1), and in
    which folders its pictures may lie.
    """
    bound, problems = nbformat.v4.new_notebook(metadata=notebooks[0][1].metadata), []
    for path, notebook in notebooks:
        places = (path.parent, root / "notebooks", root / "reports/answers", root)
        folders = [str(place.resolve()) for place in places]
        for number, cell in enumerate(notebook.cells, start=1):
            if LEFT_OUT & set(cell.metadata.get("tags", [])):
                continue
            where = f"{path.name}, cell {number}"
            cell.id = f"c{len(bound.cells)}"
            cell.metadata["eurosat"] = {"where": where, "folders": folders}
            if cell.cell_type == "code":
                problems += [f"{where}: {line}" for line in _renew(cell, root)]
            bound.cells.append(cell)
    return bound, problems


def _renew(cell: NotebookNode, root: Path) -> list[str]:
    """Make the outputs of a cell such as a report shows; drop widgets, and code that only shows.

    What it cannot show is named, with the remedy.
    """
    cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    problems = [fault for output in cell.outputs if (fault := _renew_output(output, root))]
    aside = "".join(o.text for o in cell.outputs if o.get("name") == "stderr").strip()
    if aside:
        problems.append(f"text on stderr: {words(aside)[:90]} (tqdm.auto for a bar, or tag hide)")
    calls = [x for x in cell.source.splitlines() if x and not x.startswith((" ", ")"))]
    if cell.outputs and all(re.match(r"(figure|table|capture|answer)\(", x) for x in calls):
        cell.source = ""
    return problems


def _renew_output(output: NotebookNode, root: Path) -> str | None:
    """Set an answer or screenshot anew; turn formulas and pictures into text."""
    if output.output_type == "error":
        return f"{output.ename}: {words(output.evalue)[:120]}"
    data, kept = output.get("data", {}), output.get("metadata", {}).get("eurosat", {})
    try:
        if "facts" in kept:
            data["text/markdown"] = render(kept["answer"], kept["facts"])
        elif "capture" in kept:
            run = kept["run"] | {"config_path": str(root / "configs/config.yaml")}
            data["text/html"] = capture_html(configure(run), kept["capture"], kept["caption"])
    except UserError as error:
        return str(error)
    if "text/latex" in data:
        data.setdefault("text/markdown", data["text/latex"])
    if {"text/html", "text/markdown"} & set(data):
        return None
    for kind in [kind for kind in data if kind.startswith("image/")]:
        svg = "svg" in kind
        content = base64.b64encode(data[kind].encode()).decode() if svg else data[kind]
        address = html.escape(f"data:{kind};base64,{content}")
        data["text/html"] = f'<img src="{address}" alt="Figure sans légende">'
    plain = "".join(data.get("text/plain", ""))
    lost = plain.startswith("<IPython.") and "text/html" not in data
    return f"{plain}: a report cannot show this; tag the cell hide" if lost else None


class _Renderer(IPythonRenderer):
    """Marks formulas by elements; embeds attachments and the pictures beside the notebook."""

    def __init__(self, cell: Mapping[str, Any]) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.folders = [Path(p) for p in cell["metadata"]["eurosat"]["folders"]]
        self.attached = {
            _plain(f"attachment:{name}"): f"data:{kind};base64,{content}"
            for name, kinds in cell.get("attachments", {}).items()
            for kind, content in kinds.items()
        }

    def inline_math(self, body: str) -> str:
        return formula_html(body)

    def block_math(self, body: str) -> str:
        return formula_html(body, "tex display")

    def latex_environment(self, name: str, body: str) -> str:
        plain = name.rstrip("*") in ("equation", "displaymath")
        return self.block_math(body if plain else rf"\begin{{{name}}}{body}\end{{{name}}}")

    def image(self, text: str, url: str, title: str | None = None) -> str:
        source = self.attached.get(_plain(url)) or self._embedded(unquote(url)) or url
        return f'<img src="{html.escape(source)}" alt="{html.escape(text)}">'

    def _embedded(self, name: str) -> str | None:
        for folder in self.folders:
            try:
                path = (folder / name).resolve()  # a link out of the folders leads out of them
                if any(path.is_relative_to(place) for place in self.folders) and path.is_file():
                    with Image.open(path, formats=(*PICTURES, "GIF")) as picture:
                        return data_address(Image.MIME[picture.format], path.read_bytes())
            except (
                OSError,
                ValueError,
                Image.DecompressionBombError,
            ):  # no picture, no name of a file
                continue
        return None


def _plain(name: str) -> str:
    """Return the name of an attachment as it is compared: no ``%20``, accents in one form."""
    return unicodedata.normalize("NFC", unquote(name))


class Rapport(HTMLExporter):
    """A page of the report's form: one notebook, or several that were merged."""

    export_from_notebook = "Rapport"

    @property
    def default_config(self) -> Config:
        """The exporter's own, with our template and the kinds of output that paper can show."""
        config = super().default_config
        config.NbConvertBase.display_data_priority = KINDS
        config.TemplateExporter.template_name = "rapport"
        config.TemplateExporter.extra_template_basedirs = [str(TEMPLATE)]
        return config

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Turn Markdown into HTML; formulas and pictures as `_Renderer` writes them."""
        source = SPACED.sub(lambda found: found[0].replace(" ", "%20"), source)
        source = TASK.sub(lambda found: f"{found[1]}{'☐' if found[2] == ' ' else '☑'} ", source)
        return MarkdownWithMath(renderer=_Renderer(context["cell"])).render(source)

    def _preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Of one notebook, after ``--execute``, leave cells out as of several."""
        notebook, resources = super()._preprocess(nb, resources)
        if "report" in resources:
            return notebook, resources
        about = resources["metadata"]
        path = Path(about.get("path") or ".") / f"{about['name']}.ipynb"
        source = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        heading = re.search(r"^# (.+)$", source, re.MULTILINE)
        title = Title(heading[1] if heading else path.stem, card={"Carnet": path.name})
        notebook, faults = _merge([(path, notebook)], TEMPLATE.parents[1])
        return notebook, resources | {"report": title, "folder": path.parent, "faults": faults}

    def from_notebook_node(
        self, nb: NotebookNode, resources: Mapping[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Export a notebook, or several merged; ``problems`` of the resources say what is wrong.

        Of merged ones the resources hold ``report`` (the `Title`), ``folder`` (where the page will
        lie), ``wanted`` (what must be in it) and ``faults`` (what is already known to be wrong).
        """
        text, resources = super().from_notebook_node(nb, resources, **kw)
        missing = re.findall(r'<details class="fold" id="(capture-[\w-]+)"', text)
        text = ASIDE.sub(lambda found: "" if found[2] in missing else found[0], text)
        page = lxml.html.document_fromstring(text)
        wanted = resources.get("wanted")
        problems = shape(page, resources["report"], resources["folder"], wanted)
        problems = list(dict.fromkeys([*resources["faults"], *problems]))
        if wanted is None and problems:
            self.log.warning("\n".join(problems))
        page = lxml.html.tostring(page, encoding="unicode", doctype="<!DOCTYPE html>")
        return page + "\n", resources | {"problems": problems}
