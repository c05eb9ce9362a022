"""Finalists: who they are, what their new seeds say, and that the stage resumes."""

import csv
import math

import numpy as np
import pytest
from handmade import FINALISTS, finalist, trial

from eurosat_lib import stages
from eurosat_lib.config import override
from eurosat_lib.errors import UserError
from eurosat_lib.grid import (
    Candidate,
    Finalist,
    Finalists,
    Grid,
    RefinedGrid,
    choose_finalists,
    mean_interval,
)
from eurosat_lib.stages import search
from eurosat_lib.stages.finalists import current_finalists, finalist_trials

FIRST, SECOND = FINALISTS.finalists


def test_leader_is_the_best_mean_over_new_seeds():
    assert FINALISTS.leader.hyperparameters.lr == 2e-3
    facts = FINALISTS.facts()
    assert facts["name"] == SECOND.again.name and facts["chosen_first"] == FIRST.again.name
    assert facts["leader_mean"] == pytest.approx(0.76)
    assert facts["leader_sd"] == pytest.approx(0.02)
    assert facts["shrinkage"] == pytest.approx((0.80 - 0.71 + 0.79 - 0.76) / 2)


def test_differences_are_paired_by_seed():
    lead, interval = FINALISTS.lead(FIRST)
    assert lead == pytest.approx(0.05)
    # differences 4, 5, 6 points: sd 1, t(2; 0.975) = 4.303
    assert interval == pytest.approx((0.05 - 4.3027 * 0.01 / math.sqrt(3), 0.0748), abs=1e-4)
    assert FINALISTS.beaten(FIRST) and FINALISTS.facts()["n_beaten"] == 1
    close = Finalists(finalists=(FIRST, finalist(2e-3, 0.79, 0.69, 0.74, 0.71)))
    assert close.facts()["n_beaten"] == 0


def test_level_holds_for_all_pairs():
    assert FINALISTS.level == pytest.approx(0.95)
    third = finalist(4e-3, 0.78, 0.70, 0.70, 0.70)
    assert Finalists(finalists=(FIRST, SECOND, third)).level == pytest.approx(1 - 0.05 / 3)


def test_lead_intervals_cover_whoever_leads():
    """Three equal finalists over four seeds: the leader seems better in 1 case of 20 at most."""
    rng, runs, level = np.random.default_rng(9), 800, 1 - 0.05 / 3
    wrong = 0
    for scores in rng.normal(size=(runs, 3, 4)):
        best = scores.mean(axis=1).argmax()
        others = [scores[best] - row for k, row in enumerate(scores) if k != best]
        wrong += any(mean_interval(d, level)[0] > 0 for d in others)
    assert wrong / runs <= 0.05 + 0.015


def test_diverged_finalist_comes_last():
    bad = trial(lr=4e-3, values=(), diverged="epoch 1: loss not finite")
    fits = (bad, *FIRST.again.fits[1:])
    lost = Finalist(
        origin="grid_search",
        selected=0.9,
        again=Candidate(hyperparameters=bad.hyperparameters, fits=fits),
    )
    assert Finalists(finalists=(lost, FIRST)).ranking[-1] == lost


def grid_of(kind, *trials, epochs=2):
    return kind(trials=trials, epochs=epochs, origin="config")


def test_best_of_each_search_then_the_next_without_twins():
    scores = {(1e-3, 1e-5): 0.8, (1e-3, 1e-4): 0.79, (2e-3, 1e-5): 0.78, (4e-3, 1e-5): 0.5}
    first = grid_of(Grid, *(trial(lr=lr, wd=wd, values=(v, v)) for (lr, wd), v in scores.items()))
    refined = grid_of(RefinedGrid, trial(lr=6e-4, values=(0.4, 0.4)))
    chosen = choose_finalists([first, refined], 3)
    assert [(s, p.hyperparameters.lr) for s, p in chosen] == [
        ("grid_search", 1e-3),
        ("grid_search", 2e-3),
        ("refined_grid_search", 6e-4),
    ]
    assert len(choose_finalists([first], 9)) == 3
    assert choose_finalists([], 3) == []


def test_searches_of_other_lengths_do_not_compare():
    first = grid_of(Grid, trial(values=(0.9, 0.9)))
    longer = grid_of(RefinedGrid, trial(lr=2e-3, values=(0.5, 0.5, 0.5)), epochs=3)
    assert [s for s, _ in choose_finalists([first, longer], 2)] == ["refined_grid_search"]


def test_stage_trains_new_seeds_and_resumes(on_blobs, monkeypatch):
    with pytest.raises(UserError, match="run grid_search first"):
        stages.compare_finalists(on_blobs)
    stages.grid_search(on_blobs)
    real, calls = search.fit, []

    def counted(config, dataset, plan, *args, **kwargs):
        calls.append((plan.hyperparameters.lr, config.seed))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(config, dataset, plan, *args, **kwargs)

    monkeypatch.setattr(search, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        stages.compare_finalists(on_blobs)
    result = stages.compare_finalists(on_blobs)
    assert len(calls) == 3 + 2  # four trainings, two of them kept
    assert {seed for _, seed in calls} == {43, 44}  # 42 chose them
    trained = stages.train(on_blobs)
    assert trained.origin["lr"] == "compare_finalists"
    assert trained.fit.hyperparameters == result.leader.hyperparameters
    runs = {path.name for path in (on_blobs.paths.runs / "compare_finalists").iterdir()}
    assert runs == {f"{f.again.name}_seed{s}" for f in result.finalists for s in (43, 44)}
    with open(on_blobs.paths.artifacts / "finalists.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 4


def test_finalists_of_another_search_do_not_count(on_blobs):
    stages.grid_search(on_blobs)
    found = stages.compare_finalists(on_blobs)
    assert current_finalists(on_blobs) == found
    stages.grid_search(override(on_blobs, {"grid.lr": [5e-3]}))
    assert current_finalists(on_blobs) is None
    assert stages.train(on_blobs).origin["lr"] == "grid_search"


def test_points_with_several_seeds(on_blobs):
    """Two seeds per point: averaged in the ranking, named in runs, not those of the finalists."""
    config = override(on_blobs, {"grid.seeds": 2, "grid.blocks_per_stage": [2]})
    result = stages.grid_search(config)
    assert len(result.trials) == 8 and len(result.ranking) == 4 and result.seeds == 2
    assert {fit.seed for fit in result.trials} == {42, 43}
    assert result.noise.source == "seeds"
    names = {path.name for path in (config.paths.runs / "grid_search").iterdir()}
    assert len(names) == 8 and all(name.endswith(("_seed42", "_seed43")) for name in names)
    assert {own.seed for own, _ in finalist_trials(config)} == {44, 45}
    assert stages.compare_curves(config).best == result.best.name
