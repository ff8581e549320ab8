"""A data set of the user's own: lists, support index and a first dataset.json from images and labels."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.names import first_names
from utils.zips import printed_as, unpacked

from .. import catalog
from ..dataset_json import QUERIES_PER_CLASS, SUPPORTS_PER_QUERY, parse_dataset_json, read_dataset_json
from ..layout import list_path
from ..sides import left_of
from ..spec import SPLITS
from .build import build, choose_lists
from .check import Outcome
from .formats.common import LeftOut
from .formats.recognise import read_source, tell_alike
from .photos import PreparedPhoto
from .repeats import repeat_shots
from .sources import Offer, can_be_id, draw_test
from .validation import LEAST

TEST_SHARE = 0.25
VAL_SHARE, ENOUGH = 0.2, 60  # a validation list is made where there are enough train photos


def prepare_custom(
    source: str | Path,
    data_root: str | Path = catalog.DATA_ROOT,
    *,
    name: str | None = None,
    annotations: str | Path | None = None,
    copy: bool = False,
    seed: int = 0,
    depth: int = 0,
    val: int | None = None,
    skip_bad: bool = False,
) -> Outcome:
    """Make the data set `data_root`/`name` from labels of whatever form, and check it. See docs/data.md for the forms.

    `annotations` names the COCO file where the source holds several. `depth` is that of 16-bit photos in bits, 0 for
    what their files say. `val` of the train photos make a validation list, by default a fifth of them where they are
    not too few. A dataset.json in the data folder or in `source` is used as it is; without one a first is written, to
    be edited.
    Raises `UserError` on bad input, with nothing half made.
    """
    source = Path(source)
    offered = source / "dataset.json"
    folder = name or (read_dataset_json(offered).name if offered.exists() else _name_of(source))
    # the one in the data folder, which the user may have edited, goes before the one in SOURCE
    places = (Path(data_root) / folder / "dataset.json", offered)
    standing = next((path for path in places if path.exists()), None)
    spec = read_dataset_json(standing) if standing else None
    if spec and name not in (None, spec.name):
        raise UserError(f"{standing}: is called {spec.name!r}, not {name!r}; leave --name away or change the file")
    root = Path(data_root) / (name := spec.name if spec else folder)
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source is the folder of your images, or a zip of it")
    found = read_source(source, annotations, spec.labels if spec else None, depth, skip_bad)
    photos = with_ids_of_their_own(found.photos)
    labels, by_id = found.labels, {photo.id: photo for photo in photos}
    tell_notes(photos)
    splits, own_val = own_lists(found.splits or {}, photos)
    offer = _offer(splits, by_id, seed, (root, source))
    splits = choose_lists(root, source, {*by_id, *found.left_out}, offer, skip_bad=skip_bad)
    tell_unlisted(root, by_id, splits)
    listed = {split: [by_id[image_id] for image_id in splits[split] if image_id in by_id] for split in SPLITS}
    draft = root / "dataset.json"
    if standing and spec:
        record = standing.read_bytes()
    else:
        tell_alike(labels)
        trained = [photo for photo in listed["train"] if val is not None or photo.id not in own_val]
        raw_ids = [[photo.raw_ids for photo in part] for part in (trained, listed["test"])]
        content = first_json(name, labels, raw_ids, len(listed["train"]) - len(trained))
        record = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
        spec = parse_dataset_json(draft, content)
    if val is None and not own_val:
        val = round(VAL_SHARE * len(splits["train"])) if len(splits["train"]) >= ENOUGH else 0
    chosen = [photo for split in SPLITS for photo in listed[split]]
    kept = own_val if val is None else val
    outcome = build(spec, root, source, splits, chosen, copy=copy, extra={draft: record}, val=kept)
    if not standing:
        print(f"wrote a first {draft}: look at its folds and class names")
    print(f"use it with --dataset {draft}")
    return outcome


def _offer(
    splits: dict[str, list[str]], photos: Mapping[str, PreparedPhoto], seed: int, folders: Iterable[Path]
) -> Offer:
    """The source's own lists, or a test list drawn from the photos, by id: repeat shots of one scene come to one side.

    These are not looked for where lists in one of the `folders` will be used.
    """
    if splits:
        return Offer(splits, "as the source has them")
    ids, stand = sorted(photos), any(list_path(folder, SPLITS[0]).exists() for folder in folders)
    repeats = [] if stand or len(ids) < 2 else repeat_shots([photos[image_id].image for image_id in ids])
    return Offer(draw_test(ids, TEST_SHARE, seed, repeats), "drawn at random from the images")


def prepare_zip(
    source: Path, data_root: str | Path = catalog.DATA_ROOT, *, name: str | None = None, **more: Any
) -> Outcome:
    """As `prepare_custom`, from a zip of the source. Raises `UserError` for a file that is none."""
    with unpacked(source) as (folder, _), printed_as(source, folder):
        if not name and not (folder / "dataset.json").exists():
            name = _name_of(source.with_suffix(""))
        if more.get("annotations"):
            more["annotations"] = folder / more["annotations"]
        # the folder goes away, so links into it would lead nowhere
        return prepare_custom(folder, data_root, name=name, **{**more, "copy": True})


def own_lists(
    splits: Mapping[str, Sequence[Path]], photos: Sequence[PreparedPhoto]
) -> tuple[dict[str, list[str]], list[str]]:
    """The id lists that a source brings along: train and test, and the validation list, which is a part of train.

    Where there is no test list, or too little for validation, what is kept for validation is tested on. Empty without
    a list to train on and one to test on.
    """
    ids = {photo.origin: photo.id for photo in photos}
    train, val, test = (
        sorted({ids[path] for path in splits.get(split, ()) if path in ids}) for split in ("train", "val", "test")
    )
    if not test or len(val) < LEAST:
        val, test = [], sorted({*val, *test})
    if not train or not test:
        return {}, []
    return {"train": sorted([*train, *val]), "test": test}, val


def tell_unlisted(root: Path, ids: Iterable[str], splits: Mapping[str, Sequence[str]]) -> None:
    """Print how many photos are in none of the lists, and what takes them in."""
    listed, left_out = {image_id for split in splits.values() for image_id in split}, LeftOut()
    standing, supports = list_path(root, SPLITS[0]), root / "support"
    remedy = "add them to the lists of the source"
    if standing.exists():
        remedy = f"to take them in, delete what is in {standing.parent} and {supports}, and run this again"
    for image_id in ids:
        if image_id not in listed:
            left_out.add(f"photos that are in no list; {remedy}", image_id)
    left_out.tell()


def with_ids_of_their_own(photos: Sequence[PreparedPhoto]) -> list[PreparedPhoto]:
    """The photos, those of one name told apart by a number."""
    taken: set[str] = set()
    renamed = []
    for photo in photos:
        if not can_be_id(photo.id):
            raise UserError(f"{photo.origin}: {photo.id!r} cannot be an id (line breaks, backslashes); rename it")
        name, number = photo.id, 2
        while name in taken:
            name, number = f"{photo.id}_{number}", number + 1
        taken.add(name)
        renamed.append(photo._replace(id=name))
    return renamed


def tell_notes(photos: Sequence[PreparedPhoto]) -> None:
    """Print what the user should know, a line for each kind, which counts and names photos."""
    left_out = LeftOut()
    notes: dict[str, list[str]] = {}
    for photo in photos:
        for reason in photo.left_out:
            left_out.add(reason, photo.id)
        for note in photo.notes:
            notes.setdefault(note, []).append(photo.id)
    left_out.tell()
    for note, ids in notes.items():
        print(f"{len(ids)} photos ({first_names(ids)}): {note}")


def first_json(
    name: str, labels: Sequence[str], raw_ids: Sequence[Sequence[tuple[int, ...]]], held_out: int = 0
) -> dict[str, Any]:
    """A first dataset.json: right parts merged into left ones, two folds, classes in the order of their rarity.

    `raw_ids` holds, for train and test, the label ids of each image, without the `held_out` of a validation list. A
    class in fewer than two training images is dropped, and one that the test images cannot show in both roles is not
    evaluated. Raises `UserError` when fewer than two remain.
    """
    left = {i: left_of(label, labels) for i, label in enumerate(labels)}
    merges = {i: labels.index(other) for i, other in left.items() if other is not None}
    mirrored = list(merges.items())
    train, test = ([{merges.get(i, i) for i in ids} for ids in split] for split in raw_ids)
    kept = [i for i in range(1, len(labels)) if i not in merges]
    dropped = [i for i in kept if sum(i in ids for ids in train) < 2]
    dropped += [right for right, left_id in mirrored if left_id in dropped]
    merges = {right: left_id for right, left_id in mirrored if left_id not in dropped}
    classes = sorted(set(kept) - set(dropped), key=lambda i: sum(i in ids for ids in train + test))
    if len(classes) < 2:
        present = set[int]().union(*train, *test)
        names = ", ".join(labels[i] for i in kept if i in present) or "none"
        raise UserError(
            f"{name}: training needs two classes that each occur in two training images, one to hide and one to learn, "
            f"and finds {len(classes)} (labelled: {names}); label another class or more images, or use predict.py, "
            "which needs one labelled photo and no training"
        )
    half = max(len(test) // 2, 1)
    evaluated = [i for i in classes if any(i in ids for ids in test[:half]) and any(i in ids for ids in test[half:])]
    if not evaluated:
        raise UserError(f"{name}: no class is in a test query as well as a test support; add images")
    for i in dropped:
        print(f"class {labels[i]!r} goes to the background: it is in fewer than two training images")
    for i in sorted(set(classes) - set(evaluated)):
        print(f"class {labels[i]!r} is not evaluated: the test images lack a query or a support of it")
    novel = {"1": classes[0::3], "2": classes[1::3]}
    return {
        "name": name,
        "title": name,
        "labels": list(labels),
        "merges": {labels[right]: labels[left_id] for right, left_id in merges.items()},
        "dropped": [labels[i] for i in dropped],
        "mirrored": [[labels[left_id], labels[right]] for right, left_id in mirrored],
        "folds": {fold: [labels[i] for i in sorted(ids)] for fold, ids in novel.items()},
        "evaluation_order": [labels[i] for i in evaluated],
        "boundary": {"train": len(train) + held_out - 1, "test": half - 1},
        "queries_per_class": min(QUERIES_PER_CLASS, half),
        "supports_per_query": min(SUPPORTS_PER_QUERY, len(test) - half),
        "all_images_both": True,
    }


def _name_of(source: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", source.resolve().name).strip("-_").lower()
    if not name:
        raise UserError(f"{source}: its name does not make a name for a data set; give --name")
    return name
