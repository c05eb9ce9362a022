"""Tables of notebooks 04 to 06: the sweeps, the grids, the finalists, the trainings."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import pandas as pd

from eurosat_lib import comparisons, search
from eurosat_lib import french as words
from eurosat_lib.french import duree, in_points, intervalle, nombre, pct, power, signe, typeset
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.tables.frame import DASH, MEAN, frame, interval_at, mean_and_spread


def faults(r: LRFinder) -> str:
    """Say, seed by seed, why the sweeps support no suggestion; empty if all do."""
    found = [f"graine {s.seed} : {words.FAULTS[s.fault]}" for s in r.sweeps if s.fault]
    return ", ".join(found)


def lr_rules(r: LRFinder) -> pd.DataFrame:
    """List each rule's suggestion per seed, its median and spread, then the choice, as text."""
    heads, rows = [f"Graine {sweep.seed}" for sweep in r.sweeps], []
    for rule, label in words.RULES.items():
        rates = [*(sweep.suggestions.get(rule) for sweep in r.sweeps), r.by_rule.get(rule)]
        rates = [power(rate, 1) if rate else DASH for rate in rates]
        rows.append((label, *rates, _factor(r.spread.get(rule, ()))))
    choice = power(r.choice, 1) if r.choice else DASH
    spread = _factor(r.suggestions if r.reliable else ())
    rows.append(("médiane de toutes", *[""] * len(heads), choice, spread))
    note = {"note": typeset(f"Sans suggestion : {faults(r)}.")} if faults(r) else {}
    return frame(("Règle", *heads, "Médiane", "Étendue (facteur)"), rows, **note)


def _factor(rates: Sequence[float]) -> str:
    return nombre(max(rates) / min(rates), 1) if rates else DASH


def trial_note(point: search.Candidate) -> str:
    """Say that a training of a point diverged, and when; empty if none did."""
    fit = next((fit for fit in point.fits if fit.diverged), None)
    return f"diverge à l’époque {len(fit.epochs) + 1}" if fit else ""


def noise_note(grid: search.GridSearch) -> str:
    """Say whether the points of a grid can be told apart, and by what."""
    if grid.noise is None:
        return "une seule graine par point : écarts non départagés, les finalistes en décident"
    deviation = nombre(100 * grid.noise, 1)
    return f"écart-type d’un score entre les {grid.seeds} graines d’un point : {deviation} points"


def grid(grid: search.GridSearch) -> pd.DataFrame:
    """Rank the points by score (means over the seeds), under the course template's columns."""
    by_epoch, rows = grid.best_by_epoch, []
    for rank, point in enumerate(grid.ranking):
        hyper, cells = point.hyperparameters, (None, None, None)
        if not point.diverged:
            spread = statistics.fmean(map(search.MEASURES["spread"], point.fits))
            loss = statistics.fmean(fit.last.val_loss for fit in point.fits)
            cells = (point.score, 100 * spread, loss)
        notes = ["" if rank else "en tête", trial_note(point)]
        if hyper == by_epoch.hyperparameters:
            notes.insert(1, f"meilleure époque ({pct(by_epoch.best.val_accuracy)})")
        values = [words.factor_value(factor, getattr(hyper, factor)) for factor in search.FACTORS]
        rows.append((point.name, *values, *cells, ", ".join(filter(None, notes))))
    score, loss = "Métrique val (exactitude)", "Perte val (nats)"
    spread = "Écart des deux dernières époques (points)"
    columns = ("Run", "LR", "WD", "Hyp-A (dilatation)", "Hyp-B (blocs)", score, spread, loss)
    options = {"percent": [score], "digits": {loss: 3, spread: 1}, "missing": DASH}
    note = typeset(f"{words.capital(noise_note(grid))}.")
    table = frame((*columns, "Notes"), rows, **options, note=note)
    table.index = pd.RangeIndex(1, len(table) + 1, name="Rang")
    return table


refined = grid  # the same columns


def effect_text(found: dict[str, Any]) -> str:
    """Write an effect of :func:`eurosat_lib.search.effect`: mean and interval, in points."""
    if not found["pairs"]:
        return "aucune paire"
    bounds = None if found["ci_low"] is None else (found["ci_low"], found["ci_high"])
    return words.interval(found["mean"], bounds)


def effect_rows(grid: search.GridSearch) -> list[tuple[str, dict[str, Any]]]:
    """List every effect of a grid and that of the rate per network: two-line label, measures."""
    found = [(words.FACTORS[factor], factor, grid.effects(factor)) for factor in search.FACTORS]
    for factor, cases in grid.lr_effect_by().items():
        name = f"LR, {words.SHORT[factor]} = "
        found += [(f"{name}{c['value']}", "lr", c) for c in cases if len(cases) > 1]
    rows = []
    for label, factor, one in found:
        ends = [words.factor_value(factor, one["score"][end]) for end in ("low", "high")]
        rows.append((f"{label}\n{' → '.join(dict.fromkeys(ends))}", one))
    return rows


def effects(grid: search.GridSearch) -> pd.DataFrame:
    """List what each factor changes, and the learning rate in each network; cells are text."""
    rows = []
    for label, found in effect_rows(grid):
        for measure, name in words.MEASURES.items():
            one = found[measure]
            wins = f"{one['wins_high']} sur {one['pairs']}"
            rows.append((label.replace("\n", ", "), name, effect_text(one), wins))
    note = (
        "De la plus petite à la plus grande valeur, par paires de runs qui ne diffèrent que par "
        f"ce facteur ; intervalles de Student à {pct(search.LEVEL, 0)}, sans correction de "
        "multiplicité. Les deux runs d’une paire partagent graine et images : l’intervalle ne dit "
        "rien d’un autre entraînement, et un sommet entre les deux valeurs n’y paraît pas. En "
        "hausse : paires où la plus grande valeur donne davantage."
    )
    columns = ("Facteur", "Mesure", "Effet (points)", "En hausse")
    return frame(columns, rows, note=typeset(note))


def comparison(found: search.Comparisons) -> pd.DataFrame:
    """List the overlaid trials, factor by factor; accuracies are fractions in [0, 1]."""
    facts, rows = found.facts(), []
    for factor, name in words.FACTORS.items():
        for one in facts[factor]["curves"]:
            place = (name, words.factor_value(factor, one["value"]))
            scores = (one["first_val_accuracy"], one["score"])
            rows.append((*place, *scores, signe(one["gap"])))
    percent = ["Val, époque 1", "Val, deux dernières"]
    columns = ("Facteur", "Valeur", *percent, "Écart train − val")
    note = "Écart train − val : moyenne des deux dernières époques."
    return frame(columns, rows, percent=percent, note=typeset(note))


def finalists(result: search.Finalists) -> pd.DataFrame:
    """List the finalists over their new seeds: mean, spread, distance to the leader."""
    rows, percent, spread = [], ["Score du choix", "Moyenne"], "Écart-type (points)"
    for one in result.ranking:
        lead, bounds = result.lead(one)
        behind = words.interval(-lead, bounds and (-bounds[1], -bounds[0])) if rows else "retenu"
        cells = (one.selected, one.mean, one.again.sd and 100 * one.again.sd, len(one.again.fits))
        rows.append((one.again.name, words.ORIGINS[one.origin], *cells, behind))
    note = (
        f"Graines {words.liste([fit.seed for fit in result.leader.fits])}, qui n’ont pas servi à "
        f"choisir. Écart au premier en points, apparié par graine, à {pct(result.level, 0)}."
    )
    columns = ("Finaliste", "Origine", *percent, spread, "n", "Écart au premier")
    return frame(columns, rows, percent=percent, digits={spread: 1}, missing=DASH, note=note)


def configuration(training: search.Training) -> pd.DataFrame:
    """List the hyperparameters of the final training and where each comes from; cells are text."""
    fit, origins, given = training.fit, training.origin, words.ORIGINS["config"]
    done, planned = str(len(fit.epochs)), str(training.planned_epochs)
    rows = [
        (words.capital(words.FACTORS[k]), words.factor_value(k, v), words.ORIGINS[origins[k]])
        for k, v in fit.hyperparameters.model_dump().items()
    ]
    rows += [
        ("Taille de lot", str(training.batch_size), given),
        ("Époques", done if done == planned else f"{done} sur {planned} prévues", given),
        ("Graine", str(fit.seed), given),
        ("Images d’entraînement", fit.train_images, "données"),
        ("Paramètres du réseau", fit.parameters, "architecture"),
        ("Optimiseur", "Adam, pas constant", "protocole"),
    ]
    return frame(("Hyperparamètre", "Valeur", "Origine"), rows)


def history(training: search.Training) -> pd.DataFrame:
    """List the epochs: losses in nats, accuracies as fractions in [0, 1], time in seconds."""
    columns = {
        "epoch": "Époque",
        "train_loss": "Perte train (nats)",
        "val_loss": "Perte val (nats)",
        "train_accuracy": "Exactitude train",
        "val_accuracy": "Exactitude val",
        "grad_norm": "Norme du gradient",
        "seconds": "Durée (s)",
    }
    table = pd.DataFrame([one.model_dump() for one in training.fit.epochs])[[*columns]]
    table["Note"] = ["meilleure" if n == training.fit.best.epoch else "" for n in table["epoch"]]
    table = table.rename(columns=columns)
    percent = ["Exactitude train", "Exactitude val"]
    table.attrs = {"percent": percent, "digits": {"Durée (s)": 1}}
    return table


def recipe_scores(found: comparisons.Recipes | None) -> pd.DataFrame | None:
    """List validation and test accuracy of each training of a recipe; cells are text."""
    if found is None:
        return None
    note = f"n = {nombre(found.first.plain.n)} images de test dans le découpage standard"
    runs, rows, scores = [("standard", run) for run in found.runs], [], []
    if found.spatial:
        runs.append(("spatial", found.spatial))
        note += f", {nombre(found.spatial.plain.n)} dans le spatial"
    for split, run in runs:
        scores.append((run.val_accuracy, run.plain.accuracy, run.scored.accuracy))
        cells = (intervalle(run.scored.interval, 2), duree(run.fit.seconds))
        rows.append((f"{split}, graine {run.fit.seed}", *(pct(x, 2) for x in scores[-1]), *cells))
    if (count := len(found.runs)) > 1:
        seconds = duree(statistics.fmean(run.fit.seconds for run in found.runs))
        columns = zip(*scores[:count], strict=True)
        means, bounds = zip(*(mean_and_spread(c, found.level) for c in columns), strict=True)
        rows.insert(count, (MEAN.format(count), *means, bounds[-1], seconds))
    heads = ("Découpage", "Validation, recette", "Test, une vue", "Test, recette")
    note += ". Calcul : entraînement et validation."
    return frame((*heads, interval_at(found.level), "Calcul"), rows, note=typeset(note))


def recipe_steps(
    found: search.Ablation | None, whole: comparisons.Recipes | None = None
) -> pd.DataFrame | None:
    """List validation accuracy and gain of each step, then the whole recipe's at full length."""
    if found is None:
        return None
    rows, count = [], len(found.rows[0].fits)
    for row, gain in zip(found.rows, found.gains, strict=True):
        spread = pct(statistics.stdev(row.scores), 2) if count > 1 else DASH
        cells = ("divergé", DASH) if row.diverged else (pct(row.mean, 2), spread)
        change = (signe(gain[0], 2), in_points(gain[1:])) if gain else (DASH, DASH)
        rows.append((f"+ {row.name}" if rows else row.name, *cells, *change))
    if whole:
        fit = whole.first.fit
        name = f"recette entière, {len(fit.epochs)} époques sur {nombre(fit.train_images)} images"
        scores = {name: [run.fit.val_accuracy for run in whole.runs]}
        if whole.first.averaged:
            name = f"+ moyenne des {whole.settings['views']} vues"
            scores[name] = [run.val_accuracy for run in whole.runs]
        rows += [(k, pct(statistics.fmean(v), 2), DASH, DASH, DASH) for k, v in scores.items()]
    sides = [epoch.side for row in found.rows for fit in row.fits for epoch in fit.epochs]
    note = (
        f"Étapes : {nombre(found.epochs)} époques sur {nombre(found.train_images)} images de "
        f"{max(sides, default=0)} pixels de côté, {words.plural(count, 'graine')} chacune, "
        "dernière époque, une vue. Le gain d’une étape dépend de celles qui la précèdent"
    )
    if count == 1:
        note += " ; son intervalle dit l’aléa des images, non celui d’un autre entraînement"
    columns = ("Étape", "Validation", "Écart-type", "Gain", interval_at(found.level))
    table = frame(columns, rows, note=typeset(f"{note}."))
    return table if count > 1 else table.drop(columns="Écart-type")
