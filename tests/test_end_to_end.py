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

from eurosat_lib.choices import ChosenLR, choose_lr, forget_lr
from eurosat_lib.config import configure
from eurosat_lib.report.request import Request
from eurosat_lib.report.run import execute, prepare

QUESTIONS = [*(f"D{i}" for i in range(1, 12)), *(f"M{i}" for i in range(10))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def nested(flat):
    tree = {"profile": "tiny"}
    for dotted, value in flat.items():
        section, key = dotted.split(".")
        tree.setdefault(section, {})[key] = value
    return tree


def bookmarks(outline):
    """Flatten pypdf's nested lists."""
    nested = (bookmarks(item) if isinstance(item, list) else [item] for item in outline)
    return [item for items in nested for item in items]


def build(root, *words):
    command = [sys.executable, "-m", "eurosat_lib.report", "build", "--profile", "tiny"]
    command += ["--config", str(root / "configs/config.yaml"), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project root with a profile that runs in moments, and its report, built once."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "configs", root / "configs")
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    for folder in ("answers", "template"):
        shutil.copytree(ROOT / "reports" / folder, root / "reports" / folder)
    (root / "configs/profiles/tiny.yaml").write_text(yaml.safe_dump(nested(TINY)))
    done = build(root)
    assert done.returncode == 0, done.stdout + done.stderr
    root.joinpath("console.txt").write_text(done.stdout + done.stderr)
    return root


@pytest.fixture(scope="module")
def page(project):
    return lxml.html.fromstring((project / "reports/rapport.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pdf_text(project):
    reader = pypdf.PdfReader(project / "reports/rapport.pdf")
    return "\n".join(sheet.extract_text() for sheet in reader.pages)


def test_seven_notebooks_without_outputs():
    names = [path.stem for path in NOTEBOOKS]
    assert names == [
        "01_data",
        "02_baselines",
        "03_model_checks",
        "04_lr_finder",
        "05_grid",
        "06_train",
        "07_eval",
    ]
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata.kernelspec.name == "python3"
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in code)
        assert all(cell.source.count("\n") < 15 for cell in code)
        assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1


def test_executed_notebooks_ran_from_top_to_bottom(project):
    for path in NOTEBOOKS:
        executed = nbformat.read(project / "reports/notebooks" / path.name, as_version=4)
        cells = [c for c in executed.cells if c.cell_type == "code" and c.source.strip()]
        assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
        outputs = [output for cell in cells for output in cell.outputs]
        assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


def test_all_questions_are_answered_in_order_in_the_html(page):
    named = page.xpath('//div[contains(concat(" ", @class, " "), " question ")]')
    found = [e.get("id") for e in named]
    assert found == QUESTIONS
    for question in QUESTIONS:
        answer = page.xpath(f'//div[@id="{question}"]/following::div[contains(@class,"answer")]')
        assert len(answer[0].text_content().split()) > 15


def test_the_page_links_to_files_that_are_there_and_to_places_in_it(project, page):
    places = set(page.xpath("//@id"))
    beside = [a for a in page.xpath("//a/@href") if not a.startswith(("http", "#"))]
    assert all((project / "reports" / address).exists() for address in beside)
    assert {a[1:] for a in page.xpath("//a/@href") if a.startswith("#")} <= places


def test_html_is_light(project):
    assert (project / "reports/rapport.html").stat().st_size < 5e6  # bytes


def test_html_is_one_file_that_asks_for_nothing(page):
    for element in page.xpath("//*[@src]"):
        assert element.get("src").startswith("data:")
    assert not page.xpath('//link[@rel="stylesheet"][@href]')
    assert not page.xpath("//script[@src]")
    assert page.get("lang") == "fr"
    assert len(page.xpath("//figure")) >= 18
    assert all(image.get("alt") for image in page.xpath("//img"))


def test_links_of_the_page_lead_somewhere(page):
    targets = set(page.xpath("//*/@id"))
    links = [href[1:] for href in page.xpath("//a/@href") if href.startswith("#")]
    assert len(links) > 20
    assert set(links) <= targets


def test_pdf_has_every_question_in_order_and_no_debris(pdf_text):
    positions = [re.search(rf"^{q}\.", pdf_text, re.MULTILINE) for q in QUESTIONS]
    assert all(positions), [q for q, p in zip(QUESTIONS, positions, strict=True) if not p]
    starts = [match.start() for match in positions]
    assert starts == sorted(starts)
    for debris in ("Traceback", r"\ln", r"\times", "{{", "{%", "<IPython", "Figure("):
        assert debris not in pdf_text
    assert not re.search(r"\bnan\b|\bNone\b|\bundefined\b", pdf_text)


def test_pdf_has_pages_contents_and_bookmarks(project, pdf_text):
    reader = pypdf.PdfReader(project / "reports/rapport.pdf")
    width, height = (float(x) for x in reader.pages[0].mediabox[2:])
    assert (round(width), round(height)) == (595, 842)  # A4 in points
    assert len(bookmarks(reader.outline)) >= 13
    assert reader.trailer["/Root"]["/Lang"].startswith("fr")
    assert re.search(rf"\b2\s*/\s*{len(reader.pages)}\b", pdf_text)


def test_report_says_that_data_and_profile_are_not_the_real_ones(page):
    text = page.text_content()
    assert "données synthétiques de démonstration" in text
    assert "tiny" in text


def test_numbers_of_the_answers_are_those_of_the_facts(project, page):
    facts = json.loads((project / "artifacts/facts.json").read_text(encoding="utf-8"))
    answer = page.xpath('//div[@id="M9"]/following::div[contains(@class,"answer")]')[0]
    accuracy = f"{100 * facts['evaluate']['accuracy']:.2f}".replace(".", ",")
    assert accuracy.rstrip("0").rstrip(",") in answer.text_content()
    answer = page.xpath('//div[@id="D2"]/following::div[contains(@class,"answer")]')[0]
    assert str(facts["explore_dataset"]["n_train"]) in answer.text_content()


def test_console_announces_and_names_each_notebook(project):
    console = (project / "console.txt").read_text()
    for number, path in enumerate(NOTEBOOKS, 1):
        assert f"[{number}/7] {path.stem}\n" in console


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
    started = time.monotonic()
    done = build(project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("up to date") == 7
    assert time.monotonic() - started < 60  # seconds; alone on two cores, a quarter of it
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
    config = configure({"config_path": str(project / "configs/config.yaml"), "profile": "tiny"})
    choose_lr(config, ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    try:
        stale = [step.source.stem for step in steps(project) if not step.current()]
    finally:
        forget_lr(config)
    assert "04_lr_finder" in stale and "05_grid" in stale and "02_baselines" not in stale
    assert all(step.current() for step in steps(project))


def steps(project):
    path = str(project / "configs/config.yaml")
    return prepare(Request(config_path=path, profile="tiny")).steps


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
    before = results(project)
    command = [sys.executable, "-m", "papermill", "notebooks/06_train.ipynb", "out.ipynb"]
    command += ["-p", "max_epochs", "1", "-p", "profile", "tiny", "-p", "name", "plain"]
    paths = {"PYTHONPATH": str(ROOT), "JUPYTER_PATH": str(kernel_here(project))}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=project, env=os.environ | paths, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    facts = json.loads((project / "artifacts/plain/facts.json").read_text())
    assert facts["train"]["epochs"] == 1
    kept = json.loads((project / "artifacts/plain/results/train.json").read_text())["config"]
    assert (kept["train"]["max_epochs"], kept["profile"]) == (1, "tiny")
    assert results(project, "plain") == before


def kernel_here(folder):
    """Make a kernel ``python3`` that is this interpreter, for papermill to find first."""
    place = folder / "jupyter/kernels/python3"
    place.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (place / "kernel.json").write_text(json.dumps(spec))
    return folder / "jupyter"


def test_runs_are_listed_and_compared(project):
    command = [sys.executable, "-m", "eurosat_lib.report", "compare", "", "lr3e-4"]
    command += ["--config", str(project / "configs/config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project, check=False)
    assert done.returncode == 0, done.stderr
    index = lxml.html.fromstring((project / "reports/index.html").read_text(encoding="utf-8"))
    names = [row[0].text_content() for row in index.xpath("//table/tbody/tr")]
    assert names == ["sans nom", "lr3e-4", "plain"]
    links = index.xpath("//a/@href")
    assert {"rapport.html", "rapport.pdf", "comparaisons/_%2Blr3e-4.html"} <= set(links)
    assert all((project / "reports" / unquote(link)).exists() for link in links)
    page = project / "reports/comparaisons/_+lr3e-4.html"
    text = lxml.html.fromstring(page.read_text(encoding="utf-8")).text_content()
    text = " ".join(text.split())
    assert "Deux runs côte à côte" in text and "rien à comparer : lr3e-4" in text
    assert [path.name for path in page.parent.iterdir()] == [page.name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--params", "-p max_epoch 3"], "did you mean max_epochs?"),
        (["--params", "-p max_epochs many"], "max_epochs"),
        (["--params", "-p max_epochs 0"], "max_epochs"),
        (["--data", "/nowhere"], "/nowhere"),
        (["--only", "06_trian"], "did you mean 06_train?"),
    ],
)
def test_wrong_requests_stop_before_any_kernel(project, options, message):
    started = time.monotonic()
    done = build(project, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started < 5


def test_the_last_notebook_alone_trains(project):
    done = build(project, "--name", "alone", "--only", "07_eval")
    assert done.returncode == 0, done.stderr
    facts = json.loads((project / "artifacts/alone/facts.json").read_text())
    assert facts["train"]["origin"]["lr"] == "fallback" and "evaluate" in facts


def test_the_landing_page_shows_steps_and_runs(project):
    page = project / "reports/accueil.ipynb"
    execute(project / "notebooks/accueil.ipynb", page, {"profile": "tiny"}, page.parent)
    outputs = [o for cell in nbformat.read(page, 4).cells for o in cell.get("outputs", ())]
    assert [output.output_type for output in outputs] == ["display_data"] * 2
    html = lxml.html.fromstring("".join(output.data["text/html"] for output in outputs))
    addresses = [unquote(address) for address in html.xpath("//a/@href")]
    assert all((page.parent / address).exists() for address in addresses)
    assert {f"../notebooks/{path.name}" for path in NOTEBOOKS} <= set(addresses)
    assert "rapport.html" in addresses
