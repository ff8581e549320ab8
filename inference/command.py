"""The options of a reference and of a parser, shared by the commands that parse photos."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.constants import PRECISIONS, PROTOTYPES, WAYS
from utils.errors import UserError
from utils.names import first_names

from .annotations import (
    BaseIds,
    Names,
    names_beside,
    names_in_use,
    read_bank_map,
    read_colors,
    read_labels,
    read_names,
    tell_unfit,
    untold,
)
from .inputs import Source
from .settings import DEFAULT_CHECKPOINT
from .videos import VideoOptions, check_span

if TYPE_CHECKING:
    from .parser import OneShotParser


class LabelledReference(NamedTuple):
    """What the options say of the reference: see `OneShotParser.make_support`."""

    photos: list[str]
    labels: list[np.ndarray | dict[str, np.ndarray]]
    names: Names
    base_ids: BaseIds | None


def add_reference_options(options: argparse.ArgumentParser) -> None:
    """The labelled photos, and how their labels are read."""
    add = options.add_argument
    add("--reference", action="append", required=True, help="the labelled photo; may be given several times")
    add(
        "--labels",
        action="append",
        required=True,
        help="its labels: index or colour PNG, folder of masks, JSON of labelme or COCO, zip of CVAT",
    )
    add("--names", help='class names by id in a JSON file: {"1": "hat"}, or a list, background first; or a labels.txt')
    add("--colors", help='JSON file of the colours in colour PNGs: {"hat": [230, 25, 75]}')


def add_parser_options(options: argparse.ArgumentParser) -> None:
    """The checkpoint, and how it parses."""
    add = options.add_argument
    add(
        "--checkpoint", default=DEFAULT_CHECKPOINT, help="weights: released, own or the authors' (default: %(default)s)"
    )
    add("--dataset", default="", help="data set of an authors' checkpoint")
    add("--way", default="", choices=("", *WAYS), help="kind of an authors' checkpoint")
    add(
        "--prototypes",
        default="auto",
        choices=PROTOTYPES,
        help="the reference's alone, or blended with what training has remembered; auto: bank by name for AOPNet",
    )
    add("--bank-map", help='JSON file {"my name": "class of the checkpoint"}; by default names of one meaning')
    add("--max-size", type=int, default=0, help="longest side that the network sees (default: as evaluated)")
    add("--tile", action="store_true", help="parse photos larger than --max-size in windows, at their own scale")
    add("--adapt", action="store_true", help="turn the prototypes until the reference itself is parsed well")
    add("--no-refine", action="store_true", help="leave the borders as coarse as the network's features")
    add("--no-closer", action="store_true", help="do not look again, closer, at people who are small in a photo")
    add("--min-score", type=float, help="score below which a class is absent (default: as measured for the weights)")
    add(
        "--depth",
        type=int,
        default=0,
        choices=range(8, 17),
        help="bits of 16-bit photos (default: what their files say)",
    )
    add("--device", default="auto", help="cuda, mps, cpu, or auto for the best there is")
    add("--amp", default="off", choices=PRECISIONS, help="mixed precision; auto: bf16 where the device is fast at it")


def add_video_options(options: argparse.ArgumentParser) -> None:
    """What is parsed of videos, and how."""
    add = options.add_argument_group("videos").add_argument
    add("--smooth", action="store_true", help="steady the labels over time")
    add("--frames", action="store_true", help="also write the label map of every frame")
    add("--start", type=float, default=0.0, help="first second to parse (default: %(default)s)")
    add("--end", type=float, default=math.inf, help="second at which to stop (default: the end)")


def video_options(options: argparse.Namespace, sources: Sequence[Source]) -> VideoOptions:
    """What the options ask for of the videos among the sources. Raises `UserError` for what they cannot have."""
    wanted = VideoOptions(options.smooth, options.frames, options.start, options.end)
    videos = [source.path for source in sources if source.is_video]
    if wanted != VideoOptions() and not videos:
        raise UserError("--smooth, --frames, --start and --end are for videos, and no video is given; leave them away")
    if options.smooth and (options.tile or options.people != "off"):
        raise UserError("--smooth: is for frames that are parsed at once; leave --tile and --people away")
    check_span(videos, options.start, options.end)
    return wanted


def read_reference(options: argparse.Namespace) -> LabelledReference:
    """Read labels, names and colours. Raises `UserError` as the functions of `annotations` do."""
    colors = read_colors(options.colors) if options.colors else None
    if len(options.reference) != len(options.labels):
        numbers = f"{len(options.reference)} --reference and {len(options.labels)} --labels"
        raise UserError(f"{numbers}; give --labels once for each, the same file again where it holds several photos")
    pairs = zip(options.labels, options.reference, strict=True)
    labels = [read_labels(path, colors, photo) for path, photo in pairs]
    names = names_of(options.names, labels, options.labels if not colors else ())
    base_ids = read_bank_map(options.bank_map) if options.bank_map else None
    return LabelledReference(options.reference, labels, names, base_ids)


def names_of(
    file: str | None, labels: Sequence[np.ndarray | dict[str, np.ndarray]], label_files: Sequence[str]
) -> Names:
    """The class names in the `file`, or else in a list beside the files of the `labels`; prints what they leave out.

    Raises `UserError` where those of the `file` fit no label.
    """
    if file:
        names = read_names(file, labels)
        tell_unfit(labels, names, file, print)
        return names
    return names_in_use(labels, names_beside(label_files, print))


def make_parser(options: argparse.Namespace, people: str = "off") -> OneShotParser:
    """The parser that the options describe, without a reference yet. Raises `UserError` as `OneShotParser` does."""
    from .parser import OneShotParser  # late: torch takes seconds, a mistake in the options none

    return OneShotParser(
        options.checkpoint,
        options.device,
        options.prototypes,
        max_size=options.max_size,
        tile=options.tile,
        people=people,
        min_score=options.min_score,
        dataset=options.dataset,
        way=options.way,
        depth=options.depth,
        adapt=options.adapt,
        refine=not options.no_refine,
        closer=not options.no_closer,
        amp=options.amp,
    )


def tell_passed_over(names: Sequence[str], kinds: str) -> None:
    """Print what of the folders that were named is not parsed: what is none of the `kinds`, and sub-folders (name/)."""
    folders = [name for name in names if name.endswith("/")]
    if others := [name for name in names if not name.endswith("/")]:
        print(f"passed over, no {kinds}: {len(others)} files ({first_names(others)})")
    if folders:
        print(f"passed over, sub-folders: {first_names(folders)}; name them too to have their {kinds} parsed")


def tell_reference(parser: OneShotParser, checkpoint: str) -> None:
    """Print what the user should know of the parser and of its reference."""
    assert parser.support is not None
    support = parser.support
    for line in (*parser.notes, *untold(support.notes)):
        print(line)
    print(f"{checkpoint} on {parser.device}; classes: {', '.join(c.name for c in support.classes)}")
    if support.known:
        print(f"known by name, so blended with what training remembers of them: {', '.join(support.known)}")
    if support.rivals:
        print(f"known and not in the reference, so left to the background: {', '.join(support.rivals)}")
        if len(support.known) < len(support.classes):
            print("if one of these is a class of yours by another name, join them with --bank-map")
