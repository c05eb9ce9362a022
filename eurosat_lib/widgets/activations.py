"""Notebook 03: what a layer makes of a chosen image, and its filters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from torch import nn

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import UserError
from eurosat_lib.evaluation import open_checkpoint
from eurosat_lib.french import layer_place, nombre
from eurosat_lib.model import DilatedCNN, build_model
from eurosat_lib.protocol import checkpoint_path
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.transforms import get_preprocess_transforms
from eurosat_lib.widgets.pictures import gallery, line, tag, to_bytes
from eurosat_lib.widgets.shell import view

SHOWN = 32  # channels at most
SIDE, FILTER = 84, 64  # CSS pixels


def load_network(config: Config) -> tuple[DilatedCNN, str]:
    """Return the trained network if this run has one, else a fresh one, and which it is."""
    try:
        model, _, _ = open_checkpoint(config, load_dataset(config), checkpoint_path(config))
    except UserError:
        set_seed(config.seed)
        model = Runtime.of(config).place(build_model(config)).eval()
        return model, "Réseau non entraîné (le notebook 06_train l’entraîne)."
    return model, "Réseau entraîné (best.ckpt)."


def layer_names(model: DilatedCNN) -> dict[str, str]:
    """List convolutions and ReLUs in the order of the network: French name -> module."""
    kinds = (nn.Conv2d, nn.ReLU)
    names = [name for name, layer in model.named_modules() if isinstance(layer, kinds)]
    return {", ".join(layer_place(name)): name for name in names}


def activations(config: Config, model: DilatedCNN, name: str, image: np.ndarray) -> np.ndarray:
    """Run an image, uint8 (3, H, W), and return a layer's output, float32 (C, h, w)."""
    kept: list[torch.Tensor] = []
    layer = model.get_submodule(name)
    # A copy: the ReLU that follows a BatchNorm works in place.
    handle = layer.register_forward_hook(lambda *parts: kept.append(parts[-1].detach().clone()))
    try:
        device = next(model.parameters()).device
        batch = get_preprocess_transforms(config)(torch.from_numpy(image[None].copy()).to(device))
        with torch.inference_mode():
            model(batch)
    finally:
        handle.remove()
    return kept[0][0].float().cpu().numpy()


def filters(model: DilatedCNN, name: str) -> np.ndarray:
    """Return the filters of a convolution as pictures, uint8 (C, 3, 3, 3).

    Those of the first layer see the colours and are shown in colour; of the others, the mean
    over the channels they read. Each is stretched to its own range around grey.
    """
    weights = model.get_submodule(name).weight.detach().float().cpu().numpy()
    if weights.shape[1] != 3:
        weights = np.repeat(weights.mean(1, keepdims=True), 3, axis=1)
    largest = np.abs(weights).max((1, 2, 3), keepdims=True)
    return to_bytes(0.5 + 0.5 * weights / np.maximum(largest, 1e-12))


def show(config: Config, model: DilatedCNN, name: str, image: np.ndarray) -> str:
    """Return HTML: the image, the channels of a layer from the strongest, and its filters."""
    maps = activations(config, model, name, image)
    order = np.argsort(-np.abs(maps).mean((1, 2)), kind="stable")[:SHOWN]
    low, high = float(maps.min()), float(maps.max())
    scaled = (maps[order] - low) / max(high - low, 1e-12)
    pictures = to_bytes(colormaps["viridis"](scaled)[..., :3]).transpose(0, 3, 1, 2)
    captions = [f"canal {k + 1}, moy. {nombre(float(maps[k].mean()), 2)}" for k in order]
    shape = " × ".join(map(str, maps.shape))
    cut = f", les {SHOWN} plus forts" if len(maps) > SHOWN else ""
    dead = int((maps == 0).all((1, 2)).sum())
    idle = f" ; {dead} canaux nuls partout" if dead else ""
    span = f"de {nombre(low, 2)} (violet) à {nombre(high, 2)} (jaune)"
    head = f"Sortie {shape}{cut}, {span}{idle}."
    html = tag(image, "image choisie", 140) + line(head) + gallery(pictures, captions, side=SIDE)
    if isinstance(model.get_submodule(name), nn.Conv2d):
        kernels = filters(model, name)[order]
        names = [f"filtre {k + 1}" for k in order]
        html += line("Leurs filtres 3 × 3 :") + gallery(kernels, names, side=FILTER)
    return html


@view
def layers(config: Config) -> Any:
    """Pick a layer and a validation image; see its activations and filters."""
    import ipywidgets as w

    dataset, (model, which) = load_dataset(config), load_network(config)
    layer = w.Dropdown(options=layer_names(model), description="couche")
    classes = {name: k for k, name in enumerate(dataset.classes)}
    label = w.Dropdown(options=classes, description="classe")
    number = w.IntSlider(min=1, max=20, description="image")
    shown = w.HTML()

    def draw(*_: Any) -> None:
        """Draw the chosen layer for the chosen image."""
        rows = np.flatnonzero(dataset.validation.labels == label.value)
        image = dataset.validation.images[rows[(number.value - 1) % len(rows)]]
        shown.value = show(config, model, layer.value, image)

    for control in (layer, label, number):
        control.observe(draw, "value")
    draw()
    return w.VBox([w.HTML(line(which)), w.HBox([layer, label, number]), shown])
