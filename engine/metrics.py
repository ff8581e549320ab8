"""Confusion matrices and the figures of the benchmark (spec: Metrics), in percent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from utils.constants import IGNORE
from utils.distributed import sum_over_ranks


class ConfusionMatrix:
    """int64 counts (N, N), rows labels, columns predictions, kept on the device that holds the predictions."""

    def __init__(self, num_classes: int, device: torch.device | str = "cpu") -> None:
        self.counts = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Add integer maps of one shape; pixels with label 255 do not count."""
        n = len(self.counts)
        pairs = label.long() * n + prediction.long()
        pairs = pairs[label != IGNORE]
        self.counts += torch.bincount(pairs, minlength=n * n).view(n, n)

    def reduce(self) -> None:
        """Add up over the ranks."""
        sum_over_ranks(self.counts)

    def iou(self) -> list[float]:
        """IoU per class in percent; NaN for a class that neither labels nor predictions hold."""
        counts = self.counts.cpu().double()
        hit = counts.diagonal()
        union = counts.sum(0) + counts.sum(1) - hit
        return (100 * hit / union).tolist()

    def accuracy(self) -> float:
        """Share of pixels that are right, in percent; NaN without pixels."""
        counts = self.counts.cpu().double()
        return (100 * counts.diagonal().sum() / counts.sum()).item()


def mean(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if none is left."""
    kept = [v for v in values if not math.isnan(v)]
    return sum(kept) / len(kept) if kept else math.nan


def kway_figures(matrix: ConfusionMatrix, classes: Sequence[int], base: Sequence[int]) -> dict[str, object]:
    """Per-class IoU and Human, Base, Novel mIoU and overall accuracy of one matrix over all pixels of all pairs.

    `classes` and `base` hold merged ids with the background; novel is the rest.
    """
    iou = matrix.iou()
    return {**_means({c: iou[c] for c in classes}, base), "accuracy": matrix.accuracy()}


def binary_figures(matrices: dict[int, ConfusionMatrix], base: Sequence[int]) -> dict[str, object]:
    """1-way: one 2x2 matrix per class. The background's IoU is the mean of the classes' background IoUs.

    bi-mIoU is the mean of background and foreground IoU over every pair pooled.
    """
    pooled = ConfusionMatrix(2)
    for matrix in matrices.values():
        pooled.counts += matrix.counts.cpu()
    ious = {c: matrix.iou() for c, matrix in matrices.items()}
    per_class = {0: mean(iou[0] for iou in ious.values()), **{c: iou[1] for c, iou in sorted(ious.items())}}
    return {**_means(per_class, base), "accuracy": pooled.accuracy(), "binary": mean(pooled.iou())}


def _means(iou: dict[int, float], base: Sequence[int]) -> dict[str, object]:
    return {
        "iou": iou,
        "human": mean(iou.values()),
        "base": mean(v for c, v in iou.items() if c in base),
        "novel": mean(v for c, v in iou.items() if c not in base),
    }
