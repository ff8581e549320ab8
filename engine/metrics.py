"""Confusion matrices and the figures of the benchmark in percent (docs/method.md, steps 27 and 28)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from utils.constants import IGNORE


class ConfusionMatrix:
    """int64 counts (N, N), rows labels, columns predictions, kept on the device that holds the predictions."""

    def __init__(self, num_classes: int, device: torch.device | str = "cpu") -> None:
        self.counts = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)

    @classmethod
    def of(cls, counts: Tensor) -> ConfusionMatrix:
        """The matrix that holds these counts (N, N), and adds to them in place."""
        matrix = cls.__new__(cls)
        matrix.counts = counts
        return matrix

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Add integer maps of one shape; pixels with label 255 do not count."""
        n = len(self.counts)
        pairs = label.long() * n + prediction.long()
        pairs = pairs[label != IGNORE]
        self.counts += torch.bincount(pairs, minlength=n * n).view(n, n)

    def iou(self) -> list[float]:
        """IoU per class in percent; NaN for a class that neither labels nor predictions hold."""
        counts = self.counts.cpu().double()
        hit = counts.diagonal()
        union = counts.sum(0) + counts.sum(1) - hit
        values: list[float] = (100 * hit / union).tolist()
        return values

    def miou(self) -> float:
        """Mean IoU of the classes without the background, in percent: of those that labels or predictions hold."""
        return mean(self.iou()[1:])

    def accuracy(self) -> float:
        """Share of pixels that are right, in percent; NaN without pixels."""
        counts = self.counts.cpu().double()
        return float(100 * counts.diagonal().sum() / counts.sum())


def mean(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if none is left."""
    kept = [v for v in values if not math.isnan(v)]
    return sum(kept) / len(kept) if kept else math.nan


@dataclass(frozen=True)
class Figures:
    """Figures in percent: IoU by class id, and means over the classes; NaN where there is nothing to average."""

    iou: dict[int, float]
    human: float  # mean over all classes, background included
    base: float
    novel: float
    accuracy: float
    binary: float | None = None  # bi-mIoU, in 1-way

    def summary(self) -> dict[str, float]:
        """All but the classes' own IoU, by name."""
        return {name: value for name, value in vars(self).items() if name != "iou" and value is not None}


def figures_of(matrices: Mapping[int, ConfusionMatrix], classes: Sequence[int], base: Sequence[int]) -> Figures:
    """Of one matrix under key 0, in k-way, or of one for each class, in 1-way."""
    return kway_figures(matrices[0], classes, base) if 0 in matrices else binary_figures(matrices, base)


def kway_figures(matrix: ConfusionMatrix, classes: Sequence[int], base: Sequence[int]) -> Figures:
    """One matrix over all pairs. `base` and `classes` are merged ids, 0 with them; the rest of `classes` is novel."""
    iou = matrix.iou()
    return _figures({c: iou[c] for c in classes}, base, matrix.accuracy())


def binary_figures(matrices: Mapping[int, ConfusionMatrix], base: Sequence[int]) -> Figures:
    """1-way: one 2x2 matrix per class. The background's IoU is the mean of the classes' background IoUs.

    bi-mIoU is the mean of background and foreground IoU over every pair pooled.
    """
    pooled = ConfusionMatrix(2)
    for matrix in matrices.values():
        pooled.counts += matrix.counts.cpu()
    ious = {c: matrix.iou() for c, matrix in matrices.items()}
    per_class = {0: mean(iou[0] for iou in ious.values()), **{c: iou[1] for c, iou in sorted(ious.items())}}
    return _figures(per_class, base, pooled.accuracy(), mean(pooled.iou()))


def _figures(iou: dict[int, float], base: Sequence[int], accuracy: float, binary: float | None = None) -> Figures:
    of_base, of_novel = (mean(v for c, v in iou.items() if (c in base) == kind) for kind in (True, False))
    return Figures(iou, mean(iou.values()), of_base, of_novel, accuracy, binary)
