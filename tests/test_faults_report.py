"""What people and machines do to a report: each kind of fault, mended or refused in its place."""

import base64
import io
import json
import re
import subprocess

import lxml.html
import pytest
from filelock import FileLock, Timeout
from matplotlib import pyplot as plt
from nbformat.v4 import new_output
from PIL import Image
from report_sample import TITLE, answer_output, code, html_output, markdown, project, write
from settings import ROOT
from test_export import URL
from test_run import executed, make, write_notebook
from test_run import project as runner

from eurosat_lib.config import load_config
from eurosat_lib.errors import UserError
from eurosat_lib.files import write_bytes
from eurosat_lib.plots import style
from eurosat_lib.report import run
from eurosat_lib.report.export import bind_page
from eurosat_lib.report.words import literal

__all__ = ["executed", "runner"]  # fixtures


def picture(form="PNG"):
    Image.new("RGB", (2, 1)).save(stream := io.BytesIO(), form)
    return stream.getvalue()


def bound(root, *cells, title=TITLE):
    more = write(root / "reports/notebooks/08_x.ipynb", *cells)
    page, problems, _ = bind_page([*project(root), more], title, root)
    return lxml.html.document_fromstring(page), [line for line in problems if "08_x" in line]


def test_identity_is_printed_sign_by_sign(tmp_path):
    author = "A <script>alert(1)</script> #$%&_{}\\ \\textbf{x} ~^ {{ 7 * 6 }} &lt; Z"
    title = type(TITLE)(author, course=author, author=author, card={"Dépôt": author})
    more = "[a](javascript:alert(1)) [b](file:///etc/hostname) [c](https://x.org)"
    page, problems = bound(tmp_path / "p", markdown(f"{literal(author)}\n\n{more}"), title=title)
    places = "//h1 | //header//td | //*[@class='author' or @class='course' or @class='literal']"
    shown = [" ".join(element.text_content().split()) for element in page.xpath(places)]
    assert shown == [author] * 5 and not problems
    assert page.xpath("//main//a[not(starts-with(@href, '#'))]/@href") == ["https://x.org"]
    with pytest.raises(UserError, match=r"identity\.repository: string should match"):
        load_config(ROOT / "configs/config.yaml", "quick", {"identity.repository": "javascript:1"})


def test_pictures_are_found_beside_the_source_and_the_answer_and_nowhere_else(tmp_path):
    accent, root = "écran d’été 2.png", tmp_path / "p"
    write_bytes(root / "notebooks/s.tif", picture("TIFF"))
    for place in ("p/notebooks/s.png", "p/reports/answers/r.png", "p/figures/f.png", "secret.png"):
        write_bytes(tmp_path / place, picture())
    write_bytes(root / "notebooks/mon schéma (1).png", picture())
    write_bytes(root / "notebooks/secret.txt", b"secret")
    (root / "notebooks/link.png").symlink_to(tmp_path / "secret.png")
    text = f"![a](s.png) ![b](../figures/f.png) ![c](figures/f.png) ![d](<attachment:{accent}>)"
    text += "\n![d [2]](<mon schéma (1).png>)"
    cell = markdown(f"{text} ![e](attachment:%C3%A9t%C3%A9.png) <img src='s.png' alt='e'>")
    data = {"image/png": base64.b64encode(picture()).decode()}
    cell["attachments"] = {accent: data, "été.png": data}
    outside = ["rien.png", "../../secret.png", "../../../secret.png", "secret.txt", "link.png"]
    outside += ["s.tif", f"{tmp_path}/secret.png", "a%00.png", "attachment:e.png", f"{URL}.png"]
    links = " ".join(f"![x]({address})" for address in outside)
    reply = code("answer('S9')", answer_output("S9", f"![f](r.png) {links}"))
    page, problems = bound(root, cell, reply)
    embedded = page.xpath("//main//img[starts-with(@src, 'data:image/png')]/@alt")
    assert embedded == ["a", "b", "c", "d", "d [2]", "e", "e", "f"]
    for address in outside:
        missing = f"image {address} is not embedded (looked for beside the notebook, in"
        (line,) = {line for line in problems if missing in line}
        assert "kinds that can be shown: JPEG, PNG, WEBP, GIF" in line


def test_formulas_and_rare_pictures_of_outputs_are_shown_others_are_named(tmp_path):
    def output(**data):
        return new_output("display_data", {"text/plain": "<IPython.core.display.X object>"} | data)

    kinds = {f"image/{k}": base64.b64encode(picture(k)).decode() for k in ("gif", "tiff")}
    gif, tiff = ({kind: data} for kind, data in kinds.items())
    bars = [new_output("stream", name="stderr", text=f"\r{n}%|█▋") for n in range(7)]
    page, problems = bound(
        tmp_path,
        code("Math()", output(**{"text/latex": "$\\displaystyle x^2$"})),
        code("Latex()", output(**{"text/latex": "\\begin{equation}a=b\\end{equation}"})),
        code("Image()", output(**gif), output(**{"image/svg+xml": "<svg/>"})),
        code("Javascript()", output(), *bars),
        code("Javascript()", output(), *bars, tags=["hide"]),
        code("Image()", output(**tiff)),
        markdown("### Un [lien](https://x.org) ici\n\nPuis $\\text{de 1,5 à 2,5 points}$."),
    )
    formulas = page.xpath("//main//math/@alttext")
    assert formulas[-3:] == ["\\displaystyle x^2", "a=b", "\\text{de 1,5 à 2,5 points}"]
    assert page.xpath("//main//mtext")[-1].text.replace("\xa0", " ") == "de 1,5 à 2,5 points"
    shown = [image.get("src")[:15] for image in page.xpath("//img[@alt='Figure sans légende']")]
    assert shown == ["data:image/gif;", "data:image/svg+"]
    assert not page.xpath("//div[@id='toc']//a//a")
    shown, told, lost = [line.partition(": ")[2] for line in problems]
    assert lost.startswith("the image is damaged (kinds that can be shown: JPEG, PNG, WEBP, GIF")
    assert shown.endswith("X object>: a report cannot show this; tag the cell hide")
    assert re.match(r"text on stderr: 0%\|█▋ .*\(tqdm\.auto for a bar", told)


def test_a_missing_capture_takes_its_parenthesis_along(tmp_path):
    aside, fold = "(capture : [figure](#capture-x))", '<details class="fold" id="capture-x"/>'
    text = f"La [figure](#fig-photos) {aside}.\n\n**LR** {aside} ici."
    text += "\n\nEt ([figure](#fig-photos) ; capture : [figure](#capture-x))."
    page, _ = bound(tmp_path, code("capture(c)", html_output(f"{fold}</details>")), markdown(text))
    shown = [" ".join(p.text_content().split()) for p in page.xpath("//main/div[last()]/p")]
    assert shown == ["La figure 1.", "LR ici.", "Et (figure 1)."]


def test_habits_do_not_reach_a_figure():
    draw = style.styled(lambda: style.finish(style.subplots(2)[0], "Un carré : $x^2$"))
    fig, same = draw(), draw()
    before = style.save(fig, "svg", metadata={"Date": None})
    with plt.rc_context({"savefig.transparent": True, "mathtext.fontset": "cm"}):
        assert style.save(same, "svg", metadata={"Date": None}) == before


def test_an_edited_copy_is_kept_aside_and_never_bound(runner, executed):
    make()
    target = runner / "reports/notebooks/01_a.ipynb"
    tree = json.loads(target.read_text())
    tree["cells"][1]["source"] = "mes mots"
    target.write_text(json.dumps(tree))
    executed.clear()
    make()
    assert executed == ["01_a"] and "mes mots" not in target.read_text()
    assert "mes mots" in next(target.parent.glob("edited-*-01_a.ipynb")).read_text()


def test_a_report_of_ones_own_is_kept_aside(runner, executed):
    def kept():
        return {path.name[-12:]: path.read_text() for path in reports.glob("edited-*")}

    reports, answer = runner / "reports", runner / "reports/answers/M1.md"
    (reports / "rapport.pdf").write_text("à moi")
    make()
    mine = {"-rapport.pdf": "à moi"}
    assert kept() == mine and (reports / "rapport.pdf").read_text() == "new"
    answer.write_text("Autre réponse")
    make()
    assert kept() == mine  # ours gave way to ours
    for file in ("rapport.html", "rapport.pdf"):
        (reports / file).write_text("tenu")
    for command in ("init -q", "add -f reports/rapport.html reports/rapport.pdf"):
        subprocess.run(["git", *command.split()], check=True)
    (reports / "rapport.html").write_text("retouché")
    make()
    assert kept() == mine | {"rapport.html": "retouché"}  # git still holds the PDF


def test_what_changes_while_a_report_is_made_is_not_bound(runner, executed, monkeypatch):
    inner = run.execute

    def meddle(source, *rest):
        if source.stem == "02_b":
            write_notebook(runner / "notebooks/01_a.ipynb", "1 + 2")
        return inner(source, *rest)

    monkeypatch.setattr(run, "execute", meddle)
    with pytest.raises(UserError, match="01_a: this notebook, its parameters or its results were"):
        make()
    assert not (runner / "reports/rapport.html").exists()


def test_a_finished_run_is_kept_and_the_lock_covers_the_report(runner, executed, monkeypatch):
    def bind(config, executed, *files):
        with pytest.raises(Timeout):
            FileLock(config.paths.reports / ".build.lock").acquire(blocking=False)
        return [path.touch() for path in files], {}

    monkeypatch.setattr(run, "_write_report", bind)
    make(name="done")
    (runner / "artifacts/done/MODEL_CARD.md").touch()
    before = (runner / "artifacts/done/params.yaml").read_text()
    with pytest.raises(UserError, match="done: a finished run; FROZEN=1"):
        make(name="done", params="-p lr 0.5")
    assert (runner / "artifacts/done/params.yaml").read_text() == before
    monkeypatch.setenv("FROZEN", "1")
    make(name="done")
