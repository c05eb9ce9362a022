import os
import shutil
import socket
import subprocess
import sys
import time

import fake_eurosat as fake
import fake_hub
import pytest

from eurosat_lib import data
from eurosat_lib.data import hubcache, probe, sources
from eurosat_lib.data.entry import is_decoded
from eurosat_lib.data.hub import Hub
from eurosat_lib.data.hubcache import REPOSITORY, REVISION
from eurosat_lib.errors import UserError

CLEARED = [
    "EUROSAT_DATA",
    "HF_HUB_CACHE",
    "HF_DATASETS_CACHE",
    "HF_TOKEN",
    "HF_HUB_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "EUROSAT_PROGRESS",
]
SCRIPT = (
    "import fake_eurosat as fake\n"
    "from eurosat_lib import data\n"
    f"dataset = data.load_dataset(fake.config_for({REPOSITORY!r}))\n"
    "print(dataset.fingerprint, dataset.source.location, dataset.test.names[0])"
)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path, monkeypatch):
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    sources._warned.clear()


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    """Load by name from a fake Hub, in a process of its own as its address is read at import."""
    root = tmp_path_factory.mktemp("hub")
    fake.write_parquet(root / "served")
    path = os.pathsep.join([str(fake.ROOT), str(fake.ROOT / "tests")])
    with fake_hub.running(fake_hub.FakeHub(root / "served", REVISION)) as hub:
        env = {name: value for name, value in os.environ.items() if name not in CLEARED}
        env |= {"PYTHONPATH": path, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_fake"}
        env |= {"HF_HOME": str(root / "hf"), "EUROSAT_CACHE": str(root / "cache")}
        done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True)
    return root, hub, done.stdout.decode(), done.stderr.decode()


def use_hub_home(downloaded, tmp_path, *parts):
    """Bring one or both of Hugging Face's caches to the home of this test."""
    for part in parts:
        shutil.copytree(downloaded[0] / "hf" / part, tmp_path / "hf" / part, symlinks=True)


def test_download_by_name(downloaded, tmp_path):
    root, hub, stdout, stderr = downloaded
    local = data.load_dataset(fake.config_for(str(root / "served")))
    assert stdout.split() == [local.fingerprint, "timm/eurosat-rgb@b4e2855", "AnnualCrop_5.jpg"]
    assert "Traceback" not in stderr and "Downloading timm/eurosat-rgb" in stderr
    files = [r for r in hub.requests if r[0] == "GET" and r[1].endswith(".parquet")]
    assert len(files) == 3
    assert {token for _, path, token in hub.requests if "/resolve/" in path} == {"Bearer hf_fake"}


@pytest.mark.parametrize("part", ["datasets", "hub"])
def test_local_caches_need_no_network(downloaded, tmp_path, part, monkeypatch):
    use_hub_home(downloaded, tmp_path, part)
    asked = []
    monkeypatch.setattr(probe, "_ask", lambda: asked.append(1))
    for source in ("auto", REPOSITORY):
        assert data.describe_source(fake.config_for(source)).revision == REVISION
        dataset = data.load_dataset(fake.config_for(source))
        assert dataset.fingerprint == downloaded[2].split()[0]
        shutil.rmtree(tmp_path / "cache")
    assert not asked


def test_incomplete_local_caches_are_not_used(downloaded, tmp_path):
    use_hub_home(downloaded, tmp_path, "hub", "datasets")
    assert hubcache.find_arrow() and hubcache.find_snapshot()
    for pattern in ("*test*.arrow", "test-*.parquet"):
        for path in (tmp_path / "hf").rglob(pattern):
            path.unlink()
    assert not hubcache.find_arrow() and not hubcache.find_snapshot()
    with pytest.raises(UserError, match="cannot be had"):
        data.load_dataset(fake.config_for(REPOSITORY))


def test_another_revision_in_the_cache_is_not_used(downloaded, tmp_path):
    use_hub_home(downloaded, tmp_path, "hub", "datasets")
    for path in sorted((tmp_path / "hf").rglob(REVISION)):
        path.rename(path.with_name("0" * 40))
    assert not hubcache.is_cached()


def test_decoded_images_need_neither_network_nor_hugging_face(downloaded, tmp_path, monkeypatch):
    monkeypatch.setenv("EUROSAT_CACHE", str(downloaded[0] / "cache"))
    assert is_decoded(Hub.signature)
    assert data.describe_source(fake.config_for("auto")).kind == "hub"
    assert data.load_dataset(fake.config_for("auto")).source == Hub.source


def test_unreachable_by_name_is_an_error_that_says_what_to_do():
    with pytest.raises(UserError) as caught:
        data.load_dataset(fake.config_for(REPOSITORY))
    for word in ("timm/eurosat-rgb", "127.0.0.1:9", "HF_TOKEN", "EUROSAT_DATA", "DATA=synthetic"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_silent_hub_is_given_up_in_time(monkeypatch):
    assert probe.PROBE_SECONDS <= 8
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(UserError, match=r"no answer in|Timeout"):
            data.load_dataset(fake.config_for(REPOSITORY))
    assert time.monotonic() - start < 2


def test_name_resolution_that_hangs_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(3))
    start = time.monotonic()
    assert "no answer in 0.2 s" in probe.probe()
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_a_refusal_is_a_reason(tmp_path, monkeypatch, status):
    with fake_hub.running(fake_hub.FakeHub(tmp_path, REVISION, status)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert str(status) in probe.probe()


def test_offline_is_not_asked(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = []
    monkeypatch.setattr(probe, "_ask", lambda: asked.append(1))
    assert "HF_HUB_OFFLINE" in probe.probe() and not asked


def test_auto_without_hub_warns_and_takes_the_synthetic_images(capsys):
    config = fake.config_for("auto")
    assert data.describe_source(config).synthetic
    assert data.signature(config) == data.signature(fake.config_for("synthetic"))
    assert data.pinned_source(config) == "synthetic"
    assert capsys.readouterr().err == ""
    assert data.load_dataset(config).source.kind == "synthetic"
    assert "WARNING: using the built-in SYNTHETIC images" in capsys.readouterr().err
    data.load_dataset(config)
    assert capsys.readouterr().err == "", "said twice"


def test_synthetic_by_name_does_not_warn(capsys):
    data.load_dataset(fake.config_for("synthetic"))
    assert "WARNING" not in capsys.readouterr().err


def test_a_failed_probe_is_remembered_for_auto_only(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(probe, "_ask", lambda: asked.append(1) or "no route")
    config = fake.config_for("auto")
    assert data.describe_source(config).synthetic and data.describe_source(config).synthetic
    assert len(asked) == 1
    with pytest.raises(UserError, match="no route"):
        data.load_dataset(fake.config_for(REPOSITORY))
    assert len(asked) == 2, "a stale stamp hid the Hub that was asked for by name"
    monkeypatch.setattr(probe, "_ask", lambda: None)
    assert data.describe_source(config).synthetic, "the stamp should still hold"
    monkeypatch.setenv("HF_TOKEN", "hf_new")
    assert data.describe_source(config).kind == "hub", "other circumstances void the stamp"
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(probe, "REMEMBER_SECONDS", 0)
    assert data.describe_source(config).kind == "hub", "an old stamp is void"


def test_a_failed_download_falls_back_for_auto_only(monkeypatch, capsys):
    monkeypatch.setattr("eurosat_lib.data.hub.probe", lambda: "went away")
    monkeypatch.setattr(sources, "probe", lambda: None)
    with pytest.raises(UserError, match="went away"):
        data.load_dataset(fake.config_for(REPOSITORY))
    assert data.load_dataset(fake.config_for("auto")).source.synthetic
    assert "went away" in capsys.readouterr().err
    assert data.describe_source(fake.config_for("auto")).synthetic
