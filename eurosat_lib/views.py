"""Interactive views for JupyterLab, each one line of a notebook cell tagged ``exploration``.

A view is a function of a few values that returns HTML; ``ipywidgets`` makes its controls of it.
While a report is built, it is one line of text.
"""

import base64
import html
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from scipy.special import softmax

from eurosat_lib import audit, french, jobs, lr_finder, protocol, search, stages, trainings
from eurosat_lib.classifier import Classifier, read_picture
from eurosat_lib.config import Config
from eurosat_lib.data import SIDE, EuroSAT, Split, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation
from eurosat_lib.french import SPLITS, nombre, pct, plural, power, typeset
from eurosat_lib.plots import style
from eurosat_lib.plots.training import history, lr_sweep, run_curves
from eurosat_lib.progress import BUILT
from eurosat_lib.runtime import Runtime, epoch_generator
from eurosat_lib.stats import wilson
from eurosat_lib.tables import faults
from eurosat_lib.tracking import TRAINING_TAGS, read_run
from eurosat_lib.train import Fit
from eurosat_lib.transforms import get_augmentation_transforms, get_preprocess_transforms

REST = 10.0  # times what drawing a live curve takes: training has the rest
ELSEWHERE = "Vue interactive : exécuter cette cellule dans JupyterLab."
CAUTION = "Toute image reçoit une classe ; n’a de sens qu’une vue du ciel à 10 m par pixel."
SMALL = "font-size:11px;line-height:1.2;overflow-wrap:anywhere"
TILE, PAGE, DRAWS = 96, 24, 11  # pixels of an image; images of a page, of an augmentation
ALL, OVERLAPPING, MEDIAN = "toutes", "se chevauchent", "median"
FINDINGS = {"presque unies": "faint", "saturées": "saturated", "pixels sans donnée": "nodata"}


def view(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make a view of a function that returns a widget: one line while a report is built."""

    @wraps(make)
    def show(*results: Any) -> Any:
        """Make the view, or say in a line why there is none."""
        try:
            return print(typeset(ELSEWHERE)) if BUILT in os.environ else make(*results)
        except UserError as error:
            return print(typeset(f"Vue interactive indisponible : {error}"))

    return show


class Interactive(w.VBox):
    """Controls, and the HTML that a function makes of their values, again after each change.

    As ``ipywidgets.interactive``, but without an ``Output``: nbclient, by which papermill works,
    may wait for ever for a cell that fills one (jupyter/nbclient, issue 312).
    """

    def __init__(self, show: Callable[..., str], **controls: Any) -> None:
        """Take the function, and by argument a control or what ipywidgets makes one of."""
        made = {name: w.interactive.widget_from_abbrev(one) for name, one in controls.items()}
        self.show, self.controls, self.shown = show, made, w.HTML()
        super().__init__([*made.values(), self.shown])
        for name, control in made.items():
            control.description = control.description or name
            control.layout.width, control.style.description_width = "480px", "120px"
            control.observe(self.update, "value")
        self.update()

    def update(self, *_: Any) -> None:
        """Show it for the present values."""
        self.shown.value = self.show(**{name: one.value for name, one in self.controls.items()})


def img(png: bytes, alt: str, look: str) -> str:
    """Write a PNG file as an HTML image, ``look`` its style."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alt)}" style="{look}" src="data:image/png;base64,{data}">'


def picture(figure: Figure) -> str:
    """Write a figure as an HTML image."""
    look = "max-width:100%;background:white"
    return img(style.save(figure, "png"), figure.get_label(), look)


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
        if last or begun >= due:
            with suppress(Exception):  # a picture that fails stops no training
                rows = pd.DataFrame(read_run(folder)).rename(columns=TRAINING_TAGS)
                shown.update(HTML(picture(run_curves({"": rows}))))
            due = time.monotonic() + REST * (time.monotonic() - begun)

    return draw


def line(text: str) -> str:
    """Write a sentence, which may hold tags, with French spacing."""
    return f'<div class="line" style="line-height:1.4;margin:4px 0">{typeset(text)}</div>'


def gallery(images: Sequence[np.ndarray], captions: Sequence[str], height: int = TILE) -> str:
    """Lay images, uint8 (3, H, W), out in lines, each over its caption; height in pixels."""
    look, cells = f"height:{height}px;max-width:none;image-rendering:pixelated;display:block", []
    for image, caption in zip(images, map(typeset, captions), strict=True):
        file = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0).copy()).save(file, "PNG", compress_level=1)
        text = html.escape(caption).replace("\n", "<br>")
        shown = f"{img(file.getvalue(), caption, look)}{text}"
        cells.append(f'<div style="width:min-content">{shown}</div>')
    lines = f"display:flex;flex-wrap:wrap;gap:10px;{SMALL}"
    return f'<div style="{lines}">{"".join(cells)}</div>'


@view
def browse(config: Config) -> Any:
    """Choose a split, a class and a finding; turn the pages. The test is not for looking at."""
    dataset, overlaps = load_dataset(config), stages.latest(config, audit.Overlaps)
    seen = {name: getattr(dataset, name) for name in ("train", "validation")}
    measured = {name: audit.measure(split.images) for name, split in seen.items()}  # a second

    turn = w.IntSlider(min=1, max=1)

    def show(split: str, classe: str, constat: str, page: int) -> str:
        """Show a page of the images of a split, class and finding."""
        labels = [k for k, name in enumerate(dataset.classes) if classe in (ALL, name)]
        if constat == OVERLAPPING:
            found = pairs(overlaps, split, labels)
        else:
            fits = np.isin(seen[split].labels, labels)
            if constat in FINDINGS:
                fits &= measured[split][FINDINGS[constat]]
            found = [[(split, row)] for row in np.flatnonzero(fits)]
        last = max(1, -(-len(found) // PAGE))
        turn.max, turn.description = last, f"page (sur {last})"
        return leaf(dataset, found, min(page, last))

    splits = {SPLITS[name]: name for name in seen}
    findings = [ALL, *FINDINGS, *([OVERLAPPING] if overlaps else [])]
    classes = [ALL, *dataset.classes]
    box = Interactive(show, split=splits, classe=classes, constat=findings, page=turn)
    for control in box.children[:3]:
        control.observe(lambda _: setattr(turn, "value", 1), "value")
    return box


def pairs(overlaps: audit.Overlaps, split: str, labels: Sequence[int]) -> list:
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
    resize = get_preprocess_transforms(config).resize
    shares = ("flip_probability", "brightness", "contrast", "saturation")
    controls = {k: w.FloatSlider(getattr(usual, k), min=0, max=1, step=0.05) for k in shares}
    controls["crop_padding"] = w.IntSlider(usual.crop_padding, min=0, max=32)

    def show(image: int, tirage: int, **values: float) -> str:
        """Show an image and its draws with these amplitudes."""
        chosen, tile = replace(usual, **values), train.images[image * len(train) // 100]
        original = resize(torch.tensor(tile)[None])[0].numpy()  # as the network's are
        drawn = chosen.draw(DRAWS, epoch_generator(config.seed + tirage, 0))
        repeated = torch.from_numpy(np.repeat(original[None], DRAWS, axis=0)) / 255
        images = (chosen(repeated, drawn) * 255).round().clamp(0, 255).byte().numpy()
        captions = ["original", *(f"tirage {k + 1}" for k in range(DRAWS))]
        changed = [f"{k}: {v:g}" for k, v in values.items() if v != getattr(usual, k)]
        advice = f"section augment de la configuration, ou du profil {config.profile} : "
        advice = line(f"Pour l’adopter, {advice}{', '.join(changed) or 'rien à changer'}.")
        return gallery([original, *images], captions) + advice

    numbers = {"image": w.IntSlider(min=0, max=99), "tirage": w.IntSlider(min=0, max=99)}
    return Interactive(show, **numbers, **controls)


@view
def sweep(config: Config, result: lr_finder.LRFinder) -> Any:
    """Read the sweep with another smoothing and rule; use that rate, or withdraw the choice."""
    use = w.Button(description="Utiliser ce LR", button_style="primary")
    undo, chosen = w.Button(description="Annuler le choix"), {}

    def show(lissage: float, règle: str) -> str:
        """Read the sweep with this smoothing and rule; say which rates notebook 05 will try."""
        read, (points, origin) = read_again(result, lissage, règle), protocol.grid_points(config)
        chosen.update(lr=read.choice, rule=règle, smoothing=lissage)
        use.disabled = read.choice is None or config.grid.lr is not None
        undo.disabled = protocol.chosen_lr(config) is None
        lr = power(read.choice) if read.choice else f"aucun ({faults(read)})"
        rates = french.liste(map(power, sorted({point.lr for point in points})))
        tried = f"<b>Le notebook 05 essaiera</b> {rates} ({french.ORIGINS[origin]}). "
        tried += "Exécuter de nouveau les cellules S4 et M4 les met à jour."
        return line(f"LR lu ainsi : <b>{lr}</b>.") + picture(lr_sweep(read)) + line(tried)

    def take(choice: protocol.ChosenLR | None) -> None:
        """Have notebook 05 try a rate, or withdraw it."""
        protocol.choose_lr(config, choice)
        moved.update()

    use.on_click(lambda _: take(protocol.ChosenLR(**chosen)))
    undo.on_click(lambda _: take(None))
    steps = w.FloatSlider(result.smoothing, min=0, max=0.99, step=0.01)
    rules = {"médiane de toutes": MEDIAN} | {text: rule for rule, text in french.RULES.items()}
    moved = Interactive(show, lissage=steps, règle=rules)
    return w.VBox([moved, w.HBox([use, undo])])


def read_again(result: lr_finder.LRFinder, smoothing: float, rule: str) -> lr_finder.LRFinder:
    """Read the stored losses with another smoothing, by one rule or the median of all."""
    sweeps = []
    for one in result.sweeps:
        curve = lr_finder.smooth(np.array(one.loss), smoothing)
        rates, fault = lr_finder.suggest(np.array(one.lr), curve, one.ended)
        found = {k: v for k, v in rates.items() if rule in (MEDIAN, k)}
        values = {"smoothed": tuple(curve.tolist()), "suggestions": found, "fault": fault}
        sweeps.append(one.model_copy(update=values))
    return result.model_copy(update={"sweeps": tuple(sweeps), "smoothing": smoothing})


@view
def trials(config: Config, grid: search.GridSearch) -> Any:
    """Pick a trial, the best first, to see its curves beside those of the best."""

    def show(essai: Fit) -> str:
        """Lay the curves of a trial over those of the best."""
        ran = {fit.hyperparameters.name: history(fit) for fit in (grid.best, essai) if fit.epochs}
        ended = "divergé" if essai.diverged else pct(essai.score)
        return line(f"Score en validation : {ended}.") + picture(run_curves(ran))

    fits = {f"{pct(fit.score)}   {fit.hyperparameters.name}": fit for fit in grid.ranking}
    return Interactive(show, essai=w.Select(options=fits, rows=8))


@view
def confusion(config: Config, evaluation: Evaluation) -> Any:
    """Open the images behind a cell of the matrix by a click, or the worst errors of all."""
    test, names = load_dataset(config).test, evaluation.classes
    table, shown = trainings.kept_predictions(config, evaluation).table(names), w.HTML()

    def opener(text: str, cell: Sequence[str], **look: Any) -> w.Button:
        """Make a button that opens a cell, or the worst errors."""
        layout = {"width": "auto", "margin": "0", "padding": "0 2px"}
        button = w.Button(description=text, layout=layout, **look)
        button.on_click(lambda _: setattr(shown, "value", opened_cell(test, table, cell)))
        return button

    heads = [w.HTML(f'<div style="{SMALL}">{name}</div>') for name in names]
    cells = [w.HTML(), *heads]
    for truth, head, counts in zip(names, heads, evaluation.confusion, strict=True):
        cells.append(head)
        for guess, count in zip(names, counts, strict=True):
            color, factor = (style.BLUE, 0.5) if guess == truth else (style.ORANGE, 2)
            shade = min(0.5, factor * count / max(sum(counts), 1))
            look = {"button_color": f"{color}{round(255 * shade):02x}"}
            text, tip = nombre(count) if count else "", f"{truth} → {guess}"
            cells.append(opener(text, (truth, guess), tooltip=tip, style=look))
    columns = f"110px repeat({len(names)}, minmax(34px, 66px))"
    layout = w.Layout(grid_template_columns=columns, grid_gap="2px", align_items="center")
    hint = w.HTML(line("Lignes : vraie classe ; colonnes : prédite. Cliquer sur un nombre."))
    worst = opener("Les pires, toutes classes", ())
    worst.click()
    return w.VBox([hint, w.GridBox(cells, layout=layout), worst, shown])


def opened_cell(test: Split, table: pd.DataFrame, cell: Sequence[str]) -> str:
    """Show the first images of a (true, predicted) class, the surest first, with their names.

    Without a cell: the errors of all classes, the worst loss first. ``table`` is that of
    ``Predictions``.
    """
    if cell:
        what = " → ".join(cell)
        rows = table[(table["truth"] == cell[0]) & (table["prediction"] == cell[1])]
        rows = rows.sort_values("confidence", ascending=False, kind="stable")
    else:
        what, rows = "Les pires erreurs, par la perte", table[table["correct"] == 0]
        rows = rows.sort_values("probability_of_truth", kind="stable")
    images, captions = [], []
    for row in rows.head(PAGE).itertuples():
        said = {row.prediction: row.confidence, row.truth: row.probability_of_truth}
        captions.append("\n".join([row.name, *(f"{k} {pct(share)}" for k, share in said.items())]))
        images.append(test.images[test.names.index(row.name)])
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
                rate = f"<b>{pct(wrong / n)}</b> {french.intervalle(wilson(wrong, n))}"
                told += f" et se trompe sur {nombre(wrong)}, soit {rate}"
            lines.append(line(f"{told}."))
        return "".join(lines)

    return Interactive(show, confiance=w.FloatSlider(0.5, min=0, max=0.999, step=0.001))


@view
def own_image(config: Config) -> Any:
    """Show what the network says of a picture of one's own, or else of a validation image."""
    part = load_dataset(config).validation
    found = Classifier.load(trainings.checkpoint_path(config), Runtime.of(config))

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
    box = Interactive(show, fichier=upload, exemple=w.IntSlider(min=0, max=99))
    box.controls["exemple"].observe(lambda _: setattr(upload, "value", ()), "value")
    return box
