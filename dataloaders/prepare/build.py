"""What every preparation ends with: the id lists, the support index, the data folder and its check."""

import pickle
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from utils.errors import UserError
from utils.names import first_names

from ..layout import (
    IMAGE_FOLDER,
    bad_path,
    label_path,
    list_path,
    mirrored_label_path,
    pairs_path,
    read_bad_ids,
    read_ids,
    supports_path,
)
from ..spec import SPLITS, VAL, DatasetSpec
from ..supports import read_supports
from .check import Outcome, check
from .photos import PreparedPhoto
from .sources import Offer
from .validation import choose_val
from .writing import write_folder


def choose_lists(
    root: Path, source: Path, ids: Collection[str], offer: Offer, *, skip_bad: bool = False
) -> dict[str, list[str]]:
    """The id lists: those in the data folder, else those in SOURCE, else those offered. Says which it takes.

    Raises `UserError` when a listed id is none of `ids`, or, without lists of the user's, when a photo has no label,
    except with `skip_bad`.
    """
    for folder, origin in ((root, "stand in the data folder"), (source, "come from SOURCE")):
        standing = [split for split in SPLITS if list_path(folder, split).exists()]
        if len(standing) == 1:
            raise UserError(
                f"{list_path(folder, standing[0])}: stands without the list of the other split; add that too"
            )
        if standing:
            splits = {split: read_ids(folder, split) for split in SPLITS}
            missing = [i for split in SPLITS for i in splits[split] if i not in ids]
            if missing and not skip_bad:
                what = f"{len(missing)} ids of the lists lack photo or label ({first_names(missing)})"
                raise UserError(f"{source}: {what}; unpack it again")
            print(f"id lists: {origin}")
            break
    else:
        if offer.unpaired and not skip_bad:
            what = f"{len(offer.unpaired)} photos or labels stand alone: {first_names(offer.unpaired)}"
            raise UserError(f"{source}: {what}; unpack it again")
        if any((root / "support").glob("*_supports.pkl")):
            raise UserError(f"{root / 'support'}: holds a support file without its id lists; add them or remove it")
        splits = offer.splits
        print(f"id lists: {offer.origin}")
    if any(len(splits[split]) < 2 for split in SPLITS):
        raise UserError(
            f"{source}: fewer than two photos with labels for training or testing; unpack it again, or list more"
        )
    print(f"ids: {len(splits['train'])} train, {len(splits['test'])} test")
    return splits


def build(
    spec: DatasetSpec,
    root: Path,
    source: Path,
    splits: Mapping[str, Sequence[str]],
    photos: Iterable[PreparedPhoto],
    *,
    copy: bool = False,
    extra: Mapping[Path, Path | bytes] | None = None,
    val: Sequence[str] | int = 0,
) -> Outcome:
    """Make the data folder `root` of the photos, the lists, the support files and `extra`, and check it.

    Lists and support files that stand are kept. Listed ids without a photo keep their places, and are written down as
    bad. `val` is a validation list, or how many photos are drawn for one. Raises `UserError` as `write_folder` and
    `choose_val` do, and where a list of bad ids stands that lacks some.
    """
    files: dict[Path, Path | bytes] = {}
    by_id = {photo.id: photo for photo in photos}
    for photo in by_id.values():
        files[root / IMAGE_FOLDER / f"{photo.id}{photo.suffix}"] = photo.image
        files[label_path(root, photo.id)] = photo.label
        if photo.mirrored is not None:
            files[mirrored_label_path(root, photo.id)] = photo.mirrored
    for split in SPLITS:
        if not list_path(root, split).exists():
            files[list_path(root, split)] = _lines(splits[split])
    bad = [image_id for split in SPLITS for image_id in splits[split] if image_id not in by_id]
    files |= _bad_list(root, bad, by_id)
    good = [image_id for image_id in splits["train"] if image_id in by_id]
    chosen = choose_val(spec, root, source, by_id, good, val)
    if chosen and not list_path(root, VAL).exists():
        files[list_path(root, VAL)] = _lines(chosen)
    present = {split: [by_id[i].raw_ids if i in by_id else () for i in splits[split]] for split in SPLITS}
    files |= _support_files(spec, root, source, present) | dict(extra or {})
    write_folder(root, files, copy=copy, title=f"{spec.title}: {'copy' if copy else 'link'}")
    return check(spec, root, decode=False)


def build_table(spec: DatasetSpec, split: str, raw_ids: Sequence[Iterable[int]]) -> dict[int, list[int]]:
    """The support index of a split, from the ids in the label map of each image."""
    slots = spec.num_slots - 1
    table: dict[int, list[int]] = {key: [] for key in range(2 * slots + 1)}
    last_query = spec.last_query(split, len(raw_ids))
    both = spec.both_roles(split)
    for index, ids in enumerate(raw_ids):
        for class_id in spec.classes_of(ids):
            if both or index <= last_query:
                table[class_id].append(index)
            if both or index > last_query:
                table[class_id + slots].append(index)
    return table


def dump_supports(table: Mapping[int, Sequence[int]]) -> bytes:
    """The support pickle in the published form: a dict of int lists, nothing else."""
    return pickle.dumps({key: list(indices) for key, indices in table.items()}, protocol=3)


def _lines(ids: Iterable[str]) -> bytes:
    return "".join(f"{i}\n" for i in ids).encode()


def _bad_list(root: Path, bad: Sequence[str], usable: Collection[str]) -> dict[Path, Path | bytes]:
    """The list of `bad` ids where none stands. Says which these are, and which ids on one that stands are `usable` now.

    Raises `UserError` where one stands that lacks some.
    """
    path, standing = bad_path(root), read_bad_ids(root)
    if bad:
        print(f"{len(bad)} ids keep their places without photo or label ({first_names(bad)}): {path}")
    if mended := sorted(standing.intersection(usable)):
        what = f"{len(mended)} ids of {path} are passed over, though their files can be used ({first_names(mended)})"
        print(f"{what}; to take them in, delete it and the support files made without them, and prepare again")
    if standing and (more := [image_id for image_id in bad if image_id not in standing]):
        raise UserError(f"{path}: lacks ids whose files cannot be used ({first_names(more)}); add them, or delete it")
    return {path: _lines(bad)} if bad and not standing else {}


def _support_files(
    spec: DatasetSpec, root: Path, source: Path, raw_ids: Mapping[str, Sequence[Iterable[int]]]
) -> dict[Path, Path | bytes]:
    """The support files that `root` lacks: those of SOURCE, else built from the ids in each label. Says which."""
    files: dict[Path, Path | bytes] = {}
    if pairs_path(spec, source).exists():
        files[pairs_path(spec, root)] = pairs_path(spec, source)
    for split, present in raw_ids.items():
        target, offered = supports_path(spec, root, split), supports_path(spec, source, split)
        if target.exists():
            read_supports(spec, root, split, len(present))
            print(f"support index, {split}: stands in the data folder")
        elif offered.exists():
            read_supports(spec, source, split, len(present))
            files[target] = offered
            print(f"support index, {split}: comes from SOURCE")
        else:
            files[target] = dump_supports(build_table(spec, split, present))
            last = spec.last_query(split, len(present))
            roles = "every image in both roles" if spec.both_roles(split) else f"queries up to index {last}"
            print(f"support index, {split}: built, {roles}")
    return files
