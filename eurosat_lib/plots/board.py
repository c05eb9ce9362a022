"""Figures in TensorBoard: examples of the data, the confusion matrix."""

from __future__ import annotations

import io
from collections.abc import Mapping

from matplotlib.figure import Figure

from eurosat_lib.config import Config
from eurosat_lib.tracking import write_images

DPI = 110  # pixels per inch: figures 740 pixels wide


def log_figures(config: Config, run: str, figures: Mapping[str, Figure]) -> str:
    """Write figures as the images of one TensorBoard run.

    Args:
        config: for its folder ``runs``.
        run: folder below it, ``explore_dataset/images``.
        figures: tag of the image -> figure.

    Returns:
        What was written, in one line.
    """
    write_images(config.paths.runs / run, {tag: _png(figure) for tag, figure in figures.items()})
    return f"runs/{run} : {', '.join(figures)}"


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()
