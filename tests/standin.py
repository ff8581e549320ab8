"""Stand-in weights: every tensor is drawn from a generator that its own name seeds, so no file has to carry them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

BANK_CLASSES = (1, 2, 4, 9, 11, 12, 14, 16)  # base classes of ATR fold 1: the rows that a stand-in bank holds


def draw(name: str, shape: Iterable[int]) -> Tensor:
    """The float32 tensor that stands in for `name`, of the given shape; the same on every machine.

    Convolutions keep the size of what passes through them, scales lie around 1, variances in 1 to 1.2, the rest around
    0. The names are the authors'. The numbers in `tests/data/goldens` were made with these draws, which is why
    they stay as they are.
    """
    shape = tuple(shape)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return torch.tensor(1)
    if last == "scaler":
        return torch.tensor(10.0)
    if name == "prototype":
        kept = np.isin(np.arange(shape[0]), BANK_CLASSES)
        return torch.from_numpy(
            np.abs(rng.standard_normal(shape).astype(np.float32)) * kept[:, None].astype(np.float32)
        )
    if last == "running_var":
        return torch.from_numpy(1 + 0.2 * rng.random(shape).astype(np.float32))
    drawn = torch.from_numpy(np.asarray(rng.standard_normal(shape)).astype(np.float32))
    if name == "s1_prototype":
        return drawn.abs()
    if last == "running_mean":
        return 0.1 * drawn
    if len(shape) == 4:
        return drawn * float(np.float32((1 / np.prod(shape[1:])) ** 0.5))
    return 1 + 0.1 * drawn if last == "weight" else 0.1 * drawn


def draw_all(shapes: Mapping[str, Iterable[int]]) -> dict[str, Tensor]:
    """A state dict of stand-in weights for a table of names and shapes."""
    return {name: draw(name, shape) for name, shape in shapes.items()}
