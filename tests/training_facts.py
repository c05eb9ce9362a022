"""Small results of the stages of notebooks 04 to 07, for the tests of their answers."""

from __future__ import annotations

from itertools import product

from eurosat_lib.evaluation import Evaluation
from eurosat_lib.lr_finder import LRFinder, Sweep
from eurosat_lib.search import Grid, Training
from eurosat_lib.stats import ClassScore
from eurosat_lib.train import EpochRecord, Fit, Hyperparameters

POINT = {"lr": 1e-3, "weight_decay": 1e-4, "blocks_per_stage": 2, "dilation_stage3": 2}


def make_fit(val, train=None, val_loss=None, diverged="", **point) -> Fit:
    train = train or [a - 0.02 for a in val]
    val_loss = val_loss or [1 - a for a in val]
    epochs = tuple(
        EpochRecord(
            epoch=i + 1,
            side=64,
            train_loss=1 - t,
            train_accuracy=t,
            val_loss=loss,
            val_accuracy=v,
            lr=1e-3,
            grad_norm=1.0,
            steps=10,
            images=640,
            seconds=2.0,
        )
        for i, (v, t, loss) in enumerate(zip(val, train, val_loss, strict=True))
    )
    return Fit(
        hyperparameters=Hyperparameters(**POINT | point),
        seed=42,
        train_images=3000,
        validation_images=5400,
        parameters=1000,
        epochs=epochs,
        diverged=diverged,
    )


def make_grid(kind=Grid, origin="lr_finder", **gain) -> Grid:
    """Build 24 trials; ``gain`` is what each factor's larger value adds, 0 alternates signs."""
    fits = []
    grid = product((5e-4, 1e-3, 2e-3), (1e-5, 1e-4), (2, 3), (2, 3))
    for rank, (lr, wd, d, b) in enumerate(grid):
        bit = {"lr": lr > 1e-3, "weight_decay": wd > 1e-5, "dilation_stage3": d > 2}
        bit["blocks_per_stage"] = b > 2
        score = 0.7 + sum(gain.get(name, 0.0) for name, high in bit.items() if high)
        score += 0.001 * (-1) ** (rank // 4) * bit["dilation_stage3"]
        score += 0.001 * (-1) ** (rank // 2) * bit["blocks_per_stage"]
        score += 0.001 * (-1) ** (rank // 8 + rank) * bit["weight_decay"]
        score += 0.001 * (-1) ** rank * bit["lr"]
        point = {"lr": lr, "weight_decay": wd, "dilation_stage3": d, "blocks_per_stage": b}
        fits.append(make_fit([score - 0.1, score, score], **point))
    return kind(trials=tuple(fits), epochs=3, origin=origin)


def make_training(val, origin="refined_grid_search", planned=None, **fit) -> Training:
    sources = origin if isinstance(origin, dict) else dict.fromkeys(POINT, origin)
    return Training(
        fit=make_fit(val, **fit),
        origin=sources,
        planned_epochs=planned or len(val),
        batch_size=64,
    )


def make_evaluation(correct=900, correct_validation=900, n=1000, epoch=4) -> Evaluation:
    def score(name: str, f1: float) -> ClassScore:
        shares = {"precision": 0.9, "recall": 0.9, "f1": f1}
        counts = {"support": n // 2, "predicted": n // 2, "hits": 9 * n // 20}
        return ClassScore(name=name, **shares, **counts)

    return Evaluation(
        checkpoint="best.ckpt",
        checkpoint_sha256="0123456789ab" * 5 + "cdef",
        hyperparameters=Hyperparameters(**POINT),
        epoch=epoch,
        seed=42,
        parameters=1000,
        classes=("Forest", "River"),
        n=n,
        correct=correct,
        n_validation=n,
        correct_validation=correct_validation,
        loss=0.3,
        loss_validation=0.3,
        confidence_level=0.95,
        macro_f1=0.9,
        macro_f1_interval=(0.88, 0.92),
        per_class=(
            score("Forest", 0.95),
            score("River", 0.85),
        ),
        confusion=((n // 2, 0), (n - correct, n // 2 - n + correct)),
    )


def make_finder(*suggestions: dict) -> LRFinder:
    curve = {"lr": (1e-6, 1.0), "loss": (2.3, 1), "smoothed": (2.3, 1), "stopped": "end"}
    sweeps = tuple(
        Sweep(seed=s, suggestions=r, fault="" if r else "flat", **curve)
        for s, r in enumerate(suggestions)
    )
    return LRFinder(sweeps=sweeps, weight_decay=1e-4, batch_size=64, smoothing=0.9, iterations=100)


def rules(steepest: float, valley: float, tenth: float) -> dict:
    return {"steepest": steepest, "valley": valley, "minimum/10": tenth}
