"""Notebook 01: a bench for the augmentation, with a slider for every parameter."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.french import nombre, pct
from eurosat_lib.runtime import epoch_generator
from eurosat_lib.transforms import Augmentation, get_augmentation_transforms
from eurosat_lib.widgets.controls import NAMED, WIDE, slider, steps
from eurosat_lib.widgets.pictures import gallery, line, to_bytes
from eurosat_lib.widgets.shell import view

DRAWS = 11  # beside the original
SLIDERS = {  # parameter of the augmentation -> its name, highest value, step
    "crop_padding": ("décalage (px)", 24, 1),
    "flip_probability": ("miroir, prob.", 1.0, 0.05),
    "brightness": ("luminosité ±", 1.0, 0.05),
    "contrast": ("contraste ±", 1.0, 0.05),
    "saturation": ("saturation ±", 1.0, 0.05),
}


def draws(image: np.ndarray, augment: Augmentation, seed: int, count: int = DRAWS) -> np.ndarray:
    """Augment one image several times, as training does.

    Args:
        image: uint8 (3, H, W).
        augment: the parameters.
        seed: of the draws; the same seed shows the same draws, stronger or weaker.
        count: how many.

    Returns:
        uint8 (count, 3, H, W).
    """
    images = torch.from_numpy(np.repeat(image[None], count, axis=0)) / 255
    drawn = augment(images, augment.draw(count, epoch_generator(seed, 0)))
    return to_bytes(drawn.numpy())


def as_yaml(augment: Augmentation, usual: Augmentation) -> str:
    """Say which lines of the configuration would change; empty if none."""
    changed = {k: v for k, v in vars(augment).items() if v != vars(usual)[k]}
    return ", ".join(f"{key}: {round(value, 4)}" for key, value in changed.items())


def bench(image: np.ndarray, augment: Augmentation, usual: Augmentation, seed: int) -> str:
    """Return HTML: the image, its draws, and what differs from the configuration."""
    captions = ["original", *(f"tirage {nombre(k + 1)}" for k in range(DRAWS))]
    marked = [True] + [False] * DRAWS
    pictures = gallery([image, *draws(image, augment, seed)], captions, marked)
    changed = as_yaml(augment, usual)
    said = (
        f"Pour l’adopter, dans <code>configs/config.yaml</code>, section augment : "
        f"<code>{changed}</code>"
        if changed
        else "Ce sont les valeurs de la configuration."
    )
    return pictures + line(said)


@view
def augmentation(config: Config) -> Any:
    """Move every parameter of the augmentation and see the same image drawn again."""
    import ipywidgets as w

    dataset, usual = load_dataset(config), get_augmentation_transforms(config)
    sliders = {name: _slider(name, getattr(usual, name)) for name in SLIDERS}
    label = w.Dropdown(
        options={name: k for k, name in enumerate(dataset.classes)}, description="classe"
    )
    other, again, reset = (
        w.Button(description=text) for text in ("Autre image", "Autres tirages", "Remettre")
    )
    shown, state = w.HTML(), {"image": 0, "seed": config.seed}

    def draw(*_: Any) -> None:
        """Draw the image under the chosen augmentation."""
        rows = np.flatnonzero(dataset.train.labels == label.value)
        image = dataset.train.images[rows[state["image"] % len(rows)]]
        chosen = Augmentation(**{name: one.value for name, one in sliders.items()})
        shown.value = bench(image, chosen, usual, state["seed"])

    def step(key: str) -> None:
        state[key] += 1
        draw()

    def restore(*_: Any) -> None:
        for name, one in sliders.items():
            one.value = getattr(usual, name)

    for control in (label, *sliders.values()):
        control.observe(draw, "value")
    other.on_click(lambda _: step("image"))
    again.on_click(lambda _: step("seed"))
    reset.on_click(restore)
    draw()
    controls = w.VBox([label, *sliders.values(), w.HBox([other, again, reset])])
    return w.VBox([controls, shown])


def _slider(name: str, value: float) -> Any:
    import ipywidgets as w

    text, top, step = SLIDERS[name]
    if name != "crop_padding":
        return slider(steps(0, max(top, value), step), value, text, lambda share: pct(share, 0))
    box = {"layout": w.Layout(width=WIDE), "style": {"description_width": NAMED}}
    return w.IntSlider(value=value, min=0, max=max(top, value), description=text, **box)
