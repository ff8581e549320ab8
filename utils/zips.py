"""Zip files as users have them: of any tool, and some of them damaged."""

import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError

Choose = Callable[[Sequence[str]], Sequence[str]]
"""From the names in a zip file, with slashes, to those that are wanted."""


@contextmanager
def unpacked(path: Path, choose: Choose = list) -> Iterator[tuple[Path, list[Path]]]:
    """A folder with the chosen files of a zip, and their paths there; both go away at the end.

    A `UserError` that names the folder then names the zip file. Raises `UserError` for a file that is no zip, or a
    damaged one.
    """
    with tempfile.TemporaryDirectory(prefix=f"{path.stem}-") as folder:
        try:
            yield Path(folder), _extracted(path, folder, choose)
        except UserError as error:
            raise UserError(str(error).replace(folder, str(path))) from error


def _extracted(path: Path, folder: str, choose: Choose) -> list[Path]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {}
            for entry in archive.infolist():
                entry.filename = entry.filename.replace("\\", "/")  # old tools of Windows write these
                entries[entry.filename] = entry
            return [Path(archive.extract(entries[name], folder)) for name in choose(list(entries))]
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except (UserError, MemoryError):
        raise
    except Exception as error:  # damaged files raise nearly anything
        if isinstance(error, OSError) and error.errno:  # of the system, such as a full disk
            raise
        raise UserError(
            f"{path}: not a readable zip file ({error}); pack or export it again, without a password"
        ) from error
