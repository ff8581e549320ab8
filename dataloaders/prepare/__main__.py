"""Bring a data set into the project's layout, build what is missing and check the result.

    python -m dataloaders.prepare {atr,lip,cihp,ccp,toy,custom} --source DIR [--data-root DIR] [--copy]

Files are linked (`--copy` copies them); nothing that already stands is overwritten, and a run that fails leaves
nothing half made. Id lists and support pickles that the user has put into the data folder, or into SOURCE's `list/`
and `support/`, are used; those that are missing are built. `docs/data.md` shows the layout of each SOURCE.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utils.config import ArgumentParser, require, whole
from utils.constants import MAX_SIDE
from utils.errors import UserError, run_cli

from .. import catalog
from .ccp import CCP_SIZE, prepare_ccp
from .ccp_tagged import prepare_tagged
from .check import Outcome
from .custom import prepare_custom, prepare_zip
from .published import prepare_published
from .toy_set import prepare_toy

NOT_TOY = (*(name for name in catalog.names() if name != "toy"), "custom")
CCP, TOY, CUSTOM = ("ccp",), ("toy",), ("custom",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the preparation."""
    parser = ArgumentParser(prog="python -m dataloaders.prepare", description="Prepare a data set.")
    parser.add_argument("dataset", choices=[*catalog.names(), "custom"], help="data set to prepare; custom: your own")
    parser.add_argument(
        "--data-root", type=Path, default=catalog.DATA_ROOT, help="folder of the data sets (%(default)s)"
    )
    used_by: dict[str, tuple[str, ...]] = {}

    def add(flag: str, sets: tuple[str, ...], help: str, **how: Any) -> None:
        help = f"{help} (not for toy)" if sets is NOT_TOY else f"{', '.join(sets)}: {help}"
        used_by[parser.add_argument(flag, help=help, **how).dest] = sets

    add("--source", NOT_TOY, "folder of the unpacked download, or of your own images", type=Path)
    add("--copy", NOT_TOY, "copy the files instead of linking them", action="store_true")
    size = "longest side of the photos, 0 keeps them (%(default)s)"
    add("--size", CCP, size, type=whole(0, MAX_SIDE), default=CCP_SIZE)
    add("--with-tagged", CCP, "also the photos that have image-level tags only", action="store_true")
    add("--images", TOY, "number of images to draw", type=whole(8))
    add("--seed", TOY + CUSTOM, "seed of the drawing, or of the split (%(default)s)", type=whole(0, 2**32), default=0)
    val = (
        "train photos for a validation list, 0 for none; by default ccp has the project's own list, custom a fifth of "
        "60 train photos or more, and the others none"
    )
    add("--val", NOT_TOY, val, type=whole(0))
    add("--name", CUSTOM, "name of the data set (the name of SOURCE)")
    add("--annotations", CUSTOM, "the COCO file to use, where SOURCE holds several", type=Path)
    add("--depth", CUSTOM, "bits of 16-bit photos (what their files say)", type=int, default=0)
    add("--skip-bad", NOT_TOY, "pass over photos and labels that cannot be used", action="store_true")
    options = parser.parse_args(arguments)
    for name, sets in used_by.items():
        unset = options.dataset in sets or getattr(options, name) == parser.get_default(name)
        require(unset, name, f"is for {', '.join(sets)}, not {options.dataset}; leave it away")
    outcome = prepare(options)
    print(*outcome.lines(), *outcome.summary, sep="\n")
    # fewer ids than published are worth a line, but no fault of what has been made
    return 1 if any(kind != "count" for kind, _ in outcome.findings) else 0


def prepare(options: argparse.Namespace) -> Outcome:
    """Prepare the data set that the options name. Raises `UserError` on bad options and bad input."""
    if options.depth and not 8 <= options.depth <= 16:
        raise UserError(f"--depth {options.depth}: must be 8 to 16 bits")
    if options.dataset == "toy":
        return prepare_toy(options.data_root, images=options.images, seed=options.seed)
    if options.source is None:
        raise UserError(f"--source is missing: the folder from which {options.dataset} is prepared")
    place = {"source": options.source, "data_root": options.data_root, "copy": options.copy}
    place["skip_bad"] = options.skip_bad
    if options.dataset == "custom":
        own = {"name": options.name, "annotations": options.annotations, "seed": options.seed}
        is_zip = options.source.suffix.lower() == ".zip" and options.source.is_file()
        return (prepare_zip if is_zip else prepare_custom)(**place, **own, depth=options.depth, val=options.val)
    if options.dataset == "ccp":
        outcome = prepare_ccp(**place, size=options.size, val=options.val)
        if options.with_tagged:
            root = catalog.locate(catalog.load("ccp"), options.data_root)
            print(f"photos with image-level tags only: {prepare_tagged(options.source, root, options.size)}")
        return outcome
    return prepare_published(options.dataset, **place, val=options.val or 0)


if __name__ == "__main__":
    run_cli(main)
