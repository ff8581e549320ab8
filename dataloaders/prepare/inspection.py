"""Look at a photo with its label maps: does each open, do the sizes agree, are the ids in range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from utils.errors import UserError
from utils.parallel import parallel_map

from ..reading import ids_in, image_size, read_image, read_label
from ..spec import DatasetSpec
from .photos import Photo, SourceFiles, usable

Result = TypeVar("Result")


class Report(NamedTuple):
    """What an inspection found."""

    problems: tuple[str, ...]  # one line each, naming the file
    raw_ids: tuple[int, ...]  # the ids in the label map, without background and ignore


def inspect_all(spec: DatasetSpec, files: Sequence[SourceFiles], title: str, *, decode: bool = True) -> list[Report]:
    """Inspect the files of many ids on all cores, with a progress bar; reports in the same order.

    `decode` reads every photo to its last pixel; without it only its header is looked at.
    """
    return parallel_map(partial(inspect, spec, decode), files, title, "photo")


def inspect(spec: DatasetSpec, decode: bool, files: SourceFiles) -> Report:
    """Inspect the files of one id."""
    problems: list[str] = []
    raw = attempt(problems.append, read_label, files.label, spec.num_slots)
    size = attempt(problems.append, _decoded_size if decode else image_size, files.image)
    if raw is None:
        return Report(tuple(problems), ())
    if size is not None and raw.shape != size:
        sizes = f"{raw.shape[1]}x{raw.shape[0]}, but {files.image.name} is {size[1]}x{size[0]}"
        problems.append(f"{files.label}: is {sizes}; replace whichever is wrong")
    if files.mirrored is not None:
        mirrored = attempt(problems.append, read_label, files.mirrored, spec.num_slots)
        if mirrored is not None and not np.array_equal(mirrored, spec.mirror_table()[raw[:, ::-1]]):
            problems.append(
                f"{files.mirrored}: is not the mirror image of {files.label.name}; delete it, it is not needed"
            )
    return Report(tuple(problems), ids_in(raw))


def verified(spec: DatasetSpec, source: Path, files: Sequence[SourceFiles]) -> list[Photo]:
    """The photos of `files`, after each and its label have been read. Raises `UserError` when any is unusable."""
    reports = inspect_all(spec, [one._replace(mirrored=None) for one in files], f"{spec.title}: read SOURCE")
    results = [
        "\n".join(report.problems)
        or Photo(one.id, one.image, one.label, report.raw_ids, one.mirrored, one.image.suffix.lower())
        for one, report in zip(files, reports, strict=True)
    ]
    return usable(source, results)


def attempt(complain: Callable[[str], None], function: Callable[..., Result], *arguments: object) -> Result | None:
    """The result of `function`; where it raises `UserError`, None after its message has gone to `complain`."""
    try:
        return function(*arguments)
    except UserError as error:
        complain(str(error))
        return None


def _decoded_size(path: Path) -> tuple[int, int]:
    height, width, _ = read_image(path).shape
    return height, width
