"""A run for git: its model card, the headline of the README, and what is refused."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml

from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.report.publish import BEGIN, CARD, END, make_results

COMMIT = {"commit": "1c135ce0ab", "started": "2026-11-22", "seconds": 120.0, "device": "CPU"}
SCORE = {"accuracy": 0.9, "low": 0.88, "high": 0.92, "n": 1000, "confidence_level": 0.95}
EVALUATE = SCORE | {"macro_f1": 0.89, "macro_f1_interval": [0.87, 0.91], "correct": 900}
EVALUATE |= {"seed": 42, "parameters": 1925258, "val_accuracy": 0.91, "classes": ["Forest"]}
EVALUATE |= {"worst_class": "River", "worst_f1": 0.8}
EVALUATE |= {"hyperparameters": {"blocks_per_stage": 3, "dilation_stage3": 2}}
CLASS = {"name": "River", "precision": 0.8, "recall": 0.7, "f1": 0.75, "support": 100}
TRAIN = {"lr": 1e-3, "weight_decay": 1e-4, "batch_size": 64, "epochs": 20, "best_epoch": 18}
TRAIN |= {"seed": 42, "train_images": 16200, "validation_images": 5400}
RECIPE = {"name": "best", "correct": 980, "n": 1000, "low": 0.97, "high": 0.99, "count": 2}
RECIPE |= {"accuracy": {"mean": 0.981, "sd": 0.001}}
FACTS = {
    "explore_dataset": {"synthetic": False},
    "train": TRAIN,
    "evaluate": EVALUATE,
    "analyse_errors": {"ece_before": 0.02, "ece_after": 0.01, "temperature": 1.2},
    "evaluate_seeds": {"several": True, "count": 3, "accuracy": {"mean": 0.901, "sd": 0.002}},
    "train_recipe": RECIPE,
}


@pytest.fixture
def project(root):
    """A project with the files of a whole run, named done."""
    config = override(load_config(root / "configs/config.yaml", "full"), {"paths.name": "done"})
    checkpoint = config.paths.artifacts / "best.ckpt"
    (config.paths.artifacts / "results").mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    facts = {stage: dict(own) for stage, own in FACTS.items()}
    facts["evaluate"]["checkpoint_sha256"] = hashlib.sha256(b"weights").hexdigest()
    settings = config.model_dump(mode="json")
    for stage in facts:
        tree = {"provenance": COMMIT | {"precision": "bf16"}, "config": settings}
        change(config, stage, lambda new, tree=tree: new.update(tree, result={}))
    change(config, "evaluate", lambda tree: tree["result"].update(per_class=[CLASS]))
    (config.paths.artifacts / "facts.json").write_text(json.dumps(facts))
    (config.paths.artifacts / "metrics.json").write_text(json.dumps({"correct": 900, "n": 1000}))
    config.paths.reports.mkdir(parents=True)
    (config.paths.reports / "rapport.pdf").touch()
    (root / "README.md").write_text(f"# Before\n{BEGIN}\nold\n{END}\nafter\n")
    return config


def change(config, stage, edit):
    path = config.paths.artifacts / "results" / f"{stage}.json"
    tree = json.loads(path.read_text()) if path.is_file() else {}
    edit(tree)
    path.write_text(json.dumps(tree))


def written(config):
    make_results(Path(config.paths.root), "done")
    return (config.paths.artifacts / CARD).read_text(encoding="utf-8")


def test_the_headline_says_what_the_files_say(project, root, capsys):
    written(project)
    text = (root / "README.md").read_text()
    start = f"# Before\n{BEGIN}\nRun `done`, profile `full`, seed 42: test accuracy "
    assert text.startswith(start) and text.endswith(f"\n{END}\nafter\n") and "old" not in text
    assert "**90.00 % [88.00, 92.00]**, 900 of 1,000 images; mean of 3 seeds 90.10 % ±" in text
    assert "recipe `best` instead: **98.00 % [97.00, 99.00]**; mean of 2 seeds 98.10 %" in text
    assert capsys.readouterr().out.endswith("git add README.md artifacts/done reports/done\n")


def test_the_card_has_a_header_that_the_hub_reads_and_follows_the_run(project):
    before = written(project)
    _, header, body = before.split("---\n", 2)
    tree = yaml.safe_load(header)
    assert (tree["license"], tree["library_name"]) == ("mit", "pytorch")
    assert tree["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.9
    assert "| River | 80.0 % | 70.0 % | 75.0 % | 100 |\n" in body and "1,925,258 param" in body
    for block in re.findall(r"(?:^\|.*\n)+", body, re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block
    alone = {"evaluate_seeds": {"several": False, "count": 1}}
    alone["evaluate_spatial"] = EVALUATE | {"accuracy": 0.8, "checkpoint_sha256": ""}
    change(project, "../facts", lambda facts: facts.update(alone))
    after = written(project)
    assert "One seed." in after and "One seed." not in before
    assert "80.00 %" in after and "80.00 %" not in before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (("train", lambda t: t["provenance"].update(commit="1c135ce0ab-dirty")), "no commit"),
        (("../facts", lambda t: t["explore_dataset"].update(synthetic=True)), "drawn by program"),
        (("../metrics", lambda t: t.update(correct=901)), "metrics.json does not say"),
        ("artifacts/done/results/evaluate.json", "no result of evaluate"),
        ("artifacts/done/best.ckpt", "not the checkpoint that was tested"),
        ("reports/done/rapport.pdf", "make report"),
        ("artifacts/done/facts.json", "no such run"),
        ("README.md", "marks"),
    ],
)
def test_an_unfit_run_is_refused(project, root, spoil, message):
    if spoil in ("README.md", "artifacts/done/best.ckpt"):
        (root / spoil).write_text("another")
    else:
        (root / spoil).unlink() if isinstance(spoil, str) else change(project, *spoil)
    with pytest.raises(UserError, match=message):
        written(project)
    assert not (project.paths.artifacts / CARD).exists()
