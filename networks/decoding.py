"""From a network's logits at feature size to a label map: class scores, absent classes, upsampling."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .base import Features, OneShotNetwork
from .references import Prototypes
from .winners import human_mask, winner

NEVER = -1e4  # below any logit; an infinity would become NaN when interpolated


class Maps(NamedTuple):
    """One photo's logits at feature size: `classes` (1 + K, h, w), background first, and `coarse` (2, h, w)."""

    classes: Tensor
    coarse: Tensor


class Tally(NamedTuple):
    """Per class, (K,): the pixels that it wins, and the sum of its probability over them."""

    pixels: Tensor
    probability: Tensor

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]
        return Tally(self.pixels + other.pixels, self.probability + other.probability)

    @property
    def scores(self) -> Tensor:
        """Mean probability of each class where it wins, in 0..1; 0 for a class that wins nowhere."""
        return self.probability / self.pixels.clamp(min=1)


def class_maps(network: OneShotNetwork, features: Features, prototypes: Prototypes) -> list[Maps]:
    """Logits of every photo in a batch of features, at feature size.

    A 1-way network parses each class in turn; their foreground-minus-background logits compete with each other and
    with a background of 0.
    """
    reference = prototypes.to_reference(network.way)
    if network.way == "kway":
        logits = network.logits(features, reference)
        return [Maps(*pair) for pair in zip(logits.npm, logits.coarse, strict=True)]
    maps = []
    for one in zip(features.coarse, features.fine, strict=True):
        logits = network.logits(Features(*(f[None] for f in one)), reference)
        margin = logits.npm[:, 1] - logits.npm[:, 0]
        maps.append(Maps(torch.cat([torch.zeros_like(margin[:1]), margin]), logits.coarse[0]))
    return maps


def tally(maps: Maps) -> Tally:
    """Count what each class wins inside the coarse foreground."""
    probability, winner = maps.classes.softmax(dim=0).max(dim=0)
    winner = winner * maps.coarse.argmax(dim=0)
    slots = torch.arange(1, maps.classes.shape[0], device=winner.device)
    won = (winner == slots[:, None, None]).float()
    return Tally(won.sum(dim=(1, 2)), (won * probability).sum(dim=(1, 2)))


def decode(maps: Maps, kept: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Label map of slots and coarse foreground mask, both (H, W) = `size`, with only the `kept` classes (K,) bool.

    A class that is not kept leaves its pixels to the next best one. Pixels that the coarse branch calls background
    become 0.
    """
    dropped = torch.cat([torch.zeros_like(kept[:1]), ~kept])
    logits = maps.classes.masked_fill(dropped[:, None, None], NEVER)
    foreground = human_mask(maps.coarse[None], size)[0]
    return winner(logits[None], size)[0] * foreground, foreground
