"""The measure of borders, on masks made by hand and on the toy set."""

import numpy as np
import pytest

from tools import measure_borders

from .own_photos import write_checkpoint


def square(left: int, side: int = 20) -> np.ndarray:
    mask = np.zeros((60, 60), dtype=bool)
    mask[20 : 20 + side, left : left + side] = True
    return mask


def test_an_outline_may_be_three_pixels_off_and_no_more():
    score = measure_borders.boundary_score
    assert score(square(20), square(20)) == score(square(20), square(23)) == 100
    assert score(square(20), square(26)) < 75 and score(square(20), square(26)) == score(square(26), square(20))
    assert score(square(5, 4), square(50, 4)) == score(np.zeros((60, 60), dtype=bool), square(5)) == 0


def test_classes_that_a_photo_lacks_do_not_count_and_small_ones_count_apart():
    borders = measure_borders.Borders(4)
    truth = np.where(square(20), 1, 0).astype(np.uint8)
    truth[:5, :5] = 2
    found = np.where(square(30), 1, 0).astype(np.uint8)
    found[:5, :5] = 2
    borders.add(found, truth, [1, 2, 3])
    miou, boundary, small_iou, small_boundary = map(float, borders.row())
    assert miou == pytest.approx((100 + 100 / 3) / 2, abs=0.1)
    assert small_iou == small_boundary == 100 and 50 < boundary < 100


def test_on_a_split(toy_root, tmp_path, capsys):
    checkpoint = write_checkpoint(tmp_path / "tiny.pt")
    words = f"--checkpoint {checkpoint} --dataset toy --data-root {toy_root} --split test --parses 2"
    measure_borders.main(words.split())
    titles = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert titles == ["plain", "refined", "refined, without specks"]
