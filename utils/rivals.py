"""Which known classes compete with a reference as background, told without torch; docs/method.md, step 40."""

from collections.abc import Sequence

import numpy as np

TAKEN = 0.1  # of a class's pixels in the reference: who wins more is taken to be that class by another name
ALIKE = 0.6  # cosine of the prototypes, above which too; chosen on the validation list of CCP-OS
LOOKED_AT = 256  # longest side, at the least, at which these pixels are counted


def thinned(labels: np.ndarray) -> np.ndarray:
    """Every n-th pixel of a label map (H, W): enough to count by."""
    step = max(1, max(labels.shape) // LOOKED_AT)
    return labels[::step, ::step]


def left_over(taken: np.ndarray, prototypes: np.ndarray, vectors: np.ndarray, others: Sequence[int]) -> list[int]:
    """Those of `others`, R, that are unlike every one of K classes and won few pixels of it.

    `taken` (1 + R, K) counts pixels by winner and class; `prototypes` (K, D) are the classes', `vectors` (R, D) those
    of the others.
    """
    shares = (taken[1:] / taken.sum(axis=0).clip(min=1)).max(axis=1)
    cosines = (_unit(vectors) @ _unit(prototypes).T).max(axis=1)
    return [row for row, *two in zip(others, shares, cosines, strict=True) if two[0] <= TAKEN and two[1] <= ALIKE]


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-6)
    return unit
