"""What people feed to a run: each kind of fault is read, mended or refused in one line."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import fake_eurosat as fake
import pytest
import torch
from PIL import Image
from settings import ROOT, TINY

from eurosat_lib import data, files, stages
from eurosat_lib.__main__ import main
from eurosat_lib.checkpoint import load_checkpoint, save_checkpoint
from eurosat_lib.classifier import Classifier, read_picture
from eurosat_lib.config import load_config, read_yaml
from eurosat_lib.data import CLASSES, SPLITS
from eurosat_lib.errors import UserError


@pytest.fixture(autouse=True)
def _no_choice_of_the_user(tmp_path, monkeypatch):
    for name in ("EUROSAT_DATA", "EUROSAT_SPLITS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))


def load(folder):
    return data.load_dataset(fake.config_for(folder))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("seed: 1\nauthor: Amélie".encode("latin-1"), "line 2: not in UTF-8"),
        ("seed: 1".encode("utf-16"), "line 1: not in UTF-8"),
        (b"train:\n  lr: 1\n  lr: 2\n", "lr stands twice"),
        (b"seed: " + b"[" * 100_000, "nested too deeply"),
        (b"seeds: [" + b"1, " * 400_000 + b"1]", "more than 1000 kB"),
        (b"a: &a [1]\nb: *a\n", "an alias"),
        (b"a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (b"a:\n\t- 1", "not readable as YAML"),
        (b"- 1", "expected a mapping"),
        (None, "IsADirectoryError"),
    ],
)
def test_a_configuration_is_refused_in_a_line_that_names_it(tmp_path, content, words):
    path = tmp_path / "config.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / "mark.yaml").write_bytes(b"\xef\xbb\xbfseed: 3")
    assert read_yaml(tmp_path / "mark.yaml") == {"seed": 3}


def _save(path, factor=1.0, drop=(), **more):
    content = torch.load(path) | more
    content["model"]["w"] *= factor
    torch.save({k: v for k, v in content.items() if k not in drop}, path)


def _flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x40
    path.write_bytes(raw)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("ckpt") / "best.ckpt"
    save_checkpoint(path, {"model": {"w": torch.randn(40, 30)}, "task": {"classes": ["a", "b"]}})
    return path


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: p.write_text("this is no checkpoint"), "damaged"),
        (lambda p: p.write_bytes(b""), "damaged"),
        (lambda p: p.write_bytes(p.read_bytes()[:-300]), "damaged"),
        (lambda p: (p.unlink(), p.mkdir()), "no such checkpoint"),
        (_flip, "damaged"),
        (lambda p: torch.save([1, 2], p), "another program"),
        (lambda p: _save(p, float("nan"), drop=["sha256"]), "no numbers"),
        (lambda p: _save(p, 1.001), "SHA-256"),
        (lambda p: _save(p, task={"classes": ["b", "a"]}), "SHA-256"),
        (lambda p: _save(p), "not a whole checkpoint"),
    ],
)
def test_a_checkpoint_is_what_was_written(checkpoint, tmp_path, spoil, words):
    path = tmp_path / "best.ckpt"
    path.write_bytes(checkpoint.read_bytes())
    assert set(load_checkpoint(path)) == {"format", "sha256", "model", "task"}
    spoil(path)
    with pytest.raises(UserError, match=rf"best\.ckpt.*{words}"):
        Classifier.load(path)


@pytest.mark.parametrize("text", ["[1]", "", '{"result": {', "{}", '{"result": 3}', "[" * 99_999])
def test_a_damaged_result_is_computed_anew_and_said(tmp_path, capsys, on_blobs, text):
    run = stages.STAGES["test_model"]
    good = run(on_blobs)
    for path in on_blobs.paths.artifacts.rglob("*.json"):
        path.write_text(text)
    assert run(on_blobs) == good
    assert "calculé de nouveau" in capsys.readouterr().err
    assert stages.latest(on_blobs, type(good)) == good


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


@pytest.mark.parametrize(
    "change",
    [
        lambda t: b"\xef\xbb\xbf" + t.encode(),
        lambda t: t.replace("\n", "\r\n").encode("utf-16"),
        lambda t: "".join(f"2750\\{n.split('_')[0]}\\{n}\n" for n in t.split()).encode(),
    ],
)
def test_lists_as_windows_writes_them(tmp_path, change):
    folder = fake.write_images(tmp_path / "images")
    want = load(folder).fingerprint
    for path in folder.glob("*.txt"):
        path.write_bytes(change(path.read_text()))
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints/Forest_1.jpg").write_bytes(b"")
    assert load(folder).fingerprint == want


@pytest.mark.parametrize("form", ["GIF", "EPS"])
def test_other_formats_are_not_opened(tmp_path, form):
    folder = fake.write_images(tmp_path / "images")
    Image.new("RGB", (64, 64)).save(folder / "Forest/Forest_1.jpg", form)
    for read, place in ((load, folder), (read_picture, folder / "Forest/Forest_1.jpg")):
        with pytest.raises(UserError, match="cannot identify"):
            read(place)


def test_labels_that_contradict_names_and_absent_classes_are_refused(tmp_path, capsys):
    folder = fake.write_parquet(tmp_path / "a")
    path = folder / "data/test-00000-of-00001.parquet"
    fake.write_table(path, fake.rows("test"), [(i + 3) % 10 for i in range(10)] * 2)
    with pytest.raises(UserError, match=r"AnnualCrop_5\.jpg.*says AnnualCrop, its label Hi"):
        load(folder)
    some = [row for row in fake.rows("test") if not row[0].startswith("River")]
    fake.write_table(path, some)
    assert len(load(folder).test) == 18 and "aucune image de River" in capsys.readouterr().err
    for path in folder.glob("data/train*"):
        path.unlink()
    fake.write_table(folder / "data/train-00000-of-00001.parquet", some)
    with pytest.raises(UserError, match="train: no image of River"):
        load(folder)


def _spelled(folder):
    known = [re.sub("(Crop|Vegetation)", r" \1", name) for name in CLASSES]
    known[4], known[7] = "Industrial Buildings", "Residential Buildings"
    for split in SPLITS:
        path, names = folder / f"data/{split}-00000-of-00001.parquet", fake.names(split)
        images = [(f"{i}.jpg", content) for i, (_, content) in enumerate(fake.rows(split))]
        labels = [CLASSES.index(name.split("_")[0]) for name in names]
        fake.write_table(path, images, labels, known)
        table = fake.pq.read_table(path).append_column("filename", fake.pa.array(names))
        fake.pq.write_table(table, path)


def _saved(folder):
    tables = fake.write_parquet(folder.parent / "plain")
    loaded = datasets.load_dataset(str(tables), cache_dir=str(folder.parent / "hf"))
    loaded.save_to_disk(str(folder))


def _by_split(folder):
    for split, name in zip(SPLITS, ("train", "valid", "test"), strict=True):
        for file, content in fake.rows(split):
            path = folder / name / file.split("_")[0] / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.mark.parametrize("make", [_spelled, _saved, _by_split])
def test_mirrors_hold_the_same_images(tmp_path, make):
    make(tmp_path / "mirror")
    found = load(tmp_path / "mirror")
    for split in SPLITS:
        own = getattr(found, split)
        assert sorted(own.names) == sorted(fake.names(split))
        assert [CLASSES[i] for i in own.labels] == [name.split("_")[0] for name in own.names]


@pytest.mark.parametrize("number", ["ENOSPC", "EACCES", "EISDIR", "EIO"])
def test_what_the_system_refuses_is_one_line_with_its_place(number, capsys, monkeypatch, root):
    error = OSError(getattr(errno, number), "no", "/some/place")
    monkeypatch.setitem(stages.STAGES, "train", lambda config: (_ for _ in ()).throw(error))
    assert main(["train", "--config", str(root / "configs/config.yaml")]) == 2
    assert capsys.readouterr().err.startswith("error: /some/place: no; ")


def test_a_file_where_a_folder_belongs_is_named(root):
    (root / "artifacts").write_text("mine")
    config = load_config(root / "configs/config.yaml", "full", TINY)
    with pytest.raises(UserError, match="artifacts"):
        stages.STAGES["test_model"](config)
    assert (root / "artifacts").read_text() == "mine"


def test_ctrl_c_during_the_imports_is_one_line():
    words = [sys.executable, "-m", "eurosat_lib", "test_model", "--data", "synthetic"]
    child = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE)
    while b"yaml" not in Path(f"/proc/{child.pid}/maps").read_bytes():  # among the first
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert (child.returncode, said.count(b"\n")) == (130, 1) and b"interrupted" in said


def test_a_full_console_is_no_trace(root, monkeypatch, capsys):
    monkeypatch.setitem(stages.STAGES, "train", lambda config: None)
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["train", "--config", str(root / "configs/config.yaml")]) == 2
        full.write("goes nowhere, without a complaint")
    assert "No space left on device" in capsys.readouterr().err
