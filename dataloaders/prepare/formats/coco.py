"""COCO: annotation files with polygons or run-length masks, one for all photos or one in each folder of a split."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from utils.constants import IGNORE
from utils.errors import UserError
from utils.pictures import picture_size

from ..photos import PreparedPhoto, make_photos
from .coco_masks import IdMask, fits, paint
from .common import (
    SPLIT_WORDS,
    Files,
    Labelled,
    LeftOut,
    PhotoIndex,
    fitted_photo,
    id_of_label,
    named_once,
    without_background,
)
from .shapes import Size, stated_size

MOST = IGNORE - 2  # classes beside the background, as many as a dataset.json takes
CROWD = "crowds (iscrowd is 1), whose pixels do not count"
KEYS = {"images", "annotations", "categories"}


class Job(NamedTuple):
    """A photo, the size (H, W) that the file gives it if it does, and its regions."""

    photo: Path
    size: Size | None
    regions: list[IdMask]


def split_of(path: Path) -> str:
    """Our list to which a file's photos belong, by the name of its folder or by its own; empty where neither says."""
    words = (path.parent.name.lower(), *re.findall("[a-z]+", path.stem.lower()))
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), "")


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
    path, used = next(iter(files)), {name for p, content in files.items() for name in _used(content, categories[p])}
    names = classes_of(path, [name for named in categories.values() for name in named.values()], used)
    labels = labels or ("background", *names)
    id_of = id_of_label(labels)
    if unknown := [name for name in names if id_of(name) is None]:
        raise UserError(f"{path}: category {unknown[0]!r} is none of dataset.json's labels; add it there")
    jobs: dict[Path, Job] = {}
    splits: dict[str, list[Path]] = defaultdict(list)
    for path, content in files.items():
        values = {category: id_of(name) or 0 for category, name in categories[path].items()}
        for job in _jobs(path, content, values, index, left_out, skip_bad):
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
        used = Counter(id_text(a["category_id"]) for a in content["annotations"] if "category_id" in a)
        names = ["" if c["name"] is None else str(c["name"]).strip() for c in entries]
        named = check_ids(path, "category", [(id_text(c["id"]), n) for c, n in zip(entries, names, strict=True)])
        above = [id_text(c["id"]) for c in entries if c.get("supercategory") in ("none", None) and int(c["id"]) == 0]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a COCO annotation file (missing or wrong {error})") from error
    named_once(path, list(dict.fromkeys(named.values())))  # two categories of one name are one class
    idle = above[0] if above and not used[above[0]] and len(named) > 1 else None
    return {category: name for category, name in named.items() if category != idle}


def id_text(number: object) -> str:
    """An id as text, the same for 1, 1.0 and "1"."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def is_crowd(annotation: Mapping[str, Any]) -> bool:
    """Whether a region is a crowd, which does not count; some tools write the number as text.

    CVAT, whose regions say whether they are occluded, calls every mask that was painted a crowd: these count.
    """
    attributes = annotation.get("attributes")
    if isinstance(attributes, dict) and "occluded" in attributes:
        return False
    return annotation.get("iscrowd") not in (None, 0, "", "0", "false", "False")


def classes_of(path: Path, names: Sequence[str], used: Collection[str]) -> list[str]:
    """The categories that are classes: all, or where they are too many those that have regions, as a line then says.

    Raises `UserError` where these too are too many for a label map.
    """
    every = kept = without_background(names)
    if len(every) > MOST:
        kept = [name for name in every if name in used]
        print(f"{path}: {len(kept)} of {len(every)} categories are classes, those that have regions")
    if len(kept) > MOST:
        raise UserError(f"{path}: regions of {len(kept)} categories, but {MOST} classes are the most; remove some")
    return kept


def _used(content: Mapping[str, Any], categories: Mapping[str, str]) -> set[str]:
    """The names of the categories that have regions."""
    regions = (a for a in content["annotations"] if isinstance(a, dict) and a.get("segmentation"))
    return {categories.get(id_text(a.get("category_id")), "") for a in regions}


def check_ids(path: str | Path, what: str, names: Sequence[tuple[str, str]]) -> dict[str, str]:
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
    path: Path,
    content: Mapping[str, Any],
    values: Mapping[str, int],
    index: PhotoIndex,
    left_out: LeftOut,
    skip_bad: bool,
) -> list[Job]:
    """The images of a file that have regions, with their photos; `skip_bad` passes over those without a photo."""
    regions: dict[str, list[IdMask]] = defaultdict(list)
    for annotation in content["annotations"]:
        place = f"annotation {annotation.get('id')}" if isinstance(annotation, dict) else path.name
        if not isinstance(annotation, dict) or annotation.get("image_id") is None:
            left_out.add("annotations that name no image", place)
        elif id_text(annotation.get("category_id")) not in values:
            left_out.add("annotations of no known category", place)
        elif not annotation.get("segmentation"):
            left_out.add("boxes without a mask", place)
        else:
            if crowd := is_crowd(annotation):
                left_out.add(CROWD, place)
            value = IGNORE if crowd else values[id_text(annotation["category_id"])]
            regions[id_text(annotation["image_id"])].append((annotation["segmentation"], value))
    images: list[tuple[str, Size | None, list[IdMask]]] = []
    numbered: list[tuple[str, str]] = []
    for image in content["images"]:
        try:
            number, name = id_text(image["id"]), str(image["file_name"])
            size = stated_size(image.get("height"), image.get("width"))
        except (KeyError, TypeError, ValueError):
            left_out.add("images without id or file_name, or of a broken width or height", path.name)
            continue
        numbered.append((number, name))
        if regions[number]:
            images.append((name, size, regions[number]))
        else:
            left_out.add("photos without annotations", name)
    check_ids(path, "image", numbered)
    photos = index.found([(path, name) for name, _, _ in images], skip_bad)
    return [Job(photo, *images[place][1:]) for place, photo in photos]


def _draw(depth: int, job: Job) -> PreparedPhoto:
    """The photo with its regions: the large ones first, so that small ones stay visible. Crowds are 255."""
    label, left_out = paint(job.regions, regions_size(job.photo, job.size, job.regions))
    return fitted_photo(job.photo.stem, job.photo, label, depth=depth)._replace(left_out=tuple(left_out))


def regions_size(photo: Path, size: Size | None, regions: Sequence[IdMask]) -> Size:
    """The size (H, W) at which a photo's regions lie; `size` is what their file says.

    Regions lie in the photo as viewers show it, also where the file gives the size of the stored form; if they do not
    fit into that, they lie in the stored form. Raises `UserError` where the file's size is neither.
    """
    upright, stored = picture_size(photo)
    said = size or upright
    if said not in (upright, stored):
        sizes = f"{upright[1]}x{upright[0]}, but its annotations were drawn at {said[1]}x{said[0]}"
        raise UserError(f"{photo}: is {sizes}; resize it back, or annotate it anew")
    return upright if said == upright or all(fits(code, upright) for code, _ in regions) else stored
