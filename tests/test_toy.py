"""The toy data set: reproducible, labelled in ATR's values, with every class in plenty, and laid out like ATR."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dataloaders import toy
from dataloaders.toy.outfit import DRESS, LABELS, PANTS, SKIRT

SIZE = (192, 128)


@pytest.fixture(scope="module")
def labels() -> list[np.ndarray]:
    return [toy.draw(0, index, (96, 64))[1] for index in range(1, 61)]


def shares(labels: list[np.ndarray]) -> np.ndarray:
    """The share of pictures (18,) that show each class."""
    return np.mean([np.bincount(label.ravel(), minlength=len(LABELS)) > 0 for label in labels], axis=0)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_picture_depends_on_seed_and_index_only() -> None:
    first, again = toy.draw(3, 7, SIZE), toy.draw(3, 7, SIZE)
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    for other in (toy.draw(4, 7, SIZE), toy.draw(3, 8, SIZE)):
        assert not np.array_equal(first[0], other[0])
        assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("size", [(192, 128), (96, 64), (100, 90)])
def test_picture_and_label_agree_in_size(size: tuple[int, int]) -> None:
    picture, label = toy.draw(0, 1, size)
    assert picture.shape == (*size, 3) and picture.dtype == np.uint8
    assert label.shape == size and label.dtype == np.uint8


def test_labels_are_those_of_atr(labels: list[np.ndarray]) -> None:
    assert len(LABELS) == 18
    assert max(int(label.max()) for label in labels) < len(LABELS)


def test_every_class_is_there_in_plenty(labels: list[np.ndarray]) -> None:
    share = dict(zip(LABELS, shares(labels), strict=True))
    bounds = {
        "background": (1.0, 1.0), "hat": (0.15, 0.45), "hair": (0.85, 1.0), "sunglasses": (0.08, 0.4),
        "upper-clothes": (0.6, 0.95), "skirt": (0.12, 0.42), "pants": (0.3, 0.65), "dress": (0.12, 0.42),
        "belt": (0.1, 0.4), "left-shoe": (0.7, 1.0), "right-shoe": (0.7, 1.0), "face": (0.9, 1.0),
        "left-leg": (0.5, 1.0), "right-leg": (0.5, 1.0), "left-arm": (0.9, 1.0), "right-arm": (0.9, 1.0),
        "bag": (0.2, 0.55), "scarf": (0.04, 0.3),
    }  # fmt: skip
    assert bounds.keys() == share.keys()
    assert {name: share[name] for name, (low, high) in bounds.items() if not low <= share[name] <= high} == {}


def test_a_person_wears_one_of_skirt_pants_and_dress(labels: list[np.ndarray]) -> None:
    for label in labels:
        assert sum(bool((label == k).any()) for k in (SKIRT, PANTS, DRESS)) == 1


def test_a_person_fills_a_fair_part_of_the_picture(labels: list[np.ndarray]) -> None:
    covered = [float((label > 0).mean()) for label in labels]
    assert min(covered) > 0.05 and max(covered) < 0.7


def test_build_writes_the_layout_and_the_same_bytes_twice(tmp_path: Path) -> None:
    toy.build(tmp_path, train=3, test=2, size=SIZE, progress=False)
    written = contents(tmp_path)
    names = [f"toy_{k:05d}" for k in range(1, 6)]
    expected = {f"trainval_images/{name}.jpg" for name in names} | {f"trainval_classes/{name}.png" for name in names}
    assert set(written) == expected | {"list/meta_train_id.txt", "list/meta_test_id.txt"}
    assert (tmp_path / "list/meta_train_id.txt").read_text().split() == names[:3]
    assert (tmp_path / "list/meta_test_id.txt").read_text().split() == names[3:]
    toy.build(tmp_path, train=3, test=2, size=SIZE, progress=False)
    assert contents(tmp_path) == written


def test_files_hold_what_draw_returns(tmp_path: Path) -> None:
    toy.build(tmp_path, train=1, test=0, size=SIZE, seed=5, progress=False)
    picture, label = toy.draw(5, 1, SIZE)
    stored = cv2.imread(str(tmp_path / "trainval_classes/toy_00001.png"), cv2.IMREAD_UNCHANGED)
    assert stored.ndim == 2 and np.array_equal(stored, label)
    photo = cv2.imread(str(tmp_path / "trainval_images/toy_00001.jpg"))[..., ::-1]
    assert np.abs(photo.astype(int) - picture).mean() < 4


def test_worker_processes_draw_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy, "_cores", lambda: 2)
    toy.build(tmp_path / "many", train=12, test=4, size=(96, 64), progress=False)
    monkeypatch.setattr(toy, "_cores", lambda: 1)
    toy.build(tmp_path / "one", train=12, test=4, size=(96, 64), progress=False)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
