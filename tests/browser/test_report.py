"""The bound page in a real browser: nothing fetched, nothing broken, usable by everyone."""

import pytest
from PIL import Image
from report_sample import TITLE, code, curve, html_output, markdown, project, write

from eurosat_lib.report.export import bind_page

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
LOOKS = {"light": {}, "dark": {"color_scheme": "dark"}, "phone": PHONE}
SMALL = """() => [...document.querySelectorAll("button, summary, nav a, footer a")].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && (box.width < 24 || box.height < 24);
}).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    filler = "\n\n".join(f"Paragraphe {n}. " + "Un texte assez long. " * 30 for n in range(12))
    text = f"{filler}\n\nVoir le [tableau](#tab-plus), la [figure](#fig-photos)."
    Image.new("RGB", (2000, 20)).save(root / "bande.png")
    text += "\n\n![Une bande, plus large que la page](bande.png)"
    more = write(root / "03_more.ipynb", markdown(text), code("f", curve(name="s", detail=True)))
    page, problems, _ = bind_page([*project(root), more], TITLE, root)
    assert problems == []
    (root / "rapport.html").write_text(page, encoding="utf-8")
    return (root / "rapport.html").as_uri()


@pytest.fixture
def visit(browser, address):
    """Open the page in a fresh context; ``troubles`` are what it fetches, and its complaints."""

    def open_page(**options):
        page = browser.new_page(**({"viewport": {"width": 1400, "height": 900}} | options))
        page.troubles = []
        page.on("request", lambda request: page.troubles.append(request.url))
        page.on("console", lambda message: page.troubles.append(message.text))
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.goto(address)
        return page

    return open_page


def press(page, action):
    page.locator(f"[data-action={action}]").dispatch_event("click")


def colour(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_fetched_nothing_complains_and_axe_agrees(visit, address, look):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit(**LOOKS[look])
    for action in ("code", "folds"):
        press(page, action)
    assert page.locator("details:not([open])").count() == 0
    if look == "phone":
        page.locator(".menu").tap()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(SMALL) == []
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    press(page, "answers")
    assert axe.Axe().run(page).violations_count == 0
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert [one for one in page.troubles if one != address and not one.startswith("data:")] == []


def test_the_policy_of_the_page_lets_nothing_of_a_cell_run_or_be_fetched(browser, tmp_path):
    ways = "<p onclick='window.ran = 1' style='background: URL(http://127.0.0.1:9/p)'>x</p>"
    ways += "<style>@import 'http://127.0.0.1:9/s';"
    ways += "p { background: url(http://127.0.0.1:9/q) }</style>"
    cell = write(tmp_path / "03_x.ipynb", code("x", html_output(ways)))
    text, problems, _ = bind_page([*project(tmp_path), cell], TITLE, tmp_path)
    (tmp_path / "rapport.html").write_text(text, encoding="utf-8")
    page, told = browser.new_page(), []
    page.on("console", lambda message: told.append(message.text))
    page.goto((tmp_path / "rapport.html").as_uri())
    page.locator("p[onclick]").dispatch_event("click")
    assert problems == [] and page.evaluate("window.ran") is None
    assert [line.count("Content Security Policy") for line in told] == [1] * 3, told
    assert "127.0.0.1:9/p" not in text


def test_the_phone_has_the_contents_in_a_panel_also_without_scripts(visit):
    expect = pytest.importorskip("playwright.sync_api").expect
    page = visit(**PHONE)
    assert not page.locator("#toc").is_visible()
    page.locator(".menu").tap()
    page.locator("#toc a", has_text="2) Modèle").tap()
    assert not page.locator("#toc").is_visible()
    expect(page.locator(".bar .place")).to_have_text("2) Modèle")  # once it has come to rest
    top, bar = (page.locator(name).bounding_box() for name in ("#sec-3", ".bar"))
    assert top["y"] > bar["height"]
    page.locator(".menu").tap()
    press(page, "answers")
    page.evaluate("scrollTo(0, 0); dispatchEvent(new Event('scroll'))")
    expect(page.locator(".bar .place")).not_to_have_text("2) Modèle")  # its heading is hidden
    page = visit(java_script_enabled=False, **PHONE)
    assert page.locator("#toc a").first.is_visible() and page.locator("#D1").is_visible()
    assert not page.locator(".tools").is_visible()


def test_the_theme_follows_the_system_until_it_is_switched(visit):
    page = visit(color_scheme="dark")
    dark = colour(page)
    page.emulate_media(color_scheme="light")
    page.locator("[data-action=theme]", has_text="sombre").wait_for(state="attached")
    assert colour(page) != dark
    press(page, "theme")
    for scheme in ("dark", "light"):  # the system may change its mind
        page.emulate_media(color_scheme=scheme)
    assert colour(page) == dark
    for _ in range(9):  # Chromium writes what a page stores in its own time
        page.reload()
        if colour(page) == dark:
            break
    assert colour(page) == dark
    filters = "i => getComputedStyle(i).filter"
    assert "invert" in page.locator("#fig-perte img").evaluate(filters)
    assert "invert" not in page.locator("#fig-photos img").evaluate(filters)
    page.emulate_media(media="print")
    assert colour(page) == "rgb(255, 255, 255)"
    assert page.locator("#D1").is_visible() and not page.locator(".contents").is_visible()


def test_tools_code_answers_active_section_and_references(visit):
    clipboard = ["clipboard-read", "clipboard-write"]
    page = visit(viewport={"width": 1400, "height": 300}, permissions=clipboard)
    for name in ("sec-3", "sec-1"):
        page.evaluate("id => document.getElementById(id).scrollIntoView()", name)
        current = page.locator(f"#toc a[href='#{name}'][aria-current=location]")
        current.wait_for(timeout=3000, state="attached")
        assert page.locator("#toc a[aria-current]").count() == 1
    code = page.locator("details.code", has_text="rien = 1")
    assert not code.is_visible()  # of a cell that shows nothing else
    press(page, "code")
    code.locator(".copy").focus()
    page.keyboard.press("Enter")
    page.locator(".copy", has_text="Copié").wait_for(timeout=3000)
    assert page.evaluate("navigator.clipboard.readText()") == "rien = 1"
    link, card = page.locator("main a[href='#tab-plus']").last, page.locator(".preview")
    link.hover()
    card.locator("td", has_text="0,5").first.wait_for(timeout=3000)
    assert card.inner_text().startswith("Tableau\u00a0S1. Un tableau de 2")
    page.keyboard.press("Escape")
    assert not card.is_visible()
    link.click()
    page.locator("#tab-plus td").first.wait_for(timeout=3000)
    page.locator(".up").click()
    assert page.evaluate("scrollY") == 0
    press(page, "answers")
    shown = page.locator("main .cell > *").locator("visible=true")
    assert {e.get_attribute("class") for e in shown.all()} == {"question", "answer reply"}
    assert page.locator("header .abstract").is_visible()
    page.locator("#reponse-D1 a", has_text="figure").click()
    page.locator("#fig-photos").wait_for(timeout=3000)  # the whole report is back
    page.evaluate("() => { window.print = () => { window.printed = true; }; }")
    press(page, "print")
    assert page.evaluate("window.printed")


def test_the_keyboard_reaches_everything(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Aller au contenu"
    page.locator("details.fold summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.fold").first.evaluate("e => e.open")
    page.locator(".zoom").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog img").is_visible()
    shown, own = page.locator("dialog img"), page.locator("main figure img").nth(1)
    assert shown.get_attribute("src") == own.get_attribute("src")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert page.locator("#tab-large").get_attribute("tabindex") == "0"
