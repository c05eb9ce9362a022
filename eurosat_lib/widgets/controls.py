"""Sliders that read in French: decimal comma, percentages, "page 3 sur 12"."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from eurosat_lib.french import nombre

WIDE = "460px"
NAMED = "110px"  # of the description


def steps(low: float, high: float, step: float) -> list[float]:
    """List the values of a slider, both ends included, free of rounding errors."""
    first, last, between = (Decimal(str(value)) for value in (low, high, step))
    return [float(first + k * between) for k in range(int((last - first) / between) + 1)]


def slider(
    values: Iterable[float], value: float, text: str, say: Callable[[float], str] = nombre
) -> Any:
    """Make a slider over values; its ``value`` is one of them.

    Args:
        values: in any order; ``value`` is added if it is not among them.
        value: at first.
        text: what stands before the slider.
        say: writes a value beside it, in French.
    """
    import ipywidgets as w

    return w.SelectionSlider(
        options=[(say(one), one) for one in sorted({*values, value})],
        value=value,
        description=text,
        layout=w.Layout(width=WIDE),
        style={"description_width": NAMED},
    )


class Pages:
    """Turns pages: a slider between two buttons.

    Attributes:
        box: the widgets.
    """

    def __init__(self, turn: Callable[[int], None]) -> None:
        """Take what shows a page, counted from 0."""
        import ipywidgets as w

        self._turn = turn
        self._back, self._on = (
            w.Button(description=text, layout=w.Layout(width="110px"))
            for text in ("◀ Avant", "Après ▶")
        )
        layout = w.Layout(width=WIDE)
        self._slider = w.IntSlider(min=1, max=1, description="page", readout=False, layout=layout)
        self._text = w.HTML()
        self._slider.observe(self._show, "value")
        self._back.on_click(lambda _: self._step(-1))
        self._on.on_click(lambda _: self._step(1))
        row = w.Layout(align_items="center")
        self.box = w.HBox([self._slider, self._text, self._back, self._on], layout=row)

    def restart(self, count: int) -> None:
        """Show the first of ``count`` pages."""
        self._slider.unobserve(self._show, "value")
        self._slider.value, self._slider.max = 1, max(count, 1)
        self._slider.observe(self._show, "value")
        self._show()

    def _step(self, by: int) -> None:
        self._slider.value = min(max(self._slider.value + by, 1), self._slider.max)

    def _show(self, *_: Any) -> None:
        page, last = self._slider.value, self._slider.max
        self._text.value = f"{nombre(page)} sur {nombre(last)}"
        self._back.disabled, self._on.disabled = page == 1, page == last
        self._turn(page - 1)
