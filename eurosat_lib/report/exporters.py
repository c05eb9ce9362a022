"""``jupyter nbconvert --to rapport X.ipynb`` and ``--to rapport-pdf``: one notebook, our look.

They are entry points of the project, so that JupyterLab's menu "Save and Export Notebook As"
offers them too; there the PDF is called ``rapport_pdf``, because Jupyter's server knows no address
with a hyphen. A notebook alone may be unfinished: what the report refuses is only logged.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lxml.html
from nbformat import NotebookNode
from traitlets import default

from eurosat_lib.report.assemble import paper, to_text
from eurosat_lib.report.checks import content_problems, notebook_problems
from eurosat_lib.report.export import PageExporter, merge
from eurosat_lib.report.page import complete, shape
from eurosat_lib.report.pdf import write_pdf
from eurosat_lib.report.single import describe

LEFT_OUT = frozenset({"setup", "exploration", "parameters", "injected-parameters"})


class RapportExporter(PageExporter):
    """One executed notebook as a page of the report's form."""

    export_from_notebook = "Rapport"

    def from_notebook_node(
        self, nb: NotebookNode, resources: Mapping[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Export a notebook; ``resources["metadata"]`` may hold its ``name`` and ``path``."""
        page, resources = self._finished(nb, resources, **kw)
        return to_text(page), resources

    def _finished(self, nb: NotebookNode, resources: Any, **kw: Any) -> tuple[Any, dict]:
        text, resources = super().from_notebook_node(nb, resources, **kw)
        page = lxml.html.document_fromstring(text)
        problems = shape(page, resources["report"])
        for problem in [*problems, *content_problems(page.get_element_by_id("contenu"))]:
            self.log.warning(problem)
        for link in page.xpath("//main//a[starts-with(@href, '#')]"):
            if not page.xpath("//*[@id=$name]", name=link.get("href")[1:]):
                link.drop_tag()  # to a figure of another notebook
        return complete(page, {}), resources

    def _init_preprocessors(self) -> None:
        super()._init_preprocessors()

        def bind(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
            return self._bind(notebook, resources)

        self.register_preprocessor(bind, enabled=True)  # the last: after --execute

    def _bind(self, notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Leave cells out as the report does, and say what stands on top of the page."""
        metadata = resources.get("metadata", {})
        path = Path(metadata.get("path") or ".") / f"{metadata.get('name') or 'notebook'}.ipynb"
        for problem in notebook_problems(path, notebook):
            self.log.warning(problem)
        resources["report"] = describe(notebook, path)
        resources |= {"links": {}, "single": True}
        return merge([(path, notebook)], LEFT_OUT), resources


class MenuPDFExporter(RapportExporter):
    """The same page, printed: A4, tagged, fonts embedded; under a name that a server can take."""

    export_from_notebook = "Rapport PDF"
    output_mimetype = "application/pdf"

    @default("enabled")
    def _enabled_default(self) -> bool:
        return _in_server()

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".pdf"

    @default("template_extension")
    def _template_extension_default(self) -> str:
        return ".html.j2"

    def from_notebook_node(
        self, nb: NotebookNode, resources: Mapping[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Export a notebook to the bytes of a PDF.

        Raises:
            PangoMissing: WeasyPrint's system library is missing; says what to install.
        """
        page, resources = self._finished(nb, resources, **kw)
        with tempfile.TemporaryDirectory(prefix="eurosat-") as folder:
            target = Path(folder, "page.pdf")
            write_pdf(to_text(paper(page)), target)
            content = target.read_bytes()
        resources["output_extension"] = ".pdf"
        return content, resources


class RapportPDFExporter(MenuPDFExporter):
    """The same for the command line."""

    @default("enabled")
    def _enabled_default(self) -> bool:
        return not _in_server()


def _in_server() -> bool:
    """Tell whether this is JupyterLab's server rather than a command."""
    module = sys.modules.get("jupyter_server.serverapp")
    return module is not None and module.ServerApp.initialized()
