"""Tables of notebooks 02 and 03: baselines, network, initial loss, overfit."""

from __future__ import annotations

import statistics

import pandas as pd

from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import Architecture, InitialLoss, Overfit
from eurosat_lib.checks.measure import ENERGY
from eurosat_lib.french import nombre, pct
from eurosat_lib.tables.frame import frame
from eurosat_lib.tables.words import PARTS, layer_place, shape

STEP = 5  # epochs between two rows of the overfit table


def baselines(b: Baselines) -> pd.DataFrame:
    """List the scores to beat; accuracies are fractions in [0, 1], missing where not measured."""
    rows = [
        ("Prédiction uniforme (valeur attendue)", b.uniform, b.uniform),
        (f"Classe majoritaire ({b.majority_class})", b.majority_validation, b.majority_test),
        ("Régression logistique, vignette 4 × 4", b.thumbnail_validation, None),
        ("Régression logistique, moyenne et écart-type par canal", b.color_validation, None),
    ]
    columns = ("Référence", "Validation", "Test")
    digits = {"Validation": 2, "Test": 2}
    return frame(columns, rows, percent=["Validation", "Test"], digits=digits, missing="—")


def layers(arch: Architecture) -> pd.DataFrame:
    """List the layers in the order of the forward pass; a last row ``TOTAL`` adds them up.

    ``MAC`` counts the multiply-accumulate operations for one image.
    """
    rows = [
        (
            _place(layer.name, layer.kind),
            layer.kind,
            layer.detail.replace("dilation", "dilatation"),
            shape(layer.output_shape),
            layer.parameters,
            layer.macs,
        )
        for layer in arch.layers
    ]
    macs = sum(layer.macs for layer in arch.layers)
    rows.append(("TOTAL", "", "", "", sum(layer.parameters for layer in arch.layers), macs))
    columns = ("Place", "Couche", "Détail", "Sortie", "Paramètres", "MAC")
    return frame(columns, rows)


def variants(arch: Architecture) -> pd.DataFrame:
    """List the networks of the grid: size, receptive field, work for one training image."""
    rows = [
        (
            v.blocks_per_stage,
            v.dilation_stage3,
            v.parameters,
            v.tensors,
            v.receptive_field,
            v.energy_field,
            v.gflop,
            v == arch.current,
        )
        for v in arch.variants
    ]
    columns = (
        "Blocs par étage",
        "Dilatation",
        "Paramètres",
        "Tenseurs",
        "Champ réceptif (px)",
        f"dont {pct(ENERGY, 0)} de l’énergie (px)",
        "GFLOP par image (entraînement)",
        "Contrôlée ici",
    )
    return frame(columns, rows, digits={"GFLOP par image (entraînement)": 3})


def initial_loss(r: InitialLoss) -> pd.DataFrame:
    """List what the first batch gives; all cells are text, losses in nats."""
    reached = sum(g.norm > 0 for g in r.gradients)
    mean, sd = statistics.fmean(r.losses), statistics.stdev(r.losses)
    rows = [
        ("Lot d’images", f"{shape(r.batch_shape)}, {r.batch_dtype}"),
        ("Étiquettes", shape(r.labels_shape)),
        ("Logits", shape(r.logits_shape)),
        ("Perte observée (nats)", nombre(r.loss, 4)),
        (f"Perte théorique, ln {r.classes} (nats)", nombre(r.theory, 4)),
        ("Écart (nats)", nombre(r.loss - r.theory, 4)),
        ("Demi-variance moyenne des logits, s²/2 (nats)", nombre(r.excess, 4)),
        (
            f"Moyenne ± écart-type sur {len(r.losses)} initialisations (nats)",
            f"{nombre(mean, 4)} ± {nombre(sd, 4)}",
        ),
        ("Norme du gradient", nombre(r.grad_norm, 3)),
        ("Tenseurs atteints par le gradient", f"{reached} / {len(r.gradients)}"),
        ("Perte cohérente", "oui" if r.coherent else "non"),
    ]
    return frame(("Mesure", "Valeur"), rows)


def overfit(r: Overfit) -> pd.DataFrame:
    """List loss (nats) and accuracy (text) every five epochs, the first and last included."""
    last = len(r.losses)
    shown = sorted({1, last, *range(STEP, last, STEP)})
    rows = [(epoch, r.losses[epoch - 1], pct(r.accuracies[epoch - 1])) for epoch in shown]
    columns = ("Époque", "Perte (nats)", "Exactitude")
    return frame(columns, rows, digits={"Perte (nats)": 4})


def _place(name: str, kind: str) -> str:
    place, part = layer_place(name)
    if kind == "MaxPool2d":
        return place.split(",")[0]
    return place if part in PARTS else "tête"
