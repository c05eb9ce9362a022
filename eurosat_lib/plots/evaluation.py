"""Figures of notebook 07: confusions, scores, errors, explanations, calibration, two splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat_lib.calibration import Errors
from eurosat_lib.comparisons import ClassPair, SplitComparison
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.explain import Explanation, Explanations, Robustness
from eurosat_lib.french import CORRUPTION_NAMES, THIN, intervalle, nombre, pct, plural, signe
from eurosat_lib.plots import style
from eurosat_lib.plots.style import BLUE, GREEN, INK, ORANGE, SMALL, SOFT, finish, note, styled
from eurosat_lib.stats import wilson

COLUMNS = 4  # worst errors in a row; a class's cells: right image, its map, wrong image, its map
ALL = "toutes les classes"


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
    return finish(fig, f"Matrice de confusion sur {plural(evaluation.n, 'image')} de test", alt)


@styled
def per_class(evaluation: Evaluation) -> Figure:
    """Show F1, precision and recall per class, the hardest class at the bottom."""
    scores = sorted(evaluation.per_class, key=lambda s: s.f1)
    rows, level = range(len(scores)), evaluation.confidence_level
    fig, ax = style.one_axes(0.3 * len(scores) + 1.0)
    bounds = np.array([s.interval("f1", level) for s in scores]).T
    ax.hlines(rows, *bounds, color=INK, lw=5, alpha=0.18)
    for key, marker, color, size, label in (
        ("precision", "^", ORANGE, 26, "précision"),
        ("recall", "o", BLUE, 26, "rappel"),
        ("f1", "|", "black", 130, f"F1, intervalle à {pct(level, 0)}"),
    ):
        values = [getattr(s, key) for s in scores]
        ax.scatter(values, rows, marker=marker, color=color, s=size, label=label, zorder=3)
    ax.axvline(evaluation.macro_f1, color=SOFT, ls="--", lw=1)
    macro = f"macro-F1 : {pct(evaluation.macro_f1)}"
    note(ax, evaluation.macro_f1, -0.75, f"{macro} ", ha="right")
    ax.set_yticks(rows, [f"{s.name} ({nombre(s.support)})" for s in scores])
    ax.set(ylim=(-1.1, len(scores) - 0.5), ylabel="classe (images de test)", xlabel="score (%)")
    style.percent(ax.xaxis)
    style.categories(ax)
    ax.grid(True, axis="y")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)
    told = ", ".join(f"{s.name} {pct(s.f1)}" for s in reversed(scores))
    return finish(fig, "Scores par classe sur le test", f"F1 par classe : {told} ; {macro}.")


@styled
def worst_errors(config: Config, errors: Errors) -> Figure:
    """Show the wrong predictions of highest confidence, at the source's resolution.

    Args:
        config: for the data.
        errors: its cases name the test images; those with a suspected label are marked.
    """
    title = "Les erreurs les plus sûres d’elles : vrai → prédit, probabilité"
    if not errors.worst:
        fig, ax = style.one_axes(1.2)
        style.say(style.bare(ax), "aucune erreur sur le test")
        return finish(fig, title, "Aucune erreur : il n’y a pas d’image à montrer.")
    test, names = load_dataset(config).test, errors.classes
    images = [test.images[test.names.index(case.name)] for case in errors.worst]
    titles = [
        f"{names[case.truth]}\n→ {names[case.prediction]}, {_sure(case.confidence)}"
        for case in errors.worst
    ]
    fig, axes = style.gallery(images, titles, COLUMNS, lines=2)
    marked = [ax for ax, case in zip(axes.flat, errors.worst, strict=False) if case.doubtful]
    everywhere = len(marked) == len(images)
    for ax in [] if everywhere else marked:
        ax.title.set_color(ORANGE)
        ax.spines[:].set(visible=True, color=ORANGE, linewidth=2)
    if marked:
        which = "toutes" if everywhere else "encadré"
        title += f"\n{which} : étiquette à vérifier à l’œil (cleanlab)"
    told = " ; ".join(titles).replace("\n", " ")
    return finish(fig, title, f"Images de test les plus sûrement mal classées : {told}.")


def _sure(confidence: float) -> str:
    return f">{THIN}{pct(0.999)}" if confidence > 0.9995 else pct(confidence)


@styled
def grad_cam(config: Config, explanations: Explanations) -> Figure:
    """Show a right and a wrong validation image per class, each beside its Grad-CAM map.

    Args:
        config: for the data.
        explanations: maps of the predicted class.
    """
    names, images = explanations.classes, load_dataset(config).validation.images
    rows = -(-len(names) // 2)
    fig = style.new_figure(rows * (style.WIDTH / 8.6 + 0.3) + 0.6)
    cells = fig.subplots(rows, 2 * COLUMNS, squeeze=False).reshape(-1, 2)
    fig.get_layout_engine().set(w_pad=0.015, wspace=0.01)
    for ax in cells.flat:
        style.bare(ax)
    for pair, case in zip(cells[::2], explanations.right, strict=False):
        _explained(pair, case, images, names, GREEN)
    for pair, case in zip(cells[1::2], explanations.wrong, strict=False):
        _explained(pair, case, images, names, ORANGE)
    facts = explanations.facts()
    alt = (
        f"Par classe, l’image de validation la plus sûre, bien ({facts['right']}) et mal "
        f"({facts['wrong']}) classée, suivie de sa carte Grad-CAM pour la classe prédite : clair "
        "là où l’indice est fort, sombre là où il est nul."
    )
    title = "Grad-CAM : image juste (vert) et fausse (orange) par classe, avec la carte"
    return finish(fig, title, alt)


def _explained(
    cells: np.ndarray, case: Explanation | None, images: np.ndarray, names: Sequence, color: str
) -> None:
    left, right = cells
    look = {"fontsize": SMALL, "loc": "left", "pad": 2}
    if not case:
        left.set_title("aucune", color=SOFT, **look)
        return
    image, size = images[case.index], images.shape[-1]
    style.show(left, image)
    guess = f"\n→ {names[case.prediction]}" if case.truth != case.prediction else ""
    left.set_title(names[case.truth] + guess, color=color, **look)
    extent = (-0.5, size - 0.5, size - 0.5, -0.5)
    right.imshow(image.mean(0), cmap="gray", extent=extent)
    heat = {"cmap": "inferno", "alpha": 0.6, "vmin": 0, "vmax": 1, "interpolation": "bilinear"}
    right.imshow(np.array(case.heat), extent=extent, **heat)
    place = {"transform": right.transAxes, "ha": "right", "va": "bottom"}
    box = {"facecolor": INK, "alpha": 0.75, "linewidth": 0, "pad": 1.2}
    note(right, 0.97, 0.04, _sure(case.confidence), "white", bbox=box, **place)


@styled
def reliability(errors: Errors) -> Figure:
    """Show accuracy against confidence, before and after temperature scaling."""
    fig = style.new_figure(3.9)
    axes = fig.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3, 1))
    heat = nombre(errors.temperature, 2)
    cases = (("avant", errors.before, ORANGE), (f"après, T = {heat}", errors.after, BLUE))
    for (top, bottom), (name, found, color) in zip(axes.T, cases, strict=True):
        filled = [b for b in found.bins if b.n]
        bounds = np.array([b.interval(errors.level) for b in filled]).T
        accuracy = np.array([b.accuracy for b in filled])
        top.plot((0, 1), (0, 1), color=SOFT, ls="--", lw=1)
        look = {"color": color, "fmt": "o", "ms": 4, "lw": 1.2}
        top.errorbar([b.confidence for b in filled], accuracy, abs(bounds - accuracy), **look)
        top.set(xlim=(0, 1), ylim=(0, 1))
        fair = f"(si calibré : ≤ {pct(found.ece_calibrated)})"
        top.set_title(f"{name} : ECE {pct(found.ece)} {fair}")
        width, shares = 1 / len(found.bins), [b.n / errors.n for b in found.bins]
        centers = [b.low + width / 2 for b in found.bins]
        bottom.bar(centers, shares, 0.9 * width, color=color, alpha=0.35)
        bottom.set_xlabel("confiance (%)")
        style.percent(bottom.xaxis, bottom.yaxis, top.yaxis)
    axes[0, 0].set_ylabel("exactitude (%)")
    axes[1, 0].set_ylabel("images (%)")
    alt = (
        f"Exactitude selon la confiance, intervalles à {pct(errors.level, 0)} : l’ECE passe de "
        f"{pct(errors.before.ece)} à {pct(errors.after.ece)} à la température {heat}."
    )
    return finish(fig, "Fiabilité de la confiance sur le test", alt)


@styled
def risk_coverage(errors: Errors) -> Figure:
    """Show the share of errors among the images kept, the least sure left out first."""
    curve = errors.selection
    fig, ax = style.one_axes(2.7)
    ax.plot(curve.coverage, curve.risk, color=BLUE, label="ordre de confiance")
    ax.plot(curve.coverage, curve.ideal, color=GREEN, ls="-.", lw=1.2, label="ordre idéal")
    ax.axhline(curve.error_rate, color=SOFT, ls="--", lw=1, label="au hasard")
    share, risk = curve.kept / errors.n, curve.kept_errors / curve.kept
    low, high = curve.kept_interval(errors.level)
    ax.errorbar([share], [risk], [[risk - low], [high - risk]], color=ORANGE, fmt="o", capsize=3)
    kept = f"{pct(share, 0)} des images : {pct(risk)} d’erreurs"
    note(ax, share, high, f"{kept}  \n", ORANGE, ha="right", va="bottom", linespacing=0.5)
    ax.set(xlim=(0, 1), ylim=(0, 1.25 * max(curve.error_rate, high)))
    ax.set_xlabel("images gardées, les plus sûres d’abord (%)")
    ax.set_ylabel("erreurs parmi elles (%)")
    style.percent(ax.xaxis, ax.yaxis)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)
    alt = (
        f"{kept} {intervalle((low, high))}, contre {pct(curve.error_rate)} sur toutes ; AURC "
        f"{nombre(curve.aurc, 4)}, idéale {nombre(curve.aurc_ideal, 4)}."
    )
    return finish(fig, "Risque selon la couverture, sur le test", alt)


@styled
def robustness(found: Robustness) -> Figure:
    """Show accuracy with its interval per view, and per corruption and strength."""
    base, stable = found.correct / found.n, pct(found.stable / found.n)
    fig = style.new_figure(3.1)
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    views = np.array([found.accuracy(trial) for trial in found.of("view")])
    for place, (value, low, high) in enumerate(views):
        look = {"color": BLUE if place else ORANGE, "fmt": "o"}
        left.errorbar([place], [value], [[value - low], [high - value]], **look)
    left.axhline(base, color=SOFT, ls="--", lw=1)
    left.set_xticks(range(8), [f"{90 * (place % 4)}°" for place in range(8)])
    style.categories(left, "x")
    left.set_xticks((1.5, 5.5), ("rotation seule", "miroir et rotation"), minor=True)
    left.tick_params(axis="x", which="minor", length=0, pad=16)
    left.set_title(f"{stable} : même réponse dans les huit vues")
    left.set_ylabel("exactitude sur validation (%)")
    style.percent(left.yaxis)
    told = []
    for rank, (kind, name) in enumerate(CORRUPTION_NAMES.items()):
        values, low, high = np.array([found.accuracy(trial) for trial in found.of(kind)]).T
        color = style.SERIES[rank]
        right.plot([base, *values], color=color, marker=style.MARKERS[rank], label=name)
        right.fill_between(range(1, len(values) + 1), low, high, color=color, alpha=0.12)
        told.append(f"{name} {pct(float(values[-1]))}")
    right.set_xticks(range(4), ["aucun", "faible", "moyen", "fort"])
    right.set_xlabel("défaut")
    right.legend(loc="lower left")
    right.set_title(f"{nombre(found.n)} images, intervalles à {pct(found.level, 0)}")
    alt = (
        f"Sur {plural(found.n, 'image')} de validation, {pct(base)} telles quelles ; {stable} "
        f"gardent la même réponse dans les huit vues ; à la plus grande force : {', '.join(told)}."
    )
    return finish(fig, "Exactitude selon l’orientation et les défauts de l’image", alt)


@styled
def split_comparison(found: SplitComparison) -> Figure | None:
    """Show recall per class on both splits, and the drop with its interval, largest on top.

    The first row is the accuracy over all classes. ``None`` if there is no spatial split.
    """
    if found.absent:
        return None
    a, b = found.standard, found.spatial
    pairs = sorted(found.complete, key=lambda p: p.drop(found.class_level)[0])
    counts = {"n_standard": a.n, "hits_standard": a.correct, "n_spatial": b.n}
    pairs.append(ClassPair(name=ALL, hits_spatial=b.correct, **counts))
    levels = [*[found.class_level] * (len(pairs) - 1), found.confidence_level]
    fig = style.new_figure(0.28 * len(pairs) + 1.25)
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    _recalls(left, pairs, found.confidence_level)
    right.axvline(0, color=SOFT, lw=0.8)
    drops = [pair.drop(level) for pair, level in zip(pairs, levels, strict=True)]
    for row, (drop, bounds) in enumerate(drops):
        color = SOFT if bounds[0] <= 0 <= bounds[1] else INK
        right.plot(bounds, (row, row), color=color, lw=1.4)
        right.plot(drop, row, "o", color=color, mfc="white" if color == SOFT else color, ms=5)
    right.set_xlabel("standard − spatial (points)")
    right.set_title("écart, intervalles simultanés", loc="right")
    right.xaxis.set_major_formatter(style.French(100))
    left.set_yticks(range(len(pairs)), [pair.name for pair in pairs])
    left.get_yticklabels()[-1].set_fontweight("bold")
    left.set_ylim(-0.6, len(pairs) - 0.4)
    for ax in (left, right):
        style.categories(ax)
        ax.axhline(len(pairs) - 1.5, color=style.RULE, lw=0.8)
    told = [f"{pair.name} {signe(drop)}" for pair, (drop, _) in zip(pairs, drops, strict=True)]
    alt = (
        f"Exactitude {pct(a.accuracy)} au test standard ({nombre(a.n)} images), {pct(b.accuracy)} "
        f"au test spatial ({nombre(b.n)} images) ; écarts, de haut en bas : "
        f"{', '.join(reversed(told))}."
    )
    return finish(fig, "Le même réseau, avec et sans voisines à l’entraînement", alt)


def _recalls(ax: Axes, pairs: Sequence[ClassPair], level: float) -> None:
    rows = np.arange(len(pairs))
    recalls = np.array([pair.recalls() for pair in pairs]).T
    ax.hlines(rows, *recalls, color=SOFT, lw=0.8, zorder=1)
    for side, values, color, marker, shift in (
        ("standard", recalls[0], BLUE, "o", 0.13),
        ("spatial", recalls[1], ORANGE, "D", -0.13),
    ):
        counts = [(getattr(p, f"hits_{side}"), getattr(p, f"n_{side}")) for p in pairs]
        bounds = np.array([wilson(hits, n, level) for hits, n in counts]).T
        ax.hlines(rows + shift, *bounds, color=color, lw=3, alpha=0.3)
        ax.scatter(values, rows, color=color, marker=marker, s=24, label=side, zorder=3)
    ax.set_xlabel(f"part reconnue (%), intervalle à {pct(level, 0)}")
    style.percent(ax.xaxis)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
