"""The project's root, and a configuration that computes everything in a moment."""

from pathlib import Path

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
    "train.seeds": [],
    "recipe.seeds": [],
    "evaluate.robustness_images": 30,
    "compute.device": "cpu",
    "compute.precision": "fp32",
    "compute.threads": 1,  # a second one costs such a small network more than it gives
}
