"""Letters for pictures: the font that comes with Pillow, or one of the system's that has a script which that lacks."""

import functools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
FOLDERS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "/System/Library/Fonts",
    "/Library/Fonts", "C:/Windows/Fonts",
)  # fmt: skip
NO_CHARACTER = "\U0010ffff"  # drawn as a font draws what it lacks


def font_for(texts: Iterable[str], size: int) -> Font:
    """The font that has the most letters of the texts."""
    path = _path_for("".join(sorted(set("".join(texts)))))
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


def unwritable(texts: Iterable[str]) -> list[str]:
    """The texts that cannot be written with `font_for` all of them."""
    texts = list(texts)
    font = font_for(texts, 16)
    return [text for text in texts if _number(font, text) < len(text)]


@functools.cache
def _path_for(letters: str) -> str:
    """The file of the system's font that has the most of the letters; empty for Pillow's own, if that has as many."""
    best, most = "", _number(ImageFont.load_default(16), letters)
    for path in _font_files() if most < len(letters) else ():
        try:
            number = _number(ImageFont.truetype(path, 16), letters)
        except OSError:  # no font that can be read
            continue
        if number > most:
            best, most = path, number
        if most == len(letters):
            break
    return best


def _font_files() -> Iterator[str]:
    for folder in FOLDERS:
        for place, _, names in sorted(os.walk(Path(folder).expanduser())):
            yield from (
                os.path.join(place, name) for name in sorted(names) if name.lower().endswith((".ttf", ".ttc", ".otf"))
            )


def _number(font: Font, letters: str) -> int:
    """How many of the letters a font has."""
    lacking = bytes(font.getmask(NO_CHARACTER))
    return sum(letter.isspace() or bytes(font.getmask(letter)) != lacking for letter in letters)
