"""The title page: date, banners, marks beside figures and tables, the run card."""

import json
import subprocess
from pathlib import Path

import pytest

from eurosat_lib.config import load_config
from eurosat_lib.report.title import (
    Title,
    departures,
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
    return load_config(CONFIG, profile, changed | ({"paths.root": str(root)} if root else {}))


def keep(root, name, scope=None, **origin):
    folder = root / "artifacts" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    tree = {"scope": {"data": "8245e1cce6e88874eeff"} | (scope or {})}
    tree |= {"provenance": ORIGIN | origin, "config": {}, "result": {}}
    (folder / f"{name}.json").write_text(json.dumps(tree))


def test_what_a_profile_cuts_is_named_key_by_key():
    config = run("quick", train__max_epochs=3)
    changed = departures(config)
    assert changed["train.max_epochs"].replace("\xa0", " ") == "3 (protocole : 20)"
    assert changed["model.channels"].startswith("[16, 32, 64] (protocole")
    assert not {"data.source", "profile"} & set(changed)
    assert changed["grid.train_limit"].replace("\xa0", " ") == "3000 (protocole : toutes)"
    card = run_card(config, "", "standard")["Écarts au protocole"]
    assert "grid.epochs\xa0: 3 (" in card and "recipe." not in card  # no recipe was trained
    assert departures(run("full", train__max_epochs=15)) == {}


@pytest.mark.parametrize(
    ("section", "name", "quick", "standard"),
    [
        ("1.1", "audit", False, False),
        ("1.4", "augmentation", True, False),
        ("2.2", "architecture", True, False),
        ("5", "grid", True, True),
        ("6", "history", True, False),
        ("6", "finalists", True, True),
        ("8", "recipe-steps", True, True),
        ("9", "metrics", True, False),
        ("9", "robustness-table", True, True),
        ("10", "", False, False),
    ],
)
def test_only_what_the_profile_touches_is_marked(section, name, quick, standard):
    for profile, touched in (("quick", quick), ("standard", standard), ("full", False)):
        keys = frozenset(departures(run(profile)))
        assert Title("T", profile="x", departures=keys).mark(section, name) == "x" * touched
    assert Title("T", synthetic=True).mark(section) == "données synthétiques"


def test_the_card_tells_machines_and_commits_of_the_results(tmp_path):
    keep(tmp_path, "explore_dataset")
    keep(tmp_path, "train", device="CPU, 2 threads", commit="2dd86e3959-dirty", seconds=3600)
    keep(tmp_path, "evaluate_spatial", {"data": "other split"})
    keep(tmp_path, "grid_search", {"data": "another data set"}, device="GPU of long ago")
    (tmp_path / "artifacts" / "params.yaml").write_text("max_epochs: 3\n")
    card = run_card(run("full", tmp_path), "eurosat-rgb", "standard")
    assert {label: text.replace("\xa0", " ") for label, text in card.items()} == {
        "Profil": "full",
        "Graine": "42",
        "Paramètres donnés": "max_epochs = 3",
        "Données": "eurosat-rgb",
        "Empreinte des images": "SHA-256 8245e1cce6e88874…",
        "Machine des calculs": "CPU, bf16 ; CPU, 2 fils de calcul, bf16",
        "Versions": "Python 3.12.1, PyTorch 2.9.0",
        "Durée des calculs": "1 h 02 min (3 étapes)",
        "Code des calculs": "commits 1c135ce0ab, 2dd86e3959 (modifié)",
    }


def test_the_same_run_has_the_same_title_on_any_day(tmp_path):
    config = run("quick", CONFIG.parents[1], data__source="synthetic", identity__author="Zoé Élan")
    paths = []
    for day in ("2026-02-28", "2026-03-01"):
        paths.append(tmp_path / f"{day}.ipynb")
        end = {"papermill": {"end_time": f"{day}T23:00:00+00:00"}}
        paths[-1].write_text(json.dumps({"metadata": end}))
    title = title_of(config, paths)
    assert (title.date, title.author, title.synthetic) == ("1er mars 2026", "Zoé Élan", True)
    assert title.profile == "profil rapide" and "train.max_epochs" in title.departures


def test_what_is_left_to_fill_in(tmp_path):
    assert to_complete(run("full", tmp_path)) == ["identity.author", "identity.repository"]
    filled = {"identity__author": "Zoé", "identity__repository": "https://example.org/z"}
    assert to_complete(run("full", tmp_path, **filled)) == []


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://token:secret@example.org/z.git", "https://example.org/z.git"),
        ("git@example.org:z.git", ""),
    ],
)
def test_the_remote_shows_no_credentials(tmp_path, remote, address):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert remote_address(tmp_path) == ""
    subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    assert remote_address(tmp_path) == address
