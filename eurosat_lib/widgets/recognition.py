"""Notebook 07: one's own picture before the network: classes, confidence, Grad-CAM."""

from __future__ import annotations

import html
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from eurosat_lib.config import Config
from eurosat_lib.data import SIDE as TILE
from eurosat_lib.data import load_dataset
from eurosat_lib.evaluation import open_checkpoint
from eurosat_lib.explain import gradcam
from eurosat_lib.french import pct
from eurosat_lib.model import DilatedCNN
from eurosat_lib.plots.style import BLUE, RULE
from eurosat_lib.protocol import checkpoint_path
from eurosat_lib.transforms import get_preprocess_transforms
from eurosat_lib.widgets.pictures import gallery, line, overlay
from eurosat_lib.widgets.shell import view

LISTED = 5  # classes
SIDE = 200  # CSS pixels
CAUTION = (
    "Le réseau répond toujours l’une de ses dix classes, même devant une image qui n’en montre "
    "aucune : sa confiance n’a de sens que pour une vue du ciel à 10 m par pixel."
)
UNREADABLE = "Ce fichier n’est pas une image lisible : choisir un PNG, un JPEG ou un TIFF."


@dataclass(frozen=True)
class Opinion:
    """What the network says of one image.

    Attributes:
        probabilities: float32 (K,).
        heat: float32 (h, w) in [0, 1], Grad-CAM of the most probable class.
    """

    probabilities: np.ndarray
    heat: np.ndarray


def read_picture(content: bytes) -> np.ndarray | None:
    """Decode a file, cut its middle square and reduce it to a tile: uint8 (3, 64, 64).

    Returns:
        ``None`` if it is no picture.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    tile = ImageOps.fit(upright, (TILE, TILE), Image.Resampling.LANCZOS)
    return np.asarray(tile).transpose(2, 0, 1).copy()


def recognise(config: Config, model: DilatedCNN, image: np.ndarray) -> Opinion:
    """Classify an image, uint8 (3, H, W), and find where the evidence lies."""
    device = next(model.parameters()).device
    batch = get_preprocess_transforms(config)(torch.from_numpy(image[None].copy()).to(device))
    with torch.inference_mode():
        shares = model(batch).float().softmax(1)[0].cpu()
    heat = gradcam(model, batch, shares.argmax()[None].to(device))
    return Opinion(shares.numpy(), heat[0].numpy())


def show(image: np.ndarray, said: Opinion, classes: tuple[str, ...], truth: str = "") -> str:
    """Return HTML: the image, its map, the most probable classes."""
    best = said.probabilities.argsort()[::-1][:LISTED]
    bars = "".join(_bar(classes[k], float(said.probabilities[k])) for k in best)
    pictures = gallery(
        [image, overlay(image, said.heat)],
        ["ce que reçoit le réseau", f"Grad-CAM de {classes[best[0]]}"],
        side=SIDE,
    )
    verdict = f"<b>{classes[best[0]]}</b>, {pct(float(said.probabilities[best[0]]))}"
    known = f" (étiquette : {html.escape(truth)})" if truth else ""
    return line(verdict + known) + bars + pictures


def _bar(name: str, share: float) -> str:
    track = f"background:{RULE};width:220px;height:9px;margin:0 8px"
    fill = f"background:{BLUE};width:{100 * share:.1f}%;height:9px"
    return (
        '<div style="display:flex;align-items:center;font-size:12px;line-height:1.5">'
        f'<span style="width:150px">{name}</span><div style="{track}">'
        f'<div style="{fill}"></div></div>{pct(share)}</div>'
    )


@view
def own_image(config: Config) -> Any:
    """Drop in a picture, or draw one of the test split."""
    import ipywidgets as w

    dataset = load_dataset(config)
    model, _, _ = open_checkpoint(config, dataset, checkpoint_path(config))
    upload = w.FileUpload(accept="image/*", description="Votre image")
    pick = w.Button(description="Une image du test au hasard", layout=w.Layout(width="auto"))
    shown, generator = w.HTML(), np.random.default_rng()

    def examine(image: np.ndarray, truth: str = "") -> None:
        said = recognise(config, model, image)
        shown.value = show(image, said, dataset.classes, truth)

    def uploaded(change: Any) -> None:
        """Examine a file that was dropped."""
        if change["new"]:
            image = read_picture(bytes(change["new"][0]["content"]))
            examine(image) if image is not None else setattr(shown, "value", line(UNREADABLE))

    def draw(*_: Any) -> None:
        row = int(generator.integers(len(dataset.test)))
        examine(dataset.test.images[row], dataset.classes[dataset.test.labels[row]])

    upload.observe(uploaded, "value")
    pick.on_click(draw)
    draw()
    return w.VBox([w.HBox([upload, pick]), shown, w.HTML(line(CAUTION))])
