"""Which photos and videos a command line names, and under which names their results are written."""

import functools
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError
from utils.files import read_json, write_json
from utils.locks import alone_in
from utils.names import JUNK, first_names, one_file
from utils.pictures import SUFFIXES

VIDEOS = (
    ".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".3gp", ".3g2", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".ts",
    ".mts", ".m2ts",
)  # fmt: skip
RECORD = ".predict.json"  # in a folder of results: their names
EXPORT_RECORD = ".export.json"  # in a folder of an export
FRAMES = "_frames"  # behind the name of a video: the folder of its frames


class Source(NamedTuple):
    """A photo or video, and the stem of its results' file names."""

    path: Path
    name: str
    more: tuple[str, ...] = ()  # how the names of further results end
    of_photo: tuple[str, ...] = (".png", "_overlay.jpg", ".json")  # and those of a photo's own

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEOS

    @property
    def results(self) -> tuple[str, ...]:
        """The names of the files that its results are written to."""
        ends = ("_overlay.mp4", ".json") if self.is_video else self.of_photo
        return tuple(f"{self.name}{end}" for end in (*ends, *self.more))


def collect(paths: Sequence[str | Path], labels: Sequence[str | Path] = ()) -> tuple[list[Source], list[str]]:
    """Every file named, and every photo and video in the folders named, sorted; sub-folders are not entered.

    Also the names of what was passed over in the folders: `labels`, broken links, what is no photo or video, and, with
    a slash behind, sub-folders that hold some.
    Results of earlier runs, hidden files and those of open documents (~$...) are nobody's photos. Files of one stem get
    different result names. Raises `UserError` for a missing path and a folder without any.
    """
    passed_over, known = list[str](), {_identity(Path(label)) for label in labels}
    files, results, alone = dict[Path, None](), functools.cache(_noted), len(paths) == 1
    for path in map(Path, paths):
        if not path.exists() or path.is_dir():
            files |= dict.fromkeys(_files_in(path, known, passed_over, alone))
        elif alone or (path.name not in results(path.parent) and _identity(path) not in known):
            files[path] = None
        else:
            passed_over.append(path.name)  # `photos/*` names results and labels too
    if any(map(can_be_parsed, files)):  # and lists of names, notes and the like
        passed_over += [path.name for path in files if not can_be_parsed(path)]
        files = {path: None for path in files if can_be_parsed(path)}
    if paths and not files:
        raise UserError(f"{paths[0]}: neither this nor what is named beside it is a photo to parse; name one")
    stems = Counter(one_file(file.stem) for file in files)
    names: set[str] = set()
    sources = []
    for file in files:
        base = file.stem if stems[one_file(file.stem)] == 1 else f"{file.stem}_{file.suffix.lstrip('.')}"
        name, number = base, 2
        while one_file(name) in names:
            name, number = f"{base}_{number}", number + 1
        names.add(one_file(name))
        sources.append(Source(file, name))
    return sources, passed_over


def results_of(sources: Sequence[Source], ends: Sequence[str] = ()) -> list[str]:
    """The names of all result files; `ends` are of further files that each photo gets.

    Raises `UserError` where two results have one name, as the mask `b` of the photo `a` and the photo `a_b` have.
    """
    twice = [end for end, count in Counter(map(one_file, ends)).items() if count > 1]
    if twice and sources:
        name, path = sources[0].name, sources[0].path
        raise UserError(f"{name}{twice[0]}: two results of {path.name} are called so; rename the mask")
    results, owners = list[str](), dict[str, Source]()
    for source in sources:
        for name in (*source.results, *([] if source.is_video else [f"{source.name}{end}" for end in ends])):
            if owner := owners.get(one_file(name)):
                both = f"{owner.path.name} and of {source.path.name}"
                raise UserError(f"{name}: would be a result of {both}; give the mask another name, or parse them apart")
            owners[one_file(name)] = source
            results.append(name)
    return results


def check_results(out: Path, sources: Sequence[Source], read: Iterable[str | Path], ends: Sequence[str] = ()) -> None:
    """Raise `UserError` where a result in the folder `out` would take the place of a file that is not a result.

    That is a file which this run reads (`read` and what lies in its folders), or one that no earlier run has noted.
    `ends` are of the further files that each photo gets.
    """
    kept = {_identity(path) for name in (*read, *(source.path for source in sources)) for path in _with_content(name)}
    noted = _noted(out)
    for target in (out / name for name in results_of(sources, ends)):
        if not os.path.lexists(target):
            continue
        if any(_identity(path) in kept for path in _with_content(target)):
            raise UserError(
                f"{target}: this run reads the file, and a result would take its place; choose another --out"
            )
        if target.name not in noted:
            raise UserError(f"{target}: stands already, and is no result of an earlier run; choose another --out")


def note_results(out: Path, sources: Sequence[Source], ends: Sequence[str] = ()) -> None:
    """Note in the folder `out` which results the sources will have, so that a later run may write them anew."""
    results = {*results_of(sources, ends)}
    frames = [f"{source.name}{FRAMES}" for source in sources if source.is_video and FRAMES in source.more]
    results |= {f"{folder}/*{end}" for folder in frames for end in (".png", *ends)}
    with alone_in(out):
        write_json(out / RECORD, {"results of predict.py": sorted(_noted(out) | results)})


def remove_frames(folder: Path) -> None:
    """Remove from a folder the frames of earlier runs, as these have noted them: a run may write fewer."""
    start = f"{folder.name}/*"
    noted = (name.removeprefix(start) for name in _noted(folder.parent) if name.startswith(start))
    ends = "|".join(map(re.escape, noted))
    for file in folder.iterdir() if folder.is_dir() and ends else ():
        if re.fullmatch(rf"\d{{6,}}({ends})", file.name):
            file.unlink()


def _files_in(path: Path, labels: Collection[tuple[int, int] | str], passed_over: list[str], alone: bool) -> list[Path]:
    """The photos and videos in a folder; that of results alone is passed over unless it is `alone`."""
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; check the path")
    results, sources = _noted(path), []
    for file in sorted(path.iterdir()):
        if file.is_dir() and file.name not in results and is_of_photos(file):
            passed_over.append(f"{file.name}/")
        if file.is_dir() or file.name.startswith((".", "~$")) or file.name.lower() in JUNK:
            continue
        if can_be_parsed(file) and file.is_file() and _identity(file) not in labels:
            sources += [file] if file.name not in results else []
        elif file.name not in results:
            passed_over.append(file.name)
    if not sources and not alone:  # of results, or of other things
        passed_over.append(f"{path.name}/")
    elif not sources:
        below = first_names([name for name in passed_over if name.endswith("/")])
        other = f"its folders, such as {below}" if below else "one that does"
        raise UserError(f"{path}: the folder holds no photos or videos; name {other}")
    return sources


def is_of_photos(folder: Path) -> bool:
    """Whether a folder, which is none of results, holds photos or videos that the user may want parsed."""
    if folder.name.startswith(".") or not os.access(folder, os.R_OK | os.X_OK):
        return False
    if any((folder / record).exists() for record in (RECORD, EXPORT_RECORD)):
        return False
    return any(map(can_be_parsed, folder.iterdir()))


def can_be_parsed(path: Path) -> bool:
    """Whether a file has the suffix of a photo or video."""
    return path.suffix.lower() in SUFFIXES + VIDEOS


def _noted(folder: Path) -> set[str]:
    """The names of results that earlier runs noted in a folder."""
    try:
        content = read_json(folder / RECORD)
        return {str(name) for name in content["results of predict.py"]}
    except (UserError, KeyError, TypeError):
        return set()


def _with_content(path: str | Path) -> list[Path]:
    """The path, and what lies in it where it is a folder."""
    path = Path(path)
    return [path, *path.iterdir()] if path.is_dir() else [path]


def _identity(path: Path) -> tuple[int, int] | str:
    """What two names of one file have in common."""
    try:
        status = path.stat()
        return status.st_dev, status.st_ino
    except OSError:
        return str(path)
