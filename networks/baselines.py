"""Two plain baselines that share the encoder, in the form that the evaluator takes (see `tools/compare.py`)."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .base import Features, Logits, OneShotNetwork, Outputs
from .decoding import NEVER
from .deeplab import Decoder
from .layers import at_least_float32, resize, resize_labels
from .losses import segmentation_loss
from .prototypes import Prototypes, class_masks, cluster_centres, cosine_similarity, masked_average


class _Baseline(OneShotNetwork):
    """k-way only, no bank, no heads of its own for the foreground: that is wherever a class beats the background."""

    def __init__(self, num_slots: int, encoder: str) -> None:
        super().__init__(num_slots, "kway", encoder, warmup_epochs=math.inf)

    def class_logits(self, query: Features, prototypes: Prototypes) -> Tensor:
        """Logits (B, N, h, w) at feature size, background first."""
        raise NotImplementedError

    def logits(self, query: Features, prototypes: Prototypes, with_agm: bool = False) -> Logits:
        """Logits at feature size; classes that the support lacks never win."""
        shown = prototypes.present.clone()
        shown[:, 0] = True
        logits = self.class_logits(query, prototypes).masked_fill(~shown[:, :, None, None], NEVER)
        return Logits(logits, None, _foreground(logits))


class NearestPrototypeBaseline(_Baseline):
    """Cosine similarity with the support's prototypes on the encoder's high-level feature, nothing trained.

    As in PANet (Wang et al., ICCV 2019) the background has prototypes too: of what lies outside the person. A class has
    `per_class` of them: one is the mean of its feature, several are the centres of clusters, as in FSSDINO, of which
    the nearest counts. The feature is upsampled to stride 4, so that prototypes see as many pixels, and as many of the
    small classes, as those of the other networks.
    """

    def __init__(self, num_slots: int, encoder: str, per_class: int = 1) -> None:
        super().__init__(num_slots, encoder)
        self.per_class = per_class

    def embed(self, images: Tensor) -> Features:
        """Normalised images (B, 3, H, W) -> the high-level feature (B, C, h, w) at stride 4, twice.

        Of a transformer it is the last block's alone.
        """
        low, high = self.encoder(images)
        feature = resize(high[:, -self.encoder.width :], low.shape[-2:])
        return Features(feature, feature)

    def extract_prototypes(
        self, support: Features, label: Tensor, foreground: Tensor, slots: int | None = None
    ) -> Prototypes:
        """As of every network, with the background's in slot 0; `classes` are (B, N, P, C), P of each class."""
        prototypes = super().extract_prototypes(support, label, foreground, slots)
        size = support.fine.shape[-2:]
        masks = class_masks(resize_labels(label, size), prototypes.present.shape[1])
        masks[:, 0] = resize_labels(foreground, size) == 0
        if self.per_class == 1:
            return prototypes._replace(classes=masked_average(support.fine, masks)[:, :, None])
        centres = [
            torch.stack([cluster_centres(feature[:, mask].T, self.per_class) for mask in own.bool()])
            for feature, own in zip(at_least_float32(support.fine), masks, strict=True)
        ]
        return prototypes._replace(classes=torch.stack(centres))

    def class_logits(self, query: Features, prototypes: Prototypes) -> Tensor:
        """Cosine similarities (B, N, h, w) with the nearest prototype of each class."""
        each = cosine_similarity(query.fine, prototypes.classes.flatten(1, 2))
        each = each.view(len(each), *prototypes.classes.shape[1:3], *each.shape[2:])
        return each.amax(dim=2)


class ClosedSetBaseline(_Baseline):
    """DeepLabV3+ and a linear classifier over the `base` classes, 0 included; a support says which of them count."""

    def __init__(self, num_slots: int, base: Sequence[int], encoder: str, channels: int, level: str) -> None:
        super().__init__(num_slots, encoder)
        self.base = list(base)
        self.decoder = Decoder(self.encoder.low_channels, self.encoder.high_channels, channels, level)
        self.classify = nn.Conv2d(channels, len(self.base), 1)

    def embed(self, images: Tensor) -> Features:
        """Normalised images (B, 3, H, W) -> the decoder's feature (B, D, h, w) at stride 4, twice."""
        feature = self.decoder(*self.encoder(images))
        return Features(feature, feature)

    def class_logits(self, query: Features, prototypes: Prototypes | None = None) -> Tensor:
        """The classifier's logits (B, N, h, w); novel classes never win."""
        logits: Tensor = self.classify(query.fine)
        slots = logits.new_full((len(logits), self.num_slots, *logits.shape[-2:]), NEVER)
        slots[:, self.base] = logits
        return slots

    def forward(self, episode: Mapping[str, Tensor], epoch: int) -> Outputs:
        """What the loss needs of B episodes, as a batch of 2B: both photos of each are training images."""
        images = torch.cat([episode["query"], episode["support"]])
        labels = torch.cat([episode["query_label"], episode["support_label"]])
        logits = resize(self.class_logits(self.encode(images)), images.shape[-2:])
        return Outputs(Logits(logits, None, _foreground(logits)), labels)


class ClosedSetLoss(NamedTuple):
    """The loss, a scalar."""

    total: Tensor


def closed_set_loss(outputs: Outputs, episode: Mapping[str, Tensor]) -> ClosedSetLoss:
    """Cross entropy of `ClosedSetBaseline`'s logits; of the `episode` nothing more is needed."""
    return ClosedSetLoss(segmentation_loss(outputs.logits.npm, outputs.label))


def _foreground(logits: Tensor) -> Tensor:
    """Logits of background and the best class: (B, N, H, W) -> (B, 2, H, W)."""
    return torch.stack([logits[:, 0], logits[:, 1:].amax(dim=1)], dim=1)
