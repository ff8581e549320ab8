"""Steps that every preparation shares: the id lists, the verified photos, the support index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from utils.errors import UserError

from ..layout import list_path, pairs_path, read_ids, supports_path
from ..spec import SPLITS, DatasetSpec
from ..supports import build_table, dump_supports, read_supports
from .inspection import Files, inspect_all
from .placing import Entry, Placement
from .sources import Found, few

Result = TypeVar("Result")


def place_lists(root: Path, source: Path, found: Found, placement: Placement) -> dict[str, list[str]]:
    """The id lists: those in the data folder, else those in SOURCE, else those found. Says which it takes.

    Raises `UserError` when a listed id has no files, or, without lists of the user's, when a photo has no label.
    """
    for folder, origin in ((root, "stand in the data folder"), (source, "come from SOURCE")):
        standing = [split for split in SPLITS if list_path(folder, split).exists()]
        if len(standing) == 1:
            raise UserError(
                f"{list_path(folder, standing[0])}: stands without the list of the other split; add that too"
            )
        if standing:
            splits = {split: read_ids(folder, split) for split in SPLITS}
            missing = [i for split in SPLITS for i in splits[split] if i not in found.files]
            if missing:
                what = f"{len(missing)} ids of the lists lack photo or label ({few(missing)})"
                raise UserError(f"{source}: {what}; unpack it again")
            print(f"id lists: {origin}")
            break
    else:
        if found.unpaired:
            what = f"{len(found.unpaired)} photos or labels stand alone: {few(found.unpaired)}"
            raise UserError(f"{source}: {what}; unpack it again")
        if any((root / "support").glob("*_supports.pkl")):
            raise UserError(f"{root / 'support'}: holds a support file without its id lists; add them or remove it")
        splits = found.splits
        print(f"id lists: {found.how}")
    if any(len(splits[split]) < 2 for split in SPLITS):
        raise UserError(f"{source}: fewer than two photos with labels for training or testing; unpack it again")
    placement.folder(root / "list")
    for split in SPLITS:
        if not list_path(root, split).exists():
            placement.content(list_path(root, split), "".join(f"{i}\n" for i in splits[split]).encode())
    print(f"ids: {len(splits['train'])} train, {len(splits['test'])} test")
    return splits


def verified(spec: DatasetSpec, source: Path, ids: Sequence[str], files: dict[str, Files]) -> list[Entry]:
    """The entries of `ids`, after every photo and label has been read. Raises `UserError` when any is unusable."""
    plain = [files[image_id]._replace(mirrored=None) for image_id in ids]
    reports = inspect_all(spec, plain, f"{spec.title}: read SOURCE")
    entries = [Entry(i, *files[i], suffix=files[i].image.suffix.lower()) for i in ids]
    results = [e if not r.problems else "\n".join(r.problems) for e, r in zip(entries, reports, strict=True)]
    return usable(source, results)


def usable(source: Path, results: Sequence[Result | str]) -> list[Result]:
    """The results, when all are good. Else prints each problem and raises `UserError` with their number."""
    problems = [result for result in results if isinstance(result, str)]
    if problems:
        print(*problems, sep="\n")
        number = f"{len(problems)} of {len(results)}"
        raise UserError(
            f"{source}: {number} photos or labels cannot be used, as named above; replace them (nothing was made)"
        )
    return [result for result in results if not isinstance(result, str)]


def build_supports(
    spec: DatasetSpec, root: Path, source: Path, splits: dict[str, list[str]], placement: Placement
) -> None:
    """The support files: those that stand, else those of SOURCE, else built from the labels. Says which."""
    placement.folder(root / "support")
    fixed = pairs_path(spec, source)
    if fixed.exists():
        placement.file(fixed, pairs_path(spec, root))
    for split in SPLITS:
        target, offered = supports_path(spec, root, split), supports_path(spec, source, split)
        if target.exists():
            print(f"support index, {split}: stands in the data folder")
        elif offered.exists():
            placement.file(offered, target)
            print(f"support index, {split}: comes from SOURCE")
        else:
            placement.content(target, dump_supports(build_table(spec, root, split, splits[split])))
            last = spec.last_query(split, len(splits[split]))
            roles = "every image in both roles" if spec.both_roles(split) else f"queries up to index {last}"
            print(f"support index, {split}: built, {roles}")
        read_supports(spec, root, split, len(splits[split]))
