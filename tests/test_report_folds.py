"""Supplementary figures and tables: folded on screen, named on paper, numbered apart."""

import lxml.html
import matplotlib
import numpy as np
import pandas as pd
import pytest
from report_sample import META, WANTED, answer_output, code, displayed, markdown, write

from eurosat_lib.report import figure, table
from eurosat_lib.report.assemble import build_page, paper, to_text
from eurosat_lib.report.meta import ReportMeta

matplotlib.use("agg")
from matplotlib import pyplot as plt


def curve(caption, **options):
    fig, axes = plt.subplots(figsize=(4, 2))
    axes.plot(np.linspace(0, 1, 5))
    return displayed(figure, fig, caption, **options)


def numbers(caption, **options):
    return displayed(table, pd.DataFrame({"a": [1, 2]}), caption, **options)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    reply = "Voir la [figure](#fig-plus), le [tableau](#tab-plus) et le [tableau](#tab-reste)."
    path = write(
        tmp_path_factory.mktemp("folds") / "01_data.ipynb",
        markdown("## 1) Données\n\n### 1.1 Le _dataset_ & co"),
        code("figure(f)", curve("Gardée")),
        code("figure(g)", curve("En $\\ln$ **plus**", name="plus", detail=True)),
        code("table(t)", numbers("En plus", name="plus", detail=True)),
        code("table(u)", numbers("Reste", name="reste")),
        code("figure(h)", curve("Encore gardée")),
        markdown("Ce qui suit.", "detail"),
        code("figure(i)", curve("Encore en plus", detail=True)),
        markdown("> **D1.** Quel **dataset** utilisez-vous ?"),
        code("answer('D1')", answer_output("D1", reply)),
        markdown("## 2) Modèle\n\n> **M0.** À vous."),
        code("answer('M0')", answer_output("M0", "Oui.")),
    )
    return build_page([path], ReportMeta.of(META), WANTED)


def spoken(element):
    return " ".join(element.text_content().split())


def test_supplements_stand_in_closed_folds_with_their_captions(page):
    folds = page.xpath("//details[@class='detail']")
    assert [fold.get("open") for fold in folds] == [None] * 3
    heads = [spoken(fold.find("summary")) for fold in folds]
    assert heads[1].startswith("Tableau S1. En plus")
    assert heads[2] == "Figure S2. Encore en plus"
    assert folds[0].find("summary//svg") is not None  # the formula of the caption is drawn
    assert not page.xpath("//details//figcaption|//details//caption")
    for named in (folds[0][1], folds[1].find(".//table")):
        assert page.get_element_by_id(named.get("aria-labelledby")).tag == "summary"


def test_what_is_printed_keeps_its_numbers(page):
    shown = [spoken(e) for e in page.xpath("//figcaption/span[1]|//caption/span[1]")]
    assert shown == ["Figure 1.", "Tableau 1.", "Figure 2."]
    printed = paper(page)
    again = printed.xpath("//figcaption/span[1]|//caption/span[1]")
    assert [spoken(e) for e in again] == shown


def test_references_lead_to_a_fold_on_screen_and_are_plain_on_paper(page):
    reply = page.xpath("//div[@data-answer='D1']/p[last()]")[0]
    assert spoken(reply) == "Voir la figure S1, le tableau S1 et le tableau 1."
    assert len(reply.findall("a")) == 3
    printed = paper(page).xpath("//div[@data-answer='D1']/p[last()]")[0]
    assert spoken(printed) == (
        "Voir la figure S1, version HTML, le tableau S1, version HTML et le tableau 1."
    )
    assert [link.get("href") for link in printed.findall("a")] == ["#tab-reste"]


def test_paper_names_what_it_leaves_out(page):
    printed = paper(page)
    assert not printed.xpath("//details[@class='detail']")
    lines = [spoken(e) for e in printed.find_class("elsewhere")]
    assert lines == ["Compléments dans la version HTML : figures S1 et S2 ; tableau S1."]
    (line,) = printed.find_class("elsewhere")
    assert line.getnext().tag == "h2" and spoken(line.getnext()).startswith("2) Modèle")
    assert "Ce qui suit." in spoken(page) and "Ce qui suit." not in spoken(printed)
    (note,) = printed.find_class("supplements")
    assert "2 figures et 1 tableau de plus" in spoken(note)
    assert not page.find_class("supplements") and not page.find_class("elsewhere")


def test_without_supplements_paper_says_nothing(page):
    bare = lxml.html.document_fromstring(to_text(page))
    for fold in bare.find_class("detail"):
        fold.drop_tree()
    assert not paper(bare).find_class("supplements")
