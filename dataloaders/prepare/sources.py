"""Find the files of the published archives in the layouts in which they are unpacked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from utils.errors import UserError

from ..spec import DatasetSpec
from .inspection import Files

PHOTOS = (".jpg", ".jpeg")
_NOT_PUBLISHED = "; figures can be compared with published ones only under the published lists, see docs/data.md"
LABELS = (".png",)


class Found(NamedTuple):
    """What a SOURCE holds."""

    files: Mapping[str, Any]  # id -> its files
    splits: dict[str, list[str]]  # the ids of each split, as the folders say or as drawn here
    how: str  # how the splits came about, told to the user
    unpaired: tuple[str, ...]  # photos without label and labels without photo


class _Part(NamedTuple):
    """Candidate sub-folders, the first that exists counts. `mirrored` need not exist."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    mirrored: tuple[str, ...]


_ATR = _Part(
    ("JPEGImages", "humanparsing/JPEGImages"),
    ("SegmentationClassAug", "humanparsing/SegmentationClassAug"),
    ("SegmentationClassAug_rev", "humanparsing/SegmentationClassAug_rev"),
)


def _lip(split: str, mirrored: tuple[str, ...]) -> _Part:
    images, labels = "TrainVal_images", "TrainVal_parsing_annotations"
    return _Part(
        tuple(f"{folder}{split}_images" for folder in (f"{images}/{images}/", f"{images}/", "")),
        tuple(f"{folder}{split}_segmentations" for folder in (f"{labels}/{labels}/", f"{labels}/", "")),
        (*mirrored, f"{split}_segmentations_reversed"),
    )


_LIP = {
    "train": _lip(
        "train",
        (
            "Train_parsing_reversed_labels/TrainVal_parsing_annotations/train_segmentations_reversed",
            "Train_parsing_reversed_labels/train_segmentations_reversed",
            "Train_parsing_reversed_labels/TrainVal_parsing_annotations",
            "Train_parsing_reversed_labels",
        ),
    ),
    "test": _lip("val", ("TrainVal_parsing_annotations/val_segmentations_reversed",)),
}


def _cihp(folder: str) -> _Part:
    nested = f"instance-level_human_parsing/{folder}"
    return _Part(
        (f"{folder}/Images", f"{nested}/Images"),
        (f"{folder}/Category_ids", f"{nested}/Category_ids"),
        ("Category_rev_ids", f"{folder}/Category_rev_ids", f"{nested}/Category_rev_ids"),
    )


_CIHP = {"train": _cihp("Training"), "test": _cihp("Validation")}


def find(spec: DatasetSpec, source: Path) -> Found:
    """The files of ATR, LIP or CIHP in `source`.

    Raises `UserError` when a sub-folder is missing, naming it, and on file names that cannot be ids.
    """
    if spec.name == "atr":
        files, unpaired = _pairs(source, _ATR)
        return Found(
            files,
            _draw_splits(spec, sorted(files)),
            f"drawn from the folder with a fixed seed{_NOT_PUBLISHED}",
            tuple(unpaired),
        )
    files, splits, unpaired = {}, {}, []
    for split, part in {"lip": _LIP, "cihp": _CIHP}[spec.name].items():
        found, odd = _pairs(source, part)
        twice = sorted(files.keys() & found.keys())
        if twice:
            raise UserError(
                f"{source}: id {twice[0]} stands in the training and the validation folder; unpack it again"
            )
        files |= found
        splits[split] = sorted(found)
        unpaired += odd
    return Found(files, splits, f"as the archive's own folders{_NOT_PUBLISHED}", tuple(unpaired))


def files_by_id(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """id -> file, sorted by id, of the files in `folder` with one of `suffixes`; hidden files are passed over.

    Raises `UserError` when two files share an id, or a name cannot stand as a line of an id list.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in found:
            raise UserError(f"{path}: {found[path.stem].name} has the same id; remove one of them")
        if not _can_be_id(path.stem):
            raise UserError(
                f"{folder}: file name {path.name!r} cannot be an id (line breaks or outer spaces); rename it"
            )
        found[path.stem] = path
    return found


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


def few(names: Sequence[str], most: int = 3) -> str:
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


def _draw_splits(spec: DatasetSpec, ids: list[str]) -> dict[str, list[str]]:
    assert spec.counts is not None
    return draw_test(ids, spec.counts["test"] / sum(spec.counts.values()))


def _pairs(source: Path, part: _Part) -> tuple[dict[str, Files], list[str]]:
    images = files_by_id(first_folder(source, part.images), PHOTOS)
    labels = files_by_id(first_folder(source, part.labels), LABELS)
    mirrored: dict[str, Path] = {}
    for candidate in part.mirrored:
        if (source / candidate).is_dir() and not mirrored:
            mirrored = files_by_id(source / candidate, LABELS)
    both = sorted(images.keys() & labels.keys())
    files = {image_id: Files(images[image_id], labels[image_id], mirrored.get(image_id)) for image_id in both}
    return files, unpaired(images, labels)


def _can_be_id(stem: str) -> bool:
    try:
        stem.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return stem == stem.strip() and len(stem.splitlines()) == 1 and "\\" not in stem
