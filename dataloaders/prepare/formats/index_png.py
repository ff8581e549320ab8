"""Label maps as pictures: one for each photo, in a folder beside the photos' (Pascal VOC's and CVAT's too), or beside.

The pixel values are class ids, or colours that a labelmap.txt (CVAT) names or that are Pascal VOC's.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from utils.constants import IGNORE
from utils.errors import UserError
from utils.files import read_lines
from utils.pictures import SUFFIXES, colours_in_use

from ...palette import RGB, VOC_EDGE, voc_colour
from ...reading import labels_upright, looks_scaled, looks_smoothed, open_labels, read_label
from ..photos import PreparedPhoto, SourceFiles, make_photos
from ..sources import files_by_id
from .common import (
    SPLIT_WORDS,
    Labelled,
    LeftOut,
    Names,
    check_names,
    fitted_photo,
    is_background,
    named_once,
    names_file,
)
from .folders import files_of, pairs_in, splits_of

LABELMAP = "labelmap.txt"
MASK_END = "_mask"  # Roboflow: NAME.jpg and NAME_mask.png side by side, with _classes.csv
CLASSES_CSV = "_classes.csv"
ONLY_IGNORED = "labels of 0 and 255 alone"
Colours = Mapping[RGB, int]
Content = TypeVar("Content")


class Found(NamedTuple):
    """The photos and label maps of a source by id, its classes' names if it has them, and its own lists of ids."""

    files: list[SourceFiles]
    labels: tuple[str, ...] | None
    colours: Colours | None
    splits: dict[str, list[Path]] | None
    named: Names | None = None  # by a labels.txt


def is_roboflow(source: Path) -> bool:
    """Whether the source is Roboflow's export of semantic masks."""
    return any(source.glob(CLASSES_CSV)) or any(source.glob(f"*/{CLASSES_CSV}"))


def read(source: Path, labels: tuple[str, ...] | None, depth: int = 0, skip_bad: bool = False) -> Labelled:
    """Read the label maps; without names from a dataset.json or from the source the classes are numbered."""
    held = _roboflow(source) if is_roboflow(source) else _folders(source)
    named = None if labels or held.labels else held.named
    labels = labels or held.labels or (named.labels if named else None)
    slots = len(labels) if labels else IGNORE
    task = partial(_read_one, slots, held.colours, depth)
    photos = make_photos(source, task, held.files, "read photos and labels", skip_bad=skip_bad)
    highest = max(max(photo.raw_ids, default=0) for photo in photos)
    ignored = any(photo.ignored for photo in photos)
    if not highest and ignored:
        raise UserError(f"{source}: {ONLY_IGNORED}, and 255 is what does not count; write 1 in the place of 255")
    ids = sorted({i for photo in photos for i in photo.raw_ids})
    if not labels and looks_scaled([*ids, IGNORE] if ignored else ids):
        what = f"its ids {', '.join(map(str, ids))} are steps to 255, so they look scaled to be seen; 255 is no class"
        raise UserError(f"{source}: {what}; number the classes from 1, or name the ids in labels.txt")
    if named:
        check_names(named, highest)
    return Labelled(labels or ("background", *(f"class-{i}" for i in range(1, highest + 1))), photos, held.splits)


def _folders(source: Path) -> Found:
    """Folders of photos and of label maps, maybe with Pascal VOC's lists and CVAT's colours."""
    pairs = pairs_in(source)
    homes = dict.fromkeys([source, *(folder for pair in pairs for folder in (pair.home, pair.maps))])
    files = files_of(source, pairs)
    names, colours = _same({home / LABELMAP: labelmap(home / LABELMAP) for home in homes}, (None, None))
    named = {home / "labels.txt": names_file(home) for home in homes}
    _same({path: held.labels if held else None for path, held in named.items()}, None)
    flat = [file for group in files.values() for file in group]
    return Found(flat, names, colours, splits_of(source, files), next(filter(None, named.values()), None))


def _same(contents: Mapping[Path, Content], nothing: Content) -> Content:
    """What the files hold that are not `nothing`. Raises `UserError` where they differ."""
    held = {path: content for path, content in contents.items() if content != nothing}
    first = next(iter(held), None)
    for path, content in held.items():
        if first is not None and content != held[first]:
            raise UserError(f"{path}: differs from {first}; give all parts of the set the same classes")
    return nothing if first is None else held[first]


def labelmap(path: Path) -> tuple[tuple[str, ...] | None, Colours | None]:
    """Class names and colours of CVAT's labelmap.txt, lines "name:r,g,b:parts:actions"; None where there is none."""
    if not path.is_file():
        return None, None
    names, colours = ["background"], {VOC_EDGE: IGNORE}
    for line in read_lines(path, 'one "name:r,g,b::" a line'):
        if line.startswith("#"):
            continue
        try:
            name, text = line.split(":")[:2]
            red, green, blue = (int(value) for value in text.split(","))
        except ValueError as error:
            raise UserError(f'{path}: {line!r} is not of the form "name:r,g,b::"; export it again') from error
        if not is_background(name):
            names.append(name)
        number = 0 if is_background(name) else len(names) - 1
        if colours.get((red, green, blue), number) not in (number, IGNORE):
            raise UserError(f"{path}: {line!r} has the colour of another class; give each its own, and export it again")
        colours[red, green, blue] = number
    return named_once(path, names), colours


def _roboflow(source: Path) -> Found:
    """Roboflow's semantic masks: photos and NAME_mask.png side by side, in SOURCE or in a folder for each split."""
    folders = sorted(path.parent for path in (*source.glob(CLASSES_CSV), *source.glob(f"*/{CLASSES_CSV}")))
    files, splits, labels = [], defaultdict[str, list[Path]](list), None
    left_out = LeftOut()
    for folder in folders:
        names = _classes_csv(folder / CLASSES_CSV)
        if labels not in (None, names):
            raise UserError(f"{folder / CLASSES_CSV}: differs from the one of {folders[0].name}; export the set again")
        labels = names
        pictures = files_by_id(folder, SUFFIXES)
        for image_id, path in pictures.items():
            if image_id.endswith(MASK_END):
                continue
            if image_id + MASK_END not in pictures:
                left_out.add("photos without a mask", path.name)
                continue
            files.append(SourceFiles(image_id, path, pictures[image_id + MASK_END]))
            splits[SPLIT_WORDS.get(folder.name.lower(), "train")].append(path)
    left_out.tell()
    if not files:
        raise UserError(f"{source}: holds no photo with its {MASK_END}.png; export it as semantic segmentation masks")
    return Found(files, labels, None, splits if len(folders) > 1 else None)


def _classes_csv(path: Path) -> tuple[str, ...]:
    """Class names by pixel value, the background first."""
    rows = [
        row for row in csv.reader(read_lines(path, '"pixel value, class" a line')) if row and row[0].strip().isdigit()
    ]
    by_id = {int(row[0]): row[1].strip() for row in rows if len(row) > 1}
    if not by_id or max(by_id) >= IGNORE or not is_background(by_id.get(0, "background")):
        raise UserError(f"{path}: must name a class for each pixel value, the background for 0; export it again")
    return named_once(path, ["background", *(by_id.get(i, f"class-{i}") for i in range(1, max(by_id) + 1))])


def _read_one(slots: int, colours: Colours | None, depth: int, files: SourceFiles) -> PreparedPhoto:
    """A photo with its label map. Raises `UserError` for labels that are not exact, and as `read_label` does."""
    picture = open_labels(files.label)
    if is_coloured(picture, colours):
        raw, label = by_colour(files.label, np.array(picture.convert("RGB")), colours, slots), None
    else:
        raw = read_label(files.label, slots)
        label = files.label if picture.format == "PNG" and picture.info["orientation"] == 1 else None
    raw = labels_upright(raw, picture, files.image)
    if looks_smoothed(raw):
        raise UserError(f"{files.label}: its ids run into each other, so it was smoothed; resize labels by nearest")
    photo = fitted_photo(files.id, files.image, raw, depth=depth, label=label)
    alone = photo.ignored and not photo.raw_ids
    return photo._replace(notes=(*photo.notes, ONLY_IGNORED)) if alone else photo


def is_coloured(picture: Image.Image, colours: Colours | None) -> bool:
    """Whether the colours of a label picture tell its ids, and not its values: also where all those of a palette are
    the `colours` of a labelmap.txt, since programs that make palettes number the colours as they like."""
    if picture.mode == "P" and colours:
        return colours_in_use(picture) <= colours.keys()
    return picture.mode in ("RGB", "RGBA")


def by_colour(path: Path, pixels: np.ndarray, colours: Colours | None, slots: int) -> np.ndarray:
    """The ids (H, W) of RGB pixels (H, W, 3), by Pascal VOC's colours where no `colours` are given.

    Raises `UserError` for a colour that none of the classes has.
    """
    if colours is None:
        colours = {VOC_EDGE: IGNORE, **{voc_colour(i): i for i in range(min(slots, IGNORE))}}
    codes = pixels.astype(np.int32) @ (65536, 256, 1)
    ids = {65536 * red + 256 * green + blue: i for (red, green, blue), i in colours.items()}
    strange = [code for code in np.unique(codes).tolist() if code not in ids]
    if strange:
        rgb = [strange[0] >> 16, strange[0] >> 8 & 255, strange[0] & 255]
        raise UserError(
            f"{path}: holds the colour {rgb}, which is no class's; save it as an 8-bit grey or palette PNG of ids"
        )
    known, place = np.unique(codes, return_inverse=True)
    return np.array([ids[code] for code in known.tolist()], dtype=np.uint8)[place].reshape(codes.shape)
