"""Which form the labels of a source have, and what lies there in another form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import read_json
from utils.names import first_names

from ...layout import IMAGE_SUFFIXES
from ...sides import words
from . import coco, index_png, labelme, supervisely
from .common import Files, Labelled, LeftOut, files_below
from .folders import label_maps

FORMS = (
    ("COCO", coco.is_coco, coco.read),
    ("Supervisely", supervisely.is_annotation, supervisely.read),
    ("labelme", labelme.is_labelme, labelme.read),
)


def read_source(
    source: Path, annotations: str | Path | None, labels: tuple[str, ...] | None, depth: int = 0, skip_bad: bool = False
) -> Labelled:
    """The photos of the source with their label maps, in whichever form it holds them. `UserError` where in none.

    `skip_bad` leaves out those that cannot be used. Labels in further forms are left out and counted.
    """
    if annotations:
        content = read_json(annotations)
        if not coco.is_coco(content):
            raise UserError(f"{annotations}: not a COCO annotation file (images, annotations, categories)")
        return with_regions(source, coco.read(source, {Path(annotations): content}, labels, depth, skip_bad))
    contents, broken = json_files(source)
    unread = LeftOut()
    for path in broken:
        unread.add("JSON files that cannot be read", str(path.relative_to(source)))
    unread.tell()
    forms = {
        form: (read, files)
        for form, is_form, read in FORMS
        if (files := {path: content for path, content in contents.items() if is_form(content)})
    }
    if not forms:
        if broken and not label_maps(source) and not index_png.is_roboflow(source):
            raise next(iter(broken.values()))  # nothing else in the source holds labels
        return index_png.read(source, labels, depth, skip_bad)
    form, (read, files) = next(iter(forms.items()))
    if form == "COCO":
        check_splits(source, files)
    labelled = with_regions(source, read(source, files, labels, depth, skip_bad))
    left_out, photos = LeftOut(), {photo.origin for photo in labelled.photos}
    further = [("label maps", path) for path in label_maps(source) if path not in photos]
    further += [(f"{other} files", path) for other, (_, paths) in forms.items() if other != form for path in paths]
    for kind, path in further:
        reason = f"{kind}, since the {form} labels are read; prepare each form by itself"
        left_out.add(reason, str(path.relative_to(source)))
    left_out.tell()
    return labelled


def with_regions(source: Path, labelled: Labelled) -> Labelled:
    """Without the photos of which no region is drawn: they would teach that nobody is there. `UserError` for none."""
    left_out, drawn, empty = LeftOut(), [], []
    for photo in labelled.photos:
        if photo.raw_ids or photo.ignored:
            drawn.append(photo)
        else:
            empty.append(photo.id)
            left_out.add("photos without a region that can be drawn", photo.id)
    left_out.tell()
    if not drawn:
        raise UserError(f"{source}: no photo has a region that can be drawn; label with polygons or masks")
    return labelled._replace(photos=drawn, left_out=tuple(empty))


def tell_alike(labels: Sequence[str]) -> None:
    """Print the labels that differ in case or hyphens alone: mostly slips of the one who labelled."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for label in labels:
        alike.setdefault(words(label) or (label,), []).append(label)
    for names in alike.values():
        if len(names) > 1:
            print(f"labels {', '.join(names)}: they stay {len(names)} classes; join them with merges in dataset.json")


def check_splits(source: Path, files: Files) -> None:
    """Raise `UserError` for several COCO files of which not each is the one of its split."""
    splits = {coco.split_of(path) for path in files}
    if len(files) > 1 and (len(splits) < len(files) or "" in splits):
        names = first_names(sorted(path.name for path in files))
        remedy = "name the one to use with --annotations, or keep one for each split, called train, val or test"
        raise UserError(f"{source}: holds several COCO files ({names}); {remedy}")


def json_files(source: Path) -> tuple[dict[Path, Any], dict[Path, UserError]]:
    """The JSON files of the source with their content, and what is wrong with broken ones.

    One beside a photo of its name raises `UserError`.
    """
    contents: dict[Path, Any] = {}
    broken: dict[Path, UserError] = {}
    for path in files_below(source):
        if path.suffix.lower() != ".json" or path.name == "dataset.json":
            continue
        try:
            contents[path] = read_json(path)
        except UserError as error:
            if any(path.with_suffix(suffix).exists() for suffix in IMAGE_SUFFIXES):
                raise
            broken[path] = error
    return contents, broken
