"""The project's root, and a configuration that computes everything in a moment."""

import sys
from pathlib import Path

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's /proc, /dev or limits")
ROOT = Path(__file__).resolve().parent.parent
TINY = {
    "data": {"source": "synthetic", "synthetic_images": [96, 40, 40]},
    "data.image_size": 16,
    "data.batch_size": 16,
    "augment.crop_padding": 1,
    "model.channels": [4, 6, 8],
    "initial_loss.n_seeds": 3,
    "overfit": {"size": 8, "epochs": 4},
    "controls": {"pairs": 2, "steps": 4, "validation_images": 40},
    "lr_finder": {"iterations": 12, "seeds": [0]},
    "grid": {"lr": [1e-3, 2e-3], "weight_decay": [1e-5], "epochs": 2, "train_limit": 48},
    "refined_grid": {"lr_factors": [1.0, 2.0], "weight_decay_factors": [1.0]},
    "refined_grid.epochs": 2,
    "refined_grid.train_limit": 48,
    "finalists": {"count": 2, "seeds": 2},
    "train": {"max_epochs": 2, "seeds": []},
    "recipe.seeds": [],
    "evaluate.robustness_images": 30,
    # a second thread costs such a small network more than it gives
    "compute": {"device": "cpu", "precision": "fp32", "threads": 1},
}
