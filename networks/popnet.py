"""POPNet, Progressive One-shot Human Parsing: three stages, coarse to fine (docs/method.md, steps 18 to 20).

Stage 1 parses the human foreground, stage 2 the main body areas, stage 3 the fine classes. A stage is a whole network
that holds the one before it, frozen, and infuses that one's feature into its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .backbones import XCEPTION
from .base import Features, OneShotNetwork, Outputs
from .deeplab import Decoder
from .layers import SeparableConv
from .prototypes import Prototypes, cosine_similarity
from .settings import BACKGROUNDS

FOREGROUND_SLOTS = 2


class POPNet(OneShotNetwork):
    """One stage on top of the `previous` ones, which stay as they are: frozen, and in evaluation mode.

    `num_slots` counts the stage's classes and the background. `background="ucs"` (unseen-class screening) averages
    the background over the classes that a support shows, instead of over all slots. The foreground, which screens the
    parse as EOPNet's coarse branch does, is what stage 1 parses.
    """

    method = "pop"

    def __init__(
        self,
        num_slots: int,
        way: str = "kway",
        encoder: str = XCEPTION,
        channels: int = 256,
        level: str = "high",
        warmup_epochs: int = 25,
        momentum: float = 0.001,
        background: str = "fixed",
        previous: POPNet | None = None,
    ) -> None:
        if background not in BACKGROUNDS:
            raise ValueError(f"background {background!r}: choose one of {', '.join(BACKGROUNDS)}")
        super().__init__(num_slots, way, encoder, warmup_epochs)
        self.screened = background == "ucs"
        self.decoder = Decoder(self.encoder.low_channels, self.encoder.high_channels, channels, level)
        self._add_heads(channels, momentum)
        self.previous = previous
        if previous is not None:
            previous.requires_grad_(False).eval()
            self.infuse = nn.Sequential(
                SeparableConv(2 * channels, channels, activate=True), SeparableConv(channels, channels, activate=True)
            )

    @property
    def stage(self) -> int:
        """Which stage this is, from 1: one more than the stages that it holds."""
        return 1 if self.previous is None else self.previous.stage + 1

    def start_from_previous(self) -> None:
        """Take over the weights of the previous stage, all but the bank: its rows are other classes."""
        if self.previous is None:
            raise ValueError("stage 1 has no stage before it")
        weights = self.previous.state_dict()
        kept = {name: value for name, value in weights.items() if not name.startswith(("bank.", "previous."))}
        self.load_state_dict(kept, strict=False)

    def train(self, mode: bool = True) -> POPNet:
        """As of every module, but the previous stages stay in evaluation mode."""
        super().train(mode)
        if self.previous is not None:
            self.previous.eval()
        return self

    def embed(self, images: Tensor) -> Features:
        """Normalised images (B, 3, H, W) -> stage 1's feature as `coarse`, this stage's as `fine`, at stride 4."""
        feature = self.decoder(*self.encoder(images))
        if self.previous is None:
            return Features(feature, feature)
        with torch.no_grad():
            before = self.previous.embed(images)
        return Features(before.coarse, self.infused(feature, before.fine))

    def infused(self, feature: Tensor, previous: Tensor) -> Tensor:
        """Knowledge infusion: this stage's feature and the previous stage's, each (B, D, h, w) -> (B, D, h, w)."""
        fused: Tensor = self.infuse(torch.cat([previous, feature], dim=1))
        return fused

    def coarse_logits(self, query: Features, prototypes: Prototypes) -> Tensor:
        """Logits (B, 2, h, w) of background and human foreground: stage 1's nearest prototype."""
        if self.previous is not None:
            return self.previous.coarse_logits(query, prototypes)
        return self.npm(cosine_similarity(query.coarse, prototypes.foreground))

    def blend_foreground(self, foreground: Tensor) -> Tensor:
        """The foreground prototype (..., D) with the share of stage 1's bank in it."""
        if self.previous is not None:
            return self.previous.blend_foreground(foreground)
        if self.num_slots > FOREGROUND_SLOTS:  # a fine stage by itself, as in the authors' file, has no such row
            return foreground
        flat = foreground.reshape(-1, 1, foreground.shape[-1])
        static = torch.cat([torch.zeros_like(flat), flat], dim=1)
        return self.bank.blend(static, (static != 0).any(dim=2))[:, 1].reshape(foreground.shape)

    def forward(self, episode: Mapping[str, Tensor], epoch: int) -> Outputs:
        """A batch of episodes under the stage's labels -> what the losses need. AGM included."""
        query, support = self.encode(episode["query"]), self.encode(episode["support"])
        return Outputs(*self._answer(query, support, episode, epoch))
