"""The pictures of a page, made lighter: the same drawing in fewer bytes."""

from __future__ import annotations

import base64
import functools
import io
import re
from urllib.parse import quote

from lxml.html import HtmlElement

SVG = "data:image/svg+xml;base64,"
PNG = "data:image/png;base64,"
WEBP = "data:image/webp;base64,"
EFFORT = 50  # of 100: more saves nothing that counts, and takes longer than writing a PNG
NEEDLESS = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
BLANKS = re.compile(r"[ \t\r\n]+")  # of the markup: the no-break spaces of French stay
UNUSED_ID = re.compile(r' id="([^"]*)"')
PATH = re.compile(r'(?<= d=")[^"]*')
LISTS = re.compile(r'(?<= transform=")[^"]*|(?<= style=")[^"]*')
DECIMALS = re.compile(r"(\.\d{3})\d+")  # thousandths of a point: unseen
# What may stand as it is in an address; lxml writes a space, which separates words, as %20.
PLAIN = "!$()*+,-./:;=?@[]^_`{|}~'"


def lighten(main: HtmlElement) -> None:
    """Rewrite the embedded images: SVG as text, without comments; PNG as WebP."""
    for image in main.iter("img"):
        source = image.get("src", "")
        if source.startswith(SVG):
            image.set("class", "drawing")  # its colours may be turned for the dark
            image.set("src", _plain_svg(source))
        elif source.startswith(PNG):
            image.set("src", _small_png(source))
        image.set("decoding", "async")


def _plain_svg(source: str) -> str:
    """Write an SVG as percent-encoded text, of which little has to be encoded."""
    text = tight_svg(base64.b64decode(source[len(SVG) :]).decode())
    if "'" not in text:
        text = text.replace('"', "'")
    return f"data:image/svg+xml,{quote(text, safe=PLAIN)}"


def tight_svg(text: str) -> str:
    """Write an SVG of Matplotlib without what nobody sees: comments, names, fine decimals."""
    text = BLANKS.sub(" ", NEEDLESS.sub("", text)).replace("> <", "><").strip()
    used = set(re.findall(r"#([\w.-]+)", text))
    text = UNUSED_ID.sub(lambda found: found[0] if found[1] in used else "", text)
    text = PATH.sub(lambda found: _tight(DECIMALS.sub(r"\1", found[0])), text)
    return LISTS.sub(lambda found: re.sub(r"(?<=[:;]) ", "", _tight(found[0], keep=":;")), text)


def _tight(values: str, keep: str = "") -> str:
    """Separate values by single commas, and by nothing where a letter or bracket does it."""
    if set(keep) & set(values):
        return values
    return re.sub(r" ?([A-Za-z()]+) ?", r"\1", values.strip()).replace(" ", ",")


@functools.lru_cache(maxsize=64)
def _small_png(source: str) -> str:
    """Write a PNG as lossless WebP, a third smaller; drop an alpha channel that hides nothing."""
    from PIL import Image

    data = base64.b64decode(source[len(PNG) :])
    picture = Image.open(io.BytesIO(data))
    if picture.mode == "RGBA" and picture.getextrema()[3] == (255, 255):
        picture = picture.convert("RGB")
    stream = io.BytesIO()
    picture.save(stream, "WEBP", lossless=True, quality=EFFORT, method=2)
    if stream.tell() >= len(data):
        return source
    return WEBP + base64.b64encode(stream.getvalue()).decode()
