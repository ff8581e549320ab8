"""Files read and written: whole or not at all, with every fault told in one line."""

import codecs
import errno
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import UserError

UMASK = os.umask(0)  # read once: other threads make files too, and it can only be read by setting it
os.umask(UMASK)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on failure it is removed.

    The temporary name keeps the suffix, since image writers choose the format by it.
    Raises `UserError` when the folder cannot be written or the disk is full.
    """
    path, temporary = Path(path), None
    with reported(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=_start(path), suffix=path.suffix, dir=path.parent)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            if not temporary.is_symlink():
                temporary.chmod(0o666 & ~UMASK)  # afterwards: some writers make the file anew
            os.replace(temporary, path)
        finally:
            if temporary:
                temporary.unlink(missing_ok=True)


@contextmanager
def reported(place: Path) -> Iterator[None]:
    """Turn an `OSError` of writing to `place` into a `UserError`."""
    try:
        yield
    except OSError as error:
        too_long = error.errno == errno.ENAMETOOLONG
        remedy = "give it a shorter name" if too_long else "choose another folder or free some space"
        raise UserError(f"{place}: cannot be written ({error.strerror or error}); {remedy}") from error


def _start(path: Path) -> str:
    """How the temporary names of a file begin; the name of the file may be as long as the system allows."""
    return f".{path.stem}." if len(os.fsencode(path.name)) < 200 else f".{digest(os.fsencode(path.stem))[:16]}."


def digest(content: bytes) -> str:
    """The SHA-256 of some bytes, as text."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: str | Path) -> str:
    """The SHA-256 of a file's content, as text. `OSError` is left to the caller."""
    return digest(Path(path).read_bytes())


def require_writable(folder: str | Path) -> None:
    """Make the folder; raises `UserError` when nothing can be written there, before work is lost to that."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error


def remove_leftovers(path: str | Path) -> None:
    """Remove temporary files of `path` that killed processes left; no other process may be writing `path`."""
    path = Path(path)
    for leftover in path.parent.glob(f"{_start(path)}*{path.suffix}"):
        leftover.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path, by_hand: bool = False) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, with byte order mark or without.

    Raises `UserError` when it is missing or no JSON, and where one written `by_hand` has a key twice in an object.
    """

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if twice := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
            raise UserError(f"{path}: holds {json.dumps(twice[0], ensure_ascii=False)} twice; keep one of them")
        return dict(pairs)

    try:
        return json.loads(Path(path).read_bytes(), object_pairs_hook=checked if by_hand else None)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable JSON file ({error}); mend or recreate it") from error
    except RecursionError as error:
        raise UserError(f"{path}: not a readable JSON file (nested too deep); recreate it") from error


def read_lines(path: str | Path, what: str) -> list[str]:
    """The lines of a text file in UTF-8, or in UTF-16 by its byte order mark, without blanks around and empty ones.

    Raises `UserError`, which says that it must be text of `what`; `OSError` is left to the caller.
    """
    content = Path(path).read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        lines = content.decode(encoding).splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read ({error}); it must be UTF-8 text, {what}") from error
    return [line.strip() for line in lines if line.strip()]
