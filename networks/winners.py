"""From logits at feature size to the winning slot of each pixel of the photo."""

from __future__ import annotations

import torch
from torch import Tensor

from .layers import resize


def winner(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The slot with the highest of the logits (B, N, h, w) at each pixel of `size`: (B, H, W) int64."""
    # With the slots side by side in memory, both steps are several times faster on the CPU.
    return resize(logits.contiguous(memory_format=torch.channels_last), size).argmax(dim=1)


def shown_winner(logits: Tensor, present: Tensor, size: tuple[int, int]) -> Tensor:
    """As `winner`, looking at few slots: `present` (B, N - 1) says which classes the supports show.

    A network gives the classes that a support lacks one and the same logit, the same at every pixel, so the first of
    them stands for all.
    """
    found = []
    for one, shown in zip(logits, present, strict=True):
        absent = (~shown).nonzero()[:1, 0]
        slots = torch.cat([absent.new_zeros(1), 1 + torch.cat([shown.nonzero()[:, 0], absent]).sort().values])
        found.append(slots[winner(one[None, slots], size)[0]])
    return torch.stack(found)


def human_mask(coarse: Tensor, size: tuple[int, int]) -> Tensor:
    """Where the coarse branch's logits (B, 2, h, w) say foreground, at `size`: (B, H, W) bool."""
    return resize(coarse[:, 1:] - coarse[:, :1], size)[:, 0] > 0
