"""Pictures for the views, fast: small PNGs within HTML, figures whose lines move."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from eurosat_lib.french import typeset
from eurosat_lib.plots.style import ORANGE, WIDTH

SIDE = 104  # CSS pixels of a picture in a gallery
DPI = 96  # of a figure
SHOWN = round(WIDTH * DPI)  # CSS pixels of its width


def png(image: np.ndarray) -> bytes:
    """Encode uint8 (3, H, W), or (H, W) grey."""
    pixels = image if image.ndim == 2 else image.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Turn float values in [0, 1] into uint8 in 0-255."""
    return (np.asarray(image) * 255).round().clip(0, 255).astype(np.uint8)


def tag(image: np.ndarray, alt: str = "", side: int = SIDE) -> str:
    """Write a picture as an HTML element, its pixels visible as squares."""
    data = base64.b64encode(png(image)).decode()
    style = f"width:{side}px;height:{side}px;image-rendering:pixelated;display:block"
    return f'<img alt="{html.escape(alt)}" style="{style}" src="data:image/png;base64,{data}">'


def gallery(
    images: Iterable[np.ndarray],
    captions: Sequence[str],
    marked: Sequence[bool] | None = None,
    side: int = SIDE,
) -> str:
    """Lay pictures out in lines, each over its caption; a marked one has an orange frame.

    Args:
        images: uint8 (3, H, W) or (H, W).
        captions: plain text; a line feed starts a new line.
        marked: which are framed.
        side: of a picture, in CSS pixels.
    """
    flags = marked if marked is not None else [False] * len(captions)
    cells = [
        _cell(image, typeset(caption), flag, side)
        for image, caption, flag in zip(images, captions, flags, strict=True)
    ]
    columns = f"grid-template-columns:repeat(auto-fill,{side + 6}px)"
    layout = f"display:grid;{columns};gap:8px;padding:4px"
    return f'<div class="gallery" style="{layout}">{"".join(cells)}</div>'


def _cell(image: np.ndarray, caption: str, marked: bool, side: int) -> str:
    frame = f"outline:3px solid {ORANGE};" if marked else ""
    lines = html.escape(caption).replace("\n", "<br>")
    text = "font-size:11px;line-height:1.25;margin-top:4px;overflow-wrap:anywhere"
    picture = tag(image, caption.replace("\n", ", "), side)
    return (
        f'<figure style="margin:0;width:{side}px"><div style="{frame}">{picture}</div>'
        f'<figcaption style="{text}">{lines}</figcaption></figure>'
    )


def line(text: str) -> str:
    """Write a sentence, with French spacing; it may hold ``<b>``."""
    return f'<div class="line" style="line-height:1.4;margin:2px 0">{typeset(text)}</div>'


def overlay(image: np.ndarray, heat: np.ndarray, strength: float = 0.55) -> np.ndarray:
    """Lay a map over an image.

    Args:
        image: uint8 (3, H, W).
        heat: float (h, w) in [0, 1], enlarged to (H, W).
        strength: opacity where the map is 1.

    Returns:
        uint8 (3, H, W).
    """
    small = Image.fromarray(np.asarray(heat, np.float32))
    large = np.asarray(small.resize(image.shape[:0:-1], Image.Resampling.BICUBIC)).clip(0, 1)
    colours = colormaps["inferno"](large)[..., :3].transpose(2, 0, 1)
    opacity = strength * large
    return to_bytes(image / 255 * (1 - opacity) + colours * opacity)


def freeze(figure: Figure) -> Figure:
    """Lay a figure out once and for all: drawn again after a change, it takes a moment only."""
    figure.get_layout_engine().set(rect=(0.02, 0, 0.98, 1))  # ticks may grow a little
    for _ in range(2):  # the first drawing writes the ticks that the second makes room for
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def figure_png(figure: Figure) -> bytes:
    """Draw a figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, pil_kwargs={"compress_level": 1})
    return buffer.getvalue()
