"""What people do to a run and its files: each fault is read, mended or refused in one line."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from settings import LINUX, ROOT

from eurosat_lib import files, stages
from eurosat_lib.__main__ import main
from eurosat_lib.checkpoint import save_checkpoint
from eurosat_lib.classifier import Classifier
from eurosat_lib.errors import UserError
from eurosat_lib.files import is_frozen
from eurosat_lib.model import DilatedCNN

WEIGHTS = DilatedCNN((4, 6, 8), 2, 2, 2).state_dict()
WITHOUT_BIAS = {name: value for name, value in WEIGHTS.items() if name != "head.bias"}


def _save(path, factor=1.0, drop=(), save=torch.save, **more):
    content = torch.load(path)
    content["model"]["head.weight"] *= factor
    save({k: v for k, v in (content | more).items() if k not in drop}, path)


def _write(path, factor=1.0, drop=(), **more):
    drop = ["format", "sha256", *drop]
    _save(path, factor, drop, lambda content, path: save_checkpoint(path, content), **more)


def _flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x40
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: p.write_text("this is no checkpoint"), "damaged"),
        (lambda p: p.write_bytes(b""), "damaged"),
        (lambda p: p.write_bytes(p.read_bytes()[:-300]), "damaged"),
        (lambda p: (p.unlink(), p.mkdir()), "no such checkpoint"),
        (_flip, "damaged"),
        (lambda p: torch.save(p, p), "not a checkpoint"),  # an object could run code
        (lambda p: torch.save([1, 2], p), "another program"),
        (lambda p: _write(p, float("nan")), "no numbers"),
        (lambda p: _save(p, 1.001), "SHA-256"),
        (lambda p: _save(p, drop=["sha256"]), "SHA-256"),
        (lambda p: _save(p, task={"classes": ["b", "a"]}), "SHA-256"),
        (lambda p: _write(p, drop=["task"]), "not a whole .*task"),
        (lambda p: _write(p, drop=["hyperparameters"]), "not a whole .*hyperparameters"),
        (lambda p: _write(p, drop=["model"]), "not a whole .*model"),
        (lambda p: _write(p, model={}), "not a whole .*Missing key"),
        (lambda p: _write(p, model=WITHOUT_BIAS), "not a whole .*head.bias"),
    ],
)
def test_a_checkpoint_is_what_was_written(tmp_path, spoil, words):
    path, task = tmp_path / "best.ckpt", {"model.channels": [4, 6, 8], "classes": ["a", "b"]}
    task |= {"data.image_size": 16, "preprocess.mean": [0.4] * 3, "preprocess.std": [0.2] * 3}
    point = {"lr": 1e-3, "weight_decay": 0.0, "dilation_stage3": 2, "blocks_per_stage": 2}
    save_checkpoint(path, {"model": WEIGHTS, "task": task, "hyperparameters": point})
    assert Classifier.load(path).classes == ("a", "b")
    spoil(path)
    with pytest.raises(UserError, match=rf"best\.ckpt.*{words}"):
        Classifier.load(path)


@LINUX
def test_files_of_results_are_whole_and_leftovers_go(tmp_path):
    path = tmp_path / "facts.json"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = path.with_name(f".facts.json.{files.HOST}.{gone.pid}")
    other = path.with_name(f".facts.json.{files.HOST}.{os.getppid()}")
    left.touch(), other.touch(), path.write_bytes(b"\xff\xfe")
    files.write_json(path, {"a": 1})
    assert files.read_json(path) == {"a": 1} and other.exists() and not left.exists()
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OSError, match=r"a\.csv"):
        files.write_csv(tmp_path / "a.csv", [{"a": 1}])


@pytest.mark.parametrize("moved", [(), ("/.new/place", None)])
@pytest.mark.parametrize(
    ("number", "advice"),
    [("ENOSPC", "make room"), ("EACCES", "give the"), ("EISDIR", "move away"), ("EIO", "mend")],
)
def test_what_the_system_refuses_is_one_line_with_its_place(
    number, advice, moved, capsys, monkeypatch, root
):
    error = OSError(getattr(errno, number), "no", *moved, "/some/place")
    monkeypatch.setitem(stages.STAGES, "train", lambda config: (_ for _ in ()).throw(error))
    assert main(["train", "--config", str(root / "configs/config.yaml")]) == 2
    assert capsys.readouterr().err.startswith(f"error: /some/place: no; {advice} ")


def test_a_file_where_a_folder_belongs_is_named(tiny, root):
    (root / "artifacts").write_text("mine")
    with pytest.raises(UserError, match="artifacts"):
        stages.STAGES["test_model"](tiny)
    assert (root / "artifacts").read_text() == "mine"


@LINUX
@pytest.mark.parametrize("words", ["eurosat_lib test_model", "eurosat_lib.report build"])
def test_ctrl_c_from_the_start_on_is_one_line_without_a_trace_of_ours(root, words):
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    own = {"cwd": root, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
    for moment in (0.04, 0.3, None):
        command = [sys.executable, "-m", *words.split(), "--data", "synthetic"]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, **own)
        while not moment and b"yaml" not in Path(f"/proc/{child.pid}/maps").read_bytes():
            time.sleep(0.005)  # among the first imports
        time.sleep(moment or 0)
        child.send_signal(signal.SIGINT)
        try:
            said = child.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:  # Python, starting, loses 1 of 400: one presses again
            assert moment == 0.04
            child.send_signal(signal.SIGINT)
            said = child.communicate(timeout=20)[1]
        if moment:  # Python itself may be starting
            assert child.returncode in (130, -signal.SIGINT, 1)
            assert "eurosat_lib" not in said or "Traceback" not in said, said
        else:
            assert (child.returncode, said.count("\n")) == (130, 1) and "interrupted" in said


@LINUX
def test_too_little_memory_for_the_imports_is_one_line():
    command = f"ulimit -v 2500000; exec {sys.executable} -m eurosat_lib test_model"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: memory ran out")


@pytest.mark.parametrize(("value", "frozen"), [("1", True), ("0", False), ("False", False)])
def test_frozen_may_be_a_word(monkeypatch, value, frozen):
    monkeypatch.setenv("FROZEN", value)
    assert is_frozen() is frozen


@LINUX
def test_a_full_console_is_no_trace(root, monkeypatch, capsys):
    monkeypatch.setitem(stages.STAGES, "train", lambda config: None)
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["train", "--config", str(root / "configs/config.yaml")]) == 2
        full.write("goes nowhere, without a complaint")
    assert "No space left on device" in capsys.readouterr().err
