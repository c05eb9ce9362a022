"""The title page: date, banners, marks beside figures and tables, the run card."""

import json
import subprocess

import pytest
from settings import ROOT

from eurosat_lib.config import load_config
from eurosat_lib.files import revision, write_json, write_text
from eurosat_lib.report import title as page
from eurosat_lib.report.title import Title, departures

ORIGIN = {"device": "CPU", "precision": "bf16", "seconds": 60.0, "commit": "1c135ce0ab"}
ORIGIN |= {"python": "3.12.1", "torch": "2.9.0"}


def run(profile, root=ROOT, **changes):
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    return load_config(ROOT / "configs/config.yaml", profile, changed | {"paths.root": str(root)})


def test_what_a_profile_cuts_is_named_key_by_key():
    changed = departures(run("quick", train__max_epochs=3))
    assert changed["train.max_epochs"].replace("\xa0", " ") == "3 (protocole : 20)"
    assert changed["grid.train_limit"].replace("\xa0", " ") == "2\u202f500 (protocole : toutes)"
    assert changed["recipe.seeds"].startswith("aucune (protocole")
    assert departures(run("quick", train__lr=0.1))["train.lr"].endswith(": non fixé)")
    assert {*changed, *departures(run("standard"))} == {*page.NAMES}
    assert changed["model.channels"].startswith("[16, 32, 64] (protocole")
    assert not {"data.source", "profile", "seed"} & set(changed)
    assert departures(run("full", train__max_epochs=15)) == {}


@pytest.mark.parametrize(
    ("section", "name", "quick", "standard"),
    [
        ("1.1", "audit", False, False),
        ("5", "grid", True, True),
        ("6", "finalists", True, True),
        ("8", "recipe-steps", True, True),
        ("9", "metrics", True, False),
        ("9", "robustness-table", True, True),
        ("10", "", False, False),
    ],
)
def test_only_what_the_profile_touches_is_marked(section, name, quick, standard):
    for profile, touched in (("quick", quick), ("standard", standard), ("full", False)):
        title = Title("T", profile="x", departures=departures(run(profile)))
        assert title.mark(section, name) == "x" * touched
    assert Title("T", synthetic=True).mark(section) == "données synthétiques"


def test_the_card_tells_machines_and_commits_of_the_results(tmp_path, monkeypatch):
    other = {"device": "CPU, 2 threads", "commit": "2dd86e3959-dirty", "seconds": 3600}
    for name, data, origin in (
        ("explore_dataset", "8245e1cce6e88874eeff", {}),
        ("train", "8245e1cce6e88874eeff", other),
        ("evaluate_spatial", "other split", {}),
        ("grid_search", "another data set", {"device": "GPU of long ago"}),
    ):
        tree = {"scope": {"data": data}, "provenance": ORIGIN | origin}
        write_json(tmp_path / "artifacts" / "results" / f"{name}.json", tree)
    for name, origin in (("chosen_lr", {}), ("z", {"seconds": 60})):  # by hand; of an older shape
        tree = {"scope": {"data": "8245e1cce6e88874eeff"}, "provenance": origin}
        write_json(tmp_path / "artifacts" / "results" / f"{name}.json", tree)
    write_text(tmp_path / "artifacts" / "params.yaml", "max_epochs: 3\n")
    card = page.run_card(run("full", tmp_path), "eurosat-rgb", "standard")
    assert {label: text.replace("\xa0", " ") for label, text in card.items()} == {
        "Profil": "full",
        "Graine": "42",
        "Paramètres donnés": "max_epochs = 3",
        "Données": "eurosat-rgb",
        "Empreinte des images": "SHA-256 8245e1cce6e88874…",
        "Machine des calculs": "CPU, bf16 ; CPU, 2 fils de calcul, bf16 ; ?, ?",
        "Versions": "Python 3.12.1, PyTorch 2.9.0 ; Python ?, PyTorch ?",
        "Durée des calculs": "1 h 03 min (4 étapes)",
        "Code des calculs": "1c135ce0ab ; 2dd86e3959 (modifié) ; ?",
    }
    monkeypatch.setenv("FROZEN", "1")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    card = page.run_card(run("quick", tmp_path), "eurosat-rgb", "spatial")
    assert card["Découpage"] == "spatial" and "FROZEN=1" in card["Résultats"]
    write_text(tmp_path / "artifacts/results/train_recipe.json", "{}")
    again = page.run_card(run("quick", tmp_path), "eurosat-rgb", "spatial")
    told = ["recette" in one["Écarts au protocole"] for one in (card, again)]
    assert told == [False, True]


def test_the_same_run_has_the_same_title_on_any_day(tmp_path):
    paths = [tmp_path / f"{day}.ipynb" for day in ("2026-02-28", "2026-03-01")]
    for path in paths:
        end = {"papermill": {"end_time": f"{path.stem}T23:00:00+00:00"}}
        path.write_text(json.dumps({"metadata": end}))
    title = page.title_of(run("quick", data__source="synthetic", identity__author="Zoé"), paths)
    assert (title.date, title.author, title.synthetic) == ("1er mars 2026", "Zoé", True)


def test_what_is_left_to_fill_in_and_a_remote_without_credentials(tmp_path):
    config = run("full", tmp_path, identity__author="Zoé")
    assert page.to_complete(run("full", tmp_path)) == ["identity.author", "identity.repository"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    add = ["git", "-C", str(tmp_path), "remote", "add", "origin"]
    subprocess.run([*add, "https://token:secret@example.org/z.git"], check=True)
    assert page.repository(config) == "https://example.org/z.git"
    assert page.to_complete(config) == []
    write_text(tmp_path / "code.py", "1")
    subprocess.run([*add[:3], "add", "code.py"], check=True)
    own = ["-c", "user.name=Z", "-c", "user.email=z@example.org"]
    subprocess.run([*add[:3], *own, "commit", "-qm", "1"], check=True)
    write_text(tmp_path / "code.py", "2")
    assert revision(tmp_path).endswith("-dirty")
    subprocess.run([*add[:4], "set-url", "origin", "git@example.org:z.git"], check=True)
    assert page.repository(config) == ""
