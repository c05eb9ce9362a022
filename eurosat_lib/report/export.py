"""Executed notebooks to one French page: nbconvert's exporter, and one pass over what it wrote.

``jupyter nbconvert --to rapport X.ipynb``, or ``rapport-pdf``, and JupyterLab's menu export one
notebook by the same template; it may be unfinished, so its faults are only logged.
"""

import html
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import lxml.html
import nbformat
from jinja2 import pass_context
from nbconvert.exporters import Exporter, HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Application, Config

from eurosat_lib.config import configure, read_yaml
from eurosat_lib.errors import UserError, one_line
from eurosat_lib.report.cells import capture_html, data_address, formula_html
from eurosat_lib.report.page import QUESTIONS, SHOWN, TEMPLATE, shape, words
from eurosat_lib.report.pdf import make_pdf
from eurosat_lib.report.plan import picture_places
from eurosat_lib.report.title import Title
from eurosat_lib.report.words import render

Notebooks = Mapping[Path, NotebookNode]  # executed, in the order of the report
# HTML, what is wrong with it, one line each, and the addresses of pictures that were files.
Page = tuple[str, list[str], list[str]]

LEFT_OUT = {"hide", "exploration", "parameters", "injected-parameters"}  # tags of cells
KINDS = ["text/html", "text/markdown", "text/plain"]  # of outputs, as `_renew_output` leaves them
WIDGET = "application/vnd.jupyter.widget-view+json"  # nothing to see on paper
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # what XML cannot hold
HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
# "(capture : figure)" or "; capture : figure", of a screenshot still to be taken.
ASIDE = re.compile(r'\s*(?:(\()|;)[^()<>;]*<a href="#(capture-[\w-]+)">[^<]*</a>(?(1)\))')


def bind_page(paths: Sequence[Path], title: Title, root: Path, folder: Path | None = None) -> Page:
    """Bind executed notebooks into the report; answers and screenshots are set anew.

    Args:
        paths: of executed notebooks, in the order of the report.
        title: what stands on top of the page.
        root: of the project, whose ``QUESTIONS`` say what must be in the page.
        folder: where the page will lie; of its links to files those that exist from there stay.

    Returns:
        The HTML page; what is wrong with it, one line each, with notebook and cell; the addresses
        of the pictures that were looked for as files.

    Raises:
        UserError: a notebook is missing or not readable.
    """
    notebooks = {}
    for path in paths:
        try:
            notebooks[path] = nbformat.read(path, as_version=4)
        except Exception as error:
            raise UserError(f"{path}: not readable as a notebook ({one_line(error)})") from None
    return Rapport().bind(notebooks, title, root, folder or root, read_yaml(root / QUESTIONS))


def _merge(notebooks: Notebooks, root: Path) -> tuple[NotebookNode, list[str]]:
    """Bind notebooks into one, without the cells tagged to be left out; name what is wrong.

    Every kept cell knows where it comes from, ``05_grid.ipynb, cell 7`` (counted from 1).
    """
    bound, problems = nbformat.v4.new_notebook(), []
    for path, notebook in notebooks.items():
        bound.metadata = notebook.metadata
        for number, cell in enumerate(notebook.cells, start=1):
            if LEFT_OUT & set(cell.metadata.get("tags", [])):
                continue
            where = f"{path.name}, cell {number}"
            cell.id = f"c{len(bound.cells)}"
            cell.metadata["where"] = where
            if cell.cell_type == "code":
                problems += [f"{where}: {line}" for line in _renew(cell, root)]
            bound.cells.append(cell)
    return bound, problems


def _renew(cell: NotebookNode, root: Path) -> Iterator[str]:
    """Make the outputs of a cell such as a report shows; drop widgets, and code that only shows.

    What it cannot show is named, with the remedy.
    """
    cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    for output in cell.outputs:
        yield from _renew_output(output, root)
    aside = "".join(o.text for o in cell.outputs if o.get("name") == "stderr").strip()
    if aside:
        yield f"text on stderr: {words(aside)[:90]} (tqdm.auto for a bar, or tag hide)"
    calls = [x for x in cell.source.splitlines() if x and not x.startswith((" ", ")"))]
    if cell.outputs and all(re.match(r"(figure|table|capture|answer)\(", x) for x in calls):
        cell.source = ""


def _renew_output(output: NotebookNode, root: Path) -> Iterator[str]:
    """Set an answer or screenshot anew; turn formulas and pictures into text."""
    data, kept = output.get("data", {}), output.get("metadata", {}).get("eurosat", {})
    try:
        if "facts" in kept:
            data["text/markdown"] = render(kept["answer"], kept["facts"])
        elif "capture" in kept:
            run = kept["run"] | {"config_path": str(root / "configs/config.yaml")}
            data["text/html"] = capture_html(configure(run), kept["capture"], kept["caption"])
    except UserError as error:
        yield str(error)
    if "text/latex" in data:
        data.setdefault("text/markdown", data["text/latex"])
    plain, shown = "".join(data.get("text/plain", "")), bool({*KINDS[:2]} & {*data})
    pictures = [] if shown else [kind for kind in data if kind.startswith("image/")]
    for kind in pictures:  # of several forms the last is taken
        address = f"data:{kind};base64,{data[kind]}"
        if "svg" in kind:  # which is text
            address = data_address(kind, data[kind].encode())
        data["text/html"] = f'<img src="{html.escape(address)}" alt="Figure sans légende">'
        shown = True
    if output.output_type == "error":
        yield f"{output.ename}: {words(output.evalue)[:120]}"
    elif plain.startswith("<IPython.") and not shown:
        yield f"{plain}: a report cannot show this; tag the cell hide"


class _Renderer(IPythonRenderer):
    """Marks formulas by elements; embeds attachments."""

    def __init__(self, cell: Mapping[str, Any]) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.attached = {
            f"attachment:{name}": f"data:{kind};base64,{content}"
            for name, kinds in cell.get("attachments", {}).items()
            for kind, content in kinds.items()
        }

    def inline_math(self, body: str) -> str:
        """Write a formula of a line as MathML."""
        return formula_html(body)

    def block_math(self, body: str) -> str:
        """Write a displayed formula."""
        return formula_html(body, "tex display")

    def latex_environment(self, name: str, body: str) -> str:
        """Write a LaTeX environment as a displayed formula."""
        plain = name.rstrip("*") in ("equation", "displaymath")
        return self.block_math(body if plain else rf"\begin{{{name}}}{body}\end{{{name}}}")

    def task_list_item(self, text: str, checked: bool = False) -> str:
        """Write a box to tick as a sign, which needs no label."""
        start, box = "<p>" * text.startswith("<p>"), "☑" if checked else "☐"
        return f"<li>{start}{box} {text.removeprefix(start)}</li>"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Write a picture, with the data of an attachment."""
        source = self.attached.get(unquote(url), url)
        plain = html.unescape(re.sub("<[^>]*>", "", text))
        return f'<img src="{html.escape(source)}" alt="{html.escape(plain)}">'


def _embedded(source: str, folders: Sequence[Path]) -> str:
    """Return the address of a picture; one that lies in a folder is held by its address."""
    folders = [folder.resolve() for folder in folders]
    for folder in folders:
        with suppress(OSError, ValueError, Image.DecompressionBombError):  # no picture there
            path = (folder / unquote(source)).resolve()  # a link out of the folders leads out
            if any(map(path.is_relative_to, folders)):
                with Image.open(path, formats=SHOWN) as picture:
                    return data_address(Image.MIME[picture.format], path.read_bytes())
    return source


def take_title(notebook: NotebookNode) -> str:
    """Take the first heading of a notebook out of it; return its text."""
    for cell in notebook.cells:
        found = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if found:
            cell.source = cell.source[: found.start()] + cell.source[found.end() :]
            return found[1]
    return ""


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
        return MarkdownWithMath(renderer=_Renderer(context["cell"])).render(source)

    def bind(
        self, notebooks: Notebooks, title: Title, root: Path, folder: Path, wanted: dict | None
    ) -> Page:
        """Make a page of executed notebooks; return it as ``bind_page`` does.

        It will lie in the folder; ``wanted`` is what must be in it.
        """
        bound, faults = _merge(notebooks, root)
        text, _ = super().from_notebook_node(bound, {"report": title, "wanted": wanted})
        missing = re.findall(r'<details class="fold" id="(capture-[\w-]+)"', text)
        text = ASIDE.sub(lambda found: "" if found[2] in missing else found[0], text)
        page = lxml.html.document_fromstring(CONTROL.sub("", text))
        folders = picture_places(root, notebooks)
        images = page.xpath("//img[not(starts-with(@src, 'data:'))]")
        pictures = [image.get("src", "") for image in images]
        for image, address in zip(images, pictures, strict=True):
            image.set("src", _embedded(address, folders))
        problems = dict.fromkeys([*faults, *shape(page, title, folder, wanted)])
        text = lxml.html.tostring(page, encoding="unicode", doctype="<!DOCTYPE html>")
        return f"{text}\n", [*problems], pictures

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **_: Any) -> tuple:
        """Export one notebook; it may be unfinished, so its faults are only logged."""
        nb, resources = Exporter.from_notebook_node(self, nb, resources)  # --execute
        about = resources["metadata"]
        path = Path(about.get("path") or ".") / f"{about['name']}.ipynb"
        title = Title(take_title(nb) or path.stem, card={"Carnet": path.name})
        root = TEMPLATE.parents[1]
        page, problems, _ = Rapport().bind({path: nb}, title, root, path.parent, None)
        if problems:
            self.log.warning("\n".join(problems))
        return page, resources


class RapportPDF(Rapport):
    """The same page on paper."""

    export_from_notebook = "Rapport (PDF)"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **_: Any) -> tuple:
        """Print one notebook; what cannot be shown is logged and left out."""
        page, resources = super().from_notebook_node(nb, resources)
        self.output_mimetype = "application/pdf"  # the template's is HTML
        try:
            return make_pdf(page)[0], resources | {"output_extension": ".pdf"}
        except UserError as error:
            if Application.initialized() and Application.instance().name == "jupyter-nbconvert":
                sys.exit(f"error: {error}")  # JupyterLab, which must not end, shows it itself
            raise
