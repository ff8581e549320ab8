"""Look through the folders of a source."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.errors import UserError

JPEGS = (".jpg", ".jpeg")
PNGS = (".png",)


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
        if path.stem in files:
            raise UserError(f"{path}: {files[path.stem].name} has the same id; remove one of them")
        if not _can_be_id(path.stem):
            raise UserError(
                f"{folder}: file name {path.name!r} cannot be an id (line breaks or outer spaces); rename it"
            )
        files[path.stem] = path
    return files


def first_folder(source: Path, candidates: Sequence[str]) -> Path:
    """The first of the sub-folders that exists. Raises `UserError` naming what was looked for."""
    for candidate in candidates:
        if (source / candidate).is_dir():
            return source / candidate
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source is the folder of the unpacked download")
    raise UserError(
        f"{source}: has no sub-folder {' or '.join(candidates)}; --source is the folder of the unpacked download"
    )


def first_names(names: Sequence[str], most: int = 3) -> str:
    """The first of many names, for a message of one line."""
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")


def draw_test(ids: Sequence[str], share: float, seed: int = 0) -> dict[str, list[str]]:
    """Split sorted ids at random, the same way every time; each list keeps the order of `ids`."""
    number = min(max(round(share * len(ids)), 2), len(ids) - 1)
    test = set(np.random.default_rng(seed).permutation(len(ids))[:number].tolist())
    return {
        "train": [image_id for i, image_id in enumerate(ids) if i not in test],
        "test": [image_id for i, image_id in enumerate(ids) if i in test],
    }


def unpaired(images: Collection[str], labels: Collection[str]) -> list[str]:
    """The ids that have a photo or a label, but not both."""
    alone = [f"{image_id} (no label)" for image_id in sorted(set(images) - set(labels))]
    return alone + [f"{image_id} (no photo)" for image_id in sorted(set(labels) - set(images))]


def _can_be_id(stem: str) -> bool:
    try:
        stem.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return stem == stem.strip() and len(stem.splitlines()) == 1 and "\\" not in stem
