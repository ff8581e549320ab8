"""Folders of photos and the folders of their label maps: one of each, or one for each split or part of a set."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError
from utils.files import read_lines
from utils.names import first_names
from utils.pictures import SUFFIXES

from ..photos import SourceFiles
from ..sources import files_by_id, find_folder, folders_below, unpaired
from .common import IMAGE_FOLDERS, SPLIT_WORDS, LeftOut, files_below

LABEL_FOLDERS = ("labels", "trainval_classes", "SegmentationClass", "masks", "annotations")
VOC_LISTS = "ImageSets/Segmentation"


class FolderPair(NamedTuple):
    """A folder of photos, the folder of their label maps, and the folder where lists and names of both stand."""

    photos: Path
    maps: Path
    home: Path


def pairs_in(source: Path) -> list[FolderPair]:
    """The pairs of a source: the outermost that stand side by side, else the outermost folders, with those below both.

    Raises `UserError` where there are none.
    """
    homes: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in folders_below(source):
        homes[path.parent][path.name.lower()] = path
    pairs: list[FolderPair] = []
    for home, children in homes.items():
        photos, maps = (
            next((children[name.lower()] for name in names if name.lower() in children), None)
            for names in (IMAGE_FOLDERS, LABEL_FOLDERS)
        )
        if photos and maps:
            pairs.append(FolderPair(photos, maps, home))
    if not pairs:
        photos = find_folder(source, *IMAGE_FOLDERS)
        pairs = [FolderPair(photos, find_folder(source, *LABEL_FOLDERS), photos.parent)]
    # what lies deeper than another pair may be an old copy of it
    outermost = min(len(pair.home.parts) for pair in pairs)
    return [part for pair in pairs if len(pair.home.parts) == outermost for part in _with_those_below(pair)]


def _with_those_below(pair: FolderPair) -> list[FolderPair]:
    """The pair, and the folders that stand below both its folders."""
    below = [path.relative_to(pair.photos) for path in folders_below(pair.photos)]
    return [pair, *(FolderPair(pair.photos / p, pair.maps / p, pair.home) for p in below if (pair.maps / p).is_dir())]


def files_of(source: Path, pairs: Sequence[FolderPair]) -> dict[FolderPair, list[SourceFiles]]:
    """The photos and label maps of the pairs that hold some. Raises `UserError` where one lacks the other.

    Beside Pascal VOC's lists photos may lack a label map: they are left out and counted, as are pictures elsewhere.
    """
    files: dict[FolderPair, list[SourceFiles]] = {}
    alone: list[str] = []
    left_out = LeftOut()
    for pair in pairs:
        images, labels = files_by_id(pair.photos, SUFFIXES), files_by_id(pair.maps, SUFFIXES)
        if (pair.home / VOC_LISTS).is_dir():  # Pascal VOC has labels for some of its photos
            for image_id in sorted(images.keys() - labels.keys()):
                left_out.add("photos without a label map", image_id)
            images = {image_id: path for image_id, path in images.items() if image_id in labels}
        place = "" if len(pairs) == 1 else f"{pair.photos.relative_to(source)}/"
        alone += [place + name for name in unpaired(images, labels)]
        if both := [SourceFiles(i, path, labels[i]) for i, path in images.items() if i in labels]:
            files[pair] = both
    if alone:
        what = f"{len(alone)} photos or labels stand alone: {first_names(alone)}"
        raise UserError(f"{source}: {what}; each photo needs a label PNG of the same name")
    if not files:
        first = pairs[0]
        raise UserError(f"{first.photos}: holds no photo; put photos there, and label PNGs so named into {first.maps}")
    folders = {folder for pair in pairs for folder in (pair.photos, pair.maps)}
    for path in files_below(source):
        if path.suffix.lower() in SUFFIXES and path.parent not in folders:
            left_out.add("pictures in folders that are not read", str(path.relative_to(source)))
    left_out.tell()
    return files


def label_maps(source: Path) -> list[Path]:
    """The pictures in, or below, folders that are called as those of label maps."""
    names = {name.lower() for name in LABEL_FOLDERS}
    pictures = (path for path in files_below(source) if path.suffix.lower() in SUFFIXES)
    return [path for path in pictures if names & {part.lower() for part in path.relative_to(source).parts[:-1]}]


def splits_of(source: Path, files: Mapping[FolderPair, Sequence[SourceFiles]]) -> dict[str, list[Path]]:
    """The photos of each of the source's lists: Pascal VOC's, else by folders that are named after splits.

    Where only some folders are, the others are for training.
    """
    splits: dict[str, list[Path]] = defaultdict(list)
    for home in dict.fromkeys(pair.home for pair in files):
        images = {file.id: file.image for pair, group in files.items() if pair.home == home for file in group}
        for split, photos in _voc_splits(home / VOC_LISTS, images).items():
            splits[split] += photos
    if splits:
        return splits
    if len(files) > 1:
        counts = [f"{len(group)} in {pair.photos.relative_to(source)}" for pair, group in files.items()]
        print(f"photos are read from {len(files)} folders: {first_names(counts, 10)}")
    return splits_by_folder(source, [file.image for group in files.values() for file in group])


def splits_by_folder(source: Path, photos: Iterable[Path]) -> dict[str, list[Path]]:
    """The photos of each of the source's lists by the folders that are named after splits; empty where none is.

    Where only some are in such folders, the others are for training.
    """
    folders = {p: p.relative_to(source).parts[:-1] if p.is_relative_to(source) else () for p in photos}
    words = {photo: [part.lower() for part in own] for photo, own in folders.items()}
    named = {photo: next((SPLIT_WORDS[w] for w in own if w in SPLIT_WORDS), "") for photo, own in words.items()}
    splits: dict[str, list[Path]] = defaultdict(list)
    for photo, split in named.items() if any(named.values()) else ():
        splits[split or "train"].append(photo)
    return splits


def _voc_splits(lists: Path, images: Mapping[str, Path]) -> dict[str, list[Path]]:
    """The photos of train.txt, val.txt, test.txt and the like; entries that are none are left out and counted.

    Raises `UserError` where none of a list is a photo, except for testing: Pascal VOC's own test photos have no labels.
    """
    splits: dict[str, list[Path]] = defaultdict(list)
    left_out = LeftOut()
    for name, split in SPLIT_WORDS.items():
        path = lists / f"{name}.txt"
        entries = read_lines(path, "one id a line") if path.is_file() else []
        photos = [_entered(entry, images) for entry in entries]
        if entries and not any(photos) and split != "test":
            what = f"none of its {len(entries)} entries ({first_names(entries)}) is a photo with a label map"
            raise UserError(f"{path}: {what}; write one photo's name without ending a line, or delete the file")
        for entry, photo in zip(entries, photos, strict=True):
            if photo:
                splits[split].append(photo)
            else:
                left_out.add(f"entries of {path.name} that are no photo with a label map", entry)
    left_out.tell()
    return splits


def _entered(entry: str, images: Mapping[str, Path]) -> Path | None:
    """The photo that a line of a list means: by its id, its name or its path, behind which more may stand."""
    for text in (entry, entry.split()[0]):
        name = text.replace("\\", "/").split("/")[-1]
        stem = name.removesuffix(Path(name).suffix) if Path(name).suffix.lower() in SUFFIXES else name
        for image_id in (text, name, stem):
            if image_id in images:
                return images[image_id]
    return None
