"""Figures of the searches: what is drawn is what the results say."""

import pytest
from handmade import FINALISTS, GRID, TRAINING, trial
from matplotlib.text import Text
from test_search import CROSSED, grid_of

from eurosat_lib.errors import UserError
from eurosat_lib.plots import search as plots
from eurosat_lib.search import RefinedGrid
from eurosat_lib.tracking import write_runs


def texts(fig) -> str:
    return "\n".join(text.get_text() for text in fig.findobj(Text))


def dots(ax) -> list:
    return [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "o"]


def test_ranking_draws_the_scores_in_order():
    fig = plots.grid_ranking(GRID)
    ax = fig.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == [p.name for p in GRID.ranking]
    assert dots(ax) == [[pytest.approx(score)] for score in (0.75, 0.65, 0.4)]
    assert "75,0\u202f%" in texts(fig) and "× diverge à l’époque 1" in texts(fig)
    assert "une seule graine par point" in fig.get_label()


def test_heatmaps_hold_the_scores_and_frame_the_best():
    fig = plots.grid_heatmaps(GRID)
    values = [ax.collections[0].get_array().compressed().tolist() for ax in fig.axes]
    assert values == [pytest.approx([0.65, 0.4]), pytest.approx([0.75])]
    assert "2\u00a0blocs par étage, dilatation 2" in texts(fig) and "diverge" in texts(fig)
    assert [len(ax.patches) for ax in fig.axes] == [0, 1]


def test_refined_heatmap_shows_the_point_it_is_compared_with():
    trials = trial(d=3, values=(0.7,)), trial(lr=6e-4, d=3, values=(0.9,))
    fig = plots.refined_heatmap(grid_of(*trials, kind=RefinedGrid), GRID)
    assert "+15,0\u00a0points" in texts(fig)  # 0.9 against the grid's 0.75
    assert len(fig.axes[0].patches) == 2  # the best, and the grid's best
    same = plots.refined_heatmap(grid_of(trial(d=3), kind=RefinedGrid), TRAINING)
    assert len(same.axes[0].patches) == 1 and "retenu" in same.get_label()


def test_parallel_lines_end_at_their_scores():
    ax = plots.grid_parallel(GRID).axes[0]
    ends = sorted(line.get_ydata()[-1] for line in ax.lines if len(line.get_xdata()) == 3)
    assert ends == pytest.approx([0, 0.25 / 0.35, 1])  # lr, dilation, score; none for the diverged


def test_effects_show_the_pairs_and_the_rate_at_each_depth():
    fig = plots.grid_effects(CROSSED)
    labels = [text.get_text() for text in fig.axes[0].get_yticklabels()]
    assert len(labels) == 4 + 2 + 2 and labels[5].startswith("LR, B = 3")
    pairs = dots(fig.axes[1])
    assert pairs[5] == pytest.approx([-0.06, -0.09] * 2, abs=1e-9)
    assert "LR, B = 3" in fig.get_label() and "−7,5 [" in fig.get_label()
    assert texts(plots.grid_effects(GRID)).count("aucune paire") == 3 * 4


def test_finalists_by_seed():
    fig = plots.finalists(FINALISTS)
    ax = fig.axes[0]
    assert [list(line.get_xdata()) for line in ax.lines[1:3]] == [[0.76, 0.71], [0.78, 0.72]]
    assert "graine 45" in texts(fig) and "76,0\u202f% ± 2,0" in fig.get_label()


def test_curves_are_read_from_runs(tiny):
    with pytest.raises(UserError, match=r"runs/grid_search/lr1e-3_wd1e-5_D2_B2: no such run"):
        plots.grid_curves(GRID, tiny)
    write_runs(tiny.paths.runs / GRID.stage, GRID.tensorboard_runs())
    fig = plots.grid_curves(GRID, tiny)
    accuracy, other, loss = fig.axes[:3]
    assert accuracy.lines[1].get_ydata() == pytest.approx([0.2, 0.5, 0.3])
    assert loss.lines[0].get_ydata() == pytest.approx([0.5, 0.4, 0.3])
    assert len(other.lines) == 1  # its other trial diverged at once


def test_a_single_trial_can_be_drawn():
    for plot in (plots.grid_ranking, plots.grid_parallel, plots.grid_heatmaps, plots.grid_effects):
        assert plot(grid_of(trial(values=(0.5,)))).get_label()
