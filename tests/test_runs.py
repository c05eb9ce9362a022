"""Runs beside each other: what differs, the two pages, sweeps and reproductions."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import lxml.html
import pytest
from scipy.stats import binomtest

from eurosat_lib import protocol
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.protocol import ChosenLR
from eurosat_lib.report.__main__ import main
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.failures import NotebookFailed
from eurosat_lib.report.runner.plan import Request
from eurosat_lib.report.runs import settings, sweep
from eurosat_lib.report.runs.comparison import compare
from eurosat_lib.report.runs.index import refresh_index, write_index
from eurosat_lib.report.runs.page import value
from eurosat_lib.report.runs.pairs import Paired, Unpaired, pair
from eurosat_lib.report.runs.reading import find_run, find_runs
from eurosat_lib.report.runs.reproduce import reproduce
from eurosat_lib.report.runs.verdict import judge


def compute(config, name, **values):
    """Train and evaluate in a moment, under a name."""
    overrides = {"paths.name": name} | {f"train.{key}": item for key, item in values.items()}
    config = override(config, overrides)
    protocol.train(config)
    protocol.evaluate(config)
    return config


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What the first test to need them has computed, for the others to copy."""
    return tmp_path_factory.mktemp("kept") / "project"


@pytest.fixture
def two(on_blobs, kept, monkeypatch):
    """The unnamed run and ``slow``, which has another learning rate and one epoch less."""
    root = on_blobs.paths.root
    monkeypatch.chdir(root)
    if not kept.exists():
        compute(on_blobs, "", lr=1e-2)
        compute(on_blobs, "slow", lr=3e-4, max_epochs=1)
        shutil.copytree(root, kept)
    shutil.copytree(kept, root, dirs_exist_ok=True)
    return on_blobs


def read(path):
    return lxml.html.fromstring(path.read_text(encoding="utf-8"))


def text_of(page):
    return " ".join(page.text_content().split())


# --- reading and settings -----------------------------------------------------------------------


def test_runs_are_found_and_say_what_they_are(two):
    root = Path(two.paths.root)
    (root / "artifacts/results/facts.json").write_text('{"a": {}}')  # a folder of every run
    assert [run.name for run in find_runs(root)] == ["", "slow"]
    slow = find_run(root, "slow")
    assert (slow.train["epochs"], slow.test["n"], slow.tested_other) == (1, 40, False)
    assert slow.seconds > 0
    assert len(slow.predictions()) == 40
    with pytest.raises(UserError, match=r"slwo: no such run \(did you mean slow\?\)"):
        find_run(root, "slwo")


def test_a_test_score_of_another_checkpoint_is_noticed(two):
    protocol.train(override(two, {"paths.name": "slow", "train.lr": 5e-4}))  # not evaluated anew
    assert find_run(Path(two.paths.root), "slow").tested_other
    page = read(write_index(two, "configs/config.yaml"))
    assert "autre checkpoint" in text_of(page)


def test_each_section_is_that_of_its_own_stage(two):
    protocol.overfit_small(override(two, {"paths.name": "slow", "overfit.epochs": 3}))
    found = settings.settings(find_run(Path(two.paths.root), "slow"))
    assert (found["train.lr"], found["train.max_epochs"], found["overfit.epochs"]) == (3e-4, 1, 3)
    assert not [key for key in found if key.startswith(("paths", "compute", "identity"))]


def test_what_a_profile_explains_is_not_a_choice(root, monkeypatch):
    monkeypatch.chdir(root)
    quick, full = (
        settings.flatten(load_config(profile=p).model_dump(mode="json", exclude={"paths"}))
        for p in ("quick", "full")
    )
    other = full | {"train.lr": 3e-4, "grid.weight_decay": [1e-3]}
    assert len(settings.differing([quick, full])) > 5
    assert settings.chosen([quick, full], "configs/config.yaml") == ["profile"]
    found = settings.chosen([quick, full, other, {}], "configs/config.yaml")
    assert sorted(found) == ["grid.weight_decay", "profile", "train.lr"]
    assert [settings.label(key) for key in ("train.lr", "grid.weight_decay")] == [
        "lr",
        "grid.weight_decay",
    ]


@pytest.mark.parametrize(
    ("item", "written"),
    [
        (3e-4, "3\u202f×\u202f10<sup>\u22124</sup>"),
        (1e-5, "10<sup>\u22125</sup>"),
        (0.25, "0,25"),
        (16200, "16\u202f200"),
        (None, "automatique"),
        (True, "oui"),
        ([1, 2], "[1\u202f;\u00a02]"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_values_are_french(item, written):
    assert str(value(item)) == written


# --- pages --------------------------------------------------------------------------------------


def check_self_contained(path):
    page = read(path)
    assert page.get("lang") == "fr"
    assert not page.xpath("//link | //script[@src]")
    assert all(image.get("src").startswith("data:") for image in page.xpath("//img"))
    for address in page.xpath("//a/@href"):
        assert (path.parent / address).exists(), address
    return page


def test_index_lists_runs_with_what_differs(two):
    page = check_self_contained(write_index(two, "configs/config.yaml"))
    unnamed, slow = page.xpath("//table[@class='runs']/tbody/tr")
    assert "sans nom" in text_of(unnamed)
    assert [item.text for item in slow.xpath("./td[1]//code")] == ["lr", "max_epochs"]
    assert "lr = 3 × 10−4" in text_of(slow)
    facts = json.loads((two.paths.artifacts / "slow/facts.json").read_text())["evaluate"]
    shown = f"{100 * facts['accuracy']:.2f}".replace(".", ",")
    low = f"{100 * facts['low']:.2f}".replace(".", ",")
    assert shown in text_of(slow) and f"[{low}" in text_of(slow)
    assert "../artifacts/slow/metrics.json" in slow.xpath(".//a/@href")


def test_index_without_runs_says_how_to_make_one(tiny, monkeypatch):
    monkeypatch.chdir(tiny.paths.root)
    assert "make report" in text_of(read(write_index(tiny, "configs/config.yaml")))


def test_index_is_written_when_a_run_has_changed(two):
    path = refresh_index(two, "configs/config.yaml")
    before = path.stat().st_mtime_ns
    assert refresh_index(two, "configs/config.yaml").stat().st_mtime_ns == before
    compute(two, "third", lr=2e-3, max_epochs=1)
    assert "third" in refresh_index(two, "configs/config.yaml").read_text()


def test_index_lives_with_facts_of_another_version(two):
    (two.paths.artifacts / "slow/facts.json").write_text('{"train": {"loss": 1}}')
    assert "pas encore entraîné" in text_of(read(write_index(two, "configs/config.yaml")))


def test_comparison_shows_curves_parameters_and_the_test(two):
    path = compare(two, "", "slow")
    assert path == Path(two.paths.root, "reports/comparaisons/_+slow.html")
    write_index(two, "configs/config.yaml")
    page = check_self_contained(path)
    (figure,) = page.xpath("//figure/img")
    assert "sans nom" in figure.get("alt") and "slow" in figure.get("alt")
    rows = {row.xpath("string(th)"): row for row in page.xpath("//tr[th/@scope='row']")}
    assert [cell.text_content() for cell in rows["lr"].xpath("td")] == [
        "0,01",
        "3\u202f×\u202f10−4",
    ]
    assert {"Exactitude sur test", "PyTorch"} <= set(rows)
    tables = []
    for name in ("", "slow"):
        with open(two.paths.artifacts / name / "predictions.csv", newline="") as file:
            tables.append([row["truth"] == row["prediction"] for row in csv.DictReader(file)])
    only = [sum(a > b for a, b in zip(*order, strict=True)) for order in (tables, tables[::-1])]
    p = binomtest(only[0], sum(only)).pvalue if sum(only) else 1
    shown = "< 0,001" if p < 0.001 else f"= {p:.3f}".replace(".", ",").rstrip("0").rstrip(",")
    assert shown in text_of(page)
    assert f"{only[1]} que seul « slow » reconnaît" in text_of(page)


def test_comparison_of_runs_without_a_common_test(two):
    (two.paths.artifacts / "slow/predictions.csv").unlink()
    text = text_of(read(compare(two, "", "slow")))
    assert "« slow » n’a pas été évalué sur le test" in text
    assert "McNemar" not in text
    path = two.paths.artifacts / "slow/predictions.csv"
    path.write_text("name,truth,prediction\nx.jpg,Forest,Forest\ny.jpg,Forest,River\n")
    text = text_of(read(compare(two, "", "slow")))
    assert "deux proportions indépendantes" in text


def test_comparison_wants_two_runs(two, capsys):
    assert main(["compare", "slow", "slow"]) == 2
    assert main(["compare", "slow", "fast"]) == 2
    error = capsys.readouterr().err
    assert "two runs" in error and "fast: no such run" in error


# --- statistics ---------------------------------------------------------------------------------


def predictions(*right):
    return {f"{i}.jpg": ("Forest", "Forest" if ok else "River") for i, ok in enumerate(right)}


def test_pairs_are_counted_and_tested_by_hand():
    first = predictions(*[True] * 20, *[True] * 10, *[False] * 2, *[False] * 8)
    second = predictions(*[True] * 20, *[False] * 10, *[True] * 2, *[False] * 8)
    result = pair(first, second, 0.95)
    assert isinstance(result, Paired)
    counts = (result.both, result.only_first, result.only_second, result.neither)
    assert counts == (20, 10, 2, 8)
    assert result.p_value == pytest.approx(2 * (1 + 12 + 66) / 2**12)  # C(12, 0…2), two sides
    assert result.decided
    assert result.difference == -8 / 40
    low, high = result.interval
    assert low < -8 / 40 < high < 0
    same = pair(first, first, 0.95)
    assert (same.p_value, same.decided, same.difference) == (1, False, 0)


def test_other_images_or_labels_are_not_paired():
    first = predictions(True, True, False)
    relabelled = first | {"0.jpg": ("River", "Forest")}
    for second in (predictions(True, True), relabelled):
        result = pair(first, second, 0.95)
        assert isinstance(result, Unpaired)
        assert result.interval[0] < result.difference < result.interval[1]
        assert not result.decided
    assert pair(first, {}, 0.95) is None


# --- sweeps -------------------------------------------------------------------------------------


@pytest.fixture
def project(root, monkeypatch):
    """A project with the real notebooks' parameters; nothing is executed."""
    (root / "notebooks").symlink_to(Path(__file__).parents[1] / "notebooks")
    monkeypatch.chdir(root)
    return root


def request(**fields):
    return Request(profile="quick", data="synthetic", **fields)


def test_sweep_names_its_runs(project):
    file = project / "sweep.yaml"
    file.write_text(
        "- {name: base}\n- lr: 3e-4\n- {lr: 1.0e-3, max_epochs: 5, lr_seeds: [0, 1]}\n"
    )
    requests = sweep.read_sweep(file, request(params="-p max_epochs 2"))
    assert list(requests) == ["base", "lr3e-4", "lr0.001_max_epochs5_lr_seeds0-1"]
    config, _ = sweep.prepare(requests["lr3e-4"])
    assert (config.train.lr, config.train.max_epochs, config.paths.name) == (3e-4, 2, "lr3e-4")
    config, _ = sweep.prepare(requests["lr0.001_max_epochs5_lr_seeds0-1"])
    assert (config.train.max_epochs, config.lr_finder.seeds) == (5, (0, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- lr: 0.1\n- {lr: 0.2, max_epoch: 3}", "set 2 .*did you mean max_epochs"),
        ("- lr: 0.1\n- lr: 0.1", "set 2: the name lr0.1 is taken"),
        ("- {}", "set 1 is empty"),
        ("- name: answers", "folder or file of every run"),
        ("lr: 0.1", "expected a list"),
        ("- lr", "set 1: expected name: value, got 'lr'"),
        ("- [", "not readable as YAML"),
    ],
)
def test_a_wrong_sweep_is_refused_as_a_whole(project, text, message):
    file = project / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        sweep.read_sweep(file, request())
    with pytest.raises(UserError, match="No such file"):
        sweep.read_sweep(project / "none.yaml", request())


def test_the_example_of_a_sweep_is_right(project):
    names = list(sweep.read_sweep(project / "configs/sweeps/lr.yaml", request()))
    assert names == ["lr3e-4", "lr1e-3", "lr0.001_weight_decay0.001"]


def test_sweep_goes_on_after_failures_and_skips_what_is_done(project, monkeypatch, capsys):
    file = project / "sweep.yaml"
    file.write_text("".join(f"- {{name: {n}}}\n" for n in ("done", "bad", "bug", "good")))
    built = []

    def build(request, console):
        built.append(request.name)
        if request.name == "bad":
            raise NotebookFailed("06_train failed in cell 3")
        if request.name == "bug":
            raise RuntimeError("oh")

    monkeypatch.setattr(sweep, "_is_done", lambda request: request.name == "done")
    stream = io.StringIO()
    verdicts = sweep.sweep(sweep.read_sweep(file, request()), Console(stream), build)
    assert built == ["bad", "bug", "good"]
    assert verdicts == {
        "done": "done before, skipped",
        "bad": "failed: 06_train failed in cell 3",
        "bug": "failed: RuntimeError: oh",
        "good": "done",
    }
    assert "run 2/4: bad · failed: 06_train failed in cell 3" in stream.getvalue()
    monkeypatch.setattr(sweep.sweep, "__defaults__", (build,))
    options = ["sweep", "--profile", "quick", "--data", "synthetic", str(file)]
    assert main(options) == 1
    file.write_text("- name: good\n")
    assert main(options) == 0
    assert main([*options, "--name", "x"]) == 2
    assert "NAME is given to each run" in capsys.readouterr().err


# --- reproduction -------------------------------------------------------------------------------


def test_verdict_compares_values_and_leaves_times_aside():
    before = {"loss": 1.0, "epochs": [{"a": 1, "seconds": 3.0}], "name": "x", "nan": float("nan")}
    after = {"loss": 1.0, "epochs": [{"a": 1, "seconds": 9.0}], "name": "x", "nan": float("nan")}
    assert judge("train", before, after).same
    assert str(judge("train", before, after)) == "train: the same to the bit (4 values)"
    after["epochs"][0]["a"], after["loss"] = 1.25, 0.5
    verdict = judge("train", before, after)
    assert (verdict.changed, verdict.largest, verdict.first) == (2, 0.5, "loss: 1 -> 0.5")
    assert "within 5.0e-01" in str(verdict)
    del after["name"]
    assert judge("train", before, after).largest == float("inf")


def test_reproduction_is_computed_anew_and_the_same(two, monkeypatch):
    root, said = Path(two.paths.root), []
    shared = sorted(path.name for path in two.paths.stages.iterdir())
    assert reproduce(root, "slow", said.append)
    own = root / "artifacts/reproduction-slow/.stages"
    assert {p.name.split("-")[0] for p in own.iterdir() if p.is_dir()} == {"training", "evaluate"}
    assert sorted(path.name for path in two.paths.stages.iterdir()) == shared
    assert "reproduced: every number is the same to the bit" in said[-1]
    assert "train: the same to the bit" in said[-1]
    new = find_run(root, "reproduction-slow")
    assert new.train["epochs"] == 1
    verdict = json.loads((root / "artifacts/reproduction-slow/reproduction.json").read_text())
    assert verdict["same"] is True


def test_reproduction_says_what_differs_and_why(two, monkeypatch):
    root, said = Path(two.paths.root), []
    path = root / "artifacts/slow/results/train.json"
    tree = json.loads(path.read_text())
    tree["result"]["fit"]["epochs"][0]["val_loss"] *= 1.5
    tree["provenance"]["torch"] = "1.0"
    path.write_text(json.dumps(tree))
    assert not reproduce(root, "slow", said.append)
    assert "train: 1 of" in said[-1] and "fit.epochs.0.val_loss" in said[-1]
    assert "torch: 1.0 -> 2" in said[-1]
    assert "inside its 95% interval" in said[-1]
    assert "evaluate: the same to the bit" in said[-1]
    marker = root / "artifacts/reproduction-slow/.stages/marker"
    marker.touch()
    assert main(["reproduce", "--name", "slow"]) == 1
    assert not marker.exists()  # a complete reproduction is begun afresh


def test_reproduction_refuses_what_it_cannot_do(two, capsys):
    root = Path(two.paths.root)
    compute(two, "reproduction-slow", lr=1e-3, max_epochs=1)
    with pytest.raises(UserError, match="another run has the name"):
        reproduce(root, "slow", print)
    with pytest.raises(UserError, match="nothing: no such run"):
        reproduce(root, "nothing", print)
    path = root / "artifacts/slow/results/train.json"
    tree = json.loads(path.read_text())
    del tree["config"]
    path.write_text(json.dumps(tree))
    assert main(["reproduce", "--name", "slow"]) == 2
    assert "stored no configuration" in capsys.readouterr().err


def test_part_of_a_run_is_computed_again_on_what_git_holds(two, monkeypatch):
    """As in a fresh clone: published results and the checkpoint, no stage cache."""
    root, said = Path(two.paths.root), []
    shutil.rmtree(two.paths.stages)
    shutil.rmtree(root / "runs")
    assert reproduce(root, "slow", said.append, ["evaluate"])
    assert said[0] == "taken as they are: train"
    assert "evaluate: the same to the bit" in said[-1] and "train:" not in said[-1]
    own = root / "artifacts/reproduction-slow/.stages"
    assert {p.name.split("-")[0] for p in own.iterdir() if p.is_dir()} == {"evaluate"}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("evluate", r"no stage evluate \(did you mean evaluate\?\)"),
        ("lr_finder", "slow has no result of lr_finder"),
        ("evaluate compare_splits", "compare_splits trains anew; name train_spatial and"),
    ],
)
def test_a_part_that_cannot_be_computed_is_refused(two, capsys, stages, message):
    results = Path(two.paths.root) / "artifacts/slow/results"
    for name in ("compare_splits", "train_spatial", "evaluate_spatial"):
        shutil.copy(results / "train.json", results / f"{name}.json")
    assert main(["reproduce", "--name", "slow", "--stages", stages]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (Path(two.paths.root) / "artifacts/reproduction-slow").exists()


# --- a learning rate chosen by hand -------------------------------------------------------------


def test_a_choice_by_hand_is_a_difference_and_is_reproduced(two, monkeypatch):
    root, said = Path(two.paths.root), []
    free = override(two, {"paths.name": "slow", "grid.lr": None, "grid.dilation_stage3": [2]})
    protocol.choose_lr(free, ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    assert find_run(root, "slow").chosen_lr is None  # no grid was built on it yet
    protocol.grid_search(free)
    protocol.train(free)
    protocol.evaluate(free)
    page = read(write_index(two, "configs/config.yaml"))
    assert "LR choisi à la main (04) = 2 × 10−3" in text_of(page)
    assert "LR choisi à la main" in text_of(read(compare(two, "", "slow")))
    assert reproduce(root, "slow", said.append)
    assert any("chosen by hand" in line and "0.002" in line for line in said)
    new = find_run(root, "reproduction-slow")
    assert new.chosen_lr == find_run(root, "slow").chosen_lr
    assert new.results["grid_search"]["result"]["origin"] == "chosen_lr"


def test_the_spatial_split_is_reproduced_with_the_run(two, monkeypatch):
    """Its results are stored with the split they made; the stages make it again."""
    config = compute(two, "cut", lr=1e-2, max_epochs=1)
    protocol.compare_splits(config)
    root, said = Path(two.paths.root), []
    assert reproduce(root, "cut", said.append)
    assert "train_spatial: the same to the bit" in said[-1]
    assert find_run(root, "reproduction-cut").spatial["n"] == 40
