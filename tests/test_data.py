"""Every source gives the same checked arrays, cut as asked, decoded once; faults are one line."""

import hashlib
import io
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import fake_eurosat as fake
import fake_hub
import huggingface_hub.constants
import numpy as np
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image

from eurosat_lib import data, sources
from eurosat_lib.config import override
from eurosat_lib.data import CLASSES, SPLITS
from eurosat_lib.errors import UserError
from eurosat_lib.sources import HUB, LISTS_HUB, LISTS_REVISION, REVISION

REAL, LISTS = os.environ.get("EUROSAT_DATA"), os.environ.get("EUROSAT_SPLITS")
CLOSED = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no Hub, and no choice of the user's."""
    for name in ("EUROSAT_DATA", "EUROSAT_SPLITS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    go_to(monkeypatch, CLOSED)
    return tmp_path / "cache" / "decoded"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder with small lists that count as those published."""
    monkeypatch.setattr(sources, "PUBLISHED", fake.write_published(tmp_path / "lists"))
    return tmp_path / "lists"


def go_to(monkeypatch, url):
    monkeypatch.setenv("HF_ENDPOINT", url)
    sources._silence.cache_clear()
    data._hub_is_there.cache_clear()


def load(source, **values):
    return data.load_dataset(fake.config_for(source, **values))


def refused(source, *words, **values):
    with pytest.raises(UserError) as caught:
        load(source, **values)
    text = str(caught.value)
    assert all(word in text for word in words) and "\n" not in text, text


def test_arrays_labels_and_names(tmp_path):
    dataset = load(fake.write_parquet(tmp_path / "tiny"))
    for split in SPLITS:
        loaded, expected = getattr(dataset, split), fake.rows(split)
        assert loaded.images.dtype == np.uint8 and loaded.labels.dtype == np.int64
        assert isinstance(loaded.images, np.memmap) and not loaded.labels.flags.writeable
        assert loaded.names == tuple(name for name, _ in expected)
        assert [CLASSES[i] for i in loaded.labels] == [n.rpartition("_")[0] for n in loaded.names]
        pillow = np.stack([np.asarray(Image.open(io.BytesIO(content))) for _, content in expected])
        assert np.array_equal(loaded.images, pillow.transpose(0, 3, 1, 2))
    assert dataset.source == data.Source("folder", "tiny") and not dataset.source.synthetic


def test_the_layout_does_not_count_and_the_content_does(tmp_path, monkeypatch, published):
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    folders = [
        fake.write_parquet(tmp_path / "tables"),
        fake.write_images(tmp_path / "images"),
        fake.write_images(tmp_path / "zip", place="2750"),
        fake.write_images(tmp_path / "as downloaded", lists=False),
    ]
    assert len({load(folder).fingerprint for folder in folders}) == 1
    assert len({data.signature(fake.config_for(folder)) for folder in folders}) == 4
    for change in (
        lambda split, rows: rows[1:] + rows[:1],
        lambda split, rows: [("AnnualCrop_77.jpg", rows[0][1]), *rows[1:]],
        lambda split, rows: [(rows[0][0], fake.jpeg(99)), *rows[1:]],
    ):
        folders.append(fake.write_parquet(tmp_path / f"{len(folders)}", change))
    assert len({load(folder).fingerprint for folder in folders}) == 4


def test_labels_are_mapped_by_class_name(tmp_path):
    folder, rows = fake.write_parquet(tmp_path / "tiny"), fake.rows("test")
    turned, path = (*CLASSES[1:], "AnnualCrop"), folder / "data/test-00000-of-00001.parquet"
    names = [name.rpartition("_")[0] for name, _ in rows]
    for labels, classes in (([turned.index(n) for n in names], turned), (names, None)):
        fake.write_table(path, rows, labels, classes)
        assert load(folder).test.labels.tolist() == [CLASSES.index(name) for name in names]


def test_a_class_is_that_of_the_folder_even_where_files_share_their_name(tmp_path):
    folder = tmp_path / "images"
    for label, name in enumerate(("River", "Forest", "SeaLake", "Highway")):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            (folder / name / f"{i}.jpg").write_bytes(fake.jpeg(10 * label + i))
    parts = {"train": ["River/0.jpg", "Forest/1.jpg"], "validation": ["SeaLake/2.jpg"]}
    fake.write_lists(folder, "", parts | {"test": ["a/Highway/0.jpg"]})
    dataset = load(folder)
    labels = [[CLASSES[i] for i in getattr(dataset, split).labels] for split in SPLITS]
    assert labels == [["River", "Forest"], ["SeaLake"], ["Highway"]]
    fake.write_lists(folder, "", parts | {"test": ["0.jpg"]})
    refused(folder, "test.txt: 0.jpg names 4 of the images")


def spoil_tables(folder, spoil):
    """Write tables, spoil one, and return the folder."""
    fake.write_parquet(folder)
    images, path = fake.rows("validation"), folder / "data/validation-00000-of-00001.parquet"
    contents = {"size": fake.jpeg(1, size=32), "mode": fake.jpeg(1, mode="L"), "none": None}
    contents |= {"cut": images[3][1][:400], "text": b"not an image"}
    if spoil in contents:
        images[3] = (images[3][0], contents[spoil])
        fake.write_table(path, images)
    elif spoil == "split":
        path.unlink()
    elif spoil == "shard":
        (folder / "data/train-00001-of-00002.parquet").unlink()
    elif spoil == "cut shard":
        path.write_bytes(path.read_bytes()[:2000])
    elif spoil == "column":
        fake.pq.write_table(fake.pa.table({"label": [1]}), path)
    elif spoil == "label":
        fake.write_table(path, images, [*range(9), 10])
    else:
        fake.write_table(path, images, classes=[*CLASSES[:-1], "Desert"])
    return folder


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("size", ["validation, row 3, Highway_4.jpg", "32 x 32"]),
        ("mode", ["validation, row 3, Highway_4.jpg", "mode L"]),
        ("cut", ["validation, row 3, Highway_4.jpg", "Truncated"]),
        ("text", ["validation, row 3, Highway_4.jpg", "not a readable image"]),
        ("none", ["validation, row 3, Highway_4.jpg", "not a readable image"]),
        ("split", ["the validation split wants one whole set", "there: none"]),
        ("shard", ["the train split wants one whole set", "there: train-00000-of-00002.parquet"]),
        ("cut shard", ["validation-00000-of-00001.parquet", "not readable"]),
        ("column", ["validation split not readable"]),
        ("label", ["validation, row 9, SeaLake_4.jpg", "unknown class '10'"]),
        ("class", ["validation, row 9, SeaLake_4.jpg", "unknown class 'Desert'"]),
    ],
)
def test_an_unsound_table_is_one_line_and_leaves_nothing(tmp_path, cache, spoil, words):
    refused(spoil_tables(tmp_path / "tiny", spoil), *words)
    assert not [path for path in cache.glob("*") if path.is_dir()]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"test": ["Forest_99.jpg"]}, ["test.txt: Forest_99.jpg names 0 of the images"]),
        ({"test": ["Forest_1.png"]}, ["Forest_1.png is in the train split already"]),
        ({"validation": []}, ["validation: no images"]),
    ],
)
def test_faults_of_lists_are_named(tmp_path, names, words):
    good = {"train": ["Forest_1.jpg"], "validation": ["Forest_2.jpg"], "test": ["Forest_3.jpg"]}
    folder = fake.write_images(tmp_path / "images")
    fake.write_lists(folder, "eurosat-", good | names)
    refused(folder, *words)
    fake.write_lists(tmp_path / "own", "", good | names)
    refused(folder, *words, **{"data.split": str(tmp_path / "own")})
    (tmp_path / "own/test.txt").unlink()
    refused(folder, "one list each", **{"data.split": str(tmp_path / "own")})


def test_faults_of_folders_are_named(tmp_path, published):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no EuroSAT images here")
    refused("syntetic", "no such folder", "did you mean synthetic?")
    refused("synthetic", "no geography", **{"data.split": "spatial"})
    bare = fake.write_images(tmp_path / "bare", lists=False)
    refused(bare, "torchgeo/eurosat", "EUROSAT_SPLITS", "eurosat-train.txt")
    (bare / "Forest").rename(bare / "Forrest")
    refused(bare, "unknown class", "did you mean Forest?")


def test_the_spatial_cut_has_the_same_images_and_its_lists_are_checked(
    tmp_path, published, monkeypatch
):
    config = fake.config_for(fake.write_parquet(tmp_path / "tiny"))
    assert data.spatial_absence(config).kind == "lists"
    absent = data.spatial_signature(config)
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    standard, cut = data.load_dataset(config), data.load_dataset(data.on_spatial(config))
    assert cut.test.names == tuple((published / "eurosat-spatial-test.txt").read_text().split())
    assert (cut.source.location, cut.source.split) == ("tiny", "spatial")
    pixels = [
        {n: (s.images[i].tobytes(), s.labels[i]) for s in splits for i, n in enumerate(s.names)}
        for splits in ((d.train, d.validation, d.test) for d in (standard, cut))
    ]
    assert pixels[0] == pixels[1] and cut.fingerprint != standard.fingerprint
    assert data.spatial_absence(config) is None
    assert data.spatial_signature(config) == data.signature(data.on_spatial(config)) != absent
    for kind, off in (("disabled", {"spatial.enabled": False}), ("split", {"data.split": "x"})):
        assert data.spatial_absence(override(config, off)).kind == kind
    assert data.spatial_absence(fake.config_for("synthetic")).kind == "synthetic"
    (published / "eurosat-spatial-val.txt").write_text("Forest_1.jpg\n")
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "other"))
    refused(tmp_path / "tiny", "not the published list", **{"data.split": "spatial"})


def test_decoded_once_again_when_changed_or_cut_short(tmp_path, cache, monkeypatch):
    folder = fake.write_images(tmp_path / "images")
    first = load(folder)
    (cache / f"{sources.digest(str(folder))[:16]}-part").mkdir()  # of a killed process
    assert load(folder) is first
    with monkeypatch.context() as patch:
        patch.setattr(data, "_loaded", {})
        patch.setattr(data, "_decoded", None)  # decoding would fail
        assert load(folder).fingerprint == first.fingerprint
    (entry,) = (path for path in cache.iterdir() if not path.match("*part") and path.is_dir())
    for file in ("test.npy", "rows.json"):
        os.truncate(entry / file, (entry / file).stat().st_size - 50)
        monkeypatch.setattr(data, "_loaded", {})
        assert load(folder).fingerprint == first.fingerprint
    before = data.signature(fake.config_for(folder))
    (folder / "Forest/Forest_1.jpg").write_bytes(fake.jpeg(12345))
    assert data.signature(fake.config_for(folder)) != before
    assert load(folder).fingerprint != first.fingerprint
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 1


def test_a_full_disk_is_said_and_never_leads_to_drawn_images(tmp_path, monkeypatch):
    def save(*arguments, **options):
        raise OSError(28, "No space left on device")

    def download(*arguments, local_files_only=False, **options):
        raise LocalEntryNotFoundError("") if local_files_only else OSError(28, "No space left")

    monkeypatch.setattr(np, "save", save)
    refused(fake.write_parquet(tmp_path / "tiny"), "No space left on device", "EUROSAT_CACHE")
    with fake_hub.running(fake_hub.FakeHub(tmp_path / "tiny", HUB, REVISION)) as hub:
        go_to(monkeypatch, hub.url)
        refused("auto", "No space left on device")
        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        refused("auto", "the download failed", "No space left")


def run(code, **environment):
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()} | environment
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    code = f"import sys, fake_eurosat as fake; from eurosat_lib import data\n{code}"
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)


def test_processes_share_the_cache_and_need_no_datasets_to_load_it(tmp_path):
    folder = fake.write_images(tmp_path / "images")
    code = f"print(data.load_dataset(fake.config_for({str(folder)!r})).fingerprint)"
    printed = {process.communicate()[0] for process in [run(code) for _ in range(3)]}
    assert printed == {f"{load(folder).fingerprint}\n".encode()}
    code += "; print({'torch', 'datasets', 'huggingface_hub'} & set(sys.modules))"
    assert run(code).communicate()[0].split()[1] == b"set()"


def test_the_hub_is_downloaded_once_and_works_offline(tmp_path, published):
    served = fake.write_parquet(tmp_path / "served")
    environment = {"HF_HOME": str(tmp_path / "hf"), "EUROSAT_CACHE": str(tmp_path / "one")}
    code = "d = data.load_dataset(fake.config_for('auto')); print(d.fingerprint, d.source)"
    with fake_hub.running(fake_hub.FakeHub(served, HUB, REVISION)) as hub:
        out, _ = run(code, HF_ENDPOINT=hub.url, **environment).communicate()
        assert sorted(hub.files) == sorted(f"data/{p.name}" for p in served.rglob("*.parquet"))
    environment |= {"HF_HUB_OFFLINE": "1", "EUROSAT_CACHE": str(tmp_path / "two")}
    assert run(code, HF_ENDPOINT=CLOSED, **environment).communicate()[0] == out
    assert out.decode().startswith(load(served).fingerprint) and REVISION.encode() in out


def test_lists_come_from_the_hub(tmp_path, published, monkeypatch):
    folder = fake.write_images(tmp_path / "images", lists=False)
    with fake_hub.running(fake_hub.FakeHub(published, LISTS_HUB, LISTS_REVISION)) as hub:
        go_to(monkeypatch, hub.url)
        assert data.spatial_absence(fake.config_for(folder)) is None
        assert len(load(folder).train) == 30 and set(hub.files) <= set(sources.PUBLISHED)


def test_drawn_images_stand_in_once_said_when_the_hub_cannot_be_reached(capsys):
    config = fake.config_for("auto")
    assert data.load_dataset(config).source.kind == "synthetic"
    assert data.signature(config) == data.signature(fake.config_for("synthetic"))
    assert data.pinned_source(config) == "synthetic"
    assert capsys.readouterr().err.count("WARNING: using the built-in SYNTHETIC images") == 1
    assert load("synthetic").train.names[0] == "synthetic_train_00001"
    refused(HUB, HUB, CLOSED, "EUROSAT_DATA", "DATA=synthetic")


@pytest.mark.parametrize(
    ("status", "drawn"), [(401, False), (404, False), (429, True), (500, True)]
)
def test_a_hub_that_refuses_is_an_error(tmp_path, monkeypatch, status, drawn):
    with fake_hub.running(fake_hub.FakeHub(tmp_path, HUB, REVISION, status)) as hub:
        go_to(monkeypatch, hub.url)
        if drawn:
            assert load("auto").source.synthetic
        refused(HUB if drawn else "auto", str(status))


def test_a_silent_hub_is_given_up_in_time(monkeypatch):
    assert 4 * sources.TIMEOUT <= 30
    monkeypatch.setattr(sources, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        go_to(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert load("auto").source.synthetic
        assert time.monotonic() - start < 8


def test_auto_takes_the_folder_of_the_environment_and_nothing_else(tmp_path, monkeypatch):
    folder = fake.write_parquet(tmp_path / "tiny")
    monkeypatch.setenv("EUROSAT_DATA", str(folder))
    assert data.describe_source(fake.config_for("auto")).location == "tiny"
    assert data.pinned_source(fake.config_for("auto")) == str(folder)
    relative = fake.config_for("tiny", **{"paths.root": str(tmp_path)})
    assert data.describe_source(relative).location == "tiny"
    monkeypatch.setenv("EUROSAT_DATA", str(tmp_path / "gone"))
    refused("auto", "EUROSAT_DATA = ", "gone: no such folder")


NAMES_MD5 = ["908f142e73d6acdf3f482c5e80d851b1", "95de90f2aa998f70a3b2416bfe0687b4"]
NAMES_MD5 += ["7ae5ab94471417b6e315763121e67c5f"]  # as published with the lists
COUNTS = {  # images per class; standard, spatial
    "train": [1791, 1787, 1799, 1505, 1492, 1195, 1481, 1863, 1460, 1827],
    "test": [596, 608, 573, 496, 501, 396, 538, 554, 529, 609],
}
SPATIAL = {
    "train": [1788, 1309, 1854, 1698, 1659, 1767, 1716, 1927, 1507, 975],
    "test": [818, 1077, 816, 340, 353, 115, 307, 507, 331, 736],
}


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif(not (REAL and LISTS), reason="EUROSAT_DATA and EUROSAT_SPLITS are not set")
def test_real_images_are_the_published_ones(monkeypatch):
    monkeypatch.setenv("EUROSAT_SPLITS", LISTS)
    dataset = load(REAL)
    names = ["\n".join(getattr(dataset, split).names).encode() for split in SPLITS]
    assert [hashlib.md5(text).hexdigest() for text in names] == NAMES_MD5
    assert dataset.fingerprint.startswith("8245e1cc")
    cut = load(REAL, **{"data.split": "spatial"})
    for loaded, counts in ((dataset, COUNTS), (cut, SPATIAL)):
        for split, expected in counts.items():
            assert np.bincount(getattr(loaded, split).labels).tolist() == expected
    assert len(set(dataset.test.names) & set(cut.test.names)) == 1038
    monkeypatch.setattr(data, "_loaded", {})
    start = time.perf_counter()
    assert load(REAL).fingerprint == dataset.fingerprint
    assert time.perf_counter() - start < 0.5
