"""Confusion matrices against hand counts and the goldens of the protocol."""

import math

import pytest
import torch

from dataloaders import catalog
from engine import report
from engine.evaluation import Evaluation
from engine.metrics import ConfusionMatrix, Figures, binary_figures, kway_figures

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
