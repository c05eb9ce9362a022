"""Every source gives the same checked arrays, cut as asked, decoded once; faults are one line."""

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

CLOSED = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no Hub, and no choice of the user's."""
    for name in ("EUROSAT_DATA", "EUROSAT_SPLITS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    go_to(monkeypatch, CLOSED)
    return tmp_path / "cache/decoded"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder with small lists that count as those published."""
    images = [name for split in SPLITS for name in fake.names(split)]
    digests = fake.write_lists(tmp_path / "lists", "eurosat-", *map(fake.names, SPLITS))
    cut = (images[:30], images[50:], images[30:50])
    digests |= fake.write_lists(tmp_path / "lists", "eurosat-spatial-", *cut)
    monkeypatch.setattr(sources, "PUBLISHED", digests)
    return tmp_path / "lists"


def go_to(monkeypatch, url):
    monkeypatch.setenv("HF_ENDPOINT", url)
    sources._hub_is_there.cache_clear()


def load(source, **values):
    return data.load_dataset(fake.config_for(source, **values))


def signature(source):
    return data.describe_source(fake.config_for(source)).signature


def refused(source, *words, **values):
    with pytest.raises(UserError) as caught:
        load(source, **values)
    text = str(caught.value)
    assert all(word in text for word in words) and "\n" not in text, text


def test_arrays_labels_and_names(tmp_path):
    dataset = load(fake.write_parquet(tmp_path / "tiny"))
    for split in SPLITS:
        loaded, (names, contents) = getattr(dataset, split), zip(*fake.rows(split), strict=True)
        assert loaded.images.dtype == np.uint8 and loaded.labels.dtype == np.int64
        assert isinstance(loaded.images, np.memmap) and not loaded.labels.flags.writeable
        assert loaded.names == names
        assert [CLASSES[i] for i in loaded.labels] == [n.rpartition("_")[0] for n in names]
        pillow = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in contents])
        assert np.array_equal(loaded.images, pillow.transpose(0, 3, 1, 2))
    assert (dataset.source.kind, dataset.source.location) == (
        "folder",
        "tiny",
    ) and not dataset.source.synthetic


def test_the_layout_does_not_count_and_the_content_does(tmp_path, monkeypatch, published):
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    fake.write_images(tmp_path / "zip/2750")
    folders = [
        fake.write_parquet(tmp_path / "tables"),
        fake.write_images(tmp_path / "images"),
        tmp_path / "zip",
        fake.write_images(tmp_path / "as downloaded", lists=False),
    ]
    assert len({load(folder).fingerprint for folder in folders}) == 1
    assert len({signature(folder) for folder in folders}) == 4
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
    for label, name in enumerate(CLASSES):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "images" / name / f"{i}.jpg").write_bytes(fake.jpeg(10 * label + i))
    parts = [f"{name}/1.jpg" for name in CLASSES], ["SeaLake/2.jpg"]
    fake.write_lists(tmp_path / "images", "", *parts, ["a/Highway/0.jpg"])
    dataset = load(tmp_path / "images")
    labels = [[CLASSES[i] for i in getattr(dataset, split).labels] for split in SPLITS]
    assert labels == [list(CLASSES), ["SeaLake"], ["Highway"]]
    fake.write_lists(tmp_path / "images", "", *parts, ["0.jpg"])
    refused(tmp_path / "images", "test.txt: 0.jpg names 10 of the images")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (fake.jpeg(1, size=32), ["(32, 32)"]),
        (fake.jpeg(1, mode="L"), ["pixels, L"]),
        (fake.jpeg(1)[:400], ["Truncated"]),
        (b"text", ["cannot identify"]),
        (None, ["cannot identify"]),
        ("split", ["validation: one whole set of shards is wanted, not []"]),
        ("shard", ["validation: one whole set of shards", "validation-00000-of-00002"]),
        ("cut shard", ["validation-00000-of-00001.parquet: validation: Arrow"]),
        ("column", ["validation-00000-of-00001.parquet", "image"]),
        ("label", ["validation, row 9, SeaLake_4.jpg", "unknown class '10'"]),
        ("class", ["validation, row 9, SeaLake_4.jpg", "unknown class 'Sea'"]),
    ],
)
def test_an_unsound_table_is_one_line_and_leaves_nothing(tmp_path, cache, spoil, words):
    folder, images = fake.write_parquet(tmp_path / "tiny"), fake.rows("validation")
    path = folder / "data/validation-00000-of-00001.parquet"
    if spoil in ("split", "shard"):
        path.rename(path.with_name(f"{'gone' * (spoil == 'split')}{path.name[:-9]}2.parquet"))
    elif spoil == "cut shard":
        path.write_bytes(path.read_bytes()[:2000])
    elif spoil == "column":
        fake.pq.write_table(fake.pa.table({"label": [1]}), path)
    elif spoil == "label":
        fake.write_table(path, images, [*range(9), 10])
    elif spoil == "class":
        fake.write_table(path, images, classes=[*CLASSES[:-1], "Sea"])
    else:
        fake.write_table(path, [*images[:3], (images[3][0], spoil), *images[4:]])
        words = ["tiny: validation, row 3, Highway_4.jpg", *words]
    refused(folder, *words)
    assert not list(cache.glob("*.npy*"))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((["Forest_1.jpg"], ["Forest_2.jpg"], ["Forest_99.jpg"]), "Forest_99.jpg names 0 of the"),
        (
            (["Forest_1.jpg"], ["Forest_2.jpg"], ["Forest_1.png"]),
            "png is in the list of train already",
        ),
        ((["Forest_1.jpg"], [], ["Forest_3.jpg"]), "validation: no images"),
    ],
)
def test_faults_of_lists_are_named(tmp_path, parts, words):
    folder = fake.write_images(tmp_path / "images")
    fake.write_lists(folder, "eurosat-", *parts)
    refused(folder, words)
    fake.write_lists(tmp_path / "own", "", *parts)
    refused(folder, words, **{"data.split": str(tmp_path / "own")})
    (tmp_path / "own/test.txt").unlink()
    refused(folder, "one list each", **{"data.split": str(tmp_path / "own")})


def test_faults_of_folders_are_named(tmp_path, published):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no EuroSAT images here")
    refused("syntetic", "no such folder", "did you mean synthetic?")
    refused("synthetic", "no geography", **{"data.split": "spatial"})
    refused(fake.write_images(tmp_path / "bare", lists=False), LISTS_HUB, "EUROSAT_SPLITS")
    (fake.write_images(tmp_path / "bad") / "Forest").rename(tmp_path / "bad/Forrest")
    refused(tmp_path / "bad", "Forest_1.jpg", "unknown class", "did you mean Forest?")


def test_the_spatial_cut_has_the_same_images_and_its_lists_are_checked(
    tmp_path, published, monkeypatch
):
    config = fake.config_for(fake.write_parquet(tmp_path / "tiny"))
    assert data.spatial_absence(config).kind == "lists"
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    assert data.spatial_absence(config) is None
    standard, cut = data.load_dataset(config), data.load_dataset(data.on_spatial(config))
    assert cut.test.names == tuple((published / "eurosat-spatial-test.txt").read_text().split())
    assert (cut.source.location, cut.source.split) == ("tiny", "spatial")
    pixels = [
        {n: (s.images[i].tobytes(), s.labels[i]) for s in splits for i, n in enumerate(s.names)}
        for splits in ((d.train, d.validation, d.test) for d in (standard, cut))
    ]
    assert pixels[0] == pixels[1] and cut.fingerprint != standard.fingerprint
    for kind, off in (("disabled", {"spatial.enabled": False}), ("split", {"data.split": "x"})):
        assert data.spatial_absence(override(config, off)).kind == kind
    assert data.spatial_absence(fake.config_for("synthetic")).kind == "synthetic"
    (published / "eurosat-spatial-val.txt").write_text("Forest_1.jpg\n")
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "other"))
    refused(tmp_path / "tiny", "not the published list", **{"data.split": "spatial"})


def test_decoded_once_again_when_changed_or_cut_short(tmp_path, cache, monkeypatch):
    folder = fake.write_images(tmp_path / "images")
    first = load(folder)
    assert load(folder) is first
    with monkeypatch.context() as patch:
        data._map.cache_clear()
        patch.setattr(data, "_decode", None)  # decoding would fail
        assert load(folder).fingerprint == first.fingerprint
    (entry,) = cache.glob("*.npy")
    for file in (entry, entry.with_suffix(".json")):
        os.truncate(file, file.stat().st_size - 50)
        data._map.cache_clear()
        assert load(folder).fingerprint == first.fingerprint
    before = signature(folder)
    entry.with_name(f".{entry.name}.123").touch()  # of a killed process
    (folder / "Forest/Forest_1.jpg").write_bytes(fake.jpeg(12345))
    assert signature(folder) != before
    assert load(folder).fingerprint != first.fingerprint
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".lock", ".npy"]


def test_a_full_disk_is_said_and_never_leads_to_drawn_images(tmp_path, monkeypatch):
    def save(*arguments, **options):
        raise OSError(28, "No space left on device")

    def download(*arguments, local_files_only=False, **options):
        raise LocalEntryNotFoundError("") if local_files_only else OSError(28, "No space left")

    monkeypatch.setattr(np, "save", save)
    refused(fake.write_parquet(tmp_path / "tiny"), "No space left on device", "EUROSAT_CACHE")
    with fake_hub.serve(tmp_path / "tiny", HUB, REVISION) as (url, _):
        go_to(monkeypatch, url)
        refused("auto", "No space left on device")
        monkeypatch.setattr(huggingface_hub.HfApi, "snapshot_download", download)
        refused("auto", "cannot be had", "No space left")


def run(code, **environment):
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()} | environment
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    code = f"import sys, fake_eurosat as fake; from eurosat_lib import data\n{code}"
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)


def test_processes_share_the_cache_and_need_no_datasets_to_load_it(tmp_path):
    folder = fake.write_images(tmp_path / "images")
    code = f"print(data.load_dataset(fake.config_for({str(folder)!r})).fingerprint)"
    printed = {process.communicate()[0] for process in [run(code) for _ in range(2)]}
    assert printed == {f"{load(folder).fingerprint}\n".encode()}
    code += "; print({'torch', 'datasets', 'huggingface_hub'} & set(sys.modules))"
    assert run(code).communicate()[0].split()[1] == b"set()"


def test_the_hub_is_downloaded_once_and_works_offline(tmp_path):
    served = fake.write_parquet(tmp_path / "served")
    environment = {"HF_HOME": str(tmp_path / "hf"), "EUROSAT_CACHE": str(tmp_path / "one")}
    code = "d = data.load_dataset(fake.config_for('auto')); print(d.fingerprint, d.source)"
    with fake_hub.serve(served, HUB, REVISION) as (url, fetched):
        out, _ = run(code, HF_ENDPOINT=url, **environment).communicate()
        assert set(fetched) == {f"data/{path.name}" for path in served.rglob("*.parquet")}
    environment |= {"HF_HUB_OFFLINE": "1", "EUROSAT_CACHE": str(tmp_path / "two")}
    assert run(code, HF_ENDPOINT=CLOSED, **environment).communicate()[0] == out
    assert out.decode().startswith(load(served).fingerprint) and REVISION.encode() in out


def test_lists_come_from_the_hub(tmp_path, published, monkeypatch):
    folder = fake.write_images(tmp_path / "images", lists=False)
    with fake_hub.serve(published, LISTS_HUB, LISTS_REVISION) as (url, fetched):
        go_to(monkeypatch, url)
        assert data.spatial_absence(fake.config_for(folder)) is None
        assert len(load(folder).train) == 30 and set(fetched) <= set(sources.PUBLISHED)


def test_drawn_images_stand_in_once_said_when_the_hub_cannot_be_reached(capsys):
    config = fake.config_for("auto")
    dataset = data.load_dataset(config)
    assert dataset.source.kind == "synthetic"
    assert dataset.train.names[0] == "synthetic_train_00001"
    assert signature("auto") == signature("synthetic")
    assert capsys.readouterr().err.count("images SYNTHÉTIQUES de démonstration") == 1
    refused(HUB, HUB, CLOSED, "EUROSAT_DATA", "DATA=synthetic")


@pytest.mark.parametrize(("status", "drawn"), [(401, 0), (404, 0), (429, 1), (500, 1)])
def test_a_hub_that_refuses_is_an_error(tmp_path, monkeypatch, status, drawn):
    with fake_hub.serve(tmp_path, HUB, REVISION, status) as (url, _):
        go_to(monkeypatch, url)
        if drawn:
            assert load("auto").source.synthetic
        refused(HUB if drawn else "auto", str(status))


def test_a_silent_hub_is_given_up_in_time_and_asked_again_once_mended(monkeypatch):
    monkeypatch.setattr(sources, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        go_to(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert load("auto").source.synthetic
        assert time.monotonic() - start < 8
    asked = []
    monkeypatch.setattr(sources, "_hub_folder", lambda *which: asked.append(which))
    for token in ("old", "old", "new"):
        monkeypatch.setenv("HF_TOKEN", token)
        sources._hub_is_there(sources._access())
    assert len(asked) == 2


def test_a_named_folder_is_taken_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("EUROSAT_DATA", str(fake.write_parquet(tmp_path / "tiny")))
    relative = fake.config_for("tiny", **{"paths.root": str(tmp_path)})
    for config in (fake.config_for("auto"), relative):
        assert data.describe_source(config).location == "tiny"
    monkeypatch.setenv("EUROSAT_DATA", str(tmp_path / "gone"))
    refused("auto", "EUROSAT_DATA = ", "gone: no such folder")
