"""Figures of notebook 07: confusions, errors, explanations, calibration, two splits."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.figure import Figure
from scipy.ndimage import zoom

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import BINS, Errors, Evaluation
from eurosat_lib.explain import Explanations, Robustness
from eurosat_lib.french import CORRUPTIONS, THIN, nombre, pct, plural, signe
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, DASHES, ORANGE, SMALL, finish, styled
from eurosat_lib.stats import LEVEL, wilson
from eurosat_lib.trainings import SplitComparison

COLUMNS = {"errors": 6, "maps": 8}  # of galleries
HEAT = 0.6  # opacity of a map over its grey image


@styled
def confusion(evaluation: Evaluation) -> Figure:
    """Show the confusion matrix in images and per cent of the true class.

    Colours follow that share, in blue for hits and, on a scale of their own, orange for errors.
    """
    names = list(evaluation.classes)
    counts = pd.DataFrame(evaluation.confusion, index=names, columns=names)
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    text = (counts.map(nombre) + "\n" + shares.map(pct)).where(counts > 0, "")
    hits = np.eye(len(names), dtype=bool)
    worst = max(float(shares.mask(hits, 0).max().max()), 1e-9)
    fig, ax = style.subplots(5.0)
    look = {"annot": text, "fmt": "", "annot_kws": {"fontsize": SMALL}, "cbar": False}
    look |= {"linewidths": 0.8, "linecolor": "#eceff3", "vmin": 0, "ax": ax}
    sns.heatmap(shares, mask=~hits, cmap="Blues", vmax=1.15, **look)
    sns.heatmap(shares, mask=hits | (counts == 0), cmap="Oranges", vmax=1.3 * worst, **look)
    ax.set_xticks(ax.get_xticks(), names, rotation=40, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.grid(False)
    ax.set(xlabel="classe prédite", ylabel="classe vraie")
    errors = evaluation.n - evaluation.correct
    pairs = ", ".join(f"{t} prise pour {p} ({n})" for t, p, n in evaluation.confusions()[:3])
    alt = f"{nombre(evaluation.correct)} images de test sur {nombre(evaluation.n)} bien classées"
    alt += f" ; {plural(errors, 'erreur')}, surtout : {pairs}." if errors else " : aucune erreur."
    return finish(fig, alt)


@styled
def worst_errors(config: Config, errors: Errors) -> Figure:
    """Show the most confident wrong predictions."""
    test, images, titles = load_dataset(config).test, [], []
    for case in errors.worst:
        images.append(test.images[test.names.index(case["name"])])
        names = map(style.break_name, (case["truth"], case["prediction"]))
        titles.append("\n→ ".join(names) + f"\n{_sure(case['confidence'])}")
    fig = style.gallery(images or [None], titles or ["aucune erreur"], COLUMNS["errors"])
    alt = "Images de test mal classées avec le plus de confiance (vrai → prédit, probabilité) : "
    return finish(fig, f"{alt}{' ; '.join(titles) or 'aucune'}.")


def _sure(confidence: float) -> str:
    return f">{THIN}{pct(0.999)}" if confidence > 0.9995 else pct(confidence)


@styled
def grad_cam(config: Config, explanations: Explanations) -> Figure:
    """Show a right and a wrong validation image per class, beside the map of the prediction."""
    images, order = load_dataset(config).validation.images, explanations.classes.index
    shown, titles = [], []
    for case in sorted(explanations.cases, key=lambda case: order(case["truth"])):
        image, labels = images[case["index"]], dict.fromkeys((case["truth"], case["prediction"]))
        ratio, cells = image.shape[1] / len(case["heat"]), {"grid_mode": True, "mode": "nearest"}
        heat = zoom(case["heat"], ratio, order=1, **cells)
        glow = colormaps["inferno"](heat)[..., :3].transpose(2, 0, 1)
        shown += [image, (1 - HEAT) * image.mean(0) / 255 + HEAT * glow]
        titles += ["\n→ ".join(map(style.break_name, labels)), _sure(case["confidence"])]
    fig = style.gallery(shown, titles, COLUMNS["maps"])
    alt = f"{plural(len(explanations.cases), 'image')}, chacune puis la carte de la classe prédite"
    return finish(fig, f"{alt}, claire là où l’indice est fort.")


@styled
def reliability(errors: Errors) -> Figure:
    """Show accuracy against confidence, before and after temperature scaling."""
    fig, axes = style.subplots(3.9, 2, 2, sharex=True, sharey="row", height_ratios=(3, 1))
    heat = nombre(errors.temperature, 2)
    told = [pct(found["ece"]) for found in (errors.before, errors.after)]
    cases = (("avant", errors.before, ORANGE), (f"après, T = {heat}", errors.after, BLUE))
    for (top, bottom), ece, (name, found, color) in zip(axes.T, told, cases, strict=True):
        bins = pd.DataFrame(found["bins"])
        values, shares = bins["correct"] / bins["n"], bins["n"] / bins["n"].sum()
        bounds = [wilson(one["correct"], one["n"]) for one in found["bins"]]
        top.plot((0, 1), (0, 1), **DASHES)
        style.intervals(top, bins["confidence"], values, bounds, "y", color=color)
        top.set(xlim=(0, 1), ylim=(0, 1), title=f"{name} : ECE {ece}")
        bottom.bar((bins["place"] + 0.5) / BINS, shares, 0.9 / BINS, color=color, alpha=0.35)
        bottom.set_xlabel("confiance (%)")
    axes[0, 0].set_ylabel("exactitude (%)")
    axes[1, 0].set_ylabel("part des images (%)")
    alt = f"Intervalles à {pct(LEVEL, 0)} : l’ECE passe de {' à '.join(told)}"
    return finish(fig, f"{alt} à la température {heat}.")


@styled
def robustness(found: Robustness) -> Figure:
    """Show accuracy with its interval per view, and per corruption and strength."""
    base, stable = found.correct / found.n, pct(found.stable / found.n)
    table, ends = pd.DataFrame(found.trials).set_index("kind"), ["low", "high"]
    table["value"] = table["correct"] / found.n
    table[ends] = [wilson(count, found.n) for count in table["correct"]]
    fig, (left, right) = style.subplots(3.0, 1, 2, width_ratios=(1.15, 1))
    views, told, ylabel = table.loc["view"], [], "exactitude en validation (%)"
    style.intervals(left, views["rank"], views["value"], views[ends], "y", color=BLUE)
    left.axhline(base, **DASHES)
    style.categories(left, [f"{90 * (place % 4)}°" for place in range(8)], "x")
    left.set(title=f"{stable} : même réponse dans les huit vues", ylabel=ylabel)
    left.set_xlabel("rotation seule, puis miroir et rotation")
    for rank, (kind, name) in enumerate(CORRUPTIONS.items()):
        rows, look = table.loc[kind], style.series(rank)
        right.plot([base, *rows["value"]], label=name, **look)
        right.fill_between(rows["rank"] + 1, *rows[ends].T.values, color=look["color"], alpha=0.12)
        told.append(f"{name} {pct(rows['value'].iloc[-1])}")
    style.categories(right, ("aucun", "faible", "moyen", "fort"), "x")
    title = f"{nombre(found.n)} images, intervalles à {pct(LEVEL, 0)}"
    right.set(title=title, xlabel="défaut", ylabel=ylabel)
    alt = f"{pct(base)} sur {plural(found.n, 'image')} telles quelles ; {stable} de même réponse "
    alt += f"dans les huit vues ; au défaut le plus fort : {', '.join(told)}."
    return finish(fig, alt)


@styled
def split_comparison(found: SplitComparison) -> Figure | None:
    """Show each class's recall on both splits, the largest drop first; ``None`` without two."""
    if found.absent:
        return None
    change = pd.Series({name: -drop for name, (drop, _) in found.drops().items()})
    change = change.sort_values(kind="stable")
    fig, ax = style.subplots(0.28 * len(change) + 1.25)
    sides = (("standard", found.standard, BLUE), ("spatial", found.spatial, ORANGE))
    for place, (label, side, color) in zip((-0.13, 0.13), sides, strict=True):
        rows = pd.DataFrame(side.per_class).set_index("name").loc[change.index]
        places, bounds = np.arange(len(rows)) + place, [*rows["recall_interval"]]
        style.intervals(ax, places, rows["recall"], bounds, color=color, label=label)
    style.categories(ax, change.index)
    ax.set_xlabel(f"rappel, intervalle à {pct(LEVEL, 0)} (%)")
    told = ", ".join(f"{name} {signe(value)}" for name, value in change.items())
    return finish(fig, f"Écarts de rappel, spatial − standard : {told}.")
