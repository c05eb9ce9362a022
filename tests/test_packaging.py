"""What installs, checks and builds the project agrees with itself."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from jupyter_server.services.contents.filemanager import FileContentsManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from traitlets.config import Config

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA_ONLY = {"python", "pip", "make", "poppler"}  # no Python package of ours
TARGETS = ["setup", "report", "test", "lint", "lab", "tensorboard", "train", "clean", "help"]
TARGETS += ["captures", "sweep", "compare", "reproduce", "results"]


def declared():
    """Specifier of every package that pyproject.toml names."""
    project = PROJECT["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["dev"]
    found = map(Requirement, lines)
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in found}


def pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_constraints_pin_every_dependency_within_its_range():
    pins = pinned()
    for name, specifier in declared().items():
        assert name in pins
        assert specifier.contains(pins[name]), (name, pins[name], str(specifier))
    assert not [name for name in pins if name.startswith(("nvidia", "cuda", "triton"))]


def test_environment_agrees_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge"]
    *conda, last = environment["dependencies"]
    options = [line for line in last["pip"] if line.startswith("--")]
    assert options == ["--constraint constraints.txt", "--editable .[dev]"]
    lines = [*conda, *(line for line in last["pip"] if not line.startswith("--"))]
    found = {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}
    assert str(found["python"]) == PROJECT["project"]["requires-python"]
    assert set(found) >= CONDA_ONLY
    assert {"torch", "torchvision"} <= set(found) - CONDA_ONLY
    for name in set(found) - CONDA_ONLY:  # --editable .[dev] brings all the others
        assert found[name] == declared()[name], name


def test_import_contracts_know_every_room():
    layers, tools = PROJECT["tool"]["importlinter"]["contracts"]
    rooms = set(re.findall(r"\w+", " ".join(layers["layers"])))
    library = ROOT / "eurosat_lib"
    there = {
        p.stem for p in library.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    there.discard("__init__")
    assert there <= rooms
    sources = {name.removeprefix("eurosat_lib.") for name in tools["source_modules"]}
    assert sources == there - {"live", "report", "views"}


# --- make ---------------------------------------------------------------------------------------


@pytest.fixture
def make(tmp_path):
    """Run make in an activated environment whose interpreter notes its arguments."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    log = tmp_path / "log"
    python = tmp_path / "my env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    note = "import json, sys; open({!r}, 'a').write(json.dumps(sys.argv[1:]) + chr(10))"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{note.format(str(log))}" "$@"\n')
    python.chmod(0o755)
    # Without a repository: setting up writes to git's configuration.
    keep = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_DIR": str(tmp_path / "none")}

    def run(*arguments, **environment):
        log.unlink(missing_ok=True)
        command = ["make", "--no-print-directory", "-C", str(ROOT), *arguments]
        if "VIRTUAL_ENV" not in environment and "CONDA_PREFIX" not in environment:
            environment["VIRTUAL_ENV"] = str(python.parents[1])
        done = subprocess.run(command, env=keep | environment, capture_output=True, text=True)
        calls = log.read_text().splitlines() if log.exists() else []
        return done, [json.loads(call) for call in calls]

    return run


def test_make_installs_once_and_keeps_what_is_quoted(make):
    params = "-p max_epochs 15 -y 'lr_seeds: [0, 1]' -r name \"a $b\""
    done, calls = make("report", "NAME=my run", f"PARAMS={params.replace('$', '$$')}")
    assert done.returncode == 0, done.stderr
    (install,) = [call for call in calls if call[:3] == ["-m", "pip", "install"]]
    assert install[3:] == ["--editable", ".[dev]", "--constraint", "constraints.txt"]
    expected = ["-m", "eurosat_lib.report", "build", "--profile", "auto", "--data", ""]
    assert calls[-1] == [*expected, "--name", "my run", f"--params={params}"]
    done, calls = make("report", "DATA=synthetic", "PROFILE=quick")
    assert [call[3:] for call in calls] == [
        ["--profile", "quick", "--data", "synthetic", "--name", "", "--params="]
    ]


def test_make_train_takes_a_recipe_data_and_name(make):
    make("setup")
    _, calls = make("train", RECIPE="best", DATA="my data", NAME="trial")
    expected = ["train_recipe", "--recipe", "best", "--profile", "auto", "--data", "my data"]
    assert calls == [["-m", "eurosat_lib", *expected, "--name", "trial"]]
    _, calls = make("train", ARGS="--max_epochs 2")
    assert calls == [["-m", "eurosat_lib", "train", "--profile", "auto", "--max_epochs", "2"]]


def test_make_ignores_the_machine_name_of_wsl(make):
    make("setup")
    _, calls = make("report", NAME="DESKTOP-1", WSL_DISTRO_NAME="Debian")
    assert calls[0][calls[0].index("--name") + 1] == ""


@pytest.mark.parametrize(
    ("conda", "expected"),
    [("base", ".venv/bin/python"), ("eurosat", "/opt/conda/envs/x/bin/python")],
)
def test_make_takes_an_activated_conda_environment_but_not_base(make, conda, expected):
    environment = {"CONDA_PREFIX": "/opt/conda/envs/x", "CONDA_DEFAULT_ENV": conda}
    done, _ = make("--print-data-base", "help", **environment)
    assert f"\nPY := {expected}\n" in done.stdout


def test_make_alone_is_help_and_lists_every_target(make):
    done, calls = make()
    listed = re.findall(r"^  (\w+) ", done.stdout, re.MULTILINE)
    assert set(TARGETS) <= set(listed)
    assert {"PROFILE", "DATA", "NAME", "PARAMS"} <= set(listed)
    assert calls == []


# --- JupyterLab ---------------------------------------------------------------------------------


def test_a_notebook_saved_under_make_lab_stays_as_git_has_it(tmp_path):
    settings = Config()
    code = (ROOT / ".ci/lab.py").read_text(encoding="utf-8")
    exec(compile(code, "lab.py", "exec"), {"get_config": lambda: settings})
    (tmp_path / "notebooks").mkdir()
    manager = FileContentsManager(root_dir=str(tmp_path), config=settings)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        source = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(source, as_version=4)
        notebook.metadata["language_info"]["version"] = "3.11.7"
        for cell in notebook.cells:
            cell.metadata["editable"] = True
            if cell.cell_type == "code":
                cell.outputs = [nbformat.v4.new_output("stream", text="seen")]
                cell.execution_count = 3
        model = {"type": "notebook", "format": "json", "content": notebook}
        manager.save(model, f"notebooks/{path.name}")
        assert (tmp_path / "notebooks" / path.name).read_text(encoding="utf-8") == source


def setup(tmp_path, python, **changes):
    variables = {"VENV": ".venv", "PY": ".venv/bin/python", "PYTHON": str(python), "STAMP": "x"}
    environment = {"PATH": os.environ["PATH"]} | variables | changes
    script = ["bash", str(ROOT / ".ci/setup")]
    return subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac',
            "Python 3.9.2 is too old",
        ),
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt install python3-venv"),
    ],
)
def test_setup_says_what_is_missing(tmp_path, body, message):
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    done = setup(tmp_path, python)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / ".venv").exists()
    assert "python9: not found" in setup(tmp_path, "python9").stderr
    assert "deactivate it" in setup(tmp_path, python, VENV="/gone", PY="/gone/bin/python").stderr
