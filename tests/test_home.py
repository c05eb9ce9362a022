"""The landing page: where a run stands; what notebooks find; errors in French."""

import io
import json
import shutil
from pathlib import Path

import lxml.html
import pytest

from eurosat_lib import estimate, stages
from eurosat_lib.config import PARAMETERS, override
from eurosat_lib.errors import UserError, explained, in_french
from eurosat_lib.report import needs
from eurosat_lib.report.__main__ import main
from eurosat_lib.report.home import cells, prepare, status
from eurosat_lib.report.runner.console import Console
from eurosat_lib.report.runner.failures import NotebookFailed
from eurosat_lib.report.runner.plan import Request
from eurosat_lib.stages.choice import ChosenLR
from tests.conftest import ROOT


@pytest.fixture
def here(on_blobs, blobs, monkeypatch):
    """A tiny project with the real notebooks, on a machine of a known speed."""
    root = Path(on_blobs.paths.root)
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    (root / "reports").mkdir()
    monkeypatch.chdir(root / "reports")
    monkeypatch.setattr(estimate.work, "load_dataset", lambda config: blobs)
    monkeypatch.setattr(estimate.work, "seconds_per_image", lambda config, blocks: (1.0, 0.1))
    return on_blobs


def table(text):
    """Rows of a page's table: one list of cell texts each."""
    page = lxml.html.fromstring(f"<div>{text}</div>")
    cells = [row.xpath("./td") for row in page.xpath("//tbody/tr")]
    return page, [[" ".join(cell.itertext()) for cell in row] for row in cells]


def write(show, config):
    """What a cell would show, without IPython."""
    return show.__wrapped__(config)


def test_nothing_computed_yet_is_said_without_an_error(here):
    page, rows = table(write(cells.steps, here))
    assert len(rows) == 7 and all("○ à faire" in row[2] for row in rows)
    assert all(row[3] == "—" and ("≈" in row[4] or "instant" in row[4]) for row in rows)
    addresses = page.xpath("//tbody//a/@href")
    assert all((Path.cwd() / address).is_file() for address in addresses) and len(addresses) == 7
    assert "make report" in page.text_content()
    assert "Aucun run" in write(cells.runs, here)


def test_steps_follow_what_is_computed(here):
    stages.lr_finder(here)
    found = {step.path.stem: step for step in status.find_steps(here)}
    finder, grid = found["04_lr_finder"], found["05_grid"]
    assert finder.done == ("lr_finder",) and not finder.missing and finder.seconds == 0
    assert finder.when and finder.where.startswith("CPU")
    assert list(grid.missing.items()) == [("grid_search", "")] and grid.seconds > 0
    _, rows = table(write(cells.steps, here))
    assert "✓" in rows[3][2] and rows[3][4] == "—"
    partly = override(here, {"overfit.epochs": 5})
    stages.overfit_small(partly)
    _, rows = table(write(cells.steps, partly))
    assert "◐\u00a01 sur 5\u00a0étapes" in rows[2][2]
    assert "test_model" in rows[2][2] and "…" in rows[2][2]


def test_a_result_of_another_configuration_says_what_differs(here):
    stages.train(override(here, {"train.max_epochs": 1, "grid.epochs": 1}))
    (step,) = [s for s in status.find_steps(here) if s.path.stem == "06_train"]
    assert step.missing["train"] == "max_epochs = 1"  # and not the grid's, which it does not read
    quick = override(here, {"profile": "quick", "model.channels": [3, 5, 7]})
    (step,) = [s for s in status.find_steps(quick) if s.path.stem == "06_train"]
    assert step.missing["train"] == "profil full"
    assert "profil full" in write(cells.steps, quick)


def test_runs_have_their_headline_numbers(here):
    for name, lr in (("", 1e-2), ("slow", 3e-4)):
        config = override(here, {"paths.name": name, "train.lr": lr})
        stages.train(config)
        stages.evaluate(config)
    page, rows = table(write(cells.runs, here))
    assert [row[0] for row in rows] == ["sans nom", "slow"]
    assert "lr = 3\u202f×\u202f10" in rows[1][1]
    accuracy = json.loads((here.paths.artifacts / "slow/facts.json").read_text())["evaluate"]
    assert f"{100 * accuracy['accuracy']:.2f}".replace(".", ",") in rows[1][3]
    assert all((Path.cwd() / a).exists() for a in page.xpath("//a/@href"))


def test_wrong_input_is_a_line_of_french(here, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.publish_display_data", shown.append)
    monkeypatch.setattr(cells, "find_steps", lambda config: stages.evaluate(config))
    cells.steps(here)
    assert "exécuter d’abord le notebook 06_train" in shown[0]["text/html"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2, "un instant"),
        (27, "≈\u00a025\u00a0s"),
        (700, "≈\u00a012\u00a0min"),
        (7000, "1\u00a0h\u00a055\u00a0min"),
    ],
)
def test_estimates_are_no_finer_than_they_are(seconds, text):
    assert text in cells._about(seconds)


# --- the copy that make lab opens ---------------------------------------------------------------


def test_a_page_that_cannot_be_filled_is_opened_empty(here, monkeypatch):
    def fail(*args):
        raise NotebookFailed("the kernel died")

    monkeypatch.setattr(prepare, "execute", fail)
    stream = io.StringIO()
    page = prepare.prepare(Request(), Console(stream))
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
    found = stages.lr_finder(free)
    said = needs.describe(free, "05_grid")
    assert ("choisi par le notebook" if found.choice else "n’a pas pu choisir") in said
    stages.choose_lr(free, ChosenLR(lr=2e-3, rule="median", smoothing=0.9))
    assert "choisi à la main dans le notebook `04_lr_finder`" in needs.describe(free, "05_grid")
    other = override(free, {"profile": "quick"})
    assert "est du profil full" in needs.describe(other, "05_grid")


def test_notebooks_06_and_07_say_what_they_start_from(here):
    assert "La grille du notebook `05_grid` manque" in needs.describe(here, "06_train")
    assert "`06_train` le produit" in needs.describe(here, "07_eval")
    best = stages.grid_search(here).best.hyperparameters.name
    assert best in needs.describe(here, "06_train")
    stages.train(here)
    assert needs.describe(here, "07_eval") == (
        "Checkpoint du notebook `06_train`\u00a0: `artifacts/best.ckpt`."
    )
    given = override(here, {"evaluate.checkpoint": "other.ckpt"})
    assert "`other.ckpt`" in needs.describe(given, "07_eval")
    with pytest.raises(UserError, match="did you mean 07_eval"):
        needs.describe(here, "07_evl")


def test_the_evaluation_alone_trains_once(here):
    first = stages.train_if_missing(here)
    assert first.origin["lr"] == "fallback"
    assert stages.train_if_missing(here) is None
    assert stages.evaluate(here).hyperparameters == first.fit.hyperparameters
    given = override(here, {"evaluate.checkpoint": "other.ckpt", "paths.name": "given"})
    assert stages.train_if_missing(given) is None


# --- errors -------------------------------------------------------------------------------------


def test_a_notebook_shows_an_error_in_french_without_a_trace_back(here):
    from IPython.core.interactiveshell import InteractiveShell

    shown = []
    shell = InteractiveShell()
    shell._showtraceback = lambda kind, error, lines: shown.append((str(error), lines))
    shell.user_ns |= {"stages": stages, "config": here}
    shell.run_cell("stages.evaluate(config)")
    ((english, lines),) = shown
    assert english.endswith("notebook 06_train") and "no such checkpoint" in english
    assert lines[0].startswith("Le checkpoint artifacts/best.ckpt n’existe pas")
    assert len(lines) == 2 and lines[1] == f"Détail : {english}"


def test_a_checkpoint_of_another_configuration_is_explained(here):
    stages.train(here)
    with pytest.raises(UserError) as caught:
        stages.evaluate(override(here, {"model.channels": [3, 5, 7]}))
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
