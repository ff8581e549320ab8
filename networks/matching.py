"""A query against the prototypes of a support: which pixels are like which class, and which classes are there at all.

See docs/method.md, steps 35 to 37.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .decoding import NEVER
from .layers import at_least_float32, resize

POOLED = 2  # the classes look for their pixels on a feature this much coarser
PEAK, HILL = 20.0, 5.0  # sharpness of two soft maxima of a similarity over the pixels
SIGNS = ("peak", "hill", "own", "rival", "alike", "area", "sure", "prototype's norm", "gathered norm")


class Match(NamedTuple):
    """Of B queries under S supports each, K classes: pixel logits (B, S, 1 + K, h, w), presence logits (B, S, K)."""

    logits: Tensor
    presence: Tensor


class Matcher(nn.Module):
    """Cosine similarity with prototypes that have first looked at the query, and the presence of each class.

    A class's prototype gathers the query's pixels that are likest to it (softmax over the classes and the background,
    within the foreground) and moves towards their mean by a share that is learned: so a garment is compared with
    itself. Presence comes from relations alone (how like the best pixels are, how much of the body they take, which
    other class rivals them), so it holds for classes that no training saw.
    """

    def __init__(self, dims: int, hidden: int = 64) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.threshold = nn.Parameter(torch.tensor(0.25))
        self.share = nn.Parameter(torch.tensor(-1.0))
        self.relate = nn.Linear(2 * dims, hidden)
        self.signs = nn.Linear(len(SIGNS), hidden)
        self.judge = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(
        self, fine: Tensor, human: Tensor, classes: Tensor, present: Tensor, rivals: Tensor | None = None
    ) -> Match:
        """Feature (B, D, h, w), foreground probability (B, 1, h, w), prototypes (B, S, K, D), present (B, S, K).

        `rivals` (B, S, K) says which of the present classes are not the support's: what they win is background.
        Computed in float32 also under autocast: half precision would move the logits by more than a class is ahead.
        """
        with torch.autocast(fine.device.type, enabled=False):
            fine, human, classes = (at_least_float32(part) for part in (fine, human, classes))
            return self._match(fine, human, classes, present, rivals)

    def _match(self, fine: Tensor, human: Tensor, classes: Tensor, present: Tensor, rivals: Tensor | None) -> Match:
        fine, prototypes = F.normalize(fine, dim=1), F.normalize(classes, dim=-1, eps=1e-6)
        gathered, signs = self._look(fine, human, classes, prototypes, present)
        presence = self._presence(prototypes, gathered, fine, human, signs)
        share = torch.sigmoid(self.share)
        turned = F.normalize(
            (1 - share) * prototypes + share * F.normalize(gathered, dim=-1, eps=1e-6), dim=-1, eps=1e-6
        )
        similarity = torch.einsum("bskd,bdhw->bskhw", turned, fine)
        logits = self.scale * similarity + F.logsigmoid(presence)[..., None, None]
        logits = logits.masked_fill(~present[..., None, None], NEVER)
        background = (self.scale * self.threshold).expand_as(logits[:, :, :1])
        if rivals is not None and rivals.shape[2]:
            other = rivals[..., None, None]
            background = torch.maximum(background, logits.masked_fill(~other, NEVER).amax(dim=2, keepdim=True))
            logits = logits.masked_fill(other, NEVER)
        return Match(torch.cat([background, logits], dim=2), presence)

    def _look(
        self, fine: Tensor, human: Tensor, classes: Tensor, prototypes: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The mean (B, S, K, D) of the query's pixels that are likest to each class, and the signs (B, S, K, ...)."""
        height, width = (max(1, side // POOLED) for side in fine.shape[-2:])
        size = (height, width)
        pixels, inside = resize(fine, size).flatten(2), resize(human, size).flatten(2)[:, None]
        similarity = torch.einsum("bskd,bdn->bskn", prototypes, pixels)
        absent = ~present[..., None]
        logits = (self.scale * similarity).masked_fill(absent, NEVER)
        background = (self.scale * self.threshold).expand_as(logits[:, :, :1])
        share = torch.cat([background, logits], dim=2).softmax(dim=2)[:, :, 1:] * inside
        mass = share.sum(dim=-1)
        gathered = torch.einsum("bskn,bdn->bskd", share, pixels) / mass.clamp(min=1e-3)[..., None]
        within = similarity.masked_fill(inside < 0.5, -1)
        unit = F.normalize(gathered, dim=-1, eps=1e-6)
        others = torch.einsum("bskd,bsjd->bskj", prototypes, prototypes)
        place = torch.arange(others.shape[-1], device=others.device)
        apart = absent.transpose(2, 3) | (place[:, None] == place)
        area = mass / inside.sum(dim=-1).clamp(min=1)
        signs = {
            "peak": _soft_maximum(within, PEAK),
            "hill": _soft_maximum(within, HILL),
            "own": (unit * prototypes).sum(dim=-1),
            "rival": torch.einsum("bskd,bsjd->bskj", unit, prototypes).masked_fill(apart, -1).amax(dim=-1),
            "alike": others.masked_fill(apart, -1).amax(dim=-1),
            "area": (area + 1e-4).log() / 4,
            "sure": (share**2).sum(dim=-1) / mass.clamp(min=1e-3),
            "prototype's norm": classes.norm(dim=-1),
            "gathered norm": gathered.norm(dim=-1),
        }
        return gathered, torch.stack([signs[name] for name in SIGNS], dim=-1)

    def _presence(self, prototypes: Tensor, gathered: Tensor, fine: Tensor, human: Tensor, signs: Tensor) -> Tensor:
        """Logits (B, S, K) that each class is in the query."""
        person = (fine * human).sum(dim=(2, 3)) / human.sum(dim=(2, 3)).clamp(min=1)
        relations = torch.cat([prototypes * gathered, prototypes * person[:, None, None]], dim=-1)
        presence: Tensor = self.judge(self.relate(8 * relations) + self.signs(signs))[..., 0]
        return presence


def _soft_maximum(x: Tensor, sharpness: float) -> Tensor:
    """The soft maximum over the last dimension: between the mean (sharpness 0) and the maximum."""
    return ((x * sharpness).logsumexp(dim=-1) - x.new_tensor(x.shape[-1]).log()) / sharpness
