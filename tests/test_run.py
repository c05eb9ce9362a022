"""Builds, on two small notebooks of their own; the seven real ones have their own test."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace

import nbformat
import psutil
import pytest
import yaml
from nbformat import v4
from settings import ROOT

from eurosat_lib.config import load_config
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.files import write_json, write_text
from eurosat_lib.report import plan, run
from eurosat_lib.report.__main__ import main
from eurosat_lib.report.plan import parameters, prepare
from eurosat_lib.report.run import build

PARAMETERS = """\
config_path: str = "configs/config.yaml"  # the configuration
profile: str = "auto"
data: str = None
name: str = ""
seed: int = None
lr: float = None
"""
MORE = PARAMETERS + "max_epochs: int = None  # passes\nlr_seeds: list = None\n"
WRITE_REPORT = run._write_report  # the real one; most tests have a double
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
BUILD = [sys.executable, "-m", "eurosat_lib.report", "build", "--data", "synthetic"]


def write_notebook(path, *code, given=PARAMETERS):
    cells = [v4.new_code_cell(text, id=f"cell-{i}") for i, text in enumerate([given, *code])]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two notebooks on drawn images; binding writes the notebooks' names."""
    root = tmp_path / "TP {groupe 3} {}"  # papermill takes braces for a template
    shutil.copytree(ROOT / "configs", root / "configs")
    for folder in ("reports/answers", "notebooks"):
        (root / folder).mkdir(parents=True)
    (root / "reports/answers/M1.md").write_text("Réponse")
    write_notebook(root / "notebooks/01_a.ipynb", "1 + 1")
    reads = "2 + 2  # find_captures, repository(config), compare_splits"
    write_notebook(root / "notebooks/02_b.ipynb", reads, given=MORE)
    monkeypatch.chdir(root)
    monkeypatch.setattr(run, "_write_report", write_report)
    return root


def write_report(config, executed, *files):
    pages = len([path.write_text("new") for path in files])
    return pages, plan.pictures_state(config, executed, ["img/été%201.PNG"])


@pytest.fixture
def executed(monkeypatch):
    """Names of executed notebooks, by a double of papermill that copies and asks for results."""
    names, asked = [], {"01_a": {"explore"}, "02_b": {"train", "chosen_lr"}}

    def copy(source, output, values, root):
        names.append(source.stem)
        tree = json.loads(source.read_text())
        tree["metadata"]["papermill"] = {}
        output.write_text(json.dumps(tree))
        return set(asked[source.stem])

    monkeypatch.setattr(run, "execute", copy)
    return names


def make(only="", **given):
    return build(parameters(data="synthetic", **given), only)


def result(project, stage, value, **more):
    path = project / "artifacts/results" / f"{stage}.json"
    write_json(path, {"provenance": {}, "result": value} | more)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ("-p max_epochs 15 -p lr 3e-4", {"max_epochs": 15, "lr": 3e-4}),
        ("-p lr 1e-3 -y 'lr: 0.5'", {"lr": 1e-3}),  # -p wins over -y wherever it stands
        ("-y 'lr_seeds: [0, 1]' -p name 2024", {"lr_seeds": [0, 1], "name": "2024"}),
        ("-f more.yaml -p max_epochs 2", {"max_epochs": 2, "lr_seeds": [7]}),
    ],
)
def test_options_are_papermills(project, params, expected):
    (project / "more.yaml").write_text("max_epochs: 9\nlr_seeds: [7]\n")
    *_, (_, step) = prepare(parameters(params))
    usual = {"profile": "quick", "data": "auto", "name": "", "seed": 42}
    assert step.values == usual | expected


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("-p max_epoch 3", "unknown parameter max_epoch (did you mean max_epochs?)"),
        ("-p max_epochs ten", "max_epochs: input should be a valid integer, got 'ten'"),
        ("-p lr", "-p/--parameters/-r/--parameters_raw: expected 2 arguments"),
        ("-p name 'a", "No closing quotation"),
        ("-f nowhere.yaml", "nowhere.yaml"),
        ("-y 'lr_seeds:[0]'", "expected name: value"),
        ("-p max_epochs 3 only 01_a", "01_a: unknown parameter max_epochs"),
        (" only 02_c", "02_c: no such notebook (did you mean 02_b?)"),
    ],
)
def test_a_wrong_request_is_refused_before_any_kernel(project, executed, capsys, params, message):
    params, _, only = params.partition(" only ")
    assert main(["build", f"--params={params}", "--only", only]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error and executed == []


def test_a_copy_that_jupyterlab_made_is_refused(project, executed, capsys):
    shutil.copy(project / "notebooks/01_a.ipynb", project / "notebooks/01_a-Copy1.ipynb")
    assert main(["build"]) == 2 and executed == []
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "01_a-Copy1.ipynb: JupyterLab's copy of 01_a: give" in error


@pytest.mark.parametrize(
    ("line", "params", "refused"),
    [
        ("lr = 3e-4", "", "01_a: its parameters cell says lr = 0.0003"),
        ("lr: float = 3e-4", "-p lr 1e-3", ""),  # the run's own wins
        ("name = 'other'", "", "says name = 'other'"),
        ("profile = 'quick'", "", ""),  # the run's too
        ("lr = 1 / 1000", "", "a line is not name: type = literal"),
        ("rate = 3", "", "no configuration key for parameter rate"),
    ],
)
def test_a_value_saved_in_a_notebook_is_the_runs_or_refused(project, line, params, refused):
    write_notebook(project / "notebooks/01_a.ipynb", given=f"{PARAMETERS}{line}\n")
    with pytest.raises(UserError, match=refused) if refused else nullcontext():
        prepare(parameters(params))


def test_stored_parameters_can_be_given_back(project, executed, capsys):
    def stored(name):
        return yaml.safe_load((project / "artifacts" / name / "params.yaml").read_text())

    make(params="-p lr 0.5 -y 'lr_seeds: [0, 1]' -p seed 7", name="trial")
    executed.clear()
    make(params="-f artifacts/trial/params.yaml", name="trial")
    assert executed == []  # the same run, up to date
    assert stored("trial") == {"lr": 0.5, "lr_seeds": [0, 1], "seed": 7}
    make(params="-p lr 0.25", name="trial", only="01_a")
    assert stored("trial") == {"lr": 0.25, "lr_seeds": [0, 1]}  # 01_a takes no lr_seeds
    assert "not given this time, so as configured again: seed\n" in capsys.readouterr().out
    (project / "artifacts/trial/params.yaml").write_text("max_epoch: 3\n")
    with pytest.raises(UserError, match=r"params.yaml: unknown parameter max_epoch \(did you"):
        make(name="trial")


def test_a_frozen_run_has_the_parameters_and_images_it_was_given(project, executed, monkeypatch):
    make(params="-p lr 0.5", name="done", profile="full")
    given = (project / "artifacts/done/params.yaml").read_text()
    images = load_dataset(load_config(profile="full", overrides={"data.source": "synthetic"}))
    kept = {"scope": {"profile": "full", "data": images.fingerprint}, "config": {"seed": 5}}
    kept, place = {"provenance": {"seconds": 1}} | kept, project / "artifacts/done/results"
    write_json(place / "train.json", kept)
    monkeypatch.setenv("FROZEN", "1")
    config, stored, _ = prepare({"name": "done", "data": "synthetic", "profile": "auto"})
    assert (config.profile, config.seed, stored) == ("full", 5, {"seed": 5, "lr": 0.5})
    make(name="done")
    assert (project / "artifacts/done/params.yaml").read_text() == given  # not written to
    for asked in ({"profile": "quick"}, {"lr": 0.25}, {"seed": 7}):
        with pytest.raises(UserError, match=f"has {next(iter(asked))} = .*leave it out"):
            prepare({"name": "done"} | asked)
    write_json(place / "evaluate.json", kept | {"scope": {"profile": "full", "data": "others"}})
    with pytest.raises(UserError, match="several experiments, as evaluate and train: move"):
        make(name="done")
    write_json(place / "train.json", kept)
    write_json(place / "evaluate.json", kept)
    tested = {"accuracy": 0.9, "low": 0.8, "high": 1, "n": 40, "checkpoint_sha256": "a" * 64}
    write_json(project / "artifacts/done/facts.json", {"evaluate": tested})
    (project / "artifacts/done/best.ckpt").write_text("another")
    (project / "reports/done/notebooks/01_a.ipynb").unlink()
    with pytest.raises(UserError, match="not the checkpoint that was tested"):
        make(name="done")
    write_json(place / "train.json", kept | {"scope": {"data": "others"}})
    write_json(place / "evaluate.json", {})
    with pytest.raises(UserError, match="the images of synthetic are not those of the run"):
        make(name="done")


def test_a_notebook_may_have_a_parameter_of_its_own(project, executed):
    write_notebook(project / "notebooks/01_a.ipynb", given=f"{PARAMETERS}rate: int = None\n")
    for rate, rerun in ((3, ["01_a", "02_b"]), (4, ["01_a"]), (4, [])):
        executed.clear()
        make(params=f"-p rate {rate}")
        assert executed == rerun


LATER = {"started": "2026-01-02"}
PICTURE = "img/été 1.PNG"
BOTH = ["01_a", "02_b"]


def configure_run(project, old, new):
    path = project / "configs/config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def touch_file(project, text="1"):
    (project / "artifacts/history.csv").write_text(text)


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        (lambda project: {"params": "-p max_epochs 3"}, ["02_b"]),
        (lambda project: {"params": "-p lr 0.5"}, ["01_a", "02_b"]),
        (lambda project: {"profile": "full"}, ["01_a", "02_b"]),
        (lambda project: {"profile": "quick", "params": "-p seed 42"}, []),  # nothing new
        (lambda project: {"only": "01_a"}, ["01_a"]),  # asked for by name
        (lambda project: write_notebook(project / "notebooks/01_a.ipynb", "1 + 2"), ["01_a"]),
        (lambda project: result(project, "train", 1, files=["history.csv"], config=2), []),
        (lambda project: result(project, "train", 1, files=["history.csv"], provenance=LATER), []),
        (lambda project: write_text(project / "artifacts/captures/x.png", ""), ["02_b"]),
        (lambda project: result(project, "bench", 2), []),  # nobody's
        (lambda project: result(project, "train", 2), ["02_b"]),
        (touch_file, ["02_b"]),
        (lambda project: configure_run(project, "precision: auto", "precision: fp32"), BOTH),
        (lambda project: configure_run(project, "engine: serial", "engine: work"), []),
        (lambda project: result(project, "chosen_lr", 1e-3), ["02_b"]),  # for the first time
        (lambda project: result(project, "explore", 2), ["01_a"]),
    ],
)
def test_a_change_reruns_who_reads_it(project, executed, change, rerun):
    result(project, "explore", 1)
    result(project, "train", 1, files=["history.csv"], config=1)
    touch_file(project, "0")
    make()
    executed.clear()
    make(**(change(project) or {}))
    assert executed == rerun


@pytest.mark.parametrize(
    ("name", "other", "rerun"),
    [
        ("describe_source", SimpleNamespace(signature="other images", lists=()), BOTH),
        ("_can_be_had", True, ["02_b"]),
        ("is_frozen", True, BOTH),
    ],
)
def test_images_lists_and_a_frozen_run_count(project, executed, monkeypatch, name, other, rerun):
    real = SimpleNamespace(signature="images", lists=())
    monkeypatch.setattr(plan, "describe_source", lambda _: real)
    monkeypatch.setattr(plan, "_can_be_had", lambda _: False)
    before = [step.key for step in prepare({"data": "synthetic"})[2]]
    monkeypatch.setattr(plan, name, lambda *_: other)
    steps = prepare({"data": "synthetic"})[2]
    changed = [s.source.stem for s, key in zip(steps, before, strict=True) if s.key != key]
    assert changed == rerun


@pytest.mark.parametrize(
    "place",
    [
        *("reports/journal.md", "reports/template/page.css"),
        *("artifacts/results/own.json", "configs/profiles/full.yaml", PICTURE),
        *(f"{place}/{PICTURE}" for place in ("reports/notebooks", "notebooks", "reports/answers")),
    ],
)
def test_what_the_page_is_made_of_binds(project, executed, place, capsys):
    path = project / place
    own = path.read_text() if path.exists() else ""
    make(), capsys.readouterr()
    for text, said in (("\n", ": HTML"), ("\n#", ": HTML"), ("\n#", " · up to date")):
        write_text(path, own + text)
        make()
        assert f"report{said}" in capsys.readouterr().out


def test_changed_answers_bind_and_a_bad_report_replaces_no_file(project, executed, monkeypatch):
    answer, (html, pdf) = project / "reports/answers/M1.md", make()
    html.write_text("old")
    answer.write_text("Autre réponse")
    make()
    pdf.unlink()
    make()
    assert executed == ["01_a", "02_b"] and [html.read_text(), pdf.read_text()] == ["new", "new"]

    def fail(config, executed, html, pdf):
        html.write_text("half")
        raise UserError("no PDF today")

    with monkeypatch.context() as patch, pytest.raises(UserError, match="no PDF"):
        patch.setattr(run, "_write_report", fail)
        answer.write_text("Une autre encore")
        make()
    assert [html.read_text(), pdf.read_text()] == ["new", "new"]
    assert not (project / "reports/.new").exists()
    monkeypatch.setattr(plan, "SHOWN", set())  # other sources of the library
    make()
    assert executed == ["01_a", "02_b"] * 2
    faulty = ("", ["02_b, cell 3: no such table"], ())
    monkeypatch.setattr("eurosat_lib.report.export.bind_page", lambda *_: faulty)
    monkeypatch.setattr(run, "_write_report", WRITE_REPORT)
    answer.write_text("Une dernière")
    with pytest.raises(UserError, match="the report was not built:\n  - 02_b, cell 3: no such"):
        make()


def test_a_new_address_of_the_project_binds(project, executed, capsys):
    address = "remote add origin https://x.org"
    steps = {"init -q": ": HTML", address: ": HTML", "status": " · up to"}
    for command, said in steps.items():
        subprocess.run(["git", *command.split()], check=True, capture_output=True)
        make()
        assert f"report{said}" in capsys.readouterr().out
    assert executed == ["01_a", "02_b", "02_b"]  # which says the address


def test_a_build_with_nothing_to_do_is_quick_and_loads_nothing_heavy(project, executed):
    html, _ = make()
    before = html.stat().st_mtime_ns
    code = """import sys
from eurosat_lib.report.__main__ import main
main(['build', '--data', 'synthetic'])
heavy = {'torch', 'papermill', 'nbconvert', 'nbformat', 'matplotlib', 'pandas'}
sys.exit(' '.join(heavy & set(sys.modules)) or None)"""
    command, started = [sys.executable, "-c", code], time.monotonic()
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout.count("up to date") == 3, done.stderr
    assert done.returncode == 0, f"loaded: {done.stderr}"
    assert time.monotonic() - started < 5
    assert executed == ["01_a", "02_b"] and html.stat().st_mtime_ns == before


WORK = """\
import locale, os, sys
from matplotlib import pyplot as plt
from eurosat_lib.progress import BUILT, announce
announce("chargement")
open(os.environ[BUILT], "a").write("grid_search\\n")  # as stages do
locale.setlocale(locale.LC_ALL, "")
plt.plot([1, 2])
plt.show()
habit = globals().get("habit", plt.rcParams["lines.linewidth"])
print([sys.executable, os.getcwd(), max_epochs, name, habit, f"{1234.5:n} é"])
"""
OWN = {  # of a user, each of which would change what a notebook shows
    **{"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "MATPLOTLIBRC": "own/rc"},
    **{"JUPYTER_PATH": "own", "JUPYTER_CONFIG_DIR": "own", "IPYTHONDIR": "own"},
    **{"PYTHONSTARTUP": "own/profile_default/startup/00.py"},
}


def test_a_notebook_runs_here_and_alike_whatever_the_users_own_settings(project):
    kernel = {"argv": ["false"], "display_name": "Python 3", "language": "python"}
    write_json(project / "own/kernels/python3/kernel.json", kernel)
    write_json(project / "own/jupyter_config.json", {"InlineBackend": {"figure_formats": ["svg"]}})
    write_text(project / OWN["PYTHONSTARTUP"], "habit = 1")
    write_text(project / "own/rc", "lines.linewidth: 9")
    write_notebook(project / "notebooks/02_b.ipynb", WORK, given=MORE)
    words = [*BUILD, "--only", "02_b", "--name", "trial", "--params=-p max_epochs 3"]
    more = {"capture_output": True, "encoding": "utf-8", "umask": 0o027}
    done = subprocess.run(words, env=ENVIRONMENT | OWN, check=True, **more)
    assert done.stderr == "chargement\n" and "[1/1] 02_b\n      done in 0:00:" in done.stdout
    target = project / "reports/trial/notebooks/02_b.ipynb"
    tree = json.loads(target.read_text(encoding="utf-8"))
    figure, text = (output for cell in tree["cells"] for output in cell["outputs"])
    assert text["text"] == [f"{[sys.executable, str(project), 3, 'trial', 1.5, '1234.5 é']}\n"]
    assert set(figure["data"]) == {"image/png", "text/plain"}
    assert tree["metadata"]["papermill"]["input_path"] == "notebooks/02_b.ipynb"
    assert tree["metadata"]["eurosat"]["results"] == {"grid_search": ""}
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o640


def test_widgets_of_ones_own_do_not_stop_a_notebook(tmp_path):
    """Without the patient client one of so many cells makes this wait for ever."""
    moved = "interactive(lambda a: display(HTML(a * 'x' * 3000)), a=IntSlider(2))"
    cells = ["from ipywidgets import IntSlider, interactive\nfrom IPython.display import HTML"]
    write_notebook(tmp_path / "01_a.ipynb", *cells, *[moved] * 120)
    code = "import sys\nfrom pathlib import Path\nfrom eurosat_lib.report.run import execute\n"
    code += "execute(Path('01_a.ipynb'), Path('out.ipynb'), {}, Path())"
    own = {"cwd": tmp_path, "env": ENVIRONMENT, "timeout": 120, "check": True}
    subprocess.run([sys.executable, "-c", code], **own)


def test_a_failed_cell_is_one_line_and_the_good_copy_is_kept(project, capsys):
    good = project / "reports/notebooks/01_a.ipynb"
    good.parent.mkdir()
    good.write_text("good")

    def fail(*code):
        write_notebook(project / "notebooks/01_a.ipynb", *code)
        return main(["build", "--data", "synthetic"]), capsys.readouterr().err

    note = "  kept for inspection: reports/notebooks/01_a.failed.ipynb\n"
    failed = fail("x = 1", "def f(n):\n    return n / 0\nf(x)")
    assert failed == (1, f"error: 01_a, cell 3: ZeroDivisionError: division by zero\n{note}")
    assert good.read_text() == "good"
    assert {p.name for p in good.parent.iterdir()} == {"01_a.ipynb", "01_a.failed.ipynb"}
    failed = fail("from eurosat_lib.errors import UserError\nraise UserError('data: none')")
    assert failed == (2, "error: 01_a, cell 2: data: none\n")
    code, said = fail("import os", "os.kill(os.getpid(), 9)")
    assert code == 1 and "01_a: the kernel died" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_kernel_and_no_file(project, number):
    code = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))"
    write_notebook(project / "notebooks/01_a.ipynb", f"{code}\ntime.sleep(60)")
    process = subprocess.Popen(BUILD, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    pid, deadline = project / "pid", time.monotonic() + 60
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert error.splitlines()[-1].startswith("interrupted: ") and "Traceback" not in error
    assert not psutil.pid_exists(int(pid.read_text()))
    assert list((project / "reports/notebooks").iterdir()) == []
