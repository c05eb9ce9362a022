"""What eases reading in the assembled page: previews, folds, room on every screen."""

import pandas as pd
import pytest
from report_sample import META, WANTED, code, displayed, markdown, three_notebooks, write

from eurosat_lib.report import table
from eurosat_lib.report.assemble import assemble

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
TABLET = {"viewport": {"width": 820, "height": 1180}, "has_touch": True}
SCREENS = {"phone": PHONE, "tablet": TABLET, "small": {"viewport": {"width": 1100, "height": 700}}}
TARGETS = "button, summary, nav a, .card a, .source a, footer a"
SMALL = """names => [...document.querySelectorAll(names)].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && (box.width < 24 || box.height < 24);
}).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading")
    frame = pd.DataFrame({"cachette": ["zibeline"]})
    fold = displayed(table, frame, "Un supplément", name="plus", detail=True)
    filler = "\n\n".join(f"Paragraphe {n}. " + "Un texte assez long. " * 30 for n in range(12))
    text = f"{filler}\n\nVoir le [tableau](#tab-plus), la [figure](#fig-1) et la section 1."
    more = write(folder / "04_more.ipynb", markdown(text), code("table(x)", fold), code("rien"))
    assemble([*three_notebooks(folder), more], META, folder / "r.html", questionnaire=WANTED)
    return (folder / "r.html").as_uri()


def preview(page):
    return page.locator(".preview")


def test_a_reference_shows_what_it_points_to(visit):
    page = visit()
    link = page.locator("a[href='#fig-1']").last
    link.hover()
    preview(page).locator("img.drawing").wait_for(timeout=3000)
    assert preview(page).inner_text().startswith("Figure\u00a01. Des images")
    preview(page).hover()  # it stays while the pointer is in it
    page.wait_for_timeout(300)
    assert preview(page).is_visible()
    page.keyboard.press("Escape")
    assert not preview(page).is_visible()
    page.locator("a[href='#sec-1-donnees']").last.hover()
    preview(page).get_by_text("27\u202f000 images").wait_for(timeout=3000)
    assert len(set(page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)"))) == (
        page.locator("[id]").count()
    )


def test_a_preview_shows_a_closed_supplement_to_the_keyboard_too(visit):
    page = visit()
    page.locator("a[href='#fig-1']").last.focus()
    page.keyboard.press("Shift+Tab")
    assert preview(page).locator("td").inner_text() == "zibeline"
    assert preview(page).inner_text().startswith("Tableau\u00a0S1. Un supplément")
    assert page.locator("main td", has_text="zibeline").is_hidden()
    page.keyboard.press("Tab")
    assert preview(page).locator("td").count() == 0 or not preview(page).is_visible()


def test_what_is_in_view_needs_no_preview(visit):
    page = visit()
    page.locator("#reponse-D1 .label a").hover()
    page.wait_for_timeout(500)
    assert not preview(page).is_visible()


def test_a_cell_that_shows_nothing_waits_for_the_code_to_be_asked_for(visit):
    page = visit()
    silent = page.locator(".silent")
    assert silent.count() == 1 and not silent.is_visible()
    page.locator("[data-action=code]").click()
    assert silent.inner_text().split() == ["Code", "rien", "Copier"]
    page.locator("[data-action=code]").click()
    assert not silent.is_visible()


def test_all_supplements_open_at_once_and_the_text_stays_where_it_is(visit):
    page = visit(viewport={"width": 1400, "height": 500})
    mark = page.locator("h4").last
    mark.evaluate("e => scrollBy(0, e.getBoundingClientRect().top - innerHeight / 3)")
    before = mark.bounding_box()["y"]
    for action in ("code", "details"):
        page.locator(f"[data-action={action}]").click()
    assert page.locator("details:not([open])").count() == 0
    assert mark.bounding_box()["y"] == pytest.approx(before, abs=2)
    assert page.locator("[data-action=details]").inner_text() == "Fermer les suppléments"


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wider_than_the_screen_nor_too_small_to_touch(visit, screen):
    page = visit(**SCREENS[screen])
    for action in ("code", "details"):
        page.locator(f"[data-action={action}]").dispatch_event("click")
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if "has_touch" in SCREENS[screen]:
        page.locator(".menu").tap()
        assert page.evaluate(SMALL, TARGETS) == []


def test_the_text_does_not_jump_while_it_loads(visit):
    page = visit()
    shifts = page.evaluate("""() => new Promise(done => {
        const seen = list => list.getEntries().reduce((sum, entry) => sum + entry.value, 0);
        const kind = {type: "layout-shift", buffered: true};
        new PerformanceObserver(list => done(seen(list))).observe(kind);
        setTimeout(() => done(0), 500);
    })""")
    assert shifts < 0.01


def test_a_browser_prints_the_text_without_tools(visit):
    page = visit()
    page.emulate_media(media="print")
    for name in (".contents", ".tools", ".preview", "dialog", ".here", "details.code"):
        assert not page.locator(name).first.is_visible(), name
    assert page.locator("#D1").is_visible() and page.locator("header h1").is_visible()
