"""What the views share: French read-outs, pages, the framed cell."""

from handmade import EVALUATION

from eurosat_lib.french import pct
from eurosat_lib.widgets.album import caption
from eurosat_lib.widgets.controls import Pages, slider, steps
from eurosat_lib.widgets.matrix import Board


def test_steps_are_what_one_would_write():
    assert steps(0, 0.3, 0.1) == [0.0, 0.1, 0.2, 0.3]
    assert steps(0, 1, 0.05)[3] == 0.15 and steps(0, 1, 0.3)[-1] == 0.9


def test_a_slider_reads_in_french_and_keeps_a_value_between_its_steps():
    made = slider(steps(0, 1, 0.5), 0.125, "seuil", pct)
    assert made.value == 0.125
    labels = [label for label, _ in made.options]
    assert labels == [f"{text}\u202f%" for text in ("0,0", "12,5", "50,0", "100,0")]


def test_pages_are_turned_within_their_bounds():
    turned = []
    pages = Pages(turned.append)
    pages.restart(3)
    _, text, back, on = pages.box.children
    assert back.disabled and text.value == "1 sur 3"
    on.click()
    on.click()
    on.click()
    assert turned == [0, 1, 2] and on.disabled
    pages.restart(2)
    assert turned == [0, 1, 2, 0] and text.value == "1 sur 2"
    back.click()
    assert turned == [0, 1, 2, 0]


def test_an_image_is_named_once():
    assert caption("SeaLake", "SeaLake_984.jpg") == "SeaLake\nn° 984"
    assert caption("SeaLake", "tiles/a7.png") == "SeaLake\na7"


def test_the_open_cell_alone_has_a_frame():
    board, opened = Board(EVALUATION), []
    board.on_open = lambda: opened.append(board.cell)
    board.open(0, 1)
    board._buttons[2, 1].click()
    framed = [place for place, b in board._buttons.items() if b.layout.border_top]
    assert opened == [(0, 1), (2, 1)] and framed == [(2, 1)]
