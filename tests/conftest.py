"""Shared fixtures: a tiny project root and a tiny configuration, on synthetic images."""

import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from settings import ROOT, TINY

from eurosat_lib.config import Config, load_config
from eurosat_lib.data import CLASSES, EuroSAT, Source, Split
from eurosat_lib.files import ELSEWHERE

matplotlib.use("agg")
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
if "EUROSAT_DATA" in os.environ:  # tests change folder
    os.environ["EUROSAT_DATA"] = os.path.abspath(os.environ["EUROSAT_DATA"])


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    """Keep the decoded data of the tests, and their repositories, apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EUROSAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)  # no signatures, no hooks of the user's
        for name in ELSEWHERE:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def root(tmp_path) -> Path:
    """A project root with the configuration files and nothing computed."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


@pytest.fixture
def full(root) -> Config:
    """The configuration of the protocol."""
    return load_config(root / "configs/config.yaml", "full")


@pytest.fixture
def tiny(root) -> Config:
    """A configuration that trains in a moment, with its results in a folder of the test."""
    return load_config(root / "configs" / "config.yaml", "full", TINY)


@pytest.fixture(scope="session")
def blobs() -> EuroSAT:
    """Ten colours with noise, (96, 40, 40) images: learnable, and made without any file."""
    rng = np.random.default_rng(0)
    palette = rng.integers(30, 226, (10, 3, 1, 1))

    def split(name: str, count: int) -> Split:
        labels = np.arange(count) % 10
        noise = rng.normal(0, 25, (count, 3, 64, 64))
        images = (palette[labels] + noise).clip(0, 255).astype(np.uint8)
        return Split(images, labels, tuple(f"{name}_{i}.jpg" for i in range(count)))

    splits = {n: split(n, c) for n, c in (("train", 96), ("validation", 40), ("test", 40))}
    return EuroSAT(**splits, classes=CLASSES, fingerprint="f" * 64, source=Source("b", "b"))


@pytest.fixture
def on_blobs(tiny, blobs, monkeypatch) -> Config:
    """The tiny configuration, with every room reading the blobs, on one split or the other."""
    import eurosat_lib.protocol  # noqa: F401  and with it all rooms

    cut = replace(blobs, validation=blobs.test, test=blobs.validation, fingerprint="d" * 64)

    def load(config: Config) -> EuroSAT:
        return blobs if config.data.split == "standard" else cut

    rooms = [module for name, module in sys.modules.items() if name.startswith("eurosat_lib.")]
    for module in rooms:
        monkeypatch.setattr(module, "load_dataset", load, raising=False)
        monkeypatch.setattr(module, "spatial_absence", lambda config: "", raising=False)
    return tiny
