"""The benchmark as a picture: time per image of both loops."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

OURS, USUAL = "#0072B2", "#999999"  # Okabe and Ito's palette, safe for colour-blind readers


def bench_figure(result: dict[str, Any]) -> Figure:
    """Draw the loops' rows: usual and own time per image, the ratio beside the bars."""
    rows = [row for row in result["rows"] if row["section"] == "loop"]
    figure = Figure(figsize=(7, 0.9 + 0.55 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(rows):
        ours, usual = row["value"] / 1e3, row["reference"] / 1e3
        axes.barh(y - 0.19, usual, 0.36, color=USUAL, label="usual loop" if y == 0 else None)
        axes.barh(y + 0.19, ours, 0.36, color=OURS, label="this project" if y == 0 else None)
        axes.annotate(
            f"{ours:.3g} ms",
            (ours, y + 0.19),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
        text = f"{usual:.3g} ms: × {row['ratio']:.1f}"
        axes.annotate(
            text, (usual, y - 0.19), (3, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(rows)), [row["what"] for row in rows])
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("milliseconds per image (median)")
    axes.legend(frameon=False, loc="lower right")
    torch = result["environment"]["torch"]
    axes.set_title(f"{result['device']}, torch {torch}, batch {result['batch_size']}", fontsize=9)
    return figure
