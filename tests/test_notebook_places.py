"""The notebooks find their project from its root and from notebooks/, with a kernel python3."""

import os
import shutil

import nbformat
import pytest
import yaml
from jupyter_client.manager import start_new_kernel
from settings import ROOT, TINY

from eurosat_lib.config import nest

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0a]*.ipynb"))  # compare needs two runs
WAIT = 120  # seconds at most for a cell, on a busy machine


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project root whose profile of every machine is tiny."""
    root = tmp_path_factory.mktemp("project")
    for name in ("configs", "notebooks", "reports/answers"):
        shutil.copytree(ROOT / name, root / name)
    for profile in ("quick", "full"):
        tree = nest(TINY) | {"profile": profile}
        (root / f"configs/profiles/{profile}.yaml").write_text(yaml.safe_dump(tree))
    return root


@pytest.fixture(scope="module")
def execute(project):
    """Run code in one kernel and return what it says; the kernel starts at the root."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    manager, client = start_new_kernel(kernel_name="python3", cwd=project, env=environment)

    def run(code):
        told = []
        reply = client.execute_interactive(code, timeout=WAIT, output_hook=told.append)
        assert reply["content"]["status"] == "ok", reply["content"]
        return [m["content"]["text"] for m in told if m["msg_type"] == "stream"]

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def code_cells(path, *tags):
    """List the code cells of a notebook that carry one of the tags; without tags, all."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    return [c.source for c in code if not tags or set(tags) & set(c.metadata.get("tags", []))]


@pytest.mark.parametrize("place", [".", "notebooks"])
def test_every_notebook_finds_its_project(execute, project, place):
    execute(f"import os; os.chdir({str(project / place)!r})")
    for path in NOTEBOOKS:
        execute("%reset -f")
        setup = code_cells(path, "parameters", "setup")
        assert len(setup) == 2
        for source in setup:
            execute(source)
        assert execute("print(config.paths.root)") == [f"{project}\n"]


@pytest.mark.parametrize("place", [".", "notebooks"])
def test_a_whole_notebook_runs_in_either_place(execute, project, place):
    execute(f"import os; os.chdir({str(project / place)!r})")
    execute("%reset -f")
    for source in code_cells(project / "notebooks/02_baselines.ipynb"):
        execute(source)
    assert (project / "artifacts/facts.json").is_file()
    assert not (project / "notebooks/artifacts").exists()
