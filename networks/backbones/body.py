"""What every kind of encoder is made into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

LOW_STRIDE, HIGH_STRIDE = 4, 16


class Body(NamedTuple):
    """A module with its features at both strides, and the input that it was trained on."""

    module: nn.Module  # (B, 3, H, W) -> features at LOW_STRIDE and at HIGH_STRIDE, sizes rounded up
    channels: Sequence[int]  # of the two features
    mean: Sequence[float]  # of RGB values 0..255
    std: Sequence[float]
    bgr: bool = False  # whether the input is BGR
    channels_last: bool = False  # whether the features come as (B, H, W, C)
