"""Every table of the report: a DataFrame with French headings.

Numbers stay numbers where a column is of one kind, else cells are text; ``attrs`` holds what
``cells.table`` needs to write them.
"""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from eurosat_lib import french, search
from eurosat_lib.audit import FAINT, SAME, SATURATED, SMALLEST, Audit, Overlaps
from eurosat_lib.checks import Architecture
from eurosat_lib.config import Config
from eurosat_lib.evaluation import Errors, Evaluation
from eurosat_lib.files import read_csv
from eurosat_lib.french import ecart, intervalle, nombre, pct, plural, power, signe, typeset
from eurosat_lib.lr_finder import LRFinder
from eurosat_lib.recipes import Ablation, Recipes
from eurosat_lib.stats import FEWEST, LEVEL, summarise_seeds
from eurosat_lib.trainings import Seeds, SplitComparison

DASH = "—"
BRACKETS = f"Entre crochets, les intervalles à {pct(LEVEL, 0)}."
READINGS = (
    "Plus forte pente : où la perte lissée baisse le plus vite ; vallée : aux deux tiers de "
)
READINGS += "sa plus longue descente ; minimum / 10 : le dixième du LR de perte minimale."
ROLES = {  # of a tested checkpoint
    "final": "entraînement final",
    "given": "checkpoint donné",
    "seed": "autre graine",
    "spatial": "découpage spatial",
    "recipe": "recette",
}


def frame(columns: Iterable, rows: Iterable, note: str = "", **options: Any) -> pd.DataFrame:
    """Build a table; its options are in ``attrs``."""
    table = pd.DataFrame(list(rows), columns=list(columns))
    table.attrs = {"note": typeset(note)} | options
    return table


def share(value: float, bounds: Sequence[float]) -> str:
    """Write a share and its interval: ``89,17 % [88,31 % ; 89,97 %]``."""
    return f"{pct(value, 2)} {intervalle(bounds, 2)}"


def mean_and_spread(values: Sequence[float]) -> str:
    """Write the mean of one share per seed; of three, ± standard deviation, and its interval."""
    mean, sd, low, high = summarise_seeds(values).values()
    spread = "" if low is None else f" ± {nombre(100 * sd, 2)} {intervalle((low, high), 2)}"
    return f"{pct(mean, 2)}{spread}"


def findings(audit: Audit, overlaps: Overlaps) -> pd.DataFrame:
    """List what was looked for, how often it is there (share of all images), what follows."""
    total, side, shared = sum(audit.sizes.values()), audit.image_shape[1], overlaps.facts()
    reach = f"{pct(shared['test_images'] / max(audit.sizes['test'], 1), 2)} du test"
    faint = f"Presque unie (écart-type < {nombre(FAINT)} sur 255)"
    rows = [  # what, cases, of how many, what follows where there are any
        (f"Décodée, RGB, {side} × {side} pixels", total, total, "rien à redimensionner"),
        ("Pixels identiques à une autre", audit.duplicates, total, "image vue deux fois"),
        ("Groupes identiques, sur plusieurs splits", audit.duplicates_across, 0, "fuite directe"),
        ("Paires qui se chevauchent", shared["found"], 0, "terrain vu deux fois"),
        ("Chevauchements sur deux splits", shared["across"], 0, reach),
        ("Chevauchements, deux étiquettes", shared["relabelled"], 0, "étiquette ambiguë"),
        ("Sans aucune donnée (noire)", audit.black, total, "le réseau n’en apprend rien"),
        ("Au moins un pixel sans donnée", audit.nodata, total, "bord à masquer"),
        ("D’une seule couleur", audit.flat, total, "ni forme ni texture"),
        (faint, audit.faint, total, "seule la couleur moyenne informe"),
        (f"Plus de {pct(SATURATED, 0)} des valeurs à 255", audit.saturated, total, "détail perdu"),
    ]
    rows = [(what, n, n / of if of else None, so if n else "rien") for what, n, of, so in rows]
    columns = ("Contrôle", "Cas", "Part", "Pour l’entraînement")
    note = (
        f"Deux images se chevauchent si elles ont en commun {pct(SMALLEST, 0)} de la vignette au "
    )
    note += f"moins, à une corrélation d’au moins {nombre(SAME)}."
    return frame(columns, rows, note, percent=["Part"], digits={"Part": 3})


def layers(arch: Architecture) -> pd.DataFrame:
    """List the layers in order; ``MAC``: multiply-accumulate operations for one image."""
    rows = [
        (one.name, one.kind, one.detail, str(tuple(one.output_shape)), one.parameters, one.macs)
        for one in arch.layers
    ]
    total = (arch.found["parameters"], sum(one.macs for one in arch.layers))
    columns = ("Nom", "Couche", "Détail", "Sortie", "Paramètres", "MAC")
    return frame(columns, [*rows, ("TOTAL", "", "", "", *total)])


def variants(arch: Architecture) -> pd.DataFrame:
    """List the networks of the grid: size, receptive field, work for one training image."""
    columns = ("Blocs par étage", "Dilatation", "Paramètres", "Tenseurs", "Champ réceptif (px)")
    work = "GFLOP par image (entraînement)"
    keys = ("blocks_per_stage", "dilation_stage3", "parameters", "tensors", "receptive_field")
    rows = [[one[key] for key in (*keys, "gflop")] for one in arch.found["variants"]]
    return frame((*columns, work), rows, digits={work: 3})


def faults(r: LRFinder) -> str:
    """Say, seed by seed, why the sweeps support no suggestion; empty if all do."""
    return " ; ".join(f"graine {s.seed}, {french.FAULTS[s.fault]}" for s in r.sweeps if s.fault)


def lr_rules(r: LRFinder) -> pd.DataFrame:
    """List each rule's suggestion per seed, its median and spread, then the choice, as text."""
    rows = []
    for rule, label in french.RULES.items():
        found = [sweep.suggestions.get(rule) for sweep in r.sweeps]
        cells = [power(rate, 1) if rate else DASH for rate in found]
        rows.append((label, *cells, *_summary(found)))
    rows.append(("médiane de toutes", *[""] * len(r.sweeps), *_summary(r.suggestions)))
    heads = [f"Graine {sweep.seed}" for sweep in r.sweeps]
    note = READINGS + (f" Sans suggestion : {faults(r)}." if faults(r) else "")
    return frame(("Règle", *heads, "Médiane", "Étendue (facteur)"), rows, note=note)


def _summary(rates: list[float | None]) -> tuple[str, str]:
    """Write the median of some rates, and how far they lie apart; one missing, there is none."""
    if not rates or None in rates:
        return DASH, DASH
    return power(statistics.median(rates), 1), nombre(max(rates) / min(rates), 1)


def grid(grid: search.GridSearch) -> pd.DataFrame:
    """Rank the trials by score, under the course template's columns."""
    rows = []
    for fit in grid.ranking:
        point, cells, said = fit.hyperparameters, (None, None, None), ""
        if fit.diverged:
            said = f"diverge à l’époque {len(fit.epochs) + 1}"
        else:
            spread = 100 * search.MEASURES["spread"](fit) if len(fit.epochs) > 1 else None
            cells = (fit.score, spread, fit.last.val_loss)
            if fit == grid.best_by_epoch:
                said = f"meilleure époque ({pct(fit.best.val_accuracy)})"
        values = [french.factor_value(factor, getattr(point, factor)) for factor in search.FACTORS]
        rows.append((point.name, *values, *cells, said))
    score, loss = "Métrique val (exactitude)", "Perte val (nats)"
    spread = "Écart final (points)"
    columns = ("Run", "LR", "WD", "Hyp-A (dilatation)", "Hyp-B (blocs)", score, spread, loss)
    note = "Écart final : entre les deux dernières époques. Une seule graine par point : ce rang "
    note += "peut changer avec une autre ; les finalistes "
    note += "(section 6) sont revus avec de nouvelles graines."
    digits = {loss: 3, spread: 1}
    table = frame((*columns, "Notes"), rows, percent=[score], digits=digits, note=note)
    table.index = pd.RangeIndex(1, len(table) + 1, name="Rang")
    return table


def finalists(result: search.Finalists) -> pd.DataFrame:
    """List the finalists over their new seeds: mean, spread, distance to the leader."""
    rows, percent, spread = [], ["Score en grille", "Moyenne"], "Écart-type (points)"
    for one in result.ranking:
        lead, bounds = result.lead(one)
        behind = ecart(-lead, bounds and (-bounds[1], -bounds[0]))
        cells = (one.selected, one.score, one.sd and 100 * one.sd, len(one.fits))
        if any(fit.diverged for fit in one.fits):
            cells, behind = (one.selected, None, None, len(one.fits)), "divergé"
        name, origin = one.hyperparameters.name, french.ORIGINS[one.origin]
        rows.append((name, origin, *cells, behind if rows else "retenu"))
    seeds = french.liste([fit.seed for fit in result.leader.fits])
    note = f"Graines {seeds}, qui n’ont pas servi à choisir les finalistes ; "
    note += "l’écart est apparié par graine. Entre crochets, les intervalles à "
    note += f"{pct(result.level, 0)}."
    columns = ("Finaliste", "Origine", *percent, spread, "n", "Écart au premier")
    return frame(columns, rows, note, percent=percent, digits={spread: 1})


def recipe_scores(found: Recipes) -> pd.DataFrame:
    """List the test scores of a recipe, seed by seed: see `seeds`."""
    return seeds(Seeds(runs=[run.scored for run in found.runs]))


def recipe_steps(found: Ablation) -> pd.DataFrame:
    """List mean validation accuracy and gain of each step of a recipe; cells are text."""
    rows, count = [], len(found.fits[0])
    parts = zip(found.steps, found.fits, found.scores(), found.gains(), strict=True)
    for step, fits, scores, gain in parts:
        score = mean_and_spread(scores) if count > 1 else pct(scores[0], 2)
        if any(fit.diverged for fit in fits):
            score = "divergé"
        change = ecart(gain[0], gain[1:], 2) if gain else DASH
        rows.append((f"+ {step}" if rows else step, score, change))
    note = f"Étapes : {nombre(found.epochs)} époques sur {nombre(found.train_images)} images, "
    note += f"{plural(count, 'graine')} chacune, dernière époque, une vue. Le gain d’une étape "
    note += "dépend de celles qui la précèdent ; à moins de trois graines, son intervalle ne dit "
    note += f"que l’aléa des images. {BRACKETS}"
    return frame(("Étape", "Validation", "Gain"), rows, note)


def metrics(e: Evaluation) -> pd.DataFrame:
    """Lay test and validation scores side by side; cells are text."""
    n, right = e.n_validation, e.correct_validation
    known, said = pct(e.val_accuracy, 2), share(e.accuracy, e.interval)  # chosen: no interval
    losses = [nombre(loss, 4) for loss in (e.loss_validation, e.loss)]
    rows = [
        ("Exactitude", known, said, ecart(e.accuracy - e.val_accuracy, e.gap_interval, 2)),
        ("Perte (nats)", *losses, signe(e.loss - e.loss_validation, 4, "")),
        ("Macro-F1", DASH, share(e.macro_f1, e.macro_f1_interval), DASH),
        ("Erreurs", n - right, e.n - e.correct, DASH),
        ("Images", n, e.n, DASH),
    ]
    return frame(("Mesure", "Validation", "Test", "Test − validation"), rows, BRACKETS)


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
    note = f"Intervalles de Wilson ; pour la moyenne, du bootstrap. {BRACKETS}"
    columns = ("Classe", "Précision (%)", "Rappel (%)", "F1 (%)", "Images", "Erreurs")
    return frame(columns, rows, note)


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
    excess = (ecart(one["excess"], one["excess_interval"], 2) for one in pair)
    rows = [
        ("Température", "1", nombre(errors.temperature, 3)),
        ("Perte, NLL (nats)", *(nombre(one["nll"], 4) for one in pair)),
        ("Score de Brier", *(nombre(one["brier"], 4) for one in pair)),
        ("ECE (15 tranches)", *(pct(one["ece"], 2) for one in pair)),
        ("Confiance moyenne − exactitude", *excess),
    ]
    return frame(("Mesure sur le test", "Avant", "Après"), rows, BRACKETS)


def seeds(found: Seeds) -> pd.DataFrame:
    """List the test scores of each seed, then mean ± standard deviation; cells are text."""
    rows, scores = [], [(run.accuracy, run.macro_f1) for run in found.runs]
    for run in found.runs:
        test, f1 = share(run.accuracy, run.interval), pct(run.macro_f1, 2)
        rows.append((str(run.seed), run.epoch, pct(run.val_accuracy, 2), test, f1))
    rows += [(str(seed), DASH, "divergé", DASH, DASH) for seed in found.diverged]
    if len(scores) > 1:
        means = (mean_and_spread(column) for column in zip(*scores, strict=True))
        what = "moyenne ± écart-type" if len(scores) >= FEWEST else "moyenne"
        rows.append((f"{what} (n = {len(scores)})", DASH, DASH, *means))
    columns = ("Graine", "Époque", "Validation", "Test", "Macro-F1")
    return frame(columns, rows, BRACKETS)


def split_scores(found: SplitComparison) -> pd.DataFrame | None:
    """Lay the scores on both splits side by side, as text; ``None`` without a second split."""
    if found.absent:
        return None
    one, other = found.standard, found.spatial
    tests = (share(side.accuracy, side.interval) for side in (one, other))
    pairs = {"Macro-F1 sur le test": (one.macro_f1, other.macro_f1)}
    pairs["Exactitude en validation"] = (one.val_accuracy, other.val_accuracy)
    rows = [("Exactitude sur le test", *tests, ecart(*found.gap(), 2))]
    rows += [(name, pct(a, 2), pct(b, 2), signe(a - b, 2)) for name, (a, b) in pairs.items()]
    rows.append((f"Images de test ({nombre(found.common)} en commun)", one.n, other.n, DASH))
    columns = ("Mesure", "Standard", "Spatial", "Standard − spatial")
    return frame(columns, rows, BRACKETS)
