import shutil

import fake_eurosat as fake
import pytest

from eurosat_lib import data
from eurosat_lib.data.types import CLASSES
from eurosat_lib.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))


def load(folder):
    return data.load_dataset(fake.config_for(str(folder)))


def spoil_tables(folder, spoil):
    fake.write_parquet(folder, shards=2)
    tables, images = folder / "data", fake.rows("validation")
    path = tables / "validation-00000-of-00001.parquet"
    if spoil == "split":
        path.unlink()
    elif spoil == "shard":
        (tables / "train-00001-of-00002.parquet").unlink()
    elif spoil == "two sets":
        shutil.copy(path, tables / "validation.parquet")
    elif spoil == "cut shard":
        path.write_bytes(path.read_bytes()[:2000])
    elif spoil == "empty split":
        fake.write_table(path, [], [])
    elif spoil == "class":
        fake.write_table(path, images, classes=[*CLASSES[:-1], "Desert"])
    elif spoil == "label":
        fake.write_table(path, images, [*range(9), 10])
    elif spoil == "no images":
        fake.pq.write_table(fake.pa.table({"label": [1]}), path)
    else:
        content = {
            "size": fake.jpeg(1, size=32),
            "mode": fake.jpeg(1, mode="L"),
            "corrupt": images[3][1][:400],
            "text": b"not an image",
            "nothing": None,
        }
        images[3] = (images[3][0], content[spoil])
        fake.write_table(path, images)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("split", ["validation split is missing"]),
        ("shard", ["train-00001-of-00002.parquet is missing"]),
        (
            "two sets",
            ["validation.parquet", "validation-00000-of-00001.parquet", "not the shards"],
        ),
        ("cut shard", ["validation-00000-of-00001.parquet", "not a readable parquet file"]),
        ("empty split", ["validation", "empty"]),
        ("class", ["validation", "unknown class 'Desert'"]),
        ("label", ["validation", "SeaLake_4.jpg", "label 10"]),
        ("no images", ["validation", "no column 'image'"]),
        ("size", ["validation/Highway_4.jpg", "32 x 32"]),
        ("mode", ["validation/Highway_4.jpg", "mode L"]),
        ("corrupt", ["validation/Highway_4.jpg", "not a readable image"]),
        ("text", ["validation/Highway_4.jpg", "not a readable image"]),
        ("nothing", ["validation/Highway_4.jpg", "no bytes"]),
    ],
)
def test_unsound_tables_are_named(tmp_path, spoil, words):
    spoil_tables(tmp_path / "tiny", spoil)
    with pytest.raises(UserError) as caught:
        load(tmp_path / "tiny")
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("decoded/*")), "something half done was left"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("image", ["eurosat-val.txt", "River_4.jpg"]),
        ("list", ["test split", "eurosat-test.txt"]),
        ("empty list", ["eurosat-test.txt", "empty"]),
        ("class", ["Rivers", "unknown class", "did you mean River?"]),
        ("twice", ["eurosat-test.txt", "Forest_1.jpg", "train split already"]),
        ("corrupt", ["validation/River_4.jpg", "not a readable image"]),
    ],
)
def test_unsound_image_folders_are_named(tmp_path, spoil, words):
    folder = fake.write_images(tmp_path / "images")
    image, test_list = folder / "River/River_4.jpg", folder / "eurosat-test.txt"
    if spoil == "image":
        image.unlink()
    elif spoil == "list":
        test_list.unlink()
    elif spoil == "empty list":
        test_list.write_text("\n")
    elif spoil == "class":
        shutil.copytree(folder / "River", folder / "Rivers")
    elif spoil == "twice":
        test_list.write_text("Forest_1.jpg\n")
    else:
        image.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError) as caught:
        load(folder)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("name", ["nowhere", "syntetic", "empty"])
def test_no_such_folder(tmp_path, name):
    (tmp_path / "empty").mkdir()
    source = str(tmp_path / name) if name == "empty" else name
    with pytest.raises(UserError) as caught:
        data.describe_source(fake.config_for(source))
    expected = {
        "nowhere": "no such folder",
        "syntetic": "did you mean synthetic?",
        "empty": "no EuroSAT images here",
    }
    assert expected[name] in str(caught.value)
