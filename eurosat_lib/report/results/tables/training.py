"""Tables of the finalists and of the final training."""

from __future__ import annotations

from eurosat_lib.grid import (
    Finalists,
)
from eurosat_lib.report.results.english import number, percent, points, rate, table
from eurosat_lib.report.results.reading import Results
from eurosat_lib.training.final import Training

FACTOR_NAMES = {
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "dilation_stage3": "dilation of stage 3",
    "blocks_per_stage": "blocks per stage",
}
ORIGINS = {
    "config": "configuration",
    "lr_finder": "LR finder",
    "chosen_lr": "chosen by hand",
    "grid_search": "grid",
    "refined_grid_search": "refined grid",
    "compare_finalists": "finalists",
    "fallback": "fallback value",
}


def finalists(r: Results) -> str:
    """List the finalists over their new seeds: mean, spread, distance to the first."""
    found, rows = r.need(Finalists), []
    for rank, one in enumerate(found.ranking):
        lead, bounds = found.lead(one)
        behind = "first" if rank == 0 else points(-lead, bounds and (-bounds[1], -bounds[0]), 1)
        rows.append(
            (
                f"`{one.again.name}`",
                ORIGINS[one.origin],
                percent(one.selected),
                percent(one.mean),
                number(100 * one.sd, 1),
                len(one.scores),
                behind,
            )
        )
    heads = ("Finalist", "From", "Score that chose it", "Mean, new seeds", "sd (points)", "n")
    return table((*heads, "To the first (points)"), rows)


def configuration(r: Results) -> str:
    """List the hyperparameters of the final training and where each comes from."""
    t = r.need(Training)
    fit = t.fit
    values = fit.hyperparameters.model_dump()
    written = {"lr": rate(fit.hyperparameters.lr)}
    written["weight_decay"] = rate(fit.hyperparameters.weight_decay)
    rows = [
        (FACTOR_NAMES[name], written.get(name, str(value)), ORIGINS[t.origin[name]])
        for name, value in values.items()
    ]
    done = f"{len(fit.epochs)} of {t.planned_epochs}"
    rows += [
        ("optimiser", "Adam, constant rate", "protocol"),
        ("batch size", t.batch_size, ORIGINS["config"]),
        ("epochs", done, ORIGINS["config"]),
        ("seed", str(fit.seed), ORIGINS["config"]),
        ("training images", fit.train_images, "data"),
        ("parameters of the network", fit.parameters, "architecture"),
    ]
    return table(("Hyperparameter", "Value", "From"), rows)


def history(r: Results) -> str:
    """List the epochs of the final training."""
    fit = r.need(Training).fit
    rows = [
        (
            e.epoch,
            number(e.train_loss, 4),
            number(e.val_loss, 4),
            percent(e.train_accuracy),
            percent(e.val_accuracy),
            number(e.grad_norm, 2),
            number(e.seconds, 1),
            "kept" if e.epoch == fit.best.epoch else "",
        )
        for e in fit.epochs
    ]
    heads = ("Epoch", "Train loss", "Val. loss", "Train accuracy", "Val. accuracy")
    return table((*heads, "Gradient norm", "Seconds", "Note"), rows)
