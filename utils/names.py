"""Names of files as text: as other systems write them, and in messages."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

JUNK = ("__macosx", "thumbs.db", "desktop.ini")  # what systems leave in folders and archives


def composed(name: str) -> str:
    """The name with each accent and its letter as one character: macOS writes two, which look the same."""
    return unicodedata.normalize("NFC", name)


def one_file(name: str) -> str:
    """What the names have in common that some file systems take for one file: accents and case do not count."""
    return composed(name).casefold()


def path_parts(name: str) -> list[str]:
    """The folders and the file of a path that a label file holds, with any slashes."""
    return [part for part in re.split(r"[\\/]+", composed(name)) if part not in ("", ".", "..")]


def of_link(name: str) -> str:
    """The path that a link of an annotation tool means: Label Studio's behind `?d=`, others before a query."""
    before, _, query = name.partition("?")
    if query.startswith("d="):
        return unquote(query[2:].partition("&")[0])
    return before if "://" in name else name


def shared_parts(path: Path, parts: Sequence[str]) -> int:
    """How many of such parts, from their end, the path has too, in any case."""
    pairs = zip(reversed(path.parts), reversed(parts), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if composed(a).lower() != b.lower()), len(parts))


def is_utf8(path: str | Path) -> bool:
    """Whether a file's name is UTF-8: old archives leave others behind, which not every library and form can take."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def first_names(names: Sequence[str], most: int = 3) -> str:
    """The first of many names, for a message of one line."""
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")
