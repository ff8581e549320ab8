"""COCO: annotation files with polygons or run-length masks, one for all photos or one in each folder of a split."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from utils.constants import IGNORE
from utils.errors import UserError
from utils.pictures import picture_size

from ..photos import Photo, make_photos
from .common import Files, Labelled, LeftOut, PhotoIndex, fitted_photo, id_of_label, without_background
from .shapes import within

KEYS = {"images", "annotations", "categories"}
SPLITS = {"train": "train", "valid": "val", "val": "val", "test": "test"}  # folder or list of a source -> ours
Region = tuple[Any, int]
"""A segmentation and the label value to draw it with."""


class Job(NamedTuple):
    """A photo, the size (H, W) that the file gives it, and its regions."""

    photo: Path
    size: tuple[int, int]
    regions: list[Region]


def split_of(path: Path) -> str:
    """Our list to which a file's photos belong, by the name of its folder or by its own; empty where neither says."""
    words = (path.parent.name.lower(), *re.findall("[a-z]+", path.stem.lower()))
    return next((SPLITS[word] for word in words if word in SPLITS), "")


def is_coco(content: object) -> bool:
    """Whether the content of a JSON file is a COCO annotation file."""
    return isinstance(content, dict) and content.keys() >= KEYS and isinstance(content["images"], list)


def read(
    source: Path, files: Files, labels: tuple[str, ...] | None, depth: int = 0, skip_bad: bool = False
) -> Labelled:
    """Draw the regions of every image that has some; the categories in the order of their ids are the classes.

    What cannot be used is left out and counted. Two categories of one name are one class. Several files, each
    named after a split or in a folder so named, keep their splits.
    """
    left_out, index = LeftOut(), PhotoIndex(source)
    categories = {path: categories_of(path, content) for path, content in files.items()}
    names = without_background([name for named in categories.values() for name in named.values()])
    labels = labels or ("background", *names)
    id_of = id_of_label(labels)
    if unknown := [name for name in names if id_of(name) is None]:
        raise UserError(f"{next(iter(files))}: category {unknown[0]!r} is none of dataset.json's labels; add it there")
    jobs: dict[Path, Job] = {}
    splits: dict[str, list[Path]] = defaultdict(list)
    for path, content in files.items():
        values = {category: id_of(name) or 0 for category, name in categories[path].items()}
        for job in _jobs(path, content, values, index, left_out):
            earlier = jobs.get(job.photo)
            jobs[job.photo] = job._replace(regions=[*(earlier.regions if earlier else []), *job.regions])
            splits[split_of(path)].append(job.photo)
    if not jobs:
        left_out.tell()
        raise UserError(f"{next(iter(files))}: holds no region to train on; export it with segmentation masks")
    listed = [str(i.get("file_name", "")) for c in files.values() for i in c["images"] if isinstance(i, dict)]
    index.tell_unnamed(jobs, listed)
    photos = make_photos(source, partial(_draw, depth), list(jobs.values()), "draw COCO regions", skip_bad=skip_bad)
    left_out.tell()
    return Labelled(labels, photos, splits if len(files) > 1 else None)


def categories_of(path: Path, content: Mapping[str, Any]) -> dict[str, str]:
    """Names by id, as text. A category 0 that stands for the others and marks nothing is left out.

    Raises `UserError` where entries are broken, or one id has two names.
    """
    try:
        entries = sorted(content["categories"], key=lambda c: int(c["id"]))
        used = Counter(str(a["category_id"]) for a in content["annotations"] if "category_id" in a)
        named = check_ids(path, "category", [(str(c["id"]), str(c["name"]).strip()) for c in entries])
        above = [str(c["id"]) for c in entries if c.get("supercategory") in ("none", None) and int(c["id"]) == 0]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a COCO annotation file (missing or wrong {error})") from error
    idle = above[0] if above and not used[above[0]] and len(named) > 1 else None
    return {category: name for category, name in named.items() if category != idle}


def check_ids(path: Path, what: str, names: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Names by id. Raises `UserError` where an id has two, as in files that were joined: which is meant is not told."""
    named: dict[str, str] = {}
    for number, name in names:
        if named.setdefault(number, name) != name:
            both = f"{named[number]!r} as well as {name!r}"
            raise UserError(
                f"{path}: {what} id {number} is {both}; give each an id of its own, here and in annotations"
            )
    return named


def _jobs(
    path: Path, content: Mapping[str, Any], values: Mapping[str, int], index: PhotoIndex, left_out: LeftOut
) -> list[Job]:
    """The images of a file that have regions, with their photos."""
    regions: dict[str, list[Region]] = defaultdict(list)
    for annotation in content["annotations"]:
        place = f"annotation {annotation.get('id')}" if isinstance(annotation, dict) else path.name
        if not isinstance(annotation, dict) or "image_id" not in annotation:
            left_out.add("annotations that name no image", place)
        elif str(annotation.get("category_id")) not in values:
            left_out.add("annotations of no known category", place)
        elif not annotation.get("segmentation"):
            left_out.add("boxes without a mask", place)
        else:
            value = IGNORE if annotation.get("iscrowd") else values[str(annotation["category_id"])]
            regions[str(annotation["image_id"])].append((annotation["segmentation"], value))
    images: list[tuple[str, tuple[int, int], list[Region]]] = []
    numbered: list[tuple[str, str]] = []
    for image in content["images"]:
        try:
            number, name = str(image["id"]), str(image["file_name"])
            size = (int(image["height"]), int(image["width"]))
        except (KeyError, TypeError, ValueError):
            left_out.add("images without id, file_name, width or height", path.name)
            continue
        numbered.append((number, name))
        if regions[number]:
            images.append((name, size, regions[number]))
        else:
            left_out.add("photos without annotations", name)
    check_ids(path, "image", numbered)
    photos = index.find_each([(path, name) for name, _, _ in images])
    return [Job(photo, *image[1:]) for photo, image in zip(photos, images, strict=True)]


def _draw(depth: int, job: Job) -> Photo:
    """The photo with its regions: the large ones first, so that small ones stay visible. Crowds are 255.

    Regions lie in the photo as viewers show it, also where the file gives the size of the stored form; if they do not
    fit into that, they lie in the stored form. Raises `UserError` where the file's size is neither.
    """
    upright, stored = picture_size(job.photo)
    if job.size not in (upright, stored):
        sizes = f"{upright[1]}x{upright[0]}, but its annotations were drawn at {job.size[1]}x{job.size[0]}"
        raise UserError(f"{job.photo}: is {sizes}; resize it back, or annotate it anew")
    size = upright if job.size == upright or all(_fits(code, upright) for code, _ in job.regions) else stored
    label, left_out = paint(job.regions, size)
    return fitted_photo(job.photo.stem, job.photo, label, depth=depth)._replace(left_out=tuple(left_out))


def paint(regions: Sequence[Region], size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """The label map (H, W) of regions, the large ones first; and a reason for each that cannot be used."""
    drawn, left_out = [], []
    for code, value in regions:
        mask, unusable = _mask(code, size)
        drawn.append((mask, value))
        left_out += unusable
    label = np.zeros(size, dtype=np.uint8)
    for mask, value in sorted(drawn, key=lambda pair: -int(pair[0].sum())):
        label[mask] = value
    return label, left_out


def _fits(code: Any, size: tuple[int, int]) -> bool:
    """Whether a segmentation lies in a picture of `size` (H, W)."""
    if isinstance(code, dict):
        return list(code.get("size", ())) == list(size)
    return all(within(outline, size) for outline in _outlines(code)[0])


def _outlines(code: Any) -> tuple[list[list[float]], list[str]]:
    """The polygons of a segmentation, each as x, y, x, y, ...; and a reason for each that cannot be used.

    A segmentation is a list of polygons; a polygon by itself, flat or of pairs, is taken too.
    """
    parts = code if all(isinstance(part, list) for part in code) else [code]
    if len(parts) >= 3 and all(len(part) == 2 for part in parts):
        parts = [[value for pair in parts for value in pair]]
    outlines, unusable = [], []
    for part in parts:
        try:
            outline = [float(value) for value in part]
        except (TypeError, ValueError):
            outline = []
        if len(outline) < 6 or len(outline) % 2 or not np.isfinite(outline).all():
            unusable.append("polygons with fewer than three points, or broken ones")
        else:
            outlines.append(outline)
    return outlines, unusable


def _mask(code: Any, size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
    """The pixels (H, W) of a segmentation, and a reason for each part of it that cannot be used."""
    nothing = np.zeros(size, dtype=bool)
    if not isinstance(code, list):
        try:
            return _run_lengths(code["counts"], tuple(code["size"]), size), []
        except (KeyError, TypeError, ValueError, IndexError, OverflowError):
            return nothing, ["masks that are broken, or of another size than their photo"]
    outlines, unusable = _outlines(code)
    if outlines:
        try:
            from pycocotools import mask as coco_mask
        except ImportError as error:
            raise UserError("COCO polygons need pycocotools; run: pip install pycocotools") from error
        nothing = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, *size))).astype(bool)
    return nothing, unusable


def _run_lengths(counts: list[int] | str, stated: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """The pixels of a run-length mask: lengths of runs of 0 and 1 in turn, down the columns; text is packed lengths.

    Raises `ValueError` where they are not those of a picture of `size` (H, W).
    """
    lengths = counts if isinstance(counts, list) else _unpacked(counts)
    if stated != size or min(lengths) < 0 or sum(lengths) != size[0] * size[1]:
        raise ValueError("not a mask of the photo")
    mask: np.ndarray = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size[::-1]).T
    return mask


def _unpacked(text: str) -> list[int]:
    """COCO's packed lengths: five bits a letter, lowest first; from the fourth on the change over the last but one."""
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    return lengths
