"""Confusion matrices against hand counts and the goldens of the protocol."""

import math

import numpy as np
import pytest
import torch

from dataloaders import catalog
from engine import report
from engine.bootstrap import QueryCounts, intervals, read_counts, resampled
from engine.evaluation import Evaluation
from engine.metrics import ConfusionMatrix, Figures, binary_figures, kway_figures
from utils.errors import UserError

from . import goldens

ATR = (0, 1, 2, 4, 5, 6, 7, 9, 11, 12, 14, 16)
ATR_BASE_1 = (0, 1, 2, 4, 9, 11, 12, 14, 16)


def golden(kind):
    """The arrays of one kind."""
    arrays = goldens.arrays("metrics")
    return {key.removeprefix(f"{kind}_"): array for key, array in arrays.items() if key.startswith(f"{kind}_")}


def test_kway_figures_equal_the_golden():
    arrays = golden("kway")
    matrix = ConfusionMatrix(18)
    for prediction, label in zip(arrays["pred"], arrays["label"], strict=True):
        matrix.update(prediction, label)
    figures = kway_figures(matrix, ATR, ATR_BASE_1)
    assert matrix.iou() == pytest.approx((100 * arrays["iou"]).tolist())
    for ours, theirs in (("human", "human"), ("base", "base_f1"), ("novel", "novel_f1"), ("accuracy", "overall_acc")):
        assert getattr(figures, ours) == pytest.approx(100 * arrays[theirs].item())


def test_binary_figures_equal_the_golden():
    arrays = golden("binary")
    matrix = ConfusionMatrix(2)
    matrix.update(arrays["pred"], arrays["label"])
    assert matrix.iou() == pytest.approx([100 * arrays["bg"].item(), 100 * arrays["fg"].item()])


def test_ignored_pixels_do_not_count_and_unseen_classes_are_nan():
    matrix = ConfusionMatrix(3)
    matrix.update(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 255]))
    assert matrix.counts.sum() == 3
    iou = matrix.iou()
    assert iou[:2] == [50.0, 50.0] and math.isnan(iou[2])
    figures = kway_figures(matrix, classes=(0, 1, 2), base=(0, 1))
    assert figures.human == 50.0 and math.isnan(figures.novel)


def test_binary_background_is_the_mean_over_classes_and_bi_miou_pools_all_pairs():
    one, two = ConfusionMatrix(2), ConfusionMatrix(2)
    one.update(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 1]))
    two.update(torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1]))
    figures = binary_figures({5: one, 7: two}, base=(0, 5))
    third = 100 / 3
    assert figures.iou == pytest.approx({0: (100 + third) / 2, 5: 100, 7: third})
    assert figures.base == pytest.approx(((100 + third) / 2 + 100) / 2)
    assert figures.novel == pytest.approx(third)
    assert figures.binary == pytest.approx(60.0)


def test_a_figure_that_does_not_exist_is_null_in_results_and_history():
    figures = {"npm": Figures({0: 50.0}, human=50.0, base=50.0, novel=math.nan, accuracy=50.0)}
    content = report.results(
        Evaluation(figures, {"mean": 1.0}), catalog.load("toy"), 1, None, history=[{"novel": math.nan}]
    )
    assert content["figures"]["npm"]["novel"] is None and content["history"] == [{"novel": None}]
    assert content["figures"]["npm"]["iou"] == {"background": 50.0} and "binary" not in content["figures"]["npm"]


def counts_of_queries(right: list[int], wrong: list[int]) -> QueryCounts:
    """Two classes of which a query each shows so many pixels that are right, and wrong."""
    matrices = np.array([[[[r, w], [w, r]]] for r, w in zip(right, wrong, strict=True)])
    return QueryCounts(matrices, np.array([0]), np.array([0, 1]), np.array([0]))


def test_an_interval_is_a_point_where_queries_are_alike_and_holds_the_figure_where_they_differ():
    alike = intervals(resampled(counts_of_queries([3] * 9, [1] * 9)))
    assert alike["human"] == pytest.approx((60, 60))
    counts = counts_of_queries([1, 5, 9, 2, 7, 3, 8, 4], [9, 5, 1, 8, 3, 7, 2, 6])
    low, high = intervals(resampled(counts))["novel"]
    assert low + 10 < counts.figures(counts.matrices.sum(axis=0))[2] < high - 10
    assert intervals(resampled(counts))["novel"] == (low, high)


def test_the_interval_of_a_difference_takes_the_same_queries_for_both():
    """One is better by a little on every query: the difference is sure, though each by itself is not."""
    right = np.array([10, 50, 90, 20, 70, 30, 80, 40])
    one, other = (resampled(counts_of_queries(list(r), list(100 - r))) for r in (right, right + 1))
    low, high = intervals(other - one)["human"]
    assert 0 < low < high < 3 < np.subtract(*intervals(one)["human"][::-1])


def test_counts_by_query_come_back_from_their_file(tmp_path):
    counts = counts_of_queries([3, 4], [1, 0])
    counts.save(tmp_path / "results.npz")
    read = read_counts(tmp_path / "results.npz")
    assert all(np.array_equal(a, b) for a, b in zip(read, counts, strict=True))
    assert read_counts(tmp_path / "other.npz") is None
    (tmp_path / "results.npz").write_bytes(b"PK" + bytes(30))
    with pytest.raises(UserError, match=r"results\.npz: damaged"):
        read_counts(tmp_path / "results.npz")


def test_the_table_tells_the_foreground_miou_from_the_iou_of_the_person():
    figures = {"npm": Figures({0: 50.0}, human=50.0, base=50.0, novel=math.nan, accuracy=50.0)}
    scores = {"mean": 91.0, "background": 98.0, "human": 84.0}
    printed = report.text(Evaluation(figures, scores), catalog.load("toy"), 1, None, {"npm": {}})
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in printed.splitlines() if "Foreground" in line]
    assert rows == [["Foreground mIoU", "91.0"], ["Foreground IoU", "84.0"]]
