"""Tables of notebook 01: splits, classes, transformations, batches."""

from __future__ import annotations

import pandas as pd

from eurosat_lib.config import Config
from eurosat_lib.data.audit import Audit
from eurosat_lib.data.pipeline import Pipeline
from eurosat_lib.french import intervalle, nombre, pct
from eurosat_lib.tables.audit import balance_note
from eurosat_lib.tables.frame import frame
from eurosat_lib.tables.words import SPLITS, shape


def splits(audit: Audit) -> pd.DataFrame:
    """List the splits: images, share, smallest and largest class; a last row adds them up.

    ``Part`` is a fraction in [0, 1].
    """
    total = sum(audit.sizes.values())
    everywhere = tuple(map(sum, zip(*audit.counts.values(), strict=True)))
    named = [(SPLITS[name], counts) for name, counts in audit.counts.items()]
    rows = [
        (
            name,
            sum(counts),
            sum(counts) / total,
            _extreme(audit.classes, counts, min),
            _extreme(audit.classes, counts, max),
        )
        for name, counts in [*named, ("TOTAL", everywhere)]
    ]
    columns = ("Split", "Images", "Part", "Classe la plus rare", "Classe la plus fréquente")
    return frame(columns, rows, percent=["Part"])


def classes(audit: Audit) -> pd.DataFrame:
    """List the images per class and split; a last row ``TOTAL`` adds them up.

    ``Part`` is the share of the whole set, a fraction in [0, 1].
    """
    names = list(audit.counts)
    counts = [audit.counts[name] for name in names]
    total = sum(map(sum, counts))
    rows = [
        (label, *per_split, sum(per_split), sum(per_split) / total)
        for label, *per_split in zip(audit.classes, *counts, strict=True)
    ]
    rows.append(("TOTAL", *map(sum, counts), total, 1.0))
    heads = [SPLITS[name].capitalize() for name in names]
    note = {"note": balance_note(audit.balance)} if audit.balance else {}
    return frame(("Classe", *heads, "Total", "Part"), rows, percent=["Part"], **note)


def preprocessing(config: Config) -> pd.DataFrame:
    """List the preprocessing steps in their order, with exact parameters."""
    size, values = config.data.image_size, config.preprocess
    rows = [
        (1, "Resize", f"({size}, {size}), bilinéaire, antialiasing", "même taille pour toutes"),
        (
            2,
            "ToTensor",
            "entiers 0–255 → réels, division par 255",
            "valeurs dans [0\u202f;\u00a01]",
        ),
        (
            3,
            "Normalize",
            f"moyenne = {_triple(values.mean)}, écart-type = {_triple(values.std)}",
            "canaux centrés, d’échelle comparable",
        ),
    ]
    return frame(("Ordre", "Opération", "Paramètres", "Effet"), rows)


def augmentation(config: Config) -> pd.DataFrame:
    """List the augmentations of the training images in their order, with exact parameters."""
    size, values = config.data.image_size, config.augment
    jitter = (
        f"{name} × [{nombre(1 - width)}\u202f;\u00a0{nombre(1 + width)}]"
        for name, width in (
            ("luminosité", values.brightness),
            ("contraste", values.contrast),
            ("saturation", values.saturation),
        )
    )
    padding = f"{values.crop_padding} pixels" if values.crop_padding > 1 else "1 pixel"
    crop = f"({size}, {size}) après ajout de {padding} de chaque côté, par répétition du bord"
    rows = [
        (1, "RandomCrop", crop, pct(1, 0)),
        (2, "RandomHorizontalFlip", "miroir gauche-droite", pct(values.flip_probability, 0)),
        (3, "ColorJitter", ", ".join(jitter) + ", teinte inchangée", pct(1, 0)),
    ]
    return frame(("Ordre", "Opération", "Paramètres", "Probabilité"), rows)


def pipeline(p: Pipeline) -> pd.DataFrame:
    """List what a batch is, and what was checked about the loaders; all cells are text."""
    batches = ", ".join(f"{SPLITS[name]} {nombre(count)}" for name, count in p.batches.items())
    used = ", ".join(f"{SPLITS[name]} {nombre(count)}" for name, count in p.used.items())
    rows = [
        ("Forme d’un lot d’entraînement", f"{shape(p.batch_shape)}, {p.batch_dtype}"),
        ('meta["input_shape"]', shape(p.input_shape)),
        ('meta["num_classes"]', str(p.num_classes)),
        (
            "Étiquettes",
            f"{shape(p.labels_shape)}, {p.labels_dtype}, {p.label_min} à {p.label_max}",
        ),
        ("Images par époque", used),
        (f"Lots de {p.batch_size} par époque", batches),
        ("Valeurs observées (validation)", intervalle((p.value_min, p.value_max), 3, "")),
        ("Valeurs possibles", intervalle((p.possible_min, p.possible_max), 3, "")),
        ("Moyenne par canal (validation)", _triple(p.value_mean, 3)),
        ("Écart-type par canal (validation)", _triple(p.value_sd, 3)),
        ("Lot conforme à meta", _yes(p.coherent)),
        ("Entraînement remélangé à chaque époque", _yes(p.reshuffled)),
        ("Même graine, mêmes lots au bit près", _yes(p.repeatable)),
        ("Ordre fixe en validation", _yes(p.fixed_order)),
    ]
    return frame(("Contrôle", "Constat"), rows)


def _extreme(names: tuple[str, ...], counts: tuple[int, ...], choose) -> str:
    wanted = choose(counts)
    found = [name for name, count in zip(names, counts, strict=True) if count == wanted]
    name = found[0] if len(found) == 1 else f"{len(found)} classes"
    return f"{name} ({nombre(wanted)})"


def _triple(values: tuple[float, ...], digits: int | None = None) -> str:
    return "(" + "\u202f;\u00a0".join(nombre(value, digits) for value in values) + ")"


def _yes(value: bool) -> str:
    return "oui" if value else "non"
