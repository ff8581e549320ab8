"""How far figures would move with other query photos: a bootstrap over the queries (docs/method.md, "Scores")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from utils.errors import UserError
from utils.files import replacing

from .metrics import ConfusionMatrix, figures_of

DRAWS, SEED = 1000, 0
FIGURES = ("human", "base", "novel")
Interval = tuple[float, float]  # percent; NaN where the figure does not exist


class QueryCounts(NamedTuple):
    """Confusion matrices of each query photo, (Q, K, N, N): in k-way one, under key 0; in 1-way one for each class.

    `classes` and `base` are the merged ids that the figures are of.
    """

    matrices: np.ndarray
    keys: np.ndarray
    classes: np.ndarray
    base: np.ndarray

    def figures(self, matrices: np.ndarray) -> list[float]:
        """`FIGURES` of matrices (K, N, N), in percent."""
        by_key = {int(key): ConfusionMatrix.of(torch.from_numpy(m)) for key, m in zip(self.keys, matrices, strict=True)}
        found = figures_of(by_key, self.classes.tolist(), self.base.tolist())
        return [getattr(found, name) for name in FIGURES]

    def save(self, path: Path) -> None:
        """Write to `path`, which ends in .npz. Raises `UserError` as `replacing` does."""
        with replacing(path) as temporary:
            np.savez_compressed(temporary, **self._asdict())


def read_counts(path: Path) -> QueryCounts | None:
    """What `QueryCounts.save` wrote; None without a file. Raises `UserError` where it is damaged."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as content:
            return QueryCounts(*(content[name] for name in QueryCounts._fields))
    except Exception as error:  # zip, zlib, KeyError, ValueError: numpy gives whatever its parts raise
        raise UserError(f"{path}: damaged ({error}); evaluate the checkpoint anew, or remove it") from error


def resampled(counts: QueryCounts) -> np.ndarray:
    """`FIGURES` (DRAWS, 3) of DRAWS samples of the query photos, each with as many as there are, with replacement.

    Lists of one length get the same samples, so that two evaluations can be compared draw by draw.
    """
    number = len(counts.matrices)
    weights = np.random.default_rng(SEED).multinomial(number, np.full(number, 1 / number), size=DRAWS)
    sums = (weights.astype(np.float64) @ counts.matrices.reshape(number, -1)).astype(np.int64)  # floats use BLAS
    return np.array([counts.figures(one) for one in sums.reshape(DRAWS, *counts.matrices.shape[1:])])


def intervals(draws: np.ndarray) -> dict[str, Interval]:
    """The 95 % interval of each figure over its draws (DRAWS, 3)."""
    return {name: _interval(values) for name, values in zip(FIGURES, draws.T, strict=True)}


def _interval(values: Sequence[float] | np.ndarray) -> Interval:
    known = np.asarray(values)[~np.isnan(values)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)
