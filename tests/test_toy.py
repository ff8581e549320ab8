"""The toy data set: reproducible, labelled exactly in ATR's values, every class in plenty, and laid out like ATR."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dataloaders import toy
from dataloaders.toy.outfit import DRESS, LABELS, LEFT_SHOE, PANTS, RIGHT_SHOE, SKIRT, UPPER, Outfit
from dataloaders.toy.paint import SUPERSAMPLE, Canvas, ellipse
from utils import parallel

from .data_helpers import tree

SIZE = (192, 128)


@pytest.fixture(scope="module")
def labels() -> list[np.ndarray]:
    return [toy.draw(0, index, (96, 64))[1] for index in range(1, 61)]


def shares(labels: list[np.ndarray]) -> np.ndarray:
    """The share of pictures (18,) that show each class."""
    return np.mean([np.bincount(label.ravel(), minlength=len(LABELS)) > 0 for label in labels], axis=0)


def contrast_at_edges(picture: np.ndarray, label: np.ndarray) -> float:
    """Mean difference in colour of neighbours, one above the other or side by side, whose labels differ."""
    steps = []
    for axis in (0, 1):
        colour = np.abs(np.diff(picture.astype(int), axis=axis)).sum(axis=2)
        steps.append(colour[np.diff(label.astype(int), axis=axis) != 0])
    return float(np.concatenate(steps).mean())


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
    assert set(np.unique(labels)) == set(range(len(LABELS)))


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


def test_the_outfit_is_that_of_the_drawing() -> None:
    for index in range(1, 30):
        outfit = Outfit(np.random.default_rng([0, index]))
        label = toy.draw(0, index, (96, 64))[1]
        assert (label == outfit.bottom).any()
        assert (label == UPPER).any() == bool(outfit.upper or outfit.jacket)
        assert (label == LABELS.index("hat")).any() == bool(outfit.hat)
        assert (label == LABELS.index("scarf")).any() == bool(outfit.scarf)


def test_the_left_shoe_is_the_wearers_left() -> None:
    """People face the viewer: their left side is the picture's right. Legs may cross, so most pictures count."""
    right_of = []
    for index in range(1, 60):
        label = toy.draw(0, index, (96, 64))[1]
        left, right = (np.argwhere(label == shoe)[:, 1] for shoe in (LEFT_SHOE, RIGHT_SHOE))
        right_of += [left.mean() > right.mean()] if len(left) and len(right) else []
    assert np.mean(right_of) > 0.7


def test_flat_colours_and_labels_end_at_the_same_pixels() -> None:
    """Where a shape covers whole pixels, those of its colour are those of its label."""
    canvas = Canvas((40, 30), np.random.default_rng(0))
    corners = SUPERSAMPLE * np.array([(6, 8), (19, 8), (19, 25), (6, 25)]) + [[0, 0], [2, 0], [2, 2], [0, 2]]
    canvas.paint(5, np.ones(3), corners)
    picture, label = canvas.finish()
    assert np.array_equal(picture.min(axis=2) > 0, label == 5)
    assert label[8:26, 6:20].min() == 5 and (label == 5).sum() == 18 * 14


def test_a_label_is_what_covers_most_of_its_pixel() -> None:
    canvas = Canvas((40, 30), np.random.default_rng(0))
    canvas.paint(7, np.ones(3), SUPERSAMPLE * ellipse(15, 20, 9, 13))
    share = cv2.resize(np.float32(canvas.label == 7), (30, 40), interpolation=cv2.INTER_AREA)
    assert np.array_equal(canvas.finish()[1] == 7, share > 0.5)
    assert 0 < share[share > 0].min() < 0.5


def test_the_edges_of_picture_and_label_coincide() -> None:
    """Moved by two pixels to any side, the labels' edges lie on less contrast than where they are."""
    exact, moved = [], {way: [] for way in ((2, 0), (-2, 0), (0, 2), (0, -2))}
    for index in range(1, 13):
        picture, label = toy.draw(0, index, SIZE)
        exact.append(contrast_at_edges(picture, label))
        for way, found in moved.items():
            found.append(contrast_at_edges(picture, np.roll(label, way, axis=(0, 1))))
    for found in moved.values():
        assert np.mean(exact) > 1.5 * np.mean(found)


def test_build_writes_the_layout_and_the_same_bytes_twice(tmp_path: Path) -> None:
    toy.build(tmp_path, train=3, test=2, size=SIZE, progress=False)
    written = tree(tmp_path)
    names = [f"toy_{k:05d}" for k in range(1, 6)]
    expected = {f"trainval_images/{name}.jpg" for name in names} | {f"trainval_classes/{name}.png" for name in names}
    assert set(written) == expected | {"list/meta_train_id.txt", "list/meta_test_id.txt"}
    assert (tmp_path / "list/meta_train_id.txt").read_text().split() == names[:3]
    assert (tmp_path / "list/meta_test_id.txt").read_text().split() == names[3:]
    toy.build(tmp_path, train=3, test=2, size=SIZE, progress=False)
    assert tree(tmp_path) == written


def test_files_hold_what_draw_returns(tmp_path: Path) -> None:
    toy.build(tmp_path, train=1, test=0, size=SIZE, seed=5, progress=False)
    picture, label = toy.draw(5, 1, SIZE)
    stored = cv2.imread(str(tmp_path / "trainval_classes/toy_00001.png"), cv2.IMREAD_UNCHANGED)
    assert stored.ndim == 2 and np.array_equal(stored, label)
    photo = cv2.imread(str(tmp_path / "trainval_images/toy_00001.jpg"))[..., ::-1]
    assert np.abs(photo.astype(int) - picture).mean() < 4


def test_worker_processes_draw_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "SMALL_JOB", 2)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    toy.build(tmp_path / "many", train=12, test=4, size=(96, 64), progress=False)
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    toy.build(tmp_path / "one", train=12, test=4, size=(96, 64), progress=False)
    assert tree(tmp_path / "many") == tree(tmp_path / "one")
