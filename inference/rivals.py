"""Which known classes compete with a reference as background, told without torch; docs/method.md, step 40."""

from collections.abc import Sequence

import numpy as np

TAKEN = 0.05  # of a class's pixels in the reference, beyond which a rival is the same as the class


def left_over(taken: np.ndarray, others: Sequence[int]) -> list[int]:
    """Those of `others`, R, that won few pixels of each class; `taken` (1 + K + R, 1 + K) counts pixels by their winner
    and their class."""
    shares = taken[-len(others) :] / taken.sum(axis=0).clip(min=1)
    return [row for row, share in zip(others, shares.max(axis=1), strict=True) if share <= TAKEN]
