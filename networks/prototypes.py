"""Prototypes: masked average pooling, cosine similarity, and the bank that remembers them over the training."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.constants import IGNORE
from utils.distributed import gather_batch

from .layers import at_least_float32


class Prototypes(NamedTuple):
    """What a support says of its classes. K is the number of slots in k-way (slot 0 stays empty), 1 in 1-way."""

    classes: Tensor  # (B, K, D), zero where absent
    present: Tensor  # (B, K) bool
    foreground: Tensor  # (B, 1, D) prototype of the human foreground in the coarse space
    # AOPNet alone: (B, R, D) known classes that it does not show, or zero, which the background takes
    rivals: Tensor | None = None
    presence_bias: Tensor | None = None  # (B, K) what is added to the logits of the classes' presence

    @classmethod
    def of_classes(cls, vectors: Tensor, foreground: Tensor, way: str, rivals: Tensor | None = None) -> Prototypes:
        """From a prototype for each of any number of classes, (K, D), that of the foreground, (D,), and rivals (R, D).

        In k-way they make up one reference; in 1-way each class is one of a batch of K. A zero prototype is absent.
        """
        if way == "1way":
            classes = vectors[:, None]
        else:
            classes = torch.cat([torch.zeros_like(vectors[:1]), vectors])[None]
        return cls(classes, (classes != 0).any(dim=2), foreground[None, None], None if rivals is None else rivals[None])

    @classmethod
    def join(cls, parts: list[Prototypes]) -> Prototypes:
        """Several as one batch; all of them have rivals, or none, and so with `presence_bias`."""
        fields = zip(*((one.classes, one.present, one.foreground) for one in parts), strict=True)
        classes, present, foreground = (torch.cat(field) for field in fields)
        rivals = [one.rivals for one in parts if one.rivals is not None]
        biases = [one.presence_bias for one in parts if one.presence_bias is not None]
        return cls(
            classes,
            present,
            foreground,
            torch.cat(rivals) if rivals else None,
            torch.cat(biases) if biases else None,
        )


def at_pixels(flags: Tensor, label: Tensor) -> Tensor:
    """Whether the class of each pixel of `label` (B, h, w) is flagged in `flags` (B, K), bool by class id.

    Ids from K on, such as 255, are not.
    """
    table = F.pad(flags, (0, IGNORE + 1 - flags.shape[-1]))
    return table.gather(1, label.flatten(1).long()).view_as(label)


def class_masks(labels: Tensor, num_slots: int) -> Tensor:
    """Integer label maps (B, h, w) -> one mask per class slot (B, N, h, w), float; ids >= N (255) are in none."""
    return (labels[:, None] == torch.arange(num_slots, device=labels.device)[:, None, None]).float()


def masked_average(feature: Tensor, masks: Tensor) -> Tensor:
    """Average the feature (B, D, h, w) under each mask (B, K, h, w) -> (B, K, D); zeros where a mask is empty.

    At least float32, also under autocast: the bank takes a thousandth of a prototype at a time, which half precision
    would round away. See docs/method.md, step 7.
    """
    with torch.autocast(feature.device.type, enabled=False):
        feature = at_least_float32(feature)
        masks = masks.to(feature.dtype)
        total = torch.einsum("bdhw,bkhw->bkd", feature, masks)
        return total / masks.sum(dim=(2, 3)).clamp(min=1)[..., None]


def cosine_similarity(feature: Tensor, prototypes: Tensor) -> Tensor:
    """Similarity (B, K, h, w), in -1..1, of each pixel of (B, D, h, w) with (B, K, D); 0 for a zero prototype."""
    feature, prototypes = F.normalize(feature, dim=1, eps=1e-8), F.normalize(prototypes, dim=2, eps=1e-8)
    return torch.einsum("bdhw,bkd->bkhw", feature, prototypes.to(feature.dtype))


def cluster_centres(vectors: Tensor, count: int, rounds: int = 10) -> Tensor:
    """k-means by cosine similarity: (M, D) -> `count` centres of length 1, (count, D); zeros where M is 0.

    It starts with the vector nearest to the mean, then takes the one farthest from those it has. Where M is less than
    `count`, vectors stand several times.
    """
    vectors = F.normalize(vectors, dim=1, eps=1e-8)
    if len(vectors) <= count:
        again = torch.arange(count, device=vectors.device) % max(len(vectors), 1)
        return vectors[again] if len(vectors) else vectors.new_zeros(count, vectors.shape[1])
    nearest = vectors @ vectors.mean(dim=0)
    chosen = [nearest.argmax()]
    nearest = vectors @ vectors[chosen[0]]
    for _ in range(count - 1):
        chosen.append(nearest.argmin())
        nearest = torch.maximum(nearest, vectors @ vectors[chosen[-1]])
    centres = vectors[torch.stack(chosen)]
    for _ in range(rounds):
        sums = torch.zeros_like(centres).index_add_(0, (vectors @ centres.T).argmax(dim=1), vectors)
        centres = torch.where((sums == 0).all(dim=1, keepdim=True), centres, F.normalize(sums, dim=1, eps=1e-8))
    return centres


class PrototypeBank(nn.Module):
    """One remembered prototype per class id, (N, D); a zero row is empty (docs/method.md, step 9).

    A buffer: it travels with checkpoints, without gradient. Across ranks it goes on as for one joint batch.
    """

    rows: Tensor

    def __init__(self, num_slots: int, channels: int, momentum: float = 0.001) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("rows", torch.zeros(num_slots, channels))

    def blend(self, static: Tensor, present: Tensor) -> Tensor:
        """The prototypes to use, (B, K, D), for static ones (B, K, D) whose K slots are the bank's rows.

        `(1 - a) * bank + a * static` where the bank holds the class, else the static one; absent classes are zero.
        """
        return self._mix(self.rows.to(static.dtype), static, present)

    def remember(self, static: Tensor, present: Tensor, dynamic: bool) -> Tensor:
        """As `blend`, sample by sample in the order of the joint batch, the bank taking each sample's prototypes.

        With `dynamic=False` (warm-up) the static prototypes are used and remembered as they are.
        """
        (everyone, shown), first = gather_batch(static.detach(), present)
        bank = self.rows.to(static.dtype)
        used = []
        for i in range(len(everyone)):
            mine = 0 <= i - first < len(static)
            own = static[i - first] if mine else everyone[i]
            mixed = self._mix(bank, own, shown[i]) if dynamic else own
            bank = torch.where(shown[i][:, None], mixed.detach(), bank)
            if mine:
                used.append(mixed)
        self.rows.copy_(bank)
        return torch.stack(used)

    def _mix(self, bank: Tensor, static: Tensor, present: Tensor) -> Tensor:
        known = (bank != 0).any(dim=-1, keepdim=True)
        mixed = torch.where(known, (1 - self.momentum) * bank + self.momentum * static, static)
        return mixed * present[..., None]
