"""The notebooks in a real JupyterLab: run, moved, interrupted, exported."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from itertools import chain

import lxml.html
import nbformat
import pytest
import yaml
from PIL import Image
from settings import ROOT, TINY

from eurosat_lib import protocol
from eurosat_lib.config import load_config, nest
from eurosat_lib.progress import BUILT

pytestmark = pytest.mark.slow
PATIENCE = 120  # seconds, on a busy machine
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
OPEN = """async ([path, kernel]) => {
  const wanted = kernel ? {path, kernel: {id: kernel}} : {path};
  const panel = await jupyterapp.commands.execute('docmanager:open', wanted);
  await panel.context.ready;
  await panel.sessionContext.ready;
  jupyterapp.shell.activateById(panel.id);
  for (const cell of panel.content.widgets) cell.node.dataset.cell = cell.model.id;
  return panel.sessionContext.session.kernel.id;
}"""
RUN = """([id, wait]) => {
  const notebook = jupyterapp.shell.currentWidget.content;
  notebook.deselectAll();
  notebook.activeCellIndex = notebook.widgets.findIndex(cell => cell.model.id === id);
  const done = jupyterapp.commands.execute('notebook:run-cell').then(() => null);
  return wait ? done : null;
}"""
CLOSE = r"""async () => {
  const panel = jupyterapp.shell.currentWidget;
  const code = "import ipywidgets; ipywidgets.Widget.close_all()\n%reset -f";
  await panel.sessionContext.session.kernel.requestExecute({code, silent: true}).done;
  await panel.context.save();
  panel.dispose();
}"""
LOOK = """async cell => {
  const drawn = [...cell.querySelectorAll('.jp-OutputArea-output :is(img, .line)')];
  if (drawn.some(node => node.tagName === 'IMG' && !node.naturalWidth)) return null;
  return drawn.map(node => node.src ?? node.outerHTML).join(' ');
}"""  # null while a picture is on its way
# Of each notebook, the cells with a view: the hand's move, after which the picture must differ.
VIEWS = {
    "01_data": {
        "explore-images": lambda lab, cell: lab.drag(cell, 0, 0.9),
        "explore-augmentation": lambda lab, cell: lab.drag(cell, 3, 0.9),
    },
    "04_lr_finder": {"explore-sweep": lambda lab, cell: lab.drag(cell, 0, 0.3)},
    "05_grid": {
        "explore-trials": lambda lab, cell: (
            lab.cell(cell).locator("select").last.select_option(index=2)
        )
    },
    "07_eval": {
        "explore-confusion": lambda lab, cell: lab.open_another(cell),
        "explore-own-image": lambda lab, cell: lab.drop(cell, "mine.png"),
        "explore-threshold": lambda lab, cell: lab.drag(cell, 0, 0.01),
    },
}


@contextmanager
def jupyterlab(project):
    """Serve a project in a home of its own; give the server's address."""
    home = project / ".home"
    for name, values in SETTINGS.items():
        path = home / f".jupyter/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ip=127.0.0.1", "--IdentityProvider.token="]
    command += ["--LabApp.expose_app_in_browser=True"]
    kept = {name: value for name, value in os.environ.items() if name != BUILT}
    environment = kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, cwd=project, env=environment)
    try:
        for _ in range(10 * PATIENCE):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/lab"):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


class Lab:
    def __init__(self, page, project, address):
        self.page, self.project, self.address, self._kernel = page, project, address, None
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{address}/lab")
        page.wait_for_function("window.jupyterapp")
        page.evaluate("jupyterapp.restored.then(() => null)")

    @contextmanager
    def notebook(self, name):
        """Open a notebook; its outputs, afterwards, are neither errors nor on standard error."""
        path = f"notebooks/{name}.ipynb"
        self._kernel = self.page.evaluate(OPEN, [path, self._kernel])
        yield
        self.page.evaluate(CLOSE)
        cells = nbformat.read(self.project / path, 4).cells
        self.outputs = {cell.id: cell.outputs for cell in cells if cell.cell_type == "code"}
        for output in chain.from_iterable(self.outputs.values()):
            assert output.output_type != "error" and output.get("name") != "stderr", output

    def do(self, command):
        self.page.evaluate(f"jupyterapp.commands.execute('notebook:{command}').then(() => 0)")

    def run(self, cell, wait=True):
        self.page.evaluate(RUN, [cell, wait])

    def cell(self, name):
        return self.page.locator(f"[data-cell={name}]")

    def look(self, cell, before=None):
        deadline = time.monotonic() + PATIENCE
        while (seen := self.cell(cell).evaluate(LOOK)) in (None, "", before):
            assert time.monotonic() < deadline, f"{cell}: the picture does not change"
            self.page.wait_for_timeout(50)
        return seen

    def drag(self, cell, slider, share):
        track = self.cell(cell).locator(".noUi-target").nth(slider)
        track.scroll_into_view_if_needed()
        handle, box = track.locator(".noUi-handle").bounding_box(), track.bounding_box()
        height = handle["y"] + handle["height"] / 2
        self.page.mouse.move(handle["x"] + handle["width"] / 2, height)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + share * box["width"], height, steps=3)
        self.page.mouse.up()

    def open_another(self, cell):
        cells = self.cell(cell).locator("button[title*='→']")
        cells.filter(has_text=re.compile(r"^\d+$")).first.click()

    def drop(self, cell, name):
        with self.page.expect_file_chooser() as chosen:
            self.cell(cell).locator("button:has-text('Votre image')").click()
        chosen.value.set_files(self.project / name)


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """A page of JupyterLab at a project whose own profiles are tiny, trained once."""
    root = tmp_path_factory.mktemp("lab")
    for name in ("configs", "notebooks", "reports/answers", "reports/template"):
        shutil.copytree(ROOT / name, root / name)
    for profile in ("quick", "full"):  # what "auto" means, here or with a GPU
        tree = nest(TINY) | {"profile": profile}
        (root / f"configs/profiles/{profile}.yaml").write_text(yaml.safe_dump(tree))
    protocol.train(load_config(root / "configs/config.yaml", "quick"))
    training = root / "notebooks/06_train.ipynb"
    text = training.read_text().replace("max_epochs: int = None", "max_epochs: int = 200")
    training.write_text(text.replace('name: str = \\"\\"', 'name: str = \\"arret\\"'))
    Image.linear_gradient("L").save(root / "mine.png")
    with jupyterlab(root) as address:
        yield Lab(browser.new_page(viewport={"width": 1400, "height": 1000}), root, address)


@pytest.mark.parametrize("name", VIEWS)
def test_a_notebook_runs_its_views_move_and_it_is_exported(lab, name):
    text = (ROOT / f"notebooks/{name}.ipynb").read_text()
    assert set(re.findall(r'"id": "(explore-[\w-]+)"', text)) == set(VIEWS[name])
    with lab.notebook(name):
        lab.do("run-all-cells")
        for cell, move in VIEWS[name].items():
            before = lab.look(cell)
            move(lab, cell)
            lab.look(cell, before)
    assert "rapport" in lab.page.request.get(f"{lab.address}/api/nbconvert").json()  # the menu
    exported = f"{lab.address}/nbconvert/rapport/notebooks/{name}.ipynb"
    headers, timeout = {"Referer": f"{lab.address}/lab"}, 1000 * PATIENCE
    answer = lab.page.request.get(exported, headers=headers, timeout=timeout)
    page = lxml.html.document_fromstring(answer.text())
    assert page.get("lang") == "fr" and page.xpath("//main//*[@class='answer reply']")
    assert page.xpath("//main//figure//img")


def test_a_training_is_stopped_and_goes_on(lab):
    with lab.notebook("06_train"):
        for cell in ("parameters", "setup", "explore-live"):
            lab.run(cell)
        lab.run("train", wait=False)
        lab.look("train")  # the live curve
        lab.do("interrupt-kernel")
        stopped = lab.cell("train").locator(".jp-OutputArea-output")
        stopped.get_by_text("Calcul arrêté.").first.wait_for()
        lab.run("train")
    said = "".join(output.get("text", "") for output in lab.outputs["train"])
    after = re.search(r"Reprise après l’époque (\d+) sur 200\.", said)
    assert after and 1 <= int(after[1]) < 200, said
    assert sum("<img" in str(output.get("data")) for output in lab.outputs["train"]) == 1  # live
