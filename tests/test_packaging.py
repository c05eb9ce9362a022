"""What installs, checks and builds the project agrees with itself."""

import json
import os
import re
import subprocess
import sys
import tomllib
from itertools import chain

import nbformat
import pytest
import yaml
from jupyter_server.services.contents.filemanager import FileContentsManager
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from settings import ROOT
from traitlets.config import PyFileConfigLoader

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA_ONLY = {"python", "pip", "make", "poppler"}  # no Python package of ours


def required(lines):
    """Specifier of every package of a list."""
    return {canonicalize_name(one.name): one.specifier for one in map(Requirement, lines)}


DECLARED = required(PROJECT["project"]["dependencies"])
TOOLS = required(PROJECT["project"]["optional-dependencies"]["dev"])
LINES = (ROOT / "constraints.txt").read_text().splitlines()
PINS = required(line for line in LINES if line and not line.startswith("#"))


def test_constraints_pin_every_dependency_within_its_range():
    for name, specifier in (DECLARED | TOOLS).items():
        (pin,) = PINS[name]
        assert specifier.contains(pin.version), (name, pin.version, str(specifier))
    assert not [name for name in PINS if name.startswith(("nvidia", "cuda", "triton"))]


@pytest.mark.parametrize("target", ["3.11 linux", "3.12 linux", "3.14 aarch64-apple-darwin"])
def test_the_pins_resolve_to_wheels_from_the_oldest_python_to_the_newest(target):
    command = "uv pip compile pyproject.toml --extra dev -c constraints.txt --only-binary :all:"
    options = zip(("--python-version", "--python-platform"), target.split(), strict=True)
    words = [sys.executable, "-m", *command.split(), *chain.from_iterable(options)]
    words += ["--system-certs", "--quiet"]
    own = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
    done = subprocess.run(words, cwd=ROOT, env=own, capture_output=True, text=True)
    if "Failed to fetch" in done.stderr:
        pytest.skip("no package index answers")
    assert done.returncode == 0, done.stderr
    chosen = required(line for line in done.stdout.splitlines() if line[:1].isalnum())
    assert chosen["torch"] == PINS["torch"]
    free = {name for name in set(chosen) - set(PINS) if not name.startswith(("nvidia", "cuda"))}
    assert free <= {"triton"}  # those of torch on a GPU alone are torch's affair


def test_environment_agrees_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, last = environment["dependencies"]
    options = [line for line in last["pip"] if line.startswith("--")]
    assert options == ["--constraint constraints.txt", "--editable ."]
    found = required([*conda, *(line for line in last["pip"] if not line.startswith("--"))])
    assert found["python"] == SpecifierSet(PROJECT["project"]["requires-python"])
    assert {*CONDA_ONLY, "torch", "torchvision"} <= set(found)
    for name in set(found) - CONDA_ONLY:  # --editable . brings all the others
        assert found[name] == DECLARED[name], name


@pytest.fixture
def make(tmp_path):
    """Run make in an activated environment whose interpreter notes its arguments."""
    log = tmp_path / "log"
    python = tmp_path / "my env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    note = "import json, os, sys; open({!r}, 'a').write(json.dumps(sys.argv[1:]) + chr(10))"
    note += "; print(os.environ.get('SAYS', '')); sys.exit(os.environ.get('BROKEN') in sys.argv)"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{note.format(str(log))}" "$@"\n')
    python.chmod(0o755)
    # Without a repository: setting up writes to git's configuration.
    keep = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_DIR": str(tmp_path / "none")}

    def run(*arguments, **environment):
        log.unlink(missing_ok=True)
        command = ["make", "--no-print-directory", "-C", str(ROOT), *arguments]
        own = keep | {"VIRTUAL_ENV": str(python.parents[1])} | environment
        done = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
        calls = log.read_text().splitlines() if log.exists() else []
        return done.stdout, [json.loads(call) for call in calls]

    return run


def test_make_installs_once_and_keeps_what_is_quoted(make):
    params = "-p max_epochs 15 -y 'lr_seeds: [0, 1]' -r name \"a $b\""
    _, calls = make("report", "NAME=my run", f"PARAMS={params.replace('$', '$$')}")
    what = ["--editable", ".", "--constraint", "constraints.txt"]
    (install,) = [call for call in calls if call[:4] == ["-m", "uv", "pip", "install"]]
    assert install[-4:] == what and ["-m", "pip", "install", *what] not in calls
    expected = ["-m", "eurosat_lib.report", "build", "--profile", "auto", "--data", ""]
    assert calls[-1] == [*expected, "--name", "my run", f"--params={params}"]
    _, calls = make("report", "DATA=synthetic", WSL_DISTRO_NAME="Debian", NAME="DESKTOP-1")
    assert [call[5:] for call in calls] == [["--data", "synthetic", "--name", "", "--params="]]
    _, calls = make("train", RECIPE="best", DATA="my data", NAME="trial")
    expected = ["train_recipe", "--recipe", "best", "--profile", "auto", "--data", "my data"]
    assert calls == [["-m", "eurosat_lib", *expected, "--name", "trial"]]
    _, calls = make("train", ARGS="--max_epochs 2")
    assert calls == [["-m", "eurosat_lib", "train", "--profile", "auto", "--max_epochs", "2"]]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make("report", "NMAE=trial")
    assert "unknown variable NMAE" in refused.value.stderr and refused.value.returncode == 2
    _, calls = make("test")
    assert any(".[dev]" in call for call in calls) and calls[-1][:2] == ["-m", "pytest"]


def test_every_target_gives_its_variables_to_its_command(make):
    for words, expected in {
        "compare A=a B=b": "compare -- a b",
        "reproduce NAME=x STAGES=train": "reproduce --name x --stages train",
        "results NAME=x": "results --name x",
        "captures NAME=x": "captures --name x",
        "tensorboard NAME=x": "--logdir runs/x",
        "01_data NAME=x": "--name x --params= --only 01_data",
        "sweep PROFILE=quick SWEEP=s": "sweep --profile quick --data  --name  --params= -- s",
        "test ARGS=--lf": "--no-loadscope-reorder --lf",
    }.items():
        assert " ".join(make(*words.split())[1][-1]).endswith(f" {expected}"), words


@pytest.mark.parametrize(
    ("told", "by_uv"),
    [
        ({"BROKEN": "uv"}, False),
        ({"SAYS": "global.index-url='https://x'"}, False),
        ({"SAYS": "global.extra-index-url='https://x'"}, True),
    ],
)
def test_pip_installs_where_uv_cannot(make, tmp_path, told, by_uv):
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "none"], check=True)
    old = tmp_path / "my env/.eurosat-report-1"
    old.touch()
    _, calls = make("setup", **told)
    assert not old.exists() and [*old.parent.glob(".eurosat-report-*")]
    kept = (tmp_path / "none/config").read_text()
    assert re.search("clean = .*/my env/bin/python' -m nbstripout", kept)
    what = ["--editable", ".", "--constraint", "constraints.txt"]
    assert (["-m", "pip", "install", *what] in calls) is not by_uv


def test_make_takes_and_cleans_nothing_but_notebooks_of_the_project(make, tmp_path):
    copies = tmp_path / "reports/notebooks"
    copies.mkdir(parents=True)
    for folder in ("notebooks", "eurosat_lib", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name in ("01_data", "08_mon report", "09_l'essai"):
        (tmp_path / f"notebooks/{name}.ipynb").touch()
        (copies / f"{name}.ipynb").touch()
    for name in ("01_data.failed", "08_mes_notes"):
        (copies / f"{name}.ipynb").touch()
    told, _ = make("-C", str(tmp_path), "-n", "report")
    assert "build --profile" in told and "--only" not in told
    for kept in ("reports/answers/D1.md", "artifacts/done/MODEL_CARD.md"):
        (tmp_path / kept).parent.mkdir(parents=True)
        (tmp_path / kept).touch()
    make("-C", str(tmp_path), "clean")
    assert [path.name for path in copies.iterdir()] == ["08_mes_notes.ipynb"]
    assert (tmp_path / "reports/answers/D1.md").exists()
    for name in ("answers", "done"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            make("-C", str(tmp_path), "clean", f"NAME={name}")
        assert refused.value.returncode == 2
    stamps = set()
    for pin in ("a==1", "a==2"):
        (tmp_path / "constraints.txt").write_text(pin)
        stamps |= {*re.findall(r"^STAMP := .*", make("-C", str(tmp_path), "-p", "help")[0], re.M)}
    assert len(stamps) == 2  # another pin, another installation


def test_make_alone_is_help_and_takes_an_activated_conda_environment_but_not_base(make):
    text, calls = make()
    listed = re.findall(r"^  (\w+) ", text, re.MULTILINE)
    targets = re.findall(r"^([a-z]+):.*#", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(targets) > 12 and {*targets, "PROFILE", "NAME"} <= set(listed) and calls == []
    for name, expected in (("base", ".venv/bin"), ("eurosat", "/opt/conda/envs/x/bin")):
        conda = {"CONDA_PREFIX": "/opt/conda/envs/x", "CONDA_DEFAULT_ENV": name}
        text, _ = make("--print-data-base", "help", VIRTUAL_ENV="", **conda)
        assert f"\nPY := {expected}/python\n" in text


def test_a_notebook_saved_under_make_lab_stays_as_git_has_it(tmp_path):
    settings = PyFileConfigLoader(str(ROOT / ".ci/lab.py")).load_config()
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


AS_3_14_1 = f"""exec {sys.executable} -c 'import sys
sys.version_info = (3, 14, 1, "final", 0)
exec(sys.argv[1])' "$2" """


@pytest.mark.parametrize(
    ("python", "body", "variables", "message"),
    [
        ("python3", "echo Python 3.9.2; exit 1", {}, "Python 3.9.2 does not fit"),
        ("python3", 'case "$2" in *ensurepip*) exit 1;; esac', {}, "apt install python3-venv"),
        ("python3", AS_3_14_1, {}, "not 3.14.1"),
        ("python9", "", {}, "python9: not found"),
        ("python3", "", {"VENV": "/gone", "PY": "/gone/bin/python"}, "deactivate it"),
    ],
)
def test_setup_says_what_is_missing(tmp_path, python, body, variables, message):
    if python == "python3":
        (tmp_path / python).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / python).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": python, "STAMP": "x"}
    environment |= {"VENV": ".venv", "PY": ".venv/bin/python"} | variables
    script = ["bash", str(ROOT / ".ci/setup")]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and message in done.stderr
    assert not (tmp_path / ".venv").exists()
