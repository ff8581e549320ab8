"""Look through the folders of a source."""

import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.errors import UserError
from utils.names import composed

JPEGS = (".jpg", ".jpeg")
PNGS = (".png",)
MOST = 1.2  # times as many photos as wanted that a drawn test list may have, where scenes are not parted


class Offer(NamedTuple):
    """The id lists that a source makes by itself; they serve where the user has put none."""

    splits: dict[str, list[str]]
    origin: str  # how they came about, told to the user
    unpaired: Sequence[str] = ()  # photos without label and labels without photo


def files_by_id(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """id -> file, sorted by id, of the files in `folder` with one of `suffixes`; hidden files are passed over.

    Raises `UserError` when two files share an id, or a name cannot stand as a line of an id list.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        image_id = composed(path.stem).strip()  # a blank before the dot would be lost in an id list
        if image_id in files:
            raise UserError(f"{path}: {files[image_id].name} has the same id; remove one of them")
        if not can_be_id(image_id):
            raise UserError(f"{folder}: file name {path.name!r} cannot be an id (line breaks, backslashes); rename it")
        files[image_id] = path
    return files


def folders_below(folder: Path) -> Iterator[Path]:
    """The folders in `folder` and below, without hidden ones and what macOS puts into archives."""
    for place, below, _ in walked(folder, lambda name: name[0] in "._"):
        yield from (place / child for child in below)


def walked(folder: Path, passed_over: Callable[[str], bool]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """`folder` and the folders below, each with the names of the folders and files in it that are not `passed_over`.

    Links to folders elsewhere are followed, each place once.
    """
    followed = {folder.resolve()}
    for place, below, names in os.walk(folder, followlinks=True):
        below[:] = sorted(name for name in below if not passed_over(name))
        yield Path(place), list(below), sorted(name for name in names if not passed_over(name))
        below[:] = [name for name in below if _leads_on(Path(place) / name, followed)]


def folders_called(source: Path, name: str) -> list[Path]:
    """The folders `name`, maybe with a parent's name before it, in any case and depth; the outermost first."""
    wanted, folders = name.lower().split("/"), {source / name} if (source / name).is_dir() else set()
    for path in folders_below(source):
        if [part.lower() for part in path.relative_to(source).parts[-len(wanted) :]] == wanted:
            folders.add(path)
    return sorted(folders, key=lambda path: (len(path.parts), path))


def find_folder(source: Path, *names: str) -> Path:
    """The outermost folder of the first of the names that there is. Raises `UserError` naming what was looked for."""
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source is the folder of the unpacked download")
    for name in names:
        if there := folders_called(source, name):
            return there[0]
    raise UserError(
        f"{source}: has no sub-folder {' or '.join(names)}; --source is the folder of the unpacked download"
    )


def draw_test(
    ids: Sequence[str], share: float, seed: int = 0, repeats: Iterable[tuple[int, int]] = ()
) -> dict[str, list[str]]:
    """Split sorted ids at random, the same way every time; each list keeps the order of `ids`.

    Versions of one photo, which Roboflow calls NAME.rf.HASH, come to the same list, and so do repeat shots, `repeats`
    being pairs of their places in `ids`. More than the test list may hold are of one studio, not of one scene.
    """
    number = min(max(round(share * len(ids)), 2), len(ids) - 1)
    versions = _groups([family(image_id) for image_id in ids])
    scene_of = np.arange(len(ids))
    for version in versions:
        scene_of[version] = version[0]
    for one, other in repeats:
        scene_of[scene_of == scene_of[other]] = scene_of[one]
    alike, test = list[list[int]](), set[str]()
    for scene in _groups(scene_of.tolist()):
        alike += [scene] if len(scene) <= number else [version for version in versions if version[0] in scene]
    for place in np.random.default_rng(seed).permutation(len(alike)).tolist():
        if len(test) < number and len(test) + len(alike[place]) <= max(number, MOST * number):
            test.update(ids[member] for member in alike[place])
    return {
        "train": [image_id for image_id in ids if image_id not in test],
        "test": [image_id for image_id in ids if image_id in test],
    }


def _groups(keys: Sequence[Hashable]) -> list[list[int]]:
    """The places at which each key stands, in the order in which keys first occur."""
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def family(image_id: str) -> str:
    """What the versions of one photo have in common: the id without Roboflow's `.rf.HASH`."""
    return re.sub(r"\.rf\.[0-9a-zA-Z]+$", "", image_id)


def unpaired(images: Collection[str], labels: Collection[str]) -> list[str]:
    """The ids that have a photo or a label, but not both."""
    alone = [f"{image_id} (no label)" for image_id in sorted(set(images) - set(labels))]
    return alone + [f"{image_id} (no photo)" for image_id in sorted(set(labels) - set(images))]


def _leads_on(path: Path, followed: set[Path]) -> bool:
    """Whether a folder is none that a walk comes to by another path; where it is a link, its target is noted."""
    if not path.is_symlink():
        return True
    target = path.resolve()
    if any(target.is_relative_to(place) or place.is_relative_to(target) for place in followed):
        return False
    followed.add(target)
    return True


def can_be_id(stem: str) -> bool:
    """Whether a name fits on a line of an id list, as UTF-8."""
    try:
        stem.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return stem == stem.strip() and len(stem.splitlines()) == 1 and "\\" not in stem
