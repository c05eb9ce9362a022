"""What library code says of its progress, in French for the reader of a notebook."""

from __future__ import annotations

import re

from eurosat_lib.french import FIXED, THIN

WORDS = {  # labels and units of the bars
    "Controls": "Contrôles",
    "Decoding the images": "Décodage des images",
    "Drawing the synthetic images": "Dessin des images synthétiques",
    "Finalists": "Finalistes",
    "Final training": "Entraînement final",
    "Final training, spatial split": "Entraînement final, découpage spatial",
    "Further seeds": "Autres graines",
    "Grid search": "Grille",
    "LR finder": "Balayage du LR",
    "Overfit": "Petit échantillon",
    "Refined grid search": "Grille resserrée",
    "Shuffled labels": "Étiquettes mélangées",
    "MB": "Mo",
    "draw": "tirages",
    "epoch": "époques",
    "step": "pas",
    "training": "entraînements",
}
SENTENCES = (  # pattern -> French, with its groups
    (r"Downloading (\S+) from (\S+)", r"Téléchargement de \1 depuis \2"),
    (r"going on after epoch (\d+) of (\d+)", r"Reprise après l’époque \1 sur \2."),
    (
        r"another process is at work on (\S+): waiting for it",
        rf"Un autre calcul s’occupe déjà de \1{FIXED}: attente de son résultat.",
    ),
    (
        r"(\S+) refused \((.*)\): training starts again",
        rf"\1 refusé (\2){FIXED}: l’entraînement recommence.",
    ),
    (r"epoch (\d+), val (\d+)\.(\d)%", rf"époque \1, val \2,\3{THIN}%"),
    (r"(\d+) of (\d+), epoch (\d+), val (\d+)\.(\d)%", rf"\1 sur \2, époque \3, val \4,\5{THIN}%"),
    (r"(\d+) of (\d+), val (\d+)\.(\d)%", rf"\1 sur \2, val \3,\4{THIN}%"),
    (r"val (\d+)\.(\d)%", rf"val \1,\2{THIN}%"),
    (r"loss (\d+)\.(\d+)", r"perte \1,\2"),
    (
        r"WARNING: using the built-in SYNTHETIC images.*",
        f"ATTENTION{FIXED}: images SYNTHÉTIQUES de démonstration, et non EuroSAT (EUROSAT_DATA "
        "n’est pas donné, et le Hub de Hugging Face est hors d’atteinte). Elles ne disent rien "
        "des images satellites. Donner à EUROSAT_DATA un dossier qui contient EuroSAT.",
    ),
)


def in_french(text: str) -> str:
    """Say a label, a unit, a note or an announcement; one that is not known stays as it is."""
    if known := WORDS.get(text):
        return known
    for english, french in SENTENCES:
        if found := re.fullmatch(english, text):
            return found.expand(french)
    return text
