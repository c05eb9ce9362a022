"""Tables of notebooks 01 to 03: the images, the loaders, what to beat, the network, its checks."""

from __future__ import annotations

import statistics
from itertools import combinations_with_replacement

import pandas as pd

from eurosat_lib.audit import FAINT, SATURATED, Audit
from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import Architecture, InitialLoss, Overfit, Pipeline
from eurosat_lib.french import (
    SPLITS,
    capital,
    intervalle,
    layer_place,
    liste,
    nombre,
    p_value,
    pct,
    shape,
)
from eurosat_lib.overlaps import Overlaps
from eurosat_lib.tables.frame import DASH, frame

STEP = 5  # epochs between two rows of the table of the overfit


def classes(audit: Audit) -> pd.DataFrame:
    """List the images per class and split, and the share of all, in [0, 1]; a last row adds up."""
    table = pd.DataFrame(audit.counts, index=audit.classes)
    table.columns = [capital(SPLITS[split]) for split in audit.counts]
    table["Total"] = table.sum(axis=1)
    table.loc["TOTAL"] = table.sum()
    table["Part"] = table["Total"] / table["Total"].iloc[-1]
    table = table.reset_index(names="Classe")
    table.attrs = {"percent": ["Part"]}
    if found := audit.balance:
        table.attrs["note"] = (
            "Indépendance de la classe et du split\u00a0: χ² = "
            f"{nombre(found.statistic, 1)} pour {found.degrees} degrés de liberté, "
            f"{p_value(found.p_value)}\u202f; V de Cramér = {nombre(found.cramers_v, 3)}."
        )
    return table


def findings(audit: Audit, overlaps: Overlaps) -> pd.DataFrame:
    """List what was looked for, how often it is there (share of all images), what follows."""
    total, side, shared = sum(audit.sizes.values()), audit.image_shape[1], overlaps.facts()
    reach = f"{pct(shared['test_images'] / max(audit.sizes['test'], 1), 2)} du test"
    faint = f"Presque unie (écart-type < {nombre(FAINT)} sur 255)"
    bright = f"Plus de {pct(SATURATED, 0)} des valeurs à 255"
    rows = [  # what, cases, of how many, what follows where there are any (and where none)
        (f"Décodée, RGB, {side} × {side} pixels", total, total, "ni rognage ni remplissage"),
        ("Pixels identiques à une autre", audit.duplicates, total, "image vue deux fois"),
        ("Groupes identiques, sur plusieurs splits", audit.duplicates_across, 0, "fuite directe"),
        ("Paires qui se chevauchent", shared["found"], 0, "terrain vu deux fois"),
        ("Chevauchements sur deux splits", shared["across"], 0, reach),
        ("Chevauchements, deux étiquettes", shared["relabelled"], 0, "étiquette ambiguë"),
        ("Sans aucune donnée (noire)", audit.black, total, "le réseau n’en apprend rien"),
        ("Un pixel sans donnée ou plus", audit.nodata, total, "bord à masquer"),
        ("D’une seule couleur", audit.flat, total, "ni forme ni texture"),
        (faint, audit.faint, total, "seule la couleur moyenne informe", "formes visibles partout"),
        (bright, audit.saturated, total, "détail perdu dans le blanc", "aucun détail perdu"),
    ]
    rows = [
        (name, n, n / of if of else None, so[0] if n else [*so[1:], "rien à retirer"][0])
        for name, n, of, *so in rows
    ]
    heads = ("Contrôle", "Cas", "Part", "Pour l’entraînement")
    return frame(heads, rows, percent=["Part"], digits={"Part": 2}, missing=DASH)


def overlap_counts(overlaps: Overlaps) -> pd.DataFrame:
    """Count the overlapping pairs by the splits they join; share of a tile (median), in [0, 1]."""
    rows, area = [], "Surface commune"
    joined = [(pair, {pair.first.split, pair.second.split}) for pair in overlaps.pairs]
    for kind in [*combinations_with_replacement(SPLITS, 2), ()]:
        pairs = [pair for pair, splits in joined if not kind or splits == set(kind)]
        name = " – ".join(SPLITS[split] for split in kind) or "TOTAL"
        share = statistics.median(p.share for p in pairs) if pairs else None
        rows.append((name, len(pairs), sum(p.first.label != p.second.label for p in pairs), share))
    options = {"percent": [area], "digits": {area: 0}, "missing": DASH}
    if overlaps.capped:
        options["note"] = "Trop de paires proposées pour être toutes examinées : des minimums."
    return frame(("Splits", "Paires", "Deux étiquettes", area), rows, **options)


def pipeline(p: Pipeline) -> pd.DataFrame:
    """List what a batch is, and what was checked about the loaders; cells are text or verdicts."""
    labels = f"{shape(p.labels_shape)}, {p.labels_dtype}, {p.label_min} à {p.label_max}"
    used, batches = (
        ", ".join(f"{SPLITS[name]} {nombre(count)}" for name, count in counts.items())
        for counts in (p.used, p.batches)
    )
    rows = [
        ("Forme d’un lot d’entraînement", f"{shape(p.batch_shape)}, {p.batch_dtype}"),
        ("Étiquettes", labels),
        ("Images par époque", used),
        (f"Lots de {p.batch_size} par époque", batches),
        ("Valeurs observées (validation)", intervalle((p.value_min, p.value_max), 3, "")),
        ("Valeurs possibles", intervalle((p.possible_min, p.possible_max), 3, "")),
        ("Moyenne par canal (validation)", liste(p.value_mean, 3)),
        ("Écart-type par canal (validation)", liste(p.value_sd, 3)),
        ("Lot conforme à meta", p.facts()["coherent"]),
        ("Entraînement remélangé à chaque époque", p.reshuffled),
        ("Même graine, mêmes lots au bit près", p.repeatable),
        ("Ordre fixe en validation", p.fixed_order),
    ]
    return frame(("Contrôle", "Constat"), rows)


def baselines(b: Baselines) -> pd.DataFrame:
    """List the scores to beat; accuracies are fractions in [0, 1], missing where not measured."""
    rows = [
        ("Prédiction uniforme (valeur attendue)", b.uniform, b.uniform),
        (f"Classe majoritaire ({b.majority_class})", b.majority_validation, b.majority_test),
        ("Régression logistique, vignette 4 × 4", b.thumbnail_validation, None),
        ("Régression logistique, moyenne et écart-type par canal", b.color_validation, None),
    ]
    heads, digits = ["Validation", "Test"], {"Validation": 2, "Test": 2}
    return frame(("Référence", *heads), rows, percent=heads, digits=digits, missing=DASH)


def layers(arch: Architecture) -> pd.DataFrame:
    """List the layers in order; ``MAC``: multiply-accumulate operations for one image."""
    rows = []
    for one in arch.layers:
        place, _ = layer_place(one.name)
        place = place.split(",")[0] if one.kind == "MaxPool2d" else place
        detail = one.detail.replace("dilation", "dilatation")
        rows.append((place, one.kind, detail, shape(one.output_shape), one.parameters, one.macs))
    rows.append(("TOTAL", "", "", "", arch.parameters, sum(one.macs for one in arch.layers)))
    return frame(("Place", "Couche", "Détail", "Sortie", "Paramètres", "MAC"), rows)


def variants(arch: Architecture) -> pd.DataFrame:
    """List the networks of the grid: size, receptive field, work for one training image."""
    rows, own = [], (arch.blocks_per_stage, arch.dilation_stage3)
    for one in arch.variants:
        pair = (one.blocks_per_stage, one.dilation_stage3)
        size = (one.parameters, one.tensors, one.receptive_field, one.gflop)
        rows.append((*pair, *size, pair == own))
    columns = ("Blocs par étage", "Dilatation", "Paramètres", "Tenseurs", "Champ réceptif (px)")
    work = "GFLOP par image (entraînement)"
    return frame((*columns, work, "Décrit en 2.2"), rows, digits={work: 3})


def initial_loss(r: InitialLoss) -> pd.DataFrame:
    """List what the first batch gives, losses in nats; cells are text or verdicts."""
    facts = r.facts()
    repeated = f"{nombre(facts['mean'], 4)} ± {nombre(facts['sd'], 4)}"
    rows = [
        ("Lot d’images, logits", liste([shape(r.batch_shape), shape(r.logits_shape)])),
        ("Perte observée (nats)", nombre(r.loss, 4)),
        (f"Perte théorique, ln {r.classes} (nats)", nombre(r.theory, 4)),
        ("Perte attendue, demi-variance des logits comprise (nats)", nombre(facts["expected"], 4)),
        (f"Moyenne ± écart-type sur {len(r.losses)} initialisations (nats)", repeated),
        ("Norme du gradient", nombre(r.grad_norm, 3)),
        ("Tenseurs atteints par le gradient", f"{facts['reached']} / {facts['tensors']}"),
        ("Perte cohérente", facts["coherent"]),
    ]
    return frame(("Mesure", "Valeur"), rows)


def overfit(r: Overfit) -> pd.DataFrame:
    """List loss (nats) and accuracy every five epochs, the first and last included."""
    shown = sorted({1, len(r.losses), *range(STEP, len(r.losses), STEP)})
    rows = [(epoch, r.losses[epoch - 1], r.accuracies[epoch - 1]) for epoch in shown]
    columns, digits = ("Époque", "Perte (nats)", "Exactitude"), {"Perte (nats)": 4}
    return frame(columns, rows, digits=digits, percent=["Exactitude"])
