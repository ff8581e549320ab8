"""Heads over the metric spaces: nearest prototype (NPM), attention guidance (AGM), coarse foreground (spec: EOPNet)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.distributed import gather_batch

from .layers import Affine, SeparableConv
from .passes import batch_norm_passes


class GuidedConv(nn.Module):
    """Two 3x3 convolutions with bias and no activation between, a separable convolution, a 1x1 one to 2 channels.

    It is applied to one feature under several *gains* (one per class slot). The published networks run it
    once per class over the batch, so in training each such pass has BatchNorm statistics of its own. Here the
    passes share one call: the passes lie beside each other as channel groups.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(hidden, hidden, 3, padding=1), nn.Conv2d(hidden, hidden, 3, padding=1))
        self.separable = SeparableConv(hidden, hidden, activate=True)
        self.classify = nn.Conv2d(hidden, 2, 1)

    def forward(self, feature: Tensor, gains: Tensor, order: Tensor | None = None) -> Tensor:
        """Feature (B, D, h, w) times each of P gains (B, P, h, w) -> logits (B, P, 2, h, w).

        `order` lists, for the passes that the published loop would make, which of the P it equals; running
        BatchNorm statistics are updated as that loop would. By default every pass is made once, in order.
        """
        batch, passes = gains.shape[:2]
        x = (gains[:, :, None] * feature[:, None]).flatten(0, 1)
        x = self.separable.depthwise(self.convs(x))
        x = F.relu(batch_norm_passes(self.separable.depthwise_bn, x, passes, order), inplace=True)
        x = self.separable.pointwise(x)
        x = F.relu(batch_norm_passes(self.separable.pointwise_bn, x, passes, order), inplace=True)
        return self.classify(x).unflatten(0, (batch, passes))


class AttentionGuidance(nn.Module):
    """k-way AGM: similarity of each class guides a shared classifier (spec: EOPNet, step 4).

    With `screened` the background averages over the classes that a sample's support shows, and the logits of the
    others are 0 (spec: POPNet, unseen-class screening).
    """

    def __init__(self, hidden: int, screened: bool = False) -> None:
        super().__init__()
        self.screened = screened
        self.guide = GuidedConv(hidden)
        self.background = Affine()

    def forward(self, feature: Tensor, similarity: Tensor, present: Tensor) -> Tensor:
        """Feature (B, D, h, w), similarity (B, N-1, h, w), present (B, N-1) -> logits (B, N, h, w).

        A class that is absent from the whole batch has similarity 0 everywhere; such classes share one pass.
        """
        somewhere = gather_batch(present)[0].any(dim=0)
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


class BinaryAttentionGuidance(nn.Module):
    """1-way AGM: the similarity alone, without the residual, gates the feature (spec: EOPNet, step 8)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.guide = GuidedConv(hidden)

    def forward(self, feature: Tensor, similarity: Tensor, present: Tensor) -> Tensor:
        """Feature (B, D, h, w), similarity (B, 1, h, w) -> logits (B, 2, h, w); `present` is not needed."""
        return self.guide(feature, similarity)[:, 0]


class CoarseHead(nn.Module):
    """Human foreground against background from the similarity with the foreground prototype (spec: step 3)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.guide = GuidedConv(hidden)

    def forward(self, feature: Tensor, similarity: Tensor) -> Tensor:
        """Feature (B, D, h, w), similarity (B, 1, h, w) -> logits (B, 2, h, w)."""
        return self.guide(feature, 1 + similarity)[:, 0]


class NearestPrototype(nn.Module):
    """k-way NPM, the output that is evaluated (spec: EOPNet, step 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.foreground = Affine()
        self.background = Affine()
        self.fusion = Affine()
        self.scaler = nn.Parameter(torch.tensor(10.0))

    def forward(self, similarity: Tensor, slots: int | Tensor | None = None) -> Tensor:
        """Similarity (B, K, h, w) of K foreground classes -> logits (B, 1 + K, h, w), background first.

        The background averages over `slots` classes, K by default. Slots beyond K count as absent classes, with
        similarity 0: so a parse with few classes keeps the background scale of the training. `slots` may also be a
        tensor (B, 1, 1, 1), one number for each sample.
        """
        slots = similarity.shape[1] if slots is None else slots
        distance = 1 - similarity.sum(dim=1, keepdim=True) / slots
        background = self.fusion(self.background(distance))
        return self.scaler * torch.cat([background, self.foreground(similarity)], dim=1)


class BinaryNearestPrototype(nn.Module):
    """1-way NPM: a 1x1 convolution of the similarity (spec: EOPNet, step 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Conv2d(1, 2, 1)
        self.scaler = nn.Parameter(torch.tensor(10.0))

    def forward(self, similarity: Tensor) -> Tensor:
        """Similarity (B, 1, h, w) -> logits (B, 2, h, w)."""
        return self.scaler * self.classify(similarity)
