"""Every table of the report: a DataFrame with French headings.

Numbers stay numbers where a column is of one kind; ``attrs`` holds what ``report.table`` needs to
write them: ``table(frame, "légende", **frame.attrs)``.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement
from typing import Any

import pandas as pd

from eurosat_lib import comparisons, search
from eurosat_lib import french as words
from eurosat_lib.audit import FAINT, SATURATED, Audit
from eurosat_lib.baselines import Baselines
from eurosat_lib.calibration import Errors
from eurosat_lib.checkpoint import sha256
from eurosat_lib.checks import Architecture, InitialLoss, Overfit, Pipeline
from eurosat_lib.config import Config
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.explain import CORRUPTIONS, VIEWS, Robustness
from eurosat_lib.files import read_csv, read_json
from eurosat_lib.french import duree, in_points, intervalle, nombre, pct, power, shape, signe, yes
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.overlaps import Overlaps
from eurosat_lib.runtime import describe_environment
from eurosat_lib.stats import wilson

DASH = "—"
STEP = 5  # epochs between two rows of the table of the overfit
TOP = 10  # confusions listed
DIGITS = 12  # of a SHA-256: enough to tell files apart
LONGEST = 6  # stages named in the table of durations


def frame(
    columns: Iterable[str], rows: Iterable[Sequence[Any]], ranked: bool = False, **options: Any
) -> pd.DataFrame:
    """Build a table.

    Args:
        columns: French headings.
        rows: values, in the order of the columns; columns of whole numbers stay whole.
        ranked: number the rows from 1, in an index named ``Rang``.
        options: of ``report.table``, kept in ``attrs``, where it finds them.
    """
    table = pd.DataFrame(list(rows), columns=list(columns))
    if ranked:
        table.index = pd.RangeIndex(1, len(table) + 1, name="Rang")
    table.attrs = options
    return table


def _level(level: float) -> str:
    return f"Intervalle à {pct(level, 0)}"


def _bounds(summary: dict[str, Any]) -> str:
    return DASH if summary["low"] is None else intervalle((summary["low"], summary["high"]), 2)


def _over(runs: Sequence[Any], summaries: Iterable[dict[str, Any]]) -> list[str]:
    """Name the row that sums several runs up, and write the mean and spread of its columns."""
    cells = [f"{pct(one['mean'], 2)} ± {nombre(100 * one['sd'], 2)}" for one in summaries]
    return [f"moyenne ± écart-type (n = {len(runs)})", *cells]


def classes(audit: Audit) -> pd.DataFrame:
    """List the images per class and split, and the share of all, in [0, 1]; a last row adds up."""
    counts = [*audit.counts.values()]
    counts = [*zip(*counts, strict=True), tuple(map(sum, counts))]
    total, options = sum(counts[-1]), {"percent": ["Part"]}
    names = [*audit.classes, "TOTAL"]
    rows = [(name, *n, sum(n), sum(n) / total) for name, n in zip(names, counts, strict=True)]
    if found := audit.balance:
        options["note"] = (
            "Indépendance de la classe et du split\u00a0: χ² = "
            f"{nombre(found.statistic, 1)} pour {found.degrees} degrés de liberté, "
            f"{words.p_value(found.p_value)}\u202f; V de Cramér = {nombre(found.cramers_v, 3)}."
        )
    heads = [words.capital(words.SPLITS[name]) for name in audit.counts]
    return frame(("Classe", *heads, "Total", "Part"), rows, **options)


def findings(audit: Audit, overlaps: Overlaps) -> pd.DataFrame:
    """List what was looked for over all images, how often it is there, and what follows.

    ``Part`` is the share of all images, a fraction in [0, 1]; missing for pairs and groups.
    """
    total, side, shared = sum(audit.sizes.values()), audit.image_shape[1], overlaps.facts()
    reach = f"{pct(shared['test_images'] / max(audit.sizes['test'], 1), 2)} du test"
    faint = f"Presque unie (écart-type < {nombre(FAINT)} sur 255)"
    bright = f"Plus de {pct(SATURATED, 0)} des valeurs à 255"
    rows = [  # what, cases, of how many, what follows where there are any (and where none)
        (f"Décodée, RGB, {side} × {side} pixels", total, total, "ni rognage ni remplissage"),
        ("Pixels identiques à une autre", audit.duplicates, total, "pèse double"),
        ("Groupes identiques, sur plusieurs splits", audit.duplicates_across, 0, "fuite directe"),
        ("Paires qui se chevauchent", shared["found"], 0, "terrain appris deux fois"),
        ("Chevauchements sur deux splits", shared["across"], 0, reach),
        ("Chevauchements, deux étiquettes", shared["relabelled"], 0, "étiquette ambiguë"),
        ("Sans aucune donnée (noire)", audit.black, total, "n’apprend rien"),
        ("Un pixel sans donnée ou plus", audit.nodata, total, "bord à masquer"),
        ("D’une seule couleur", audit.flat, total, "ni forme ni texture"),
        (faint, audit.faint, total, "seule la teinte y parle", "formes visibles partout"),
        (bright, audit.saturated, total, "détail perdu dans le blanc", "aucun détail perdu"),
    ]
    rows = [
        (name, n, n / of if of else None, so[0] if n else [*so[1:], "rien à retirer"][0])
        for name, n, of, *so in rows
    ]
    heads = ("Contrôle", "Cas", "Part", "Pour l’entraînement")
    return frame(heads, rows, percent=["Part"], digits={"Part": 2}, missing=DASH)


def overlap_counts(overlaps: Overlaps) -> pd.DataFrame:
    """Count the overlapping pairs by the splits they join; a last row adds them up.

    ``Surface commune`` is the median share of a tile, a fraction in [0, 1].
    """
    rows, area = [], "Surface commune"
    for kind in [*combinations_with_replacement(words.SPLITS, 2), ()]:
        pairs = [
            p for p in overlaps.pairs if not kind or {p.first.split, p.second.split} == set(kind)
        ]
        name = " – ".join(words.SPLITS[split] for split in kind) or "TOTAL"
        share = statistics.median(p.share for p in pairs) if pairs else None
        rows.append((name, len(pairs), sum(p.first.label != p.second.label for p in pairs), share))
    options = {"percent": [area], "digits": {area: 0}, "missing": DASH}
    if overlaps.capped:
        options["note"] = "Trop de paires proposées pour être toutes examinées : des minimums."
    return frame(("Splits", "Paires", "Deux étiquettes", area), rows, **options)


def pipeline(p: Pipeline) -> pd.DataFrame:
    """List what a batch is, and what was checked about the loaders; all cells are text."""
    labels = f"{shape(p.labels_shape)}, {p.labels_dtype}, {p.label_min} à {p.label_max}"
    rows = [
        ("Forme d’un lot d’entraînement", f"{shape(p.batch_shape)}, {p.batch_dtype}"),
        ('meta["input_shape"]', shape(p.input_shape)),
        ('meta["num_classes"]', str(p.num_classes)),
        ("Étiquettes", labels),
        ("Images par époque", _by_split(p.used)),
        (f"Lots de {p.batch_size} par époque", _by_split(p.batches)),
        ("Valeurs observées (validation)", intervalle((p.value_min, p.value_max), 3, "")),
        ("Valeurs possibles", intervalle((p.possible_min, p.possible_max), 3, "")),
        ("Moyenne par canal (validation)", words.vector(p.value_mean)),
        ("Écart-type par canal (validation)", words.vector(p.value_sd)),
        ("Lot conforme à meta", yes(p.facts()["coherent"])),
        ("Entraînement remélangé à chaque époque", yes(p.reshuffled)),
        ("Même graine, mêmes lots au bit près", yes(p.repeatable)),
        ("Ordre fixe en validation", yes(p.fixed_order)),
    ]
    return frame(("Contrôle", "Constat"), rows)


def _by_split(counts: dict[str, int]) -> str:
    return ", ".join(f"{words.SPLITS[name]} {nombre(count)}" for name, count in counts.items())


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
    """List the layers in the order of the forward pass; a last row ``TOTAL`` adds them up.

    ``MAC`` counts the multiply-accumulate operations for one image.
    """
    rows = []
    for one in arch.layers:
        place, _ = words.layer_place(one.name)
        place = place.split(",")[0] if one.kind == "MaxPool2d" else place
        detail = one.detail.replace("dilation", "dilatation")
        rows.append((place, one.kind, detail, shape(one.output_shape), one.parameters, one.macs))
    rows.append(("TOTAL", "", "", "", *(sum(row[column] for row in rows) for column in (4, 5))))
    return frame(("Place", "Couche", "Détail", "Sortie", "Paramètres", "MAC"), rows)


def variants(arch: Architecture) -> pd.DataFrame:
    """List the networks of the grid: size, receptive field, work for one training image."""
    columns = {
        "Blocs par étage": "blocks_per_stage",
        "Dilatation": "dilation_stage3",
        "Paramètres": "parameters",
        "Tenseurs": "tensors",
        "Champ réceptif (px)": "receptive_field",
        "GFLOP par image (entraînement)": "gflop",
    }
    rows = [[getattr(one, name) for name in columns.values()] for one in arch.variants]
    rows = [(*row, one == arch.current) for row, one in zip(rows, arch.variants, strict=True)]
    return frame((*columns, "Contrôlée ici"), rows, digits={"GFLOP par image (entraînement)": 3})


def initial_loss(r: InitialLoss) -> pd.DataFrame:
    """List what the first batch gives; all cells are text, losses in nats."""
    facts = r.facts()
    repeated = f"{nombre(r.mean, 4)} ± {nombre(r.sd, 4)}"
    rows = [
        ("Lot d’images", f"{shape(r.batch_shape)}, {r.batch_dtype}"),
        ("Étiquettes", shape(r.labels_shape)),
        ("Logits", shape(r.logits_shape)),
        ("Perte observée (nats)", nombre(r.loss, 4)),
        (f"Perte théorique, ln {r.classes} (nats)", nombre(r.theory, 4)),
        ("Écart (nats)", nombre(facts["gap"], 4)),
        ("Demi-variance moyenne des logits, s²/2 (nats)", nombre(r.excess, 4)),
        (f"Moyenne ± écart-type sur {len(r.losses)} initialisations (nats)", repeated),
        ("Norme du gradient", nombre(r.grad_norm, 3)),
        ("Tenseurs atteints par le gradient", f"{facts['reached']} / {facts['tensors']}"),
        ("Perte cohérente", yes(facts["coherent"])),
    ]
    return frame(("Mesure", "Valeur"), rows)


def overfit(r: Overfit) -> pd.DataFrame:
    """List loss (nats) and accuracy (text) every five epochs, the first and last included."""
    shown = sorted({1, len(r.losses), *range(STEP, len(r.losses), STEP)})
    rows = [(epoch, r.losses[epoch - 1], pct(r.accuracies[epoch - 1])) for epoch in shown]
    return frame(("Époque", "Perte (nats)", "Exactitude"), rows, digits={"Perte (nats)": 4})


def trial_note(point: search.Candidate) -> str:
    """Say that a training of a point diverged, and when; empty if none did."""
    fit = next((fit for fit in point.fits if fit.diverged), None)
    return f"diverge à l’époque {len(fit.epochs) + 1}" if fit else ""


def faults(r: LRFinder) -> str:
    """Say, seed by seed, why the sweeps support no suggestion; empty if all do."""
    found = [f"graine {s.seed} : {words.FAULTS[s.fault]}" for s in r.sweeps if s.fault]
    return ", ".join(found)


def noise_note(grid: search.GridSearch) -> str:
    """Say whether the points of a grid can be told apart, and by what."""
    if grid.noise is None:
        return "une seule graine par point : écarts non départagés, les finalistes en décident"
    deviation = nombre(100 * grid.noise, 1)
    return f"écart-type d’un score entre les {grid.seeds} graines d’un point : {deviation} points"


def effect_text(found: dict[str, Any]) -> str:
    """Write an effect of :func:`eurosat_lib.search.effect`: mean and interval, in points."""
    if not found["pairs"]:
        return "aucune paire"
    bounds = None if found["ci_low"] is None else (found["ci_low"], found["ci_high"])
    return words.interval(found["mean"], bounds)


def effect_rows(grid: search.GridSearch) -> list[tuple[str, dict[str, Any]]]:
    """Label every effect of a grid, then that of the learning rate in each kind of network.

    Returns:
        (label of two lines, effect of each measure) of each row.
    """
    found = [(words.FACTORS[factor], factor, grid.effects(factor)) for factor in search.FACTORS]
    for factor, cases in grid.lr_effect_by().items():
        name = f"LR, {words.SHORT[factor]} = "
        found += [(f"{name}{c['value']}", "lr", c) for c in cases if len(cases) > 1]
    rows = []
    for label, factor, one in found:
        ends = [words.factor_value(factor, one["score"][end]) for end in ("low", "high")]
        rows.append((f"{label}\n{' → '.join(dict.fromkeys(ends))}", one))
    return rows


def over_seeds(one: search.Finalist) -> str:
    """Write a finalist's mean and spread over its new seeds, and the score that chose it."""
    spread = "" if one.again.sd is None else f" ± {nombre(100 * one.again.sd, 1)}"
    seeds = f"{len(one.again.fits)} graine{'s' if one.again.sd is not None else ''}"
    return f"moyenne {pct(one.mean)}{spread} sur {seeds}, choisi à {pct(one.selected)}"


def lr_rules(r: LRFinder) -> pd.DataFrame:
    """List each rule's suggestion per seed, its median and spread, then the choice, as text."""
    heads, rows = [f"Graine {sweep.seed}" for sweep in r.sweeps], []
    for rule, label in words.RULES.items():
        rates = [*(sweep.suggestions.get(rule) for sweep in r.sweeps), r.by_rule.get(rule)]
        rows.append((label, *map(_rate, rates), _factor(r.spread.get(rule))))
    origin = "médiane de toutes" if r.reliable else "aucun"
    ends = (min(r.suggestions), max(r.suggestions)) if r.reliable else None
    rows.append((f"choix ({origin})", *[""] * len(heads), _rate(r.choice), _factor(ends)))
    note = {"note": words.typeset(f"Sans suggestion : {faults(r)}.")} if faults(r) else {}
    return frame(("Règle", *heads, "Médiane", "Étendue (facteur)"), rows, **note)


def _rate(value: float | None) -> str:
    return DASH if value is None else power(value, 1)


def _factor(ends: tuple[float, float] | None) -> str:
    return DASH if ends is None else nombre(ends[1] / ends[0], 1)


def grid(grid: search.GridSearch) -> pd.DataFrame:
    """Rank the points, the best first, under the columns of the course's template.

    The score (a fraction in [0, 1]) is the mean validation accuracy of the last two epochs, over
    all seeds; LR and WD are text. A diverged point has no score.
    """
    by_epoch, rows = grid.best_by_epoch, []
    for rank, point in enumerate(grid.ranking):
        hyper, cells = point.hyperparameters, (None, None, None)
        if not point.diverged:
            spread = statistics.fmean(search.MEASURES["spread"](fit) for fit in point.fits)
            loss = statistics.fmean(fit.last.val_loss for fit in point.fits)
            cells = (point.score, 100 * spread, loss)
        best = f"meilleure époque ({pct(by_epoch.best.val_accuracy)})"
        notes = ["" if rank else "en tête", best if hyper == by_epoch.hyperparameters else ""]
        notes = ", ".join(filter(None, [*notes, trial_note(point)]))
        model = (hyper.dilation_stage3, hyper.blocks_per_stage)
        rows.append(
            (point.name, power(hyper.lr), power(hyper.weight_decay), *model, *cells, notes)
        )
    score, spread, loss = "Métrique val (exactitude)", "Étendue (points)", "Perte val (nats)"
    columns = ("Run", "LR", "WD", "Hyp-A (dilatation)", "Hyp-B (blocs)", score, spread, loss)
    note = f"Étendue : des deux dernières époques. {words.capital(noise_note(grid))}."
    options = {"percent": [score], "digits": {loss: 3, spread: 1}, "missing": DASH}
    options["note"] = words.typeset(note)
    return frame((*columns, "Notes"), rows, ranked=True, **options)


refined = grid  # the same columns


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
        f"ce facteur ; intervalles de Student à {pct(search.LEVEL, 0)}, pris un à un. Les deux "
        "runs d’une paire partagent graine et images : l’intervalle parle d’elles, non d’un autre "
        "entraînement, et un sommet entre les deux valeurs n’y paraît pas. En hausse : paires où "
        "la plus grande valeur donne davantage."
    )
    columns = ("Facteur", "Mesure", "Effet (points)", "En hausse")
    return frame(columns, rows, note=words.typeset(note))


def comparison(found: search.Comparisons) -> pd.DataFrame:
    """List the overlaid trials, factor by factor; accuracies are fractions in [0, 1].

    ``Écart train − val`` is text, in points, mean of the last two epochs.
    """
    rows = []
    for one in found.comparisons:
        for curve in one.curves:
            place = (words.FACTORS[one.factor], words.factor_value(one.factor, curve.value))
            scores = (curve.first_val_accuracy, curve.score, curve.last_val_loss)
            rows.append((*place, *scores, signe(curve.gap)))
    percent = ["Val, époque 1", "Val, deux dernières"]
    columns = ("Facteur", "Valeur", *percent, "Perte val (nats)", "Écart train − val")
    return frame(columns, rows, percent=percent)


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
        ("Images d’entraînement", nombre(fit.train_images), "données"),
        ("Paramètres du réseau", nombre(fit.parameters), "architecture"),
        ("Optimiseur", "Adam, pas constant", "protocole"),
    ]
    return frame(("Hyperparamètre", "Valeur", "Origine"), rows)


def history(training: search.Training) -> pd.DataFrame:
    """List the epochs: losses in nats, accuracies as fractions in [0, 1], time in seconds."""
    columns = {
        "Époque": "epoch",
        "Perte train (nats)": "train_loss",
        "Perte val (nats)": "val_loss",
        "Exactitude train": "train_accuracy",
        "Exactitude val": "val_accuracy",
        "Norme du gradient": "grad_norm",
        "Durée (s)": "seconds",
    }
    rows = [[getattr(one, name) for name in columns.values()] for one in training.fit.epochs]
    best, percent = training.fit.best.epoch, ["Exactitude train", "Exactitude val"]
    rows = [(*row, "meilleure" if row[0] == best else "") for row in rows]
    return frame((*columns, "Note"), rows, percent=percent, digits={"Durée (s)": 1})


def recipe_scores(found: comparisons.Recipes | None) -> pd.DataFrame | None:
    """List validation and test accuracy of each training of a recipe; cells are text."""
    if found is None:
        return None
    columns = {
        "Validation, recette": lambda run: run.val_accuracy,
        "Test, une vue": lambda run: run.plain.accuracy,
        "Test, recette": lambda run: run.scored.accuracy,
    }
    several = [("standard", run) for run in found.runs]
    note = f"n = {nombre(found.first.plain.n)} images de test dans le découpage standard"
    if found.spatial:
        several.append(("spatial", found.spatial))
        note += f", {nombre(found.spatial.plain.n)} dans le spatial"
    rows = []
    for split, run in several:
        cells = [pct(read(run), 2) for read in columns.values()]
        cells += [intervalle(run.scored.interval, 2), duree(run.fit.seconds)]
        rows.append((f"{split}, graine {run.fit.seed}", *cells))
    if len(found.runs) > 1:
        sums = [found.summary([read(run) for run in found.runs]) for read in columns.values()]
        seconds = duree(statistics.fmean(run.fit.seconds for run in found.runs))
        rows.insert(len(found.runs), (*_over(found.runs, sums), _bounds(sums[-1]), seconds))
    heads = ("Découpage", *columns, _level(found.level), "Calcul")
    return frame(heads, rows, note=f"{note}. Calcul : entraînement et validation.")


def recipe_steps(
    found: search.Ablation | None, whole: comparisons.Recipes | None = None
) -> pd.DataFrame | None:
    """List the validation accuracy after each step, and its gain over the one before.

    Args:
        found: the short trainings.
        whole: the recipe at its full length, for the last rows.
    """
    if found is None:
        return None
    rows, count = [], len(found.rows[0].fits)
    for row, gain in zip(found.rows, found.gains, strict=True):
        spread = pct(statistics.stdev(row.scores), 2) if count > 1 else DASH
        cells = ("divergé", DASH) if row.diverged else (pct(row.mean, 2), spread)
        change = (signe(gain[0], 2), in_points(gain[1:])) if gain else (DASH, DASH)
        rows.append((f"+ {row.name}" if rows else row.name, *cells, *change))
    if whole:
        images = nombre(whole.first.fit.train_images)
        name = f"recette entière, {len(whole.first.fit.epochs)} époques sur {images} images"
        scores = {name: [run.fit.val_accuracy for run in whole.runs]}
        if whole.first.averaged:
            name = f"+ moyenne des {whole.settings['views']} vues"
            scores[name] = [run.val_accuracy for run in whole.runs]
        rows += [(k, pct(statistics.fmean(v), 2), DASH, DASH, DASH) for k, v in scores.items()]
    epochs = [epoch for row in found.rows for fit in row.fits for epoch in fit.epochs]
    note = (
        f"Étapes : {nombre(found.epochs)} époques sur {nombre(found.train_images)} images de "
        f"{max((epoch.side for epoch in epochs), default=0)} pixels de côté, "
        f"{nombre(count)} graine{'s' if count > 1 else ''} chacune, "
        "dernière époque, une vue. Le gain d’une étape dépend de celles qui la précèdent"
    )
    if count == 1:
        note += " ; son intervalle dit l’aléa des images, non celui d’un autre entraînement"
    columns = ("Étape", "Validation", "Écart-type", "Gain", _level(found.level))
    table = frame(columns, rows, note=f"{note}.")
    return table if count > 1 else table.drop(columns="Écart-type")


def metrics(e: Evaluation) -> pd.DataFrame:
    """Lay test and validation scores side by side; cells are text."""
    n, right, level = e.n_validation, e.correct_validation, e.confidence_level
    val, bounds = e.val_accuracy, intervalle(wilson(right, n, level), 2)
    loss, loss_val, gap = (
        nombre(e.loss, 4),
        nombre(e.loss_validation, 4),
        in_points(e.gap_interval, 1),
    )
    rows = [
        ("Exactitude", pct(val, 2), pct(e.accuracy, 2), signe(e.accuracy - val, 2)),
        (_level(level), bounds, intervalle(e.interval, 2), gap),
        ("Perte (nats)", loss_val, loss, signe(e.loss - e.loss_validation, 4, "")),
        ("Macro-F1", DASH, pct(e.macro_f1, 2), DASH),
        ("Son intervalle (bootstrap)", DASH, intervalle(e.macro_f1_interval, 2), DASH),
        ("Erreurs", nombre(n - right), nombre(e.n - e.correct), DASH),
        ("Images", nombre(n), nombre(e.n), DASH),
    ]
    return frame(("Mesure", "Validation", "Test", "Test − validation"), rows)


def per_class(e: Evaluation) -> pd.DataFrame:
    """List precision, recall and F1 per class with their intervals, then their means, as text.

    ``Images`` and ``Erreurs`` count the test images of the class and those missed.
    """
    level, kinds, rows = e.confidence_level, ("precision", "recall", "f1"), []
    for one in e.per_class:
        cells = [_share(getattr(one, kind), one.interval(kind, level)) for kind in kinds]
        rows.append((one.name, *cells, nombre(one.support), nombre(one.support - one.hits)))
    means = [statistics.fmean(getattr(one, kind) for one in e.per_class) for kind in kinds]
    cells = [*map(_share, means[:2]), _share(means[2], e.macro_f1_interval)]
    rows.append(("MOYENNE (macro), TOTAL", *cells, nombre(e.n), nombre(e.n - e.correct)))
    note = (
        f"Entre crochets, les intervalles à {pct(level, 0)} : Wilson ; bootstrap pour la moyenne."
    )
    columns = ("Classe", "Précision (%)", "Rappel (%)", "F1 (%)", "Images", "Erreurs")
    return frame(columns, rows, note=note)


def _share(value: float, bounds: tuple[float, float] | None = None) -> str:
    """Write a share in per cent without the sign, and its interval: ``89,7 [87,0 ; 91,9]``."""
    text = nombre(100 * value, 1)
    return f"{text} {intervalle([100 * b for b in bounds], 1, '')}" if bounds else text


def confusions(e: Evaluation) -> pd.DataFrame:
    """List the ten most frequent confusions; shares in [0, 1]; a row of dashes without errors."""
    sizes, errors = {one.name: one.support for one in e.per_class}, e.n - e.correct
    rows = [(a, b, n, n / sizes[a], n / errors) for a, b, n in e.confusions()[:TOP]]
    shares = ["Part de la classe", "Part des erreurs"]
    columns = ("Classe vraie", "Classe prédite", "Images", *shares)
    return frame(columns, rows or [(DASH, DASH, 0, 0.0, 0.0)], percent=shares)


def look_alikes(errors: Errors) -> pd.DataFrame:
    """Count the errors within each family, against chance; cells are text."""
    found, total, rows = errors.look_alikes, max(errors.look_alikes.errors, 1), []
    for one in found.families:
        shares = (pct(one.errors / total), pct(one.expected / total))
        rows.append((one.name, ", ".join(one.classes), nombre(one.errors), *shares))
    share = f"{pct(found.within / total)} {intervalle(found.interval)}"
    rows.append(("ENSEMBLE", DASH, nombre(found.within), share, pct(found.chance)))
    columns = ("Famille", "Classes", "Erreurs internes", "Part des erreurs", "Part au hasard")
    return frame(columns, rows)


def calibration(errors: Errors) -> pd.DataFrame:
    """Lay the calibration before and after temperature scaling side by side; cells are text."""
    pair, level, found = (errors.before, errors.after), pct(errors.level, 0), errors.selection
    gain = f"{nombre(pair[0].nll - pair[1].nll, 4)} {intervalle(errors.gain_interval, 4, '')}"
    aurc = f"{nombre(found.aurc, 4)} ({nombre(found.aurc_ideal, 4)})"
    rows = [
        ("Température", "1", nombre(errors.temperature, 3)),
        ("Perte, NLL (nats)", *(nombre(r.nll, 4) for r in pair)),
        ("Sa baisse", DASH, gain),
        ("Score de Brier", *(nombre(r.brier, 4) for r in pair)),
        ("ECE (15 tranches)", *(pct(r.ece, 2) for r in pair)),
        (f"ECE d’un réseau calibré, quantile {level}", *(pct(r.ece_calibrated, 2) for r in pair)),
        ("Confiance moyenne − exactitude", *(signe(r.excess, 2) for r in pair)),
        (f"Son intervalle à {level}", *(in_points(r.excess_interval) for r in pair)),
        ("AURC, risque moyen (et idéal)", aurc, DASH),
    ]
    if found.auroc is not None:
        rows.append(("AUROC de la confiance, juste ou faux", nombre(found.auroc, 3), DASH))
    return frame(("Mesure sur le test", "Avant", "Après"), rows)


def robustness(found: Robustness) -> pd.DataFrame:
    """List accuracy and its paired change under views and corruptions; cells are text."""
    turned, (average,) = min(found.of("view")[1:], key=lambda t: t.correct), found.of("average")
    trials = [("vue la moins favorable", VIEWS[int(turned.strength)], turned)]
    trials.append(("moyenne des huit vues", DASH, average))
    for kind, (_, _, form) in CORRUPTIONS.items():
        for name, trial in zip(words.STRENGTHS, found.of(kind), strict=True):
            strength = f"{name}, {form.format(nombre(trial.strength))}"
            trials.append((words.CORRUPTION_NAMES[kind], strength, trial))
    plain = intervalle(wilson(found.correct, found.n, found.level))
    rows = [("telles quelles", DASH, f"{pct(found.correct / found.n)} {plain}", DASH)]
    for name, strength, trial in trials:
        accuracy, *bounds = found.accuracy(trial)
        change, *ends = (100 * value for value in found.change(trial))
        change = f"{signe(change, 1, '')} {intervalle(ends, 1, '')}"
        rows.append((name, strength, f"{pct(accuracy)} {intervalle(bounds)}", change))
    note = f"les intervalles à {pct(found.level, 0)} ; ceux du changement, appariés."
    return frame(
        ("Images", "Force", "Exactitude", "Changement (points)"),
        rows,
        note=f"Entre crochets, {note}",
    )


def finalists_on_test(found: comparisons.FinalistsOnTest) -> pd.DataFrame:
    """Set the two finalists side by side on the test images, as text; dashes without a pair."""
    columns = ("Finaliste", "Score (validation)", "Test", "Intervalle", "Juste seul")
    if not found.pair:
        return frame(columns, [("aucun : pas de recherche dans ce run", *[DASH] * 4)])
    alone, rows = (found.only_first, found.only_second), []
    for run, count in zip(found.pair, alone, strict=True):
        bounds = intervalle(wilson(run.correct, found.n, found.level), 2)
        cells = (pct(run.score, 2), pct(run.correct / found.n, 2), bounds, nombre(count))
        rows.append((run.hyperparameters.name, *cells))
    difference = signe((alone[0] - alone[1]) / found.n, 2)
    cells = (difference, in_points(found.interval), words.p_value(found.p_value))
    return frame(columns, [*rows, ("Différence", DASH, *cells)])


def seeds(found: comparisons.Seeds) -> pd.DataFrame:
    """List the test scores of each seed, then mean ± standard deviation; cells are text.

    Two seeds have no interval worth the name: Student's with one degree of freedom is 13 times
    as wide as their distance.
    """
    rows = []
    for run in found.runs:
        scores = [run.val_accuracy, run.accuracy, run.macro_f1]
        validation, test, f1 = (pct(score, 2) for score in scores)
        bounds = intervalle(run.interval, 2)
        rows.append((str(run.seed), str(run.epoch), validation, test, bounds, f1))
    rows += [(str(seed), DASH, "divergé", DASH, DASH, DASH) for seed in found.diverged]
    if found.several:
        facts = found.facts()
        name, test, f1 = _over(found.runs, [facts["accuracy"], facts["macro_f1"]])
        rows.append((name, DASH, DASH, test, _bounds(facts["accuracy"]), f1))
    columns = ("Graine", "Époque", "Validation", "Test", _level(found.level))
    return frame((*columns, "Macro-F1"), rows)


def spatial_seeds(found: comparisons.SpatialSeeds) -> pd.DataFrame | None:
    """List the same for the spatial split; ``None`` with less than two seeds on it."""
    return seeds(found) if found.several else None


def split_scores(found: comparisons.SplitComparison) -> pd.DataFrame | None:
    """Lay the scores on both splits side by side, as text; ``None`` without a second split."""
    if found.absent:
        return None
    a, b, (_, bounds) = found.standard, found.spatial, found.gap()
    own, other = (intervalle(found.interval(side), 2) for side in (a, b))
    gaps = [signe(side.accuracy - side.val_accuracy, 2) for side in (a, b)]
    images = f"Images de test, dont {nombre(found.common)} en commun"
    rows = [
        _beside("Exactitude au test", a.accuracy, b.accuracy),
        (_level(found.confidence_level), own, other, in_points(bounds)),
        _beside("Macro-F1 au test", a.macro_f1, b.macro_f1),
        _beside("Exactitude en validation", a.val_accuracy, b.val_accuracy),
        ("Test − validation", *gaps, DASH),
        (images, nombre(a.n), nombre(b.n), DASH),
        ("Époque retenue", str(a.epoch), str(b.epoch), DASH),
    ]
    return frame(("Mesure", "Standard", "Spatial", "Standard − spatial"), rows)


def _beside(name: str, one: float, other: float) -> tuple[str, ...]:
    return name, pct(one, 2), pct(other, 2), signe(one - other, 2)


def split_classes(found: comparisons.SplitComparison) -> pd.DataFrame | None:
    """List the recall of each class on both splits, the largest drop first; cells are text."""
    if found.absent:
        return None
    rows, level = [], found.class_level
    missing = [pair for pair in found.classes if not pair.complete]
    for pair in [*sorted(found.complete, key=lambda p: -p.drop(level)[0]), *missing]:
        counts = ((pair.hits_standard, pair.n_standard), (pair.hits_spatial, pair.n_spatial))
        recalls = [f"{pct(k / n)} (n\u00a0=\u00a0{nombre(n)})" if n else DASH for k, n in counts]
        cells = (DASH, DASH, "non comparable")
        if pair.complete:
            drop, (low, high) = pair.drop(level)
            verdict = "baisse" if low > 0 else "hausse" if high < 0 else "indécis"
            cells = (signe(drop), in_points((low, high), 1), verdict)
        rows.append((pair.name, *recalls, *cells))
    columns = ("Classe", "Rappel standard", "Rappel spatial", "Standard − spatial")
    return frame((*columns, "Intervalle simultané", "Verdict"), rows)


def environment(config: Config) -> pd.DataFrame:
    """List the versions, then each finished stage with its device and time; cells are text."""
    rows = []
    for name, value in describe_environment().items():
        kind = "Machine" if name in ("system", "cores") else "Version"
        rows += [(kind, words.ELEMENTS.get(name, name), value)] if value else []
    for name, origin in _finished(config).items():
        where = f"{duree(origin['seconds'])} ({origin['device']}, {origin['precision']})"
        rows.append(("Étape", name, where))
    return frame(("Rubrique", "Élément", "Valeur"), rows)


def durations(config: Config) -> pd.DataFrame:
    """List the ``LONGEST`` finished stages that took longest, the others together, and the sum."""
    times = [(name, origin["seconds"]) for name, origin in _finished(config).items()]
    times.sort(key=lambda item: -item[1])
    total, rest = sum(seconds for _, seconds in times), times[LONGEST:]
    rows = times[:LONGEST]
    if rest:
        label = f"{len(rest)} autre" + ("s" if len(rest) > 1 else "")
        rows.append((label, sum(seconds for _, seconds in rest)))
    cells = [(name, duree(s), s / max(total, 1e-9)) for name, s in [*rows, ("TOTAL", total)]]
    return frame(("Étape", "Durée", "Part"), cells, percent=["Part"], digits=0)


def _finished(config: Config) -> dict[str, dict[str, Any]]:
    """Return the origin of each published result, in the order in which they were begun."""
    paths = sorted((config.paths.artifacts / "results").glob("*.json"))
    found = [(path.stem, (read_json(path) or {}).get("provenance")) for path in paths]
    known = [(name, origin) for name, origin in found if origin]
    return dict(sorted(known, key=lambda item: item[1].get("started", "")))


def openings(config: Config) -> pd.DataFrame:
    """List each opening of the test split in this run, in order, and its role; cells are text."""
    rows = []
    for one in read_csv(config.paths.artifacts / "test_openings.csv"):
        time, name = (
            one["opened"].replace("T", " ").replace("+00:00", " UTC"),
            one["configuration"],
        )
        if one["role"] == "recipe" and one.get("views"):
            name += "" if one["split"] == "standard" else f", {one['split']}"
            name += ", " + words.plural(int(one["views"]), "vue")
        cells = (one["seed"], one["epoch"], one["sha256"][:DIGITS], nombre(int(one["images"])))
        rows.append((time, words.ROLES.get(one["role"], DASH), name, *cells))
    columns = ("Ouverture", "Rôle", "Configuration", "Graine", "Époque")
    return frame((*columns, "SHA-256 (début)", "Images"), rows)


def artifacts(config: Config) -> pd.DataFrame:
    """List the files of the run and its TensorBoard folders; cells are text.

    A file has the first 12 digits of its SHA-256; a folder says how many runs it holds.
    """
    name, rows = f"{config.paths.name}/" if config.paths.name else "", []
    for path in sorted(p for p in config.paths.artifacts.glob("[!.]*") if p.is_file()):
        size = words.taille(path.stat().st_size)
        rows.append((f"artifacts/{name}{path.name}", size, sha256(path)[:DIGITS]))
    for path in sorted(p for p in config.paths.runs.glob("*") if p.is_dir()):
        if events := list(path.rglob("events.*")):
            size = words.taille(sum(event.stat().st_size for event in events))
            runs = words.plural(len({event.parent for event in events}), "run")
            rows.append((f"runs/{name}{path.name}/", size, runs))
    return frame(("Fichier ou dossier", "Taille", "SHA-256 (début) ou contenu"), rows)
