"""A run for git: its model card, the headline of the README, and what is refused."""

import hashlib
import json
from pathlib import Path

import pytest
from handmade import EVALUATION
from huggingface_hub import ModelCard
from test_answers import facts

from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError
from eurosat_lib.files import write_bytes, write_json
from eurosat_lib.report.publish import BEGIN, CARD, END, make_results

COMMIT = {"commit": "1c135ce0ab", "seconds": 120.0, "device": "CPU", "precision": "bf16"}
MEAN = {"mean": 0.901, "sd": 0.002, "low": 0.9}
RECIPE = {"name": "best", "correct": 980, "n": 1000, "low": 0.97, "high": 0.99, "count": 2}
SCORE = {"accuracy": 0.9, "low": 0.88, "high": 0.92, "correct": 900, "n": 1000, "macro_f1": 0.89}
FACTS = {f"evaluate.{name}": value for name, value in SCORE.items()} | {
    "evaluate.macro_f1_interval": [0.87, 0.91],
    "analyse_errors.ece_before": 0.05,
    "analyse_errors.ece_after": 0.02,
    "evaluate.checkpoint_sha256": hashlib.sha256(b"weights").hexdigest(),
    "explore_dataset.synthetic": False,
    "evaluate_seeds": {"several": True, "count": 3, "accuracy": MEAN},
    "train_recipe": RECIPE | {"accuracy": {"mean": 0.981, "sd": 0.001, "low": 0.98}},
}
NEEDED = ("explore_dataset", "train", "evaluate", "analyse_errors", "evaluate_seeds")
OTHER = [{"checkpoint_sha256": "b" * 64}]


@pytest.fixture
def project(root):
    """A project with the files of a whole run, named done."""
    config = override(load_config(root / "configs/config.yaml", "full"), {"paths.name": "done"})
    write_bytes(config.paths.artifacts / "best.ckpt", b"weights")
    write_bytes(config.paths.reports / "rapport.pdf", b"")
    write_json(config.paths.artifacts / "facts.json", facts(FACTS))
    write_json(config.paths.artifacts / "metrics.json", {"correct": 900, "n": 1000})
    tree = {"provenance": COMMIT, "config": config.model_dump(mode="json")}
    tested = {"checkpoint_sha256": FACTS["evaluate.checkpoint_sha256"]}
    tree["result"] = EVALUATION.model_dump(mode="json") | {"runs": [tested]}
    for stage in (*NEEDED, "compare_splits"):
        write_json(config.paths.artifacts / "results" / f"{stage}.json", tree)
    (root / "README.md").write_text(f"# Before\n{BEGIN}\nold\n{END}\nafter\n")
    return config


def change(config, stage, edit):
    path = config.paths.artifacts / "results" / f"{stage}.json"
    edit(tree := json.loads(path.read_text()))
    write_json(path, tree)


def written(config):
    make_results(Path(config.paths.root), "done")
    return (config.paths.artifacts / CARD).read_text(encoding="utf-8")


def test_the_headline_says_what_the_files_say(project, root, capsys):
    written(project)
    text = (root / "README.md").read_text()
    start = f"# Before\n{BEGIN}\nRun `done`, profile `full`, seed 42: test accuracy "
    assert text.startswith(start) and text.endswith(f"\n{END}\nafter\n") and "old" not in text
    assert "**90.00 % [88.00, 92.00]**, 900 of 1,000 images; mean of 3 seeds 90.10 % ± 0.2" in text
    assert "recipe `best` instead: **98.00 % [97.00, 99.00]**; mean of 2 seeds 98.10 %" in text
    assert capsys.readouterr().out.endswith("the headline of README.md\n")


def test_the_card_has_a_header_that_the_hub_reads_and_follows_the_run(project):
    before = written(project)
    card = ModelCard(before)
    assert (card.data.license, card.data.library_name) == ("mit", "pytorch")
    scores = [(one.metric_type, one.metric_value) for one in card.data.eval_results]
    assert scores == [("accuracy", 0.9), ("f1", 0.89)]
    assert f" of {EVALUATION.parameters:,} parameters" in card.text
    for one in EVALUATION.per_class:
        shares = " % | ".join(f"{100 * one[key]:.1f}" for key in ("precision", "recall", "f1"))
        assert f"| {one['name']} | {shares} % | {one['support']} |" in card.text
    for words in (
        "| Accuracy | 90.00 % | [88.00 %, 92.00 %] |",
        "| Macro-F1 | 89.00 % | [87.00 %, 91.00 %] |",
        "error 5.00 % as trained; 2.00 % with",
        "; 2 minutes on CPU, in bf16.",
    ):
        assert words in card.text
    seeds = {"several": False, "count": 1, "accuracy": {"mean": 0.9, "sd": None, "low": None}}
    alone = {"evaluate_seeds": seeds, "evaluate_spatial": SCORE | {"accuracy": 0.8, "low": 0.78}}
    change(project, "../facts", lambda facts: facts.update(alone))
    after = written(project)
    assert "One seed." in after and "One seed." not in before
    assert "reaches 80.00 % instead of 90.00 %." in after and "80.00 %" not in before
    said = Path(project.paths.root, "README.md").read_text()
    assert "; on the spatial split **80.00 % [78.00, 92.00]**" in said


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (("train", lambda t: t["provenance"].update(commit="1c135ce0ab-dirty")), "no commit"),
        (("train", lambda t: t["provenance"].update(commit="")), "no commit"),
        (("../facts", lambda t: t["explore_dataset"].update(synthetic=True)), "drawn by program"),
        (("evaluate_seeds", lambda t: t["result"].update(runs=OTHER)), "seeds or splits are of"),
        (("compare_splits", lambda t: t["result"].update(standard=OTHER[0])), "seeds or splits"),
        (("../facts", lambda t: t["evaluate"].pop("worst_f1")), "of an older shape.*worst_f1"),
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
