"""The same images cut anew: the published spatial lists, a folder's, and what is refused."""

import fake_eurosat as fake
import fake_hub
import numpy as np
import pytest

from eurosat_lib import data
from eurosat_lib.config import override
from eurosat_lib.data import lists, probe, spatial
from eurosat_lib.data.lists import REPOSITORY, REVISION, ListsUnavailable
from eurosat_lib.data.spatial import on_spatial, spatial_absence, spatial_signature
from eurosat_lib.errors import UserError


@pytest.fixture(autouse=True)
def clean_environment(tmp_path, monkeypatch):
    for name in ("EUROSAT_DATA", "EUROSAT_SPLITS", "HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder with the spatial lists, small ones that count as those published."""
    folder = tmp_path / "lists"
    monkeypatch.setattr(lists, "PUBLISHED", fake.write_spatial(folder))
    return folder


@pytest.fixture
def config(tmp_path):
    return fake.config_for(str(fake.write_images(tmp_path / "images")))


def pixels_by_name(dataset):
    splits = (dataset.train, dataset.validation, dataset.test)
    return {name: (s.images[i], s.labels[i]) for s in splits for i, name in enumerate(s.names)}


def own_lists(folder, **names):
    folder.mkdir(exist_ok=True)
    for split, listed in names.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in listed))
    return folder


def test_the_same_images_in_other_splits(config, published, monkeypatch):
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    standard, cut = data.load_dataset(config), data.load_dataset(on_spatial(config))
    assert (len(cut.train), len(cut.validation), len(cut.test)) == (30, 10, 20)
    listed = (published / "eurosat-spatial-test.txt").read_text().split()
    assert cut.test.names == tuple(listed) != standard.test.names
    before, after = pixels_by_name(standard), pixels_by_name(cut)
    assert set(before) == set(after)
    for name, (image, label) in before.items():
        assert np.array_equal(image, after[name][0]) and label == after[name][1]
    assert cut.fingerprint != standard.fingerprint
    assert (standard.source.split, cut.source.split) == ("standard", "spatial")
    assert cut.source.location == standard.source.location


def test_both_cuts_stay_in_the_cache_and_need_no_lists(config, published, monkeypatch):
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    standard, cut = data.load_dataset(config), data.load_dataset(on_spatial(config))
    monkeypatch.delenv("EUROSAT_SPLITS")
    monkeypatch.setattr("eurosat_lib.data.cache._build", None)  # building again would fail
    assert data.load_dataset(config).fingerprint == standard.fingerprint
    assert data.load_dataset(on_spatial(config)).fingerprint == cut.fingerprint


def test_a_folder_of_lists_may_leave_images_out(config, tmp_path):
    folder = own_lists(
        tmp_path / "mine",
        train=["Forest_1.jpg", "River_2.jpg"],
        val=["Forest_3.png"],  # the suffix does not count
        test=["sub/SeaLake_6.jpg"],
    )
    cut = data.load_dataset(override(config, {"data.split": str(folder)}))
    assert cut.train.names == ("Forest_1.jpg", "River_2.jpg")
    assert cut.validation.names == ("Forest_3.jpg",)
    assert [int(s.labels[0]) for s in (cut.train, cut.validation, cut.test)] == [1, 1, 9]
    assert cut.source.split == "mine"
    before = data.signature(override(config, {"data.split": str(folder)}))
    (folder / "test.txt").write_text("SeaLake_5.jpg\n")
    again = override(config, {"data.split": str(folder)})
    assert data.signature(again) != before
    assert data.load_dataset(again).fingerprint != cut.fingerprint


GOOD = {"train": ["Forest_1.jpg"], "val": ["Forest_2.jpg"], "test": ["Forest_3.jpg"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": ["Forest_99.jpg"]}, "Forest_99.jpg is in the test list, but not among"),
        ({"test": ["Forest_1.jpg"]}, r"test.txt: Forest_1.jpg is in the train split already"),
        ({"val": []}, "val.txt: the list is empty"),
        ({"eurosat-train": ["Forest_4.jpg"]}, "two lists of the train split; keep one set"),
        ({"val": None}, "no list of the validation split"),
    ],
)
def test_faults_of_a_folder_are_named(config, tmp_path, change, message):
    folder = own_lists(
        tmp_path / "mine", **{k: v for k, v in (GOOD | change).items() if v is not None}
    )
    with pytest.raises(UserError, match=message) as caught:
        data.load_dataset(override(config, {"data.split": str(folder)}))
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_named(config):
    with pytest.raises(UserError, match=r"data.split = spatail: no such folder.*spatial\?"):
        data.describe_source(override(config, {"data.split": "spatail"}))


def test_images_without_names_cannot_be_cut(config, tmp_path, published, monkeypatch):
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    same = [("Forest_1.jpg", fake.jpeg(7))]
    folder = fake.write_parquet(tmp_path / "unnamed", change=lambda split, images: images + same)
    with pytest.raises(UserError, match=r"two images are named Forest_1\.jpg"):
        data.load_dataset(on_spatial(fake.config_for(str(folder))))


def test_drawn_images_have_no_geography(published, monkeypatch):
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    with pytest.raises(UserError, match=r"data.split = spatial: .*no geography"):
        data.load_dataset(on_spatial(fake.config_for("synthetic")))
    assert spatial_absence(fake.config_for("synthetic")).kind == "synthetic"


def test_another_list_than_the_published_is_refused(config, published, monkeypatch):
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    path = published / "eurosat-spatial-val.txt"
    path.write_text(path.read_text().replace("Forest_6", "Forest_1"))
    with pytest.raises(UserError, match=r"spatial-val.txt: not the published list"):
        data.load_dataset(on_spatial(config))
    path.unlink()
    with pytest.raises(UserError, match=r"spatial-val.txt: no such list"):
        data.load_dataset(on_spatial(config))
    monkeypatch.setenv("EUROSAT_SPLITS", str(published / "none"))
    with pytest.raises(UserError, match=r"EUROSAT_SPLITS = .*no such folder"):
        data.load_dataset(on_spatial(config))


def test_lists_come_from_the_hub_once(config, published, monkeypatch):
    with fake_hub.running(fake_hub.FakeHub(published, REVISION, repository=REPOSITORY)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert spatial_absence(config) is None
        assert len([r for r in hub.requests if r[0] == "GET" and r[1].endswith(".txt")]) == 3
    monkeypatch.setattr(lists, "_ask", None)  # asking again would fail
    assert data.load_dataset(on_spatial(config)).source.split == "spatial"
    monkeypatch.setenv("EUROSAT_CACHE", str(published / "other"))
    assert len(data.load_dataset(on_spatial(config)).test) == 20


def test_a_hub_with_other_lists_is_refused(config, published, monkeypatch):
    (published / "eurosat-spatial-test.txt").write_text("Forest_1.jpg\n")
    with fake_hub.running(fake_hub.FakeHub(published, REVISION, repository=REPOSITORY)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(UserError, match="not the published list"):
            data.load_dataset(on_spatial(config))


def test_an_unreachable_hub_is_one_line_and_remembered_for_the_report(config, monkeypatch):
    asked = []
    monkeypatch.setattr(lists, "_ask", lambda: asked.append(1) or "no route")
    for _ in range(2):
        absence = spatial_absence(config)
        assert absence.kind == "lists"
        for word in ("torchgeo/eurosat", "no route", "EUROSAT_SPLITS"):
            assert word in absence.reason and "\n" not in absence.reason
    assert len(asked) == 1
    with pytest.raises(ListsUnavailable, match="no route"):
        data.load_dataset(on_spatial(config))
    assert len(asked) == 2, "asked for by name, the Hub must be tried again"
    monkeypatch.setattr(probe, "REMEMBER_SECONDS", 0)
    spatial_absence(config)
    assert len(asked) == 3


def test_a_refusing_or_silent_hub_is_a_quiet_reason(published, monkeypatch, capfd):
    with fake_hub.running(
        fake_hub.FakeHub(published, REVISION, 500, repository=REPOSITORY)
    ) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(ListsUnavailable, match="500"):
            lists.spatial_lists()
        monkeypatch.setattr(lists, "_ask", lambda: None)
        monkeypatch.setattr(lists, "DOWNLOAD_SECONDS", 0.5)
        with pytest.raises(ListsUnavailable, match=r"no answer in 0\.5 s"):
            lists.spatial_lists()
    assert capfd.readouterr().err == ""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ListsUnavailable, match="HF_HUB_OFFLINE"):
        lists.spatial_lists()


def test_kinds_of_absence_and_their_signature(config, published, monkeypatch):
    monkeypatch.setattr(lists, "_ask", lambda: "no route")
    assert spatial_absence(override(config, {"spatial.enabled": False})).kind == "disabled"
    assert spatial_absence(on_spatial(config)).kind == "split"
    absent = spatial_signature(config)
    assert absent.endswith("lists")
    monkeypatch.setenv("EUROSAT_SPLITS", str(published))
    assert spatial_absence(config) is None
    assert spatial_signature(config) == data.signature(on_spatial(config)) != absent
    assert spatial_signature(config) != data.signature(config)
    assert spatial.STAMP != "hub", "the images' stamp is another"
