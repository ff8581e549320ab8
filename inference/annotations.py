"""Files that users label with: index and colour PNGs, folders of masks, labelme files; and names and colours."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from dataloaders.palette import RGB
from dataloaders.prepare.formats import coco, labelme
from dataloaders.prepare.formats.common import (
    check_names,
    drawn_size,
    id_of_label,
    is_background,
    read_names_file,
    without_background,
)
from dataloaders.prepare.formats.folders import LABEL_FOLDERS
from dataloaders.prepare.formats.shapes import stated_size
from dataloaders.reading import ids_in, labels_upright, looks_smoothed, open_labels
from utils.constants import IGNORE, LARGEST_ID
from utils.errors import UserError
from utils.files import read_json
from utils.imaging import Photo
from utils.pictures import MAX_PIXELS, SUFFIXES, Tell, silent, stored_values

from .mask_folder import read_folder
from .project_labels import IGNORED, masks_of, read_coco, read_cvat

MOST_INSTANCES = 100  # up to which a mask may number them; greys have larger values
GIVEN, LEAVES_OUT = "names", ": has no name for the "  # of what is told of names that a program gives
UNNAMED = "class {}"  # what a class without a name is called, by its id
Labels = np.ndarray | Mapping[str, np.ndarray] | str | Path
Names = Mapping[int, str]  # by class id
BaseIds = Mapping[str, int | str]  # the checkpoint's class, by id or name, of each name
Colors = Mapping[str, RGB]


def is_unnamed(name: str) -> bool:
    """Whether a class is called by its id, for want of a name."""
    return re.fullmatch(UNNAMED.format(r"\d+"), name) is not None


def plain_name(name: str) -> str:
    """A class name for comparisons: without regard to case, and to spaces, hyphens and underscores between words."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def read_labels(
    path: str | Path, colors: Colors | None = None, photo: Photo | None = None
) -> np.ndarray | dict[str, np.ndarray]:
    """Labels as the file has them: an index map (H, W), or {name: mask (H, W)} from any other form.

    A colour PNG needs `colors`, name -> (r, g, b). In a folder each image is the mask of the class that it is named by;
    of Label Studio's several may be of one class. `photo` is the labelled one, whose size a labelme file must have, and
    by whose name its labels are found in COCO files and in the zips of CVAT.
    Raises `UserError` for anything else.
    """
    if Path(path).is_dir():
        return read_folder(Path(path), _path_of(photo))
    if Path(path).suffix.lower() == ".zip":
        return read_cvat(Path(path), photo)
    if Path(path).suffix.lower() == ".xml":
        raise UserError(f"{path}: of CVAT's exports give the zip of 'Segmentation mask 1.1'")
    if Path(path).suffix.lower() == ".json":
        content = read_json(path)
        return read_coco(Path(path), content, photo) if coco.is_coco(content) else _read_labelme(Path(path), photo)
    return read_index_map(path, photo=photo) if colors is None else _split_colors(path, colors, _path_of(photo))


def read_index_map(
    path: str | Path,
    max_pixels: int = MAX_PIXELS,
    otherwise: str = "name the colours with --colors",
    photo: Photo | None = None,
) -> np.ndarray:
    """Class ids, int32 (H, W), from an 8-bit or 16-bit grey or a palette picture, of the `photo`, upright.

    `otherwise` is another remedy for a picture in colour.

    Raises `UserError` for other pictures, for a mask of 0 and 255, and for ids that saving or resizing has invented.
    """
    picture = open_labels(path, max_pixels)
    if picture.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
        raise UserError(
            f"{path}: the labels are a {picture.mode} picture; save class ids as an 8-bit grey or palette PNG, "
            f"or {otherwise}"
        )
    ids = labels_upright(stored_values(picture).astype(np.int32), picture, _path_of(photo))
    if set(np.unique(ids).tolist()) == {0, IGNORE}:
        remedy = "write 1 in the place of 255, or give a folder with a mask for each class, named by it"
        raise UserError(f"{path}: holds 0 and 255 alone, and 255 is what does not count; {remedy}")
    if looks_smoothed(ids):
        raise UserError(f"{path}: its ids run into each other, so it was smoothed; save as PNG, resize by nearest")
    return ids


def read_colors(path: str | Path) -> dict[str, RGB]:
    """Colours from a JSON file {name: [r, g, b]}. Raises `UserError` when it is something else."""
    content = read_json(path, by_hand=True)
    try:
        colors = {str(name): (index(red), index(green), index(blue)) for name, (red, green, blue) in content.items()}
    except (AttributeError, TypeError, ValueError):
        colors = {}
    if not colors or any(min(c) < 0 or max(c) > 255 for c in colors.values()):
        raise UserError(f'{path}: must hold an object of colours such as {{"hat": [230, 25, 75]}}')
    return colors


def read_names(path: str | Path, labels: Sequence[np.ndarray | Mapping[str, np.ndarray]] = ()) -> dict[int, str]:
    """Class names by id from a JSON file, {"1": "hat"} or a list, the background first, or from a labels.txt.

    Raises `UserError` for anything else, and where the names of a labels.txt may belong to other ids of the `labels`.
    """
    if Path(path).suffix.lower() == ".txt":
        names = read_names_file(Path(path))
        check_names(names, max((_highest(one) for one in labels if not isinstance(one, Mapping)), default=0))
        return dict(enumerate(names.labels))
    return names_by_id(read_json(path, by_hand=True), str(path))


def names_beside(labels: Sequence[Labels], tell: Tell = silent) -> dict[int, str]:
    """The names by id that come with label files: of a labels.txt as in an export, or of a COCO file's categories.

    `tell` takes a line that names a labels.txt which gives index maps their names. Empty where there are no names, and
    where those of masks, which have names of their own, differ. Raises `UserError` where those of index maps differ, or
    may be meant for other ids.
    """
    of_maps, of_masks = dict[Path, dict[int, str]](), list[dict[int, str]]()
    for path in (Path(one) for one in labels if isinstance(one, (str, Path)) and Path(one).is_file()):
        folders = [path.parent, *([path.parent.parent] if path.parent.name in LABEL_FOLDERS else [])]
        file = next((folder / "labels.txt" for folder in folders if (folder / "labels.txt").is_file()), None)
        if path.suffix.lower() == ".json" and coco.is_coco(content := read_json(path)):
            named = {int(i): name for i, name in coco.categories_of(path, content).items()}
            of_masks.append({i: name for i, name in named.items() if 0 < i <= LARGEST_ID and not is_background(name)})
        elif file and path.suffix.lower() in (".json", *SUFFIXES):
            names = read_names_file(file)
            if path.suffix.lower() == ".json":
                of_masks.append(dict(enumerate(names.labels)))
                continue
            check_names(names, _highest(read_index_map(path)))
            if file not in of_maps:
                tell(f"names of the classes: {file}")
            of_maps[file] = dict(enumerate(names.labels))
    if any(names != next(iter(of_maps.values())) for names in of_maps.values()):
        raise UserError(f"{' and '.join(map(str, of_maps))} name the classes differently; give the names with --names")
    alike = [names for names in of_masks if names == of_masks[0]]
    return next(iter(of_maps.values()), alike[0] if alike and len(alike) == len(of_masks) else {})


def names_by_id(content: object, source: str = "names") -> dict[int, str]:
    """Class names by id, from a dict whose keys may be text, or from a list, the background first.

    Raises `UserError` about `source` for anything else, for an id that no label map can hold, and for a class of id 0.
    """
    entries: Any = enumerate(content) if isinstance(content, (list, tuple)) else getattr(content, "items", list)()
    try:
        names = {int(class_id): name.strip() if isinstance(name, str) else name for class_id, name in entries}
    except (TypeError, ValueError, OverflowError):
        names = {}
    of_text = all(isinstance(name, str) and (name.strip() or not class_id) for class_id, name in names.items())
    if not names or not of_text or not all(0 <= class_id <= LARGEST_ID for class_id in names):
        raise UserError(f'{source}: must hold class names by id, {{"1": "hat"}}, or a list with the background first')
    if wrong := [i for i, name in names.items() if i and is_background(name)]:
        raise UserError(f"{source}: names id {wrong[0]} {names[wrong[0]]!r}, but the background is 0; leave that away")
    if names.get(0, "").strip() and not is_background(names[0]):
        remedy = "number the classes from 1; the name of 0, the first of a list, is 'background'"
        raise UserError(f"{source}: names id 0 {names[0]!r}, but 0 is the background; {remedy}")
    return names


def tell_unfit(
    labels: Sequence[np.ndarray | Mapping[str, np.ndarray]], names: Names, source: str = GIVEN, tell: Tell = silent
) -> None:
    """Tell of the ids and masks which the names leave out. Raises `UserError` about `source` where they fit none."""
    ids, masks = set[int](), set[str]()
    for label in labels:
        if isinstance(label, Mapping):
            masks.update(name for name in label if name != IGNORED and not is_background(name))
        else:
            ids.update(ids_in(label))
    kinds: tuple[tuple[str, set[Any], set[Any]], ...] = (
        ("ids", ids, set(names)),
        ("masks", masks, set(names.values())),
    )
    fitting = any(held & known for _, held, known in kinds)
    for kind, held, known in kinds:
        if lacking := ", ".join(map(str, sorted(held - known))):
            if not fitting:
                raise UserError(f"{source}: names none of the {kind} of the labels ({lacking}); give class names by id")
            tell(f"{source}{LEAVES_OUT}{kind} {lacking}")


def untold(notes: Iterable[str]) -> list[str]:
    """Notes on a reference but those of what its names leave out, which a command has told with the names' file."""
    return [note for note in notes if not note.startswith(f"{GIVEN}{LEAVES_OUT}")]


def marked(mask: np.ndarray) -> np.ndarray:
    """True where a mask given by a program is above half of its range: that of floats is 0 to 1 at least.

    Small whole numbers are no greys but number instances, so all but 0 are inside. Raises `UserError` for what holds
    no numbers.
    """
    values = np.asarray(mask)
    if values.dtype == bool or not values.size:
        return values.astype(bool)
    if values.dtype.kind not in "iuf":
        raise UserError(f"a mask cannot hold {values.dtype}; give True where the class is")
    top = float(np.nan_to_num(values).max())
    if values.dtype.kind == "f":
        return np.asarray(values > max(top, 1.0) / 2)
    return np.asarray(values > (top / 2 if top > MOST_INSTANCES else 0))


def class_names(labels: Sequence[np.ndarray | Mapping[str, np.ndarray]], names: Names) -> list[str]:
    """The names of the classes that labels hold, as the reference made of them will have them."""
    named: dict[str, None] = {}
    for one in labels:
        if isinstance(one, Mapping):
            drawn = [name for name, mask in one.items() if marked(mask).any()]
            named |= dict.fromkeys(name for name in drawn if name != IGNORED and not is_background(name))
        else:
            named |= dict.fromkeys(names.get(i, UNNAMED.format(i)) for i in ids_in(one))
    return list(named)


def names_in_use(labels: Sequence[np.ndarray | Mapping[str, np.ndarray]], names: Names) -> Names:
    """Names that stand beside the files of the labels; none where they fit none: masks have names of their own."""
    return names if set(class_names(labels, names)) & set(names.values()) else {}


def read_bank_map(path: str | Path) -> dict[str, int | str]:
    """Classes of the checkpoint, by id or name, for the user's names, from a JSON file. Raises `UserError`."""
    content = read_json(path, by_hand=True)
    if not isinstance(content, dict):
        raise UserError(f'{path}: must map names, as {{"my name": "class of the checkpoint"}} does')
    return content


def _path_of(photo: Photo | None) -> Path | None:
    return Path(photo) if isinstance(photo, (str, Path)) else None


def _highest(label: np.ndarray) -> int:
    """The highest id in a label map."""
    return int(max(set(np.unique(label).tolist()) - {IGNORE}, default=0))


def _read_labelme(path: Path, photo: Photo | None) -> dict[str, np.ndarray]:
    content = read_json(path)
    if not labelme.is_labelme(content):
        raise UserError(f"{path}: neither a labelme nor a COCO file; labels may also be a PNG or a folder of masks")
    said, size = (content.get("imageHeight"), content.get("imageWidth")), None
    if isinstance(photo, (str, Path)):
        size = drawn_size(path, Path(photo), *said)
    else:
        with suppress(ValueError):  # a broken size is none
            size = stated_size(*said)
    if size is None:
        raise UserError(f"{path}: says no size of its photo; save it in labelme again")
    names = without_background(sorted(labelme.used(content)))
    ids, left_out = labelme.draw(path, content, size, id_of_label(("background", *names)))
    return masks_of(path, ids, ("background", *names), left_out)


def _split_colors(path: str | Path, colors: Colors, photo: Path | None) -> dict[str, np.ndarray]:
    picture = open_labels(path, exact=False)
    pixels = np.array(picture.convert("RGB"), dtype=np.int32)
    if picture.has_transparency_data and (shown := np.array(picture.convert("RGBA"))[..., 3] > 0).any():
        pixels[~shown] = colors.get("background", (0, 0, 0))  # what was erased may keep its colour, which nobody sees
    codes = labels_upright(pixels, picture, photo) @ (65536, 256, 1)
    wanted = {name: int(np.dot(color, (65536, 256, 1))) for name, color in colors.items()}
    strange = np.setdiff1d(codes, [0, *wanted.values()]).tolist()
    if strange:
        code = strange[0]
        raise UserError(
            f"{path}: holds the colour {[code >> 16, code >> 8 & 255, code & 255]}, which --colors does not name "
            f"({len(strange)} such colours); add it, or save the labels without smoothing as PNG"
        )
    return {name: codes == code for name, code in wanted.items() if name != "background"}
