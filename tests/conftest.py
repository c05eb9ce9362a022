"""Shared fixtures: a tiny project root and a tiny configuration, on synthetic images."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from eurosat_lib.config import Config, load_config
from eurosat_lib.data.types import CLASSES, EuroSAT, Source, Split

matplotlib.use("agg")
if "EUROSAT_DATA" in os.environ:  # tests change folder
    os.environ["EUROSAT_DATA"] = os.path.abspath(os.environ["EUROSAT_DATA"])
ROOT = Path(__file__).resolve().parent.parent
TINY = {
    "data.source": "synthetic",
    "data.image_size": 16,
    "data.batch_size": 16,
    "data.synthetic_images": [96, 40, 40],
    "augment.crop_padding": 1,
    "model.channels": [4, 6, 8],
    "initial_loss.n_seeds": 3,
    "overfit.size": 8,
    "overfit.epochs": 4,
    "controls.pairs": 2,
    "controls.steps": 4,
    "controls.validation_images": 40,
    "lr_finder.iterations": 12,
    "lr_finder.seeds": [0],
    "grid.lr": [1e-3, 2e-3],
    "grid.weight_decay": [1e-5],
    "grid.epochs": 2,
    "grid.train_limit": 48,
    "refined_grid.lr_factors": [1.0, 2.0],
    "refined_grid.weight_decay_factors": [1.0],
    "refined_grid.epochs": 2,
    "refined_grid.train_limit": 48,
    "finalists.count": 2,
    "finalists.seeds": 2,
    "train.max_epochs": 2,
    "evaluate.robustness_images": 30,
    "compute.device": "cpu",
    "compute.precision": "fp32",
}


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    """Keep the decoded data of the tests apart from the user's."""
    before = os.environ.get("EUROSAT_CACHE")
    os.environ["EUROSAT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["EUROSAT_CACHE"]
    else:
        os.environ["EUROSAT_CACHE"] = before


@pytest.fixture
def root(tmp_path) -> Path:
    """A project root with the configuration files and nothing computed."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


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
    return EuroSAT(**splits, classes=CLASSES, fingerprint="f" * 64, source=Source("folder", "b"))


@pytest.fixture
def on_blobs(tiny, blobs, monkeypatch) -> Config:
    """The tiny configuration, with every stage reading the blobs, on one split or the other."""
    from eurosat_lib.data import loaders
    from eurosat_lib.stages import (
        core,
        errors,
        exploration,
        final,
        preparation,
        repeats,
        search,
        spatial,
    )

    cut = replace(blobs, validation=blobs.test, test=blobs.validation, fingerprint="d" * 64)
    rooms = (loaders, core, errors, exploration, final, preparation, repeats, search, spatial)
    for module in rooms:
        if hasattr(module, "load_dataset"):
            monkeypatch.setattr(
                module,
                "load_dataset",
                lambda config: blobs if config.data.split == "standard" else cut,
            )
    monkeypatch.setattr(spatial, "spatial_absence", lambda config: None)
    return tiny
