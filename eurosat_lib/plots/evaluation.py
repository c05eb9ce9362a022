"""Figures of notebook 07: confusions, errors, explanations, calibration, two splits."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from eurosat_lib.comparisons import SplitComparison
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import BINS, Errors, Evaluation
from eurosat_lib.explain import Explanations, Robustness
from eurosat_lib.french import THIN, nombre, pct, plural, signe
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, DASHES, ORANGE, SMALL, finish, styled
from eurosat_lib.stats import wilson

COLUMNS = 4  # worst errors in a row
FAULTS = {"blur": "flou", "noise": "bruit", "jpeg": "JPEG", "haze": "brume"}
ALL = "toutes les classes"
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
    fig, ax = style.one_axes(5.0)
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
    if not errors.worst:
        fig, ax = style.one_axes(1.2)
        style.note(style.bare(ax), 0.5, 0.5, "aucune erreur sur le test", ha="center")
        return finish(fig, "Aucune erreur : il n’y a pas d’image à montrer.")
    test = load_dataset(config).test
    images = [test.images[test.names.index(case["name"])] for case in errors.worst]
    titles = [
        f"{case['truth']}\n→ {case['prediction']}, {_sure(case['confidence'])}"
        for case in errors.worst
    ]
    fig = style.gallery(images, titles, COLUMNS, lines=2)
    alt = "Images de test mal classées avec le plus de confiance (vrai → prédit, probabilité) : "
    return finish(fig, f"{alt}{' ; '.join(titles)}.")


def _sure(confidence: float) -> str:
    return f">{THIN}{pct(0.999)}" if confidence > 0.9995 else pct(confidence)


@styled
def grad_cam(config: Config, explanations: Explanations) -> Figure:
    """Show a right and a wrong validation image per class, beside the map of the prediction."""
    images = load_dataset(config).validation.images
    known = {(c["truth"], c["truth"] == c["prediction"]): c for c in explanations.cases}
    shown, titles = [], []
    for name, right in product(explanations.classes, (True, False)):
        if not (case := known.get((name, right))):
            shown, titles = [*shown, None, None], [*titles, "aucune", ""]
            continue
        image, labels = images[case["index"]], dict.fromkeys((name, case["prediction"]))
        shown += [image, _overlay(image, np.array(case["heat"]))]
        titles += ["\n→ ".join(map(style.break_name, labels)), _sure(case["confidence"])]
    fig = style.gallery(shown, titles, 2 * COLUMNS, lines=3)
    alt = "Par classe, l’image la plus sûre bien classée et la plus sûre mal classée, "
    alt += f"{plural(len(known), 'image')} en tout, puis la carte de la classe prédite : claire "
    return finish(fig, alt + "là où l’indice est fort.")


def _overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a map in [0, 1], (h, w), enlarged, over a grey image: (3, H, W), in [0, 1]."""
    small = Image.fromarray(heat.astype(np.float32))
    large = np.asarray(small.resize(image.shape[:0:-1], Image.Resampling.BILINEAR))
    colours = colormaps["inferno"](large)[..., :3].transpose(2, 0, 1)
    return (1 - HEAT) * image.mean(0) / 255 + HEAT * colours


@styled
def reliability(errors: Errors) -> Figure:
    """Show accuracy against confidence, before and after temperature scaling."""
    fig = style.new_figure(3.9)
    axes = fig.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3, 1))
    heat = nombre(errors.temperature, 2)
    cases = (("avant", errors.before, ORANGE), (f"après, T = {heat}", errors.after, BLUE))
    for (top, bottom), (name, found, color) in zip(axes.T, cases, strict=True):
        bins = pd.DataFrame(found.bins)
        bounds = [wilson(b["correct"], b["n"], errors.level) for b in found.bins]
        top.plot((0, 1), (0, 1), **DASHES)
        style.intervals(
            top, bins["confidence"], bins["correct"] / bins["n"], bounds, "y", color=color
        )
        top.set(xlim=(0, 1), ylim=(0, 1), title=f"{name} : ECE {pct(found.ece)}")
        centers = (bins["place"] + 0.5) / BINS
        bottom.bar(centers, bins["n"] / bins["n"].sum(), 0.9 / BINS, color=color, alpha=0.35)
        bottom.set_xlabel("confiance (%)")
    axes[0, 0].set_ylabel("exactitude (%)")
    axes[1, 0].set_ylabel("images (%)")
    alt = f"Intervalles à {pct(errors.level, 0)} : l’ECE passe de {pct(errors.before.ece)} à "
    return finish(fig, f"{alt}{pct(errors.after.ece)} à la température {heat}.")


@styled
def robustness(found: Robustness) -> Figure:
    """Show accuracy with its interval per view, and per corruption and strength."""
    base, stable = found.correct / found.n, pct(found.stable / found.n)
    table = pd.DataFrame(found.trials)
    table["value"] = table["correct"] / found.n
    table["bounds"] = [wilson(count, found.n, found.level) for count in table["correct"]]
    fig, told = style.new_figure(3.0), []
    left, right = fig.subplots(1, 2, width_ratios=(1.15, 1))
    views = table[table["kind"] == "view"]
    style.intervals(left, views["rank"], views["value"], [*views["bounds"]], "y", color=BLUE)
    left.axhline(base, **DASHES)
    style.categories(left, [f"{90 * (place % 4)}°" for place in range(8)], "x")
    left.set_title(f"{stable} : même réponse dans les huit vues")
    left.set_xlabel("rotation seule, puis miroir et rotation")
    for rank, (kind, name) in enumerate(FAULTS.items()):
        faults, look = table[table["kind"] == kind], style.series(rank)
        right.plot([base, *faults["value"]], label=name, **look)
        low, high = np.transpose([*faults["bounds"]])
        right.fill_between(range(1, len(low) + 1), low, high, color=look["color"], alpha=0.12)
        told.append(f"{name} {pct(faults['value'].iloc[-1])}")
    style.categories(right, ("aucun", "faible", "moyen", "fort"), "x")
    right.set_title(f"{nombre(found.n)} images, intervalles à {pct(found.level, 0)}")
    right.set_xlabel("défaut")
    for ax in (left, right):
        ax.set_ylabel("exactitude en validation (%)")
    alt = f"{pct(base)} sur {plural(found.n, 'image')} telles quelles ; {stable} de même réponse "
    alt += f"dans les huit vues ; au défaut le plus fort : {', '.join(told)}."
    return finish(fig, alt)


@styled
def split_comparison(found: SplitComparison) -> Figure | None:
    """Show accuracy, then recall per class, on both splits; the largest drop first.

    ``None`` if there is no spatial split.
    """
    if found.absent:
        return None
    a, b, level = found.standard, found.spatial, found.confidence_level
    both = zip(a.per_class, b.per_class, strict=True)
    pairs = [(one, other) for one, other in both if one.support and other.support]
    pairs.sort(key=lambda pair: pair[1].recall - pair[0].recall)
    names = [ALL, *(one.name for one, _ in pairs)]
    fig, ax = style.one_axes(0.28 * len(names) + 1.25)
    for rank, (side, whole) in enumerate((("standard", a), ("spatial", b))):
        counts = [(pair[rank].hits, pair[rank].support) for pair in pairs]
        counts.insert(0, (whole.correct, whole.n))
        bounds = [wilson(hits, n, level) for hits, n in counts]
        places = np.arange(len(names)) - 0.13 + 0.26 * rank
        look = {"fmt": "oD"[rank], "color": (BLUE, ORANGE)[rank], "label": side}
        style.intervals(ax, places, [hits / n for hits, n in counts], bounds, **look)
    style.categories(ax, names)
    ax.axhline(0.5, color=style.RULE, lw=0.8)
    ax.set_xlabel(f"intervalle à {pct(level, 0)}, part des images reconnues (%)")
    told = ", ".join(f"{one.name} {signe(other.recall - one.recall)}" for one, other in pairs)
    alt = f"Exactitude {pct(a.accuracy)} sur le test standard ({nombre(a.n)} images), "
    alt += f"{pct(b.accuracy)} sur le test spatial ({nombre(b.n)}) ; écarts spatial − standard"
    return finish(fig, f"{alt} : {told}.")
