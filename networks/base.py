"""What the one-shot networks share: references from labelled supports, the bank's share in them, nearest prototypes.

EOPNet and POPNet differ in how they come to their features and to the human foreground; everything after it is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from utils.constants import WAYS

from .backbones import XCEPTION, Encoder
from .heads import AttentionGuidance, BinaryAttentionGuidance, BinaryNearestPrototype, NearestPrototype
from .layers import resize, resize_labels
from .prototypes import PrototypeBank, class_masks, cosine_similarity, masked_average
from .winners import human_mask, shown_winner


class Features(NamedTuple):
    """An image in the two metric spaces: `coarse` and `fine`, each (B, D, h, w) at stride 4."""

    coarse: Tensor
    fine: Tensor


class Reference(NamedTuple):
    """What a support says of its classes. K is the number of slots in k-way (slot 0 stays empty), 1 in 1-way."""

    prototypes: Tensor  # (B, K, D) static prototypes, zero where absent
    present: Tensor  # (B, K) bool
    foreground: Tensor  # (B, 1, D) prototype of the human foreground in the coarse space


class Logits(NamedTuple):
    """Logits of a query: `npm` and `agm` (B, N or 2, H, W), `coarse` (B, 2, H, W); `agm` may be missing."""

    npm: Tensor
    agm: Tensor | None
    coarse: Tensor


class Labels(NamedTuple):
    """What a query is parsed into: winning slots `npm` and `agm` (B, H, W), `human` (B, H, W) bool; `agm` as above."""

    npm: Tensor
    agm: Tensor | None
    human: Tensor


class Outputs(NamedTuple):
    """What a training step needs: logits, the query label without unsupported classes, prototypes to contrast.

    POPNet contrasts no prototypes.
    """

    logits: Logits
    label: Tensor  # (B, H, W)
    query: tuple[Tensor, Tensor] | None = None  # prototypes (B, N, D), present (B, N); slot 0 is the background
    support: tuple[Tensor, Tensor] | None = None


class OneShotNetwork(nn.Module):
    """Base of the networks. `num_slots` counts the background and every label id of the data set.

    Images come normalised (see `Encoder.normalize`), label maps as integers with 255 for pixels to ignore; in
    1-way label maps are binary. Epochs count from 0; the bank is used from the epoch after `warmup_epochs`.
    A subclass gives `encode` and `coarse_logits`.
    """

    method = ""

    def __init__(self, num_slots: int, way: str = "kway", encoder: str = XCEPTION, warmup_epochs: float = 25) -> None:
        super().__init__()
        if way not in WAYS:
            raise ValueError(f"way {way!r}: choose one of {', '.join(WAYS)}")
        self.num_slots, self.way, self.warmup_epochs = num_slots, way, warmup_epochs
        self.screened = False  # POPNet's background may keep to the classes that the support shows
        self.encoder = Encoder(encoder)

    def _add_heads(self, channels: int, momentum: float) -> None:
        """The attention guidance and nearest prototype modules, and the bank."""
        self.agm = (
            AttentionGuidance(channels, self.screened) if self.way == "kway" else BinaryAttentionGuidance(channels)
        )
        self.npm = NearestPrototype() if self.way == "kway" else BinaryNearestPrototype()
        self.bank = PrototypeBank(self.num_slots, channels, momentum)

    def encode(self, images: Tensor) -> Features:
        """Normalised images (B, 3, H, W) -> features at stride 4."""
        raise NotImplementedError

    def coarse_logits(self, query: Features, reference: Reference) -> Tensor:
        """Logits (B, 2, h, w) of background and human foreground, at feature size."""
        raise NotImplementedError

    def extract_prototypes(
        self, support: Features, label: Tensor, foreground: Tensor, slots: int | None = None
    ) -> Reference:
        """Static prototypes of a support from its label map and foreground mask, each (B, H, W).

        `slots` counts the background and the ids that the label map may hold; by default those of the data set.
        """
        size = support.fine.shape[-2:]
        slots = 2 if self.way == "1way" else slots or self.num_slots
        masks = class_masks(resize_labels(label, size), slots)
        if self.way == "kway":
            masks[:, 0] = 0
        else:
            masks = masks[:, 1:]
        human = class_masks(resize_labels(foreground, size), 2)[:, 1:]
        return Reference(
            masked_average(support.fine, masks),
            masks.flatten(2).any(dim=2),
            # The published coarse branch does not train the encoder through the prototype.
            masked_average(support.coarse, human).detach(),
        )

    def blend_with_bank(self, reference: Reference, epoch: int, class_id: Tensor | None = None) -> Reference:
        """Blend a reference's prototypes with the bank, once the warm-up is over. `class_id` (B,) is for 1-way."""
        if epoch <= self.warmup_epochs:
            return reference
        spread, present = self._spread(reference, class_id)
        return reference._replace(
            prototypes=self._gather(self.bank.blend(spread, present), class_id),
            foreground=self.blend_foreground(reference.foreground),
        )

    def blend_foreground(self, foreground: Tensor) -> Tensor:
        """The foreground prototype (..., D) with the bank's share in it; EOPNet's is always the support's own."""
        return foreground

    def logits_at(self, query: Features, reference: Reference, size: tuple[int, int], with_agm: bool = False) -> Logits:
        """Logits at `size` (H, W); the rest as of `logits`."""
        found = self.logits(query, reference, with_agm)
        return Logits(*(None if one is None else resize(one, size) for one in found))

    def predict(self, query: Features, reference: Reference, size: tuple[int, int], with_agm: bool = False) -> Labels:
        """The winners of `logits_at` logits, at less cost; 0 where `human` is not (spec: EOPNet, step 9, screening)."""
        found = self.logits(query, reference, with_agm)
        human = human_mask(found.coarse, size)
        present = reference.present[:, 1 if self.way == "kway" else 0 :]
        npm, agm = (None if one is None else shown_winner(one, present, size) * human for one in (found.npm, found.agm))
        return Labels(npm, agm, human)

    def logits(self, query: Features, reference: Reference, with_agm: bool = False) -> Logits:
        """Logits at feature size for a query under a reference whose prototypes are used as they are.

        The batch sizes of both must agree, or either be 1. AGM is only computed when asked for. However many
        classes the reference has, the background keeps the scale of the training's `num_slots`.
        """
        start = 1 if self.way == "kway" else 0
        similarity = cosine_similarity(query.fine, reference.prototypes[:, start:])
        present = reference.present[:, start:]
        agm = self.agm(query.fine, similarity, present) if with_agm else None
        return Logits(self._nearest(similarity, present), agm, self.coarse_logits(query, reference))

    def _nearest(self, similarity: Tensor, present: Tensor) -> Tensor:
        if self.way == "1way":
            return self.npm(similarity)
        if not self.screened:
            return self.npm(similarity, self.num_slots - 1)
        shown = present.to(similarity.dtype)[:, :, None, None]
        logits = self.npm(similarity, shown.sum(dim=1, keepdim=True).clamp(min=1))
        return torch.cat([logits[:, :1], logits[:, 1:] * shown], dim=1)

    def _answer(
        self, query: Features, support: Features, episode: Mapping[str, Tensor], epoch: int
    ) -> tuple[Logits, Tensor]:
        """Logits of a batch of episodes, AGM included, and the query labels without unsupported classes."""
        static = self.extract_prototypes(support, episode["support_label"], episode["support_foreground"])
        recall = self._remember if self.training else self.blend_with_bank
        used = recall(static, epoch, episode["class_id"])
        logits = self.logits_at(query, used, episode["query"].shape[-2:], with_agm=True)
        return logits, self.drop_unsupported(episode["query_label"], static.present)

    def drop_unsupported(self, label: Tensor, present: Tensor) -> Tensor:
        """Set to 0 the pixels of a query label (B, H, W) whose class the support lacks (spec: EOPNet, step 6).

        `present` (B, K) is a reference's, at feature size; 255 stays.
        """
        known = torch.zeros(len(label), 256, dtype=torch.bool, device=label.device)
        first = 0 if self.way == "kway" else 1
        known[:, first : first + present.shape[1]] = present
        known[:, 0] = known[:, 255] = True
        kept = known.gather(1, label.flatten(1).long()).view_as(label)
        return torch.where(kept, label, torch.zeros_like(label))

    def _remember(self, static: Reference, epoch: int, class_id: Tensor) -> Reference:
        spread, present = self._spread(static, class_id)
        used = self.bank.remember(spread, present, dynamic=epoch > self.warmup_epochs)
        return static._replace(prototypes=self._gather(used, class_id))

    def _spread(self, reference: Reference, class_id: Tensor | None) -> tuple[Tensor, Tensor]:
        """Prototypes and presence over all of the bank's rows: in 1-way the one class takes the row of its id."""
        if self.way == "kway":
            return reference.prototypes, reference.present
        if class_id is None:
            raise ValueError("1-way needs the class id of each episode to find its row in the bank")
        here = class_masks(class_id[:, None, None], self.num_slots)[:, :, 0, 0]
        return here[..., None] * reference.prototypes, here.bool() & reference.present

    def _gather(self, prototypes: Tensor, class_id: Tensor | None) -> Tensor:
        if self.way == "kway":
            return prototypes
        return prototypes[torch.arange(len(prototypes), device=prototypes.device), class_id][:, None]
