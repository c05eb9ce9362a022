"""The command line: its flags, its facts, its one-line errors."""

import json

import pytest

from eurosat_lib import protocol, stages
from eurosat_lib.__main__ import SECTIONS, main


@pytest.fixture
def config_of(monkeypatch, root):
    """Run the command line without computing; return the configurations that stages received."""
    seen = []

    class Facts:
        def facts(self):
            return {"seen": len(seen)}

    unnamed = set(stages.STAGES) - set(protocol.STAGE_NAMES)
    assert not unnamed, f"name them in protocol.NOTEBOOKS: {unnamed}"
    assert set(protocol.STAGE_NAMES) == set(stages.STAGES) >= set(SECTIONS)
    for name in protocol.STAGE_NAMES:
        monkeypatch.setitem(stages.STAGES, name, lambda config: seen.append(config) or Facts())

    def call(words):
        assert main([*words.split(), "--config", str(root / "configs/config.yaml")]) == 0
        return seen

    return call


@pytest.mark.parametrize(
    ("words", "section", "values"),
    [
        ("overfit_small --overfit_size 16 --lr 0.02", "overfit", {"size": 16, "lr": 0.02}),
        ("train --max_epochs 15 --max_steps 9", "train", {"max_epochs": 15, "max_steps": 9}),
        ("train --set train.lr=3e-4 --set train.keep=last", "train", {"lr": 3e-4, "keep": "last"}),
        ("grid_search --set grid.lr=[0.1,0.2]", "grid", {"lr": (0.1, 0.2)}),
        ("grid_search --set grid.lr=(0.1,0.2)", "grid", {"lr": (0.1, 0.2)}),
        ("grid_search --epochs 5 --set grid.lr=null", "grid", {"epochs": 5, "lr": None}),
        ("refined_grid_search --epochs 3", "refined_grid", {"epochs": 3}),
        ("ablate_recipe --epochs 1", "recipe", {"ablation_epochs": 1}),
        ("evaluate --checkpoint a.ckpt", "evaluate", {"checkpoint": "a.ckpt"}),
        ("train_recipe --recipe best", "recipe", {"name": "best"}),
        ("work grid_search", "compute", {"engine": "work"}),
        ("train --name 2024 --data auto", "paths", {"name": "2024"}),
    ],
)
def test_flags_reach_the_configuration(words, section, values, config_of, capsys):
    (config,) = config_of(words)
    assert getattr(config, section).model_dump(include=set(values)) == values
    stage = words.removeprefix("work ").split()[0]
    assert json.loads(capsys.readouterr().out) == {stage: {"seen": 1}}


def test_compute_runs_every_stage_that_the_notebooks_ask_for(config_of):
    seen = config_of("compute --profile quick --seed 7")
    assert {(config.profile, config.seed) for config in seen} == {("quick", 7)}
    assert len(seen) == len(protocol.STAGE_NAMES) - 3


@pytest.mark.parametrize("words", ["--help", "work --help"])
def test_help_lists_the_stages(words, capsys):
    assert main(words.split()) == 0
    said = capsys.readouterr().out.split()
    assert {*protocol.STAGE_NAMES} <= {word.strip(",") for word in said}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "which stage?"),
        ("work", "which stage?"),
        ("trian", "unknown stage trian (did you mean train?)"),
        ("--foo", "unknown stage --foo"),
        ("train --max_epoch 3", "did you mean --max_epochs?"),
        ("train --max_epochs many", "train.max_epochs: input should be a valid integer, got 'man"),
        ("train --set train.warmup=0.2", "train.warmup: the course's trainings have 0"),
        ("train --set train.lr", "expected key=value"),
        ("train --set train.keep=last", "train.keep: the course's trainings have best; only"),
        ("train_recipe --epochs 1", "unknown option --epochs"),
        ("train --name x --max_epochs 7", "FROZEN=1: the run is taken as it is; leave out"),
        ("evaluate --profile full", "FROZEN=1: the run is taken as it is; leave out profile"),
        ("evaluate --data x", "FROZEN=1: the run is taken as it is; leave out data.source"),
        ("grid_search --set grid.lr=1,5e-3", "got '1,5e-3'"),
        ("train --profile quik", "did you mean quick"),
        ("train --config nowhere.yaml", "no such configuration file"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(words, message, capsys, root, monkeypatch):
    monkeypatch.chdir(root)
    if "FROZEN" in message:
        monkeypatch.setenv("FROZEN", "1")
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
