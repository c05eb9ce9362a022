"""From the page to paper: A4, contents with page numbers, bookmarks, tags (WeasyPrint)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from eurosat_lib.errors import UserError
from eurosat_lib.report.boxes import measure, trim
from eurosat_lib.report.paging import Block
from eurosat_lib.report.paper import prepare

# Matplotlib brings free fonts; with them the pages break at the same places on every machine.
FONTS = {
    "Rapport Serif": {
        ("normal", "normal"): "STIXGeneral.ttf",
        ("normal", "italic"): "STIXGeneralItalic.ttf",
        ("bold", "normal"): "STIXGeneralBol.ttf",
        ("bold", "italic"): "STIXGeneralBolIta.ttf",
    },
    "Rapport Sans": {
        ("normal", "normal"): "DejaVuSans.ttf",
        ("bold", "normal"): "DejaVuSans-Bold.ttf",
    },
    "Rapport Mono": {
        ("normal", "normal"): "DejaVuSansMono.ttf",
        ("bold", "normal"): "DejaVuSansMono-Bold.ttf",
    },
}
INSTALL = (
    "WeasyPrint cannot load Pango, so the PDF was not written. Install it with "
    "'apt-get install libpango-1.0-0 libpangoft2-1.0-0' (Debian, Ubuntu), 'brew install pango' "
    "(macOS) or 'conda install -c conda-forge weasyprint' (Windows, conda)"
)


class PangoMissing(UserError):
    """The PDF engine's system library is not there; the HTML can still be had."""


def write_pdf(page: str, target: Path) -> int:
    """Print a self-contained HTML page as a tagged A4 PDF.

    Args:
        page: the whole HTML text, images embedded.
        target: the file to write.

    Returns:
        The number of pages.

    Raises:
        PangoMissing: WeasyPrint's system library cannot be loaded; says what to install.
        UserError: an image cannot be drawn or a link leads nowhere.
    """
    weasyprint = _load()
    with _complaints() as complaints:
        document = _lay_out(weasyprint, prepare(page, lambda draft: _measure(weasyprint, draft)))
        trim(document.pages)
        document.write_pdf(target, pdf_variant="pdf/ua-1", pdf_tags=True)
    if complaints:
        raise UserError(f"the PDF cannot be printed faithfully: {'; '.join(complaints[:5])}")
    return len(document.pages)


def _lay_out(weasyprint: ModuleType, page: str) -> Any:
    from weasyprint.text.fonts import FontConfiguration

    fonts = FontConfiguration()
    faces = weasyprint.CSS(string=font_faces(), font_config=fonts)
    return weasyprint.HTML(string=page, media_type="print").render(
        font_config=fonts, stylesheets=[faces], pdf_tags=True, pdf_variant="pdf/ua-1"
    )


def _measure(weasyprint: ModuleType, draft: str) -> dict[int, Block]:
    return measure(_lay_out(weasyprint, draft).pages)


def font_faces() -> str:
    """Return the ``@font-face`` rules for the fonts of the printed report."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return "\n".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-style: {style}; '
        f'src: url("{(folder / name).as_uri()}"); }}'
        for family, faces in FONTS.items()
        for (weight, style), name in faces.items()
    )


def _load() -> ModuleType:
    try:
        import weasyprint
    except OSError as error:
        raise PangoMissing(f"{INSTALL} ({' '.join(str(error).split())[:120]})") from None
    return weasyprint


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what WeasyPrint logs as an error (broken links, images), keep the console clean."""
    logger = logging.getLogger("weasyprint")
    collected: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            collected.append(" ".join(record.getMessage().split())[:200])

    handler = Collector(level=logging.ERROR)
    before = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    try:
        yield collected
    finally:
        logger.handlers, logger.propagate = before
