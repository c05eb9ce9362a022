"""What git holds of a run: prose says what the files say, the network gives the numbers again."""

import csv
import json
import os
import re
import subprocess
from pathlib import PurePath

import numpy as np
import pytest
import torch
from settings import ROOT

from eurosat_lib.classifier import Classifier
from eurosat_lib.config import load_config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.report.results.make import pages
from eurosat_lib.report.results.reading import published
from eurosat_lib.report.results.tracked import ARTIFACTS, REPORTS, packed
from eurosat_lib.runtime import Runtime, describe_device

RUNS = {r.run.name: r for r in published(ROOT)}
NONE = "no run is committed here yet: make results NAME=eurosat"
MB = 1_000_000
WITH, WITHOUT = 16 * MB, 6 * MB  # of the repository at this commit, as git stores it
# Test images of 5,400 whose answer, or whose being right, may change with device and precision:
# between bf16 and float32 a network of 90 % changed 21 answers, and the number right by 1.
ANSWERS, RIGHT = 40, 10

needs_run = pytest.mark.skipif(not RUNS, reason=NONE)
each_run = pytest.mark.parametrize("name", RUNS or [pytest.param("", marks=needs_run)])


def tracked():
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not in a git repository")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def is_result(name):
    return name.startswith(("artifacts/", "runs/", "reports/")) and not name.endswith(".gitkeep")


def answers(r):
    """Test image -> predicted class, as the run's predictions.csv has them."""
    with open(r.folder / "predictions.csv", encoding="utf-8", newline="") as file:
        return {row["name"]: row["prediction"] for row in csv.DictReader(file)}


# --- the repository -----------------------------------------------------------------------------


def test_the_repository_stays_light():
    names = tracked()
    sources = [ROOT / name for name in names if not is_result(name) or "/template/" in name]
    assert packed(sources) < WITHOUT
    assert packed(ROOT / name for name in names) < WITH


def test_git_holds_nothing_but_what_make_results_lists():
    sources = ("reports/answers/", "reports/template/")
    strangers = []
    for name in filter(is_result, tracked()):
        kind, run, *rest = PurePath(name).parts
        patterns = ARTIFACTS if kind == "artifacts" else REPORTS if kind == "reports" else ()
        inside = PurePath(*rest) if rest else PurePath(run)
        known = any(inside.match(p) and len(PurePath(p).parts) == len(rest) for p in patterns)
        if not name.startswith(sources) and not known:
            strangers.append(name)
    assert strangers == []


# --- the numbers --------------------------------------------------------------------------------


@needs_run
def test_the_pages_are_those_of_the_files():
    text = (ROOT / "docs/RESULTS.md").read_text(encoding="utf-8")
    name = re.search(r"make results NAME=([\w.-]+)`", text)[1]
    repository = load_config(ROOT / "configs/config.yaml", "full").identity.repository
    for path, written in pages(RUNS[name], repository).items():
        assert path.read_text(encoding="utf-8") == written, f"{path}: make results NAME={name}"


@each_run
def test_the_files_agree_with_each_other(name):
    r = RUNS[name]
    tested = r.need(Evaluation)
    facts = json.loads(json.dumps(tested.facts()))
    assert r.run.facts["evaluate"] == facts
    metrics = json.loads((r.folder / "metrics.json").read_text(encoding="utf-8"))
    assert {key: metrics[key] for key in facts} == facts
    assert len(answers(r)) == tested.n == sum(map(sum, tested.confusion))
    assert sum(tested.confusion[k][k] for k in range(len(tested.classes))) == tested.correct
    assert not r.run.tested_other


@each_run
def test_the_checkpoint_is_weights_and_plain_values(name):
    r = RUNS[name]
    content = torch.load(r.folder / "best.ckpt", weights_only=True)
    tested = r.need(Evaluation)
    assert content["epoch"] == tested.epoch
    weights = [p for key, p in content["model"].items() if key.endswith(("weight", "bias"))]
    assert sum(p.numel() for p in weights) == tested.parameters


@each_run
@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif("EUROSAT_DATA" not in os.environ, reason="EUROSAT_DATA is not set")
def test_the_checkpoint_gives_its_accuracy_again(name):
    """To the image on the device and in the precision of the run, to a handful elsewhere."""
    r = RUNS[name]
    tested, origin = r.need(Evaluation), r.origin("evaluate")
    config = load_config(ROOT / "configs/config.yaml", "full")
    here, dataset = Runtime.of(config), load_dataset(config)
    if dataset.fingerprint != r.trees["evaluate"]["scope"]["data"]:
        pytest.skip("EUROSAT_DATA holds other images")
    classifier = Classifier.load(r.folder / "best.ckpt", precision=here.precision)
    said = np.array(classifier.classes)[classifier.logits(dataset.test.images).argmax(1)]
    then = answers(r)
    differ = sum(then[n] != new for n, new in zip(dataset.test.names, said, strict=True))
    right = int((said == np.array(classifier.classes)[dataset.test.labels]).sum())
    same = (describe_device(here), here.precision) == (origin["device"], origin["precision"])
    assert differ <= (0 if same else ANSWERS)
    assert abs(right - tested.correct) <= (0 if same else RIGHT)
