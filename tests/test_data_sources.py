import hashlib
import io
import os
import subprocess
import sys

import fake_eurosat as fake
import numpy as np
import pytest
from PIL import Image

from eurosat_lib import data
from eurosat_lib.data import parquet
from eurosat_lib.data.types import CLASSES, SPLITS
from eurosat_lib.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("EUROSAT_DATA", "HF_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)


def load(folder):
    return data.load_dataset(fake.config_for(str(folder)))


def test_parquet_folder_gives_decoded_pixels_labels_and_names(tmp_path):
    dataset = load(fake.write_parquet(tmp_path / "tiny", shards=2))
    for split in SPLITS:
        loaded, expected = getattr(dataset, split), fake.rows(split)
        assert loaded.images.shape == (len(expected), 3, 64, 64)
        assert loaded.images.dtype == np.uint8 and loaded.labels.dtype == np.int64
        assert loaded.names == tuple(name for name, _ in expected)
        assert [CLASSES[label] for label in loaded.labels] == [
            name.rpartition("_")[0] for name in loaded.names
        ]
        pillow = np.asarray(Image.open(io.BytesIO(expected[7][1])))
        assert np.array_equal(loaded.images[7].transpose(1, 2, 0), pillow)
    assert dataset.source == data.Source("folder", "tiny") and not dataset.source.synthetic
    assert dataset.classes == CLASSES


def test_splits_cannot_be_written_to(tmp_path):
    split = load(fake.write_parquet(tmp_path / "tiny")).train
    assert isinstance(split.images, np.memmap)
    for array in (split.images, split.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_fingerprint_is_that_of_the_content_whatever_the_layout(tmp_path):
    folders = [
        fake.write_parquet(tmp_path / "one"),
        fake.write_parquet(tmp_path / "two", shards=2),
        fake.write_images(tmp_path / "images"),
        fake.write_images(tmp_path / "zip", place="2750"),
    ]
    assert len({load(folder).fingerprint for folder in folders}) == 1
    assert len({data.signature(fake.config_for(str(folder))) for folder in folders}) == 4


@pytest.mark.parametrize("part", ["pixels", "order", "name", "label"])
def test_fingerprint_changes_with_the_content(tmp_path, part):
    def change(split, images):
        if split != "test":
            return images
        (name, content), *rest = images
        changed = {
            "pixels": [(name, fake.jpeg(99)), *rest],
            "order": [*rest, (name, content)],
            "name": [("AnnualCrop_77.jpg", content), *rest],
            "label": [("Forest_5.jpg", content), *rest],
        }
        return changed[part]

    same = load(fake.write_parquet(tmp_path / "same")).fingerprint
    assert load(fake.write_parquet(tmp_path / "other", change=change)).fingerprint != same


def test_labels_are_mapped_by_class_name(tmp_path):
    folder = fake.write_parquet(tmp_path / "tiny")
    turned = (*CLASSES[1:], CLASSES[0])
    labels = [turned.index(CLASSES[fake.label_of(name)]) for name, _ in fake.rows("test")]
    path = folder / "data/test-00000-of-00001.parquet"
    fake.write_table(path, fake.rows("test"), labels, turned)
    expected = [fake.label_of(name) for name, _ in fake.rows("test")]
    assert load(folder).test.labels.tolist() == expected
    fake.write_table(path, fake.rows("test"), [CLASSES[i] for i in expected], classes=None)
    assert load(folder).test.labels.tolist() == expected


def test_names_without_a_path_come_from_the_identifier(tmp_path):
    folder = fake.write_parquet(tmp_path / "tiny")
    path = folder / "data/test-00000-of-00001.parquet"
    table = fake.pq.read_table(path)
    images = [image | {"path": None} for image in table.column("image").to_pylist()]
    fake.pq.write_table(table.set_column(0, "image", [images]), path)
    assert load(folder).test.names[0] == "AnnualCrop_5.jpg"
    nameless = fake.pq.read_table(path, columns=["image", "label"])
    fake.pq.write_table(nameless.replace_schema_metadata(None), path)
    assert load(folder).test.names[:2] == ("row_00000.jpg", "row_00001.jpg")


def test_class_is_that_of_the_folder_when_the_name_does_not_say(tmp_path):
    folder = fake.write_images(tmp_path / "images")
    (folder / "Forest/odd.jpg").write_bytes(fake.jpeg(5))
    (folder / "eurosat-test.txt").write_text("River_5.jpg\nodd.jpg\n")
    assert load(folder).test.labels.tolist() == [CLASSES.index("River"), CLASSES.index("Forest")]


def test_relative_folder_is_found_from_the_project_and_from_here(tmp_path, monkeypatch):
    fake.write_parquet(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    assert data.describe_source(fake.config_for("tiny")).location == "tiny"
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    config = fake.config_for("tiny", **{"paths.root": str(tmp_path)})
    assert data.describe_source(config).location == "tiny"


@pytest.mark.parametrize("write", [fake.write_parquet, fake.write_images])
def test_signature_changes_with_the_files(tmp_path, write):
    folder = write(tmp_path / "tiny")
    config = fake.config_for(str(folder))
    before = data.signature(config)
    assert data.signature(config) == before
    path = next(p for p in sorted(folder.rglob("*")) if p.suffix in (".parquet", ".jpg"))
    os.utime(path, (1, 1))
    assert data.signature(config) != before


def test_synthetic_images(monkeypatch):
    dataset = data.load_dataset(fake.config_for("synthetic"))
    assert [len(getattr(dataset, split)) for split in SPLITS] == [30, 10, 20]
    assert dataset.train.names[0] == "synthetic_train_00001"
    assert dataset.source.synthetic and dataset.source.kind == "synthetic"
    again = data.load_dataset(fake.config_for("synthetic"))
    assert again.fingerprint == dataset.fingerprint
    other = fake.config_for("synthetic", **{"data.synthetic_images": [31, 10, 20]})
    assert data.signature(other) != data.signature(fake.config_for("synthetic"))


def test_auto_takes_the_folder_in_the_environment_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("EUROSAT_DATA", str(fake.write_parquet(tmp_path / "tiny")))
    assert data.describe_source(fake.config_for("auto")).location == "tiny"
    assert data.pinned_source(fake.config_for("auto")) == str(tmp_path / "tiny")
    monkeypatch.setenv("EUROSAT_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"EUROSAT_DATA = .*gone: no such folder"):
        data.load_dataset(fake.config_for("auto"))


def test_asking_is_cheap(tmp_path):
    folder = fake.write_images(tmp_path / "images")
    code = (
        "import sys, fake_eurosat as fake; from eurosat_lib import data\n"
        f"config = fake.config_for({str(folder)!r})\n"
        "data.describe_source(config), data.signature(config)\n"
        "sys.exit(str({'torch', 'pandas', 'datasets'} & set(sys.modules) or ''))"
    )
    path = os.pathsep.join([str(fake.ROOT), str(fake.ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True
    )
    assert done.stderr.decode().strip() == ""


def test_shard_names():
    for name in ("train.parquet", "train-00000-of-00002.parquet"):
        assert parquet.SHARD.fullmatch(name)["split"] == "train"
    pushed = parquet.SHARD.fullmatch("test-00001-of-00003-0a1b2c3d4e5f6071.parquet")
    assert pushed.groupdict() == {"split": "test", "index": "00001", "count": "00003"}
    assert not parquet.SHARD.fullmatch("._train-00000-of-00002.parquet")


CACHE = os.environ.get("EUROSAT_CACHE")
REAL = os.environ.get("EUROSAT_DATA", "")
NAMES_MD5 = {  # as published with the lists
    "train": "908f142e73d6acdf3f482c5e80d851b1",
    "validation": "95de90f2aa998f70a3b2416bfe0687b4",
    "test": "7ae5ab94471417b6e315763121e67c5f",
}
CLASS_COUNTS = {
    "train": [1791, 1787, 1799, 1505, 1492, 1195, 1481, 1863, 1460, 1827],
    "validation": [613, 605, 628, 499, 507, 409, 481, 583, 511, 564],
    "test": [596, 608, 573, 496, 501, 396, 538, 554, 529, 609],
}


@pytest.mark.realdata
@pytest.mark.skipif(not REAL, reason="EUROSAT_DATA is not set")
def test_real_images_are_the_published_ones(monkeypatch):
    if CACHE:  # the user's own: decoded there once
        monkeypatch.setenv("EUROSAT_CACHE", CACHE)
    else:
        monkeypatch.delenv("EUROSAT_CACHE")
    dataset = load(REAL)
    for split in SPLITS:
        loaded = getattr(dataset, split)
        names = "\n".join(loaded.names).encode()
        assert hashlib.md5(names).hexdigest() == NAMES_MD5[split]
        assert np.bincount(loaded.labels).tolist() == CLASS_COUNTS[split]
        assert all(
            CLASSES[label] == name.rpartition("_")[0]
            for label, name in zip(loaded.labels, loaded.names, strict=True)
        )
    assert dataset.fingerprint.startswith("8245e1cc")
