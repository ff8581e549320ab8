"""Boxes of persons as detectors write them: COCO's results format, put to the photos that they are of."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataloaders.prepare.formats.coco import check_ids, id_text
from utils.errors import UserError
from utils.files import read_json
from utils.names import composed, path_parts, shared_parts
from utils.pictures import picture_size

from .inputs import Source
from .settings import PEOPLE

PERSON = "1"  # COCO's category id
LEAST_SCORE = 0.5  # of a box that counts
LAYOUT = '[{"image_id": "photo.jpg", "bbox": [x, y, width, height], "score": 0.9, "category_id": 1}, ...]'
OVERHANG = 0.1  # of a box: how much of it may lie outside the photo
Box = Sequence[float]
"""x, y, width and height in pixels of the upright photo."""
Boxes = Mapping[Path, Sequence[Box]]


def check_box(box: Box, size: tuple[int, int], name: str) -> Box:
    """The box as four floats. Raises `UserError` where it does not lie in a photo of `size` (H, W), called `name`."""
    try:
        x, y, width, height = map(float, box)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: the box {box!r} is not four numbers; give x, y, width, height in pixels") from error
    inside = [min(a + b, length) - max(a, 0) for a, b, length in ((x, width, size[1]), (y, height, size[0]))]
    if not (inside[0] >= (1 - OVERHANG) * width > 0 and inside[1] >= (1 - OVERHANG) * height > 0):  # nor is NaN
        numbers = f"{x:g}, {y:g}, {width:g}, {height:g}"
        sizes = f"the photo is {size[1]}x{size[0]} upright"
        raise UserError(f"{name}: the box [{numbers}] does not lie in it ({sizes}); give x, y, width, height in pixels")
    return x, y, width, height


def boxes_for(people: str, images: str | None, sources: Sequence[Source]) -> Boxes | None:
    """The boxes of the persons of each photo, where `people` is a file of them. Raises as `read_boxes`."""
    if people in PEOPLE:
        if images:
            raise UserError("--people-images: names the photos of a file of boxes; give that with --people")
        return None
    if videos := [source.path.name for source in sources if source.is_video]:
        raise UserError(f"--people {people}: boxes are of photos; parse {videos[0]} without it")
    return read_boxes(people, images, sources)


def read_boxes(path: str | Path, images: str | Path | None, sources: Sequence[Source]) -> Boxes:
    """The persons' boxes (x, y, width, height in pixels) of each photo, from a file of a detector's results.

    `image_id` is a photo's file name, or an id of the COCO file `images`; folders in the name tell photos of one name
    apart. Boxes of a score below `LEAST_SCORE` do not count, nor do those of other categories than the person's: 1, or
    the one that `images` calls "person".
    Raises `UserError` for files of another form, photos that are not in them, and boxes outside their photo.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise UserError(f"{path}: must be a list like {LAYOUT}")
    names, person = _read_images(images) if images else ({}, PERSON)
    boxes: dict[str, list[list[float]]] = defaultdict(list)
    boxes.update({name: [] for name in names.values()})
    categories, unsure, largest = set[str](), 0, 0.0
    for number, entry in enumerate(entries):
        image_id, box, score, category = _checked(path, number, entry)
        if images and image_id not in names:
            raise UserError(f"{path}: entry {number} is of the image id {image_id}, which {images} does not have")
        of_photo = boxes[names.get(image_id, image_id)]
        categories.add(person if category is None else category)
        unsure += score < LEAST_SCORE
        largest = max(largest, *box)
        if category in (None, person) and score >= LEAST_SCORE:
            of_photo.append(box)
    if entries and largest <= 1:
        raise UserError(f"{path}: all boxes lie in 0..1, as shares of the photo; give x, y, width, height in pixels")
    if categories and person not in categories:
        those = ", ".join(sorted(categories))
        remedy = f'write {person}, or give a file with "categories" with --people-images'
        raise UserError(f"{path}: persons have the category_id {person}, and its boxes have {those}; {remedy}")
    if unsure:
        print(f"{path}: {unsure} of {len(entries)} boxes are passed over, with a score below {LEAST_SCORE}")
    photos = [source.path for source in sources if not source.is_video]
    return {photo: _of_photo(path, photo, boxes[name]) for photo, name in _names_of(path, photos, boxes).items()}


def _names_of(path: str | Path, photos: Sequence[Path], names: Collection[str]) -> dict[Path, str]:
    """Which of the names in a file of boxes each photo has. Raises `UserError` where that is not sure."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_file[path_parts(name)[-1] if path_parts(name) else ""].append(name)
    owners: dict[str, Path] = {}
    for photo in photos:
        candidates = by_file.get(composed(photo.name), [])
        if not candidates:
            remedy = "name it by image_id, or give --people-images"
            raise UserError(f"{path}: has no entry for {photo.name}; {remedy}")
        fits = {name: shared_parts(photo.absolute(), path_parts(name)) for name in candidates}
        best = [name for name in candidates if fits[name] == max(fits.values())]
        if len(best) > 1:
            raise UserError(f"{path}: {photo} may be {best[0]} or {best[1]} there; name its folders as they are")
        if best[0] in owners:
            both = f"{owners[best[0]]} and {photo}"
            raise UserError(f"{path}: {best[0]!r} may be {both}; write the folder before the name, or parse them apart")
        owners[best[0]] = photo
    return {photo: name for name, photo in owners.items()}


def _of_photo(path: str | Path, photo: Path, boxes: list[list[float]]) -> list[list[float]]:
    """The boxes, which must lie in the photo."""
    try:
        size, _ = picture_size(photo)
    except UserError:  # told when the photo's turn comes
        return boxes
    for box in boxes:
        check_box(box, size, f"{path}: {photo.name}")
    return boxes


def _read_images(path: str | Path) -> tuple[dict[str, str], str]:
    """File names by image id, and the category id of persons, of a COCO file."""
    content = read_json(path)
    try:
        names = [(id_text(image["id"]), str(image["file_name"])) for image in content["images"]]
        persons = [id_text(one["id"]) for one in content.get("categories", []) if str(one["name"]).lower() == "person"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{path}: must hold "images" with id and file_name, as a COCO file does') from error
    return check_ids(path, "image", names), persons[0] if persons else PERSON


def _checked(path: str | Path, number: int, entry: Any) -> tuple[str, list[float], float, str | None]:
    """Image id, box, score and category of an entry."""
    try:
        box = [float(value) for value in entry["bbox"]]
        image_id, category, said = id_text(entry["image_id"]), entry.get("category_id"), entry.get("score")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: entry {number} must have image_id and bbox, as in {LAYOUT}") from error
    try:
        score = 1.0 if said is None else float(said)
    except (TypeError, ValueError):
        score = math.nan
    if math.isnan(score):
        raise UserError(f"{path}: entry {number} has the score {said!r}, which is no number; give one from 0 to 1")
    if len(box) != 4 or not all(map(math.isfinite, box)) or min(box[2:]) <= 0:
        raise UserError(f"{path}: entry {number} has the bbox {entry['bbox']}; give x, y, width, height in pixels")
    return image_id, box, score, None if category is None else id_text(category)
