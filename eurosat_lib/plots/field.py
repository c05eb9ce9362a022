"""Drawing of notebook 03: what one output of the network sees of an image."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, from_numpy

from eurosat_lib.checks import Architecture
from eurosat_lib.checks.architecture import Variant
from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.plots.axes import label_ends
from eurosat_lib.plots.style import SERIES, SOFT, bare, finish, one_axes, styled
from eurosat_lib.tables.words import plural
from eurosat_lib.transforms import get_preprocess_transforms

EXAMPLE = "Highway"  # a class told by what is around it


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
