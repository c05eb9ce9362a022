"""Interactive views for JupyterLab, each one line of a notebook cell tagged ``exploration``.

A view is a function of a few values that returns HTML; ``ipywidgets`` makes its controls of it.
While a report is built, it is one line of text.
"""

from __future__ import annotations

import base64
import html
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from scipy.special import softmax

from eurosat_lib import french, jobs, protocol, trainings
from eurosat_lib.audit import Overlaps, measure
from eurosat_lib.classifier import Classifier, read_picture
from eurosat_lib.config import Config
from eurosat_lib.data import SIDE, EuroSAT, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, Predictions
from eurosat_lib.french import SPLITS, nombre, pct, plural, power, typeset
from eurosat_lib.lr_finder import LRFinder, smooth, suggest
from eurosat_lib.plots import style
from eurosat_lib.plots.training import history, lr_sweep, run_curves
from eurosat_lib.progress import BUILT
from eurosat_lib.runtime import Runtime, epoch_generator
from eurosat_lib.search import GridSearch
from eurosat_lib.stages import latest
from eurosat_lib.stats import wilson
from eurosat_lib.tables import faults
from eurosat_lib.tracking import TRAINING_TAGS, read_run
from eurosat_lib.transforms import Augmentation, get_augmentation_transforms

REST = 10.0  # times what drawing a live curve takes: training has the rest
ELSEWHERE = "Vue interactive : exécuter cette cellule dans JupyterLab."
CAUTION = "Toute image reçoit une classe ; n’a de sens qu’une vue du ciel à 10 m par pixel."
TILE, PAGE, DRAWS = 96, 24, 11  # pixels of an image; images of a page, of an augmentation
ALL, OVERLAPPING, MEDIAN = "toutes", "se chevauchent", "median"
FINDINGS = {"presque unies": "faint", "saturées": "saturated", "pixels sans donnée": "nodata"}


def view(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make a view of a function that returns a widget: one line while a report is built."""

    @wraps(make)
    def show(*results: Any) -> Any:
        """Make the view; in a report it is a line of text."""
        if os.environ.get(BUILT):
            return print(typeset(ELSEWHERE))
        try:
            return make(*results)
        except UserError as error:
            return print(typeset(f"Vue interactive indisponible : {error}"))

    return show


def interact(show: Callable[..., Any], **controls: Any) -> Any:
    """Show what a function makes of its controls' values, again after each change."""

    def say(**values: Any) -> None:
        found = show(**values)
        display(HTML(found) if isinstance(found, str) else found)

    moved = w.interactive(say, **controls)
    for control in moved.kwargs_widgets:
        control.layout.width, control.style.description_width = "480px", "120px"
    return moved


def img(png: bytes, alt: str, look: str) -> str:
    """Write a PNG file as an HTML image, ``look`` its style."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alt)}" style="{look}" src="data:image/png;base64,{data}">'


def picture(figure: Figure) -> str:
    """Write a figure as an HTML image."""
    alt = figure.get_label()
    return img(style.save(figure, "png", dpi=style.DPI), alt, "max-width:100%;background:white")


def curves() -> None:
    """Have the trainings of this notebook draw their curves below the running cell.

    They are drawn from the events of the run, so that a training which goes on after the stop
    button shows its earlier epochs as well. Nothing while a report is built.
    """
    if "ipykernel" in sys.modules and BUILT not in os.environ:
        jobs.watchers[:] = [_curve]


def _curve(folder: Path) -> Callable[[bool], None]:
    shown, due = display(HTML(""), display_id=True), 0.0

    def draw(last: bool) -> None:
        """Draw the curve again, not more often than the pace allows."""
        nonlocal due
        begun = time.monotonic()
        if begun < due and not last:
            return
        with suppress(Exception):  # a picture that fails stops no training
            rows = pd.DataFrame(read_run(folder, TRAINING_TAGS)).rename(columns=TRAINING_TAGS)
            shown.update(HTML(picture(run_curves({"": rows}))))
        due = time.monotonic() + REST * (time.monotonic() - begun)

    return draw


def line(text: str) -> str:
    """Write a sentence, which may hold tags, with French spacing."""
    return f'<div class="line" style="line-height:1.4;margin:4px 0">{typeset(text)}</div>'


def gallery(images: Sequence[np.ndarray], captions: Sequence[str], height: int = TILE) -> str:
    """Lay images, uint8 (3, H, W) of one size, out in lines, each over its caption."""
    if not len(images):
        return line("Aucune image ne correspond à ce choix.")
    cells, width = [], height * images[0].shape[2] // images[0].shape[1]
    look = f"width:{width}px;height:{height}px;image-rendering:pixelated;display:block"
    for image, caption in zip(images, map(typeset, captions), strict=True):
        file = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0).copy()).save(file, "PNG", compress_level=1)
        text = html.escape(caption).replace("\n", "<br>")
        cells.append(f"<div>{img(file.getvalue(), caption, look)}{text}</div>")
    grid = f"display:grid;gap:10px;grid-template-columns:repeat(auto-fill,{width}px)"
    grid += ";font-size:11px;line-height:1.3;overflow-wrap:anywhere"
    return f'<div style="{grid}">{"".join(cells)}</div>'


@view
def browse(config: Config) -> Any:
    """Choose a split, a class and a finding; turn the pages. The test is not for looking at."""
    dataset, overlaps = load_dataset(config), latest(config, Overlaps)
    shown, pool = ("train", "validation"), ThreadPoolExecutor(1)
    measured = {k: pool.submit(measure, getattr(dataset, k).images) for k in shown}  # seconds

    def show(split: str, classe: str, constat: str) -> Any:
        """Show images of a split, class and finding."""
        labels = [k for k, name in enumerate(dataset.classes) if classe in (ALL, name)]
        if constat == OVERLAPPING:
            found = pairs(overlaps, split, labels)
        else:
            fits = np.isin(getattr(dataset, split).labels, labels)
            if constat in FINDINGS:
                fits &= measured[split].result()[FINDINGS[constat]]
            found = [[(split, row)] for row in np.flatnonzero(fits)]
        last = max(1, -(-len(found) // PAGE))
        page = w.IntSlider(min=1, max=last, description=f"page (sur {last})")
        return interact(lambda page: leaf(dataset, found, page), page=page)

    splits = {SPLITS[name]: name for name in shown}
    findings = [ALL, *FINDINGS, *([OVERLAPPING] if overlaps else [])]
    return interact(show, split=splits, classe=[ALL, *dataset.classes], constat=findings)


def pairs(overlaps: Overlaps, split: str, labels: Sequence[int]) -> list:
    """List overlapping pairs, two (split, row), that a split has part in; none of the test."""
    both = [(pair.first, pair.second) for pair in overlaps.pairs]
    asked = [two for two in both if any(t.split == split and t.label in labels for t in two)]
    found = [[(tile.split, tile.index) for tile in two] for two in asked]
    return [two for two in found if "test" not in dict(two)]


def leaf(dataset: EuroSAT, found: list, page: int) -> str:
    """Show a page, counted from 1, of images or pairs; the two of a pair stand side by side."""
    images, captions = [], []
    for tiles in found[PAGE * (page - 1) : PAGE * page]:
        parts = [(getattr(dataset, split), row) for split, row in tiles]
        images.append(np.concatenate([part.images[row] for part, row in parts], axis=2))
        captions.append("\n".join(part.names[row] for part, row in parts))
    count = plural(len(found), "paire" if found and len(found[0]) > 1 else "image")
    return line(f"{count}.") + gallery(images, captions)


@view
def augmentation(config: Config) -> Any:
    """Move every parameter of the augmentation and see one training image drawn again."""
    train, usual = load_dataset(config).train, get_augmentation_transforms(config)
    shares = ("flip_probability", "brightness", "contrast", "saturation")
    controls = {k: w.FloatSlider(getattr(usual, k), min=0, max=1, step=0.05) for k in shares}
    controls["crop_padding"] = w.IntSlider(usual.crop_padding, min=0, max=32)

    def show(image: int, tirage: int, **values: float) -> str:
        """Show an image and its draws with these amplitudes."""
        chosen = Augmentation(**vars(usual) | values)
        original = train.images[image * len(train) // 100]
        drawn = chosen.draw(DRAWS, epoch_generator(config.seed + tirage, 0))
        repeated = torch.from_numpy(np.repeat(original[None], DRAWS, axis=0)) / 255
        images = (chosen(repeated, drawn) * 255).round().clamp(0, 255).byte().numpy()
        captions = ["original", *(f"tirage {k + 1}" for k in range(DRAWS))]
        changed = ", ".join(f"{k}: {v:g}" for k, v in vars(chosen).items() if v != vars(usual)[k])
        advice = f"dans configs/config.yaml, section augment : {changed or 'rien à changer'}."
        return gallery([original, *images], captions) + line(f"Pour l’adopter, {advice}")

    numbers = {"image": w.IntSlider(min=0, max=99), "tirage": w.IntSlider(min=0, max=99)}
    return interact(show, **numbers, **controls)


@view
def sweep(config: Config, result: LRFinder) -> Any:
    """Read the sweep with another smoothing and rule; use that rate, or withdraw the choice."""
    use = w.Button(description="Utiliser ce LR", button_style="primary")
    undo, state = w.Button(description="Annuler le choix"), w.HTML()
    chosen: dict[str, Any] = {}

    def show(lissage: float, règle: str) -> str:
        """Read the sweep again with this smoothing and rule."""
        read = read_again(result, lissage, règle)
        chosen.update(lr=read.choice, rule=règle, smoothing=float(lissage))
        use.disabled = read.choice is None or config.grid.lr is not None
        lr = power(read.choice) if read.choice else f"aucun ({faults(read)})"
        return line(f"LR lu ainsi : <b>{lr}</b>.") + picture(lr_sweep(read))

    def tell(_: Any = None) -> None:
        """Say which rates notebook 05 will try."""
        points, origin = protocol.grid_points(config)
        rates = french.liste(map(power, sorted({point.lr for point in points})))
        state.value = line(f"<b>Le notebook 05 essaiera</b> {rates} ({french.ORIGINS[origin]}).")
        undo.disabled = protocol.chosen_lr(config) is None

    use.on_click(lambda _: tell(protocol.choose_lr(config, protocol.ChosenLR(**chosen))))
    undo.on_click(lambda _: tell(protocol.choose_lr(config, None)))
    steps = w.FloatSlider(result.smoothing, min=0, max=0.99, step=0.01)
    rules = {"médiane de toutes": MEDIAN} | {text: rule for rule, text in french.RULES.items()}
    tell()
    return w.VBox([interact(show, lissage=steps, règle=rules), w.HBox([use, undo]), state])


def read_again(result: LRFinder, smoothing: float, rule: str = MEDIAN) -> LRFinder:
    """Read the stored losses with another smoothing, by one rule or the median of all."""
    sweeps = []
    for one in result.sweeps:
        curve = smooth(np.array(one.loss), smoothing)
        rates, fault = suggest(np.array(one.lr), curve, one.ended)
        found = {k: v for k, v in rates.items() if rule in (MEDIAN, k)}
        values = {"smoothed": tuple(curve.tolist()), "suggestions": found, "fault": fault}
        sweeps.append(one.model_copy(update=values))
    return result.model_copy(update={"sweeps": tuple(sweeps), "smoothing": smoothing})


@view
def trials(config: Config, grid: GridSearch) -> Any:
    """Pick a trial, the best first, to see its curves beside those of the best."""
    trained = {f"{pct(fit.score)}   {fit.hyperparameters.name}": fit for fit in grid.ranking}

    def show(essai: str) -> str:
        """Lay the curves of a trial over those of the best."""
        fit = trained[essai]
        shown = {one.hyperparameters.name: history(one) for one in (grid.best, fit) if one.epochs}
        ended = f"divergé ({html.escape(fit.diverged)})" if fit.diverged else pct(fit.score)
        text = f"Score : {ended}, exactitude en validation, moyenne des deux dernières époques."
        return line(text) + picture(run_curves(shown))

    return interact(show, essai=w.Select(options=list(trained), rows=8))


@view
def confusion(config: Config, evaluation: Evaluation) -> Any:
    """Open the images behind a cell of the matrix by a click, or the worst errors of all."""
    dataset, found = load_dataset(config), trainings.kept_predictions(config, evaluation)
    worst = w.Button(description="Les pires, toutes classes", layout={"width": "auto"})
    grid, cells = board(evaluation)
    buttons, shown, opened = {worst: None} | cells, w.HTML(), [worst]

    def show(button: Any) -> None:
        """Open a cell of the matrix."""
        opened[0].layout.border = ""
        opened[0], button.layout.border = button, f"3px solid {style.ORANGE}"
        shown.value = opened_cell(dataset, found, buttons[button])

    for button in buttons:
        button.on_click(show)
    errors = {b: evaluation.confusion[t][p] for b, (t, p) in cells.items() if t != p}
    show(max(errors, key=errors.get))
    hint = w.HTML(line("Lignes : vraie classe ; colonnes : prédite. Cliquer sur un nombre."))
    return w.VBox([hint, grid, worst, shown])


def board(evaluation: Evaluation) -> tuple[Any, dict[Any, tuple[int, int]]]:
    """Lay the matrix out in buttons; return it, and each button's (true, predicted) class."""
    names, cells = evaluation.classes, {}
    small = '<div style="font-size:11px;line-height:1.15;overflow-wrap:anywhere">{}</div>'
    heads = [w.HTML(small.format(name)) for name in names]
    children = [w.HTML(), *heads]
    for truth, row in enumerate(evaluation.confusion):
        children.append(heads[truth])
        for guess, count in enumerate(row):
            name, factor = ("Blues", 0.5) if truth == guess else ("Oranges", 2)
            shade = colormaps[name](min(factor * count / max(sum(row), 1), 0.5))
            button = w.Button(
                description=nombre(count) if count else "",
                tooltip=f"{names[truth]} → {names[guess]}",
                layout={"width": "auto", "margin": "0", "padding": "0"},
                style={"button_color": to_hex(shade) if count else style.PANEL},
            )
            cells[button] = (truth, guess)
            children.append(button)
    columns = f"110px repeat({len(names)}, minmax(34px, 66px))"
    layout = w.Layout(grid_template_columns=columns, grid_gap="2px", align_items="center")
    return w.GridBox(children, layout=layout), cells


def opened_cell(dataset: EuroSAT, found: Predictions, cell: tuple[int, int] | None) -> str:
    """Show the first images behind a (true, predicted) class, the surest first, with their names.

    Without a cell: errors of all classes, the worst loss first.
    """
    names, said, truth, shares = (
        dataset.classes,
        found.predicted,
        found.labels,
        found.probabilities,
    )
    hits = (truth == cell[0]) & (said == cell[1]) if cell else said != truth
    order = np.argsort(
        -shares.max(1) if cell else shares[np.arange(len(truth)), truth], kind="stable"
    )
    rows, test, images, captions = order[hits[order]], dataset.test, [], []
    for row in rows[:PAGE]:
        told = dict.fromkeys(f"{names[k]} {pct(shares[row, k])}" for k in (said[row], truth[row]))
        captions.append("\n".join([str(found.names[row]), *told]))
        images.append(test.images[test.names.index(str(found.names[row]))])
    what = " → ".join(names[k] for k in cell) if cell else "Les pires erreurs, par la perte"
    cut = f", {PAGE} montrées" if len(rows) > PAGE else ""
    return line(f"<b>{what}</b> : {plural(len(rows), 'image')}{cut}.") + gallery(images, captions)


@view
def threshold(config: Config, evaluation: Evaluation) -> Any:
    """Move the confidence below which the network does not answer: chosen on validation."""
    found = trainings.kept_predictions(config, evaluation)
    parts = {"Validation": (found.val_logits, found.val_labels)}
    parts |= {"Test, pour comparer": (found.logits, found.labels)}

    def show(confiance: float) -> str:
        """Count what is answered, and how well, from this confidence on."""
        lines = []
        for name, (logits, labels) in parts.items():
            shares = softmax(logits.astype(float), axis=1)
            kept = shares.max(1) >= confiance
            wrong, n = int((kept & (shares.argmax(1) != labels)).sum()), int(kept.sum())
            told = f"{name} : répond à {plural(n, 'image')} sur {nombre(len(kept))}"
            if n:
                rate = f"<b>{pct(wrong / n)}</b> {french.intervalle(wilson(wrong, n, 0.95))}"
                told += f" et se trompe sur {nombre(wrong)}, soit {rate}"
            lines.append(line(f"{told}."))
        return "".join(lines)

    return interact(show, confiance=w.FloatSlider(0.5, min=0, max=0.999, step=0.001))


@view
def own_image(config: Config) -> Any:
    """Show what the network says of a picture of one's own, or else of a validation image."""
    part, path = load_dataset(config).validation, trainings.checkpoint_path(config)
    if not path.is_file():
        raise UserError(f"{path.name} manque, exécuter d’abord le notebook 06_train.")
    found = Classifier.load(path, Runtime.of(config))

    def show(fichier: Sequence[dict], exemple: int) -> str:
        """Classify the given picture, or the example."""
        row = exemple * len(part) // 100
        name, tile = part.names[row], part.images[row].transpose(1, 2, 0)
        try:
            for own in fichier:
                name = own["name"]
                whole = Image.fromarray(read_picture(io.BytesIO(own["content"])))
                tile = np.asarray(ImageOps.fit(whole, (SIDE, SIDE)))
        except UserError:
            text = "donner une image de 8 bits par canal (PNG, JPEG, TIFF)."
            return line(f"{html.escape(name)} : {text}")
        shares = found.classify(tile).items()
        first, *others = (f"{html.escape(label)} {pct(share)}" for label, share in shares)
        seen = found.preprocessing.resize(torch.tensor(tile.transpose(2, 0, 1)[None]))[0].numpy()
        title = f"ce que reçoit le réseau : {seen.shape[1]} × {seen.shape[2]} pixels"
        said = line(f"{html.escape(name)} : <b>{first}</b> ; puis {', '.join(others[:3])}.")
        return said + gallery([seen], [title], height=200) + line(CAUTION)

    upload = w.FileUpload(accept="image/*", description="Votre image")
    return interact(show, fichier=upload, exemple=w.IntSlider(min=0, max=99))
