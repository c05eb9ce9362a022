"""Fill the landing notebook in, so that JupyterLab opens on its tables and not on bare code."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from eurosat_lib.config import configure
from eurosat_lib.errors import UserError
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.execution import execute
from eurosat_lib.report.runner.failures import NotebookFailed
from eurosat_lib.report.runner.parameters import read_notebook
from eurosat_lib.report.runner.plan import Request

NAME = "accueil.ipynb"


def prepare(request: Request, console: Console) -> Path:
    """Execute ``notebooks/accueil.ipynb`` into ``reports/``; return the copy.

    The source stays without outputs, and git sees no change. If it cannot be executed, the copy
    is the source as it is, and the console says why.

    Args:
        request: its profile, data and name are the page's.
        console: shows the progress of the first call, which reads the images.

    Raises:
        UserError: profile, data or name are wrong, or there is no such notebook.
    """
    fields = ("config_path", "profile", "data", "name")
    values = {field: getattr(request, field) for field in fields if getattr(request, field)}
    root = Path(configure(**values).paths.root)
    notebook = read_notebook(root / "notebooks" / NAME)
    page = root / "reports" / NAME
    page.parent.mkdir(exist_ok=True)
    partial = page.with_name(f".{page.stem}.{os.getpid()}.ipynb")
    with tempfile.TemporaryDirectory(prefix="eurosat-") as temporary:
        events = Path(temporary, "progress.jsonl")
        console.begin("landing page", None, events)
        try:
            execute(notebook, values, partial, page.parent, events, console.tick)
            _fold_given(partial)
            console.finish()
        except (UserError, NotebookFailed) as error:
            console.abandon()
            console.line(f"left empty: {error}")
            shutil.copyfile(notebook.path, partial)
        except BaseException:
            console.abandon()
            partial.unlink(missing_ok=True)
            raise
    os.replace(partial, page)
    return page


def _fold_given(path: Path) -> None:
    """Fold the cell of given values away, as the parameters are."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    for cell in tree["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", ()):
            cell["metadata"]["jupyter"] = {"source_hidden": True}
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
