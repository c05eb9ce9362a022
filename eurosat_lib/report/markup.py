"""Captions: one line of plain text in which ``**bold**``, ``*italic*``, ```code``` may stand."""

from __future__ import annotations

import html
import re

from eurosat_lib.errors import UserError

_SPANS = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w*])\*(?!\s)(.+?)(?<!\s)\*(?![\w*])"), r"<em>\1</em>"),
)
_VERBATIM = re.compile(r"(`[^`]+`|\$[^$]+\$)")


def caption_html(caption: str) -> str:
    """Turn a caption into HTML; code and ``$formulas$`` are left alone.

    Raises:
        UserError: the caption is empty.
    """
    if not isinstance(caption, str) or not caption.strip():
        raise UserError(f"a caption is wanted, got {caption!r}")
    pieces = []
    for piece in _VERBATIM.split(html.escape(" ".join(caption.split()), quote=False)):
        if piece.startswith("`"):
            piece = f"<code>{piece.strip('`')}</code>"
        elif not piece.startswith("$"):
            for pattern, replacement in _SPANS:
                piece = pattern.sub(replacement, piece)
        pieces.append(piece)
    return "".join(pieces)


def anchor(prefix: str, name: str | None) -> str:
    """Return an ``id`` attribute (``id="fig-courbes"``) for a named figure or table.

    Raises:
        UserError: the name is not made of lower-case ASCII letters, digits and hyphens.
    """
    if name is None:
        return ""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UserError(f"name {name!r}: use lower-case letters, digits and hyphens")
    return f' id="{prefix}-{name}"'
