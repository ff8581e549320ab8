"""What a parse gives: the label map of one photo with its classes, as pixels, pictures and files."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import cv2
import numpy as np
from PIL import Image

from dataloaders import visualize
from dataloaders.palette import RGB
from dataloaders.palette import palette as colours_of
from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import replacing, write_json

from . import masks, translation
from .recipes import BACKGROUND, FOREGROUND, Recipe, parse_recipe
from .specks import moved, without_specks

JPEG_SIDE = 65_000  # pixels; the format ends at 65,500, and a legend is added
COUNTED_EXACTLY = 2**23  # pixels: OpenCV counts in single precision
PNG_LEVEL = 3  # of 9: twice as fast as Pillow's own choice of 6, and files half as large again


class ClassInfo(NamedTuple):
    """A class of the reference: the user's id, its name and its colour in pictures (RGB)."""

    id: int
    name: str
    color: RGB


class Area(TypedDict):
    """How much of a photo a class takes: share and score lie in 0..1; an absent class has 0 pixels."""

    id: int
    pixels: int
    share: float
    score: float


class Person(TypedDict):
    """A person of a photo: number, the box (x, y, width, height) of the person's pixels, and areas of the classes."""

    id: int
    box: tuple[int, int, int, int]
    classes: dict[str, Area]


@dataclass(frozen=True)
class Parsing:
    """One parsed photo.

    `labels` holds the user's class ids and 0 for the background, uint8 (H, W), or uint16 where an id is above 255.
    `foreground` is the coarse branch's mask of the person, bool (H, W). `scores` gives for each class id how sure the
    network is that the photo shows it, 0..1: its presence where the network tells that, else the mean probability over
    the pixels that the class won, before absent classes were left out.

    Where it was parsed person by person, `person_ids` (H, W) has for each pixel the number of its person, from 1 on,
    and 0 for nobody's; `scores_of_persons` has the scores of each.
    """

    image: np.ndarray  # RGB uint8 (H, W, 3), upright
    labels: np.ndarray
    foreground: np.ndarray
    scores: Mapping[int, float]
    classes: tuple[ClassInfo, ...]
    person_ids: np.ndarray | None = None
    scores_of_persons: tuple[Mapping[int, float], ...] = ()

    def areas(self) -> dict[str, Area]:
        """The area of each class by its name."""
        return dict(self._areas)

    @property
    def absent(self) -> list[str]:
        """Names of the reference's classes that the photo does not show."""
        return [name for name, area in self._areas.items() if not area["pixels"]]

    @functools.cached_property
    def _areas(self) -> dict[str, Area]:
        return self._measured(self.labels, self.scores)

    def _measured(self, labels: np.ndarray, scores: Mapping[int, float]) -> dict[str, Area]:
        """The areas of the classes in labels of the photo, or of a part of it."""
        counts = _counted(labels, 1 + max(c.id for c in self.classes))
        areas = {}
        for c in self.classes:
            pixels = int(counts[c.id])
            share = round(pixels / self.labels.size, 6)
            areas[c.name] = Area(id=c.id, pixels=pixels, share=share, score=round(scores[c.id], 4))
        return areas

    @functools.cached_property
    def people(self) -> list[Person]:
        """The persons, where the photo was parsed person by person."""
        people = []
        for number, scores in enumerate(self.scores_of_persons, start=1):
            mask = np.asarray(self.person_ids == number).astype(np.uint8)
            x, y, width, height = cv2.boundingRect(mask)
            box = slice(y, y + height), slice(x, x + width)
            areas = self._measured(self.labels[box][mask[box] > 0], scores)
            people.append(Person(id=number, box=(x, y, width, height), classes=areas))
        return people

    def without_specks(self) -> "Parsing":
        """The parse without its specks: small islands take what lies around them (`inference.specks`)."""
        labels, foreground, specks, sources = without_specks(self.labels, self.foreground)
        ids = None if self.person_ids is None else moved(self.person_ids, specks, sources)
        return replace(self, labels=labels, foreground=foreground, person_ids=ids)

    def overlay(self, opacity: float | Mapping[str, float] = visualize.OPACITY, legend: bool = True) -> np.ndarray:
        """The photo under the classes' colours, RGB uint8; with a legend of the classes found below it.

        `opacity` (0..1) is one for all classes, or by class name; a class of opacity 0 is left out.
        """
        kept, painted = (np.full((int(self.labels.max()) + 1, 3), value, np.uint8) for value in (255, 0))
        shown = []
        for info in self.classes:
            share = opacity.get(info.name, 0.0) if isinstance(opacity, Mapping) else opacity
            if share > 0 and self.areas()[info.name]["pixels"]:
                shown.append(info)
                kept[info.id] = round(255 * (1 - share))
                painted[info.id] = np.rint(share * np.array(info.color))
        picture = cv2.multiply(self.image, _looked_up(kept, self.labels), scale=1 / 255)
        picture = cv2.add(picture, _looked_up(painted, self.labels))
        boxes = {person["id"]: person["box"] for person in self.people if person["box"][2]}  # some take no pixel
        picture = visualize.numbered(picture, boxes)
        if not legend or not shown:
            return picture
        return np.concatenate([picture, visualize.legend([c[1:] for c in shown], picture.shape[1])])

    def mask(self, recipe: str | Recipe) -> np.ndarray:
        """The mask that a recipe such as "foreground - hair - skin | grow 2%" describes, uint8 (H, W).

        It is 0 and 255, and between them where it is feathered. A person whom the photo does not show has no pixels.
        Raises `UserError` for a text that is no recipe, for a class that the reference lacks, and for a person where
        the photo was not parsed person by person.
        """
        if isinstance(recipe, str):
            recipe = parse_recipe(recipe, [c.name for c in self.classes])
        wanted = {operation.operand for operation in recipe.operations} - {"", FOREGROUND, BACKGROUND}
        regions = {c.name: self.labels == c.id for c in self.classes if c.name in wanted}
        for person, number in recipe.persons.items():
            if self.person_ids is None and person not in regions:
                raise UserError(f"mask: the recipe names {person!r}, and nobody was looked for; parse with people")
            regions.setdefault(person, np.asarray(self.person_ids == number))
        if lacking := sorted(wanted - regions.keys()):
            raise UserError(f"mask: the reference has no class {lacking[0]!r}, which the recipe names; read it anew")
        return masks.draw(recipe, {FOREGROUND: self.foreground, **regions})

    def cutout(self, recipe: str | Recipe) -> np.ndarray:
        """The photo with that mask as its opacity, RGBA uint8 (H, W, 4)."""
        return masks.cut_out(self.image, self.mask(recipe))

    def greyed(self, recipe: str | Recipe) -> np.ndarray:
        """The photo with that mask in grey, RGB uint8 (H, W, 3)."""
        return masks.greyed(self.image, self.mask(recipe))

    def index_image(self) -> Image.Image:
        """The label map as an image: 8-bit with a palette, or 16-bit grey where an id is above 255."""
        if self.labels.dtype != np.uint8:
            return Image.fromarray(self.labels)
        palette = np.zeros((256, 3), dtype=np.uint8)
        for info in self.classes:
            palette[info.id] = info.color
        picture = Image.fromarray(self.labels)
        picture.putpalette(palette.tobytes())
        return picture

    def people_image(self) -> Image.Image:
        """The number of each pixel's person as an image with a palette; 16-bit grey where there are more than 255."""
        assert self.person_ids is not None
        picture = Image.fromarray(self.person_ids)
        if self.person_ids.dtype == np.uint8:
            picture.putpalette(
                np.array(colours_of(["background", *(f"person {n}" for n in range(1, 256))]), np.uint8).tobytes()
            )
        return picture

    def as_dataset(self, dataset: str) -> Image.Image:
        """The label map in the ids of "atr", "lip" or "cihp", with a palette.

        Classes take the id of their name or of a synonym (`translation.label_for`), others become background.
        Raises `UserError` for other data sets.
        """
        if dataset not in translation.DATASETS:
            raise UserError(f"as_dataset {dataset!r}: choose one of {', '.join(translation.DATASETS)}")
        return translation.translated(dataset, self.labels, {c.id: c.name for c in self.classes})

    def save(self, folder: str | Path, name: str, facts: Mapping[str, Any] | None = None) -> list[Path]:
        """Write `<name>.png` (index map), `<name>_overlay.jpg` and `<name>.json` (`facts`, areas) into `folder`.

        Raises `UserError` when the folder cannot be written, and for a photo longer than a JPEG can be.
        """
        if max(self.labels.shape) > JPEG_SIDE:
            height, width = self.labels.shape
            raise UserError(
                f"{width}x{height} pixels: an overlay, which is a JPEG, has at most {JPEG_SIDE} a side; cut it"
            )
        labels, overlay, areas = (Path(folder) / f"{name}{end}" for end in (".png", "_overlay.jpg", ".json"))
        with replacing(labels) as temporary:
            self.index_image().save(temporary, compress_level=PNG_LEVEL)
        with replacing(overlay) as temporary:
            Image.fromarray(self.overlay()).save(temporary, quality=92)
        height, width = self.labels.shape
        box = cv2.boundingRect(self.foreground.astype(np.uint8))
        person = {"share": round(float(self.foreground.mean()), 6), "box": box}
        size = {"width": width, "height": height, "person": person}
        people = {} if self.person_ids is None else {"people": self.people}
        write_json(areas, {**(facts or {}), **size, "classes": self.areas(), "absent": self.absent, **people})
        return [labels, overlay, areas]


def labels_of(slots: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """The label map of class ids of a map of slots (H, W): slot 0 is the background, slot k the k-th of the ids."""
    id_of_slot = np.zeros(max(256, len(ids) + 1), dtype=np.uint8 if max(ids) < IGNORE else np.uint16)
    id_of_slot[1 : len(ids) + 1] = ids
    labels: np.ndarray = cv2.LUT(slots, id_of_slot) if slots.dtype == np.uint8 else id_of_slot[slots]
    return labels


def _counted(labels: np.ndarray, ids: int) -> np.ndarray:
    """How many pixels of a label map have each id below `ids`."""
    if labels.dtype != np.uint8:
        return np.bincount(labels.reshape(-1), minlength=ids)
    parts = np.array_split(labels.reshape(-1), 1 + labels.size // COUNTED_EXACTLY)
    counts = [cv2.calcHist([part], [0], None, [256], [0, 256]).reshape(-1) for part in parts]
    total: np.ndarray = np.stack(counts).astype(np.int64).sum(axis=0)
    return total


def _looked_up(table: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The RGB rows (N, 3) uint8 of a table at the places in a label map (H, W): (H, W, 3)."""
    if labels.dtype != np.uint8:
        return np.take(table, labels, axis=0)
    padded = np.zeros((256, 1, 3), dtype=np.uint8)
    padded[: len(table), 0] = table
    return cv2.applyColorMap(labels, padded)
