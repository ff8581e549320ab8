"""From features at several strides to one at the finest: each level is enlarged and joined with the next."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import ConvBNReLU, Layer, SeparableConv, resize


class PyramidDecoder(Layer):
    """Features (B, C_i, H/s_i, W/s_i), the finest first, -> (B, channels, H/s_0, W/s_0) (docs/method.md, step 32)."""

    def __init__(self, levels: Sequence[int], channels: int) -> None:
        super().__init__()
        *finer, coarsest = levels
        self.top = ConvBNReLU(coarsest, channels)
        self.image = nn.Conv2d(coarsest, channels, 1)  # of the whole photo
        narrow = [min(width, channels // 2) for width in finer]
        self.narrow = nn.ModuleList(ConvBNReLU(*sizes) for sizes in zip(finer, narrow, strict=True))
        self.join = nn.ModuleList(SeparableConv(channels + width, channels, activate=True) for width in narrow)
        self.refine = SeparableConv(channels, channels, activate=True)

    def forward(self, *features: Tensor) -> Tensor:
        *finer, coarsest = features
        x = self.top(coarsest) + F.relu(self.image(coarsest.mean(dim=(2, 3), keepdim=True)))
        for i in reversed(range(len(finer))):
            level = self.narrow[i](finer[i])
            x = self.join[i](torch.cat([resize(x, level.shape[-2:]), level], dim=1))
        return self.refine(x)
