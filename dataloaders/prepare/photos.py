"""The photos of a source and what the data folder gets of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from utils.errors import UserError
from utils.parallel import parallel_map

Item = TypeVar("Item")
Result = TypeVar("Result")


class SourceFiles(NamedTuple):
    """The files of one id."""

    id: str
    image: Path
    label: Path
    mirrored: Path | None = None  # label map of the mirrored photo


class Photo(NamedTuple):
    """What goes into the data folder for one id: files of the source as they are, or new content."""

    id: str
    image: Path | bytes
    label: Path | bytes  # PNG of raw ids
    raw_ids: tuple[int, ...]  # the ids in the label map, without background and ignore
    mirrored: Path | None = None
    suffix: str = ".jpg"


def make_photos(source: Path, make: Callable[[Item], Photo], items: Sequence[Item], title: str) -> list[Photo]:
    """`make` of every item, on all cores. Raises `UserError` where it does so for any, after printing each message."""
    return usable(source, parallel_map(partial(_or_complaint, make), items, title, "photo"))


def usable(source: Path, results: Sequence[Result | str]) -> list[Result]:
    """The results, when all are good. Else prints each problem and raises `UserError` with their number."""
    problems = [result for result in results if isinstance(result, str)]
    if problems:
        print(*problems, sep="\n")
        number = f"{len(problems)} of {len(results)}"
        raise UserError(
            f"{source}: {number} photos or labels cannot be used, as named above; replace them (nothing was made)"
        )
    return [result for result in results if not isinstance(result, str)]


def encoded(picture: Image.Image | np.ndarray, kind: str = "PNG", **options: int) -> bytes:
    """The content of the picture as a file of `kind`."""
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def _or_complaint(make: Callable[[Item], Photo], item: Item) -> Photo | str:
    try:
        return make(item)
    except UserError as error:
        return str(error)
