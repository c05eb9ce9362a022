"""The landing page: what is kept, the runs; what notebooks find; errors in French."""

import io
import json
import shutil
from pathlib import Path

import lxml.html
import pytest

from eurosat_lib import protocol
from eurosat_lib.config import PARAMETERS, override
from eurosat_lib.errors import UserError, explained, in_french
from eurosat_lib.protocol import ChosenLR
from eurosat_lib.report import home, needs
from eurosat_lib.report.__main__ import main
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.failures import NotebookFailed
from eurosat_lib.report.runner.plan import Request
from tests.conftest import ROOT


@pytest.fixture
def here(on_blobs, monkeypatch):
    """A tiny project with the real notebooks."""
    root = Path(on_blobs.paths.root)
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    (root / "reports").mkdir()
    monkeypatch.chdir(root / "reports")
    return on_blobs


@pytest.fixture
def shown(monkeypatch):
    """What was displayed last: its links, and its rows as lists of cell texts."""
    pages = []
    monkeypatch.setattr("IPython.display.display", lambda item: pages.append(item.data))

    def read():
        page = lxml.html.fromstring(pages[-1])
        cells = [row.xpath("./td") for row in page.xpath("//tbody/tr")]
        rows = [[" ".join(cell.itertext()) for cell in row] for row in cells]
        return page.xpath("//a/@href"), rows

    return read


def test_steps_follow_what_is_computed(here, shown):
    home.steps(here)
    links, rows = shown()
    assert len(rows) == 7 and all(row[1:] == ["à faire", "—"] for row in rows)
    assert all((Path.cwd() / link).is_file() for link in links) and len(links) == 7
    protocol.lr_finder(here)
    protocol.overfit_small(here)
    home.steps(here)
    _, rows = shown()
    assert rows[3][1] == "calculé" and "CPU" in rows[3][2]
    assert rows[2][1] == "1 sur 5\u00a0étapes" and rows[4][1] == "à faire"
    home.steps(override(here, {"profile": "quick"}))
    assert shown()[1][3][1] == "à faire"  # another experiment


def test_runs_have_their_headline_numbers(here, shown):
    home.runs(here)
    assert shown()[1] == []
    for name, lr in (("", 1e-2), ("slow", 3e-4)):
        config = override(here, {"paths.name": name, "train.lr": lr})
        protocol.train(config)
        protocol.evaluate(config)
    home.runs(here)
    links, rows = shown()
    assert [row[0] for row in rows] == ["sans nom", "slow"]
    assert "lr = 3\u202f×\u202f10" in rows[1][1]
    found = json.loads((here.paths.artifacts / "slow/facts.json").read_text())["evaluate"]
    assert f"{100 * found['accuracy']:.2f}".replace(".", ",") in rows[1][3]
    assert all((Path.cwd() / link).exists() for link in links)


# --- the copy that make lab opens ---------------------------------------------------------------


def test_a_page_that_cannot_be_filled_is_opened_empty(here, monkeypatch):
    def fail(*args):
        raise NotebookFailed("the kernel died")

    monkeypatch.setattr(home, "execute", fail)
    stream = io.StringIO()
    page = home.prepare(Request(), Console(stream))
    source = Path(here.paths.root, "notebooks/accueil.ipynb")
    assert page == Path(here.paths.root, "reports/accueil.ipynb")
    assert page.read_bytes() == source.read_bytes()
    assert "left empty: the kernel died" in stream.getvalue()
    assert [path.name for path in page.parent.iterdir()] == ["accueil.ipynb"]


def test_a_wrong_request_is_refused(here, capsys):
    assert main(["home", "--profile", "quik"]) == 2
    assert "did you mean quick?" in capsys.readouterr().err


# --- what notebooks find ------------------------------------------------------------------------


def test_notebook_05_says_where_its_rates_come_from(here):
    free = override(here, {"grid.lr": None})
    assert "notebook `04_lr_finder` manque" in needs.describe(free, "05_grid")
    assert "5\u202f×\u202f10⁻⁴" in needs.describe(free, "05_grid")
    assert "donnés à la main" in needs.describe(here, "05_grid")
    found = protocol.lr_finder(free)
    said = needs.describe(free, "05_grid")
    assert ("choisi par le notebook" if found.choice else "n’a pas pu choisir") in said
    protocol.choose_lr(free, ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    assert "choisi à la main dans le notebook `04_lr_finder`" in needs.describe(free, "05_grid")
    other = override(free, {"profile": "quick"})
    assert "est du profil full" in needs.describe(other, "05_grid")


def test_notebooks_06_and_07_say_what_they_start_from(here):
    assert "La grille du notebook `05_grid` manque" in needs.describe(here, "06_train")
    assert "`06_train` le produit" in needs.describe(here, "07_eval")
    best = protocol.grid_search(here).best.hyperparameters.name
    assert best in needs.describe(here, "06_train")
    protocol.train(here)
    assert needs.describe(here, "07_eval") == (
        "Checkpoint du notebook `06_train`\u00a0: `artifacts/best.ckpt`."
    )
    given = override(here, {"evaluate.checkpoint": "other.ckpt"})
    assert "`other.ckpt`" in needs.describe(given, "07_eval")
    with pytest.raises(UserError, match="did you mean 07_eval"):
        needs.describe(here, "07_evl")


def test_the_evaluation_alone_trains_once(here):
    first = protocol.train_if_missing(here)
    assert first.origin["lr"] == "fallback"
    assert protocol.train_if_missing(here) is None
    assert protocol.evaluate(here).hyperparameters == first.fit.hyperparameters
    given = override(here, {"evaluate.checkpoint": "other.ckpt", "paths.name": "given"})
    assert protocol.train_if_missing(given) is None


# --- errors -------------------------------------------------------------------------------------


def test_a_notebook_shows_an_error_in_french_without_a_trace_back(here):
    from IPython.core.interactiveshell import InteractiveShell

    shown = []
    shell = InteractiveShell()
    shell._showtraceback = lambda kind, error, lines: shown.append((str(error), lines))
    shell.user_ns |= {"protocol": protocol, "config": here}
    shell.run_cell("protocol.evaluate(config)")
    ((english, lines),) = shown
    assert english.endswith("notebook 06_train") and "no such checkpoint" in english
    assert lines[0].startswith("Le checkpoint artifacts/best.ckpt n’existe pas")
    assert len(lines) == 2 and lines[1] == f"Détail : {english}"


def test_a_checkpoint_of_another_configuration_is_explained(here):
    protocol.train(here)
    with pytest.raises(UserError) as caught:
        protocol.evaluate(override(here, {"model.channels": [3, 5, 7]}))
    assert "relancer le notebook 06_train" in caught.value.french
    assert "model.channels" in str(caught.value)


def test_the_french_line_of_the_raiser_is_kept():
    with pytest.raises(UserError) as caught, explained("dehors"), explained("dedans"):
        raise UserError("inside")
    assert (in_french(caught.value), str(caught.value)) == ("dedans", "inside")
    assert in_french(UserError("plain")) == "plain"
    assert "à corriger" in UserError("plain")._render_traceback_()[0]


# --- profiles -----------------------------------------------------------------------------------


def test_every_profile_is_named_wherever_they_are_listed(capsys):
    profiles = {path.stem for path in (ROOT / "configs/profiles").glob("*.yaml")}
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "README.md")]
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        (line,) = [s for s in path.read_text(encoding="utf-8").splitlines() if "profile: str" in s]
        texts.append(line)
    for command in ("build", "sweep", "home"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        texts.append(capsys.readouterr().out)
    assert profiles >= {"quick", "full", "standard"}
    assert all(profile in text for profile in profiles for text in texts)


def test_the_landing_notebook_takes_what_all_notebooks_take():
    from eurosat_lib.report.runner.parameters import read_notebook

    names = set(read_notebook(ROOT / "notebooks/accueil.ipynb").parameters)
    assert names == {"config_path", "profile", "data", "name"}
    assert names - {"config_path", "profile"} <= set(PARAMETERS)
