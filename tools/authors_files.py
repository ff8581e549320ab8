"""The authors' downloaded files: which is which, by what is in it, and where each belongs."""

import filecmp
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dataloaders import catalog
from dataloaders.layout import pairs_path, supports_path
from dataloaders.spec import SPLITS, DatasetSpec
from networks.checkpoints import authors, files
from utils.errors import UserError

SLOTS = {17: ("atr",), 18: ("atr",), 20: ("lip", "cihp")}  # rows of a bank -> data sets
SHORT = {"kway": "kw", "1way": "1w"}


class Recognised(NamedTuple):
    """A checkpoint of the authors' EOPNet, and what it was trained on."""

    path: Path
    dataset: str
    way: str
    fold: int


def recognise_all(folder: Path) -> dict[tuple[str, str, int], Recognised]:
    """The authors' EOPNet checkpoints anywhere in `folder`, by data set, way and fold; says which files are none.

    Each gets the name that the evaluation scripts look for, beside its own.
    """
    found: dict[tuple[str, str, int], Recognised] = {}
    for path in sorted(folder.rglob("*.pth")) if folder.is_dir() else ():
        try:
            one = recognise(path)
        except UserError as error:
            print(error)
            continue
        if one and (one.dataset, one.way, one.fold) not in found:
            found[one.dataset, one.way, one.fold] = one._replace(path=_named(one, folder))
    return found


def recognise(path: Path) -> Recognised | None:
    """Tell a checkpoint of EOPNet by its tensors; None for other files of the authors'.

    The way follows from the tensors, the set from the length of the bank, the fold from its empty rows. Fold 1 of LIP
    and CIHP leaves the same rows empty: there the file's name decides, else the user. Raises `UserError` where neither
    does.
    """
    content = files.read(path)
    kind = authors.identify(content)
    if kind not in ("eop_kway", "eop_1way"):
        return None
    rows = authors.bank(content)
    trained = set(rows.flatten(1).any(dim=1).nonzero()[:, 0].tolist())
    fits = [
        (name, fold)
        for name in SLOTS.get(len(rows), ())
        for fold, base in catalog.load(name).base.items()
        if trained == {*base} - {0}
    ]
    if not fits:
        raise UserError(f"{path}: the rows of its bank fit no fold of ATR, LIP or CIHP; it is left out")
    if len(fits) > 1:
        named = [fit for fit in fits if fit[0] in path.name.lower()]
        fits = named if len(named) == 1 else [_ask(path, dict(fits))]
    return Recognised(path, fits[0][0], kind.removeprefix("eop_"), fits[0][1])


def place_supports(folder: Path, spec: DatasetSpec, data_root: Path) -> None:
    """Copy the authors' support files and test list from `folder` into a prepared data folder; says what it does."""
    root = catalog.locate(spec, data_root)
    for target in (*(supports_path(spec, root, split) for split in SPLITS), pairs_path(spec, root)):
        offered = next(iter(sorted(folder.rglob(target.name))), None) if folder.is_dir() else None
        if offered is None or not root.is_dir():
            continue
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(offered, target)
            print(f"{target}: copied from {offered}")
        elif not filecmp.cmp(offered, target, shallow=False):
            print(f"{target}: is not the authors' ({offered}); delete it and run again for the published pairs")


def _named(one: Recognised, folder: Path) -> Path:
    """The checkpoint under the name that the scripts look for; a link is made where nothing has that name."""
    name = folder / f"{one.dataset}_{SHORT[one.way]}f{one.fold}.pth"
    if name.exists() or name == one.path:
        return one.path
    name.symlink_to(one.path.resolve())
    print(f"{name}: {one.path}")
    return name


def _ask(path: Path, fits: Mapping[str, int]) -> tuple[str, int]:
    """Let the user say which set a file is of."""
    choices = " or ".join(fits)
    answer = ""
    if sys.stdin.isatty():
        answer = input(f"{path}: is it of {choices}? ").strip().lower()
    if answer not in fits:
        raise UserError(f"{path}: may be of {choices}; rename it so that its name says which")
    return answer, fits[answer]
