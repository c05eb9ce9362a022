import json
import subprocess
import sys

import pytest

from eurosat_lib import protocol, stages
from eurosat_lib.__main__ import SECTIONS, STAGE_NAMES, main, make_parser
from eurosat_lib.config import Config
from tests.conftest import ROOT


@pytest.fixture
def config_of(monkeypatch):
    """Run the command line without computing; return the configuration a stage received."""
    seen: list[Config] = []

    class Facts:
        def facts(self):
            return {"seen": len(seen)}

    for name in STAGE_NAMES:
        monkeypatch.setitem(stages.STAGES, name, lambda config: seen.append(config) or Facts())

    def call(root, *words):
        code = main([words[0], "--config", str(root / "configs/config.yaml"), *words[1:]])
        assert code == 0
        return seen[-1]

    return call


def test_stage_names_are_those_of_the_course():
    named = [name for names in protocol.NOTEBOOK_STAGES.values() for name in names]
    assert set(STAGE_NAMES) == {*named, *protocol.ON_DEMAND}
    assert [name for name in STAGE_NAMES if name in named] == named
    assert set(SECTIONS) <= set(STAGE_NAMES)


def test_flags_of_the_course_reach_the_configuration(root, config_of):
    config = config_of(
        root, "overfit_small", "--overfit_size", "16", "--epochs", "5", "--lr", "0.02"
    )
    assert (config.overfit.size, config.overfit.epochs, config.overfit.lr) == (16, 5, 0.02)
    config = config_of(root, "train", "--max_epochs", "15", "--max_steps", "9", "--seed", "7")
    assert (config.train.max_epochs, config.train.max_steps, config.seed) == (15, 9, 7)
    assert config_of(root, "grid_search", "--epochs", "5").grid.epochs == 5
    config = config_of(root, "evaluate", "--checkpoint", "artifacts/best.ckpt")
    assert config.evaluate.checkpoint == "artifacts/best.ckpt"


def test_set_name_and_profile(root, config_of):
    config = config_of(
        root, "train", "--profile", "quick", "--name", "x", "--set", "train.lr=3e-4"
    )
    assert (config.profile, config.paths.name, config.train.lr) == ("quick", "x", 3e-4)


def test_facts_are_printed_as_json(root, config_of, capsys):
    config_of(root, "train")
    out, _ = capsys.readouterr()
    assert json.loads(out) == {"train": {"seen": 1}}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which stage?"),
        (["trian"], "unknown stage trian (did you mean train?)"),
        (["--foo"], "unknown stage --foo"),
        (["train", "--set", "train=3", "--set", "train.lr=1e-3"], "train is given a value"),
        (
            ["train", "--max_epochs", "many"],
            "train.max_epochs: input should be a valid integer, got 'many'",
        ),
        (["train", "--max_epochs", "0"], "train.max_epochs"),
        (["train", "--set", "train.lr"], "expected key=value"),
        (["train", "--profile", "quik"], "did you mean quick"),
        (["train", "--config", "nowhere.yaml"], "no such configuration file"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(words, message, capsys, root, monkeypatch):
    monkeypatch.chdir(root)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_abbreviated_flags_are_refused(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert main(["train", "--max_epoch", "3"]) == 2
    assert "did you mean --max_epochs?" in capsys.readouterr().err


def test_parser_knows_compute():
    assert make_parser().parse_args(["compute", "--profile", "full"]).profile == "full"


def test_module_runs_and_leaves_no_traceback(root):
    command = [sys.executable, "-m", "eurosat_lib", "evaluate", "--config"]
    command += [str(root / "configs/config.yaml"), "--profile", "quick", "--data", "/nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "/nowhere" in done.stderr
