"""A notebook in a real JupyterLab: run all its cells, move a view, see it change."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from settings import ROOT, TINY

from eurosat_lib import stages
from eurosat_lib.config import load_config
from eurosat_lib.config.tree import nest
from eurosat_lib.progress import FILE_VARIABLE

START, RUN, MOVE = 60, 120, 20  # seconds at most, on a busy machine


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose quick profile is tiny, trained and evaluated."""
    root = tmp_path_factory.mktemp("lab")
    for name in ("configs", "notebooks", "reports"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("rapport*"))
    profile = nest(TINY) | {"profile": "quick"}
    (root / "configs/profiles/quick.yaml").write_text(yaml.safe_dump(profile))
    config = load_config(root / "configs/config.yaml", "quick")
    for stage in (stages.grid_search, stages.refined_grid_search, stages.compare_finalists):
        stage(config)
    stages.train(config)
    return root


@pytest.fixture(scope="module")
def lab(project):
    """The address of a JupyterLab of that project."""
    pytest.importorskip("jupyterlab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != FILE_VARIABLE}
    environment |= {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(project / ".jupyter")}
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(_whole_notebooks(project / "settings"))
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    options += ["--IdentityProvider.token=", f"--ServerApp.root_dir={project}"]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with (project / "lab.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        address = f"http://127.0.0.1:{port}/lab"
        _wait(address, server, project / "lab.log")
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(START)


def _whole_notebooks(folder: Path) -> Path:
    """Write the setting that keeps cells out of view in the page; returns the folder."""
    place = folder / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"windowingMode": "none"}))
    return folder


def _wait(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.time() + START
    while server.poll() is None and time.time() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab does not answer:\n{log.read_text()[-2000:]}")


@pytest.mark.slow
def test_the_evaluation_runs_and_its_views_move(browser, lab):
    context = browser.new_context(viewport={"width": 1400, "height": 4000})
    page = context.new_page()
    page.goto(f"{lab}/tree/notebooks/07_eval.ipynb?reset", timeout=START * 1000)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=START * 1000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(
        timeout=START * 1000
    )
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    slider = page.locator(".widget-slider [role=slider], .widget-slider .noUi-handle").first
    slider.wait_for(timeout=RUN * 1000, state="attached")
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    cell = page.locator(".jp-Cell", has_text="widgets.threshold(config, evaluation)").last
    before = cell.locator(".line b").first.text_content()
    slider.focus()
    page.keyboard.press("Home")
    cell.locator(".line b", has_text="0,0").first.wait_for(timeout=MOVE * 1000)
    assert cell.locator(".line b").first.text_content() != before
    board = page.locator(".jp-Cell", has_text="widgets.confusion(config, evaluation)").last
    board.locator("button[title='Forest → Forest']").click()
    board.locator(".line", has_text="Forest").first.wait_for(timeout=MOVE * 1000)
    context.close()
