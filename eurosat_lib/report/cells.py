"""What a notebook cell displays in the report: a figure, a table, an answer."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any

from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.report.markup import anchor, caption_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

    from eurosat_lib.config import Config
    from eurosat_lib.report.pictures import Format


def figure(
    fig: Figure | None,
    caption: str,
    *,
    name: str | None = None,
    form: Format = "auto",
    detail: bool = False,
) -> None:
    """Display a figure with its caption, and close it.

    Args:
        fig: what it shows for those who do not see it is ``fig.get_label()``, else the caption;
            ``None`` is a figure that this run leaves out: nothing is displayed.
        caption: one line of French, without number; ``**bold**``, ```code``` and ``$maths$``.
        name: makes a target for references: ``[figure](#fig-name)`` is written "figure 3".
        form: ``auto`` takes PNG for pictures and crowded plots, SVG otherwise.
        detail: supplementary: in a closed fold on screen ("figure S1"), left out on paper.

    Raises:
        UserError: the figure is empty or the caption is missing.
    """
    from eurosat_lib.report.pictures import encode, photographs

    if fig is None:
        return
    text = caption_html(caption)
    address, width, height = encode(fig, form)
    alt = html.escape(str(fig.get_label() or "").strip() or _plain(caption))
    photos = photographs(fig)
    mark = f' data-photos="{photos}"' if photos else ""
    _close(fig)
    _publish(
        f'<figure class="eurosat"{anchor("fig", name)}{_mark(detail)}>'
        f'<img src="{address}" alt="{alt}" width="{width}" height="{height}"{mark}>'
        f"<figcaption>{text}</figcaption></figure>",
        caption,
    )


def table(
    data: DataFrame | Styler | None,
    caption: str,
    *,
    name: str | None = None,
    note: str | None = None,
    detail: bool = False,
    **options: Any,
) -> None:
    """Display a table with its caption; numbers are written in French and right-aligned.

    Options not given are taken from the frame's ``attrs``, where `eurosat_lib.tables` puts them.

    Args:
        data: a DataFrame, or a Styler, which keeps its own formats; ``None`` is a table that
            this run leaves out: nothing is displayed.
        caption: one line of French, without number; ``**bold**``, ```code``` and ``$maths$``.
        name: makes a target for references: ``[tableau](#tab-name)`` is written "tableau 3".
        note: a line of explanation under the table.
        detail: supplementary: in a closed fold on screen ("tableau S1"), left out on paper.
        options: ``digits`` (decimals of floats, for all columns or by column, default 3),
            ``percent`` (columns of fractions, written ``81,2 %``), ``scientific`` (columns in
            powers of ten), ``missing`` (what stands for a missing value; without it, one is an
            error), ``hide_index`` (by default an index that only counts the rows is hidden).

    Raises:
        UserError: empty table, missing value, unknown column, missing caption.
    """
    from eurosat_lib.report.tables import to_html

    if data is None:
        return
    options = getattr(data, "attrs", {}) | options
    note = note or options.pop("note", None)
    text = to_html(
        data, caption_html(caption), note=caption_html(note) if note else None, **options
    )
    _publish(f'<div class="table"{anchor("tab", name)}{_mark(detail)}>{text}</div>', caption)


def capture(config: Config, name: str, caption: str) -> None:
    """Display a screenshot of TensorBoard, or how to take it; the report shows the latest.

    Args:
        config: of the run.
        name: ``overfit``, ``lr_finder`` …, see `eurosat_lib.captures.VIEWS`.
        caption: as for `figure`.

    Raises:
        UserError: there is no such view.
    """
    from eurosat_lib.captures import VIEWS, find_captures
    from eurosat_lib.report.screenshots import markup

    if name not in VIEWS:
        raise UserError(f"capture {name!r}: no such view{did_you_mean(name, VIEWS)}")
    _publish(markup(name, caption_html(caption), find_captures(config).get(name)), caption)


def answer(name: str, *results: Any, **extra: Any) -> None:
    """Display the answer to a question, rendered from ``reports/answers/<name>.md``.

    Args:
        name: ``D1``…``D11``, ``M0``…``M9``, or ``S…`` for the list of a section.
        results: stage results; the facts of the first stand at the template's top level, those
            of each under its stage's name.
        extra: further names for the template.

    Raises:
        UserError: no such answer, a faulty template, or a missing value; says where.
    """
    from eurosat_lib.report.answers import context_of, render

    try:
        text = render(name, context_of(results, extra))
    except UserError as error:
        raise UserError(f"answer {name}: {error}") from error.__cause__
    _display({"text/markdown": text, "text/plain": text}, {"eurosat": {"answer": name}})


def _mark(detail: bool) -> str:
    return ' data-detail="1"' if detail else ""


def _plain(caption: str) -> str:
    return " ".join(caption.replace("**", "").replace("`", "").replace("$", "").split())


def _close(fig: Figure) -> None:
    """Close a figure of pyplot, which the notebook would show once more at the cell's end."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(fig)


def _publish(text: str, plain: str) -> None:
    _display({"text/html": text, "text/plain": plain}, {})


def _display(data: dict[str, str], metadata: dict[str, Any]) -> None:
    from IPython.display import publish_display_data

    publish_display_data(data, metadata)
