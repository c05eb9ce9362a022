"""Tables of notebook 07: scores, errors, robustness, seeds, both splits, and what the run left."""

from __future__ import annotations

import statistics

import pandas as pd

from eurosat_lib import comparisons
from eurosat_lib import french as words
from eurosat_lib.calibration import Errors
from eurosat_lib.checkpoint import sha256
from eurosat_lib.config import Config
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.explain import CORRUPTIONS, VIEWS, Robustness
from eurosat_lib.files import read_csv, read_json
from eurosat_lib.french import duree, in_points, intervalle, nombre, pct, signe
from eurosat_lib.runtime import describe_environment
from eurosat_lib.stats import wilson
from eurosat_lib.tables.frame import DASH, MEAN, frame, interval_at, mean_and_spread

TOP = 10  # confusions listed
DIGITS = 12  # of a SHA-256: enough to tell files apart
ELEMENTS = {"python": "Python", "torch": "PyTorch", "cuda": "CUDA", "numpy": "NumPy"}
MACHINE = {"system": "Système", "cores": "Cœurs"}
ROLES = {  # of a tested checkpoint
    "final": "entraînement final",
    "given": "checkpoint donné",
    "finalist": "finaliste",
    "seed": "autre graine",
    "spatial": "découpage spatial",
    "recipe": "recette",
}


def metrics(e: Evaluation) -> pd.DataFrame:
    """Lay test and validation scores side by side; cells are text."""
    n, right, val = e.n_validation, e.correct_validation, e.val_accuracy
    bounds = [intervalle(b, 2) for b in (wilson(right, n, e.confidence_level), e.interval)]
    losses = [nombre(loss, 4) for loss in (e.loss_validation, e.loss)]
    rows = [
        ("Exactitude", pct(val, 2), pct(e.accuracy, 2), signe(e.accuracy - val, 2)),
        (interval_at(e.confidence_level), *bounds, in_points(e.gap_interval, 1)),
        ("Perte (nats)", *losses, signe(e.loss - e.loss_validation, 4, "")),
        ("Macro-F1", DASH, pct(e.macro_f1, 2), DASH),
        ("Son intervalle (bootstrap)", DASH, intervalle(e.macro_f1_interval, 2), DASH),
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
    means = [statistics.fmean(getattr(one, kind) for one in e.per_class) for kind in kinds]
    cells = [*map(_share, means[:2]), _share(means[2], e.macro_f1_interval)]
    rows.append(("MOYENNE (macro), TOTAL", *cells, e.n, e.n - e.correct))
    note = f"Entre crochets, les intervalles à {pct(level, 0)} : "
    columns = ("Classe", "Précision (%)", "Rappel (%)", "F1 (%)", "Images", "Erreurs")
    return frame(columns, rows, note=f"{note}Wilson ; bootstrap pour la moyenne.")


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
    """Count the errors within each family, against chance."""
    found, total, rows = errors.look_alikes, max(errors.look_alikes.errors, 1), []
    for one in found.families:
        shares = (pct(one.errors / total), pct(one.expected / total))
        rows.append((one.name, ", ".join(one.classes), one.errors, *shares))
    share = f"{pct(found.within / total)} {intervalle(found.interval)}"
    rows.append(("ENSEMBLE", DASH, found.within, share, pct(found.chance)))
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
        for word, trial in zip(("faible", "moyen", "fort"), found.of(kind), strict=True):
            strength = f"{word}, {form.format(nombre(trial.strength))}"
            trials.append((words.CORRUPTION_NAMES[kind], strength, trial))
    plain = intervalle(wilson(found.correct, found.n, found.level))
    rows = [("telles quelles", DASH, f"{pct(found.correct / found.n)} {plain}", DASH)]
    for name, strength, trial in trials:
        accuracy, *bounds = found.accuracy(trial)
        change, *ends = found.change(trial)
        change = f"{words.points(change)} {intervalle([100 * end for end in ends], 1, '')}"
        rows.append((name, strength, f"{pct(accuracy)} {intervalle(bounds)}", change))
    note = (
        f"Entre crochets, les intervalles à {pct(found.level, 0)} ; ceux du changement, appariés."
    )
    return frame(("Images", "Force", "Exactitude", "Changement (points)"), rows, note=note)


def finalists_on_test(found: comparisons.FinalistsOnTest) -> pd.DataFrame:
    """Set the two finalists side by side on the test images, as text; dashes without a pair."""
    columns = ("Finaliste", "Score (validation)", "Test", "Intervalle", "Seul à avoir raison")
    if not found.pair:
        return frame(columns, [("aucun : pas de recherche dans ce run", *[DASH] * 4)])
    alone, rows = (found.only_first, found.only_second), []
    for run, count in zip(found.pair, alone, strict=True):
        bounds = intervalle(wilson(run.correct, found.n, found.level), 2)
        scores = (pct(run.score, 2), pct(run.correct / found.n, 2))
        rows.append((run.hyperparameters.name, *scores, bounds, count))
    difference = signe((alone[0] - alone[1]) / found.n, 2)
    tested = (difference, in_points(found.interval), words.p_value(found.p_value))
    return frame(columns, [*rows, ("Différence", DASH, *tested)])


def seeds(found: comparisons.Seeds) -> pd.DataFrame:
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


def spatial_seeds(found: comparisons.SpatialSeeds) -> pd.DataFrame | None:
    """List the same for the spatial split; ``None`` with less than two seeds on it."""
    return seeds(found) if found.several else None


def split_scores(found: comparisons.SplitComparison) -> pd.DataFrame | None:
    """Lay the scores on both splits side by side, as text; ``None`` without a second split."""
    if found.absent:
        return None
    sides, (_, bounds) = (found.standard, found.spatial), found.gap()
    gaps = [signe(side.accuracy - side.val_accuracy, 2) for side in sides]
    own = [intervalle(side.interval, 2) for side in sides]
    images = f"Images de test, dont {nombre(found.common)} en commun"
    rows = [
        ("Exactitude au test", *_beside(*(side.accuracy for side in sides))),
        (interval_at(found.confidence_level), *own, in_points(bounds)),
        ("Macro-F1 au test", *_beside(*(side.macro_f1 for side in sides))),
        ("Exactitude en validation", *_beside(*(side.val_accuracy for side in sides))),
        ("Test − validation", *gaps, DASH),
        (images, *(side.n for side in sides), DASH),
        ("Époque retenue", *(side.epoch for side in sides), DASH),
    ]
    return frame(("Mesure", "Standard", "Spatial", "Standard − spatial"), rows)


def _beside(one: float, other: float) -> tuple[str, ...]:
    return pct(one, 2), pct(other, 2), signe(one - other, 2)


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
    """List the versions, then each finished stage, in order, with its time and device, as text."""
    rows, names = [], ELEMENTS | MACHINE
    for name, value in describe_environment().items():
        kind = "Machine" if name in MACHINE else "Version"
        rows += [(kind, names.get(name, name), value)] if value else []
    paths = sorted((config.paths.artifacts / "results").glob("*.json"))
    found = {path.stem: (read_json(path) or {}).get("provenance") for path in paths}
    known = [(name, origin) for name, origin in found.items() if origin]
    for name, origin in sorted(known, key=lambda item: item[1].get("started", "")):
        where = f"{duree(origin['seconds'])} ({origin['device']}, {origin['precision']})"
        rows.append(("Étape", name, where))
    return frame(("Rubrique", "Élément", "Valeur"), rows)


def openings(config: Config) -> pd.DataFrame:
    """List each opening of the test split in this run, in order, and its role; cells are text."""
    rows = []
    for one in read_csv(config.paths.artifacts / "test_openings.csv"):
        time = one["opened"].replace("T", " ").replace("+00:00", " UTC")
        name = one["configuration"]
        if one["role"] == "recipe" and one.get("views"):
            name += "" if one["split"] == "standard" else f", {one['split']}"
            name += ", " + words.plural(int(one["views"]), "vue")
        cells = (one["seed"], one["epoch"], one["sha256"][:DIGITS], int(one["images"]))
        rows.append((time, ROLES.get(one["role"], DASH), name, *cells))
    columns = ("Ouverture", "Rôle", "Configuration", "Graine", "Époque")
    return frame((*columns, "SHA-256 (début)", "Images"), rows)


def artifacts(config: Config) -> pd.DataFrame:
    """List the files of the run (start of the SHA-256) and its TensorBoard folders (runs)."""
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
