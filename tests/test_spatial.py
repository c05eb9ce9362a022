"""The spatial split as a second number: statistics by hand, stages that keep to themselves."""

import csv
import json
from functools import cache

import fake_eurosat as fake
import numpy as np
import pytest
from handmade import CLASSES, EVALUATION

from eurosat_lib import estimate, plots, spatial, stages, tables
from eurosat_lib.__main__ import main
from eurosat_lib.config import load_config, override
from eurosat_lib.data import Source, lists
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Seeds, newcombe, wilson
from eurosat_lib.report.answers import context_of, render
from eurosat_lib.report.profiles import profile_cuts
from eurosat_lib.report.tables import to_html
from tests.conftest import ROOT, TINY
from tests.training_facts import make_evaluation


def evaluation(*rows, validation=(80, 100), **changes):
    """An evaluation whose confusion matrix has these rows; scores that follow from it."""
    correct = sum(row[i] for i, row in enumerate(rows))
    facts = {"correct": correct, "n": sum(map(sum, rows)), "confusion": rows}
    facts |= {"correct_validation": validation[0], "n_validation": validation[1]}
    return EVALUATION.model_copy(update=facts | changes)


FOLDER = Source("folder", "tuiles")
STANDARD = evaluation((95, 5, 0), (10, 180, 10), (0, 10, 90))
SPATIAL = evaluation((290, 10, 0), (30, 40, 30), (0, 5, 95))


def found(standard=STANDARD, other=SPATIAL, **given):
    return spatial.compare(standard, other, **({"common": 75, "epochs": 10} | given))


def say(name, *results, **extra):
    config = load_config(ROOT / "configs/config.yaml", extra.pop("profile", "quick"))
    settings = {"config": config.model_dump(), "cuts": profile_cuts(config)}
    run = (make_evaluation(),)
    seeds = (Seeds(runs=run, level=0.95), spatial.SpatialSeeds(runs=run, level=0.95))
    seeds = extra.pop("seeds", seeds)
    return render(name, context_of((*results, *seeds), settings | extra))


def test_a_difference_of_two_proportions_is_newcombe():
    bounds = [wilson(56, 70, 0.95), wilson(48, 80, 0.95)]
    value, (low, high) = spatial.combined((1, -1), (56 / 70, 48 / 80), bounds)
    assert value == pytest.approx(0.2)
    assert (low, high) == pytest.approx(newcombe(56, 70, 48, 80, 0.95))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)  # Newcombe 1998, table II


def test_a_sum_of_one_is_its_own_interval():
    assert spatial.combined((1,), (0.5,), [(0.3, 0.8)]) == (0.5, (0.3, 0.8))
    assert spatial.combined((-1,), (0.5,), [(0.3, 0.8)]) == (-0.5, (-0.8, -0.3))


def test_coverage_of_the_standardised_accuracy():
    """Over 2,000 draws the 95 % interval holds the truth 95 % of the time, ± 1.5."""
    weights, sizes, truth = (0.5, 0.3, 0.2), (300, 120, 60), (0.95, 0.8, 0.6)
    bounds_of = cache(lambda x, n: wilson(x, n, 0.95))
    draws = np.random.default_rng(0).binomial(sizes, truth, (2000, 3))
    expected = float(np.dot(weights, truth))
    held = 0
    for hits in draws.tolist():
        values = [x / n for x, n in zip(hits, sizes, strict=True)]
        bounds = [bounds_of(x, n) for x, n in zip(hits, sizes, strict=True)]
        low, high = spatial.combined(weights, values, bounds)[1]
        held += low <= expected <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_accuracies_gap_and_mix_by_hand():
    facts = found().facts()
    assert facts["standard"]["accuracy"] == 365 / 400
    assert facts["spatial"]["accuracy"] == 425 / 500
    assert facts["gap"] == pytest.approx(0.0625)
    assert (facts["gap_low"], facts["gap_high"]) == pytest.approx(
        newcombe(365, 400, 425, 500, 0.95)
    )
    # the standard mix is 1/4, 1/2, 1/4; the spatial recalls 290/300, 40/100, 95/100
    assert facts["adjusted"] == pytest.approx((290 / 300 + 95 / 100) / 4 + 0.4 / 2)
    assert facts["adjusted_gap"] == pytest.approx(365 / 400 - facts["adjusted"])
    assert facts["adjusted_low"] < facts["adjusted"] < facts["adjusted_high"]


def test_classes_are_judged_together():
    result = found()
    assert result.class_level == pytest.approx(1 - 0.05 / 3)
    assert result.facts()["lower"] == ["HerbaceousVegetation"]  # 90 % -> 40 %
    assert result.facts()["higher"] == []
    swapped = found(SPATIAL, STANDARD).facts()
    assert (swapped["lower"], swapped["higher"]) == ([], ["HerbaceousVegetation"])
    assert found(STANDARD, STANDARD).facts()["lower"] == []
    assert swapped["precisions"]["River"] == pytest.approx((95 / 125, 90 / 100))


def test_a_class_without_images_has_no_verdict_and_no_mix():
    result = found(other=evaluation((50, 0, 0), (20, 30, 0), (0, 0, 0)))
    assert result.adjusted() is None and "adjusted" not in result.facts()
    assert [pair.name for pair in result.complete] == list(CLASSES[:2])
    frame = tables.split_classes(result)
    assert frame.iloc[-1].tolist()[0::5] == ["River", "non comparable"]
    assert "Exactitude, au" not in to_html(tables.split_scores(result), "légende")
    assert "mélange de classes" not in say("S9.6", result)


def test_tables_say_what_the_comparison_says():
    result = found()
    scores = tables.split_scores(result).to_numpy().tolist()
    assert scores[0][1:] == ["91,25\u202f%", "85,00\u202f%", "+6,25\u00a0points"]
    classes = tables.split_classes(result)
    assert classes["Verdict"].tolist() == ["baisse", "indécis", "indécis"]
    assert classes["Classe"].tolist()[0] == "HerbaceousVegetation"
    for frame in (tables.split_scores(result), classes):
        assert "nan" not in to_html(frame, "légende", **frame.attrs)


def test_figure_shows_every_class_and_the_whole():
    figure = plots.split_comparison(found())
    left, right = figure.axes
    labels = [t.get_text() for t in left.get_yticklabels()]
    assert labels[-1] == "toutes les classes" and set(CLASSES) < set(labels)
    drops = [float(c.get_offsets()[0][0]) for c in right.collections if len(c.get_offsets()) == 1]
    assert drops[-1] == pytest.approx(0.0625) and drops[-2] == pytest.approx(0.5)
    assert "HerbaceousVegetation +50,0" in figure.get_label()


def test_without_further_seeds_there_is_no_table_of_them():
    run = make_evaluation()
    one = spatial.SpatialSeeds(runs=(run,), level=0.95)
    assert tables.spatial_seeds(one) is None
    assert tables.spatial_seeds(spatial.SpatialSeeds(runs=(), level=0.95)) is None
    two = spatial.SpatialSeeds(runs=(run, run.model_copy(update={"seed": 7})), level=0.95)
    frame = tables.spatial_seeds(two)
    assert frame.iloc[:, 0].tolist()[:2] == [str(run.seed), "7"] and "nan" not in frame.to_string()


def test_the_text_speaks_of_seeds_where_there_are_some():
    run = make_evaluation()
    several = Seeds(runs=(run, run.model_copy(update={"seed": 7})), level=0.95)
    text = say("S9.6", found(), seeds=(several, spatial.SpatialSeeds(**dict(several))))
    assert f"sur 2 graines ({run.seed} et 7), le score spatial" in text
    assert "le score standard" in text and "n’a eu qu’un" not in text
    assert "n’a eu qu’un entraînement" in say("S9.6", found())


@pytest.mark.parametrize("kind", ["disabled", "split", "synthetic", "lists"])
def test_without_a_spatial_split_the_report_says_why(kind):
    absent = spatial.SplitComparison(absent=kind, reason="because")
    assert plots.split_comparison(absent) is None
    assert tables.split_scores(absent) is None and tables.split_classes(absent) is None
    text = say("S9.6", absent)
    assert text.startswith("**Pas de second chiffre ici.**") and "%" not in text
    words = {"synthetic": "ni lieu ni voisines", "lists": "EUROSAT_SPLITS"}
    assert words.get(kind, "") in text


def test_the_text_follows_the_interval():
    lower = say("S9.6", found())
    assert "**ne vaut pas pour une autre région**" in lower and "même conclusion" in lower
    assert "HerbaceousVegetation (−50,0\u00a0points)" in lower and "profil `quick`" in lower
    for profile in ("standard", "full"):  # whole network and training: scores that compare
        assert "à ce profil" not in say("S9.6", found(), profile=profile)
    same = say("S9.6", found(STANDARD, STANDARD))
    assert "**pas de différence**" in same and "aucune baisse n’est établie" in same
    higher = say("S9.6", found(SPATIAL, STANDARD))
    assert "**plus facile**" in higher and "HerbaceousVegetation monte (+50,0" in higher
    other = say("S9.6", found(other=SPATIAL.model_copy(update={"seed": 7})))
    assert "Attention" in other and "Attention" not in lower


def test_the_mix_of_classes_may_change_the_conclusion():
    easy = evaluation((990, 10, 0), (40, 60, 0), (0, 10, 90))  # mostly the easy class
    assert "dépend donc du mélange" in say("S9.6", found(other=easy))


@pytest.mark.parametrize(
    ("pair", "test", "limits"),
    [
        ((STANDARD, SPATIAL), "le premier chiffre est trop optimiste", "perd 6,25"),
        ((STANDARD, STANDARD), "pas de différence décelable", "pas mesuré de baisse"),
        ((SPATIAL, STANDARD), "aucun signe que les voisines aident", "pas mesuré de baisse"),
    ],
)
def test_sections_9_and_10_take_the_second_number_up(pair, test, limits):
    evaluation = make_evaluation()
    assert test in say("M9", evaluation, found(*pair))
    assert limits in say("S10", evaluation, found(*pair), source=FOLDER)
    absent = spatial.SplitComparison(absent="lists")
    assert "sans voisines" not in say("M9", evaluation, absent)
    assert "optimiste pour une région" in say("S10", evaluation, absent, source=FOLDER)


# --- stages -------------------------------------------------------------------------------------


@pytest.fixture
def real(root, tmp_path, monkeypatch):
    """A tiny configuration on image files, and a folder of spatial lists."""
    monkeypatch.setattr(lists, "PUBLISHED", fake.write_spatial(tmp_path / "lists"))
    monkeypatch.setenv("EUROSAT_SPLITS", str(tmp_path / "lists"))
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    source = {"data.source": str(fake.write_images(tmp_path / "images"))}
    return load_config(root / "configs/config.yaml", "full", TINY | source)


def state(folder):
    return {
        p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and ".stages" not in str(p)
    }


def test_the_standard_run_is_left_alone(real):
    stages.train(real)
    stages.evaluate(real)
    before = state(real.paths.artifacts) | state(real.paths.runs)
    result = stages.compare_splits(real)
    after = state(real.paths.artifacts) | state(real.paths.runs)
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed <= {"facts.json", "test_openings.csv", "evaluate.json"}
    assert before[real.paths.artifacts / "best.ckpt"] == after[real.paths.artifacts / "best.ckpt"]
    new = {path.name for path in set(after) - set(before)}
    assert {"best_spatial.ckpt", "history_spatial.csv", "metrics_spatial.json"} <= new
    assert (real.paths.runs / "train_spatial").is_dir()
    assert result.facts()["same_training"] and result.epochs == TINY["train.max_epochs"]
    assert (result.standard.n, result.spatial.n) == (20, 20)


def test_each_opening_of_a_test_split_is_logged_once(real):
    stages.train(real)
    for _ in range(2):
        stages.compare_splits(real)
    with open(real.paths.artifacts / "test_openings.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["checkpoint"] for row in rows] == ["best.ckpt", "best_spatial.ckpt"]
    assert [row["role"] for row in rows] == ["final", "spatial"]


def test_a_log_of_an_older_form_is_gone_on_with(real):
    stages.train(real)
    path = real.paths.artifacts / "test_openings.csv"
    path.write_text("opened,checkpoint,sha256,images\n2026-01-01,best.ckpt,abc,20\n")
    stages.evaluate(real)
    first, second = path.read_text().splitlines()[1:]
    assert first.startswith("2026-01-01,,best.ckpt") and second.endswith(",20")
    assert second.split(",")[1] == "final"


def test_an_opening_noted_before_roles_were_is_given_its_role(real):
    stages.train(real)
    stages.evaluate(real)
    path = real.paths.artifacts / "test_openings.csv"
    new = path.read_text()
    path.write_text(new.replace(",role", "").replace(",final,", ","))
    stages.evaluate(real)
    assert path.read_text() == new


def test_what_was_of_other_images_is_withdrawn(real):
    """A run that leaves the real images keeps no spatial result; the cache does."""
    stages.train(real)
    stages.compare_splits(real)
    kept = list(real.paths.stages.glob("train_spatial-*/best.ckpt"))
    off = override(real, {"spatial.enabled": False})
    stages.train(off)
    stages.compare_splits(off)
    assert (real.paths.artifacts / "best_spatial.ckpt").is_file()  # of the same images still
    drawn = override(real, {"data.source": "synthetic", "data.synthetic_images": [30, 10, 20]})
    stages.train(drawn)
    stages.compare_splits(drawn)
    left = {p.name for p in real.paths.artifacts.rglob("*spatial*") if ".stages" not in str(p)}
    assert not left and not (real.paths.runs / "train_spatial").exists()
    facts = json.loads((real.paths.artifacts / "facts.json").read_text())
    assert "train_spatial" not in facts and "train" in facts
    assert kept and all(path.is_file() for path in kept)


def test_further_seeds_train_the_same_point_on_the_same_cut(real):
    stages.grid_search(real)
    chosen, first = stages.train(real).fit.hyperparameters, stages.compare_splits(real)
    alone = stages.evaluate_spatial_seeds(real)
    assert [run.seed for run in alone.runs] == [42] and not alone.several
    more = stages.evaluate_spatial_seeds(override(real, {"spatial.seeds": [42, 7]}))
    assert [run.seed for run in more.runs] == [42, 7]
    assert {run.hyperparameters for run in more.runs} == {chosen}
    assert more.runs[0].correct == first.spatial.correct
    point = {f"train.{name}": value for name, value in chosen.model_dump().items()}
    named = override(real, {"seed": 7, "paths.name": "seven", **point})
    stages.train(named)
    assert stages.evaluate_spatial(named).evaluation.loss == more.runs[1].loss
    with open(real.paths.artifacts / "test_openings.csv", encoding="utf-8", newline="") as file:
        roles = [row["role"] for row in csv.DictReader(file)]
    assert roles == ["final", "spatial", "spatial"]
    assert (real.paths.runs / "repeats" / "seed7_spatial").is_dir()


def test_without_lists_there_are_no_seeds_on_them(tiny):
    found = stages.evaluate_spatial_seeds(override(tiny, {"spatial.seeds": [7]}))
    assert found.facts() == {"seeds": [], "count": 0, "several": False}


def test_common_images_are_counted(real):
    stages.train(real)
    assert stages.compare_splits(real).common == 10  # the other ten were in validation


def test_it_costs_once_and_resumes(real, monkeypatch):
    from eurosat_lib.training import fit

    stages.train(real)
    train_epoch, epochs = fit.__globals__["train_epoch"], []

    def killed(*args, **kwargs):
        epochs.append(1)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return train_epoch(*args, **kwargs)

    monkeypatch.setitem(fit.__globals__, "train_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        stages.train_spatial(real)
    first = stages.compare_splits(real)
    assert len(epochs) == 3  # one kept, one killed, one left to do
    monkeypatch.setitem(fit.__globals__, "train_epoch", None)
    assert stages.compare_splits(real) == first


def test_hyperparameters_are_those_of_the_final_training(real):
    stages.grid_search(real)
    chosen = stages.train(real).fit.hyperparameters
    assert stages.train_spatial(real).fit.hyperparameters == chosen


def test_its_time_is_announced_where_there_is_a_split(real, tiny):
    names = ("train", "train_spatial", "evaluate_spatial")
    seconds = estimate.stage_seconds(real, names)
    assert seconds["train_spatial"] == pytest.approx(seconds["train"]) and seconds["train"] > 0
    assert seconds["evaluate_spatial"] > 0
    stages.train(real)
    stages.compare_splits(real)
    assert set(estimate.stage_seconds(real, names).values()) == {0.0}
    assert estimate.stage_seconds(tiny, names)["train_spatial"] == 0.0


def test_drawn_images_are_refused_by_name_and_left_out_of_the_report(tiny, capsys):
    with pytest.raises(UserError, match="no geography"):
        stages.train_spatial(tiny)
    stages.train(tiny)
    assert stages.compare_splits(tiny).absent == "synthetic"
    facts = json.loads((tiny.paths.artifacts / "facts.json").read_text())
    assert facts["compare_splits"]["available"] is False
    words = ["--config", f"{tiny.paths.root}/configs/config.yaml", "--data", "synthetic"]
    assert main(["train_spatial", *words, "--set", "data.synthetic_images=[96, 40, 40]"]) == 2
    assert "error: no spatial split beside the standard one" in capsys.readouterr().err
