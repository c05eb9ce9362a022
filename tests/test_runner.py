"""The runner, on two small notebooks of its own; the seven real ones have their own test."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from eurosat_lib.config import configure
from eurosat_lib.errors import UserError
from eurosat_lib.report.__main__ import main
from eurosat_lib.report.runner import Request, binding, build, incremental, run, runcard
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.options import parse_options
from eurosat_lib.report.runner.parameters import read_notebook
from eurosat_lib.report.runner.plan import prepare
from eurosat_lib.report.runs import sweep

ROOT = Path(__file__).parents[1]
PARAMETERS = """\
config_path: str = "configs/config.yaml"  # the configuration
profile: str = "quick"  # auto, quick or full
data: str = "synthetic"
name: str = ""
lr: float = None
"""
MORE = PARAMETERS + "max_epochs: int = None  # passes\nlr_seeds: list[int] = None\n"


def write_notebook(path, *code, parameters=PARAMETERS):
    cells = [
        {
            "id": f"cell-{i}",
            "cell_type": "code",
            "metadata": {} if i else {"tags": ["parameters"]},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for i, source in enumerate([parameters, *code])
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    tree = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(tree))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two notebooks; binding costs nothing."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "reports" / "answers").mkdir(parents=True)
    for name in ("D1", "M1"):
        (tmp_path / "reports" / "answers" / f"{name}.md").write_text("Réponse")
    (tmp_path / "notebooks").mkdir()
    write_notebook(tmp_path / "notebooks/01_a.ipynb", '# answer("D1") of protocol.explore')
    write_notebook(
        tmp_path / "notebooks/02_b.ipynb", '# answer("M1") of protocol.train', parameters=MORE
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA", raising=False)
    monkeypatch.setattr(binding, "_assemble", bind)
    return tmp_path


def bind(executed, meta, html, pdf):
    for path in filter(None, (html, pdf)):
        path.write_text("\n".join(str(path) for path in executed))


@pytest.fixture
def executed(monkeypatch):
    """Names of the notebooks that were executed, by a double of papermill that only copies."""
    names = []

    def copy(notebook, values, output, root, events, tick):
        names.append(notebook.name)
        output.write_bytes(notebook.path.read_bytes())

    monkeypatch.setattr(run, "execute", copy)
    return names


def make(**fields):
    stream = io.StringIO()
    build(Request(**fields), Console(stream))
    return stream.getvalue()


# --- parameters ---------------------------------------------------------------------------------


def test_parameters_cell_is_read_without_running_it(project):
    parameters = read_notebook(project / "notebooks/02_b.ipynb").parameters
    assert " ".join(parameters) == "config_path profile data name lr max_epochs lr_seeds"
    epochs, seeds = parameters["max_epochs"], parameters["lr_seeds"]
    assert (epochs.kind, epochs.default, epochs.help) == ("int", None, "passes")
    assert (seeds.kind, seeds.item) == ("list", "int")


@pytest.mark.parametrize("line", ["x: int | None = None", "x = 3", "x: int = f()", "x: int = '3'"])
def test_parameters_cell_holds_typed_literals_only(project, line):
    write_notebook(project / "notebooks/01_a.ipynb", parameters=line)
    with pytest.raises(UserError, match="parameters cell"):
        read_notebook(project / "notebooks/01_a.ipynb")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("-p max_epochs 15 -p lr 3e-4", {"max_epochs": 15, "lr": 3e-4}),
        ("-p lr 1", {"lr": 1.0}),
        ("-p lr 1e-3 -y 'lr: 0.5'", {"lr": 1e-3}),  # -p wins over -y wherever it stands
        ("-y 'lr_seeds: [0, 1]' -p name 2024", {"lr_seeds": [0, 1], "name": "2024"}),
        ("-p lr_seeds [3,4] -p max_epochs None", {"lr_seeds": [3, 4]}),
        ("-f more.yaml -p max_epochs 2", {"max_epochs": 2, "lr_seeds": [7]}),
        ("--parameters profile full", {"profile": "full"}),
        ("-p profile quick", {}),  # the notebook's own default is not injected
    ],
)
def test_options_are_papermills(project, params, expected):
    (project / "more.yaml").write_text("max_epochs: 9\nlr_seeds: [7]\n")
    _, plans = prepare(Request(params=params))
    assert plans[1].values == expected


def test_value_goes_to_every_notebook_that_declares_it(project):
    config, plans = prepare(Request(params="-p lr 0.5 -p max_epochs 3", name="trial"))
    assert plans[0].values == {"name": "trial", "lr": 0.5}
    assert plans[1].values == {"name": "trial", "lr": 0.5, "max_epochs": 3}
    assert plans[0].target == project / "reports/trial/notebooks/01_a.ipynb"
    assert (config.train.lr, config.train.max_epochs) == (0.5, 3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("-p max_epoch 3", r"unknown parameter max_epoch \(did you mean max_epochs\?\)"),
        ("-p max_epochs ten", "02_b: parameter max_epochs: expected int or None, got text 'ten'"),
        ("-p max_epochs 1.5", "expected int or None, got text '1.5'"),
        ("-y 'max_epochs: true'", "expected int or None, got bool True"),
        ("-y 'lr: 1e-3'", "got text '1e-3'; YAML reads 1e-3 as text, write 0.001"),
        ("-y 'lr_seeds: [0, a]'", "expected list of int or None, got text 'a' in it"),
        ("-p max_epochs 0", r"greater than or equal to 1, got 0 \(parameter max_epochs\)"),
        ("-p profile quik", r"profile 'quik' is unknown \(did you mean quick\?\)"),
        ("-p lr", "-p takes a name and a value"),
        ("-x lr 3", "'-x' is not one of"),
        ("-p name 'a", "no closing quotation"),
        ("-f nowhere.yaml", "-f nowhere.yaml"),
        ("-y 'lr_seeds:[0]'", "expected name: value"),
        ("-p name answers", "folder or file of every run"),
    ],
)
def test_wrong_request_is_refused_before_any_kernel(project, executed, capsys, params, message):
    assert main(["build", f"--params={params}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    with pytest.raises(UserError, match=message):
        build(Request(params=params), Console(io.StringIO()))
    assert executed == []


def test_only_says_where_a_parameter_belongs(project):
    with pytest.raises(UserError, match="01_a: no parameter max_epochs; 02_b take"):
        prepare(Request(params="-p max_epochs 3", only="01_a"))
    with pytest.raises(UserError, match=r"02_c: no such notebook \(did you mean 02_b\?\)"):
        prepare(Request(only="02_c"))


def test_options_keep_raw_text():
    given = parse_options("-r name 007 -p lr 1")
    assert (given["name"].value, given["name"].option, given["lr"].option) == ("007", "-r", "-p")


def stored(project, name=""):
    return yaml.safe_load((project / "artifacts" / name / "params.yaml").read_text())


def test_a_single_notebook_stores_the_parameters_it_takes(project, executed):
    make(params="-p lr 0.5 -p max_epochs 3", name="trial")
    assert stored(project, "trial") == {"lr": 0.5, "max_epochs": 3}
    make(params="-p lr 0.25", name="trial", only="01_a")
    assert stored(project, "trial") == {"lr": 0.25, "max_epochs": 3}  # 01_a takes no max_epochs
    make(name="trial", only="02_b")
    assert stored(project, "trial") == {}
    make(params="-p max_epochs 4", only="02_b")
    assert (stored(project), stored(project, "trial")) == ({"max_epochs": 4}, {})


def test_stored_parameters_can_be_given_back(project, executed):
    make(params="-p lr 0.5 -y 'lr_seeds: [0, 1]'", name="trial")
    executed.clear()
    make(params="-f artifacts/trial/params.yaml", name="trial")
    assert executed == []  # the same run, up to date
    make(params="-f artifacts/trial/params.yaml", name="again")
    assert stored(project, "again") == stored(project, "trial") == {"lr": 0.5, "lr_seeds": [0, 1]}


def test_values_of_a_set_win_over_parameters(project):
    values = {"lr": "3e-4", "lr_seeds": [5]}
    config, plans = prepare(Request(params="-p lr 0.5 -p max_epochs 3", values=values))
    assert (config.train.lr, config.lr_finder.seeds, config.train.max_epochs) == (3e-4, (5,), 3)
    assert plans[0].values == {"lr": 3e-4}


def test_sweep_skips_a_run_until_something_changes(project, executed):
    (project / "sweep.yaml").write_text("- {lr: 0.5}\n- {lr: 0.25}\n")
    requests = sweep.read_sweep(project / "sweep.yaml", Request())
    make(name="lr0.5", params="-p lr 0.5")
    console = Console(io.StringIO())
    assert sweep.sweep(requests, console) == {"lr0.5": sweep.SKIPPED, "lr0.25": sweep.DONE}
    assert executed == ["01_a", "02_b"] * 2
    (project / "reports/lr0.5/rapport.pdf").unlink()
    assert sweep.sweep(requests, console) == {"lr0.5": sweep.DONE, "lr0.25": sweep.SKIPPED}
    assert executed == ["01_a", "02_b"] * 2  # only bound again


def test_each_report_is_listed(project, executed):
    assert not (project / "reports/index.html").exists()
    make(name="trial")
    assert (project / "reports/index.html").is_file()


# --- what is out of date ------------------------------------------------------------------------


def test_second_build_does_nothing(project, executed):
    assert make().startswith("[1/2] 01_a\n")
    report = project / "reports/rapport.html"
    before = report.stat().st_mtime_ns
    text = make()
    assert executed == ["01_a", "02_b"]
    assert text.count("up to date") == 3
    assert report.stat().st_mtime_ns == before


def test_changed_answer_reruns_its_notebook_alone(project, executed):
    make()
    report = project / "reports/rapport.html"
    report.write_text("old")
    (project / "reports/answers/M1.md").write_text("Autre réponse")
    make()
    assert executed == ["01_a", "02_b", "02_b"]
    assert report.read_text() != "old"


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        ({"params": "-p max_epochs 3"}, ["02_b"]),
        ({"params": "-p lr 0.5"}, ["01_a", "02_b"]),
        ({"profile": "full"}, ["01_a", "02_b"]),
        ({"profile": "quick", "data": "synthetic"}, []),  # said, but nothing new
        ({"params": "-p max_epochs 10"}, []),  # what the profile says anyway
        ({"only": "01_a"}, ["01_a"]),  # asked for by name
    ],
)
def test_changed_parameter_reruns_who_reads_it(project, executed, change, rerun):
    make()
    executed.clear()
    make(**change)
    assert executed == rerun


def test_changed_sources_rerun(project, executed, monkeypatch):
    make()
    executed.clear()
    path = project / "notebooks/01_a.ipynb"
    write_notebook(path, '# answer("D1") of protocol.explore, better said')
    make()
    assert executed == ["01_a"]
    monkeypatch.setattr(incremental, "_library_key", lambda: "other sources")
    make()
    assert executed == ["01_a", "01_a", "02_b"]


def test_changed_facts_rerun_the_stage_and_what_follows(project, executed):
    facts = project / "artifacts/facts.json"
    facts.parent.mkdir()
    known = {"explore": {"n": 1}, "train": {"loss": 0.5}, "bench": {"t": 1}}
    facts.write_text(json.dumps(known))
    make()
    executed.clear()
    facts.write_text(json.dumps(known | {"train": {"loss": 0.4}, "bench": {"t": 2}}))
    make()
    assert executed == ["02_b"]
    facts.write_text(json.dumps(known | {"train": {"loss": 0.4}, "explore": {"n": 2}}))
    make()
    assert executed == ["02_b", "01_a", "02_b"]


def test_missing_pdf_is_bound_again(project, executed):
    make(pdf=False)
    paper = project / "reports/rapport.pdf"
    assert not paper.exists()
    assert "report · up to date" in make(pdf=False)
    make()
    assert paper.exists()
    assert executed == ["01_a", "02_b"]


def test_library_key_counts_what_notebooks_display_and_not_what_binds():
    report = incremental.PACKAGE / "report"
    used = incremental._with_imports([report / f"{n}.py" for n in incremental.ENTRIES])
    names = {str(path.relative_to(report)) for path in used}
    assert {"__init__.py", "cells.py", "answers.py"} <= names
    assert not names & {"assemble.py", "pdf.py", "runner/run.py", "__main__.py"}


def test_up_to_date_build_is_quick_and_loads_nothing_heavy(project, executed):
    make()
    code = (
        "import sys; from eurosat_lib.report.__main__ import main; main(['build']);"
        "heavy = {'torch', 'papermill', 'nbconvert', 'nbformat', 'matplotlib', 'pandas'};"
        "sys.exit(' '.join(heavy & set(sys.modules)) or None)"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("up to date") == 3, done.stderr
    assert done.returncode == 0, f"loaded: {done.stderr}"
    assert time.monotonic() - started < 5


# --- execution ----------------------------------------------------------------------------------

WORK = """\
import sys, time, os
from eurosat_lib.progress import announce, progress
announce("loading")
with progress("training", 4, "epochs") as bar:
    for epoch in range(4):
        time.sleep(0.5)
        bar.advance(note=f"val {epoch}0 %")
print([sys.executable, os.getcwd(), max_epochs, name])
"""


class Clock(io.StringIO):
    """A stream that remembers when each line was written."""

    def __init__(self):
        super().__init__()
        self.times = []

    def write(self, text):
        self.times += [(time.monotonic(), text)]
        return super().write(text)


def test_notebook_runs_here_with_parameters_and_live_progress(project):
    write_notebook(project / "notebooks/02_b.ipynb", WORK, parameters=MORE)
    clock = Clock()
    request = Request(only="02_b", name="trial", params="-p max_epochs 3")
    (target,) = build(request, Console(clock, interval=0.3))
    tree = json.loads(target.read_text())
    (output,) = [o for cell in tree["cells"] for o in cell["outputs"]]
    expected = [sys.executable, str(project), 3, "trial"]
    assert "".join(output["text"]) == f"{expected}\n"
    assert tree["metadata"]["papermill"]["input_path"] == "notebooks/02_b.ipynb"
    lines = [(when, text) for when, text in clock.times if "training" in text]
    assert any("training 2/4 epochs" in text and "left" in text for _, text in lines)
    assert "training 4/4 epochs · took 2" in lines[-1][1]
    assert lines[-1][0] - lines[0][0] > 0.9  # while it ran, not afterwards
    assert "      loading\n" in clock.getvalue()
    assert list(target.parent.iterdir()) == [target]


def test_failed_cell_is_reported_and_the_good_copy_kept(project, capsys):
    make()
    good = (project / "reports/notebooks/01_a.ipynb").read_bytes()
    write_notebook(project / "notebooks/01_a.ipynb", "x = 1", "def f(n):\n    return n / 0\nf(x)")
    assert main(["build"]) == 1
    error = capsys.readouterr().err
    assert "error: 01_a failed in cell 3 of 3\n    def f(n):" in error
    assert "ZeroDivisionError: division by zero" in error
    assert "kept for inspection: reports/notebooks/01_a.failed.ipynb" in error
    assert "Traceback" not in error
    folder = project / "reports/notebooks"
    assert (folder / "01_a.ipynb").read_bytes() == good
    assert {p.name for p in folder.iterdir()} == {"01_a.ipynb", "01_a.failed.ipynb", "02_b.ipynb"}


def test_user_error_in_a_cell_is_one_line_and_exit_2(project, capsys):
    code = "from eurosat_lib.errors import UserError\nraise UserError('data: no such folder')"
    write_notebook(project / "notebooks/01_a.ipynb", code)
    assert main(["build", "--only", "01_a"]) == 2
    assert capsys.readouterr().err == "error: 01_a: data: no such folder\n"


def test_dead_kernel_is_named(project, capsys):
    write_notebook(project / "notebooks/01_a.ipynb", "import os", "os.kill(os.getpid(), 9)")
    assert main(["build", "--only", "01_a"]) == 1
    assert "01_a: the kernel died in cell 3 of 3" in capsys.readouterr().err


def test_interrupt_kills_the_kernel_and_leaves_nothing(project):
    code = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))"
    write_notebook(project / "notebooks/01_a.ipynb", f"{code}\ntime.sleep(60)")
    command = [sys.executable, "-m", "eurosat_lib.report", "build", "--only", "01_a"]
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = project / "pid"
    for _ in range(300):
        if pid.exists() and pid.read_text():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.startswith("interrupted: ") and error.count("\n") == 1
    assert not _alive(int(pid.read_text()))
    assert list((project / "reports/notebooks").iterdir()) == []


def _alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


# --- title page ---------------------------------------------------------------------------------


def test_meta_of_a_run_without_git(project):
    meta = runcard.report_meta(configure(data="synthetic"), [{"finished": "2026-11-22T10:00:00"}])
    assert meta["synthetic"] and meta["profile"] in ("quick", "full")
    assert meta["date"].isoformat() == "2026-11-22"
    assert "Code du rapport" not in meta["card"]
    assert meta["repository"] == ""
    assert "Durée des calculs" not in meta["card"]  # nothing was computed


def test_the_run_card_counts_the_results_of_this_run_alone(project):
    config = configure(data="synthetic")
    folder = config.paths.artifacts / "results"
    folder.mkdir(parents=True)
    here, there = {"data": "0123456789abcdef01", "profile": "quick"}, {"data": "ff"}
    for name, scope, seconds in (
        ("explore_dataset", here, 20.0),
        ("train", here, 180.0),
        ("evaluate", there, 999.0),
        ("train_spatial", here | {"data": "ee"}, 60.0),  # the same images, split otherwise
    ):
        provenance = {"device": "CPU", "precision": "bf16", "seconds": seconds}
        tree = {"scope": scope, "provenance": provenance, "result": {}}
        (folder / f"{name}.json").write_text(json.dumps(tree), encoding="utf-8")
    (config.paths.artifacts / "history.csv").touch()
    meta = runcard.report_meta(config, [{"seconds": 30.0}, {"seconds": 31.0}])
    assert meta["card"]["Empreinte des images"] == "SHA-256 0123456789abcdef…"
    assert meta["card"]["Appareil"] == "CPU, bf16"
    assert meta["card"]["Durée des calculs"] == "4\u00a0min\u00a020\u00a0s (3\u00a0étapes)"
    assert meta["card"]["Exécution des carnets"] == "1\u00a0min\u00a001\u00a0s"
    assert meta["files"]["Résultats"][0].name == "history.csv"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:secret@example.org/a/b.git", "https://example.org/a/b.git"),
        ("/home/me/b", None),
        ("git@example.org:a/b.git", None),
    ],
)
def test_repository_is_a_web_address_without_credentials(tmp_path, address, shown):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", address], check=True)
    assert runcard.remote_address(tmp_path) == shown
    assert runcard.code_version(tmp_path) is None  # no commit yet
