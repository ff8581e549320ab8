"""The user's labelled photos: put in pairs, checked, and described; without torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dataloaders.palette import palette
from dataloaders.prepare.formats.common import is_background
from dataloaders.reading import ids_in, looks_scaled
from utils.constants import IGNORE, LARGEST_ID
from utils.errors import UserError
from utils.imaging import Photo, to_rgb
from utils.pictures import Tell, silent

from .annotations import (
    UNNAMED,
    Labels,
    Names,
    marked,
    names_beside,
    names_by_id,
    names_in_use,
    read_labels,
    tell_unfit,
)
from .parsing import ClassInfo
from .project_labels import IGNORED


def check_labels(
    photos: Sequence[Photo], labels: Sequence[Labels], names: Names, depth: int = 0, tell: Tell = silent
) -> tuple[tuple[ClassInfo, ...], list[tuple[np.ndarray, np.ndarray]]]:
    """The classes of labelled photos (see `make_support`), and each photo, RGB uint8 (H, W, 3), with its slots (H, W).

    Slots are 0 for the background, 1..K for the classes in their order, and -1 for pixels that do not count.
    Raises `UserError` when photos and labels do not fit or hold no class, and for two classes of one name.
    """
    if len(photos) != len(labels) or not photos:
        raise UserError(f"{len(photos)} reference photos but {len(labels)} label maps; give one for each photo")
    read = [_read(one, photo) for photo, one in zip(photos, labels, strict=True)]
    given, names = names, names_by_id(names) if names else names_in_use(read, names_beside(labels, tell))
    check_forms(read, names)
    if given:
        tell_unfit(read, names, tell=tell)
    for photo, label in zip(photos, read, strict=True):
        check_scale(named(photo), label, names)
    ids_of_masks = _ids_by_name(read, names)
    checked = [
        _check_pair(to_rgb(photo, depth=depth, tell=tell), named(photo), label, ids_of_masks)
        for photo, label in zip(photos, read, strict=True)
    ]
    ids = sorted({i for _, label in checked for i in ids_in(label)})
    if not ids:
        raise UserError(f"{named(photos[0])}: its labels hold no class, only background; mark at least one class")
    classes = _describe(ids, {**{i: name for name, i in ids_of_masks.items()}, **names})
    return classes, [(rgb, _slots(label, ids)) for rgb, label in checked]


def _read(labels: Labels, photo: Photo) -> np.ndarray | Mapping[str, np.ndarray]:
    """The labels of a photo as an array or masks, whatever form they have."""
    if isinstance(labels, (str, Path)):
        return read_labels(labels, photo=photo)
    if not isinstance(labels, Mapping):
        return np.asarray(labels)
    if unnamed := next((key for key in labels if not isinstance(key, str)), None):
        raise UserError(f"{named(photo)}: a mask is called {unnamed!r}; call each by the name of its class")
    return labels


def check_forms(labels: Sequence[np.ndarray | Mapping[str, np.ndarray]], names: Names) -> None:
    """Raise `UserError` where some labels have names and others ids without: which are one class, nobody knows."""
    maps = [label for label in labels if not isinstance(label, Mapping)]
    if len(maps) in (0, len(labels)):
        return
    unnamed = sorted({i for label in maps for i in ids_in(label)} - names.keys())
    if unnamed:
        ids = ", ".join(map(str, unnamed))
        raise UserError(f"one reference has named masks, another has ids without names ({ids}); name them with --names")


def check_scale(photo: str, label: np.ndarray | Mapping[str, np.ndarray], names: Names) -> None:
    """Raise `UserError` for ids that were scaled to be seen: the class of 255 would not count."""
    ids = set() if isinstance(label, Mapping) else {int(i) for i in np.unique(label)}
    classes = sorted(ids - {0, IGNORE})
    if IGNORE in ids and looks_scaled(ids) and not names.keys() >= set(classes):
        told = ", ".join(map(str, classes))
        remedy = f"number the classes 1 to {len(classes) + 1}, or name {told} with --names"
        raise UserError(
            f"{photo}: its labels hold {told} and 255, so they look scaled to be seen, and 255 does not count; "
            + remedy
        )


def named(photo: Photo) -> str:
    """What to call a photo in a message: its path, where it has one."""
    return str(photo) if isinstance(photo, (str, Path)) else "the reference"


def _ids_by_name(labels: Sequence[Labels], names: Names) -> dict[str, int]:
    """An id for every mask name: the one `names` gives, unless it is 255, which does not count, else the next free."""
    ids = {name: i for i, name in names.items() if i != IGNORE} | {IGNORED: IGNORE}
    taken = set(ids.values()) | {0, IGNORE}
    for name in (name for label in labels if isinstance(label, Mapping) for name in label):
        if is_background(name):
            ids[name] = 0
        elif name not in ids:
            ids[name] = next(i for i in range(1, LARGEST_ID) if i not in taken)
            taken.add(ids[name])
    return ids


def _check_pair(rgb: np.ndarray, photo: str, labels: Labels, ids: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """The photo as RGB and its label map of ids, int64 (H, W). Raises `UserError` where they do not fit."""
    if isinstance(labels, Mapping):
        if not labels:
            raise UserError(f"{photo}: no masks are given; mark at least one class")
        labels = _join_masks(labels, ids, photo)
    label = np.asarray(labels)
    if label.ndim != 2 or (label.dtype != bool and not np.issubdtype(label.dtype, np.integer)):
        raise UserError(f"{photo}: its labels are {label.dtype} {label.shape}; give integer class ids (H, W)")
    if label.shape != rgb.shape[:2]:
        (h, w), (rows, columns) = label.shape, rgb.shape[:2]
        sizes = f"upright it is {columns}x{rows}, its labels are {w}x{h}"
        raise UserError(f"{photo}: {sizes}; save both at one size")
    if label.min() < 0 or label.max() > LARGEST_ID:
        raise UserError(f"{photo}: its labels hold {label.min()} to {label.max()}; use ids 0 to {LARGEST_ID}")
    return rgb, label.astype(np.int64)


def _join_masks(masks: Mapping[str, np.ndarray], ids: Mapping[str, int], photo: str) -> np.ndarray:
    """Masks (H, W) by name -> `ids` (H, W), the smaller mask on top. Raises `UserError` when their sizes differ, and
    for a mask that the smaller ones cover."""
    arrays = {name: marked(mask) for name, mask in masks.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        sizes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UserError(f"{photo}: the masks differ in size ({sizes}); draw all of them (H, W) on the same photo")
    label = np.zeros(shapes.pop(), dtype=np.int32)
    for name in sorted(arrays, key=lambda name: -arrays[name].sum()):
        label[arrays[name]] = ids[name]
    covered = [name for name, mask in arrays.items() if mask.any() and not (label == ids[name]).any()]
    if covered:
        remedy = "draw each class in white on black, where no other class is"
        raise UserError(f"{photo}: smaller masks cover all of the mask of {', '.join(covered)}; {remedy}")
    return label


def _describe(ids: Sequence[int], names: Names) -> tuple[ClassInfo, ...]:
    class_names = [names.get(i, UNNAMED.format(i)) for i in ids]
    twice = sorted({name for name in class_names if class_names.count(name) > 1})
    if twice:
        raise UserError(f"two classes are named {twice[0]!r}; give each a name of its own")
    colors = palette(["background", *class_names])[1:]
    return tuple(ClassInfo(*entry) for entry in zip(ids, class_names, colors, strict=True))


def _slots(label: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    return np.where(label == 0, 0, np.where(label == IGNORE, -1, np.searchsorted(ids, label) + 1))
