"""Every source gives the same checked arrays, cut as asked, decoded once; faults are one line."""

import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from itertools import product

import datasets
import fake_eurosat as fake
import fake_hub
import huggingface_hub.constants
import numpy as np
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image
from settings import LINUX

from eurosat_lib import data, sources
from eurosat_lib.config import override
from eurosat_lib.data import CLASSES, SPLITS
from eurosat_lib.errors import UserError
from eurosat_lib.sources import HUB, LISTS_HUB, LISTS_REVISION, REVISION, SHORT

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
    folder, images = tmp_path / "lists", [name for split in SPLITS for name in fake.names(split)]
    fake.write_lists(folder, "eurosat-", *map(fake.names, SPLITS))
    fake.write_lists(folder, "eurosat-spatial-", images[:30], images[50:], images[30:50])
    digests = {path.name: sources.digest(path) for path in folder.iterdir()}
    monkeypatch.setattr(sources, "PUBLISHED", digests)
    return folder


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


def test_drawn_images_keep_their_bits_and_shares_and_more_start_with_fewer():
    drawn = {split: sources.draw_rows(split, 1080) for split in SPLITS}
    pixels = {split: [row.content.tobytes() for row in rows] for split, rows in drawn.items()}
    assert len(set().union(*pixels.values())) == 3240
    start = hashlib.sha256(b"".join(pixels["train"][:108])).hexdigest()
    assert start.startswith("d169e8fb1a8bc635")
    eurosat = (3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000)
    shares = {name: count * 1080 // 27000 for name, count in zip(CLASSES, eurosat, strict=True)}
    assert Counter(row.label for row in drawn["train"]) == shares
    for count in (0, 1, 109):
        fewer = sources.draw_rows("train", count)
        assert [row.content.tobytes() for row in fewer] == pixels["train"][:count]
        assert [row[:3] for row in fewer] == [row[:3] for row in drawn["train"][:count]]


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


def spelled(folder):
    """As blanchon/EuroSAT_RGB: other class names, in another order, file names in a column."""
    known = [re.sub("(Crop|Vegetation)", r" \1", name) for name in (*CLASSES[1:], CLASSES[0])]
    known[3], known[6] = "Industrial Buildings", "Residential Buildings"
    for split in SPLITS:
        names, contents = zip(*fake.rows(split), strict=True)
        labels = [(CLASSES.index(name.split("_")[0]) - 1) % 10 for name in names]
        images = [(f"{i}.jpg", content) for i, content in enumerate(contents)]
        path = folder / f"data/{split}-00000-of-00001.parquet"
        fake.write_table(path, images, labels, known, filename=names)
    return folder


def worded(folder):
    for split in SPLITS:
        words = [name.split("_")[0] for name in fake.names(split)]
        fake.write_table(folder / f"{split}-0-of-1.parquet", fake.rows(split), words, None)
    return folder


def saved(folder):
    tables = fake.write_parquet(folder.parent / "plain")
    loaded = datasets.load_dataset(str(tables), cache_dir=str(folder.parent / "hf"))
    loaded.save_to_disk(str(folder))
    return folder


def test_the_layout_does_not_count_and_the_content_does(tmp_path, monkeypatch, published):
    fake.write_images(tmp_path / "zip/2750")
    layouts = [saved, spelled, worded, fake.write_parquet, fake.write_images]
    folders = [make(tmp_path / make.__name__) for make in layouts]
    bare = [fake.write_images(tmp_path / name, lists=False) for name in ("as downloaded", "test")]
    folders += [tmp_path / "zip", *bare]
    with fake_hub.serve(published, LISTS_HUB, LISTS_REVISION) as (url, fetched):
        go_to(monkeypatch, url)  # for the lists of the last two
        assert len({load(folder).fingerprint for folder in folders}) == 1
        assert set(fetched) <= set(sources.PUBLISHED)
    assert len({signature(folder) for folder in folders}) == 8
    split = load(fake.write_images(tmp_path / "split", False, lambda split: split[:5]))
    assert sorted(split.validation.names) == sorted(fake.names("validation"))
    folders_of = dict.fromkeys(SPLITS, "train") | {"validation": "dev"}
    mixed = fake.write_images(tmp_path / "mixed", False, folders_of.get)
    refused(mixed, "lies in none of the folders train, val")
    for change in (
        lambda split, rows: rows[1:] + rows[:1],
        lambda split, rows: [("AnnualCrop_77.jpg", rows[0][1]), *rows[1:]],
        lambda split, rows: [(rows[0][0], fake.jpeg(99)), *rows[1:]],
    ):
        folders.append(fake.write_parquet(tmp_path / f"{len(folders)}", change))
    for turn in (0, 1):  # the same files, other labels
        for split, k in product(SHORT, range(10)):
            path = tmp_path / f"turn{turn}/{split}/{CLASSES[k - turn]}/{split}{k}.jpg"
            path.parent.mkdir(parents=True)
            path.write_bytes(fake.jpeg(k))
        folders.append(tmp_path / f"turn{turn}")
    assert len({load(folder).fingerprint for folder in folders}) == 4 + 2


def test_a_class_is_that_of_the_folder_even_where_files_share_their_name(tmp_path):
    folder = fake.write_images(tmp_path / "images", lists=False)
    for path in [*folder.rglob("*.jpg")]:
        label, number = path.stem.split("_")
        path.rename(path.with_name(f"{CLASSES.index(label) + int(number)}.jpg"))
    parts = [f"{name}/{i}.jpg" for i, name in enumerate(CLASSES, 1)], ["SeaLake/11.jpg"]
    fake.write_lists(folder, "", *parts, ["a/Highway/6.jpg"])
    dataset = load(folder)
    labels = [[CLASSES[i] for i in getattr(dataset, split).labels] for split in SPLITS]
    assert labels == [list(CLASSES), ["SeaLake"], ["Highway"]]
    fake.write_lists(folder, "", *parts, ["6.jpg"])
    refused(folder, "test.txt: 6.jpg names 6 of the images")


def picture(content):
    """Replace the fourth picture of a table."""
    return lambda path, rows: fake.write_table(path, [*rows[:3], (rows[3][0], content), *rows[4:]])


def downloaded_twice(path, rows):
    """Leave the first of two shards, and a browser's copy of it."""
    for end in ("", " (1)"):
        path.with_name(f"validation-00000-of-00002{end}.parquet").write_bytes(path.read_bytes())
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (picture(fake.jpeg(1, size=32)), "tiny: validation, row 3, Highway_4.jpg: ValueError: ("),
        (picture(fake.jpeg(1, mode="L")), "pixels, L"),
        (picture(fake.DEEP), "Highway_4.jpg: ValueError: of mode RGB, more than 8 bits"),
        (picture(fake.jpeg(1)[:400]), "Truncated"),
        (picture(fake.jpeg(1, form="GIF")), "cannot identify"),  # not one of our formats
        (picture(fake.jpeg(1, form="EPS")), "cannot identify"),
        (picture(None), "cannot identify"),
        (lambda p, r: fake.write_table(p, [*r, (r[3][0], r[4][1])]), "Highway_4.jpg names two"),
        (lambda p, r: p.unlink(), "validation: one whole set of shards is wanted, not []"),
        (lambda p, r: p.rename(f"{p}"[:-9] + "2.parquet"), "validation-00000-of-00002"),
        (downloaded_twice, "validation: one whole set of shards is wanted"),
        (lambda p, r: p.write_bytes(p.read_bytes()[:2000]), "00001.parquet: validation: Arrow"),
        (lambda p, r: fake.pq.write_table(fake.pa.table({"label": [1]}), p), "image"),
        (lambda p, r: fake.write_table(p, r, [*range(9), 10]), "unknown class '10'"),
        (lambda p, r: fake.write_table(p, r, ["Sea"] * 10, None), "unknown class 'Sea'"),
        (lambda p, r: fake.write_table(p, r, [3] * 10), "says AnnualCrop, its label Highway"),
    ],
)
def test_an_unsound_table_is_one_line_and_leaves_nothing(tmp_path, cache, spoil, words):
    folder = fake.write_parquet(tmp_path / "tiny")
    spoil(folder / "data/validation-00000-of-00001.parquet", fake.rows("validation"))
    refused(folder, words)
    assert not list(cache.glob("*.npy*"))


def test_a_class_without_images_is_refused_in_training_and_said_elsewhere(tmp_path, capsys):
    def without(*splits):
        return lambda split, rows: [r for r in rows if split not in splits or "River" not in r[0]]

    assert len(load(fake.write_parquet(tmp_path / "a", without("test"))).test) == 18
    assert "test : aucune image de River" in capsys.readouterr().err
    refused(fake.write_parquet(tmp_path / "b", without("train")), "train: no image of River")


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (["Forest_99.jpg"], "Forest_99.jpg names 0 of the"),
        (["AnnualCrop_1.png"], "png is in the list of train already"),
        ([], "test: no image"),
        (None, "one list each"),
    ],
)
def test_faults_of_lists_are_named(tmp_path, part, words):
    folder, own = fake.write_images(tmp_path / "images"), tmp_path / "own"
    for place, prefix in ((folder, "eurosat-"), (own, "")):
        fake.write_lists(place, prefix, *map(fake.names, SPLITS[:2]), part or [])
        if part is None:
            (place / f"{prefix}test.txt").unlink()
    refused(folder, words)
    fake.write_lists(folder, "eurosat-", *map(fake.names, SPLITS))
    refused(folder, words, **{"data.split": str(own)})


def test_lists_as_windows_writes_them(tmp_path):
    folder = fake.write_images(tmp_path / "images")
    want = load(folder).fingerprint
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints/Forest_1.jpg").write_bytes(b"")
    for change in (
        lambda t: b"\xef\xbb\xbf" + t.encode(),
        lambda t: t.replace("\n", "\r\n").encode("utf-16"),
        lambda t: "".join(f"2750\\{n.split('_')[0]}\\{n}\n" for n in t.split()).encode(),
    ):
        fake.write_lists(folder, "eurosat-", *map(fake.names, SPLITS))
        for path in folder.glob("*.txt"):
            path.write_bytes(change(path.read_text()))
        assert load(folder).fingerprint == want


def test_links_that_lead_back_and_pipes_do_not_count(tmp_path):
    folder, want = tmp_path / "images", load(fake.write_images(tmp_path / "elsewhere")).fingerprint
    folder.mkdir()
    for path in (tmp_path / "elsewhere").iterdir():
        (folder / path.name).symlink_to(path)
    for name in ("AnnualCrop/a", "AnnualCrop/b"):
        (folder / name).symlink_to(folder)
    os.mkfifo(folder / "Forest/Forest_99.jpg")
    assert len(data.describe_source(fake.config_for(folder)).files) == 60
    assert load(folder).fingerprint == want
    (folder / "Forest/Forest_98.jpg").symlink_to(tmp_path / "gone")
    refused(folder, "Forest_98.jpg")


@LINUX  # others refuse such a name
def test_a_name_that_is_not_utf8_is_shown(tmp_path):
    path = os.fsencode(fake.write_images(tmp_path / "images")) + b"/Forest/Forest_\xe9.jpg"
    with open(path, "wb"):
        refused(tmp_path / "images", repr(os.fsdecode(path)), "rename it")


def test_folders_are_taken_or_named(tmp_path, published, monkeypatch):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no EuroSAT images here")
    refused("syntetic", "no such folder", "did you mean synthetic?")
    refused("synthetic", "no geography", **{"data.split": "spatial"})
    refused(fake.write_images(tmp_path / "bare", lists=False), LISTS_HUB, "EUROSAT_SPLITS")
    (fake.write_images(tmp_path / "bad") / "Forest").rename(tmp_path / "bad/Forrest")
    refused(tmp_path / "bad", "Forest_1.jpg", "unknown class", "did you mean Forest?")
    monkeypatch.setenv("EUROSAT_DATA", str(fake.write_parquet(tmp_path / "tiny")))
    relative = fake.config_for("tiny", **{"paths.root": str(tmp_path)})
    for config in (fake.config_for("auto"), relative):
        assert data.describe_source(config).location == "tiny"
    assert data.describe_source(fake.config_for("synthetic")).synthetic
    other = fake.config_for(fake.write_parquet(tmp_path / "own"))  # named, it comes first
    assert data.describe_source(other).location == "own"
    monkeypatch.setenv("EUROSAT_DATA", str(tmp_path / "gone"))
    refused("auto", "EUROSAT_DATA = ", "gone: no such folder")


def test_the_spatial_cut_has_the_same_images_of_checked_lists(tmp_path, published, monkeypatch):
    def images(dataset):
        for split in (getattr(dataset, name) for name in SPLITS):
            yield from zip(split.names, map(bytes, split.images), split.labels, strict=True)

    config = fake.config_for(fake.write_parquet(tmp_path / "tiny"))
    assert "EUROSAT_SPLITS" in data.spatial_absence(config)
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    assert data.spatial_absence(config) == ""
    standard, cut = data.load_dataset(config), data.load_dataset(data.on_spatial(config))
    assert cut.test.names == tuple((published / "eurosat-spatial-test.txt").read_text().split())
    assert (cut.source.location, cut.source.split) == ("tiny", "spatial")
    assert sorted(images(standard)) == sorted(images(cut))
    assert cut.fingerprint != standard.fingerprint
    for off in ({"spatial.enabled": False}, {"data.split": "x"}, {"data.source": "synthetic"}):
        assert data.spatial_absence(override(config, off))
    (published / "eurosat-spatial-val.txt").write_text("Forest_1.jpg\n")
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "other"))
    refused(tmp_path / "tiny", "not the published list", **{"data.split": "spatial"})


def test_decoded_once_again_when_changed_or_cut_short(tmp_path, cache, monkeypatch):
    folder = fake.write_images(tmp_path / "images")
    first, before = load(folder), signature(folder)
    assert load(folder) is first
    with monkeypatch.context() as patch:
        data._map.cache_clear()
        patch.setattr(data, "_decode", None)  # decoding would fail
        assert load(folder).fingerprint == first.fingerprint
    (entry,), (notes,) = cache.glob("*.npy"), cache.glob("*.json")
    for file in (entry, notes):
        os.truncate(file, file.stat().st_size - 50)
        data._map.cache_clear()
        assert load(folder).fingerprint == first.fingerprint
    kept = json.loads(notes.read_text())
    notes.write_text(json.dumps(kept | {"labels": kept["labels"][::-1]}))  # no such labels
    data._map.cache_clear()
    assert (load(folder).train.labels == first.train.labels).all()
    (folder / "Forest/Forest_1.jpg").write_bytes(fake.jpeg(12345))
    assert load(folder).fingerprint != first.fingerprint
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".lock", ".npy"]
    (folder / "Forest").rename(folder / "River2")
    assert signature(folder) != before


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


def test_processes_share_the_cache_and_need_no_datasets_to_load_it(tmp_path):
    folder = fake.write_images(tmp_path / "images")
    code = "import sys, fake_eurosat as fake; from eurosat_lib import data\n"
    code += f"print(data.load_dataset(fake.config_for({str(folder)!r})).fingerprint)\n"
    code += "print({'torch', 'datasets', 'huggingface_hub'} & set(sys.modules))"
    own = {"env": os.environ | {"PYTHONPATH": os.path.dirname(__file__)}}
    command, own["stdout"] = [sys.executable, "-c", code], subprocess.PIPE
    both = [subprocess.Popen(command, **own) for _ in range(2)]
    want = f"{load(folder).fingerprint}\nset()\n".encode()
    assert {process.communicate()[0] for process in both} == {want}


def test_the_hub_is_downloaded_once(tmp_path, monkeypatch):
    served = fake.write_parquet(tmp_path / "served")
    with fake_hub.serve(served, HUB, REVISION) as (url, fetched):
        go_to(monkeypatch, url)
        api, one = huggingface_hub.HfApi(endpoint=url), "data/train-00000-of-00002.parquet"
        own = {"repo_type": "dataset", "revision": REVISION}
        api.hf_hub_download(HUB, one, **own)  # as an interrupted download leaves it
        first = load("auto")
        assert set(fetched) == {f"data/{path.name}" for path in served.rglob("*.parquet")}
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "other"))
    go_to(monkeypatch, CLOSED)
    again = load("auto")
    assert again.fingerprint == first.fingerprint == load(served).fingerprint
    assert again.source == first.source and again.source.revision == REVISION


@pytest.mark.parametrize("status", [None, 401, 404, 429, 500])
def test_drawn_images_stand_in_for_a_hub_that_is_mute(tmp_path, monkeypatch, capsys, status):
    with fake_hub.serve(tmp_path, HUB, REVISION, status) as (url, _):
        go_to(monkeypatch, url if status else CLOSED)
        if status not in (401, 404):
            assert load("auto").train.names[0] == "synthetic_train_00001"
            assert signature("auto") == signature("synthetic")
            assert capsys.readouterr().err.count("images SYNTHÉTIQUES de démonstration") == 1
        where = "auto" if status in (401, 404) else HUB
        refused(where, str(status or CLOSED), "EUROSAT_DATA", "DATA=synthetic")


def test_a_silent_hub_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr(sources, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        go_to(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert load("auto").source.synthetic
        assert time.monotonic() - start < 8
