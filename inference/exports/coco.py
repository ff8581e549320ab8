"""COCO: one annotation file with a run-length mask for each class of each photo, or of each person there."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.errors import UserError
from utils.files import write_text

from ..masks import run_lengths
from ..parsing import ClassInfo, Parsing
from .forms import Form

FILE = Path("annotations") / "instances_default.json"  # where Datumaro, and so CVAT, looks for it

Owner = tuple[dict[str, int], np.ndarray | np.bool_, Mapping[int, float]]
"""What annotations of one owner have beside others, the owner's pixels, and the scores of classes there by id."""


class Coco(Form):
    """Annotations in the order of the photos; an annotation also has the `score` of its class.

    Of a photo that was parsed person by person each has the number of its `person` too, if it is one's.
    """

    def __init__(self, folder: Path, classes: Sequence[ClassInfo]) -> None:
        super().__init__(folder, classes)
        self.photos: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    @staticmethod
    def check(names: Sequence[str]) -> None:
        """Raise `UserError` where pycocotools is not installed."""
        try:
            from pycocotools import mask as _  # noqa: F401
        except ImportError as error:
            raise UserError("--export coco needs pycocotools; run: pip install pycocotools") from error

    def add(self, image: str, parsing: Parsing) -> None:
        """Note the photo, and the mask of each class that it shows."""
        from pycocotools import mask as coco_mask

        height, width = parsing.labels.shape
        self.photos.append({"id": len(self.photos) + 1, "file_name": image, "width": width, "height": height})
        for c, (owner, pixels, scores) in itertools.product(self.classes, _owners(parsing)):
            shown = (parsing.labels == c.id) & pixels
            if not shown.any():
                continue
            code = run_lengths(shown)
            packed = {**code, "counts": code["counts"].encode()}
            self.annotations.append({
                "id": len(self.annotations) + 1,
                "image_id": len(self.photos),
                "category_id": c.id,
                "segmentation": code,
                "area": int(coco_mask.area(packed)),
                "bbox": coco_mask.toBbox(packed).tolist(),
                "iscrowd": 0,
                "score": round(scores[c.id], 4),
                **owner,
            })  # fmt: skip

    def finish(self) -> list[str]:
        """Write the annotation file."""
        content = {
            "info": {"description": "label maps of predict.py"},
            "licenses": [],
            "images": self.photos,
            "categories": [{"id": c.id, "name": c.name, "supercategory": ""} for c in self.classes],
            "annotations": self.annotations,
        }
        write_text(self.folder / FILE, json.dumps(content, ensure_ascii=False))
        return []


def _owners(parsing: Parsing) -> list[Owner]:
    """Nobody, or the photo itself where it was not parsed person by person; then each person."""
    ids = parsing.person_ids
    if ids is None:
        return [({}, np.True_, parsing.scores)]
    persons: list[Owner] = [({"person": n}, ids == n, own) for n, own in enumerate(parsing.scores_of_persons, 1)]
    return [({}, ids == 0, parsing.scores), *persons]
