"""Figures on paper: what moves up before them, and what never does."""

from dataclasses import replace

import pytest

from eurosat_lib.report.paging import Block, arrange

PAGE = 900.0


def lay_out(*sizes):
    """Put blocks of (kind, height) on pages, 10 px apart, as a printer without floats would."""
    blocks, sheet, foot = [], 0, 0.0
    for kind, height in sizes:
        first = sheet
        if foot + 10 + height > PAGE and kind == "text" and PAGE - foot > 72:
            sheet, end = sheet + 1, foot + 10 + height - PAGE
        elif foot + 10 + height > PAGE:
            first, sheet, end = sheet + 1, sheet + 1, height
        else:
            end = foot + (10 if foot else 0) + height
        blocks.append(Block(kind, height, 10, PAGE, (first, sheet), end))
        foot = end
    return blocks


def placed(*sizes):
    """Return the order in which blocks stand after the moves."""
    order = list(range(len(sizes)))
    for number, before in arrange(lay_out(*sizes)).moves:
        order.remove(number)
        order.insert(order.index(before), number)
    return order


TOP = ("text", 600)  # leaves 300 px


def test_text_fills_the_page_before_a_figure_that_does_not_fit():
    assert placed(TOP, ("figure", 400), ("text", 100), ("text", 150)) == [0, 2, 3, 1]


def test_a_figure_that_fits_stays():
    assert placed(TOP, ("figure", 250), ("text", 100)) == [0, 1, 2]


def test_a_small_gap_is_left():
    assert placed(("text", 870), ("figure", 400), ("text", 100)) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["heading"])
def test_nothing_leaves_its_section(kind):
    assert placed(TOP, ("figure", 400), (kind, 30), ("text", 100)) == [0, 1, 2, 3]


def test_figures_keep_their_order_and_tables_theirs():
    order = placed(TOP, ("figure", 400), ("figure", 200), ("table", 100), ("table", 90))
    assert order == [0, 3, 4, 1, 2]
    order = placed(TOP, ("table", 400), ("table", 100), ("text", 80))
    assert order == [0, 3, 1, 2]


def test_a_question_moves_with_its_answer_only():
    assert placed(TOP, ("figure", 400), ("question", 40), ("text", 100)) == [0, 2, 3, 1]
    assert placed(TOP, ("figure", 400), ("question", 240), ("text", 100)) == [0, 1, 2, 3]


def test_a_text_that_goes_on_overleaf_fills_the_page():
    assert placed(TOP, ("figure", 400), ("text", 700), ("text", 50)) == [0, 2, 1, 3]


def test_what_follows_is_judged_by_where_it_comes_to_stand():
    sizes = [TOP, ("figure", 400), ("text", 250), ("figure", 600), ("text", 100)]
    # The first figure takes 400 of the second page: 500 are left, and text fills them.
    assert placed(*sizes) == [0, 2, 1, 4, 3]


def test_the_line_that_ends_a_section_stays_there():
    assert placed(TOP, ("figure", 400), ("text", 100), ("end", 20)) == [0, 2, 1, 3]


def with_picture(*sizes):
    """The same blocks; of a figure all but 40 px is its picture."""
    return [
        replace(b, picture=b.height - 40) if b.kind == "figure" else b for b in lay_out(*sizes)
    ]


def test_a_figure_that_lacks_little_is_made_smaller():
    found = arrange(with_picture(TOP, ("figure", 300), ("text", 100)))
    assert found.moves == [] and found.heights == {1: pytest.approx(260 - 14)}  # 10 + 4 missing
    found = arrange(with_picture(TOP, ("figure", 320), ("text", 100)))
    assert found.moves == [(2, 1)] and found.heights == {}  # text rather than 88 %
    found = arrange(with_picture(TOP, ("figure", 320), ("heading", 30), ("text", 100)))
    assert found.moves == [] and found.heights == {1: pytest.approx(280 - 34)}
    assert arrange(with_picture(TOP, ("figure", 400), ("heading", 30))).heights == {}
