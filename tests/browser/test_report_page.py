"""The assembled page in a real browser: nothing fetched, nothing broken, usable by everyone."""

import pandas as pd
import pytest
from report_sample import META, WANTED, code, displayed, markdown, three_notebooks, write

from eurosat_lib.report import table
from eurosat_lib.report.assemble import assemble

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
LOOKS = {"light": {}, "dark": {"color_scheme": "dark"}, "phone": PHONE}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    frame = pd.DataFrame({"cachette": ["zibeline", "autre"]})
    fold = displayed(table, frame, "Un supplément", name="plus", detail=True)
    more = write(
        folder / "04_more.ipynb", markdown("Voir le [tableau](#tab-plus)."), code("table(x)", fold)
    )
    notebooks = [*three_notebooks(folder), more]
    assemble(notebooks, META, folder / "rapport.html", questionnaire=WANTED)
    return (folder / "rapport.html").as_uri()


def colour(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_fetched_and_nothing_complains(visit, look):
    page = visit(**LOOKS[look])
    for button in page.locator(".tools button:not([data-action=print])").all():
        button.dispatch_event("click")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".zoom").first.dispatch_event("click")
    assert page.requests == [] and page.errors == []
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0
    sizes = "[...document.images].map(i => i.complete && i.naturalWidth > 0)"
    assert all(page.evaluate(sizes))


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_violation(visit, look):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs: pip install axe-playwright-python"
    )
    page = visit(**LOOKS[look])
    for kind in ("code", "details"):
        page.locator(f"[data-action={kind}]").dispatch_event("click")
    assert page.locator("details:not([open])").count() == 0
    if look == "phone":
        page.locator(".menu").tap()
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_phone_needs_no_sideways_scrolling(visit):
    expect = pytest.importorskip("playwright.sync_api").expect
    page = visit(**PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.locator("#toc").is_visible()
    page.locator(".menu").tap()
    page.locator("#toc a", has_text="2) Modèle").tap()
    assert not page.locator("#toc").is_visible()
    expect(page.locator(".bar .place")).to_have_text("2) Modèle")  # once it has come to rest
    top, bar = (page.locator(name).bounding_box() for name in ("#sec-2-modele", ".bar"))
    assert top["y"] > bar["height"]


def test_the_theme_follows_the_system_until_it_is_switched(visit):
    page = visit(color_scheme="dark")
    dark = colour(page)
    page.emulate_media(color_scheme="light")
    light = colour(page)
    assert dark != light
    button = page.locator("[data-action=theme]")
    assert button.text_content() == "Thème sombre"
    button.click()
    assert colour(page) == dark and button.text_content() == "Thème clair"
    drawing = page.locator("#fig-perte img")
    assert "invert" in drawing.evaluate("e => getComputedStyle(e).filter")
    page.reload()
    assert colour(page) == dark
    page.emulate_media(media="print")
    assert colour(page) == "rgb(255, 255, 255)"
    assert drawing.evaluate("e => getComputedStyle(e).filter") == "none"


def test_in_the_dark_photographs_keep_their_colours(visit):
    page = visit(color_scheme="dark")
    base, photos = page.locator("#fig-1 img.drawing"), page.locator("#fig-1 img.photos")
    assert "invert" in base.evaluate("e => getComputedStyle(e).filter")
    assert "invert" not in photos.evaluate("e => getComputedStyle(e).filter")
    assert base.bounding_box() == photos.bounding_box()
    left, top, width, height = map(float, base.get_attribute("data-photos").split())
    assert 0 < left < left + width < 100 and 0 < top < top + height < 100 and width > 30
    page.locator("[data-action=theme]").click()
    assert not photos.is_visible() and base.evaluate("e => getComputedStyle(e).filter") == "none"
    page.locator("[data-action=theme]").click()
    page.emulate_media(media="print")
    assert not photos.is_visible()


def test_the_active_section_is_marked(visit):
    page = visit(viewport={"width": 1400, "height": 300})
    for name in ("sec-2-modele", "sec-1-donnees"):
        page.evaluate("id => document.getElementById(id).scrollIntoView()", name)
        current = page.locator(f"#toc a[href='#{name}'][aria-current=location]")
        current.wait_for(timeout=3000, state="attached")
        assert page.locator("#toc a[aria-current]").count() == 1


def test_the_keyboard_reaches_everything(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Aller au contenu"
    summary = page.locator("details.code summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.code").first.evaluate("e => e.open")
    page.locator(".zoom").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog.large img.drawing").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog.large").is_visible()
    wide = page.locator(".table.landscape .scroll")
    assert wide.get_attribute("tabindex") == "0"
    assert page.locator("main > .cell > .table.narrow .scroll").get_attribute("tabindex") is None


def test_code_is_shown_by_one_button_and_copied(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    button = page.locator("[data-action=code]")
    button.click()
    opened = page.locator("details.code[open]")
    assert opened.count() == page.locator("details.code").count()
    assert button.text_content() == "Masquer le code"
    copy = opened.first.locator(".copy")
    copy.focus()
    page.keyboard.press("Enter")
    page.locator(".copy", has_text="Copié").wait_for(timeout=3000)
    assert page.evaluate("navigator.clipboard.readText()") == "figure(f)"
    button.click()
    assert opened.count() == 0


def test_print_and_back_to_top(visit):
    page = visit()
    page.evaluate("window.print = () => { window.printed = true; }")
    page.locator("[data-action=print]").click()
    assert page.evaluate("window.printed")
    page.set_viewport_size({"width": 1400, "height": 300})
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".up").click()
    assert page.evaluate("scrollY") == 0


def test_without_scripts_the_text_and_the_contents_are_there(visit):
    page = visit(java_script_enabled=False, **PHONE)
    assert page.locator("#toc a").first.is_visible()
    assert page.locator("#D1").is_visible()
    assert not page.locator(".tools").is_visible()


def test_a_supplement_opens_by_keyboard_and_by_reference(visit):
    page = visit()
    fold = page.locator("details.detail")
    word = fold.locator("td", has_text="zibeline")
    assert fold.locator("summary").inner_text().startswith("Tableau\u00a0S1. Un supplément")
    assert word.is_hidden()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert word.is_visible()
    page.keyboard.press("Enter")
    assert word.is_hidden()
    for _ in range(2):
        fold.evaluate("element => { element.open = false }")
        page.locator("a[href='#tab-plus']").click()
        word.wait_for(timeout=3000)
