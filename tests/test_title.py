"""The title page: date, banners, marks beside figures and tables, the run card."""

import json
import subprocess
from pathlib import Path

import pytest

from eurosat_lib.config import load_config
from eurosat_lib.report.title import (
    Title,
    banners,
    departures,
    protocol_of,
    remote_address,
    run_card,
    title_of,
    to_complete,
)

CONFIG = Path(__file__).parents[1] / "configs" / "config.yaml"
ORIGIN = {"device": "CPU", "precision": "bf16", "seconds": 60.0, "commit": "1c135ce0ab"}
ORIGIN |= {"python": "3.12.1", "torch": "2.9.0"}


def run(profile, root=None, **changes):
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    if root:
        changed["paths.root"] = str(root)
    return load_config(CONFIG, profile, changed)


def warn(profile, **changes):
    text = " ".join(banners(run(profile, **changes), False))
    return text.replace("\u202f", " ").replace("\xa0", " ")


def marks(profile):
    config = run(profile)
    names = frozenset(departures(config, protocol_of(config)))
    return Title("T", profile=f"profil {profile}", departures=names).mark


def keep(root, name, scope=None, **origin):
    folder = root / "artifacts" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    tree = {"scope": {"data": "8245e1cce6e88874eeff"} | (scope or {})}
    tree |= {"provenance": ORIGIN | origin, "config": {}, "result": {}}
    (folder / f"{name}.json").write_text(json.dumps(tree))


def test_quick_names_all_that_it_cuts():
    text = warn("quick")
    assert text.startswith("**Profil rapide.**") and "pas celles du protocole complet" in text
    for phrase in (
        "images de 32 pixels de côté au lieu de 64",
        "étages de 16, 32 et 64 canaux au lieu de 64, 128 et 256",
        "entraînement final de 10 époques au lieu de 20",
        "essais de 3 époques sur 3 000 images au lieu de 5 époques sur toutes les images",
        "2 finalistes au lieu de 3",
        "entraînement final sur 1 graine au lieu de 5",
        "robustesse mesurée sur 1 000 images",
    ):
        assert phrase in text


def test_standard_keeps_the_network_and_the_final_training():
    text = warn("standard")
    assert "Images, réseau et entraînement final sont ceux du protocole complet" in text
    assert "1 graine au lieu de 3 sur le découpage spatial" in text
    assert "pas celles du protocole" not in text


def test_the_protocol_warns_of_nothing_whatever_it_was_given():
    assert warn("full") == "" == warn("full", train__max_epochs=15)


def test_the_values_are_those_of_the_run():
    assert "4 époques sur 3 000 images puis 3 époques" in warn("standard", grid__epochs=4)
    text = warn("standard", train__max_epochs=1, train__max_steps=1500)
    assert "entraînement final de 1 époque au lieu de 20" in text
    assert "entraînement final arrêté à 1 500 pas au plus" in text


@pytest.mark.parametrize(
    ("section", "name", "quick", "standard"),
    [
        ("1.1", "audit", False, False),
        ("1.4", "augmentation", True, False),
        ("2.2", "architecture", True, False),
        ("4", "lr-rules", True, False),
        ("5", "grid", True, True),
        ("6", "history", True, False),
        ("6", "finalists", True, True),
        ("7", "lr-curves", True, True),
        ("8", "refined", True, True),
        ("8", "recipe", True, False),
        ("8", "recipe-steps", True, True),
        ("9", "metrics", True, False),
        ("9", "finalists-on-test", True, True),
        ("9", "robustness-table", True, True),
        ("10", "", False, False),
        ("11", "durations", False, False),
    ],
)
def test_only_what_the_profile_touches_is_marked(section, name, quick, standard):
    assert bool(marks("quick")(section, name)) is quick
    assert bool(marks("standard")(section, name)) is standard
    assert marks("full")(section, name) == ""


def test_drawn_images_are_said_everywhere():
    assert Title("T", synthetic=True).mark("12") == "données synthétiques"
    assert banners(run("full"), True)[0].startswith("**Données synthétiques")


def test_the_card_tells_machines_and_commits_of_the_results(tmp_path):
    keep(tmp_path, "explore_dataset")
    keep(tmp_path, "train", device="CUDA H200", commit="2dd86e3959-dirty", seconds=3600)
    keep(tmp_path, "evaluate_spatial", {"data": "other split"})
    keep(tmp_path, "grid_search", {"data": "another data set"}, device="GPU of long ago")
    card = run_card(run("quick", tmp_path), "eurosat-rgb", "standard")
    assert card["Machine des calculs"] == "CPU, bf16 ; CUDA H200, bf16"
    assert card["Code des calculs"] == "commits 1c135ce0ab, 2dd86e3959 (modifié)"
    assert card["Durée des calculs"].replace("\xa0", " ").startswith("1 h 02 min (3 étapes)")
    assert card["Versions"] == "Python 3.12.1, PyTorch 2.9.0"
    assert card["Empreinte des images"] == "SHA-256 8245e1cce6e88874…"
    assert "Découpage" not in card and "Paramètres donnés" not in card


def test_parameters_are_named(tmp_path):
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "params.yaml").write_text("max_epochs: 3\n")
    assert run_card(run("full", tmp_path), "x", "spatial")["Paramètres donnés"] == (
        "max_epochs\xa0=\xa03"
    )


def test_the_same_run_has_the_same_title_on_any_day(tmp_path):
    config = run("full", tmp_path, data__source="synthetic", identity__author="Zoé Élan")
    paths = []
    for day in ("2026-02-28", "2026-03-01"):
        paths.append(tmp_path / f"{day}.ipynb")
        end = {"papermill": {"end_time": f"{day}T23:00:00+00:00"}}
        paths[-1].write_text(json.dumps({"metadata": end}))
    title = title_of(config, paths)
    assert (title.date, title.author) == ("1er mars 2026", "Zoé Élan")
    assert title.synthetic and "journal" not in title.colophon
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "journal.md").write_text("Le 3, l’entraînement a divergé.")
    assert "le journal de la section 10" in title_of(config, paths).colophon


def test_what_is_left_to_fill_in(tmp_path):
    assert to_complete(run("full", tmp_path)) == ["identity.author", "identity.repository"]
    filled = {"identity__author": "Zoé", "identity__repository": "https://example.org/z"}
    assert to_complete(run("full", tmp_path, **filled)) == []


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://token:secret@example.org/z.git", "https://example.org/z.git"),
        ("git@example.org:z.git", ""),
        (None, ""),
    ],
)
def test_the_remote_shows_no_credentials(tmp_path, remote, address):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if remote:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    assert remote_address(tmp_path) == address
