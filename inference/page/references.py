"""A visitor's references: photos with label maps, as painted, grown from strokes, uploaded or of the example."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from dataloaders import visualize
from dataloaders.palette import RGB, palette
from dataloaders.reading import ids_in
from utils.constants import IGNORE
from utils.files import write_json

from ..annotations import IGNORED, UNNAMED
from ..growing import grow, scene_of, ungrown
from ..parser import OneShotParser
from ..parsing import ClassInfo
from ..references import Support
from .view import Painting

KEPT_SIDE = 640  # pixels of the longest side that a reference keeps, or what the network sees if that is more


class Reference(NamedTuple):
    """A photo, RGB (H, W, 3), and its label map (H, W): 0 is the background, 255 does not count.

    `names` and `colors` are of its classes, by id and by name; a class may have no colour of its own.
    """

    photo: np.ndarray
    labels: np.ndarray
    names: dict[int, str]
    colors: dict[str, RGB]

    @property
    def classes(self) -> dict[int, str]:
        """The names of the classes that it shows, by id."""
        return {i: self.names.get(i, UNNAMED.format(i)) for i in ids_in(self.labels)}

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """The pixels of each class by its name, and those that do not count."""
        masks = {name: self.labels == i for i, name in self.classes.items()}
        ignored = self.labels == IGNORE
        return {**masks, IGNORED: ignored} if ignored.any() else masks


def of_painting(parser: OneShotParser, painting: Painting, growing: bool) -> Reference:
    """The reference that a painting makes: what is not painted grows from the strokes, or does not count."""
    small = fitted(Reference(painting.photo, painting.strokes, painting.names, painting.colors), parser.max_size)
    scene = scene_of(parser, small.photo, small.labels)
    labels = grow(small.photo, small.labels, scene) if growing else ungrown(small.labels, scene)
    return small._replace(labels=labels)


def fitted(reference: Reference, max_size: int) -> Reference:
    """The reference no larger than the network needs it: a visitor's memory is bounded."""
    height, width = reference.labels.shape
    factor = max(KEPT_SIDE, max_size) / max(height, width)
    if factor >= 1:
        return reference
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    photo = cv2.resize(reference.photo, size, interpolation=cv2.INTER_AREA)
    labels = cv2.resize(reference.labels.astype(np.uint16), size, interpolation=cv2.INTER_NEAREST)
    return reference._replace(photo=photo, labels=labels)


def added(references: Sequence[Reference], new: Reference) -> list[Reference]:
    """The references with one more, which takes the place of an earlier one of the same photo."""
    return [r for r in references if not np.array_equal(r.photo, new.photo)] + [new]


def support_of(parser: OneShotParser, references: Sequence[Reference], adapt: bool = False) -> Support:
    """What the parser makes of the references: equal names are one class, with its first id and colour.

    Raises `UserError` as `OneShotParser.make_support` does.
    """
    names: dict[int, str] = {}
    for reference in references:
        for i, name in reference.classes.items():
            if name not in names.values():
                names.setdefault(i, name)
    photos, masks = [r.photo for r in references], [r.masks for r in references]
    support = parser.make_support(photos, masks, names, adapt=adapt)
    colors: dict[str, RGB] = {}
    for reference in references:
        colors = {**reference.colors, **colors}
    return replace(support, classes=_told_apart(support.classes, colors))


def save(references: Sequence[Reference], support: Support, folder: Path) -> None:
    """Write what predict.py takes: N.png and N_labels.png of each reference, and names.json."""
    folder.mkdir()
    ids = {**{c.name: c.id for c in support.classes}, IGNORED: IGNORE}
    for number, reference in enumerate(references, 1):
        labels = np.zeros(reference.labels.shape, dtype=np.uint16 if max(ids.values()) > IGNORE else np.uint8)
        for name, mask in reference.masks.items():
            labels[mask] = ids[name]
        Image.fromarray(reference.photo).save(folder / f"{number}.png")
        Image.fromarray(labels).save(folder / f"{number}_labels.png")
    write_json(folder / "names.json", {c.id: c.name for c in support.classes})


def _told_apart(classes: Sequence[ClassInfo], colors: Mapping[str, RGB]) -> tuple[ClassInfo, ...]:
    """The classes in the colours that they were painted in, unless an earlier one has it; then in another."""
    shown: dict[RGB, ClassInfo] = {}
    spare = palette(["background", *map(str, range(len(classes)))])[1:]
    for one in classes:
        wanted = (colors.get(one.name, one.color), one.color, *spare)
        color = next(color for color in wanted if color not in shown)
        shown[color] = one._replace(color=color)
    return tuple(shown.values())


def pictures(references: Sequence[Reference], support: Support) -> list[tuple[np.ndarray, str]]:
    """Each photo under the colours of its labels, and the names of its classes; what does not count is white."""
    colors = {c.name: c.color for c in support.classes}
    shown = []
    for number, reference in enumerate(references, 1):
        label = np.zeros(reference.labels.shape, dtype=np.uint8)
        palette: list[RGB] = [(0, 0, 0)]
        masks = reference.masks
        label[masks.pop(IGNORED, np.zeros_like(label, dtype=bool))] = IGNORE
        for name, mask in masks.items():
            label[mask] = len(palette)
            palette.append(colors[name])
        told = f"Reference {number}: {', '.join(masks)}"
        shown.append((visualize.overlay(reference.photo, label, palette), told))
    return shown
