"""Look at a photo with its label maps: does each open, do the sizes agree, are the ids in range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from utils.errors import UserError
from utils.parallel import parallel_map

from ..reading import read_image, read_label
from ..spec import DatasetSpec

Result = TypeVar("Result")


class Files(NamedTuple):
    """The files of one id."""

    image: Path
    label: Path
    mirrored: Path | None = None  # label map of the mirrored photo


class Report(NamedTuple):
    """What an inspection found."""

    problems: tuple[str, ...]  # one line each, naming the file
    classes: tuple[int, ...]  # merged foreground classes in the label map


def inspect_all(spec: DatasetSpec, files: Sequence[Files], title: str, *, decode: bool = True) -> list[Report]:
    """Inspect the files of many ids on all cores, with a progress bar; reports in the same order.

    `decode` reads every photo to its last pixel; without it only its header is looked at.
    """
    return parallel_map(partial(inspect, spec, decode), files, title, "photo")


def inspect(spec: DatasetSpec, decode: bool, files: Files) -> Report:
    """Inspect the files of one id."""
    problems: list[str] = []
    raw = _attempt(problems, read_label, files.label, spec.num_slots)
    size = _attempt(problems, _image_size, files.image, decode)
    if raw is None:
        return Report(tuple(problems), ())
    if size is not None and raw.shape != size:
        sizes = f"{raw.shape[1]}x{raw.shape[0]}, but {files.image.name} is {size[1]}x{size[0]}"
        problems.append(f"{files.label}: is {sizes}; replace whichever is wrong")
    if files.mirrored is not None:
        mirrored = _attempt(problems, read_label, files.mirrored, spec.num_slots)
        if mirrored is not None and not np.array_equal(mirrored, spec.mirror_table()[raw[:, ::-1]]):
            problems.append(
                f"{files.mirrored}: is not the mirror image of {files.label.name}; delete it, it is not needed"
            )
    return Report(tuple(problems), merged_classes(spec, raw))


def merged_classes(spec: DatasetSpec, raw: np.ndarray) -> tuple[int, ...]:
    """Merged foreground classes in a raw label map (H, W)."""
    found = np.flatnonzero(np.bincount(raw.ravel(), minlength=256))
    return tuple(sorted({int(c) for c in spec.merge_table()[found]} - {0, 255}))


def _attempt(problems: list[str], function: Callable[..., Result], *arguments: object) -> Result | None:
    try:
        return function(*arguments)
    except UserError as error:
        problems.append(str(error))
        return None


def _image_size(path: Path, decode: bool) -> tuple[int, int]:
    if decode:
        return read_image(path).shape[:2]
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except OSError as error:
        raise UserError(f"{path}: the image cannot be opened ({error.strerror or error}); replace the file") from error
