"""The toy data set: drawn people, nothing to download."""

import tempfile
from pathlib import Path

from .. import catalog, toy
from ..layout import image_path, label_path, list_path, read_ids
from ..spec import SPLITS
from .build import build
from .check import Outcome
from .photos import SourceFiles, verified_photo

TEST_SHARE = 0.2


def prepare_toy(data_root: str | Path = catalog.DATA_ROOT, *, images: int | None = None, seed: int = 0) -> Outcome:
    """Draw the toy data set, `images` in all, build its support index and check it.

    A set drawn earlier with the same numbers is kept. Raises `UserError` when something else stands in its place.
    """
    spec = catalog.load("toy")
    root = catalog.locate(spec, data_root)
    assert spec.counts is not None
    test = spec.counts["test"] if images is None else max(round(TEST_SHARE * images), 2)
    train = spec.counts["train"] if images is None else images - test
    with tempfile.TemporaryDirectory(prefix="toy-") as name:
        drawn = Path(name)
        toy.build(drawn, train=train, test=test, seed=seed)
        splits = {split: read_ids(drawn, split) for split in SPLITS}
        ids = [image_id for split in SPLITS for image_id in splits[split]]
        photos = [verified_photo(spec, SourceFiles(i, image_path(drawn, i), label_path(drawn, i))) for i in ids]
        lists = {list_path(root, split): list_path(drawn, split) for split in SPLITS}
        return build(spec, root, drawn, splits, photos, copy=True, extra=lists)
