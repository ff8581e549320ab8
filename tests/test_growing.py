"""Strokes that grow into label maps, and the tools that measure them and the page's example."""

import numpy as np
import pytest
import torch

pytest.importorskip("gradio", reason="the page needs gradio: pip install -r requirements-demo.txt")

from inference.growing import Scene, grow, ungrown
from inference.page.references import Reference
from networks.base import Features
from tools.measure_example import miou
from tools.measure_strokes import stroked, watershed

SIDE = 64


def scene(guided: bool = True) -> tuple[np.ndarray, np.ndarray, Scene]:
    """A photo (64, 64) of four quarters, their numbers 1 to 4, and a scene in which all but the last are a person."""
    quarters = np.kron([[1, 2], [3, 4]], np.ones((SIDE // 2, SIDE // 2), np.uint8)).astype(np.uint8)
    photo = np.array([[0, 0, 0], [200, 30, 30], [30, 30, 200], [30, 200, 30], [90, 90, 90]], np.uint8)[quarters]
    small = torch.from_numpy(quarters[::4, ::4].astype(np.int64))
    fine = torch.nn.functional.one_hot(small, 8).permute(2, 0, 1)[None].float()
    guide = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255 if guided else None
    return photo, quarters, Scene(Features(fine, fine, guide), quarters != 4)


@pytest.mark.parametrize("guided", [True, False])
def test_strokes_fill_what_is_like_them_and_nothing_else(guided):
    photo, _, sight = scene(guided)
    strokes = np.full((SIDE, SIDE), 255, np.uint8)
    strokes[8:12, 4:28], strokes[8:12, 40:60] = 7, 9
    strokes[40, 40:44], strokes[2, 2:6] = 7, 0  # beside the person, and background within it
    grown = grow(photo, strokes, sight)
    inner = np.s_[6:26, 6:26]
    assert (grown[: SIDE // 2, : SIDE // 2][inner] == 7).all() and (grown[: SIDE // 2, SIDE // 2 :][inner] == 9).all()
    assert (grown[SIDE // 2 :, : SIDE // 2][inner] == 255).all(), "like no stroke"
    assert (grown[40, 40:44] == 7).all() and (grown[2, 2:6] == 0).all() and (grown[50:60, 50:60] == 0).all()
    plain = ungrown(strokes, sight)
    assert (plain[strokes != 255] == strokes[strokes != 255]).all()
    assert set(np.unique(plain[(strokes == 255) & sight.person])) == {255}
    assert not plain[(strokes == 255) & ~sight.person].any()


def test_watershed_stops_at_edges_and_outside_the_person():
    photo, quarters, sight = scene()
    strokes = np.full((SIDE, SIDE), 255, np.uint8)
    for number, (y, x) in enumerate(((16, 16), (16, 48), (48, 16)), 1):
        strokes[y - 2 : y + 2, x - 2 : x + 2] = number
    found = watershed(photo, strokes, sight)
    assert (found == np.where(quarters == 4, 0, quarters)).mean() > 0.9 and not found[quarters == 4].any()


def test_strokes_cover_their_share_inside_every_larger_part():
    label = np.zeros((100, 100), np.uint8)
    label[10:60, 10:50], label[70:95, 5:25], label[70:95, 60:80], label[0, 0] = 1, 2, 2, 2
    strokes = stroked(label, 0.01, np.random.default_rng(0))
    assert [(strokes == i).sum() for i in (1, 2)] == [20, 10], "1 % of 2000 pixels, and of two parts of 500 each"
    assert (label[strokes != 255] == strokes[strokes != 255]).all() and strokes[0, 0] == 255
    assert (strokes[:, :40] == 2).sum() == 5


def test_the_miou_of_a_photo_counts_the_references_classes_alone():
    labels = np.array([[1, 1, 2, 2, 3, 255]])
    reference = Reference(np.zeros((1, 6, 3), np.uint8), np.array([[1, 2, 4, 5, 255, 0]]), {}, {})
    photo = reference._replace(labels=labels)
    found = np.array([[1, 2, 2, 2, 4, 1]])  # 1: 1 of 2, 2: 2 of 3, 4: 0 of 1; nobody has 5
    assert miou(found, photo, reference) == pytest.approx(100 * (1 / 2 + 2 / 3 + 0) / 3)
