"""COCO: one annotation file with a run-length mask for each class of each photo."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.errors import UserError
from utils.files import write_text

from ..parsing import ClassInfo, Parsing
from .forms import Form

FILE = Path("annotations") / "instances_default.json"  # where Datumaro, and so CVAT, looks for it


class Coco(Form):
    """Annotations in the order of the photos; an annotation also has the `score` of its class."""

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
        for c in self.classes:
            shown = parsing.labels == c.id
            if not shown.any():
                continue
            code = coco_mask.encode(np.asfortranarray(shown, dtype=np.uint8))
            self.annotations.append({
                "id": len(self.annotations) + 1,
                "image_id": len(self.photos),
                "category_id": c.id,
                "segmentation": {"size": [height, width], "counts": code["counts"].decode()},
                "area": int(coco_mask.area(code)),
                "bbox": coco_mask.toBbox(code).tolist(),
                "iscrowd": 0,
                "score": round(parsing.scores[c.id], 4),
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
