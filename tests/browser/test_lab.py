"""The notebooks in a real JupyterLab: run, moved, interrupted, exported."""

import re
import shutil

import lxml.html
import pytest
import yaml
from lab_page import Lab
from lab_server import PATIENCE, jupyterlab
from PIL import Image
from settings import ROOT, TINY

from eurosat_lib import protocol
from eurosat_lib.config import load_config, nest

pytestmark = pytest.mark.slow
# Of each notebook, the cells with a view: the hand's move, after which the picture must differ.
VIEWS = {
    "01_data": {
        "explore-images": lambda lab, cell: lab.drag(cell, 0, 0.9),
        "explore-augmentation": lambda lab, cell: lab.drag(cell, 3, 0.9),
    },
    "04_lr_finder": {"explore-sweep": lambda lab, cell: lab.drag(cell, 0, 0.3)},
    "05_grid": {"explore-trials": lambda lab, cell: lab.choose(cell, -1, 2)},
    "07_eval": {
        "explore-confusion": lambda lab, cell: _open_another(lab, cell),
        "explore-own-image": lambda lab, cell: _drop(lab, cell),
        "explore-threshold": lambda lab, cell: lab.drag(cell, 0, 0.01),
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose own profiles are tiny, trained once."""
    root = tmp_path_factory.mktemp("lab")
    for name in ("configs", "notebooks", "reports/answers", "reports/template"):
        shutil.copytree(ROOT / name, root / name)
    for profile in ("quick", "full"):  # what "auto" means, here or with a GPU
        tree = nest(TINY) | {"profile": profile}
        (root / f"configs/profiles/{profile}.yaml").write_text(yaml.safe_dump(tree))
    protocol.train(load_config(root / "configs/config.yaml", "quick"))
    return root


@pytest.fixture(scope="module")
def lab(browser, project):
    """A page of JupyterLab at that project."""
    pytest.importorskip("jupyterlab", reason="needs: pip install jupyterlab")
    with jupyterlab(project) as address:
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        yield Lab(context.new_page(), address)
        context.close()


def _open_another(lab, cell):
    closed = lab.cell(cell).locator("button[title*='→']:not([style*='solid'])")
    closed.filter(has_text=re.compile(r"^\d+$")).first.click()


def _drop(lab, cell):
    path = lab.pictures / "mine.png"
    Image.linear_gradient("L").save(path)
    with lab.page.expect_file_chooser() as chosen:
        lab.press(cell, "Votre image")
    chosen.value.set_files(path)


def troubles(lab):
    """List the outputs that no notebook may have: errors, and lines on standard error."""
    found = lab.outputs()
    return [o for o in found if o["output_type"] == "error" or o.get("name") == "stderr"]


@pytest.mark.parametrize("name", VIEWS)
def test_a_notebook_runs_and_its_views_move(lab, tmp_path, name):
    lab.pictures = tmp_path
    with lab.notebook(name):
        lab.run_all()
        assert troubles(lab) == []
        for cell, move in VIEWS[name].items():
            before = lab.look(cell)
            move(lab, cell)
            lab.look(cell, before)
        assert troubles(lab) == []


def test_all_views_are_moved():
    sources = [(ROOT / "notebooks" / f"{name}.ipynb").read_text() for name in VIEWS]
    written = {cell for text in sources for cell in re.findall(r'"id": "(explore-[\w-]+)"', text)}
    assert written == {cell for cells in VIEWS.values() for cell in cells}


def test_a_training_is_stopped_and_goes_on(lab):
    with lab.notebook("06_train"):
        lab.write("parameters", 'name: str = ""', 'name: str = "arret"')
        lab.write("parameters", "max_epochs: int = None", "max_epochs: int = 200")
        for cell in ("parameters", "setup", "explore-live"):
            lab.run(cell)
        lab.run("train", wait=False)
        lab.look("train")  # the live curve
        lab.interrupt()
        lab.await_text("train", "Calcul arrêté.")
        lab.run("train")
        assert troubles(lab) == []
        said = [o["text"] for o in lab.outputs("train") if o["output_type"] == "stream"]
        after = re.search(r"Reprise après l’époque (\d+) sur 200\.", "".join(said))
        assert after and 1 <= int(after[1]) < 200, said
        assert sum("<img" in str(o.get("data")) for o in lab.outputs("train")) == 1  # live


def test_a_notebook_is_exported_through_the_menu(lab, tmp_path):
    with lab.notebook("02_baselines"):
        lab.menu("Run", "Run All Cells")
        answered = "[data-cell=baselines-table] .jp-OutputArea-output"
        lab.page.locator(answered).first.wait_for(timeout=1000 * PATIENCE)
        assert troubles(lab) == []
        saved = lab.download("File", "Save and Export Notebook As", "Rapport")
        saved.save_as(tmp_path / "page.html")
    page = lxml.html.parse(tmp_path / "page.html").getroot()
    assert saved.suggested_filename == "02_baselines.html" and page.get("lang") == "fr"
    assert page.xpath("//*[@id='M0']") and page.xpath("//figure//img")
