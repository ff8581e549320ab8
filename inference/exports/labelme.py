"""labelme: beside each photo a file of polygons, as few corners as give the mask back well enough."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataloaders.prepare.formats import labelme
from utils.files import write_text

from ..parsing import ClassInfo, Parsing
from .forms import Form
from .polygons import DETAILS, polygons

VERSION = "5.5.0"  # of labelme, whose files these are like
ENOUGH, COUNTED = 0.98, 100  # IoU that every class has to keep which covers so many pixels


class Labelme(Form):
    """Photos and files side by side, and labels.txt for `labelme --labels`."""

    images = ""

    def __init__(self, folder: Path, classes: Sequence[ClassInfo]) -> None:
        super().__init__(folder, classes)
        self.worst = (1.0, "", "")  # IoU, class and photo
        names = ("__ignore__", "_background_", *(c.name for c in classes))
        write_text(folder / "labels.txt", "".join(f"{name}\n" for name in names))

    def add(self, image: str, parsing: Parsing) -> None:
        """Write the polygons of a photo: the coarsest with which no class loses too much, each for itself."""
        present = [c for c in self.classes if parsing.areas()[c.name]["pixels"]]
        pixels = {c.name: parsing.labels == c.id for c in present}
        details = {name: 0 if mask.sum() >= COUNTED else len(DETAILS) - 1 for name, mask in pixels.items()}
        shapes = {name: polygons(mask, DETAILS[details[name]]) for name, mask in pixels.items()}
        while True:
            content = _content(image, parsing.labels.shape, shapes, pixels)
            kept = _kept(content, pixels)
            finer = [name for name, share in kept.items() if share < ENOUGH and details[name] + 1 < len(DETAILS)]
            if not finer:
                break
            for name in finer:
                details[name] += 1
                shapes[name] = polygons(pixels[name], DETAILS[details[name]])
        self.worst = min(self.worst, *((share, name, image) for name, share in kept.items()), (1.0, "", ""))
        write_text(self.folder / f"{Path(image).stem}.json", json.dumps(content, ensure_ascii=False, indent=1))

    def finish(self) -> list[str]:
        """Tell how much the polygons have lost."""
        share, name, image = self.worst
        where = f" (least: {name} in {image})" if name else ""
        return [f"labelme: drawn again, the polygons of each class of {COUNTED} pixels or more have an IoU of "
                f"{share:.3f} or more with its mask{where}"]  # fmt: skip


def _content(
    image: str, size: tuple[int, ...], shapes: Mapping[str, list[np.ndarray]], pixels: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """A labelme file; large classes come first, since labelme draws later ones over them."""
    names = sorted(shapes, key=lambda name: -int(pixels[name].sum()))
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [_shape(name, ring) for name in names for ring in shapes[name]],
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }


def _shape(name: str, ring: np.ndarray) -> dict[str, Any]:
    points = ring.astype(float).tolist()
    shape = {"label": name, "points": points, "group_id": None, "description": "", "shape_type": "polygon"}
    return {**shape, "flags": {}, "mask": None}


def _kept(content: Mapping[str, Any], pixels: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The IoU of each class with what is drawn from the file, of those that cover enough pixels."""
    ids = {name: number for number, name in enumerate(pixels, 1)}
    size = (content["imageHeight"], content["imageWidth"])
    drawn, _ = labelme.draw(Path(content["imagePath"]), content, size, ids.get)
    shares = {}
    for name, mask in pixels.items():
        again = drawn == ids[name]
        if mask.sum() >= COUNTED:
            shares[name] = float((mask & again).sum() / (mask | again).sum())
    return shares
