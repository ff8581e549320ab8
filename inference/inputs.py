"""Which photos and videos a command line names, and under which names their results are written."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")


class Source(NamedTuple):
    """A photo or video, and the stem of its results' file names."""

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEOS


def collect(paths: Sequence[str | Path]) -> list[Source]:
    """Every file named, and every photo and video in the folders named, sorted; sub-folders are not entered.

    Files of one stem get different result names. Raises `UserError` for a missing path and a folder without any.
    """
    files = list(dict.fromkeys(file for path in paths for file in _files(Path(path))))
    stems = Counter(file.stem for file in files)
    names: set[str] = set()
    sources = []
    for file in files:
        base = file.stem if stems[file.stem] == 1 else f"{file.stem}_{file.suffix.lstrip('.')}"
        name, number = base, 2
        while name in names:
            name, number = f"{base}_{number}", number + 1
        names.add(name)
        sources.append(Source(file, name))
    return sources


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; check the path")
    known = (p for p in path.iterdir() if p.suffix.lower() in PHOTOS + VIDEOS)
    sources = sorted(p for p in known if p.is_file() and p.name[0] != ".")
    if not sources:
        raise UserError(f"{path}: the folder holds no photos or videos; name one that does")
    return sources
