"""The seven notebooks, executed by papermill on a tiny set, bound, and both files read back."""

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
from ipykernel.kernelspec import write_kernel_spec
from settings import ROOT, TINY

from eurosat_lib import protocol
from eurosat_lib.config import configure, nest
from eurosat_lib.report.plan import prepare
from eurosat_lib.report.run import execute

QUESTIONS = [*(f"D{i}" for i in range(1, 12)), *(f"M{i}" for i in range(10))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def report(root, *words):
    command = [sys.executable, "-m", "eurosat_lib.report", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project root with a profile that runs in moments, and its report, built once."""
    root = tmp_path_factory.mktemp("project")
    for name in ("configs", "notebooks", "reports/answers", "reports/template"):
        shutil.copytree(ROOT / name, root / name)
    tiny = nest(TINY) | {"profile": "tiny"}
    (root / "configs/profiles/tiny.yaml").write_text(yaml.safe_dump(tiny))
    said = report(root, "build", "--profile", "tiny")
    assert all(f"[{n}/7] {name}\n" in said for n, name in enumerate(NAMES, 1))
    return root


@pytest.fixture(scope="module")
def page(project):
    return lxml.html.fromstring((project / "reports/rapport.html").read_text(encoding="utf-8"))


def test_sources_are_without_outputs_and_ran_from_top_to_bottom(project):
    for path in NOTEBOOKS:
        source = nbformat.read(path, as_version=4)
        code = [cell for cell in source.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in code)
        assert [cell.id for cell in code if cell.source.count("\n") >= 15] == []
        executed = nbformat.read(project / "reports/notebooks" / path.name, as_version=4)
        cells = [c for c in executed.cells if c.cell_type == "code" and c.source.strip()]
        assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
        outputs = [output for cell in cells for output in cell.outputs]
        assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


def answer_to(page, question):
    path = f'//div[@id="{question}"]/following::div[contains(@class,"answer")]'
    return " ".join(page.xpath(path)[0].text_content().split())


def test_all_questions_are_answered_in_order_and_by_the_facts(project, page):
    named = page.xpath('//div[contains(concat(" ", @class, " "), " question ")]')
    assert [element.get("id") for element in named] == QUESTIONS
    assert all(len(answer_to(page, question).split()) > 15 for question in QUESTIONS)
    facts = json.loads((project / "artifacts/facts.json").read_text(encoding="utf-8"))
    score = f"{100 * facts['evaluate']['accuracy']:.2f} %".replace(".", ",")
    assert f"{score} des {facts['evaluate']['n']} images de test" in answer_to(page, "M9")
    assert f" {facts['explore_dataset']['n_train']} pour l’entraî" in answer_to(page, "D2")
    assert "données synthétiques de démonstration" in page.text_content()
    drawn, cut = (banner.text_content() for banner in page.xpath("//*[@class='banner']"))
    assert "dessinées par programme" in drawn and cut.startswith("Profil tiny.")
    (alt,) = page.xpath("//figure[@id='fig-compare-wd']//img/@alt")
    trials = len(page.xpath("//*[@id='tab-refined']//tbody/tr"))
    assert " WD = " in alt and trials == facts["refined_grid_search"]["n_trials"]


def test_an_answer_stands_under_its_heading_with_what_it_builds_on(project):
    found, heading = {}, ""
    for path in NOTEBOOKS:
        for cell in nbformat.read(project / "reports/notebooks" / path.name, 4).cells:
            title = re.match(r"##+ ([\d.]+)", cell.source)
            heading = title[1] if title and cell.cell_type == "markdown" else heading
            for output in cell.get("outputs", ()):
                kept = output.get("metadata", {}).get("eurosat", {})
                found |= {kept["answer"]: kept["facts"]} if "answer" in kept else {}
                section = re.match(r"S([\d.]*\d)", kept.get("answer", ""))
                assert not section or f"{section[1]}.".startswith(f"{heading}.")
    for name, other in (("M5", "compute_baselines"), ("M8", "grid_search"), ("M9", "train")):
        assert other in found[name]


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


def test_a_changed_sentence_runs_no_notebook_and_is_quick(project):
    path, started = project / "reports/answers/M3.md", time.monotonic()
    path.write_text(path.read_text(encoding="utf-8") + "\n\nPhrase ajoutée par le test.\n")
    assert report(project, "build", "--profile", "tiny").count("up to date") == 7
    assert "Phrase ajoutée par le test." in (project / "reports/rapport.html").read_text()
    assert time.monotonic() - started < 60


def test_a_result_changed_by_hand_is_out_of_date_where_it_is_used(project, monkeypatch):
    monkeypatch.chdir(project)
    config = configure({"profile": "tiny"})

    def stale():
        *_, steps = prepare({"profile": "tiny"})
        return [step.source.stem for step in steps if not step.current()]

    protocol.choose_lr(config, protocol.ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    assert {"04_lr_finder", "05_grid"} <= set(stale()) <= set(NAMES[2:])
    protocol.choose_lr(config, None)
    assert not stale()
    for name in ("history.csv", "best.ckpt"):
        path = project / "artifacts" / name
        good = path.read_bytes()
        path.write_bytes(good[:-2])
        assert stale() == ["06_train", "07_eval"]
        path.write_bytes(good)
    assert not stale()


def test_the_last_notebook_alone_in_plain_papermill_and_two_runs_compared(project):
    def results():
        places = (path for kind in ("artifacts", "runs") for path in (project / kind).rglob("*"))
        own = [p for p in places if p.is_file() and not {".stages", "plain"} & set(p.parts)]
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in own}

    before = results()
    write_kernel_spec(project / "jupyter/kernels/python3")
    command = [sys.executable, "-m", "papermill", "notebooks/07_eval.ipynb", "out.ipynb"]
    command += ["-p", "seed", "7", "-p", "profile", "tiny", "-p", "name", "plain"]
    paths = {"PYTHONPATH": str(ROOT), "JUPYTER_PATH": str(project / "jupyter")}
    subprocess.run(command, capture_output=True, cwd=project, env=os.environ | paths, check=True)
    kept = json.loads((project / "artifacts/plain/results/train.json").read_text())
    assert (kept["config"]["seed"], kept["config"]["profile"]) == (7, "tiny")
    assert kept["result"]["origin"]["lr"] == "fallback"  # no notebook before has run
    assert {"history.csv", "best.ckpt"} <= set(kept["files"]) and results() == before
    report(project, "compare", "", "plain")
    index = lxml.html.fromstring((project / "reports/index.html").read_text(encoding="utf-8"))
    names = [row[0].text_content() for row in index.xpath("//table/tbody/tr")]
    assert names == ["sans nom", "plain"]
    links = index.xpath("//a/@href")
    assert {"rapport.html", "rapport.pdf", "comparaisons/_%2Bplain.html"} <= set(links)
    assert all((project / "reports" / unquote(link)).exists() for link in links)
    page = lxml.html.parse(project / "reports/comparaisons/_+plain.html").getroot()
    text = " ".join(page.text_content().split())
    assert "Deux runs côte à côte" in text and "intervalle à 95" in text


def test_the_landing_page_shows_steps_and_runs(project):
    page = project / "reports/page/accueil.ipynb"
    page.parent.mkdir()
    execute(project / "notebooks/accueil.ipynb", page, {"profile": "tiny"}, page.parent)
    outputs = [o for cell in nbformat.read(page, 4).cells for o in cell.get("outputs", ())]
    html = lxml.html.fromstring("".join(output.data["text/html"] for output in outputs))
    addresses = [unquote(address) for address in html.xpath("//a/@href")]
    assert all((page.parent / address).exists() for address in addresses)
    assert {f"../../notebooks/{path.name}" for path in NOTEBOOKS} <= set(addresses)
    assert "../rapport.html" in addresses
