"""Letters of an SVG figure as text, in a font that the file brings along.

Outlines of every letter would be heavier, slower to print, and could neither be searched nor read
aloud. The font is cut down to the letters used.
"""

from __future__ import annotations

import base64
import io
import re
from functools import lru_cache
from pathlib import Path

FAMILY = "Rapport Sans"  # a name of our own: never taken for a font of the reader's system
DRAWN = "'DejaVu Sans'"  # as Matplotlib names it
ELSE = "'DejaVu Sans', Verdana, sans-serif"  # where a forge forbids fonts in pictures
FILES = {"400": "DejaVuSans.ttf", "700": "DejaVuSans-Bold.ttf"}  # weight -> in Matplotlib
# Latin, Greek, superscripts, punctuation, arrows, operators, blocks and shapes: what plots write.
RANGES = ((0x20, 0x17F), (0x391, 0x3C9), (0x2000, 0x20AF), (0x2190, 0x22FF), (0x2500, 0x27BF))
TEXT = re.compile(r'<text style="([^"]*)"[^>]*>(.*?)</text>', re.DOTALL)
TAG = re.compile(r"<[^>]+>")


def embed_fonts(svg: str) -> str:
    """Put the letters that an SVG of Matplotlib (``svg.fonttype: none``) uses into it."""
    used: dict[str, set[str]] = {}
    for style, content in TEXT.findall(svg):
        weight = "700" if re.search(r"font-weight: (700|bold)", style) else "400"
        used.setdefault(weight, {"\u00a0"}).update(_plain(content))
    faces = "".join(
        f'@font-face{{font-family:"{FAMILY}";font-weight:{weight};'
        f"src:url(data:font/woff2;base64,{_subset(weight, frozenset(letters))})}}"
        for weight, letters in sorted(used.items())
    )
    svg = svg.replace(f"font-family: {DRAWN}", f"font-family: '{FAMILY}', {ELSE}")
    svg = TEXT.sub(_keep_spaces, svg)
    start = svg.index(">", svg.index("<svg")) + 1
    return f"{svg[:start]}<style>{faces}</style>{svg[start:]}" if faces else svg


def _keep_spaces(text: re.Match[str]) -> str:
    """Keep the spaces by which a label stands off its point: SVG drops those at the ends."""
    return re.sub(r"(?<=>) +| +(?=<)", lambda spaces: "\u00a0" * len(spaces[0]), text[0])


def _plain(content: str) -> str:
    import html

    return html.unescape(TAG.sub("", content))


def _subset(weight: str, letters: frozenset[str]) -> str:
    """Return a font of these letters alone, WOFF 2 in base 64."""
    return base64.b64encode(_cut(_common(weight), map(ord, letters), "woff2")).decode()


@lru_cache
def _common(weight: str) -> bytes:
    """Return the letters that plots may use: the whole font takes half a second to read."""
    import matplotlib

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", FILES[weight])
    points = (point for low, high in RANGES for point in range(low, high + 1))
    return _cut(path.read_bytes(), points, None)


def _cut(font: bytes, points, flavor: str | None) -> bytes:
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options(flavor=flavor, hinting=False, layout_features=["kern"])
    options.drop_tables += ["FFTM"]  # FontForge's time stamp
    loaded = TTFont(io.BytesIO(font), recalcTimestamp=False)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=points)
    cutter.subset(loaded)
    loaded.flavor = flavor
    stream = io.BytesIO()
    loaded.save(stream)
    return stream.getvalue()
