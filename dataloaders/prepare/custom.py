"""A data set of the user's own: lists, support index and a first dataset.json from images and labels."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utils.errors import UserError

from .. import catalog
from ..dataset_json import parse_dataset_json, read_dataset_json
from ..spec import SPLITS
from .build import build, choose_lists
from .check import Outcome
from .formats import coco, index_png, labelme
from .sources import Offer, draw_test

TEST_SHARE = 0.25
QUERIES_PER_CLASS, SUPPORTS_PER_QUERY = 10, 5


def prepare_custom(
    source: str | Path,
    data_root: str | Path = catalog.DATA_ROOT,
    *,
    name: str | None = None,
    annotations: str | Path | None = None,
    copy: bool = False,
    seed: int = 0,
) -> Outcome:
    """Make the data set `data_root`/`name` from index PNGs, labelme files or the COCO file `annotations`, and check it.

    A dataset.json in the data folder or in `source` is used as it is; without one a first is written, to be edited.
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
    name = spec.name if spec else folder
    root = Path(data_root) / name
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source is the folder of your images")
    names = spec.labels if spec else None
    if annotations:
        labels, photos = coco.read(source, Path(annotations), names)
    elif drawings := labelme.find(source):
        labels, photos = labelme.read(source, drawings, names)
    else:
        labels, photos = index_png.read(source, names)
    by_id = {photo.id: photo for photo in photos}
    if len(by_id) < len(photos):
        raise UserError(f"{source}: two of its images have the same name; rename one")
    offer = Offer(draw_test(sorted(by_id), TEST_SHARE, seed), "drawn at random from the images")
    splits = choose_lists(root, source, by_id, offer)
    draft = root / "dataset.json"
    if standing and spec:
        record = standing.read_bytes()
    else:
        content = first_json(name, labels, [[by_id[i].raw_ids for i in splits[split]] for split in SPLITS])
        record = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
        spec = parse_dataset_json(draft, content)
    listed = [by_id[image_id] for split in SPLITS for image_id in splits[split]]
    outcome = build(spec, root, source, splits, listed, copy=copy, extra={draft: record})
    if not standing:
        print(f"wrote a first {draft}: look at its folds and class names")
    print(f"use it with --dataset {draft}")
    return outcome


def first_json(name: str, labels: Sequence[str], raw_ids: Sequence[Sequence[tuple[int, ...]]]) -> dict[str, Any]:
    """A first dataset.json: right parts merged into left ones, two folds, classes in the order of their rarity.

    `raw_ids` holds, for train and test, the label ids of each image. A class in fewer than two training images is
    dropped, and one that the test images cannot show in both roles is not evaluated. Raises `UserError` when fewer
    than two remain.
    """
    merges = {
        i: labels.index(left)
        for i, label in enumerate(labels)
        if (left := re.sub(r"^([Rr])ight\b", lambda m: "Left" if m[1] == "R" else "left", label)) != label
        and left in labels
    }
    mirrored = list(merges.items())
    train, test = ([{merges.get(i, i) for i in ids} for ids in split] for split in raw_ids)
    kept = [i for i in range(1, len(labels)) if i not in merges]
    dropped = [i for i in kept if sum(i in ids for ids in train) < 2]
    dropped += [right for right, left in mirrored if left in dropped]
    merges = {right: left for right, left in mirrored if left not in dropped}
    classes = sorted(set(kept) - set(dropped), key=lambda i: sum(i in ids for ids in train + test))
    if len(classes) < 2:
        raise UserError(
            f"{name}: needs two classes that each occur in two training images, one novel and one base; add images"
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
        "merges": {labels[right]: labels[left] for right, left in merges.items()},
        "dropped": [labels[i] for i in dropped],
        "mirrored": [[labels[left], labels[right]] for right, left in mirrored],
        "folds": {fold: [labels[i] for i in sorted(ids)] for fold, ids in novel.items()},
        "evaluation_order": [labels[i] for i in evaluated],
        "boundary": {"train": len(train) - 1, "test": half - 1},
        "queries_per_class": min(QUERIES_PER_CLASS, half),
        "supports_per_query": min(SUPPORTS_PER_QUERY, len(test) - half),
        "all_images_both": True,
    }


def _name_of(source: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", source.resolve().name).strip("-_").lower()
    if not name:
        raise UserError(f"{source}: its name does not make a name for a data set; give --name")
    return name
