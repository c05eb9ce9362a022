"""What the report says of its profile: title page, tables, limits."""

from pathlib import Path

import pytest

from eurosat_lib.config import load_config
from eurosat_lib.report.meta import ReportMeta
from eurosat_lib.report.profiles import banners, profile_cuts

CONFIG = Path(__file__).parents[1] / "configs" / "config.yaml"


def warn(profile, **changes):
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    config = load_config(CONFIG, profile, changed)
    return " ".join(banners(profile, False, profile_cuts(config))).replace("\u202f", " ")


def test_quick_names_all_that_it_cuts():
    text = warn("quick")
    assert text.startswith("**Profil rapide.**") and "pas celles du protocole complet" in text
    for phrase in (
        "images de 32 pixels de côté au lieu de 64",
        "étages de 16, 32 et 64 canaux au lieu de 64, 128 et 256",
        "entraînement final de 10 époques au lieu de 20",
        "essais de 3 époques sur 3 000 images au lieu de 5 époques sur toutes les images",
        "2 finalistes au lieu de 3",
    ):
        assert phrase in text


def test_standard_cuts_the_searches_alone_and_says_how():
    text = warn("standard")
    assert text.startswith("**Profil standard.** Images, réseau et entraînement final sont ceux")
    assert "3 époques sur 3 000 images au lieu de 5 époques sur toutes les images" in text
    assert "débuts d’entraînement" in text and "pas celles du protocole" not in text


def test_full_warns_of_nothing():
    assert warn("full") == "" == warn("full", train__max_epochs=15)


def test_the_values_are_those_of_the_run():
    assert "4 époques sur 3 000 images puis 3 époques" in warn("standard", grid__epochs=4)
    text = warn("standard", train__max_epochs=1, train__max_steps=1500)
    assert "entraînement final de 1 époque au lieu de 20" in text
    assert "entraînement final arrêté à 1 500 pas au plus" in text
    assert "2 000 images d’entraînement" in warn("standard", data__train_limit=2000)
    same = {"grid__epochs": 5, "grid__train_limit": None, "refined_grid__epochs": 5}
    same |= {"refined_grid__train_limit": None, "finalists__count": 3}
    assert warn("standard", **same) == ""


@pytest.mark.parametrize(
    ("profile", "marker", "banner"),
    [
        ("quick", "profil rapide", "**Profil rapide.**"),
        ("standard", "profil standard", "**Profil standard.**"),
        ("full", "", None),
    ],
)
def test_title_page_and_tables_without_a_configuration(profile, marker, banner):
    meta = ReportMeta.of({"title": "T", "author": "A", "profile": profile})
    assert meta.marker == marker
    assert [text.partition(" Ces")[0] for text in meta.banners] == ([banner] if banner else [])
    drawn = ReportMeta.of({"title": "T", "author": "A", "profile": profile, "synthetic": True})
    assert drawn.marker.startswith("données synthétiques")
    assert drawn.banners[0].startswith("**Données synthétiques")
