"""What the one-shot networks share: the encoder, prototypes from labelled supports, and the bank's share in them.

EOPNet and POPNet also share the nearest prototypes after that; AOPNet brings its own matching.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.constants import IGNORE, WAYS

from .backbones import XCEPTION, Encoder
from .decoding import Maps, human_mask, shown_winner
from .heads import AttentionGuidance, BinaryAttentionGuidance, BinaryNearestPrototype, NearestPrototype
from .layers import Layer, resize, resize_labels
from .prototypes import PrototypeBank, Prototypes, at_pixels, class_masks, cosine_similarity, masked_average
from .settings import NO_DEPARTURES


class Features(NamedTuple):
    """An image in the two metric spaces: `coarse` and `fine`, each (B, D, h, w) at stride 4.

    AOPNet has no coarse space: its `coarse` are the logits (B, 2, h, w) of background and foreground.

    `guide` (B, 3, H, W), values 0..1, is the image itself where borders are to follow it. `place` (B, 2, h, w) is each
    pixel's place on the body, where the network tells that: height, and distance from the axis, in body heights.
    """

    coarse: Tensor
    fine: Tensor
    guide: Tensor | None = None
    place: Tensor | None = None

    def of(self, photo: int) -> Features:
        """One photo of the batch, as a batch of its own."""
        one = slice(photo, photo + 1)
        guide, place = (None if part is None else part[one] for part in (self.guide, self.place))
        return Features(self.coarse[one], self.fine[one], guide, place)


class Logits(NamedTuple):
    """Logits of a query: `npm` and `agm` (B, N or 2, H, W), `coarse` (B, 2, H, W); `agm` may be missing."""

    npm: Tensor
    agm: Tensor | None
    coarse: Tensor


class LabelMaps(NamedTuple):
    """What a query is parsed into: winning slots `npm` and `agm` (B, H, W), `human` (B, H, W) bool.

    `agm` is None where it was not asked for.
    """

    npm: Tensor
    agm: Tensor | None
    human: Tensor


class Outputs(NamedTuple):
    """Logits, the query label without unsupported classes, and EOPNet's prototypes to contrast."""

    logits: Logits
    label: Tensor  # (B, H, W)
    query_prototypes: tuple[Tensor, Tensor] | None = None  # (B, N, D), and whether present, (B, N); slot 0: background
    support_prototypes: tuple[Tensor, Tensor] | None = None


class OneShotNetwork(nn.Module):
    """Base of the networks. `num_slots` counts the background and every label id of the data set.

    Images are RGB with values 0..255; label maps hold integers, 255 for pixels to ignore, and are binary in 1-way.
    Epochs count from 0; the bank is used from the epoch after `warmup_epochs`. A subclass gives `embed` and
    `coarse_logits`.
    """

    method = ""
    decoder: Layer
    min_presence = 0.0  # below which a class counts as absent, where the network judges that; else 0
    refine = False  # whether borders follow the photo, where the network can do that
    looks_closer = False  # whether people who are small in a photo are parsed in a window of their own
    takes_rivals = False  # whether known classes that the support does not show compete as background
    screened = False  # POPNet's background may keep to the classes that the support shows
    departures = NO_DEPARTURES  # EOPNet's step of training may be as published

    def __init__(
        self, num_slots: int, way: str = "kway", encoder: str | Encoder = XCEPTION, warmup_epochs: float = 25
    ) -> None:
        super().__init__()
        if way not in WAYS:
            raise ValueError(f"way {way!r}: choose one of {', '.join(WAYS)}")
        self.num_slots, self.way, self.warmup_epochs = num_slots, way, warmup_epochs
        self.encoder = Encoder(encoder) if isinstance(encoder, str) else encoder

    def _add_heads(self, channels: int, momentum: float) -> None:
        """The attention guidance and nearest prototype modules, and the bank."""
        kway = self.way == "kway"
        self.agm = AttentionGuidance(channels, self.screened) if kway else BinaryAttentionGuidance(channels)
        self.npm = NearestPrototype() if kway else BinaryNearestPrototype()
        self._add_bank(channels, momentum)

    def _add_bank(self, channels: int, momentum: float) -> None:
        self.bank = PrototypeBank(self.num_slots, channels, momentum)

    def encode(self, images: Tensor) -> Features:
        """RGB images (B, 3, H, W), values 0..255 of any dtype -> features at stride 4."""
        return self.embed(self.encoder.normalize(images))

    def embed(self, images: Tensor) -> Features:
        """As `encode`, for images that are normalised as the encoder wants them."""
        raise NotImplementedError

    def coarse_logits(self, query: Features, prototypes: Prototypes) -> Tensor:
        """Logits (B, 2, h, w) of background and human foreground, at feature size."""
        raise NotImplementedError

    @property
    def bank_share(self) -> float:
        """The bank's part in a prototype that is blended with it."""
        return 1 - self.bank.momentum

    def bank_in_use(self, epoch: float) -> bool:
        """Whether the warm-up is over in `epoch`, so that prototypes are blended with the bank."""
        return epoch > self.warmup_epochs

    def shrink_labels(self, labels: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
        """Integer label maps (B, H, W) at the size of the feature, (B, *size)."""
        return resize_labels(labels, size)

    def extract_prototypes(
        self, support: Features, label: Tensor, foreground: Tensor, slots: int | None = None
    ) -> Prototypes:
        """Static prototypes of a support from its label map and foreground mask, each (B, H, W).

        `slots` counts the background and the ids that the label map may hold; by default those of the data set.
        """
        size = support.fine.shape[-2:]
        slots = 2 if self.way == "1way" else slots or self.num_slots
        small = self.shrink_labels(label, size)
        masks = class_masks(small, slots)
        if self.way == "kway":
            masks[:, 0] = 0
        else:
            masks = masks[:, 1:]
        weights = masks
        if self.training and self.way == "1way" and self.departures.padding_in_prototypes:
            weights = masks + IGNORE * (small == IGNORE)[:, None]
        human = class_masks(self.shrink_labels(foreground, size), 2)[:, 1:]
        return Prototypes(
            masked_average(support.fine, weights),
            masks.flatten(2).any(dim=2),
            # The published coarse branch does not train the encoder through the prototype.
            masked_average(support.coarse, human).detach(),
        )

    def blend_with_bank(self, prototypes: Prototypes, class_id: Tensor | None = None) -> Prototypes:
        """Prototypes with the bank's share in them. `class_id` (B,) is for 1-way."""
        rows, present = self._as_rows(prototypes, class_id)
        return prototypes._replace(
            classes=self._from_rows(self.bank.blend(rows, present), class_id),
            foreground=self.blend_foreground(prototypes.foreground),
        )

    def blend_foreground(self, foreground: Tensor) -> Tensor:
        """The foreground prototype (..., D) with the bank's share in it; EOPNet's is always the support's own."""
        return foreground

    def logits(self, query: Features, prototypes: Prototypes, with_agm: bool = False) -> Logits:
        """Logits at feature size for a query under prototypes, which are used as they are.

        The batch sizes of both must agree, or either be 1. AGM is only computed when asked for. However many
        classes there are, the background keeps the scale of the training's `num_slots`.
        """
        start = 1 if self.way == "kway" else 0
        similarity = cosine_similarity(query.fine, prototypes.classes[:, start:])
        present = prototypes.present[:, start:]
        agm = self.agm(query.fine, similarity, present) if with_agm else None
        return Logits(self._nearest(similarity, present), agm, self.coarse_logits(query, prototypes))

    def logits_at(
        self, query: Features, prototypes: Prototypes, size: tuple[int, int], with_agm: bool = False
    ) -> Logits:
        """`logits` brought to `size` (H, W)."""
        logits = self.logits(query, prototypes, with_agm)
        agm = None if logits.agm is None else resize(logits.agm, size)
        return Logits(resize(logits.npm, size), agm, resize(logits.coarse, size))

    def predict(
        self, query: Features, prototypes: Prototypes, size: tuple[int, int], with_agm: bool = False
    ) -> LabelMaps:
        """The winners of `logits_at`, at less cost; 0 where `human` is not (docs/method.md, step 17)."""
        logits = self.logits(query, prototypes, with_agm)
        human = human_mask(logits.coarse, size)
        present = prototypes.present[:, 1 if self.way == "kway" else 0 :]
        agm = None if logits.agm is None else shown_winner(logits.agm, present, size) * human
        return LabelMaps(shown_winner(logits.npm, present, size) * human, agm, human)

    def class_maps(self, query: Features, prototypes: Prototypes) -> list[Maps]:
        """Logits at feature size of every photo in a batch, for prototypes of `Prototypes.of_classes`.

        A 1-way network parses each class in turn; their foreground-minus-background logits compete with each other
        and with a background of 0.
        """
        if self.way == "kway":
            logits = self.logits(query, prototypes)
            return [Maps(*pair) for pair in zip(logits.npm, logits.coarse, strict=True)]
        maps = []
        for photo in range(len(query.fine)):
            logits = self.logits(query.of(photo), prototypes)
            margin = logits.npm[:, 1] - logits.npm[:, 0]
            maps.append(Maps(torch.cat([torch.zeros_like(margin[:1]), margin]), logits.coarse[0]))
        return maps

    def drop_unsupported(self, label: Tensor, present: Tensor) -> Tensor:
        """Set to 0 the pixels of a query label (B, H, W) whose class the support lacks (docs/method.md, step 14).

        `present` (B, K) is that of the prototypes, at feature size; 255 stays.
        """
        by_id = present if self.way == "kway" else F.pad(present, (1, 0))
        kept = at_pixels(by_id, label) | (label == 0) | (label == IGNORE)
        return torch.where(kept, label, torch.zeros_like(label))

    def _nearest(self, similarity: Tensor, present: Tensor) -> Tensor:
        if isinstance(self.npm, BinaryNearestPrototype):
            return self.npm(similarity)
        if not self.screened:
            return self.npm(similarity, self.num_slots - 1)
        shown = present.to(similarity.dtype)[:, :, None, None]
        logits = self.npm(similarity, shown.sum(dim=1, keepdim=True).clamp(min=1))
        return torch.cat([logits[:, :1], logits[:, 1:] * shown], dim=1)

    def _answer(
        self,
        query: Features,
        support: Features,
        episode: Mapping[str, Tensor],
        epoch: int,
        foreground: Tensor | None = None,
    ) -> tuple[Logits, Tensor]:
        """Logits of a batch of episodes, AGM included, and the query labels without unsupported classes.

        `foreground` (B, 1, D) takes the place of the support's own foreground prototype.
        """
        static = self.extract_prototypes(support, episode["support_label"], episode["support_foreground"])
        if foreground is not None:
            static = static._replace(foreground=foreground)
        used = static
        if self.training:
            rows, present = self._as_rows(static, episode["class_id"])
            remembered = self.bank.remember(rows, present, self.bank_in_use(epoch))
            used = static._replace(classes=self._from_rows(remembered, episode["class_id"]))
        elif self.bank_in_use(epoch):
            used = self.blend_with_bank(static, episode["class_id"])
        height, width = episode["query"].shape[-2:]
        logits = self.logits_at(query, used, (height, width), with_agm=True)
        return logits, self.drop_unsupported(episode["query_label"], static.present)

    def _as_rows(self, prototypes: Prototypes, class_id: Tensor | None) -> tuple[Tensor, Tensor]:
        """Prototypes over all of the bank's rows, and where they are not zero.

        In 1-way the one class takes the row of its id.
        """
        known = (prototypes.classes != 0).any(dim=2)
        if self.way == "kway":
            return prototypes.classes, known
        if class_id is None:
            raise ValueError("1-way needs the class id of each episode to find its row in the bank")
        here = class_masks(class_id[:, None, None], self.num_slots)[:, :, 0, 0]
        return here[..., None] * prototypes.classes, here.bool() & known

    def _from_rows(self, rows: Tensor, class_id: Tensor | None) -> Tensor:
        if class_id is None or self.way == "kway":
            return rows
        return rows[torch.arange(len(rows), device=rows.device), class_id][:, None]
