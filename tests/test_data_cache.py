import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import fake_eurosat as fake
import numpy as np
import pytest

from eurosat_lib import data
from eurosat_lib.data import cache, decode, entry
from eurosat_lib.data.folder import find_folder
from eurosat_lib.errors import UserError


@pytest.fixture(autouse=True)
def decoded(tmp_path, monkeypatch):
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


@pytest.fixture
def origin(tmp_path):
    return find_folder(fake.write_images(tmp_path / "tiny"))


@pytest.fixture
def reads(monkeypatch, origin):
    """Count how often the source is read."""
    counted, read = [], type(origin).read
    monkeypatch.setattr(type(origin), "read", lambda *a: counted.append(1) or read(*a))
    return counted


def test_decoded_once(origin, decoded, reads):
    first, second = cache.fetch(origin), cache.fetch(origin)
    assert len(reads) == 1
    assert np.array_equal(first.train.images, second.train.images)
    assert first.fingerprint == second.fingerprint and len(first.fingerprint) == 64
    (folder,) = decoded.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"{s}_{f}" for s in fake.COUNTS for f in ("images.npy", "labels.npy", "names.txt")]
        + ["meta.json"]
    )


def damage(folder, how):
    images, labels = folder / "test_images.npy", folder / "test_labels.npy"
    if how == "cut":
        os.truncate(images, images.stat().st_size - 5000)
    elif how == "zeros":
        size = images.stat().st_size
        images.write_bytes(bytes(size))
    elif how == "label":
        content = bytearray(labels.read_bytes())
        content[-8] ^= 1
        labels.write_bytes(content)
    elif how == "file":
        (folder / "train_names.txt").unlink()
    elif how == "meta":
        (folder / "meta.json").write_text('{"format": 1')
    else:
        (folder / "meta.json").unlink()


@pytest.mark.parametrize("how", ["cut", "zeros", "label", "file", "meta", "no meta"])
def test_damaged_entry_is_made_again(origin, decoded, reads, how):
    sound = cache.fetch(origin)
    expected = sound.test.labels.copy()
    (folder,) = decoded.iterdir()
    damage(folder, how)
    again = cache.fetch(origin)
    assert len(reads) == 2
    assert again.fingerprint == sound.fingerprint
    assert np.array_equal(again.test.labels, expected)
    assert [path.name for path in decoded.iterdir()] == [folder.name]


def test_large_files_are_checked_by_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(entry, "WHOLE_BYTES", 1000)
    path = tmp_path / "large.npy"
    content = bytearray(np.random.default_rng(0).bytes(3_000_000))
    path.write_bytes(content)
    state = entry.file_state(path)
    assert entry.file_state(path) == state and state["size"] == 3_000_000
    for start in (0, 1_500_000, 2_900_000):  # a zeroed stretch of 100 KB, as a crash leaves it
        path.write_bytes(content[:start] + bytes(100_000) + content[start + 100_000 :])
        assert entry.file_state(path) != state


def test_new_entry_replaces_the_older_of_the_same_folder(origin, decoded, tmp_path):
    other = find_folder(fake.write_parquet(tmp_path / "other"))
    cache.fetch(other)
    cache.fetch(origin)
    before = set(decoded.iterdir())
    image = origin.place / "Forest/Forest_1.jpg"
    image.write_bytes(fake.jpeg(12345))
    changed = find_folder(tmp_path / "tiny")
    cache.fetch(changed)
    assert len(before) == len(set(decoded.iterdir())) == 2
    assert entry.is_decoded(changed.signature) and entry.is_decoded(other.signature)
    assert not entry.is_decoded(origin.signature)


def test_leftovers_of_killed_processes_are_removed_when_old(origin, decoded):
    for name, age in ((".building-old", 2 * 86400), (".building-young", 60)):
        (decoded / name).mkdir(parents=True)
        os.utime(decoded / name, (time.time() - age,) * 2)
    cache.fetch(origin)
    assert not (decoded / ".building-old").exists() and (decoded / ".building-young").exists()


def test_failed_decoding_leaves_nothing(origin, decoded):
    (origin.place / "SeaLake/SeaLake_6.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"test/SeaLake_6\.jpg"):
        cache.fetch(origin)
    assert list(decoded.iterdir()) == []


def test_processes_that_decode_at_the_same_time_agree(tmp_path, origin):
    code = (
        "import fake_eurosat as fake; from eurosat_lib import data\n"
        f"config = fake.config_for({str(origin.folder)!r})\n"
        "print(data.load_dataset(config).fingerprint)"
    )
    path = os.pathsep.join([str(fake.ROOT), str(fake.ROOT / "tests")])
    env = os.environ | {"PYTHONPATH": path}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    printed = [process.communicate()[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert set(printed) == {cache.fetch(origin).fingerprint + "\n"}


def test_threads_that_publish_at_the_same_time_agree(origin, decoded):
    with ThreadPoolExecutor(8) as pool:
        datasets = list(pool.map(lambda _: cache.fetch(origin), range(24)))
    assert len({dataset.fingerprint for dataset in datasets}) == 1
    assert all(np.array_equal(d.test.images, datasets[0].test.images) for d in datasets)
    assert len(list(decoded.iterdir())) == 1


def test_unwritable_cache_is_named(origin, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set EUROSAT_CACHE to another folder"):
        cache.fetch(origin)


def test_full_disk_is_said(origin, decoded, monkeypatch):
    def write_split(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write_split", write_split)
    with pytest.raises(UserError, match="No space left on device"):
        cache.fetch(origin)
    assert list(decoded.iterdir()) == []


def test_cache_folder_is_that_of_the_environment(monkeypatch):
    monkeypatch.setenv("EUROSAT_CACHE", "~/elsewhere")
    assert entry.cache_folder() == entry.Path.home() / "elsewhere"
    monkeypatch.delenv("EUROSAT_CACHE")
    assert entry.cache_folder() == entry.Path.home() / ".cache" / "eurosat_lib"


def test_chunks_keep_the_order(monkeypatch):
    monkeypatch.setattr(decode, "CHUNK", 4)
    contents = [fake.jpeg(i) for i in range(10)]
    names = [str(i) for i in range(10)]
    split = decode.encoded_split("x", names, np.zeros(10, np.int64), lambda a, b: contents[a:b])
    parts = list(split.chunks())
    assert [len(part) for part in parts] == [4, 4, 2]
    images = np.concatenate(parts)
    assert all(np.abs(images[i].mean() - fake.pixels(i).mean()) < 1 for i in range(10))


def test_progress_counts_every_image(origin, tmp_path, monkeypatch):
    import json

    monkeypatch.setenv("EUROSAT_PROGRESS", str(tmp_path / "progress"))
    cache.fetch(origin)
    last = json.loads((tmp_path / "progress").read_text().splitlines()[-1])
    assert (last["label"], last["done"], last["total"]) == ("Decoding EuroSAT", 60, 60)


def test_loading_decoded_images_is_quick(origin):
    cache.fetch(origin)
    start = time.perf_counter()
    data.load_dataset(fake.config_for(str(origin.folder)))
    assert time.perf_counter() - start < 0.5
    shutil.rmtree(entry.cache_folder())
