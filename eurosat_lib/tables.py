"""Every table of the report: a DataFrame with French headings.

Numbers stay numbers where a column is of one kind; ``attrs`` holds what ``report.table`` needs to
write them: ``table(frame, "légende", **frame.attrs)``. A missing result gives no table: ``None``.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from eurosat_lib import french, search
from eurosat_lib.audit import FAINT, SATURATED, Audit, Overlaps
from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import Architecture
from eurosat_lib.comparisons import Recipes, Seeds, SplitComparison
from eurosat_lib.config import Config
from eurosat_lib.evaluation import Errors, Evaluation
from eurosat_lib.files import read_csv
from eurosat_lib.fits import Ablation
from eurosat_lib.french import (
    duree,
    factor_value,
    in_points,
    interval,
    intervalle,
    liste,
    nombre,
    pct,
    plural,
    power,
    shape,
    signe,
    typeset,
)
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.stats import summarise_seeds, wilson

DASH = "—"
MEAN = "moyenne ± écart-type (n = {})"  # row of several seeds
DIGITS = 12  # of a SHA-256: enough to tell files apart
ROLES = {  # of a tested checkpoint
    "final": "entraînement final",
    "given": "checkpoint donné",
    "seed": "autre graine",
    "spatial": "découpage spatial",
    "recipe": "recette",
}


def frame(columns: Iterable[str], rows: Iterable[Sequence], **options: Any) -> pd.DataFrame:
    """Build a table; ``report.table`` finds its options in ``attrs``."""
    table = pd.DataFrame(list(rows), columns=list(columns))
    table.attrs = options
    return table


def interval_at(level: float) -> str:
    """Name the column or row of the intervals at a level."""
    return f"Intervalle à {pct(level, 0)}"


def mean_and_spread(values: Sequence[float], level: float) -> tuple[str, str]:
    """Write mean ± standard deviation of one share per seed, and the interval of the mean."""
    found = summarise_seeds(values, level)
    bounds = DASH if found["low"] is None else intervalle((found["low"], found["high"]), 2)
    return f"{pct(found['mean'], 2)} ± {nombre(100 * found['sd'], 2)}", bounds


def findings(audit: Audit, overlaps: Overlaps) -> pd.DataFrame:
    """List what was looked for, how often it is there (share of all images), what follows."""
    total, side, shared = sum(audit.sizes.values()), audit.image_shape[1], overlaps.facts()
    reach = f"{pct(shared['test_images'] / max(audit.sizes['test'], 1), 2)} du test"
    faint = f"Presque unie (écart-type < {nombre(FAINT)} sur 255)"
    bright = f"Plus de {pct(SATURATED, 0)} des valeurs à 255"
    rows = [  # what, cases, of how many, what follows where there are any
        (f"Décodée, RGB, {side} × {side} pixels", total, total, "ni rognage ni remplissage"),
        ("Pixels identiques à une autre", audit.duplicates, total, "image vue deux fois"),
        ("Groupes identiques, sur plusieurs splits", audit.duplicates_across, 0, "fuite directe"),
        ("Paires qui se chevauchent", shared["found"], 0, "terrain vu deux fois"),
        ("Chevauchements sur deux splits", shared["across"], 0, reach),
        ("Chevauchements, deux étiquettes", shared["relabelled"], 0, "étiquette ambiguë"),
        ("Sans aucune donnée (noire)", audit.black, total, "le réseau n’en apprend rien"),
        ("Un pixel sans donnée ou plus", audit.nodata, total, "bord à masquer"),
        ("D’une seule couleur", audit.flat, total, "ni forme ni texture"),
        (faint, audit.faint, total, "seule la couleur moyenne informe"),
        (bright, audit.saturated, total, "détail perdu dans le blanc"),
    ]
    rows = [(what, n, n / of if of else None, so if n else "rien") for what, n, of, so in rows]
    heads, note = ("Contrôle", "Cas", "Part", "Pour l’entraînement"), {}
    if overlaps.capped:
        note["note"] = "Trop de chevauchements possibles pour tous les examiner : des minimums."
    return frame(heads, rows, percent=["Part"], digits={"Part": 2}, missing=DASH, **note)


def baselines(b: Baselines) -> pd.DataFrame:
    """List the scores to beat; accuracies are fractions in [0, 1], missing where not measured."""
    rows = [
        ("Prédiction uniforme (valeur attendue)", b.uniform, b.uniform),
        (f"Classe majoritaire ({b.majority_class})", b.majority_validation, b.majority_test),
        ("Régression logistique, vignette 4 × 4", b.thumbnail_validation, None),
        ("Régression logistique, moyenne et écart-type par canal", b.color_validation, None),
    ]
    heads, digits = ["Validation", "Test"], {"Validation": 2, "Test": 2}
    return frame(("Référence", *heads), rows, percent=heads, digits=digits, missing=DASH)


def layers(arch: Architecture) -> pd.DataFrame:
    """List the layers in order; ``MAC``: multiply-accumulate operations for one image."""
    rows = []
    for one in arch.layers:
        place, detail = "tête", one.detail.replace("dilation", "dilatation")
        if one.name.startswith("stages."):
            stage, slot = map(int, one.name.split(".")[1:3])
            block = "" if one.kind == "MaxPool2d" else f", bloc {slot // 3 + 1}"
            place = f"étage {stage + 1}{block}"
        rows.append((place, one.kind, detail, shape(one.output_shape), one.parameters, one.macs))
    rows.append(("TOTAL", "", "", "", arch.parameters, sum(one.macs for one in arch.layers)))
    return frame(("Place", "Couche", "Détail", "Sortie", "Paramètres", "MAC"), rows)


def variants(arch: Architecture) -> pd.DataFrame:
    """List the networks of the grid: size, receptive field, work for one training image."""
    keys = ("blocks_per_stage", "dilation_stage3", "parameters", "tensors", "receptive_field")
    rows = [[getattr(one, key) for key in (*keys, "gflop")] for one in arch.variants]
    columns = ("Blocs par étage", "Dilatation", "Paramètres", "Tenseurs", "Champ réceptif (px)")
    work = "GFLOP par image (entraînement)"
    return frame((*columns, work), rows, digits={work: 3})


def faults(r: LRFinder) -> str:
    """Say, seed by seed, why the sweeps support no suggestion; empty if all do."""
    found = [f"graine {s.seed} : {french.FAULTS[s.fault]}" for s in r.sweeps if s.fault]
    return ", ".join(found)


def lr_rules(r: LRFinder) -> pd.DataFrame:
    """List each rule's suggestion per seed, its median and spread, then the choice, as text."""
    heads, rows = [f"Graine {sweep.seed}" for sweep in r.sweeps], []
    for rule, label in french.RULES.items():
        found = [sweep.suggestions.get(rule) for sweep in r.sweeps]
        cells = [power(rate, 1) if rate else DASH for rate in found]
        rows.append((label, *cells, *_summary(r, found)))
    rows.append(("médiane de toutes", *[""] * len(heads), *_summary(r, r.suggestions)))
    note = {"note": typeset(f"Sans suggestion : {faults(r)}.")} if faults(r) else {}
    return frame(("Règle", *heads, "Médiane", "Étendue (facteur)"), rows, **note)


def _summary(r: LRFinder, rates: list[float]) -> tuple[str, str]:
    """Write the median of some rates, and how far they lie apart."""
    if not r.reliable:
        return DASH, DASH
    return power(statistics.median(rates), 1), nombre(max(rates) / min(rates), 1)


def grid(grid: search.GridSearch) -> pd.DataFrame:
    """Rank the trials by score, under the course template's columns."""
    by_epoch, rows = grid.best_by_epoch, []
    for rank, fit in enumerate(grid.ranking):
        point, cells, notes = fit.hyperparameters, (None, None, None), []
        if not rank:
            notes.append("en tête")
        if fit == by_epoch:
            notes.append(f"meilleure époque ({pct(by_epoch.best.val_accuracy)})")
        if fit.diverged:
            notes.append(f"diverge à l’époque {len(fit.epochs) + 1}")
        else:
            cells = (fit.score, 100 * search.MEASURES["spread"](fit), fit.last.val_loss)
        values = [factor_value(factor, getattr(point, factor)) for factor in search.FACTORS]
        rows.append((point.name, *values, *cells, ", ".join(notes)))
    score, loss = "Métrique val (exactitude)", "Perte val (nats)"
    spread = "Écart des deux dernières époques (points)"
    columns = ("Run", "LR", "WD", "Hyp-A (dilatation)", "Hyp-B (blocs)", score, spread, loss)
    options = {"percent": [score], "digits": {loss: 3, spread: 1}, "missing": DASH}
    note = "Une seule graine par point : seuls les finalistes (section 6) départagent les runs."
    table = frame((*columns, "Notes"), rows, **options, note=typeset(note))
    table.index = pd.RangeIndex(1, len(table) + 1, name="Rang")
    return table


def finalists(result: search.Finalists) -> pd.DataFrame:
    """List the finalists over their new seeds: mean, spread, distance to the leader."""
    rows, percent, spread = [], ["Score du choix", "Moyenne"], "Écart-type (points)"
    for one in result.ranking:
        again, (lead, bounds) = one.again, result.lead(one)
        behind = interval(-lead, bounds and (-bounds[1], -bounds[0])) if rows else "retenu"
        cells = (one.selected, again.score, again.sd and 100 * again.sd, len(again.fits))
        rows.append((again.name, french.ORIGINS[one.origin], *cells, behind))
    note = (
        f"Graines {liste([fit.seed for fit in result.leader.fits])}, qui n’ont pas servi à "
        f"choisir. Écart au premier en points, apparié par graine, à {pct(result.level, 0)}."
    )
    columns = ("Finaliste", "Origine", *percent, spread, "n", "Écart au premier")
    return frame(columns, rows, percent=percent, digits={spread: 1}, missing=DASH, note=note)


def recipe_scores(found: Recipes | None) -> pd.DataFrame | None:
    """List validation and test accuracy of each training of a recipe; cells are text."""
    if found is None:
        return None
    rows, scores = [], []
    for run in found.runs:
        scores.append((run.val_accuracy, run.plain.accuracy, run.scored.accuracy))
        cells = (intervalle(run.scored.interval, 2), duree(run.fit.seconds))
        rows.append((str(run.fit.seed), *(pct(x, 2) for x in scores[-1]), *cells))
    if len(rows) > 1:
        seconds = duree(statistics.fmean(run.fit.seconds for run in found.runs))
        columns = zip(*scores, strict=True)
        means, bounds = zip(*(mean_and_spread(c, found.level) for c in columns), strict=True)
        rows.append((MEAN.format(len(rows)), *means, bounds[-1], seconds))
    heads = ("Graine", "Validation, recette", "Test, une vue", "Test, recette")
    note = (
        f"n = {nombre(found.first.plain.n)} images de test. Calcul : entraînement et validation."
    )
    return frame((*heads, interval_at(found.level), "Calcul"), rows, note=typeset(note))


def recipe_steps(found: Ablation | None) -> pd.DataFrame | None:
    """List mean validation accuracy and gain of each step of a recipe; cells are text."""
    if found is None:
        return None
    rows, count = [], len(found.rows[0].fits)
    for row, gain in zip(found.rows, found.gains, strict=True):
        spread = f" ± {nombre(100 * statistics.stdev(row.scores), 2)}" if count > 1 else ""
        score = "divergé" if row.diverged else pct(row.mean, 2) + spread
        change = (signe(gain[0], 2), in_points(gain[1:])) if gain else (DASH, DASH)
        rows.append((f"+ {row.name}" if rows else row.name, score, *change))
    note = (
        f"Étapes : {nombre(found.epochs)} époques sur {nombre(found.train_images)} images, "
        f"{plural(count, 'graine')} chacune, dernière époque, une vue. Le gain d’une étape "
        "dépend de celles qui la précèdent"
    )
    if count == 1:
        note += " ; son intervalle dit l’aléa des images, non celui d’un autre entraînement"
    columns = ("Étape", "Validation", "Gain", interval_at(found.level))
    return frame(columns, rows, note=typeset(f"{note}."))


def metrics(e: Evaluation) -> pd.DataFrame:
    """Lay test and validation scores side by side; cells are text."""
    n, right, val = e.n_validation, e.correct_validation, e.val_accuracy
    bounds = [intervalle(b, 2) for b in (wilson(right, n, e.confidence_level), e.interval)]
    losses = [nombre(loss, 4) for loss in (e.loss_validation, e.loss)]
    rows = [
        ("Exactitude", pct(val, 2), pct(e.accuracy, 2), signe(e.accuracy - val, 2)),
        (interval_at(e.confidence_level), *bounds, in_points(e.gap_interval)),
        ("Perte (nats)", *losses, signe(e.loss - e.loss_validation, 4, "")),
        ("Macro-F1", DASH, f"{pct(e.macro_f1, 2)} {intervalle(e.macro_f1_interval, 2)}", DASH),
        ("Erreurs", n - right, e.n - e.correct, DASH),
        ("Images", n, e.n, DASH),
    ]
    return frame(("Mesure", "Validation", "Test", "Test − validation"), rows)


def per_class(e: Evaluation) -> pd.DataFrame:
    """List precision, recall and F1 per class with their intervals, then their means, as text."""
    level, kinds, rows = e.confidence_level, ("precision", "recall", "f1"), []
    for one in e.per_class:
        cells = [_share(getattr(one, kind), one.interval(kind, level)) for kind in kinds]
        rows.append((one.name, *cells, one.support, one.support - one.hits))
    held = [one for one in e.per_class if one.support]  # classes in the split, as in the macro-F1
    means = [statistics.fmean(getattr(one, kind) for one in held) for kind in kinds]
    cells = [*map(_share, means[:2]), _share(means[2], e.macro_f1_interval)]
    rows.append(("MOYENNE (macro), TOTAL", *cells, e.n, e.n - e.correct))
    note = f"Entre crochets, les intervalles à {pct(level, 0)} : "
    columns = ("Classe", "Précision (%)", "Rappel (%)", "F1 (%)", "Images", "Erreurs")
    return frame(columns, rows, note=f"{note}Wilson ; bootstrap pour la moyenne.")


def _share(value: float, bounds: tuple[float, float] | None = None) -> str:
    """Write a share in per cent without the sign, and its interval: ``89,7 [87,0 ; 91,9]``."""
    text = nombre(100 * value, 1)
    return f"{text} {intervalle([100 * b for b in bounds], 1, '')}" if bounds else text


def openings(config: Config) -> pd.DataFrame:
    """List each opening of the test split in this run, in order, and its role; cells are text."""
    rows = []
    for one in read_csv(config.paths.artifacts / "test_openings.csv"):
        time = one["opened"].replace("T", " ").replace("+00:00", " UTC")
        name = one["configuration"]
        if one["role"] == "recipe" and one.get("views"):
            name += f", {plural(int(one['views']), 'vue')}"
        cells = (one["seed"], one["epoch"], one["sha256"][:DIGITS], int(one["images"]))
        rows.append((time, ROLES.get(one["role"], one["role"]), name, *cells))
    columns = ("Ouverture", "Rôle", "Configuration", "Graine", "Époque")
    return frame((*columns, "SHA-256 (début)", "Images"), rows)


def calibration(errors: Errors) -> pd.DataFrame:
    """Lay the calibration before and after temperature scaling side by side; cells are text."""
    pair, level = (errors.before, errors.after), pct(errors.level, 0)
    rows = [
        ("Température", "1", nombre(errors.temperature, 3)),
        ("Perte, NLL (nats)", *(nombre(r.nll, 4) for r in pair)),
        ("Score de Brier", *(nombre(r.brier, 4) for r in pair)),
        ("ECE (15 tranches)", *(pct(r.ece, 2) for r in pair)),
        ("Confiance moyenne − exactitude", *(signe(r.excess, 2) for r in pair)),
        (f"Son intervalle à {level}", *(in_points(r.excess_interval) for r in pair)),
    ]
    return frame(("Mesure sur le test", "Avant", "Après"), rows)


def seeds(found: Seeds) -> pd.DataFrame:
    """List the test scores of each seed, then mean ± standard deviation; cells are text."""
    rows = []
    for run in found.runs:
        scores = (pct(run.val_accuracy, 2), pct(run.accuracy, 2), intervalle(run.interval, 2))
        rows.append((str(run.seed), run.epoch, *scores, pct(run.macro_f1, 2)))
    rows += [(str(seed), DASH, "divergé", DASH, DASH, DASH) for seed in found.diverged]
    if found.several:
        test = mean_and_spread([run.accuracy for run in found.runs], found.level)
        f1, _ = mean_and_spread([run.macro_f1 for run in found.runs], found.level)
        rows.append((MEAN.format(len(found.runs)), DASH, DASH, *test, f1))
    columns = ("Graine", "Époque", "Validation", "Test", interval_at(found.level))
    return frame((*columns, "Macro-F1"), rows)


def split_scores(found: SplitComparison) -> pd.DataFrame | None:
    """Lay the scores on both splits side by side, as text; ``None`` without a second split."""
    if found.absent:
        return None
    sides, (_, bounds) = (found.standard, found.spatial), found.gap()
    scores = {"Exactitude sur le test": "accuracy", "Macro-F1 sur le test": "macro_f1"}
    scores["Exactitude en validation"] = "val_accuracy"
    rows = []
    for name, score in scores.items():
        one, other = (getattr(side, score) for side in sides)
        rows.append((name, pct(one, 2), pct(other, 2), signe(one - other)))
    own = [intervalle(side.interval, 2) for side in sides]
    rows.insert(1, (interval_at(found.confidence_level), *own, in_points(bounds, 1)))
    images = f"Images de test, dont {nombre(found.common)} en commun"
    rows.append((images, *(side.n for side in sides), DASH))
    return frame(("Mesure", "Standard", "Spatial", "Standard − spatial"), rows)
