"""DeepLabV3+ decoders: from the encoder's two features to one at stride 4 (docs/method.md, steps 4 and 5)."""

import torch
from torch import Tensor, nn

from .layers import ConvBNReLU, Layer, SeparableConv, resize

LOW_LEVEL_CHANNELS = 48
ASPP_RATES = (6, 12, 18)


class ASPP(Layer):
    """Atrous spatial pyramid pooling: (B, C, H, W) -> (B, channels, H, W)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.point = ConvBNReLU(in_channels, channels)
        self.atrous = nn.ModuleList(SeparableConv(in_channels, channels, dilation=r, activate=True) for r in ASPP_RATES)
        self.image = ConvBNReLU(in_channels, channels)
        self.project = ConvBNReLU(channels * (2 + len(ASPP_RATES)), channels)

    def forward(self, x: Tensor) -> Tensor:
        image = resize(self.image(x.mean(dim=(2, 3), keepdim=True)), x.shape[-2:])
        return self.project(torch.cat([self.point(x), *(conv(x) for conv in self.atrous), image], dim=1))


class Decoder(Layer):
    """Fuse low-level (B, L, H/4, W/4) and high-level (B, C, H/16, W/16) features into (B, channels, H/4, W/4).

    `level="mid"` narrows the high-level feature with one 1x1 convolution; `level="high"` with ASPP.
    """

    def __init__(self, low_channels: int, high_channels: int, channels: int, level: str = "mid") -> None:
        super().__init__()
        if level not in ("mid", "high"):
            raise ValueError(f"feature level {level!r}: choose 'mid' or 'high'")
        self.level = level
        self.adapt: Layer = (ConvBNReLU if level == "mid" else ASPP)(high_channels, channels)
        self.low = ConvBNReLU(low_channels, LOW_LEVEL_CHANNELS)
        self.fuse = SeparableConv(channels + LOW_LEVEL_CHANNELS, channels, activate=True)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        return self.fuse(torch.cat([resize(self.adapt(high), low.shape[-2:]), self.low(low)], dim=1))
