"""Which known classes compete with a reference as background, told without torch; docs/method.md, step 40."""

from collections.abc import Sequence

import numpy as np

from .constants import IGNORE

# All of these were chosen on the validation list of CCP-OS.
TAKEN, WITHIN = 0.1, 0.2  # who wins more of a class's pixels in the reference, and has more of its own there, is out
ALIKE, WITHIN_IF_ALIKE = 0.7, 0.1  # cosine of the prototypes above which that share of its own pixels is enough
SEEN = 0.001  # of all pixels: who wins less is judged by the prototypes alone
UNKNOWN_BIAS = 1.1  # added to the logit of the presence of classes that the bank lacks
LOOKED_AT = 256  # longest side, at the least, at which these pixels are counted


def thinned(labels: np.ndarray) -> np.ndarray:
    """Every n-th pixel of a label map (H, W): enough to count by."""
    step = max(1, max(labels.shape) // LOOKED_AT)
    return labels[::step, ::step]


def taken_pixels(won: np.ndarray, labels: np.ndarray, classes: Sequence[int], others: int) -> np.ndarray:
    """How many pixels of `labels` (H, W) the background and each of R `others` have `won` (H, W): (1 + R, K + 1).

    The columns are those of the K `classes`, and the last one is of all other pixels that count.
    """
    order = {label: column for column, label in enumerate(classes)}
    found, places = np.unique(labels, return_inverse=True)
    columns = np.array([order.get(label, len(order)) for label in found.tolist()])[places].reshape(labels.shape)
    counts = (labels >= 0) & (labels != IGNORE)
    taken = np.zeros((1 + others, len(order) + 1))
    np.add.at(taken, (won[counts], columns[counts]), 1)
    return taken


def left_over(taken: np.ndarray, prototypes: np.ndarray, vectors: np.ndarray, others: Sequence[int]) -> list[int]:
    """Those of `others`, R, that are none of K classes by another name, by pixels and prototypes.

    `taken` is that of `taken_pixels`; `prototypes` (K, D) are the classes', `vectors` (R, D) those of the others.
    """
    both, whole = taken[1:, :-1], taken[1:].sum(axis=1, keepdims=True)
    of_class, of_other = both / taken[:, :-1].sum(axis=0).clip(min=1), both / whole.clip(min=1)
    alike = _unit(vectors) @ _unit(prototypes).T > ALIKE
    same = (of_class > TAKEN) & (of_other > WITHIN)
    same |= alike & ((of_other > WITHIN_IF_ALIKE) | (whole < SEEN * taken.sum()))
    return [row for row, out in zip(others, same.any(axis=1), strict=True) if not out]


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-6)
    return unit
