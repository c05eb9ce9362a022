"""Interactive views for JupyterLab, each one line of a notebook cell tagged ``exploration``.

A view is a function of a few values that returns HTML; ``ipywidgets`` makes its controls of it.
While a report is built, and without ipywidgets, it is one line of text.
"""

from __future__ import annotations

import html
import io
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display
from matplotlib import colormaps
from matplotlib.colors import to_hex
from PIL import Image, ImageOps
from scipy.special import softmax

from eurosat_lib import choices, french, scoring
from eurosat_lib.audit import measure
from eurosat_lib.classifier import Classifier, read_picture
from eurosat_lib.config import Config
from eurosat_lib.data import SIDE, EuroSAT, load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import Evaluation, Predictions
from eurosat_lib.french import SPLITS, nombre, pct, plural, power, typeset
from eurosat_lib.live import img, sweep_chart, training_chart
from eurosat_lib.lr_finder import LRFinder, smooth, suggest
from eurosat_lib.overlaps import Overlaps
from eurosat_lib.plots import style
from eurosat_lib.progress import BUILT
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.search import GridSearch
from eurosat_lib.stages import latest
from eurosat_lib.stats import wilson
from eurosat_lib.tables.search import faults
from eurosat_lib.transforms import Augmentation, get_augmentation_transforms

ELSEWHERE = "Vue interactive : exécuter cette cellule dans JupyterLab, avec ipywidgets."
TILE, PAGE, DRAWS, CHANNELS = 96, 24, 11, 16  # pixels of an image; images shown; of a layer
ALL, OVERLAPPING, MEDIAN = "toutes", "se chevauchent", "median"
FINDINGS = {"presque unies": "faint", "saturées": "saturated", "pixels sans donnée": "nodata"}


def view(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make a view of ``make(ipywidgets, ...)``: a widget, or the line that stands for it."""

    @wraps(make)
    def show(*results: Any) -> Any:
        """Show the view, or one line where that cannot be."""
        if os.environ.get(BUILT) or find_spec("ipywidgets") is None:
            return print(typeset(ELSEWHERE))
        import ipywidgets

        try:
            return make(ipywidgets, *results)
        except UserError as error:
            reason = getattr(error, "french", "") or error
            return print(typeset(f"Vue interactive indisponible : {reason}"))

    return show


def interact(w: Any, show: Callable[..., Any], **controls: Any) -> Any:
    """Show what a function makes of its controls' values, again after each change."""

    def say(**values: Any) -> None:
        found = show(**values)
        display(HTML(found) if isinstance(found, str) else found)

    moved = w.interactive(say, **controls)
    for control in moved.kwargs_widgets:
        control.layout.width, control.style.description_width = "480px", "120px"
    return moved


def slider(w: Any, values: Iterable[float], value: float, say: Callable = pct) -> Any:
    """Make a slider over values, ``value`` among them, each said in French."""
    options = [(say(one), one) for one in sorted({*values, value})]
    return w.SelectionSlider(options=options, value=value)


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
        text = html.escape("\n".join(style.break_name(part, 16) for part in caption.split("\n")))
        text = text.replace("\n", "<br>").replace("_", "_<wbr>")
        cells.append(f"<div>{img(file, caption, look)}{text}</div>")
    grid = f"display:grid;gap:10px;grid-template-columns:repeat(auto-fill,{width}px)"
    return f'<div style="{grid};font-size:11px;line-height:1.3">{"".join(cells)}</div>'


@view
def browse(w: Any, config: Config) -> Any:
    """Choose a split, a class and a finding; turn the pages. The test is not for looking at."""
    dataset, overlaps = load_dataset(config), latest(config, Overlaps)
    shown, pool = ("train", "validation"), ThreadPoolExecutor(1)
    measured = {k: pool.submit(measure, getattr(dataset, k).images) for k in shown}  # seconds

    def show(split: str, classe: str, constat: str) -> Any:
        """Show a page of images of one split, class and finding."""
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
        return interact(w, lambda page: leaf(dataset, found, page), page=page)

    splits = {SPLITS[name]: name for name in shown}
    findings = [ALL, *FINDINGS, *([OVERLAPPING] if overlaps else [])]
    return interact(w, show, split=splits, classe=[ALL, *dataset.classes], constat=findings)


def pairs(overlaps: Overlaps, split: str, labels: Sequence[int]) -> list:
    """List overlapping pairs, two (split, row), that a split has part in; none of the test."""
    return [
        [(tile.split, tile.index) for tile in (pair.first, pair.second)]
        for pair in overlaps.pairs
        if any(t.split == split and t.label in labels for t in (pair.first, pair.second))
        and "test" not in (pair.first.split, pair.second.split)
    ]


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
def augmentation(w: Any, config: Config) -> Any:
    """Move every parameter of the augmentation and see one training image drawn again."""
    train, usual = load_dataset(config).train, get_augmentation_transforms(config)
    controls: dict[str, Any] = {name: w.IntSlider(min=0, max=99) for name in ("image", "tirage")}
    controls["crop_padding"] = w.IntSlider(
        usual.crop_padding, min=0, max=max(24, usual.crop_padding)
    )
    for name in ("flip_probability", "brightness", "contrast", "saturation"):
        steps = [k / 20 for k in range(21)]
        controls[name] = slider(w, steps, getattr(usual, name), lambda share: pct(share, 0))

    def show(image: int, tirage: int, **values: float) -> str:
        """Show draws of the augmentation so set."""
        chosen = Augmentation(**vars(usual) | values)
        original = train.images[image * len(train) // 100]
        drawn = chosen.draw(DRAWS, epoch_generator(config.seed + tirage, 0))
        repeated = torch.from_numpy(np.repeat(original[None], DRAWS, axis=0)) / 255
        images = (chosen(repeated, drawn) * 255).round().clamp(0, 255).byte().numpy()
        captions = ["original", *(f"tirage {k + 1}" for k in range(DRAWS))]
        changed = ", ".join(f"{k}: {v}" for k, v in vars(chosen).items() if v != vars(usual)[k])
        advice = "Pour l’adopter, dans configs/config.yaml, section augment : "
        advice += changed or "rien à changer, ce sont ses valeurs"
        return gallery([original, *images], captions) + line(f"{advice}.")

    return interact(w, show, **controls)


def network(config: Config) -> Classifier:
    """Load the run's trained network; one French line if there is none."""
    path = scoring.checkpoint_path(config)
    if not path.is_file():
        raise UserError(f"{path.name} manque, exécuter d’abord le notebook 06_train.")
    return Classifier.load(path, config.compute.device)


@view
def layers(w: Any, config: Config) -> Any:
    """Pick a layer and a validation image; see the strongest channels."""
    part, found = load_dataset(config).validation, network(config)
    flat = {n: layer for n, layer in found.model.stages.named_modules() if "." in n}
    names = [", ".join(french.layer_place(f"stages.{name}")) for name in flat]
    kinds = [isinstance(one, torch.nn.Conv2d | torch.nn.ReLU) for one in flat.values()]

    def show(couche: int, image: int) -> str:
        """Show what a layer answers to one image."""
        row = image * len(part) // 100
        batch = torch.tensor(part.images[[row]], device=found.runtime.device)
        until = torch.nn.Sequential(*list(flat.values())[: couche + 1])
        with torch.inference_mode():
            maps = until(found.preprocessing(batch))[0].float().cpu().numpy()
        order = np.argsort(-np.abs(maps).mean((1, 2)), kind="stable")[:CHANNELS]
        low, high = float(maps.min()), float(maps.max())
        shades = colormaps["viridis"]((maps[order] - low) / max(high - low, 1e-12))[..., :3]
        tiles = (255 * shades).astype(np.uint8).transpose(0, 3, 1, 2)
        text = f"Sortie {' × '.join(map(str, maps.shape))}, les canaux les plus forts, "
        text = line(f"{text}de {nombre(low, 2)} (violet) à {nombre(high, 2)} (jaune) :")
        seen = gallery([part.images[row]], [part.names[row]])
        return seen + text + gallery(tiles, [f"canal {k + 1}" for k in order])

    places = [(name, k) for k, name in enumerate(names) if kinds[k]]
    return interact(w, show, couche=w.Dropdown(options=places), image=w.IntSlider(min=0, max=99))


@view
def sweep(w: Any, config: Config, result: LRFinder) -> Any:
    """Read the sweep with another smoothing and rule; use that rate, or withdraw the choice."""
    use = w.Button(description="Utiliser ce LR", button_style="primary")
    undo, state = w.Button(description="Annuler le choix"), w.HTML()
    chosen: dict[str, Any] = {}

    def show(lissage: float, règle: str) -> str:
        """Read the sweep again, with this smoothing and rule."""
        read = read_again(result, lissage, règle)
        chosen.update(lr=read.choice, rule=règle, smoothing=float(lissage))
        use.disabled = read.choice is None or config.grid.lr is not None
        lr = power(read.choice) if read.choice else f"aucun ({faults(read)})"
        return line(f"LR lu ainsi : <b>{lr}</b>.") + sweep_chart(read)

    def tell(_: Any = None) -> None:
        """Say what notebook 05 will build its grid on."""
        points, origin = choices.grid_points(config)
        rates = french.liste(map(power, sorted({point.lr for point in points})))
        state.value = line(f"<b>Le notebook 05 essaiera</b> {rates} ({french.ORIGINS[origin]}).")
        undo.disabled = choices.chosen_lr(config) is None

    use.on_click(lambda _: tell(choices.choose_lr(config, choices.ChosenLR(**chosen))))
    undo.on_click(lambda _: tell(choices.forget_lr(config)))
    steps = slider(w, [k / 100 for k in range(100)], result.smoothing, lambda v: nombre(v, 2))
    rules = {"médiane de toutes": MEDIAN} | {text: rule for rule, text in french.RULES.items()}
    moved = interact(w, show, lissage=steps, règle=rules)
    tell()
    return w.VBox([moved, w.HBox([use, undo]), state])


def read_again(result: LRFinder, smoothing: float, rule: str = MEDIAN) -> LRFinder:
    """Read the stored losses with another smoothing, by one rule or the median of all."""
    sweeps = []
    for one in result.sweeps:
        curve = smooth(np.array(one.loss), smoothing)
        read = np.array(one.lr), curve, one.stopped == "end"
        rates, fault = suggest(*read)
        found = {k: v for k, v in rates.items() if rule in (MEDIAN, k)}
        values = {"smoothed": tuple(curve.tolist()), "suggestions": found, "fault": fault}
        sweeps.append(one.model_copy(update=values))
    return result.model_copy(update={"sweeps": tuple(sweeps), "smoothing": smoothing})


@view
def trials(w: Any, config: Config, grid: GridSearch) -> Any:
    """Pick a trial, the best first, to see its curves beside those of the best."""
    points = {f"{pct(point.score)}   {point.name}": point for point in grid.ranking}

    def show(essai: str) -> str:
        """Show the curves of one trial beside the best."""
        point, shown = points[essai], {}
        for one in (grid.best, point):
            rows = [record.model_dump() for record in one.fits[0].epochs]
            shown |= {one.name: pd.DataFrame(rows).set_index("epoch")} if rows else {}
        ended = f"divergé ({html.escape(point.diverged)})" if point.diverged else pct(point.score)
        text = f"Score : {ended}, exactitude en validation, moyenne des deux dernières époques."
        return line(text) + training_chart(shown)

    return interact(w, show, essai=w.Select(options=list(points), rows=8))


@view
def confusion(w: Any, config: Config, evaluation: Evaluation) -> Any:
    """Open the images behind a cell of the matrix by a click, or the worst errors of all."""
    dataset, found = load_dataset(config), scoring.kept_predictions(config, evaluation)
    order = w.ToggleButtons(options={"les plus sûres d’abord": -1, "les moins sûres d’abord": 1})
    order.style.button_width = "190px"
    worst = w.Button(description="Les pires, toutes classes", layout=w.Layout(width="auto"))
    shown, grid, opened = w.HTML(), board(w, evaluation), [worst]

    def draw(*_: Any) -> None:
        cell = getattr(opened[0], "cell", None)
        shown.value = opened_cell(dataset, found, cell, order.value)

    def open_(button: Any) -> None:
        """Open a cell of the matrix."""
        opened[0].layout.border = ""
        opened[0], button.layout.border = button, f"3px solid {style.ORANGE}"
        draw()

    cells = {button.cell: button for button in grid.children if hasattr(button, "cell")}
    for button in (worst, *cells.values()):
        button.on_click(open_)
    order.observe(draw, "value")
    first = max((c for c in cells if c[0] != c[1]), key=lambda c: evaluation.confusion[c[0]][c[1]])
    open_(cells[first])
    hint = w.HTML(line("Lignes : vraie classe ; colonnes : prédite. Cliquer sur un nombre."))
    return w.VBox([hint, grid, w.HBox([worst, order]), shown])


def board(w: Any, evaluation: Evaluation) -> Any:
    """Lay the matrix out in buttons, each with its ``cell``: (true, predicted) class."""
    names, small = evaluation.classes, '<div style="font-size:11px;line-height:1.15">{}</div>'
    heads = [w.HTML(small.format(style.break_name(n, 10).replace("\n", "<br>"))) for n in names]
    children = [w.HTML(), *heads]
    for truth, row in enumerate(evaluation.confusion):
        children.append(heads[truth])
        for guess, count in enumerate(row):
            name, factor = ("Blues", 0.5) if truth == guess else ("Oranges", 2)
            shade = colormaps[name](min(factor * count / max(sum(row), 1), 0.5))
            button = w.Button(description=nombre(count) if count else "")
            button.tooltip = f"{names[truth]} → {names[guess]}"
            button.layout = w.Layout(width="auto", margin="0", padding="0")
            button.style.button_color = to_hex(shade) if count else style.PANEL
            button.cell = (truth, guess)
            children.append(button)
    columns = f"110px repeat({len(names)}, minmax(34px, 66px))"
    layout = w.Layout(grid_template_columns=columns, grid_gap="2px", align_items="center")
    return w.GridBox(children, layout=layout)


def behind(found: Predictions, cell: tuple[int, int] | None, sign: int = -1) -> np.ndarray:
    """Find the rows of a cell by confidence; without a cell, all errors, the worst loss first."""
    said, truth, sign = found.predicted, found.labels, sign if cell else 1
    hits = (truth == cell[0]) & (said == cell[1]) if cell else said != truth
    rows, asked = np.flatnonzero(hits), said if cell else truth
    return rows[np.argsort(sign * found.probabilities[rows, asked[rows]], kind="stable")]


def opened_cell(dataset: EuroSAT, found: Predictions, cell: Any, sign: int = -1) -> str:
    """Say how many images are behind a cell, and show the first of them with their names."""
    names, rows, captions = dataset.classes, behind(found, cell, sign), []
    for row in rows[:PAGE]:
        said, truth, shares = found.predicted[row], found.labels[row], found.probabilities[row]
        told = dict.fromkeys(f"{names[k]} {pct(shares[k])}" for k in (said, truth))
        captions.append("\n".join([str(found.names[row]), *told]))
    images = [dataset.test.images[dataset.test.names.index(c.split("\n")[0])] for c in captions]
    what = " → ".join(names[k] for k in cell) if cell else "Les pires erreurs, par la perte"
    cut = f", {PAGE} montrées" if len(rows) > PAGE else ""
    return line(f"<b>{what}</b> : {plural(len(rows), 'image')}{cut}.") + gallery(images, captions)


@view
def threshold(w: Any, config: Config, evaluation: Evaluation) -> Any:
    """Move the confidence below which the network does not answer: chosen on validation."""
    found = scoring.kept_predictions(config, evaluation)

    def show(confiance: float) -> str:
        """Say what is answered above this confidence."""
        chosen = answered(found.val_logits, found.val_labels, confiance)
        beside = answered(found.logits, found.labels, confiance)
        return line(f"Validation : {chosen}") + line(f"Test, pour comparer : {beside}")

    return interact(w, show, confiance=slider(w, [*(k / 200 for k in range(200)), 0.999], 0.5))


def answered(logits: np.ndarray, labels: np.ndarray, threshold: float) -> str:
    """Say what a threshold keeps of (N, K) logits, and how many errors among them."""
    shares = softmax(logits.astype(float), axis=1)
    kept = shares.max(1) >= threshold
    wrong, count = int((kept & (shares.argmax(1) != labels)).sum()), int(kept.sum())
    if not count:
        return "le réseau ne répondrait à aucune image."
    rate = f"<b>{pct(wrong / count)}</b> {french.intervalle(wilson(wrong, count, 0.95))}"
    answers = f"répond à {plural(count, 'image')} sur {nombre(len(kept))} ({pct(kept.mean())})"
    return f"{answers} et se trompe sur {nombre(wrong)}, soit {rate}."


@view
def own_image(w: Any, config: Config) -> Any:
    """Show what the network says of a picture of one's own, or else of a validation image."""
    part, found = load_dataset(config).validation, network(config)

    def show(fichier: Sequence[dict], exemple: int) -> str:
        """Show what the network says of a picture."""
        if not fichier:
            row = exemple * len(part) // 100
            return opinion(found, part.images[row].transpose(1, 2, 0), part.names[row])
        try:
            whole = Image.fromarray(read_picture(io.BytesIO(fichier[0]["content"])))
        except UserError:
            name = html.escape(fichier[0]["name"])
            return line(f"{name} : donner une image de 8 bits par canal (PNG, JPEG, TIFF).")
        return opinion(found, np.asarray(ImageOps.fit(whole, (SIDE, SIDE))), fichier[0]["name"])

    upload = w.FileUpload(accept="image/*", description="Votre image")
    return interact(w, show, fichier=upload, exemple=w.IntSlider(min=0, max=99))


def opinion(found: Classifier, tile: np.ndarray, name: str) -> str:
    """Say what the network sees in a tile, (H, W, 3), and show what it receives, at its size."""
    first, *others = (f"{label} {pct(share)}" for label, share in found.classify(tile).items())
    seen = found.preprocessing.resize(torch.tensor(tile.transpose(2, 0, 1)[None]))[0].numpy()
    title = f"ce que reçoit le réseau : {seen.shape[1]} × {seen.shape[2]} pixels"
    said = line(f"{html.escape(name)} : <b>{first}</b> ; puis {', '.join(others[:3])}.")
    caution = "Toute image reçoit une classe ; n’a de sens qu’une vue du ciel à 10 m par pixel."
    return said + gallery([seen], [title], height=200) + line(caution)
