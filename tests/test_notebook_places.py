"""The notebooks find their project from its root and from notebooks/."""

import shutil

import nbformat
import pytest
import yaml
from settings import ROOT, TINY

from eurosat_lib.config import nest

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0a]*.ipynb"))  # compare needs two runs


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


@pytest.mark.parametrize("place", [".", "notebooks"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_finds_its_project_and_one_runs_whole(project, monkeypatch, place, path):
    monkeypatch.chdir(project / place)
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    first = [c for c in cells if {"parameters", "setup"} & set(c.metadata.get("tags", []))]
    assert len(first) == 2
    names = {}
    for cell in cells if path.stem == "02_baselines" else first:
        exec(compile(cell.source, path.name, "exec"), names)
    assert names["config"].paths.root == str(project)
    assert not (project / "notebooks/artifacts").exists()
