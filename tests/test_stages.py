"""The machinery of stages: keys, cache, locks, publication, frozen results."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from eurosat_lib import files, stages
from eurosat_lib.config import Config, override
from eurosat_lib.errors import Interrupted, UserError
from eurosat_lib.stages import Code, Kept, Record, keep, latest, stage, stage_key, stage_of_parts
from eurosat_lib.tracking import Run, read_run

CODE = Code(("model",), ("seed",))


class Answer(Record):
    """A result for the tests."""

    stage: ClassVar[str] = "answer"

    value: float
    rows: tuple[int, ...] = ()

    def csv_files(self):
        return {"answer.csv": [{"value": row} for row in self.rows]}

    def json_files(self):
        return {"answer.json": {"value": self.value}}

    def tensorboard_runs(self):
        return {f"run{row}": Run({"train/loss": [(1, row)]}) for row in self.rows}


@pytest.fixture
def answer(monkeypatch):
    """A stage that counts its computations."""
    monkeypatch.setattr(stages, "STAGES", {})
    calls = []

    @stage("model", reads=("seed",))
    def compute(config: Config, folder: Path) -> Answer:
        """Compute."""
        calls.append(folder)
        return Answer(value=config.seed / 2, rows=(1, 2) if config.seed == 42 else ())

    compute.calls = calls
    return compute


def test_a_second_call_loads_and_another_value_computes(on_blobs, answer):
    assert answer(on_blobs) == answer(on_blobs) == Answer(value=21.0, rows=(1, 2))
    assert len(answer.calls) == 1
    assert answer(override(on_blobs, {"seed": 1})).value == 0.5
    aside = {"identity.author": "A. Turing", "compute.threads": 1, "train.max_epochs": 9}
    answer(override(on_blobs, aside))
    assert len(answer.calls) == 2


def test_publication_and_its_removal(on_blobs, answer):
    answer(on_blobs)
    artifacts, runs = on_blobs.paths.artifacts, on_blobs.paths.runs / "answer"
    tree = json.loads((artifacts / "results/answer.json").read_text())
    assert tree["result"]["value"] == 21.0 and tree["config"]["seed"] == 42
    assert json.loads((artifacts / "facts.json").read_text())["answer"]["value"] == 21.0
    assert (artifacts / "answer.csv").read_text() == "value\n1\n2\n"
    assert read_run(runs / "run2", ["train/loss"])["train/loss"].to_dict() == {1: 2.0}
    answer(override(on_blobs, {"seed": 1}))
    assert not (artifacts / "answer.csv").exists()
    answer(on_blobs)
    stages.withdraw(on_blobs, Answer)
    assert not (artifacts / "answer.csv").exists()
    assert not (artifacts / "results/answer.json").exists() and not runs.exists()
    assert json.loads((artifacts / "facts.json").read_text()) == {}


def test_the_key_sees_code_and_not_prose(on_blobs, monkeypatch):
    text = stages.TEXTS["model"]
    trains, audits = Code(("model", "train"), trains=True), Code(("transforms",))

    def keys(changed):
        monkeypatch.setitem(stages.TEXTS, "model", changed)
        stages.code_digest.cache_clear()
        return [stage_key(on_blobs, "x", code, {}) for code in (trains, audits)]

    before = keys(text)
    assert (
        keys("# a comment\n" + text.replace("Count the trainable", "Add the trainable")) == before
    )
    after = keys(text.replace("NUM_CLASSES = 10", "NUM_CLASSES = 11"))
    assert after[0] != before[0] and after[1] == before[1]
    stages.code_digest.cache_clear()


def test_precision_is_part_of_a_trainings_key_and_the_name_of_the_cpu_is_not(
    on_blobs, monkeypatch
):
    bf16 = override(on_blobs, {"compute.precision": "bf16"})
    trains, other = Code((), trains=True), Code(())
    assert stage_key(on_blobs, "x", trains, {}) != stage_key(bf16, "x", trains, {})
    assert stage_key(on_blobs, "x", other, {}) == stage_key(bf16, "x", other, {})
    before = stage_key(on_blobs, "x", trains, {})
    monkeypatch.setattr(stages, "describe_device", lambda runtime: "another name")
    monkeypatch.setattr("eurosat_lib.runtime._cpuinfo", lambda: {"model name": "another"})
    assert stage_key(on_blobs, "x", trains, {}) == before
    versions = {stage_key(on_blobs, "x", Code((), version=v), {}) for v in (1, 2)}
    assert len(versions | {stage_key(on_blobs, "x", other, {"built": "on"})}) == 3


def test_two_at_one_stage_wait_for_each_other(on_blobs):
    calls = []

    def slow(config, folder):
        calls.append(folder)
        time.sleep(0.3)
        return Answer(value=1)

    def run():
        return keep(on_blobs, Answer, "twice", CODE, {}, slow).result

    with ThreadPoolExecutor(2) as pool:
        one, two = (pool.submit(run) for _ in range(2))
        assert one.result() == two.result()
    assert len(calls) == 1


def test_a_damaged_entry_is_computed_again(on_blobs, answer):
    first = answer(on_blobs)
    for path in on_blobs.paths.stages.glob("answer-*/result.json"):
        path.write_text(path.read_text()[:100])
    assert answer(on_blobs) == first
    assert len(answer.calls) == 2


def test_latest_is_of_the_same_experiment(on_blobs, answer):
    answer(on_blobs)
    assert latest(on_blobs, Answer).value == 21.0
    assert latest(override(on_blobs, {"model.channels": [4, 6, 9]}), Answer) is None


def test_frozen_results_are_taken_as_they_are(on_blobs, answer, monkeypatch):
    answer(on_blobs)
    changed = override(on_blobs, {"seed": 7, "data.image_size": 20})
    monkeypatch.setenv("FROZEN", "1")
    assert answer(changed).value == 21.0 and latest(changed, Answer)
    assert len(answer.calls) == 1
    (on_blobs.paths.artifacts / "results/answer.json").unlink()
    with pytest.raises(UserError, match=r"artifacts/results/answer\.json is missing"):
        answer(on_blobs)


def test_a_run_cannot_take_the_name_of_a_stage(on_blobs, answer):
    with pytest.raises(UserError, match="a stage has that name"):
        answer(override(on_blobs, {"paths.name": "answer"}))


def test_parts_are_published_together_and_a_stop_is_said(on_blobs, monkeypatch):
    monkeypatch.setattr(stages, "STAGES", {})
    after = []

    @stage_of_parts(lambda config, kept: after.append(kept.result.value))
    def both(config: Config) -> Kept[Answer]:
        """Add two parts."""
        if config.seed == 7:
            raise KeyboardInterrupt
        parts = [
            Kept(Answer(value=v), {"seconds": v, "device": "cpu"}, Path()) for v in (1.0, 2.0)
        ]
        return stages.together(Answer(value=3.0), parts)

    assert both(on_blobs).value == 3.0 and after == [3.0]
    assert stages.provenance(on_blobs, Answer) == {"seconds": 3.0, "device": "cpu"}
    with pytest.raises(Interrupted):
        both(override(on_blobs, {"seed": 7}))


@pytest.mark.parametrize("entry", stages.DEVICE)
def test_times_compare_on_one_machine_only(entry, on_blobs, answer):
    result = answer(on_blobs)
    assert stages.same_machine(on_blobs, result, None)
    origin = stages.provenance(on_blobs, Answer)

    class Other(Answer):
        stage: ClassVar[str] = "other"

    stages.publish(on_blobs, Other(value=1), origin | {entry: "another"})
    assert not stages.same_machine(on_blobs, result, Other(value=1))


def test_files_are_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "facts.json"
    files.write_json(path, {"a": 1})

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def test_revision_of_a_folder_that_is_no_repository(tmp_path):
    assert stages.revision(tmp_path) == ""
