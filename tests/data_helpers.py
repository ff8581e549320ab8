"""Miniature sources and data folders for the tests of `dataloaders`."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image

from dataloaders import catalog
from dataloaders.layout import label_path
from dataloaders.oshp_loader import TestEpisodes
from dataloaders.prepare.build import build_table, dump_supports
from dataloaders.prepare.ccp import TAGS, prepare_ccp
from dataloaders.prepare.check import Outcome
from dataloaders.prepare.published import prepare_published
from dataloaders.reading import ids_in, read_label
from dataloaders.spec import SPLITS, DatasetSpec

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE = (48, 40)  # (H, W) of the miniature photos


def label_map(slots: int, seed: int, without: Iterable[int] = ()) -> np.ndarray:
    """Label map with a stripe of every raw id but those in `without`, in an order of its own."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation([i for i in range(slots) if i not in set(without)])
    stripes = np.repeat(ids, -(-SIZE[1] // len(ids)))[: SIZE[1]]
    missing = sorted(set(ids.tolist()) - set(stripes.tolist()))
    label = np.tile(stripes, (SIZE[0], 1)).astype(np.uint8)
    label[0, : len(missing)] = missing
    return label


def save_image(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    """A small photo of smooth noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC).save(path)


def save_label(path: Path, label: np.ndarray) -> None:
    """A label map as a grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(label).save(path)


def read(path: Path) -> np.ndarray:
    """Pixels of a PNG as they stand in the file."""
    return np.array(Image.open(path))


def mirror(spec: DatasetSpec, label: np.ndarray) -> np.ndarray:
    """Label map of the mirrored photo, left and right parts swapped."""
    return spec.mirror_table()[label[:, ::-1]]


def make_data(spec: DatasetSpec, root: Path, train: int = 12, test: int = 8) -> Path:
    """A prepared data folder in which every image holds every class."""
    for split, number, first in (("train", train, 0), ("test", test, 1000)):
        ids = [f"{split}_{i:03d}" for i in range(number)]
        for i, image_id in enumerate(ids):
            save_image(root / "trainval_images" / f"{image_id}.jpg", first + i)
            save_label(root / "trainval_classes" / f"{image_id}.png", label_map(spec.num_slots, first + i))
        (root / "list").mkdir(exist_ok=True)
        (root / "list" / f"meta_{split}_id.txt").write_text("".join(f"{i}\n" for i in ids))
    (root / "support").mkdir()
    for split in SPLITS:
        ids = (root / "list" / f"meta_{split}_id.txt").read_text().split()
        path = root / "support" / f"meta_{split}_{spec.name}_supports.pkl"
        path.write_bytes(dump_supports(index_of(spec, root, split, ids)))
    return root


def index_of(spec: DatasetSpec, root: Path, split: str, ids: Iterable[str]) -> dict[int, list[int]]:
    """The support index that follows from the label maps of a prepared data folder."""
    return build_table(spec, split, [ids_in(read_label(label_path(root, i), spec.num_slots)) for i in ids])


def prepare(name: str, source: Path, data_root: Path, **options: int) -> Outcome:
    """Prepare a data set that is downloaded."""
    if name == "ccp":
        return prepare_ccp(source, data_root, **options)
    return prepare_published(name, source, data_root, **options)


def make_source(name: str, folder: Path, number: int = 16) -> Path:
    """A miniature of the unpacked download of a data set, `number` photos in all."""
    {"atr": _atr, "lip": _lip, "cihp": _cihp, "ccp": _ccp}[name](folder, number)
    return folder


def run_module(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` in the repository and return its status and output."""
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def _pair(spec: DatasetSpec, image: Path, label: Path, seed: int, mirrored: Path | None = None) -> None:
    save_image(image, seed)
    content = label_map(spec.num_slots, seed)
    save_label(label, content)
    if mirrored is not None:
        save_label(mirrored, mirror(spec, content))


def _atr(folder: Path, number: int) -> None:
    for i in range(number):
        name, names = f"2500_{i}", ("SegmentationClassAug", "SegmentationClassAug_rev")
        label, reverse = (folder / part / f"{name}.png" for part in names)
        _pair(catalog.load("atr"), folder / "JPEGImages" / f"{name}.jpg", label, i, reverse)


def _lip(folder: Path, number: int) -> None:
    images, labels = "TrainVal_images", "TrainVal_parsing_annotations"
    reverse = {
        "train": folder / "Train_parsing_reversed_labels" / labels,
        "val": folder / "val_segmentations_reversed",
    }
    for i in range(number):
        split, name = ("train", f"{i}_1") if i % 2 else ("val", f"{i}_2")
        image = folder / images / images / f"{split}_images" / f"{name}.jpg"
        label = folder / labels / labels / f"{split}_segmentations" / f"{name}.png"
        _pair(catalog.load("lip"), image, label, i, reverse[split] / f"{name}.png")


def _cihp(folder: Path, number: int) -> None:
    for i in range(number):
        part = folder / ("Training" if i % 2 else "Validation")
        label = part / "Category_ids" / f"{i:07d}.png"
        mirrored = folder / "Category_rev_ids" / label.name
        _pair(catalog.load("cihp"), part / "Images" / f"{i:07d}.jpg", label, i, mirrored)


def _ccp(folder: Path, number: int) -> None:
    tags = ["null", *sorted({tag for names in TAGS.values() for tag in names.split()} - {"null"})]
    names = np.empty((1, len(tags)), dtype=object)
    names[0] = [np.array([tag]) for tag in tags]
    labels = folder / "annotations" / "pixel-level"
    labels.mkdir(parents=True)
    scipy.io.savemat(folder / "label_list.mat", {"label_list": names})
    lists = REPOSITORY / "dataloaders" / "splits" / "ccp"
    ids = [i for split in SPLITS for i in (lists / f"meta_{split}_id.txt").read_text().split()[: number // 2]]
    first_tags = [tags.index(names.split()[0]) for names in TAGS.values()]
    for seed, name in enumerate(ids):
        save_image(folder / "photos" / f"{name}.jpg", seed)
        groundtruth = np.array(first_tags, dtype=np.uint8)[label_map(len(TAGS), seed)]
        scipy.io.savemat(labels / f"{name}.mat", {"groundtruth": groundtruth})


def png_bytes(array: np.ndarray) -> bytes:
    """An array as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by its path there, with its content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def few_pairs(step: int) -> type[TestEpisodes]:
    """Test episodes of a short list: of every `step` pairs the first."""

    class FewPairs(TestEpisodes):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.pairs = self.pairs[::step]

    return FewPairs
