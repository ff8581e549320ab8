"""Parse your own photos from one labelled reference.

    python predict.py --reference ref.jpg --labels ref.png --names names.json photos/ clip.mp4 --out parsed

    from predict import OneShotParser
    parser = OneShotParser()  # or the path of a checkpoint
    parser.set_reference("ref.jpg", label_map, {1: "hat", 2: "coat"})
    parser.parse("photo.jpg").save("parsed", "photo")

docs/own-photos.md explains the options and shows results.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dataloaders.fonts import unwritable
from inference import translation
from inference.annotations import class_names
from inference.boxes import boxes_for
from inference.command import (
    add_parser_options,
    add_reference_options,
    add_video_options,
    make_parser,
    read_reference,
    tell_passed_over,
    tell_reference,
    video_options,
)
from inference.exports.project import FORMS, check_exports, exporting, finish
from inference.extras import Extras
from inference.inputs import FRAMES, check_results, collect, note_results
from inference.recipes import read_recipes
from inference.settings import DEFAULT_CHECKPOINT
from utils.config import ArgumentParser, require
from utils.errors import UserError, run_cli
from utils.names import first_names

if TYPE_CHECKING:
    from inference.parser import OneShotParser
    from inference.references import Support

__all__ = ["DEFAULT_CHECKPOINT", "OneShotParser", "Support", "main"]


def __getattr__(name: str) -> object:
    """`OneShotParser` and `Support` are imported when they are asked for: torch takes seconds, `--help` does not."""
    if name not in ("OneShotParser", "Support"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inference import parser

    return getattr(parser, name)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when files had to be skipped."""
    options = parse_options(arguments)
    sources, passed_over = collect(options.inputs, options.labels)
    tell_passed_over(passed_over, "photos or videos")
    reference = read_reference(options)
    names = class_names(reference.labels, reference.names)
    clips = video_options(options, sources)
    if clips.frames:
        sources = [source._replace(more=(FRAMES,)) if source.is_video else source for source in sources]
    boxes = boxes_for(options.people, options.people_images, sources)
    files = (options.names, options.colors, options.bank_map, options.checkpoint, *options.masks, options.people_images)
    extras = wanted_extras(options, names)
    read = [*options.reference, *options.labels, *filter(None, files), *([] if boxes is None else [options.people])]
    check_results(Path(options.out), sources, read, extras.ends)
    exports = list(dict.fromkeys(options.export))
    check_exports(exports, Path(options.out), names, sources, read)

    from inference.batches import parse_photos, parse_videos  # late: torch takes seconds, a mistake above none

    parser = make_parser(options, people="off" if boxes is not None else options.people)
    support = parser.set_reference(*reference)
    if names_lost := unwritable(c.name for c in support.classes):
        print(f"no font here can write {', '.join(names_lost)} in the legend; install one, such as Noto Sans CJK")
    tell_reference(parser, options.checkpoint)
    note_results(Path(options.out), sources, extras.ends)
    photos, videos = ([s for s in sources if s.is_video == kind] for kind in (False, True))
    clip_names = first_names([source.path.name for source in videos])
    if videos and exports:
        print(f"not exported, since they are videos: {clip_names}")
    if videos and extras.ends and not clips.frames:
        print(f"only with --frames are there masks, data set ids and persons' numbers of videos: {clip_names}")
    with exporting(exports, Path(options.out), support.classes) as projects:
        skipped = parse_photos(parser, photos, options.out, replace(extras, projects=projects), boxes)
        not_exported = finish(projects)
    skipped += parse_videos(parser, videos, options.out, clips, extras)
    for line in skipped:
        print(f"skipped: {line}", file=sys.stderr)
    for line in not_exported:
        print(f"not exported: {line}", file=sys.stderr)
    print(f"{len(sources) - len(skipped)} of {len(sources)} files parsed into {options.out}")
    return 1 if skipped or not_exported else 0


def wanted_extras(options: argparse.Namespace, names: Sequence[str]) -> Extras:
    """What the options ask for beside the usual results, of a reference with classes of these names.

    Prints what of it is passed over. Raises `UserError` for a recipe that cannot be read.
    """
    recipes, notes = read_recipes(options.mask, options.masks, names)
    for note in notes:
        print(note)
    for option in ("cutout", "grey"):
        if getattr(options, option) and not recipes:
            raise UserError(f"--{option}: is made of a mask, and there is none; add --mask NAME=RECIPE")
    if persons := [p for recipe in recipes.values() for p in recipe.persons.keys() - set(names)]:
        require(options.people != "off", "mask", f"names {persons[0]}; add --people auto, or a file of boxes")
    datasets = list(dict.fromkeys(options.datasets))
    for dataset in datasets:
        print(translation.note_of(dataset, names))
    people = options.people != "off"
    return Extras(recipes, options.cutout, options.grey, datasets, people=people, drop_specks=options.drop_specks)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line. Raises `UserError` for a mistake in them."""
    options = ArgumentParser(description="Parse photos and videos into the classes of a labelled reference.")
    add = options.add_argument
    add("inputs", nargs="+", help="photos, videos, or folders of them")
    add_reference_options(options)
    add("--out", default="parsed", help="folder for the results (default: %(default)s)")
    add_parser_options(options)
    add(
        "--people", default="off",
        help="several people in a photo: off; auto looks for them; or a JSON file of a detector's boxes (default: off)",
    )  # fmt: skip
    add("--people-images", help="COCO file whose images are those of the boxes, by their id")
    add_video_options(options)
    add_extras(options)
    return options.parse_args(arguments)


def add_extras(options: ArgumentParser) -> None:
    """Add the options for what is written beside the usual results."""
    add = options.add_argument_group("beside the usual results").add_argument
    add(
        "--mask", action="append", default=[], metavar="NAME=RECIPE",
        help="also write a mask: 'clothes=foreground - hair - skin | grow 2%%'; may be given several times",
    )  # fmt: skip
    add("--masks", action="append", default=[], metavar="FILE", help="JSON file of recipes by name")
    add("--drop-specks", action="store_true", help="give small islands of a class to what lies around them")
    add("--cutout", action="store_true", help="also write each mask's part of the photo, transparent around it")
    add("--grey", action="store_true", help="also write the photo with each mask in grey")
    add(
        "--as", dest="datasets", action="append", default=[], choices=translation.DATASETS,
        help="also write the label map in the ids and colours of this data set; may be given several times",
    )  # fmt: skip
    add(
        "--export", action="append", default=[], choices=tuple(FORMS),
        help="also write all results as one annotation project of this form; may be given several times",
    )  # fmt: skip


if __name__ == "__main__":
    run_cli(main)
