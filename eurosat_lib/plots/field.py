"""Drawing of notebook 03: what one output of the network sees of an image."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, from_numpy

from eurosat_lib.checks import Architecture
from eurosat_lib.checks.architecture import Variant
from eurosat_lib.checks.measure import ENERGY
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.french import pct
from eurosat_lib.plots.axes import label_ends
from eurosat_lib.plots.style import INK, SERIES, SOFT, bare, finish, new_figure, one_axes, styled
from eurosat_lib.tables.words import plural
from eurosat_lib.transforms import get_preprocess_transforms

EXAMPLE = "Highway"  # a class told by what is around it
DEPTH = 1e6  # range of the energies that are told apart


@styled
def footprints(arch: Architecture) -> Figure:
    """Show where the gradient of one output reaches, and the square that the formula gives."""
    fig = new_figure(2.25)
    variants = sorted(arch.variants, key=lambda v: v.receptive_field)
    half = 0.56 * max(arch.input_shape[1], *(v.receptive_field for v in variants))
    for ax, v in zip(fig.subplots(1, len(variants), squeeze=False)[0], variants, strict=True):
        _footprint(bare(ax), v, arch.input_shape[1])
        ax.set_xlim(-half, half)
        ax.set_ylim(half, -half)
        ax.set_title(
            f"{_name(v)}\nformule {v.receptive_field} px, gradient {v.measured_field} px\n"
            f"{pct(ENERGY, 0)} de l’énergie : {v.energy_field} px",
            fontsize=7,
        )
    sizes = " ; ".join(
        f"{_name(v)} : formule {v.receptive_field} pixels, gradient {v.measured_field}, "
        f"{pct(ENERGY, 0)} de l’énergie dans {v.energy_field}"
        for v in variants
    )
    title = "Champ réceptif : le gradient (bleu) remplit le carré de la formule (orange)"
    if any(v.receptive_field != v.measured_field for v in variants):
        title = "Champ réceptif : le gradient (bleu) et le carré de la formule (orange)"
    return finish(fig, title, f"{sizes}.")


def _footprint(ax: Axes, variant: Variant, size: int) -> None:
    """Draw the energy on a logarithmic scale; it is the product of its two profiles."""
    energy = np.outer(variant.profile, variant.profile)
    reach = variant.measured_field / 2
    box = (-reach, reach, reach, -reach)
    lowest = max(energy.min(), energy.max() / DEPTH)
    ax.imshow(energy, extent=box, cmap="Blues", norm=LogNorm(lowest / 3, energy.max() * 30))
    for side, color, dashes in (
        (size, INK, ":"),
        (variant.receptive_field, SERIES[1], "-"),
        (variant.energy_field, "white", "--"),
    ):
        corner = (-side / 2, -side / 2)
        ax.add_patch(Rectangle(corner, side, side, fill=False, ec=color, ls=dashes, lw=1.2))


@styled
def receptive_field(config: Config, arch: Architecture) -> Figure:
    """Draw, over an image, what one output of stage 3 sees, for each network of the grid."""
    size = config.data.image_size
    variants = sorted(arch.variants, key=lambda v: v.receptive_field)
    widest = max(size, variants[-1].receptive_field)
    fig, ax = one_axes(3.7)
    bare(ax).imshow(_example(config), extent=(0, size, size, 0), interpolation="nearest")
    start, stop = size / 2 - 0.54 * widest, size / 2 + 0.54 * widest
    ax.add_patch(Rectangle((start, start), stop - start, stop - start, fc="#eceff3", zorder=-1))
    ax.set_xlim(start, stop + 0.8 * widest)
    ax.set_ylim(stop, start)
    ends = [_square(ax, v, k, size, stop) for k, v in enumerate(variants)]
    ax.plot([size, stop], [size * 0.9, size * 0.9], color=SOFT, lw=0.7)
    ends.append((stop, size * 0.9, f"image : {size} × {size} px", SOFT))
    if start < 0:
        ends.append((stop, stop, "fond gris : au-delà du bord, des zéros", SOFT))
    label_ends(ax, ends)
    sides = " ; ".join(f"{v.receptive_field} pixels avec {_name(v)}" for v in variants)
    alt = (
        f"Carrés centrés sur une image de {size} pixels de côté. Champ réceptif après l’étage 3 "
        f"selon le réseau : {sides}."
    )
    return finish(fig, "Ce qu’une sortie de l’étage 3 voit de l’image", alt)


def _example(config: Config):
    dataset, preprocess = load_dataset(config), get_preprocess_transforms(config)
    labels = dataset.train.labels
    wanted = dataset.classes.index(EXAMPLE) if EXAMPLE in dataset.classes else labels[0]
    index = int((labels == wanted).argmax())
    batch: Tensor = preprocess(from_numpy(dataset.train.images[[index]]))
    return preprocess.invert(batch)[0].permute(1, 2, 0).numpy()


def _square(
    ax: Axes, variant: Variant, rank: int, size: int, stop: float
) -> tuple[float, float, str, str]:
    """Draw the field of one network; return where its label starts, the label, the colour."""
    side, color = variant.receptive_field, SERIES[rank % len(SERIES)]
    corner = (size - side) / 2
    dashes = ("-", "--", "-.", ":")[rank % 4]
    ax.add_patch(Rectangle((corner, corner), side, side, fill=False, ec=color, lw=1.8, ls=dashes))
    ax.plot([corner + side, stop], [corner, corner], color=color, lw=0.7)
    return stop, corner, f"{side} px : {_name(variant)}", color


def _name(variant: Variant) -> str:
    blocks = plural(variant.blocks_per_stage, "bloc")
    return f"{blocks}, dilatation {variant.dilation_stage3}"
