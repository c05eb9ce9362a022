"""A JupyterLab server on a project, with nothing of the user's own Jupyter."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from contextlib import contextmanager

from settings import ROOT

from eurosat_lib.progress import BUILT

PATIENCE = 120  # seconds, on a busy machine
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@contextmanager
def jupyterlab(project):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ip=127.0.0.1", "--IdentityProvider.token="]
    command += ["--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={project}"]
    log = project / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=_environment(project))
    try:
        _wait(f"http://127.0.0.1:{port}/lab", server, log)
        yield f"http://127.0.0.1:{port}/lab"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE)


def _environment(project):
    private = project / ".jupyter"
    for name, values in SETTINGS.items():
        path = private / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    distribution = private / "site/eurosat_report-0.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Name: eurosat-report\nVersion: 0\n")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [f"{name} = {place}" for name, place in declared["nbconvert.exporters"].items()]
    text = "\n".join(["[nbconvert.exporters]", *lines])
    (distribution / "entry_points.txt").write_text(text)
    return {key: value for key, value in os.environ.items() if key != BUILT} | {
        "PYTHONPATH": f"{private / 'site'}{os.pathsep}{ROOT}",
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(private / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
    }


def _wait(address, server, log):
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()[-2000:]}")
