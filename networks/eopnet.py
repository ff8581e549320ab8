"""EOPNet, End-to-end One-shot Human Parsing: k-way and 1-way on the same parts (docs/method.md, steps 6 to 17)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .backbones import XCEPTION
from .base import Features, OneShotNetwork, Outputs
from .deeplab import Decoder
from .heads import CoarseHead
from .layers import resize_labels
from .prototypes import PrototypeBank, Prototypes, class_masks, cosine_similarity, masked_average
from .settings import NO_DEPARTURES, Departures


class EOPNet(OneShotNetwork):
    """The network: one feature in two metric spaces, coarse for the human foreground and fine for the classes."""

    method = "eop"

    def __init__(
        self,
        num_slots: int,
        way: str = "kway",
        encoder: str = XCEPTION,
        channels: int = 256,
        level: str = "mid",
        warmup_epochs: int = 25,
        momentum: float = 0.001,
        departures: Departures = NO_DEPARTURES,
    ) -> None:
        super().__init__(num_slots, way, encoder, warmup_epochs)
        self.decoder = Decoder(self.encoder.low_channels, self.encoder.high_channels, channels, level)
        self.coarse_space = nn.Conv2d(channels, channels, 1)
        self.fine_space = nn.Conv2d(channels, channels, 1)
        self.coarse = CoarseHead(channels)
        self._add_heads(channels, momentum)
        self.departures = departures
        if departures.coarse_running_mean:
            self.coarse_bank = PrototypeBank(2, channels, momentum)

    def embed(self, images: Tensor) -> Features:
        """Normalised images (B, 3, H, W) -> features at stride 4."""
        feature = self.decoder(*self.encoder(images))
        return Features(self.coarse_space(feature), self.fine_space(feature))

    def coarse_logits(self, query: Features, prototypes: Prototypes) -> Tensor:
        """Logits (B, 2, h, w) of background and human foreground (docs/method.md, step 8)."""
        return self.coarse(query.coarse, cosine_similarity(query.coarse, prototypes.foreground))

    def forward(self, episode: Mapping[str, Tensor], epoch: int) -> Outputs:
        """A batch of episodes with RGB `query` and `support` -> what the losses need. AGM included."""
        query, support = self.encode(episode["query"]), self.encode(episode["support"])
        person = self._coarse_step(query, support, episode["support_foreground"], epoch) if self.training else None
        return Outputs(
            *self._answer(query, support, episode, epoch, person),
            self._contrasted(query, episode["query_label"], episode["query_foreground"]),
            self._contrasted(support, episode["support_label"], episode["support_foreground"]),
        )

    def _coarse_step(self, query: Features, support: Features, foreground: Tensor, epoch: int) -> Tensor | None:
        """The person prototype (B, 1, D) of a step of training as published (docs/method.md, D3 and D4).

        None where the support's own serves.
        """
        _, running_mean, background_pass = self.departures
        if not (running_mean or background_pass):
            return None
        masks = class_masks(resize_labels(foreground, support.coarse.shape[-2:]), 2)
        rows = masked_average(support.coarse, masks).detach()
        if running_mean:
            rows = self.coarse_bank.remember(rows, masks.flatten(2).any(dim=2), dynamic=epoch == 0)
        if background_pass:
            with torch.no_grad():  # its logits are not used; the statistics move
                self.coarse(query.coarse, cosine_similarity(query.coarse, rows[:, :1]))
        return rows[:, 1:]

    def _contrasted(self, features: Features, label: Tensor, foreground: Tensor) -> tuple[Tensor, Tensor]:
        """Prototypes to contrast, slot 0 the coarse background in the fine space (docs/method.md, step 15)."""
        size = features.fine.shape[-2:]
        masks = class_masks(resize_labels(label, size), self.num_slots if self.way == "kway" else 2)
        present = masks.flatten(2).any(dim=2)
        background = class_masks(resize_labels(foreground, size), 1)
        return masked_average(features.fine, torch.cat([background, masks[:, 1:]], dim=1)), present
