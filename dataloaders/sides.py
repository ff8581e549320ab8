"""Left and right in label names, however these are written: right-arm, right_arm, right arm, RightArm, arm (R)."""

import re
from collections.abc import Iterable

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_OTHER = {"right": "left", "r": "l"}


def words(name: str) -> tuple[str, ...]:
    """The words of a name in small letters, whatever stands between them."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def left_of(name: str, labels: Iterable[str]) -> str | None:
    """The label of the left part whose right part is called `name`; None where there is none."""
    parts = words(name)
    wanted = tuple(_OTHER.get(word, word) for word in parts)
    return next((label for label in labels if wanted != parts and words(label) == wanted), None)


def of_both(name: str) -> str:
    """What the left and the right part are called together: "shoes" for left-shoe."""
    alone = re.sub(r"^([Ll]eft|[Rr]ight)([-_ ]|(?=[A-Z]))", "", name) or name
    return alone if alone.endswith("s") else alone + "s"
