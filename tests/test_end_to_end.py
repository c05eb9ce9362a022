"""The seven notebooks, executed by papermill on a tiny set, bound, and both files read back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from urllib.parse import unquote

import lxml.html
import nbformat
import pypdf
import pytest
import yaml
from settings import ROOT, TINY

from eurosat_lib.config import configure, nest
from eurosat_lib.report.request import Request
from eurosat_lib.report.run import execute, prepare
from eurosat_lib.trainings import ChosenLR, choose_lr, forget_lr

QUESTIONS = [*(f"D{i}" for i in range(1, 12)), *(f"M{i}" for i in range(10))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def report(root, *words):
    command = [sys.executable, "-m", "eurosat_lib.report", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)


def build(root, *words):
    return report(root, "build", "--profile", "tiny", *words)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project root with a profile that runs in moments, and its report, built once."""
    root = tmp_path_factory.mktemp("project")
    for name in ("configs", "notebooks", "reports/answers", "reports/template"):
        shutil.copytree(ROOT / name, root / name)
    tiny = nest(TINY) | {"profile": "tiny"}
    (root / "configs/profiles/tiny.yaml").write_text(yaml.safe_dump(tiny))
    done = build(root)
    assert done.returncode == 0, done.stdout + done.stderr
    for number, path in enumerate(NOTEBOOKS, 1):
        assert f"[{number}/7] {path.stem}\n" in done.stdout
    return root


@pytest.fixture(scope="module")
def page(project):
    return lxml.html.fromstring((project / "reports/rapport.html").read_text(encoding="utf-8"))


def test_sources_are_without_outputs_and_ran_from_top_to_bottom(project):
    for path in NOTEBOOKS:
        source = nbformat.read(path, as_version=4)
        code = [cell for cell in source.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in code)
        assert all(cell.source.count("\n") < 15 for cell in code)
        executed = nbformat.read(project / "reports/notebooks" / path.name, as_version=4)
        cells = [c for c in executed.cells if c.cell_type == "code" and c.source.strip()]
        assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
        outputs = [output for cell in cells for output in cell.outputs]
        assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


def answer_to(page, question):
    path = f'//div[@id="{question}"]/following::div[contains(@class,"answer")]'
    return page.xpath(path)[0].text_content()


def test_all_questions_are_answered_in_order_and_by_the_facts(project, page):
    named = page.xpath('//div[contains(concat(" ", @class, " "), " question ")]')
    assert [element.get("id") for element in named] == QUESTIONS
    assert all(len(answer_to(page, question).split()) > 15 for question in QUESTIONS)
    facts = json.loads((project / "artifacts/facts.json").read_text(encoding="utf-8"))
    accuracy = f"{100 * facts['evaluate']['accuracy']:.2f}".rstrip("0").rstrip(".")
    assert accuracy.replace(".", ",") in answer_to(page, "M9")
    assert str(facts["explore_dataset"]["n_train"]) in answer_to(page, "D2")
    assert "données synthétiques de démonstration" in page.text_content()
    assert "Profil tiny" in page.text_content()


def test_the_page_is_one_light_file_whose_links_lead_somewhere(project, page):
    assert (project / "reports/rapport.html").stat().st_size < 5e6  # bytes
    assert all(address.startswith("data:") for address in page.xpath("//@src"))
    assert len(page.xpath("//figure")) >= 18
    assert all(image.get("alt") for image in page.xpath("//img"))
    places, addresses = set(page.xpath("//@id")), page.xpath("//a/@href")
    inside = [address[1:] for address in addresses if address.startswith("#")]
    beside = [address for address in addresses if not address.startswith(("http", "#"))]
    assert len(inside) > 20 and set(inside) <= places
    assert all((project / "reports" / address).exists() for address in beside)


def test_the_pdf_has_every_question_in_order_and_no_debris(project):
    reader = pypdf.PdfReader(project / "reports/rapport.pdf")
    text = "\n".join(sheet.extract_text() for sheet in reader.pages)
    positions = [re.search(rf"^{q}\.", text, re.MULTILINE) for q in QUESTIONS]
    assert all(positions), [q for q, p in zip(QUESTIONS, positions, strict=True) if not p]
    starts = [match.start() for match in positions]
    assert starts == sorted(starts)
    for debris in ("Traceback", r"\ln", r"\times", "{{", "{%", "<IPython", "Figure("):
        assert debris not in text
    assert not re.search(r"\bnan\b|\bNone\b|\bundefined\b", text)


def test_nothing_to_do_is_quick(project):
    before = (project / "reports/rapport.html").stat().st_mtime_ns
    started = time.monotonic()
    done = build(project)
    assert done.returncode == 0
    assert time.monotonic() - started < 5
    assert done.stdout.count("up to date") >= 7
    assert (project / "reports/rapport.html").stat().st_mtime_ns == before


def test_a_changed_sentence_runs_no_notebook(project):
    path = project / "reports/answers/M3.md"
    path.write_text(path.read_text(encoding="utf-8") + "\n\nPhrase ajoutée par le test.\n")
    done = build(project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("up to date") == 7
    assert "Phrase ajoutée par le test." in (project / "reports/rapport.html").read_text()


def test_a_broken_answer_fails_and_keeps_the_last_report(project):
    files = [project / "reports" / name for name in ("rapport.html", "rapport.pdf")]
    good = [path.read_bytes() for path in files]
    path = project / "reports/answers/D6.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\n{{ inconnue }}\n")
    try:
        done = build(project)
    finally:
        path.write_text(text)
    assert done.returncode == 2
    assert "01_data" in done.stderr and "D6.md" in done.stderr and "inconnue" in done.stderr
    assert [path.read_bytes() for path in files] == good


def test_a_choice_of_lr_by_hand_is_seen(project):
    about = {"config_path": str(project / "configs/config.yaml"), "profile": "tiny"}
    config = configure(about)

    def stale():
        return {step.source.stem for step in prepare(Request(**about)).steps if not step.current()}

    choose_lr(config, ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    try:
        assert {"04_lr_finder", "05_grid"} <= stale() <= {path.stem for path in NOTEBOOKS[2:]}
    finally:
        forget_lr(config)
    assert not stale()


def results(project, *left_out):
    """Digest of every result and built file, those of some runs and shared ones left out."""
    kinds = ("artifacts", "runs", "reports")
    places = {path for kind in kinds for path in (project / kind).rglob("*")}
    shared = (".stages", "index.html", "answers", "template", *left_out)
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in places
        if path.is_file() and not set(shared) & set(path.relative_to(project).parts)
    }


def test_named_runs_with_parameters_leave_the_others_alone(project):
    before = results(project)
    (project / "my.yaml").write_text("lr: 3.0e-4\nmax_epochs: 1\n")
    done = build(project, "--name", "lr3e-4", "--only", "06_train", "--params", "-f my.yaml")
    assert done.returncode == 0, done.stderr
    facts = json.loads((project / "artifacts/lr3e-4/facts.json").read_text())
    assert (facts["train"]["lr"], facts["train"]["epochs"]) == (3e-4, 1)
    stored = yaml.safe_load((project / "artifacts/lr3e-4/params.yaml").read_text())
    assert stored == {"lr": 3e-4, "max_epochs": 1}
    assert (project / "reports/lr3e-4/notebooks/06_train.ipynb").is_file()
    assert results(project, "lr3e-4") == before


def test_plain_papermill_takes_the_same_parameters(project):
    before, kernel = results(project), project / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "papermill", "notebooks/06_train.ipynb", "out.ipynb"]
    command += ["-p", "max_epochs", "1", "-p", "profile", "tiny", "-p", "name", "plain"]
    paths = {"PYTHONPATH": str(ROOT), "JUPYTER_PATH": str(project / "jupyter")}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=project, env=os.environ | paths, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    kept = json.loads((project / "artifacts/plain/results/train.json").read_text())["config"]
    assert (kept["train"]["max_epochs"], kept["profile"]) == (1, "tiny")
    assert results(project, "plain") == before


def test_runs_are_listed_and_compared(project):
    done = report(project, "compare", "", "lr3e-4")
    assert done.returncode == 0, done.stderr
    index = lxml.html.fromstring((project / "reports/index.html").read_text(encoding="utf-8"))
    names = [row[0].text_content() for row in index.xpath("//table/tbody/tr")]
    assert names == ["sans nom", "lr3e-4", "plain"]
    links = index.xpath("//a/@href")
    assert {"rapport.html", "rapport.pdf", "comparaisons/_%2Blr3e-4.html"} <= set(links)
    assert all((project / "reports" / unquote(link)).exists() for link in links)
    page = project / "reports/comparaisons/_+lr3e-4.html"
    text = lxml.html.fromstring(page.read_text(encoding="utf-8")).text_content()
    assert "Deux runs côte à côte" in text and "rien à comparer" in " ".join(text.split())


def test_the_last_notebook_alone_trains(project):
    done = build(project, "--name", "alone", "--only", "07_eval")
    assert done.returncode == 0, done.stderr
    facts = json.loads((project / "artifacts/alone/facts.json").read_text())
    assert facts["train"]["origin"]["lr"] == "fallback" and "evaluate" in facts


def test_the_landing_page_shows_steps_and_runs(project):
    page = project / "reports/accueil.ipynb"
    execute(project / "notebooks/accueil.ipynb", page, {"profile": "tiny"}, page.parent)
    outputs = [o for cell in nbformat.read(page, 4).cells for o in cell.get("outputs", ())]
    html = lxml.html.fromstring("".join(output.data["text/html"] for output in outputs))
    addresses = [unquote(address) for address in html.xpath("//a/@href")]
    assert all((page.parent / address).exists() for address in addresses)
    assert {f"../notebooks/{path.name}" for path in NOTEBOOKS} <= set(addresses)
    assert "rapport.html" in addresses
