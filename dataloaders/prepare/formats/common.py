"""What the formats of users' labels share: names and ids, photos found by name, and what has to be left out."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from utils.constants import IGNORE, LARGEST_ID
from utils.errors import UserError
from utils.files import read_lines
from utils.names import JUNK, composed, first_names, of_link, path_parts, shared_parts
from utils.pictures import SUFFIXES, picture_size

from ...reading import ids_in, read_image
from ...sides import words
from ..photos import PreparedPhoto, encoded
from ..sources import walked
from .shapes import Size, stated_size

IMAGE_FOLDERS = ("images", "trainval_images", "JPEGImages", "photos", "img", "imgs")
SPLIT_WORDS = {  # folder or list of a source -> ours
    "train": "train", "training": "train", "valid": "val", "val": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
BACKGROUND_WORDS = ("background", "bg", "unlabeled", "unlabelled", "unlabel", "null", "none")
DOUBTFUL_WORDS = ("void", "other", "others", "unknown", "nothing", "noclass")  # the background, where they stand first
IGNORE_WORDS = ("ignore",)  # labelme's __ignore__: what must not count
STORED_FORM = "labels fit only the form in which a turned photo is stored, so that form is used"
NUMBERED = re.compile(r"(\d+)\s*[:;,=\s]\s*(\S.*)")
OF_LABELMAP = re.compile(r"([^:]+):\d+,\d+,\d+:.*")  # a line of CVAT's labelmap.txt
BRACKET = re.compile(r"[\w\s=]*[\[{(]|[\]})],?")  # a line that opens or closes such a list
ENTRY = re.compile(r"""(['"]?)(\d+)\1\s*:\s*(['"])(.*)\3,?""")  # an id and its name in a dict
OF_CODE = re.compile(r"""(['"]?)(.*?)\1,?""")  # a name as it stands in a list of Python or JSON
Files = Mapping[Path, dict[str, Any]]
"""The JSON files of one form, with their content."""
IdOf = Callable[[str], int | None]
"""From a label's name to its id, 255 for what must not count, None for a name that is not known."""


class Labelled(NamedTuple):
    """What a source holds: label names, the background first, its photos, and its own lists of them if it has some."""

    labels: tuple[str, ...]
    photos: list[PreparedPhoto]
    splits: dict[str, list[Path]] | None = None
    left_out: tuple[str, ...] = ()  # ids of photos of which no region can be drawn


class Names(NamedTuple):
    """Label names of a labels.txt, the background first; `sure` unless the file may have called it by another word."""

    labels: tuple[str, ...]
    sure: bool
    path: Path


class LeftOut:
    """What a source holds and cannot be used: counted by reason, the first of each named."""

    def __init__(self) -> None:
        self.places: dict[str, list[str]] = defaultdict(list)

    def add(self, reason: str, place: str) -> None:
        """Note one; `reason` reads behind a number."""
        self.places[reason].append(place)

    def tell(self) -> None:
        """Print a line for each reason."""
        for reason, places in self.places.items():
            print(f"left out: {len(places)} {reason} ({first_names(list(dict.fromkeys(places)))})")


class PhotoIndex:
    """The photos below a folder, found by whatever path a label file calls them."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.by_name: dict[str, list[Path]] = defaultdict(list)
        for path in files_below(source):
            if path.suffix.lower() in SUFFIXES:
                self.by_name[composed(path.name).lower()].append(path)

    def find(self, named_by: Path, name: str) -> Path:
        """The photo that the file `named_by` calls `name`, with any slashes, drive letter and case.

        Raises `UserError` when there is none, or none that fits better than another.
        """
        beside = Path(os.path.normpath(named_by.parent / name.replace("\\", "/")))  # for lines that name it
        if name and beside.is_file():
            return beside
        parts = path_parts(of_link(name))
        last = parts[-1].lower() if parts else ""
        candidates = self.by_name.get(last) or self.by_name.get(composed(unquote(last)), [])
        if not candidates:
            raise UserError(f"{named_by}: its image {name!r} is not in {self.source} nor in a folder below; add it")
        beside_it, exact = named_by.parent, parts[-1:]
        fits = {p: (shared_parts(p, parts), p.parent == beside_it, [composed(p.name)] == exact) for p in candidates}
        best = [path for path in candidates if fits[path] == max(fits.values())]
        if len(best) > 1:
            raise UserError(f"{named_by}: its image {name!r} may be {best[0]} or {best[1]}; remove or rename one")
        return best[0]

    def found(self, names: Sequence[tuple[Path, str]], skip_bad: bool) -> list[tuple[int, Path]]:
        """`find` of each, with its place among the names. Those that are not found are printed, each in a line.

        They are left out with `skip_bad`; without it raises `UserError` where there are any.
        """
        photos, problems = [], []
        for place, (named_by, name) in enumerate(names):
            try:
                photos.append((place, self.find(named_by, name)))
            except UserError as error:
                problems.append(str(error))
        if problems:
            print(*problems, sep="\n")
            what = f"{len(problems)} of {len(names)} photos cannot be found, as named above"
            if not skip_bad or not photos:
                remedy = "add them, or leave them out with --skip-bad"
                raise UserError(f"{self.source}: {what}; {remedy} (nothing was made)")
            print(f"{what}: they are passed over")
        return photos

    def tell_unnamed(self, photos: Collection[Path], listed: Iterable[str] = ()) -> None:
        """Print how many photos lie among these and are named by no label file; `listed` are further names in them."""
        left_out, folders, named = LeftOut(), {p.parent.resolve() for p in photos}, {p.resolve() for p in photos}
        names = {part.lower() for name in listed for part in path_parts(name)[-1:]}
        for path in (path for name, paths in self.by_name.items() for path in paths if name not in names):
            if path.parent.resolve() in folders and path.resolve() not in named:
                left_out.add("photos that no label file names", path.name)
        left_out.tell()


def files_below(folder: Path) -> Iterator[Path]:
    """The files in `folder` and its sub-folders, sorted, without hidden ones and what systems leave behind."""

    def passed_over(name: str) -> bool:
        return name.startswith((".", "~$")) or name.lower() in JUNK

    files = (place / name for place, _, names in walked(folder, passed_over) for name in names)
    yield from (path for path in sorted(files) if path.is_file())


def is_background(name: str) -> bool:
    """Whether a label's name means the background, however it is written: "Background", "_background_", "0_bg"."""
    return "".join(words(re.sub(r"^\d+[\W_]+", "", name))) in BACKGROUND_WORDS


def is_ignored(name: str) -> bool:
    """Whether a label's name means what does not count, as labelme's __ignore__ does."""
    return "".join(words(name)) in IGNORE_WORDS


def id_of_label(labels: Sequence[str]) -> IdOf:
    """The ids of the labels by name: exact, or the same words in another form where only one label has these."""
    by_words: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, label in enumerate(labels):
        by_words[words(label)].append(i)

    def id_of(name: str) -> int | None:
        if name in labels:
            return labels.index(name)
        if is_background(name):
            return 0
        if is_ignored(name):
            return IGNORE
        alike = by_words.get(words(name), [])
        return alike[0] if len(alike) == 1 else None

    return id_of


def without_background(names: Sequence[str]) -> list[str]:
    """The names of classes alone, each once."""
    return [n for n in dict.fromkeys(names) if not is_background(n) and not is_ignored(n)]


def named_once(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes in a file. Raises `UserError` where one is empty or there twice."""
    seen: set[str] = set()
    for name in names:
        if not name:
            raise UserError(f"{path}: a class has no name; give it one")
        if name in seen:
            raise UserError(f"{path}: class {name!r} is there twice; rename one of them")
        seen.add(name)
    return tuple(names)


def names_file(source: Path) -> Names | None:
    """Label names from the source's labels.txt, if it has one; see `read_names_file`."""
    path = source / "labels.txt"
    return read_names_file(path) if path.exists() else None


def read_names_file(path: Path) -> Names:
    """Label names of a text file: one a line from the background on, which may be left out, or "id name" lines.

    Also of CVAT's labelmap.txt. 255 and what has the name of ignored pixels is no class.
    Raises `UserError` for a file that is missing, holds a name or an id twice, or names a class for id 0 or the
    background later.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    lines = [line for line in _plain(read_lines(path, "one label name a line")) if not is_ignored(line)]
    numbered = [match for match in map(NUMBERED.fullmatch, lines) if match]
    ids = [int(match[1]) for match in numbered]
    if lines and len(numbered) == len(lines) and max(ids) <= LARGEST_ID:
        if twice := [i for i, count in Counter(ids).items() if count > 1 and i != IGNORE]:
            raise UserError(f"{path}: names id {twice[0]} twice; keep one of the lines")
        by_id = {int(match[1]): match[2] for match in numbered if int(match[1]) != IGNORE}
        if not is_background(by_id.get(0, "background")):
            raise UserError(f"{path}: names id 0 {by_id[0]!r}, but 0 is the background; number the classes from 1")
        names, sure = [by_id.get(i, f"class-{i}") for i in range(1, max(by_id, default=0) + 1)], True
    else:
        sure = bool(lines) and is_background(lines[0])
        names = lines[1:] if sure else lines
    if late := next((name for name in names if is_background(name)), None):
        raise UserError(f"{path}: {late!r} is not its first line, but 0 is the background; remove what stands above it")
    if not names:
        raise UserError(f"{path}: must hold one label name a line")
    return Names(("background", *named_once(path, names)), sure, path)


def _plain(lines: Sequence[str]) -> list[str]:
    """Lines of names without what CVAT, or a list in Python or JSON, puts around each of them."""
    lines = [line for line in lines if not line.startswith("# label:") and not BRACKET.fullmatch(line)]
    if lines and all(map(OF_LABELMAP.fullmatch, lines)):
        return [line.split(":")[0] for line in lines]
    lines = [ENTRY.sub(r"\2 \4", line) for line in lines]
    of_code = [match for line in lines if (match := OF_CODE.fullmatch(line))]
    around = [match[0] != match[2] for match in of_code]
    return [match[2] for match in of_code] if len(around) > 1 and all(around[:-1]) else lines


def check_names(names: Names, highest: int) -> None:
    """Raise `UserError` where the names may belong to other ids than they would get; `highest` is in use."""
    first = next(iter(names.labels[1:]), "")
    if not names.sure and (highest == len(names.labels) - 2 or "".join(words(first)) in DOUBTFUL_WORDS):
        raise UserError(
            f"{names.path}: {len(names.labels) - 1} names for ids 0 to {highest}; if {first!r} is the background, "
            f"write 'background' in its place, else put a line 'background' above it"
        )


def drawn_size(path: Path, photo: Path, height: Any, width: Any) -> Size:
    """The size (H, W) at which the regions in a photo's label file lie: the one that it states, else the photo's.

    Raises `UserError` where that is neither the photo's nor that of its stored form.
    """
    upright, stored = picture_size(photo)
    try:
        said = stated_size(height, width) or upright
    except ValueError:
        said = None
    if said in (upright, stored):
        return said
    sizes = f"drawn on a photo of {width}x{height}, but {photo.name} is {upright[1]}x{upright[0]}"
    raise UserError(f"{path}: {sizes}; resize the photo back, or annotate it anew")


def fitted_photo(
    image_id: str, photo: Path, raw: np.ndarray, *, depth: int = 0, label: Path | None = None
) -> PreparedPhoto:
    """The photo with its label map `raw` (H, W), which the file `label` holds or which has been drawn.

    `depth` is that of 16-bit photos in bits, 0 for what the file says. Raises `UserError` when the sizes agree neither
    upright nor as stored, or the photo is broken.
    """
    notes: list[str] = []
    upright, stored = picture_size(photo)
    form = raw.shape == upright
    if not form and raw.shape != stored:
        sizes = f"{upright[1]}x{upright[0]}, but its label {raw.shape[1]}x{raw.shape[0]}"
        raise UserError(f"{photo}: is {sizes}; replace whichever is wrong")
    pixels = read_image(photo, upright=form, depth=depth, tell=notes.append)
    notes = [note.removeprefix(f"{photo}: ") for note in notes] + ([] if form else [STORED_FORM])
    content: Path | bytes = encoded(pixels) if depth else photo
    suffix, ignored = ".png" if depth else photo.suffix.lower(), bool((raw == IGNORE).any())
    made = PreparedPhoto(image_id.strip(), content, label or encoded(raw), ids_in(raw), suffix=suffix, origin=photo)
    return made._replace(notes=tuple(notes), ignored=ignored)
