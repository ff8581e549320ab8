"""One feature under many gains: the trunk of AGM and of the coarse branch (docs/method.md, steps 8 and 11)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from .batchnorm import batch_norm_passes, for_each_pass
from .fast.shared_gains import convolve_under_gains
from .layers import Layer, SeparableConv


class GuidedConv(Layer):
    """Two 3x3 convolutions with bias and no activation between, a separable convolution, a 1x1 one to 2 channels.

    It is applied to one feature under several *gains* (one per class slot). The published networks run it
    once per class over the batch, so in training each such pass has BatchNorm statistics of its own. Here the
    passes share one call: they lie beside each other as channel groups.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2)))
        self.separable = SeparableConv(channels, channels, activate=True)
        self.classify = nn.Conv2d(channels, 2, 1)

    def forward(self, feature: Tensor, gains: Tensor, order: Tensor | None = None) -> Tensor:
        """Feature (B, D, h, w) times each of P gains (B, P, h, w) -> logits (B, P, 2, h, w).

        `order` lists, for the passes that the published loop would make, which of the P it equals; running
        BatchNorm statistics are updated as that loop would. By default every pass is made once, in order.
        """
        passes = gains.shape[1]
        # 1. Two 3x3 convolutions of gain * feature.
        x = convolve_under_gains(feature, gains, *cast(tuple[nn.Conv2d, nn.Conv2d], tuple(self.convs)))
        # 2. The depthwise half of the separable convolution, with its BatchNorm and ReLU.
        depthwise = for_each_pass(self.separable.depthwise.weight, passes)
        x = F.conv2d(x, depthwise, padding=1, groups=x.shape[1])
        x = F.relu(batch_norm_passes(self.separable.depthwise_bn, x, passes, order), inplace=True)
        # 3. The pointwise half, the same.
        x = _each_pass(self.separable.pointwise, x, passes)
        x = F.relu(batch_norm_passes(self.separable.pointwise_bn, x, passes, order), inplace=True)
        # 4. Two logits a pixel.
        logits: Tensor = _each_pass(self.classify, x, passes).unflatten(1, (passes, 2))
        return logits


def _each_pass(conv: nn.Conv2d, x: Tensor, passes: int) -> Tensor:
    """A 1x1 convolution on each of the passes: (B, P * D, h, w) -> (B, P * D', h, w), in channels-last memory."""
    x = F.linear(x.permute(0, 2, 3, 1).unflatten(-1, (passes, -1)), conv.weight[:, :, 0, 0], conv.bias)
    return x.flatten(-2).permute(0, 3, 1, 2)
