"""COCO: one annotation file for all photos, with polygons or run-length masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import read_json

from ..photos import Photo, make_photos
from .common import BACKGROUND_NAMES, CustomSource, drawn_photo, find_photo, label_ids

Job = tuple[dict[str, Any], list[dict[str, Any]]]
"""An image entry and its annotations."""


def recognises(source: Path, annotations: Path | None) -> bool:
    """Whether the user has named an annotation file."""
    return annotations is not None


def read(source: Path, annotations: Path | None, labels: tuple[str, ...] | None) -> CustomSource:
    """Draw the regions of every image that has annotations; the categories by their ids are the classes."""
    assert annotations is not None
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
    return CustomSource(labels, make_photos(source, partial(_read_one, source, slots), jobs, "draw COCO regions"))


def _read_one(source: Path, slots: Mapping[int, int], job: Job) -> Photo:
    image, annotations = job
    photo = find_photo(source, source, source, str(image.get("file_name", "")))
    return drawn_photo(photo.stem, photo, draw_coco(image, annotations, slots), upright=False)


def draw_coco(
    image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], slots: Mapping[int, int]
) -> np.ndarray:
    """Label map uint8 (H, W) of a COCO image: large regions first, so that small ones stay visible; crowds become 255.

    Annotations without a segmentation leave no mark. Raises `UserError` on broken entries.
    """
    try:
        from pycocotools import mask as coco_mask
    except ImportError as error:
        raise UserError("COCO annotations need pycocotools; run: pip install pycocotools") from error
    try:
        height, width = int(image["height"]), int(image["width"])
        regions = []
        for annotation in annotations:
            segmentation = annotation.get("segmentation")
            if not segmentation:
                continue
            if isinstance(segmentation, list):  # polygons, one or more
                code = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
            elif isinstance(segmentation["counts"], list):
                code = coco_mask.frPyObjects(segmentation, height, width)
            else:
                code = segmentation
            value = IGNORE if annotation.get("iscrowd") else slots[annotation["category_id"]]
            regions.append((coco_mask.decode(code).astype(bool), value))
        label = np.zeros((height, width), dtype=np.uint8)
        for region, value in sorted(regions, key=lambda pair: -int(pair[0].sum())):
            label[region] = value
    except Exception as error:  # the library raises nearly anything on a broken region
        raise UserError(
            f"{image.get('file_name')}: its COCO annotations are broken ({error!r}); mend the file"
        ) from error
    return label
