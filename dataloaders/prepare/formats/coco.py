"""COCO: one annotation file for all photos, with polygons or run-length masks."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import read_json

from ..photos import Photo, make_photos
from .common import BACKGROUND_NAMES, LabelledPhotos, find_photo, fitted_photo, label_ids

Job = tuple[dict[str, Any], list[dict[str, Any]]]
"""An image entry and its annotations."""


def read(source: Path, annotations: Path, labels: tuple[str, ...] | None) -> LabelledPhotos:
    """Draw the regions of every image that has annotations; the categories by their ids are the classes."""
    content = read_json(annotations)
    try:
        categories = {int(c["id"]): str(c["name"]) for c in sorted(content["categories"], key=lambda c: c["id"])}
        by_image: dict[Any, list[dict[str, Any]]] = {}
        for annotation in content["annotations"]:
            by_image.setdefault(annotation["image_id"], []).append(annotation)
        jobs = [(image, by_image[image["id"]]) for image in content["images"] if image["id"] in by_image]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{annotations}: not a COCO annotation file (missing or wrong {error})") from error
    names = [name for name in categories.values() if name not in BACKGROUND_NAMES]
    labels = labels or ("background", *names)
    ids = label_ids(labels)
    unknown = [name for name in names if name not in ids]
    if unknown:
        raise UserError(f"{annotations}: category {unknown[0]!r} is none of dataset.json's labels; add it there")
    slots = {category: ids[name] for category, name in categories.items()}
    return labels, make_photos(source, partial(_draw, source, slots), jobs, "draw COCO regions")


def _draw(source: Path, slots: Mapping[int, int], job: Job) -> Photo:
    """The photo of an image entry with its regions: the large ones first, so that small ones stay visible.

    Crowds become 255, and annotations without a segmentation leave no mark. Raises `UserError` on broken entries.
    """
    image, annotations = job
    photo = find_photo(source, source, source, str(image.get("file_name", "")))
    try:
        from pycocotools import mask as coco_mask
    except ImportError as error:
        raise UserError("COCO annotations need pycocotools; run: pip install pycocotools") from error
    try:
        height, width = int(image["height"]), int(image["width"])
        regions = []
        for annotation in annotations:
            code = annotation.get("segmentation")
            if not code:
                continue
            if isinstance(code, list):  # polygons, one or more
                code = coco_mask.merge(coco_mask.frPyObjects(code, height, width))
            elif isinstance(code["counts"], list):
                code = coco_mask.frPyObjects(code, height, width)
            value = IGNORE if annotation.get("iscrowd") else slots[annotation["category_id"]]
            regions.append((coco_mask.decode(code).astype(bool), value))
        label = np.zeros((height, width), dtype=np.uint8)
        for region, value in sorted(regions, key=lambda pair: -int(pair[0].sum())):
            label[region] = value
    except Exception as error:  # the library raises nearly anything on a broken region
        raise UserError(
            f"{image.get('file_name')}: its COCO annotations are broken ({error!r}); mend the file"
        ) from error
    return fitted_photo(photo.stem, photo, label, upright=False)
