"""Bind executed notebooks into the report: one HTML page that opens offline, and its PDF."""

from __future__ import annotations

import copy
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lxml.html
from lxml.html import HtmlElement

from eurosat_lib.report import screenshots
from eurosat_lib.report.checks import notebook_problems, page_problems, refuse
from eurosat_lib.report.export import export, merge, read_notebook
from eurosat_lib.report.folds import unprint
from eurosat_lib.report.meta import ReportMeta, links_from
from eurosat_lib.report.page import complete, shape
from eurosat_lib.report.pdf import PangoMissing, write_pdf
from eurosat_lib.report.questionnaire import Questionnaire, load_questionnaire


@dataclass(frozen=True)
class ReportInfo:
    """What was built.

    Attributes:
        html, pdf: the files; ``pdf`` is None if none was asked for.
        pages: of the PDF, 0 without.
        figures, tables, formulas: how many.
        answers: their ids in the order of the report.
        html_bytes, pdf_bytes: sizes.
        seconds: time taken.
    """

    html: Path
    pdf: Path | None
    pages: int
    figures: int
    tables: int
    formulas: int
    answers: tuple[str, ...]
    html_bytes: int
    pdf_bytes: int
    seconds: float


def assemble(
    notebooks: Sequence[Path],
    meta: Mapping[str, Any] | ReportMeta,
    html_path: Path,
    pdf_path: Path | None = None,
    questionnaire: Questionnaire | None = None,
) -> ReportInfo:
    """Build the report from executed notebooks; both files are replaced at the end, or none.

    Args:
        notebooks: executed ``.ipynb`` files, in the order of the report.
        meta: the title page, see `ReportMeta`.
        html_path: where the page goes.
        pdf_path: where its PDF goes; none is made without.
        questionnaire: what must be in it; by default the course's template.

    Raises:
        ReportError: error outputs, missing answers, images not embedded … each with its cell.
        PangoMissing: the PDF's library is missing; the HTML has been written.
        UserError: a notebook is missing, a heading of the title page is.
    """
    start = time.monotonic()
    meta = meta if isinstance(meta, ReportMeta) else ReportMeta.of(meta)
    html_path = Path(html_path)
    pdf_path = Path(pdf_path) if pdf_path else None
    wanted = questionnaire or load_questionnaire()
    page = build_page([Path(p) for p in notebooks], meta, wanted, html_path.parent)
    pages = _publish(page, html_path, pdf_path)
    return ReportInfo(
        html=html_path,
        pdf=pdf_path,
        pages=pages,
        figures=len(page.xpath("//figure[@data-number]")),
        tables=len(page.xpath("//div[@data-number]")),
        formulas=len(page.xpath('//span[starts-with(@class, "math")]')),
        answers=tuple(page.xpath("//div[@class='answer reply']/@data-answer")),
        html_bytes=html_path.stat().st_size,
        pdf_bytes=pdf_path.stat().st_size if pdf_path else 0,
        seconds=time.monotonic() - start,
    )


def build_page(
    notebooks: Sequence[Path],
    meta: ReportMeta,
    questionnaire: Questionnaire,
    folder: Path | None = None,
) -> HtmlElement:
    """Merge, export and finish the page, and check it.

    Args:
        notebooks: executed, in the order of the report.
        meta: the title page.
        questionnaire: what must be in it.
        folder: where the page will lie; its links to notebooks and results start there.

    Raises:
        ReportError: with every problem found.
    """
    opened = [(path, read_notebook(path)) for path in notebooks]
    refuse(line for path, notebook in opened for line in notebook_problems(path, notebook))
    links = links_from(folder or Path.cwd(), {"Carnets exécutés": notebooks, **meta.files})
    page = lxml.html.document_fromstring(export(merge(opened), meta, links))
    problems = shape(page, meta)
    refuse([*problems, *page_problems(page.get_element_by_id("contenu"), questionnaire)])
    return complete(page, dict(links["Carnets exécutés"]))


def paper(page: HtmlElement) -> HtmlElement:
    """Return the page as it is printed: files beside it are named, supplements left out."""
    printed = copy.deepcopy(page)
    printed.get_element_by_id("debut").addnext(printed.find_class("contents")[0])
    unprint(printed)
    screenshots.unprint(printed)
    for link in printed.xpath("//a[@href and not(starts-with(@href, '#'))]"):
        if not re.match(r"https?://|mailto:", link.get("href")):
            del link.attrib["href"]
    return printed


def to_text(page: HtmlElement) -> str:
    """Write a page as HTML 5 text."""
    text = lxml.html.tostring(page, encoding="unicode", doctype="<!DOCTYPE html>")
    return text + "\n"


def _publish(page: HtmlElement, html_path: Path, pdf_path: Path | None) -> int:
    """Write both files beside their place, then put them in place; return the pages."""
    html_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=html_path.parent, prefix=".report-") as folder:
        html_new, pdf_new = Path(folder) / "new.html", Path(folder) / "new.pdf"
        html_new.write_text(to_text(page), encoding="utf-8", newline="\n")
        if pdf_path is None:
            os.replace(html_new, html_path)
            return 0
        try:
            pages = write_pdf(to_text(paper(page)), pdf_new)
        except PangoMissing as error:
            os.replace(html_new, html_path)
            stale = f"; {pdf_path.name} is an older one" if pdf_path.exists() else ""
            raise PangoMissing(f"{error}; {html_path.name} is ready{stale}") from None
        _replace_both({pdf_new: pdf_path, html_new: html_path}, Path(folder))
    return pages


def _replace_both(moves: Mapping[Path, Path], folder: Path) -> None:
    """Put new files in the place of old ones; if one cannot be, put the others back."""
    kept = {}
    for target in moves.values():
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            kept[target] = shutil.copy2(target, folder / f"old{target.suffix}")
    done: list[Path] = []
    try:
        for new, target in moves.items():
            os.replace(new, target)
            done.append(target)
    except OSError:
        for target in done:
            os.replace(kept[target], target) if target in kept else target.unlink()
        raise
