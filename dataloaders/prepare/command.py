"""Bring a data set into the project's layout, build what is missing and check the result.

    python -m dataloaders.prepare {atr,lip,cihp,ccp,toy,custom} --source DIR [--data-root DIR] [--copy]

Files are linked (`--copy` copies them); nothing that already stands is overwritten, and a run that fails takes back
what it made. Id lists and support pickles that the user has put into the data folder, or into SOURCE's `list/` and
`support/`, are used; those that are missing are built. `docs/data.md` shows the layout of each SOURCE.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from utils.config import ArgumentParser
from utils.errors import UserError
from utils.parallel import parallel_map

from .. import catalog, toy
from ..layout import image_path, label_path, list_path, read_ids
from ..spec import SPLITS
from .assemble import build_supports, place_lists, usable, verified
from .ccp import convert, find_ccp, tag_table
from .check import Outcome, check
from .custom import prepare_custom
from .inspection import Files
from .placing import Entry, Placement
from .sources import find

CCP_SIZE = 512
TOY_TEST_SHARE = 0.2


def prepare(
    name: str,
    source: str | Path,
    data_root: str | Path = catalog.DATA_ROOT,
    *,
    copy: bool = False,
    size: int = CCP_SIZE,
) -> Outcome:
    """Prepare ATR, LIP, CIHP or CCP from its unpacked download, and check the result.

    `size` is the longest side of CCP's photos, 0 keeps them. Raises `UserError` on bad input, with nothing half made.
    """
    spec, source = catalog.load(name), Path(source)
    root = catalog.locate(spec, data_root)
    found = find_ccp(source) if name == "ccp" else find(spec, source)
    with Placement(copy) as placement:
        splits = place_lists(root, source, found, placement)
        listed = [image_id for split in SPLITS for image_id in splits[split]]
        if name == "ccp":
            task = partial(_convert_one, tag_table(source), size, found.files)
            entries = usable(source, parallel_map(task, listed, f"{spec.title}: convert", "photo"))
        else:
            entries = verified(spec, source, listed, found.files)
        placement.entries(root, entries, f"{spec.title}: {'copy' if copy or name == 'ccp' else 'link'}")
        build_supports(spec, root, source, splits, placement)
        return check(spec, root, decode=False)


def prepare_toy(data_root: str | Path = catalog.DATA_ROOT, *, images: int | None = None, seed: int = 0) -> Outcome:
    """Draw the toy data set, `images` in all, build its support index and check it.

    A set drawn earlier with the same numbers is kept. Raises `UserError` when something else stands in its place.
    """
    spec = catalog.load("toy")
    root = catalog.locate(spec, data_root)
    assert spec.counts is not None
    test = spec.counts["test"] if images is None else max(round(TOY_TEST_SHARE * images), 2)
    train = spec.counts["train"] if images is None else images - test
    with Placement(copy=True) as placement, tempfile.TemporaryDirectory(prefix="toy-") as drawn:
        toy.build(Path(drawn), train=train, test=test, seed=seed)
        splits = {split: read_ids(Path(drawn), split) for split in SPLITS}
        for split in SPLITS:
            placement.folder(root / "list")
            placement.file(list_path(Path(drawn), split), list_path(root, split))
        ids = [image_id for split in SPLITS for image_id in splits[split]]
        entries = [Entry(i, image_path(Path(drawn), i), label_path(Path(drawn), i)) for i in ids]
        placement.entries(root, entries, "Toy-OS: copy")
        build_supports(spec, root, Path(drawn), splits, placement)
        return check(spec, root)


def _convert_one(table: np.ndarray, size: int, files: dict[str, Files], image_id: str) -> Entry | str:
    return convert(table, size, image_id, files[image_id])


def main() -> int:
    """Command line of the preparation."""
    parser = ArgumentParser(prog="python -m dataloaders.prepare", description="Prepare a data set.")
    parser.add_argument("dataset", choices=[*catalog.names(), "custom"], help="data set to prepare; custom: your own")
    parser.add_argument(
        "--source", type=Path, help="folder of the unpacked download, or of your own images (not for toy)"
    )
    parser.add_argument(
        "--data-root", type=Path, default=catalog.DATA_ROOT, help="folder of the data sets (%(default)s)"
    )
    parser.add_argument("--copy", action="store_true", help="copy the files instead of linking them")
    parser.add_argument(
        "--size", type=int, default=CCP_SIZE, help="ccp: longest side of the photos, 0 keeps them (%(default)s)"
    )
    parser.add_argument("--images", type=int, help="toy: number of images to draw")
    parser.add_argument(
        "--seed", type=int, default=0, help="toy: seed of the drawing; custom: seed of the split (%(default)s)"
    )
    parser.add_argument("--name", help="custom: name of the data set (the name of SOURCE)")
    parser.add_argument("--annotations", type=Path, help="custom: COCO annotation file of the images in SOURCE")
    arguments = parser.parse_args()
    outcome = _run(arguments)
    print(*outcome.lines(), *outcome.summary, sep="\n")
    # fewer ids than published are worth a line, but no fault of what has been made
    return 1 if any(kind != "count" for kind, _ in outcome.findings) else 0


def _run(arguments: argparse.Namespace) -> Outcome:
    if arguments.images is not None and arguments.images < 8:
        raise UserError(f"--images {arguments.images}: the toy set needs at least 8")
    if arguments.size < 0:
        raise UserError(f"--size {arguments.size}: must be 0 (keep the photos) or a number of pixels")
    if arguments.dataset == "toy":
        return prepare_toy(arguments.data_root, images=arguments.images, seed=arguments.seed)
    if arguments.source is None:
        raise UserError(f"--source is missing: the folder from which {arguments.dataset} is prepared")
    if arguments.dataset == "custom":
        return prepare_custom(
            arguments.source,
            arguments.data_root,
            name=arguments.name,
            annotations=arguments.annotations,
            copy=arguments.copy,
            seed=arguments.seed,
        )
    return prepare(arguments.dataset, arguments.source, arguments.data_root, copy=arguments.copy, size=arguments.size)
