"""Figures of notebook 07: confusions, scores, errors, explanations, calibration, two splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from eurosat_lib.calibration import Errors
from eurosat_lib.comparisons import ClassPair, SplitComparison
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.explain import Explanations, Robustness
from eurosat_lib.french import CORRUPTION_NAMES, THIN, intervalle, nombre, pct, plural, signe
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, DASHES, GREEN, INK, ORANGE, SMALL, SOFT, finish, styled
from eurosat_lib.stats import wilson

COLUMNS = 4  # worst errors in a row
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
    short = [style.break_name(name, 16) for name in names]
    ax.set_xticks(ax.get_xticks(), short, rotation=40, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.grid(False)
    ax.set(xlabel="classe prédite", ylabel="classe vraie")
    errors = evaluation.n - evaluation.correct
    pairs = ", ".join(f"{t} prise pour {p} ({n})" for t, p, n in evaluation.confusions()[:3])
    alt = f"{nombre(evaluation.correct)} images de test sur {nombre(evaluation.n)} bien classées"
    alt += f" ; {plural(errors, 'erreur')}, surtout : {pairs}." if errors else " : aucune erreur."
    return finish(fig, alt)


@styled
def per_class(evaluation: Evaluation) -> Figure:
    """Show F1 with its interval, precision and recall per class, the hardest class at the foot."""
    scores = sorted(evaluation.per_class, key=lambda s: -s.f1)
    rows, level = range(len(scores)), evaluation.confidence_level
    fig, ax = style.one_axes(0.3 * len(scores) + 1.1)
    f1, bounds = [s.f1 for s in scores], [s.interval("f1", level) for s in scores]
    look = {"fmt": "|", "ms": 11, "mew": 1.5, "color": "black", "ecolor": style.RULE}
    style.intervals(ax, rows, f1, bounds, **look, elinewidth=5, label=f"F1, à {pct(level, 0)}")
    for rank, (key, label) in enumerate({"recall": "rappel", "precision": "précision"}.items()):
        values = [getattr(s, key) for s in scores]
        ax.scatter(values, rows, s=26, label=label, zorder=3, **style.series(rank))
    macro = f"macro-F1 : {pct(evaluation.macro_f1)}"
    ax.axvline(evaluation.macro_f1, label=macro, **DASHES)
    style.categories(ax, [f"{s.name} ({nombre(s.support)})" for s in scores])
    ax.grid(True, axis="y")
    ax.set(ylabel="classe (images de test)", xlabel="score (%)")
    told = ", ".join(f"{s.name} {pct(s.f1)}" for s in scores)
    return finish(fig, f"F1 par classe : {told} ; {macro}.")


@styled
def worst_errors(config: Config, errors: Errors) -> Figure:
    """Show the most confident wrong predictions; suspected labels are marked among them."""
    if not errors.worst:
        fig, ax = style.one_axes(1.2)
        style.say(style.bare(ax), "aucune erreur sur le test")
        return finish(fig, "Aucune erreur : il n’y a pas d’image à montrer.")
    test, names = load_dataset(config).test, errors.classes
    images = [test.images[test.names.index(case.name)] for case in errors.worst]
    titles = [
        f"{names[c.truth]}\n→ {names[c.prediction]}, {_sure(c.confidence)}" for c in errors.worst
    ]
    doubtful = [case.doubtful for case in errors.worst]
    marks = [ORANGE if doubt and not all(doubtful) else "" for doubt in doubtful]
    fig = style.gallery(images, titles, COLUMNS, lines=2, marks=marks)
    if any(doubtful):
        which = "Toutes les images" if all(doubtful) else "En orange"
        fig.supxlabel(f"{which} : étiquette à vérifier à l’œil (cleanlab)", fontsize=SMALL)
    alt = "Images de test mal classées avec le plus de confiance (vrai → prédit, probabilité) : "
    return finish(fig, f"{alt}{' ; '.join(titles)}.")


def _sure(confidence: float) -> str:
    return f">{THIN}{pct(0.999)}" if confidence > 0.9995 else pct(confidence)


@styled
def grad_cam(config: Config, explanations: Explanations) -> Figure:
    """Show a right and a wrong validation image per class, beside the map of the prediction."""
    names, images = explanations.classes, load_dataset(config).validation.images
    cells = []  # image, title, colour
    for pair in zip(explanations.right, explanations.wrong, strict=True):
        for case, color in zip(pair, (GREEN, ORANGE), strict=True):
            if not case:
                cells += [(None, "aucune", ""), (None, "", "")]
                continue
            image, labels = images[case.index], dict.fromkeys((case.truth, case.prediction))
            title = "\n→ ".join(style.break_name(names[label]) for label in labels)
            cells.append((image, title, color))
            cells.append((_overlay(image, np.array(case.heat)), _sure(case.confidence), ""))
    shown, titles, marks = zip(*cells, strict=True)
    fig = style.gallery(shown, titles, 2 * COLUMNS, lines=3, marks=marks)
    facts = explanations.facts()
    alt = f"Par classe, l’image la plus sûre, bien ({facts['right']}) et mal ({facts['wrong']}) "
    alt += "classée, puis la carte de la classe prédite : claire là où l’indice est fort."
    fig.supxlabel("en vert : bien classée ; en orange : mal classée", fontsize=SMALL)
    return finish(fig, alt)


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
        filled = [b for b in found.bins if b.n]
        places, bounds = [b.confidence for b in filled], [b.interval(errors.level) for b in filled]
        top.plot((0, 1), (0, 1), **DASHES)
        style.intervals(top, places, [b.accuracy for b in filled], bounds, "y", color=color)
        top.set(xlim=(0, 1), ylim=(0, 1))
        fair = f"(si calibré : ≤ {pct(found.ece_calibrated)})"
        top.set_title(f"{name} : ECE {pct(found.ece)} {fair}")
        width, shares = 1 / len(found.bins), [b.n / errors.n for b in found.bins]
        centers = [b.low + width / 2 for b in found.bins]
        bottom.bar(centers, shares, 0.9 * width, color=color, alpha=0.35)
        bottom.set_xlabel("confiance (%)")
    axes[0, 0].set_ylabel("exactitude (%)")
    axes[1, 0].set_ylabel("images (%)")
    alt = f"Intervalles à {pct(errors.level, 0)} : l’ECE passe de {pct(errors.before.ece)} à "
    alt += f"{pct(errors.after.ece)} à la température {heat}."
    return finish(fig, alt)


@styled
def risk_coverage(errors: Errors) -> Figure:
    """Show the share of errors among the images kept, the least sure left out first."""
    curve = errors.selection
    fig, ax = style.one_axes(2.9)
    ax.plot(curve.coverage, curve.risk, color=BLUE, label="ordre de confiance")
    ax.plot(curve.coverage, curve.ideal, color=GREEN, ls="-.", lw=1.2, label="ordre idéal")
    ax.axhline(curve.error_rate, label="au hasard", **DASHES)
    share, risk = curve.kept / errors.n, curve.kept_errors / curve.kept
    low, high = curve.kept_interval(errors.level)
    kept = f"{pct(share, 0)} des images : {pct(risk)} d’erreurs"
    look = {"color": ORANGE, "capsize": 3, "label": kept}
    style.intervals(ax, [share], [risk], [(low, high)], "y", **look)
    ax.set(xlim=(0, 1), ylim=(0, 1.25 * max(curve.error_rate, high)))
    ax.set_xlabel("images gardées, les plus sûres d’abord (%)")
    ax.set_ylabel("erreurs parmi elles (%)")
    alt = f"{kept} {intervalle((low, high))}, contre {pct(curve.error_rate)} sur toutes ; "
    alt += f"AURC {nombre(curve.aurc, 4)}, idéale {nombre(curve.aurc_ideal, 4)}."
    return finish(fig, alt)


@styled
def robustness(found: Robustness) -> Figure:
    """Show accuracy with its interval per view, and per corruption and strength."""
    base, stable = found.correct / found.n, pct(found.stable / found.n)
    fig = style.new_figure(3.0)
    left, right = fig.subplots(1, 2, width_ratios=(1.15, 1))
    values, *bounds = zip(*(found.accuracy(trial) for trial in found.of("view")), strict=True)
    style.intervals(left, range(8), values, np.transpose(bounds), "y", color=BLUE)
    left.axhline(base, **DASHES)
    style.categories(left, [f"{90 * (place % 4)}°" for place in range(8)], "x")
    left.set_xlabel("rotation seule, puis miroir et rotation")
    left.set_ylabel("exactitude en validation (%)")
    left.set_title(f"{stable} : même réponse dans les huit vues")
    right.set_ylabel("exactitude en validation (%)")
    told = []
    for rank, (kind, name) in enumerate(CORRUPTION_NAMES.items()):
        values, low, high = zip(*(found.accuracy(trial) for trial in found.of(kind)), strict=True)
        look = style.series(rank)
        right.plot([base, *values], label=name, **look)
        right.fill_between(range(1, len(values) + 1), low, high, color=look["color"], alpha=0.12)
        told.append(f"{name} {pct(values[-1])}")
    style.categories(right, ("aucun", "faible", "moyen", "fort"), "x")
    right.set_xlabel("défaut")
    right.set_title(f"{nombre(found.n)} images, intervalles à {pct(found.level, 0)}")
    alt = f"{pct(base)} sur {plural(found.n, 'image')} telles quelles ; {stable} de même réponse "
    alt += f"dans les huit vues ; au défaut le plus fort : {', '.join(told)}."
    return finish(fig, alt)


@styled
def split_comparison(found: SplitComparison) -> Figure | None:
    """Show recall per class on both splits, and the drop with its interval, largest on top.

    The first row is the accuracy over all classes. ``None`` if there is no spatial split.
    """
    if found.absent:
        return None
    a, b, level = found.standard, found.spatial, found.confidence_level
    counts = {"n_standard": a.n, "hits_standard": a.correct, "n_spatial": b.n}
    pairs = sorted(found.complete, key=lambda p: -p.drop(found.class_level)[0])
    pairs = [ClassPair(name=ALL, hits_spatial=b.correct, **counts), *pairs]
    fig = style.new_figure(0.28 * len(pairs) + 1.25)
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    right.axvline(0, color=SOFT, lw=0.8)
    told = []
    for row, pair in enumerate(pairs):
        drop, bounds = pair.drop(found.class_level if row else level)
        color = SOFT if bounds[0] <= 0 <= bounds[1] else INK
        look = {"color": color, "mfc": "white" if color == SOFT else color}
        style.intervals(right, [row], [drop], [bounds], **look)
        told.append(f"{pair.name} {signe(drop)}")
    for rank, side in enumerate(("standard", "spatial")):
        hits, n = ([getattr(p, f"{k}_{side}") for p in pairs] for k in ("hits", "n"))
        bounds = [wilson(k, of, level) for k, of in zip(hits, n, strict=True)]
        look = {"fmt": "oD"[rank], "color": (BLUE, ORANGE)[rank], "label": side}
        places = np.arange(len(n)) - 0.13 + 0.26 * rank
        style.intervals(left, places, np.divide(hits, n), bounds, **look)
    for ax in (left, right):
        style.categories(ax, [pair.name for pair in pairs])
        ax.axhline(0.5, color=style.RULE, lw=0.8)
    left.set_xlabel(f"intervalle à {pct(level, 0)}, part reconnue (%)")
    right.set_xlabel("standard − spatial (points)")
    right.set_title("écart, intervalles simultanés")
    alt = f"Exactitude {pct(a.accuracy)} au test standard ({nombre(a.n)} images), "
    alt += f"{pct(b.accuracy)} au test spatial ({nombre(b.n)}) ; écarts : {', '.join(told)}."
    return finish(fig, alt)
