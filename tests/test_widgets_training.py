"""Views that change something: a learning rate chosen by hand, a training stopped and resumed."""

import json
import time

import pandas as pd
import pytest

from eurosat_lib import stages
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.progress import FILE_VARIABLE, progress
from eurosat_lib.stages.choice import ChosenLR
from eurosat_lib.stages.search import grid_plans
from eurosat_lib.tracking import LiveRun, read_run
from eurosat_lib.widgets import live
from eurosat_lib.widgets.jobs import Job
from eurosat_lib.widgets.live import Live
from eurosat_lib.widgets.overlay import Overlay, Runs, find_runs, legend
from eurosat_lib.widgets.rates import state

PICK = ChosenLR(lr=7e-4, rule="valley", smoothing=0.9)
WAIT = 60  # seconds at most


@pytest.fixture
def searched(on_blobs):
    return override(on_blobs, {"grid.lr": None, "grid.lr_factors": [0.5, 1.0]})


def rates(config):
    return sorted({plan.hyperparameters.lr for plan in grid_plans(config)[0]})


def test_a_chosen_rate_goes_to_the_grid_and_can_be_withdrawn(searched):
    before, origin = rates(searched), grid_plans(searched)[1]
    path = stages.choose_lr(searched, PICK)
    assert json.loads(path.read_text())["result"]["lr"] == 7e-4
    assert rates(searched) == [3.5e-4, 7e-4] and grid_plans(searched)[1] == "chosen_lr"
    facts = json.loads((searched.paths.artifacts / "facts.json").read_text())
    assert facts["chosen_lr"]["rule"] == "valley"
    assert stages.forget_lr(searched) and not stages.forget_lr(searched)
    assert rates(searched) == before and grid_plans(searched)[1] == origin
    assert "chosen_lr" not in (searched.paths.artifacts / "facts.json").read_text()


def test_a_choice_holds_for_its_experiment_and_below_the_configuration(searched):
    stages.choose_lr(searched, PICK)
    assert stages.chosen_lr(override(searched, {"data.batch_size": 8})) is None
    given = override(searched, {"grid.lr": [1e-2]})
    assert rates(given) == [1e-2] and grid_plans(given)[1] == "config"


def test_the_view_says_what_the_grid_will_try(searched):
    result = stages.lr_finder(searched)
    stages.choose_lr(searched, PICK)
    assert "chosen_lr.json" in state(searched, result)
    assert "7\u202f×\u202f10⁻⁴" in state(searched, result)
    stages.forget_lr(searched)
    assert "votre choix" not in state(searched, result)


def steps(total, done, seconds=0.005):
    """Work that goes on where it was."""

    def work():
        with progress("work", total, "steps") as bar:
            while len(done) < total:
                done.append(len(done))
                time.sleep(seconds)
                bar.advance()
        return "whole"

    return work


def test_a_job_is_stopped_and_goes_on():
    done, heard = [], []
    job = Job(steps(400, done), lambda event: heard.append(event["event"]))
    job.start()
    while len(done) < 5:
        time.sleep(0.01)
    job.stop()
    job.join(WAIT)
    assert job.state == "stopped" and 5 <= len(done) < 400 and heard[-1] == "state"
    job.start()
    job.join(WAIT)
    assert job.state == "done" and job.result == "whole" and done == list(range(400))


@pytest.mark.parametrize("error", [UserError("no data"), ZeroDivisionError("bug")])
def test_a_job_that_fails_says_so(error):
    def work():
        raise error

    job = Job(work, lambda event: None)
    job.start()
    job.join(WAIT)
    assert job.state == "failed" and str(error) in job.error
    assert str(error) in live.describe(job, {}, 3)


def test_the_final_training_is_stopped_resumed_and_drawn(on_blobs, monkeypatch):
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    config = override(on_blobs, {"train.max_epochs": 40})
    view = Live(config)
    assert view.button.description == "Entraîner" and "Prêt" in view.text.value
    view.button.click()
    deadline = time.time() + WAIT
    while "époque 1 " not in view.text.value and "époque 2 " not in view.text.value:
        assert time.time() < deadline, view.text.value
        time.sleep(0.01)
    view.button.click()
    view.job.join(WAIT)
    assert view.job.state == "stopped" and view.button.description == "Reprendre"
    before = len(read_run(view.folder, ["val/loss"])["val/loss"])
    assert 1 <= before < 40
    view.button.click()
    view.job.join(WAIT)
    assert view.job.state == "done" and view.button.disabled
    kept = stages.train(config)
    assert view.job.result == kept and len(kept.fit.epochs) == 40
    shown = view.curves.figure.axes[0].lines[1].get_ydata()
    assert list(shown) == pytest.approx([r.val_loss for r in kept.fit.epochs], rel=1e-5)
    assert "Déjà entraîné" in Live(config).text.value


def test_runs_are_found_and_read_again_when_they_grow(tmp_path):
    row = dict.fromkeys(("train_loss", "train_accuracy", "val_loss", "lr", "grad_norm"), 0.5)
    with LiveRun(tmp_path / "x" / "train" / "one") as run:
        run.epoch(row | {"epoch": 1, "val_accuracy": 0.25})
        (tmp_path / "lr_finder" / "seed0").mkdir(parents=True)
        assert find_runs(tmp_path) == ["x/train/one"]
        reader = Runs(tmp_path)
        assert reader.series("x/train/one", "val/accuracy").to_dict() == {1: 0.25}
        run.epoch(row | {"epoch": 2, "val_accuracy": 0.5})
        assert reader.series("x/train/one", "val/accuracy").to_dict() == {1: 0.25, 2: 0.5}
    assert not len(reader.series("x/train/one", "absent"))


def test_runs_come_and_go_on_one_axes():
    overlay = Overlay()
    one, two = pd.Series([0.2, 0.4], [1, 2]), pd.Series([0.3, 0.9], [1, 2])
    both = overlay.draw("val/accuracy", {"a": one, "b": two})
    assert [len(line.get_xdata()) for line in overlay.figure.axes[0].lines[:3]] == [2, 2, 0]
    assert overlay.draw("val/accuracy", {"b": two}) != both
    names = legend(f"run {k}" for k in range(8))
    assert names.count("solid") == 6 and names.count("dashed") == 2 and "run 7" in names
