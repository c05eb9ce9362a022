"""The results of a run for git: the page, the headline, the card, and what is refused."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from settings import ROOT

from eurosat_lib import stages
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.report.results import check, make, page, tracked
from eurosat_lib.report.results.check import faults
from eurosat_lib.report.results.english import number, percent, points, rate, table
from eurosat_lib.report.results.page import SHOWN, others, replace_headline, results_page
from eurosat_lib.report.results.reading import published, read_results
from eurosat_lib.report.results.tables import TABLES

# Tables of the report that hold no result: what the page says elsewhere, or the protocol itself.
NO_RESULT = {"artifacts", "layers", "pipeline"}

RECIPE = {
    "recipe.name": "protocol",
    "recipe.seeds": [1, 2],
    "recipe.spatial": True,
    "recipe.ablation_epochs": 1,
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What the first test to need it has computed, for the others to copy."""
    return tmp_path_factory.mktemp("kept") / "project"


@pytest.fixture
def done(on_blobs, kept, monkeypatch):
    """A run with every result, named done, from code that a commit holds."""
    root = Path(on_blobs.paths.root)
    config = override(on_blobs, {"paths.name": "done", "profile": "quick"} | RECIPE)
    if not kept.exists():
        for stage in stages.STAGES.values():
            stage(config)
        for path in (root / "artifacts/done/results").glob("*.json"):
            change(path, lambda tree: tree["provenance"].update(commit="1c135ce0ab"))
        (root / "README.md").write_text(f"# Before\n{page.BEGIN}\n{page.END}\nafter\n")
        shutil.copytree(root, kept)
    shutil.copytree(kept, root, dirs_exist_ok=True)
    monkeypatch.chdir(root)
    monkeypatch.setattr(check, "_report", lambda r, data: [])
    return config


@pytest.fixture
def results(done):
    return read_results(done, "done")


def change(path, edit):
    tree = json.loads(path.read_text(encoding="utf-8"))
    edit(tree)
    path.write_text(json.dumps(tree), encoding="utf-8")


def result(done, stage):
    return done.paths.artifacts / "results" / f"{stage}.json"


# --- numbers and tables -------------------------------------------------------------------------


def test_numbers_are_written_in_english():
    assert number(16200) == "16,200"
    assert number(-0.00001, 2) == "0.00"
    assert percent(5241 / 5400) == "97.06 %"
    assert points(-0.0094, (-0.0131, 0.002)) == "−0.94 [−1.31, 0.20]"
    assert points(0.0048) == "+0.48"
    assert (rate(3e-4), rate(None)) == ("3e-4", "–")


def test_a_column_of_numbers_is_aligned_to_the_right():
    lines = table(("Name", "n", "Note"), [("a|b", 1200, "x"), ("c", 3, "")]).splitlines()
    assert lines == [
        "| Name | n | Note |",
        "| --- | ---: | --- |",
        "| a\\|b | 1,200 | x |",
        "| c | 3 |  |",
    ]


def test_every_results_table_of_the_report_is_on_the_page():
    calls = set()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        calls |= set(re.findall(r"\btables\.(\w+)\(", path.read_text(encoding="utf-8")))
    assert calls - NO_RESULT <= set(TABLES)
    template = (ROOT / "reports/template/results/RESULTS.md.j2").read_text(encoding="utf-8")
    assert not [name for name in TABLES if "{{ " + name + " }}" not in template]
    assert set(stages.STAGES) <= SHOWN


# --- the page -----------------------------------------------------------------------------------


def test_the_page_says_what_the_files_say(done, results):
    text = results_page(results)
    tested = json.loads(result(done, "evaluate").read_text())["result"]
    assert f"{tested['correct']} of {tested['n']} images" in text
    assert percent(tested["correct"] / tested["n"]) in text
    assert "make report PROFILE=quick NAME=again" in text
    assert not re.search(r"\bnan\b|None|\{\{", text)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        pipes = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(pipes) == 1, block


def test_a_recipe_stands_beside_the_protocol(done, results):
    text = results_page(results)
    assert "Trained by the recipe `protocol` instead (" in text and "mean of 2 seeds" in text
    assert "recipe `protocol`" not in make.pages(results, "")[done.paths.card]
    assert "| **mean ± sd (n = 2)** |" in text and "| spatial, seed 1 |" in text
    assert '| `optimizer.kind` | `"adam"` |' in text
    assert "validation alone" not in text  # the same recipe, tested since
    change(result(done, "validate_recipe"), lambda t: t["result"]["settings"].update(epochs=9))
    assert "A recipe judged on validation alone:" in results_page(read_results(done, "done"))
    for stage in stages.ON_DEMAND:
        result(done, stage).unlink()
    r = read_results(done, "done")
    assert "Another recipe" not in results_page(r) and "by the recipe" not in results_page(r)
    assert faults(r) == []


def test_the_page_follows_the_files(done, results):
    before = make.pages(results, "")
    change(result(done, "evaluate"), lambda tree: tree["result"].update(correct=1))
    after = make.pages(read_results(done, "done"), "")
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed == {"README.md", "RESULTS.md", "MODEL_CARD.md"}


def test_a_shared_machine_is_named(done, results):
    def slow(tree):
        epochs = tree["result"]["fit"]["epochs"]
        epochs.append(epochs[1] | {"epoch": 3, "seconds": 10.0})
        epochs[0]["seconds"], epochs[1]["seconds"] = 90.0, 20.0  # the first is a warm-up

    change(result(done, "train"), slow)
    text = results_page(read_results(done, "done"))
    assert "10.0 to 20.0 s each, a factor of 2.00: the machine may have had" in text


def test_what_differs_from_the_protocol_is_listed(done, results):
    text = results_page(results)
    assert "| `train.max_epochs` | `2` | `20` |" in text and "to the letter:" in text
    assert "`recipe." not in text.split("## Elsewhere")[0]


def test_results_without_a_table_are_listed(done):
    shutil.copy(result(done, "train"), result(done, "train_more"))
    facts = done.paths.artifacts / "facts.json"
    change(facts, lambda tree: tree.update(train_more={"accuracy": 0.986, "seeds": [1, 2]}))
    text = others(read_results(done, "done"))
    assert text.startswith("### `train_more`") and "| `accuracy` | 0.986 |" in text
    assert text in results_page(read_results(done, "done"))


def test_without_a_spatial_split_the_page_says_so(done):
    absent = {"absent": "lists", "reason": "no lists"}
    change(result(done, "compare_splits"), lambda tree: tree.update(result=absent))
    facts = done.paths.artifacts / "facts.json"
    change(facts, lambda tree: tree["compare_splits"].update(available=False))
    for stage in ("train_spatial", "evaluate_spatial"):
        result(done, stage).unlink()
    r = read_results(done, "done")
    assert "Not computed in this run." in results_page(r)
    assert "was not measured in this run" in make.pages(r, "")[r.run.paths.card]
    assert faults(r) == []


def test_results_of_another_version_are_named(done):
    change(result(done, "train"), lambda tree: tree["result"].pop("batch_size"))
    with pytest.raises(UserError, match=r"train\.json: written by another version"):
        results_page(read_results(done, "done"))


def test_the_headline_replaces_the_old_one():
    text = f"a\n{page.BEGIN}\nold\n{page.END}\nb\n"
    block = f"{page.BEGIN}\nnew \\1\n{page.END}"
    assert replace_headline(text, block) == f"a\n{block}\nb\n"
    with pytest.raises(UserError, match="marks"):
        replace_headline("a\nb\n", block)


# --- the card -----------------------------------------------------------------------------------


def test_the_card_has_a_header_that_the_hub_reads(done, results):
    text = make.pages(results, "https://example.org/x")[done.paths.card]
    _, header, body = text.split("---\n", 2)
    tree = yaml.safe_load(header)
    assert (tree["license"], tree["library_name"]) == ("mit", "pytorch")
    metric = tree["model-index"][0]["results"][0]["metrics"][0]
    tested = json.loads(result(done, "evaluate").read_text())["result"]
    assert metric["value"] == pytest.approx(tested["correct"] / tested["n"], abs=5e-5)
    wanted = ["Model Details", "Uses", "Bias, Risks, and Limitations", "Training Details"]
    wanted += ["How to Get Started with the Model", "Evaluation", "Citation"]
    assert not [heading for heading in wanted if f"\n## {heading}\n" not in body]
    assert "<https://example.org/x>" in body


def test_the_three_lines_of_the_card_run(done, results, capsys):
    text = make.pages(results, "")[done.paths.card]
    lines = re.search(r"```python\n(.*?)```", text, re.S)[1]
    assert len(lines.splitlines()) == 3
    Image.new("RGB", (64, 64), (30, 60, 90)).save("tile.jpg")
    exec(lines, {})
    said = eval(capsys.readouterr().out)
    assert len(said) == 10 and sum(said.values()) == pytest.approx(1)


# --- what is refused ----------------------------------------------------------------------------


def test_a_whole_run_passes_and_is_written(done, capsys):
    assert list(published(Path(done.paths.root))) == []
    make.make_results(done, "done", None, print)
    root, said = Path(done.paths.root), capsys.readouterr().out
    assert "git add artifacts/done reports/done docs/RESULTS.md README.md" in said
    assert [r.run.name for r in published(root)] == ["done"]
    assert "Run `done`, profile `quick`" in (root / "README.md").read_text()
    asked = yaml.safe_load((root / "reports/done/params.yaml").read_text())
    assert asked == {"profile": "quick"}
    names = {path.name for path in tracked.files(read_results(done, "done"))}
    assert {"best.ckpt", "train.json", "history.csv", "MODEL_CARD.md", "RESULTS.md"} <= names
    assert not names & {"best_spatial.ckpt", ".facts.lock"}


@pytest.mark.parametrize(
    ("stage", "edit", "message"),
    [
        ("train", lambda t: t["provenance"].update(commit="1c135ce0ab-dirty"), "local changes"),
        ("train", lambda t: t["provenance"].update(commit=""), "outside of a git"),
        ("grid_search", lambda t: t["scope"].update(profile="full"), "profile .* grid_search"),
        ("lr_finder", lambda t: t["scope"].update(data="0" * 64), "data .* lr_finder"),
        ("evaluate", lambda t: t["result"].update(correct=40), "predictions.csv: .* 40 of 40"),
        ("evaluate", lambda t: t["result"].update(checkpoint_sha256="0"), "not the checkpoint"),
    ],
)
def test_an_unfit_run_is_refused(done, stage, edit, message):
    change(result(done, stage), edit)
    with pytest.raises(UserError, match=message):
        make.make_results(done, "done", None, print)
    assert not done.paths.card.exists()


def test_missing_results_and_heavy_checkpoints_are_refused(done, monkeypatch):
    monkeypatch.setattr(check, "LIMIT", 100)
    assert any("more than 100" in line for line in faults(read_results(done, "done")))
    result(done, "measure_robustness").unlink()
    assert faults(read_results(done, "done")) == ["no result of measure_robustness"]


def test_drawn_images_are_refused(done):
    facts = done.paths.artifacts / "facts.json"
    change(facts, lambda tree: tree["explore_dataset"].update(synthetic=True))
    assert "drawn by program" in faults(read_results(done, "done"))[0]


def test_the_unnamed_run_is_not_committed(done):
    with pytest.raises(UserError, match="NAME"):
        make.make_results(done, "", None, print)


def test_a_report_that_is_out_of_date_is_refused(done, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(done.paths.root)
    shutil.copytree(ROOT / "notebooks", "notebooks")
    r = read_results(done, "done")
    found = list(check._report(r, "synthetic"))
    assert len(found) == 1 and "out of date: 01_data" in found[0]
    assert "make report PROFILE=quick NAME=done" in found[0]
