"""3x3 convolutions with fewer multiplications, for the coarse branch's share of an inference on the CPU.

Minimal filtering F(4, 3) gives four neighbours of a row in 6 multiplications instead of 12 (Winograd; Lavin and Gray,
arXiv 1509.09308): `y = OUTPUTS [(WEIGHTS w) * (INPUTS x)]`. It is the same convolution, exact but for rounding. On a
GPU the libraries behind torch do so themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import plain_cpu_inference
from . import switches

STEP = 4  # outputs of a row that are made at once
INPUTS = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
WEIGHTS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OUTPUTS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
PAYS_FROM = 128  # channels


class Conv3x3(nn.Conv2d):
    """3x3 convolution with padding 1 and a bias: (B, C, H, W) -> (B, C', H, W), filtered where it pays.

    It does for wide layers on the CPU, in single or double precision and without gradients. In half precision the
    factors would cost accuracy and save nothing. Training keeps torch's convolution, and so do exported networks.
    """

    bias: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if switches.minimal_filtering and self.in_channels >= PAYS_FROM and plain_cpu_inference(x):
            return minimal_conv3x3(x, self.weight, self.bias)
        return super().forward(x)


def minimal_conv3x3(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`conv2d(x, weight, bias, padding=1)` for (B, C, H, W) and (C', C, 3, 3), in channels-last memory."""
    batch, _, height, width = x.shape
    tiles = -(-width // STEP)
    factors = torch.tensor(WEIGHTS, dtype=weight.dtype)
    filters = torch.einsum("ik,ocyk->iocy", factors, weight)[..., None]
    padded = F.pad(x.contiguous(memory_format=torch.channels_last), (1, tiles * STEP + 1 - width))
    columns = [padded[..., i : i + (tiles - 1) * STEP + 1 : STEP] for i in range(STEP + 2)]
    products = [
        F.conv2d(_weighted_sum(row, columns), one, padding=(1, 0)) for row, one in zip(INPUTS, filters, strict=True)
    ]
    shape = (batch, len(weight), height, tiles * STEP)
    out = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
    for i, row in enumerate(OUTPUTS):
        torch.add(_weighted_sum(row, products), bias[:, None, None], out=out[..., i::STEP])
    return out[..., :width]


def _weighted_sum(weights: Sequence[float], parts: Sequence[Tensor]) -> Tensor:
    (first, part), *others = [(w, part) for w, part in zip(weights, parts, strict=True) if w]
    total = part * first
    for weight, part in others:
        total.add_(part, alpha=weight)
    return total
