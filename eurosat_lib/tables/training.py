"""Tables of notebook 06: the final configuration and its epochs."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.french import nombre
from eurosat_lib.tables import words
from eurosat_lib.tables.frame import frame
from eurosat_lib.training.final import Training


def configuration(training: Training) -> pd.DataFrame:
    """List the hyperparameters of the final training and where each comes from; cells are text."""
    fit = training.fit
    rows = [
        (
            words.capital(words.FACTORS[name]),
            words.factor_value(name, value),
            words.ORIGINS[training.origin[name]],
        )
        for name, value in fit.hyperparameters.model_dump().items()
    ]
    done, planned = len(fit.epochs), training.planned_epochs
    epochs = str(done) if done == planned else f"{done} sur {planned} prévues"
    rows += [
        ("Taille de lot", str(training.batch_size), words.ORIGINS["config"]),
        ("Époques", epochs, words.ORIGINS["config"]),
        ("Graine", str(fit.seed), words.ORIGINS["config"]),
        ("Images d’entraînement", nombre(fit.train_images), "données"),
        ("Paramètres du réseau", nombre(fit.parameters), "architecture"),
        ("Optimiseur", "Adam, pas constant", "protocole"),
    ]
    return frame(("Hyperparamètre", "Valeur", "Origine"), rows)


def history(training: Training) -> pd.DataFrame:
    """List the epochs: losses in nats, accuracies as fractions in [0, 1], time in seconds."""
    best = training.fit.best.epoch
    rows = [
        (
            record.epoch,
            record.train_loss,
            record.val_loss,
            record.train_accuracy,
            record.val_accuracy,
            record.grad_norm,
            record.seconds,
            "meilleure" if record.epoch == best else "",
        )
        for record in training.fit.epochs
    ]
    columns = (
        "Époque",
        "Perte train (nats)",
        "Perte val (nats)",
        "Exactitude train",
        "Exactitude val",
        "Norme du gradient",
        "Durée (s)",
        "Note",
    )
    options = {"percent": ["Exactitude train", "Exactitude val"], "digits": {"Durée (s)": 1}}
    return frame(columns, rows, **options)
