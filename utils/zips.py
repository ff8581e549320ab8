"""Zip files as users have them: of any tool, and some of them damaged."""

import io
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
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


@contextmanager
def printed_as(path: Path, folder: Path) -> Iterator[None]:
    """Let printed lines that name the folder into which a zip is unpacked name the zip file `path` instead.

    It is for programs of one thread: all that is printed meanwhile goes through it.
    """
    with redirect_stdout(_Renaming(str(folder), str(path))):
        yield


class _Renaming(io.StringIO):
    """Standard output in which a folder has another name."""

    def __init__(self, folder: str, name: str) -> None:
        super().__init__()
        self._out, self._folder, self._name = sys.stdout, folder, name

    def write(self, text: str) -> int:
        return self._out.write(text.replace(self._folder, self._name))

    def flush(self) -> None:
        self._out.flush()


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
