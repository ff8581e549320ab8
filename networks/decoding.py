"""From logits at feature size to label maps: winning slots at the photo's size, class scores, absent classes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .layers import resize

NEVER = -1e4  # below any logit; an infinity would become NaN when interpolated


class Maps(NamedTuple):
    """One photo's logits at feature size: `classes` (1 + K, h, w), background first, and `coarse` (2, h, w).

    `presence` (K,), in 0..1, says how likely each class is there, where the network judges that.
    """

    classes: Tensor
    coarse: Tensor
    presence: Tensor | None = None


class Tally(NamedTuple):
    """Per class, (K,): the pixels that it wins, and the sum of its probability over them."""

    pixels: Tensor
    probability: Tensor

    def plus(self, other: Tally) -> Tally:
        """Both counts together, as of two windows of one photo."""
        return Tally(self.pixels + other.pixels, self.probability + other.probability)

    @property
    def scores(self) -> Tensor:
        """Mean probability of each class where it wins, in 0..1; 0 for a class that wins nowhere."""
        return self.probability / self.pixels.clamp(min=1)


def class_scores(windows: Sequence[Maps]) -> Tensor:
    """How sure each class (K,) is to be in a photo, 0..1; `windows` are the maps of its parts.

    That is the presence that the network tells, the highest of the windows', or else the mean probability where it
    wins.
    """
    presence = [maps.presence for maps in windows if maps.presence is not None]
    if presence:
        return torch.stack(presence).amax(dim=0)
    return functools.reduce(Tally.plus, map(tally, windows)).scores


def tally(maps: Maps) -> Tally:
    """Count what each class wins inside the coarse foreground."""
    probability, winners = maps.classes.softmax(dim=0).max(dim=0)
    winners = winners * maps.coarse.argmax(dim=0)
    slots = torch.arange(1, maps.classes.shape[0], device=winners.device)
    won = (winners == slots[:, None, None]).float()
    return Tally(won.sum(dim=(1, 2)), (won * probability).sum(dim=(1, 2)))


def decode(maps: Maps, kept: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Label map of slots and coarse foreground mask, both (H, W) = `size`, with only the `kept` classes (K,) bool.

    A class that is not kept leaves its pixels to the next best one. Outside the foreground all are 0.
    """
    dropped = torch.cat([torch.zeros_like(kept[:1]), ~kept])
    logits = maps.classes.masked_fill(dropped[:, None, None], NEVER)
    foreground = human_mask(maps.coarse[None], size)[0]
    return winner(logits[None], size)[0] * foreground, foreground


def winner(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The slot with the highest of the logits (B, N, h, w) at each pixel of `size`: (B, H, W) int64."""
    # With the slots side by side in memory, both steps are several times faster on the CPU.
    return resize(logits.contiguous(memory_format=torch.channels_last), size).argmax(dim=1)


def shown_winner(logits: Tensor, present: Tensor, size: tuple[int, int]) -> Tensor:
    """As `winner`, looking at few slots: `present` (B, N - 1) says which classes the supports show.

    A network gives all classes that a support lacks one and the same logit, so the first of them stands for all.
    """
    winners = []
    for one, shown in zip(logits, present, strict=True):
        absent = (~shown).nonzero()[:1, 0]
        slots = torch.cat([absent.new_zeros(1), 1 + torch.cat([shown.nonzero()[:, 0], absent]).sort().values])
        winners.append(slots[winner(one[None, slots], size)[0]])
    return torch.stack(winners)


def human_mask(coarse: Tensor, size: tuple[int, int]) -> Tensor:
    """Where the coarse branch's logits (B, 2, h, w) say foreground, at `size`: (B, H, W) bool."""
    return resize(coarse[:, 1:] - coarse[:, :1], size)[:, 0] > 0
