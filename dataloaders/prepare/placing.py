"""Put files into a data folder without ever replacing one, and take them back when the whole cannot be finished."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tqdm import tqdm

from utils.errors import UserError
from utils.files import replacing

from ..layout import IMAGE_FOLDER, LABEL_FOLDER, MIRRORED_FOLDER


class Entry(NamedTuple):
    """What goes into the data folder for one id: files of the source as they are, or new content."""

    id: str
    image: Path | bytes
    label: Path | bytes  # PNG of raw ids
    mirrored: Path | None = None
    suffix: str = ".jpg"


class Placement:
    """Context that makes links, copies and new files, and removes those of this run when it ends with an error.

    A file that already stands is kept when it is what would be put there, so a second run finds its work done. Any
    other file in the way raises `UserError`: nothing is overwritten.
    """

    def __init__(self, copy: bool = False) -> None:
        self.copy = copy
        self._made: list[Path] = []

    def __enter__(self) -> Placement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for path in reversed(self._made):
                with suppress(OSError):  # a folder that somebody else uses by now, a disk that has gone read-only
                    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    def entries(self, root: Path, entries: Sequence[Entry], title: str) -> None:
        """Put the files of all entries into the data folder `root`, with a progress bar."""
        for folder in (IMAGE_FOLDER, LABEL_FOLDER):
            self.folder(root / folder)
        if any(entry.mirrored for entry in entries):
            self.folder(root / MIRRORED_FOLDER)
        for entry in tqdm(entries, title, unit="photo", disable=None):
            self.put(entry.image, root / IMAGE_FOLDER / f"{entry.id}{entry.suffix}")
            self.put(entry.label, root / LABEL_FOLDER / f"{entry.id}.png")
            if entry.mirrored is not None:
                self.put(entry.mirrored, root / MIRRORED_FOLDER / f"{entry.id}.png")

    def put(self, what: Path | bytes, target: Path) -> None:
        """Put a source file or new content at `target`."""
        if isinstance(what, bytes):
            self.content(target, what)
        else:
            self.file(what, target)

    def folder(self, path: Path) -> None:
        """Make a folder and those above it. Raises `UserError` where that is not allowed."""
        missing = [parent for parent in (path, *path.parents) if not parent.exists()]
        for parent in reversed(missing):
            try:
                parent.mkdir(exist_ok=True)
            except OSError as error:
                raise UserError(f"{parent}: cannot be made ({error.strerror}); choose another --data-root") from error
            self._made.append(parent)

    def file(self, source: Path, target: Path) -> None:
        """Link `source` to `target`, or copy it."""
        if _stands(target):
            if not (target.exists() and (target.samefile(source) or filecmp.cmp(source, target, shallow=False))):
                raise _in_the_way(target)
        elif self.copy:
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
            self._made.append(target)
        else:
            self._link(source, target)

    def content(self, target: Path, content: bytes) -> None:
        """Write a new file."""
        if _stands(target):
            if not (target.is_file() and target.read_bytes() == content):
                raise _in_the_way(target)
            return
        with replacing(target) as temporary:
            temporary.write_bytes(content)
        self._made.append(target)

    def _link(self, source: Path, target: Path) -> None:
        try:
            os.symlink(source.resolve(), target)
        except OSError as error:
            raise UserError(
                f"{target}: cannot be linked ({error.strerror}); use --copy or another --data-root"
            ) from error
        self._made.append(target)


def _stands(target: Path) -> bool:
    return target.exists() or target.is_symlink()


def _in_the_way(target: Path) -> UserError:
    return UserError(
        f"{target}: already stands and differs; move {target.parent.parent} away or choose another --data-root"
    )
