"""The photos of a source with their label maps: looked at, and made ready for the data folder."""

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from utils.errors import UserError
from utils.parallel import parallel_map
from utils.pictures import picture_size

from ..reading import ids_in, read_image, read_label
from ..spec import DatasetSpec

Item = TypeVar("Item")
Result = TypeVar("Result")


class SourceFiles(NamedTuple):
    """The files of one id."""

    id: str
    image: Path
    label: Path
    mirrored: Path | None = None  # label map of the mirrored photo


class PreparedPhoto(NamedTuple):
    """What goes into the data folder for one id: files of the source as they are, or new content."""

    id: str
    image: Path | bytes
    label: Path | bytes  # PNG of raw ids
    raw_ids: tuple[int, ...]  # the ids in the label map, without background and ignore
    mirrored: Path | None = None
    suffix: str = ".jpg"
    notes: tuple[str, ...] = ()  # what the user should know about it, in words that serve for many photos
    origin: Path | None = None  # the photo in the source
    left_out: tuple[str, ...] = ()  # regions that could not be drawn, each by the reason
    ignored: bool = False  # whether its label map has pixels of 255


class Report(NamedTuple):
    """What an inspection found."""

    problems: tuple[str, ...]  # one line each, naming the file
    raw_ids: tuple[int, ...] = ()  # as a `PreparedPhoto` has them; none where the label cannot be read


def inspect(spec: DatasetSpec, files: SourceFiles, *, decode: bool = True) -> Report:
    """Look at the files of one id: does each open, do the sizes agree, are the ids in range.

    `decode` reads the photo to its last pixel; without it only its header is looked at.
    """
    problems: list[str] = []
    raw = attempt(problems.append, read_label, files.label, spec.num_slots)
    sizes = attempt(problems.append, _sizes, files.image, decode, spec.published_photos)
    if raw is None:
        return Report(tuple(problems))
    if sizes is not None and raw.shape not in sizes:
        height, width = sizes[0]
        both = f"{raw.shape[1]}x{raw.shape[0]}, but {files.image.name} is {width}x{height}"
        problems.append(f"{files.label}: is {both}; replace whichever is wrong")
    if files.mirrored is not None:
        mirrored = attempt(problems.append, read_label, files.mirrored, spec.num_slots)
        if mirrored is not None and not np.array_equal(mirrored, spec.mirror_table()[raw[:, ::-1]]):
            problems.append(
                f"{files.mirrored}: is not the mirror image of {files.label.name}; delete it, it is not needed"
            )
    return Report(tuple(problems), ids_in(raw))


def verified_photo(spec: DatasetSpec, files: SourceFiles) -> PreparedPhoto:
    """The photo of `files` unchanged. Raises `UserError` when photo or label is unusable."""
    report = inspect(spec, files._replace(mirrored=None))
    if report.problems:
        raise UserError("; ".join(report.problems))
    return PreparedPhoto(*files[:3], report.raw_ids, files.mirrored, files.image.suffix.lower())


def make_photos(
    source: Path, make: Callable[[Item], PreparedPhoto], items: Sequence[Item], title: str, *, skip_bad: bool = False
) -> list[PreparedPhoto]:
    """`make` of every item, on all cores; prints the message of each for which it raises `UserError`.

    Those are left out with `skip_bad`; without it raises `UserError` where there are any.
    """
    results = parallel_map(partial(_photo_or_problem, make), items, title, "photo")
    problems = [result for result in results if isinstance(result, str)]
    if problems:
        print(*problems, sep="\n")
        what = f"{len(problems)} of {len(results)} photos or labels cannot be used, as named above"
        if not skip_bad or len(problems) == len(results):
            remedy = "replace them, or leave them out with --skip-bad"
            raise UserError(f"{source}: {what}; {remedy} (nothing was made)")
        print(f"{what}: they are passed over")
    return [result for result in results if not isinstance(result, str)]


def encoded(picture: Image.Image | np.ndarray, kind: str = "PNG", **options: int) -> bytes:
    """The content of the picture as a file of `kind`."""
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def attempt(complain: Callable[[str], None], function: Callable[..., Result], *arguments: object) -> Result | None:
    """The result of `function`; where it raises `UserError`, None after its message has gone to `complain`."""
    try:
        return function(*arguments)
    except UserError as error:
        complain(str(error))
        return None


def _photo_or_problem(make: Callable[[Item], PreparedPhoto], item: Item) -> PreparedPhoto | str:
    try:
        return make(item)
    except UserError as error:
        return str(error)


def _sizes(path: Path, decode: bool, published: bool) -> tuple[tuple[int, int], ...]:
    """The sizes (H, W) that a label of the photo may have: its own upright, and its own as it is stored."""
    if decode:
        read_image(path, published=published)
    upright, stored = picture_size(path)
    return (stored,) if published else (upright, stored)
