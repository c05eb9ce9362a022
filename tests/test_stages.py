"""The machinery of stages: keys, cache, locks, publication, frozen results."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import ClassVar

import pytest
import torch

from eurosat_lib import stages
from eurosat_lib.checks import Baselines
from eurosat_lib.config import Config, override
from eurosat_lib.errors import Interrupted, UserError
from eurosat_lib.stages import Code, Kept, Record, keep, latest, publish, scope, stage, stage_key
from eurosat_lib.tracking import Run, read_run
from eurosat_lib.trainings import SCORING, TRAINING

CODES = (TRAINING, SCORING)


class Answer(Record):
    """A result for the tests."""

    stage: ClassVar[str] = "answer"

    value: float
    rows: tuple[int, ...] = ()

    def facts(self):
        return {"value": self.value, "inverse": [1 / row for row in self.rows]}

    def files(self):
        return {"answer.csv": [{"value": row} for row in self.rows]}

    def tensorboard_runs(self):
        return {f"run{row}": Run({"train/loss": [row]}) for row in self.rows}


@pytest.fixture
def answer(monkeypatch):
    """A stage that counts its computations; there is nothing to compute for seed 9."""
    monkeypatch.setattr(stages, "STAGES", {})
    calls = []

    @stage(Answer, "model", reads=("seed",), inputs=lambda own: None if own.seed == 9 else {})
    def compute(config: Config) -> Answer:
        """Compute."""
        calls.append(config.seed)
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
    with pytest.raises(UserError, match="a stage has that name"):
        answer(override(on_blobs, {"paths.name": "Answer"}))


DAMAGED = ["", "[1]", "{}", '{"result": 3}', "[" * 99_999, "cut short", "changed"]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_result_is_computed_anew_and_said(on_blobs, answer, capsys, text):
    good = answer(on_blobs)
    for path in on_blobs.paths.artifacts.rglob("*.json"):
        known = path.read_text()
        others = {"cut short": known[: len(known) // 2], "changed": known.replace("21.0", "22.0")}
        path.write_text(others.get(text, text))
    assert answer(on_blobs) == good and len(answer.calls) == 2
    assert "calculé de nouveau" in capsys.readouterr().err
    assert latest(on_blobs, Answer) == good


def test_publication_and_its_removal(on_blobs, answer):
    answer(on_blobs)
    artifacts, runs = on_blobs.paths.artifacts, on_blobs.paths.runs / "answer"
    tree = json.loads((artifacts / "results/answer.json").read_text())
    assert tree["result"]["value"] == 21.0 and tree["config"]["seed"] == 42
    assert [*tree["files"]] == ["answer.csv"] and "root" not in tree["config"]["paths"]
    assert json.loads((artifacts / "facts.json").read_text())["answer"]["value"] == 21.0
    assert (artifacts / "answer.csv").read_text() == "value\n1\n2\n"
    assert read_run(runs / "run2")["train/loss"].to_dict() == {1: 2.0}
    answer(override(on_blobs, {"seed": 1}))
    assert not (artifacts / "answer.csv").exists()
    answer(on_blobs)
    assert answer(override(on_blobs, {"seed": 9})) is None  # nothing to compute: withdrawn
    assert not (artifacts / "answer.csv").exists()
    assert not (artifacts / "results/answer.json").exists() and not runs.exists()
    assert json.loads((artifacts / "facts.json").read_text()) == {}


def test_a_result_of_other_settings_is_not_taken_and_that_is_said_once(on_blobs, answer, capsys):
    answer(on_blobs)
    other = override(on_blobs, {"data.batch_size": 7})
    assert latest(on_blobs, Answer) and capsys.readouterr().err == ""
    assert [latest(other, Answer), latest(other, Answer)] == [None, None]
    assert capsys.readouterr().err.count("answer : publié avec d’autres images ou d’autres") == 1


def test_a_stage_without_a_name_is_refused():
    with pytest.raises(ValueError, match="Record names no stage"):
        stages.stage(stages.Record)


@pytest.mark.parametrize("name", ["answer.csv", "results/answer.json"])
def test_a_result_changed_by_hand_is_written_anew_and_said(on_blobs, answer, capsys, name):
    answer(on_blobs)
    answer(override(on_blobs, {"seed": 1}))
    answer(on_blobs)
    path, place = on_blobs.paths.artifacts / name, "answer : résultat modifié"
    before = path.read_text()
    assert place not in capsys.readouterr().err
    for text in (before.replace("1", "2"), "{"):
        path.write_text(text)
        answer(on_blobs)
        assert path.read_text() == before and place in capsys.readouterr().err


def test_the_key_sees_code_precision_images_but_no_prose_or_cpu(on_blobs, blobs, monkeypatch):
    text = stages.TEXTS["model"]
    trains, audits = Code(("model", "optimizers")), Code(("transforms",))

    def keys(changed=text, config=on_blobs, **inputs):
        monkeypatch.setitem(stages.TEXTS, "model", changed)
        stages.code_digest.cache_clear()
        return [stage_key(config, "x", code, inputs) for code in (trains, audits)]

    before = keys()
    prose = text.replace("Count the trainable", "Add the trainable")
    assert prose != text and keys("# a comment\n" + prose) == before
    bf16 = override(on_blobs, {"compute.precision": "bf16"})
    for after in (keys(text.replace("NUM_CLASSES = 10", "NUM_CLASSES = 11")), keys(config=bf16)):
        assert after[0] != before[0] and after[1] == before[1]
    assert keys(built="on")[1] != before[1]
    monkeypatch.setattr("eurosat_lib.runtime._cpuinfo", lambda: {"model name": "another"})
    assert keys() == before
    other = replace(blobs, fingerprint="e" * 64)
    monkeypatch.setattr(stages, "load_dataset", lambda config: other)
    assert not {*keys()} & {*before}


SAMPLE = """class Pair(tuple, metaclass=M):
    '''Two.'''

    @wraps(f)
    def both(self, *, first: int = 1, **more) -> str:
        match more:
            case {"a": [x, *_]}:
                return f"{x!r:>9} {self[0]}"
        return lambda: [*(i async for i in self)]
"""


def test_the_key_is_the_same_under_every_python(monkeypatch):
    monkeypatch.setitem(stages.TEXTS, "sample", SAMPLE)
    assert stages.code_digest("sample")[:16] == "f434d213e2eeae6b"  # by 3.11, 3.12 and 3.13


KEYS = {"augment.brightness": 0.5, "seed": 1, "data.train_limit": 20, "train.lr": 0.5}
SCORED = {"preprocess.mean": [0.5] * 3, "data.image_size": 32, "data.batch_size": 8}
SCORED |= {"model.channels": [4, 6, 9], "data.validation_limit": 20}
SCOPED = {"augment.brightness", *SCORED} - {"data.validation_limit"}


@pytest.mark.parametrize(("key", "value"), (KEYS | SCORED).items())
def test_what_a_result_depends_on_is_in_its_key(on_blobs, key, value):
    other = override(on_blobs, {key: value})
    pairs = ([stage_key(c, "x", code, {}) for c in (on_blobs, other)] for code in CODES)
    trained, scored = (before != after for before, after in pairs)
    assert (trained, scored) == (True, key in SCORED)
    assert (scope(on_blobs) != scope(other)) == (key in SCOPED)
    assert [code.trains for code in CODES] == [True, False]
    assert all({"model", "transforms", "loaders", "train"} <= {*code.rooms} for code in CODES)


def test_two_at_one_stage_wait_for_each_other(on_blobs):
    calls = []

    def slow(folder):
        calls.append(folder)
        time.sleep(0.3)
        return Answer(value=1)

    def run(_):
        return keep(on_blobs, Answer, "twice", Code(("model",)), {}, slow).result

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(run, range(2)))) == len(calls) == 1


def test_latest_is_of_the_same_experiment_and_frozen_is_as_it_is(on_blobs, answer, monkeypatch):
    answer(on_blobs)
    changed = override(on_blobs, {"seed": 7, "model.channels": [4, 6, 9]})
    assert latest(on_blobs, Answer).value == 21.0 and latest(changed, Answer) is None
    publish(on_blobs, Kept(Baselines(found={"uniform": 0.1}), {}))
    monkeypatch.setenv("FROZEN", "1")
    publish(on_blobs, Kept(Baselines(found={"best_linear": 0.9}), {}))  # does nothing now
    assert answer(changed).value == 21.0 and latest(changed, Answer)
    assert len(answer.calls) == 1
    path = on_blobs.paths.artifacts / "results/answer.json"
    for edited in (path, on_blobs.paths.artifacts / "answer.csv"):
        before = edited.read_text()
        edited.write_text(before.replace("21.0", "22.0").replace("1", "2"))
        with pytest.raises(UserError, match="was changed, or cannot be read"):
            answer(on_blobs)
        edited.write_text(before)
    (on_blobs.paths.artifacts / "answer.csv").unlink()  # git holds not every file
    assert answer(on_blobs).value == 21.0
    path.write_text(json.dumps({"result": {"value": 2.0, "rows": [0]}}))  # an older one: no facts
    with pytest.raises(UserError, match=r"answer\.json was changed, or cannot be read"):
        answer(on_blobs)
    path.unlink()
    with pytest.raises(UserError, match=r"artifacts/results/answer\.json is missing"):
        answer(on_blobs)
    with pytest.raises(UserError, match="of another version, without best_linear"):
        latest(on_blobs, Baselines).found["best_linear"]


def test_parts_are_published_together_and_a_stop_is_said(on_blobs, monkeypatch):
    monkeypatch.setattr(stages, "STAGES", {})

    @stage(Answer)
    def both(config: Config) -> Kept[Answer]:
        """Add two parts."""
        if config.seed == 7:
            raise KeyboardInterrupt
        parts = [Kept(Answer(value=v), {"seconds": v, "device": "cpu"}) for v in (1.0, 2.0)]
        more = {"more.txt": lambda path: path.write_text("three")}
        return stages.together(Answer(value=3.0), parts, more)

    assert both(on_blobs).value == 3.0
    artifacts = on_blobs.paths.artifacts
    tree = json.loads((artifacts / "results/answer.json").read_text())
    assert tree["provenance"] == {"seconds": 3.0, "device": "cpu"}
    assert [*tree["files"]] == ["more.txt"]
    assert (artifacts / "more.txt").read_text() == "three"
    with pytest.raises(Interrupted):
        both(override(on_blobs, {"seed": 7}))


SWITCHES = (torch.inference_mode, torch.no_grad, partial(torch.autocast, "cpu", torch.bfloat16))


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_stop_amid_a_switch_of_pytorch_leaves_none_behind(answer, on_blobs, monkeypatch, switch):
    def stop(*_):
        raise KeyboardInterrupt

    @stage(Answer)
    def stopped(config):
        on = switch()
        monkeypatch.setattr(type(on), "__exit__", stop)
        with on:
            return Answer(value=1.0)

    with pytest.raises(Interrupted) as kept:  # IPython keeps the last error too
        stopped(on_blobs)
    on = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    assert kept and torch.is_grad_enabled() and on == (False, False)


class OfCompiler(RuntimeError):
    __module__ = "torch._inductor.exc"


class OfWorker(RuntimeError):
    cause = OfCompiler("Python.h")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("CUDA out of memory"), "memory ran out: .* batch_size"),
        (RuntimeError("can't allocate memory"), "memory ran out: .* batch_size"),
        (OfCompiler("Failed to find C compiler"), "this GPU: OfCompiler: Failed to .* gcc"),
        (OfWorker("ray"), "this GPU: OfCompiler: Python.h .* gcc"),
        (RuntimeError("a"), ""),
    ],
)
def test_what_pytorch_lacks_is_one_line(answer, on_blobs, error, told):
    @stage(Answer)
    def greedy(config):
        raise error

    with pytest.raises(UserError if told else RuntimeError, match=told or "a"):
        greedy(on_blobs)
