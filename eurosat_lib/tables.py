"""Every table of the report: a DataFrame with French headings.

Numbers stay numbers where a column is of one kind; ``attrs`` holds what ``report.table`` needs to
write them. A missing result gives no table: ``None``.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from eurosat_lib import french, search
from eurosat_lib.audit import FAINT, SATURATED, Audit, Overlaps
from eurosat_lib.checks import Architecture
from eurosat_lib.config import Config
from eurosat_lib.evaluation import Errors, Evaluation
from eurosat_lib.files import read_csv
from eurosat_lib.french import in_points, intervalle, nombre, pct, plural, power, signe, typeset
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.recipes import Ablation, Recipes
from eurosat_lib.stats import summarise_seeds, wilson
from eurosat_lib.trainings import Seeds, SplitComparison

DASH = "—"
MEAN = "moyenne ± écart-type (n = {})"  # row of several seeds
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
    table.attrs = options | ({"note": typeset(options["note"])} if options.get("note") else {})
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
        (f"Plus de {pct(SATURATED, 0)} des valeurs à 255", audit.saturated, total, "détail perdu"),
    ]
    rows = [(what, n, n / of if of else None, so if n else "rien") for what, n, of, so in rows]
    capped = "Trop de chevauchements possibles pour tous les examiner : des minimums."
    options = {"percent": ["Part"], "digits": {"Part": 2}, "missing": DASH}
    options["note"] = capped if overlaps.capped else ""
    return frame(("Contrôle", "Cas", "Part", "Pour l’entraînement"), rows, **options)


def layers(arch: Architecture) -> pd.DataFrame:
    """List the layers in order; ``MAC``: multiply-accumulate operations for one image."""
    rows = []
    for one in arch.layers:
        place, detail = "tête", one.detail.replace("dilation", "dilatation")
        if one.name.startswith("stages."):
            stage, slot = map(int, one.name.split(".")[1:3])
            block = "" if one.kind == "MaxPool2d" else f", bloc {slot // 3 + 1}"
            place = f"étage {stage + 1}{block}"
        output = str(tuple(one.output_shape))
        rows.append((place, one.kind, detail, output, one.parameters, one.macs))
    total = (arch.found["parameters"], sum(one.macs for one in arch.layers))
    columns = ("Place", "Couche", "Détail", "Sortie", "Paramètres", "MAC")
    return frame(columns, [*rows, ("TOTAL", "", "", "", *total)])


def variants(arch: Architecture) -> pd.DataFrame:
    """List the networks of the grid: size, receptive field, work for one training image."""
    columns = ("Blocs par étage", "Dilatation", "Paramètres", "Tenseurs", "Champ réceptif (px)")
    work, rows = "GFLOP par image (entraînement)", [v.values() for v in arch.found["variants"]]
    return frame((*columns, work), rows, digits={work: 3})


def faults(r: LRFinder) -> str:
    """Say, seed by seed, why the sweeps support no suggestion; empty if all do."""
    return ", ".join(f"graine {s.seed} : {french.FAULTS[s.fault]}" for s in r.sweeps if s.fault)


def lr_rules(r: LRFinder) -> pd.DataFrame:
    """List each rule's suggestion per seed, its median and spread, then the choice, as text."""
    rows = []
    for rule, label in french.RULES.items():
        found = [sweep.suggestions.get(rule) for sweep in r.sweeps]
        cells = [power(rate, 1) if rate else DASH for rate in found]
        rows.append((label, *cells, *_summary(found)))
    rows.append(("médiane de toutes", *[""] * len(r.sweeps), *_summary(r.suggestions)))
    heads = [f"Graine {sweep.seed}" for sweep in r.sweeps]
    note = f"Sans suggestion : {faults(r)}." if faults(r) else ""
    return frame(("Règle", *heads, "Médiane", "Étendue (facteur)"), rows, note=note)


def _summary(rates: list[float | None]) -> tuple[str, str]:
    """Write the median of some rates, and how far they lie apart; one missing, there is none."""
    if not rates or None in rates:
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
        values = [french.factor_value(factor, getattr(point, factor)) for factor in search.FACTORS]
        rows.append((point.name, *values, *cells, ", ".join(notes)))
    score, loss = "Métrique val (exactitude)", "Perte val (nats)"
    spread = "Écart des deux dernières époques (points)"
    columns = ("Run", "LR", "WD", "Hyp-A (dilatation)", "Hyp-B (blocs)", score, spread, loss)
    options = {"percent": [score], "digits": {loss: 3, spread: 1}, "missing": DASH}
    note = "Une seule graine par point : ce rang peut changer avec une autre ; les finalistes "
    note += "(section 6) sont revus avec de nouvelles graines."
    table = frame((*columns, "Notes"), rows, **options, note=note)
    table.index = pd.RangeIndex(1, len(table) + 1, name="Rang")
    return table


def finalists(result: search.Finalists) -> pd.DataFrame:
    """List the finalists over their new seeds: mean, spread, distance to the leader."""
    rows, percent, spread = [], ["Score du choix", "Moyenne"], "Écart-type (points)"
    for one in result.ranking:
        lead, bounds = result.lead(one)
        behind = french.interval(-lead, bounds and (-bounds[1], -bounds[0]))
        cells = (one.selected, one.score, one.sd and 100 * one.sd, len(one.fits))
        name, origin = one.hyperparameters.name, french.ORIGINS[one.origin]
        rows.append((name, origin, *cells, behind if rows else "retenu"))
    seeds = french.liste([fit.seed for fit in result.leader.fits])
    note = f"Graines {seeds}, qui n’ont pas servi à choisir. Écart au premier en points, apparié "
    note += f"par graine, à {pct(result.level, 0)}."
    columns = ("Finaliste", "Origine", *percent, spread, "n", "Écart au premier")
    return frame(columns, rows, percent=percent, digits={spread: 1}, missing=DASH, note=note)


def recipe_scores(found: Recipes | None) -> pd.DataFrame | None:
    """List validation and test accuracy of each training of a recipe; cells are text."""
    if found is None:
        return None
    rows, scores, seconds = [], [], [run.fit.seconds for run in found.runs]
    for run in found.runs:
        scores.append((run.scored.val_accuracy, run.plain.accuracy, run.scored.accuracy))
        cells = (intervalle(run.scored.interval, 2), french.duree(run.fit.seconds))
        rows.append((str(run.fit.seed), *(pct(x, 2) for x in scores[-1]), *cells))
    if len(rows) > 1:
        columns = [mean_and_spread(column, found.level) for column in zip(*scores, strict=True)]
        means, mean_time = [mean for mean, _ in columns], french.duree(statistics.fmean(seconds))
        rows.append((MEAN.format(len(rows)), *means, columns[-1][1], mean_time))
    heads = ("Graine", "Validation, recette", "Test, une vue", "Test, recette")
    note = (
        f"n = {nombre(found.runs[0].plain.n)} images de test. Calcul : entraînement et validation."
    )
    return frame((*heads, interval_at(found.level), "Calcul"), rows, note=note)


def recipe_steps(found: Ablation | None) -> pd.DataFrame | None:
    """List mean validation accuracy and gain of each step of a recipe; cells are text."""
    if found is None:
        return None
    rows, count = [], len(found.fits[0])
    for rank, (step, scores) in enumerate(zip(found.steps, found.scores(), strict=True)):
        gain, broken = found.gains()[rank], any(fit.diverged for fit in found.fits[rank])
        spread = f" ± {nombre(100 * statistics.stdev(scores), 2)}" if count > 1 else ""
        score = "divergé" if broken else pct(statistics.fmean(scores), 2) + spread
        change = (signe(gain[0], 2), in_points(gain[1:])) if gain else (DASH, DASH)
        rows.append((f"+ {step}" if rows else step, score, *change))
    note = f"Étapes : {nombre(found.epochs)} époques sur {nombre(found.train_images)} images, "
    note += f"{plural(count, 'graine')} chacune, dernière époque, une vue. Le gain d’une étape "
    note += "dépend de celles qui la précèdent"
    if count == 1:
        note += " ; son intervalle dit l’aléa des images, non celui d’un autre entraînement"
    return frame(("Étape", "Validation", "Gain", interval_at(found.level)), rows, note=f"{note}.")


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
    kinds, rows = ("precision", "recall", "f1"), []
    for one in e.per_class:
        cells = [_share(one[kind], one[f"{kind}_interval"]) for kind in kinds]
        rows.append((one["name"], *cells, one["support"], one["support"] - one["hits"]))
    held = [one for one in e.per_class if one["support"]]  # as in the macro-F1
    means = [_share(statistics.fmean(one[kind] for one in held)) for kind in kinds]
    means[-1] = _share(e.macro_f1, e.macro_f1_interval)
    rows.append(("MOYENNE (macro), TOTAL", *means, e.n, e.n - e.correct))
    note = f"Entre crochets, les intervalles à {pct(e.confidence_level, 0)} : "
    note += "Wilson ; bootstrap pour la moyenne."
    columns = ("Classe", "Précision (%)", "Rappel (%)", "F1 (%)", "Images", "Erreurs")
    return frame(columns, rows, note=note)


def _share(value: float, bounds: Sequence[float] = ()) -> str:
    """Write a share in per cent without the sign, and its interval: ``89,7 [87,0 ; 91,9]``."""
    text = nombre(100 * value, 1)
    return f"{text} {intervalle([100 * b for b in bounds], 1, '')}" if bounds else text


def openings(config: Config) -> pd.DataFrame:
    """List each opening of the test split in this run, in order, and its role; cells are text."""
    rows = []
    for one in read_csv(config.paths.artifacts / "test_openings.csv"):
        time = one["opened"].replace("T", " ").replace("+00:00", " UTC")
        role, views = one["role"], one.get("views") if one["role"] == "recipe" else ""
        name = one["configuration"] + (f", {plural(int(views), 'vue')}" if views else "")
        cells = (one["seed"], one["epoch"], one["sha256"][:12], int(one["images"]))
        rows.append((time, ROLES.get(role, role), name, *cells))
    columns = ("Ouverture", "Rôle", "Configuration", "Graine", "Époque")
    return frame((*columns, "SHA-256 (début)", "Images"), rows)


def calibration(errors: Errors) -> pd.DataFrame:
    """Lay the calibration before and after temperature scaling side by side; cells are text."""
    pair = (errors.before, errors.after)
    bounds = (in_points(one["excess_interval"]) for one in pair)
    rows = [
        ("Température", "1", nombre(errors.temperature, 3)),
        ("Perte, NLL (nats)", *(nombre(one["nll"], 4) for one in pair)),
        ("Score de Brier", *(nombre(one["brier"], 4) for one in pair)),
        ("ECE (15 tranches)", *(pct(one["ece"], 2) for one in pair)),
        ("Confiance moyenne − exactitude", *(signe(one["excess"], 2) for one in pair)),
        (f"Son intervalle à {pct(errors.level, 0)}", *bounds),
    ]
    return frame(("Mesure sur le test", "Avant", "Après"), rows)


def seeds(found: Seeds) -> pd.DataFrame:
    """List the test scores of each seed, then mean ± standard deviation; cells are text."""
    rows = []
    for run in found.runs:
        scores = (pct(run.val_accuracy, 2), pct(run.accuracy, 2), intervalle(run.interval, 2))
        rows.append((str(run.seed), run.epoch, *scores, pct(run.macro_f1, 2)))
    rows += [(str(seed), DASH, "divergé", DASH, DASH, DASH) for seed in found.diverged]
    if len(found.runs) > 1:
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
        rows.append((name, pct(one, 2), pct(other, 2), signe(one - other, 2)))
    own = [intervalle(side.interval, 2) for side in sides]
    rows.insert(1, (interval_at(found.confidence_level), *own, in_points(bounds)))
    images = f"Images de test ({nombre(found.common)} en commun)"
    rows.append((images, *(side.n for side in sides), DASH))
    return frame(("Mesure", "Standard", "Spatial", "Standard − spatial"), rows)
