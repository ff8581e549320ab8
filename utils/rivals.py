"""Which known classes compete with a reference as background, told without torch; docs/method.md, step 40."""

from collections.abc import Sequence

import numpy as np

TAKEN = 0.1  # of a class's pixels in the reference: who wins more is taken to be that class by another name
LOOKED_AT = 256  # longest side, at the least, at which these pixels are counted


def thinned(labels: np.ndarray) -> np.ndarray:
    """Every n-th pixel of a label map (H, W): enough to count by."""
    step = max(1, max(labels.shape) // LOOKED_AT)
    return labels[::step, ::step]


def left_over(taken: np.ndarray, others: Sequence[int]) -> list[int]:
    """Those of `others`, R, that won few pixels of any class; `taken` (1 + R, K) counts pixels by winner and class."""
    shares = taken[1:] / taken.sum(axis=0).clip(min=1)
    return [row for row, share in zip(others, shares.max(axis=1), strict=True) if share <= TAKEN]
