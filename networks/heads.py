"""Heads over the metric spaces: nearest prototype (NPM), attention guidance (AGM), coarse foreground."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.distributed import gather_batch

from .batchnorm import batch_norm_passes, for_each_pass
from .fast.shared_gains import convolve_under_gains
from .layers import Affine, Layer, SeparableConv

THRESHOLD = 0.5  # similarity with its prototype from which a class wins over the background before any training


class GuidedConv(Layer):
    """Two 3x3 convolutions with bias and no activation between, a separable convolution, a 1x1 one to 2 channels.

    The trunk of AGM and of the coarse branch (docs/method.md, steps 8 and 11). It is applied to one feature under
    several *gains* (one per class slot). The published networks run it once per class over the batch, so in training
    each such pass has BatchNorm statistics of its own. Here the passes share one call: they lie beside each other as
    channel groups.
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


class AttentionGuidance(Layer):
    """k-way AGM: similarity of each class guides a shared classifier (docs/method.md, step 11).

    With `screened` the background averages over the classes that a sample's support shows, and the logits of the
    others are 0 (docs/method.md, step 20).
    """

    def __init__(self, channels: int, screened: bool = False) -> None:
        super().__init__()
        self.screened = screened
        self.guide = GuidedConv(channels)
        self.background = Affine()

    def forward(self, feature: Tensor, similarity: Tensor, present: Tensor) -> Tensor:
        """Feature (B, D, h, w), similarity (B, N-1, h, w), present (B, N-1) -> logits (B, N, h, w).

        A class that is absent from the whole batch (in training, that of all ranks) has similarity 0 everywhere; such
        classes share one pass.
        """
        # In evaluation the ranks go their own ways, with batches of their own.
        somewhere = (gather_batch(present)[0][0] if self.training else present).any(dim=0)
        passes = somewhere.nonzero()[:, 0]
        order = somewhere.long().cumsum(0) - 1
        gains = 1 + similarity[:, passes]
        if not bool(somewhere.all()):
            order = torch.where(somewhere, order, len(passes))
            gains = torch.cat([gains, torch.ones_like(similarity[:, :1])], dim=1)
        logits = self.guide(feature, gains, order)[:, order]
        if not self.screened:
            return torch.cat([self.background(logits[:, :, 1].mean(dim=1, keepdim=True)), logits[:, :, 0]], dim=1)
        shown = present.to(logits.dtype)[:, :, None, None, None]
        logits = logits * shown
        background = logits[:, :, 1].sum(dim=1, keepdim=True) / shown[:, :, 0].sum(dim=1, keepdim=True).clamp(min=1)
        return torch.cat([self.background(background), logits[:, :, 0]], dim=1)


class BinaryAttentionGuidance(Layer):
    """1-way AGM: the similarity alone, without the residual, gates the feature (docs/method.md, step 16)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.guide = GuidedConv(channels)

    def forward(self, feature: Tensor, similarity: Tensor, present: Tensor) -> Tensor:
        """Feature (B, D, h, w), similarity (B, 1, h, w) -> logits (B, 2, h, w); `present` is not needed."""
        return self.guide(feature, similarity)[:, 0]


class CoarseHead(Layer):
    """Human foreground against background, from the similarity with the person prototype (docs/method.md, step 8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.guide = GuidedConv(channels)

    def forward(self, feature: Tensor, similarity: Tensor) -> Tensor:
        """Feature (B, D, h, w), similarity (B, 1, h, w) -> logits (B, 2, h, w)."""
        return self.guide(feature, 1 + similarity)[:, 0]


class NearestPrototype(Layer):
    """k-way NPM, the output that is evaluated (docs/method.md, step 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.foreground = Affine()
        self.background = Affine()
        self.fusion = Affine()
        self.scaler = nn.Parameter(torch.tensor(10.0))
        self.set_threshold(THRESHOLD)

    @torch.no_grad()
    def set_threshold(self, threshold: float) -> None:
        """Let a class of an untrained module win over the background where its similarity is above `threshold`.

        Exactly so with many slots; with K of them and the other similarities 0 it is `threshold / (1 + 1 / K)`. With
        the fusion left at identity it would be near 1.
        """
        self.fusion.bias.fill_(threshold - 1)

    def forward(self, similarity: Tensor, classes: int | Tensor | None = None) -> Tensor:
        """Similarity (B, K, h, w) of K foreground classes -> logits (B, 1 + K, h, w), background first.

        The background averages over so many `classes`, K by default. Those beyond K count as absent, with similarity 0:
        so a parse with few classes keeps the background scale of the training. `classes` may also be a tensor
        (B, 1, 1, 1), one number for each sample.
        """
        classes = similarity.shape[1] if classes is None else classes
        distance = 1 - similarity.sum(dim=1, keepdim=True) / classes
        background = self.fusion(self.background(distance))
        return self.scaler * torch.cat([background, self.foreground(similarity)], dim=1)


class BinaryNearestPrototype(Layer):
    """1-way NPM: a 1x1 convolution of the similarity (docs/method.md, step 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Conv2d(1, 2, 1)
        self.scaler = nn.Parameter(torch.tensor(10.0))
        self.set_threshold(THRESHOLD)

    @torch.no_grad()
    def set_threshold(self, threshold: float) -> None:
        """Let the class of an untrained module win over the background where its similarity is above `threshold`."""
        weight, bias = torch.tensor([-0.5, 0.5]).view(2, 1, 1, 1), torch.tensor([0.5, -0.5]) * threshold
        self.classify.load_state_dict({"weight": weight, "bias": bias})

    def forward(self, similarity: Tensor) -> Tensor:
        """Similarity (B, 1, h, w) -> logits (B, 2, h, w)."""
        logits: Tensor = self.classify(similarity)
        return self.scaler * logits


def _each_pass(conv: nn.Conv2d, x: Tensor, passes: int) -> Tensor:
    """A 1x1 convolution on each of the passes: (B, P * D, h, w) -> (B, P * D', h, w), in channels-last memory."""
    x = F.linear(x.permute(0, 2, 3, 1).unflatten(-1, (passes, -1)), conv.weight[:, :, 0, 0], conv.bias)
    return x.flatten(-2).permute(0, 3, 1, 2)
