"""Losses of AOPNet (docs/method.md, steps 38 and 39)."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from utils.constants import IGNORE
from utils.distributed import mean_over_ranks

from .aopnet import PairOutputs
from .layers import at_least_float32, labels_on_corners, resize
from .losses import joint_mean, segmentation_loss
from .prototypes import at_pixels

UNSUPPORTED = 0.15  # weight of person pixels whose class the support lacks, unless a rival may take them
CLOSED, CONTRAST, PLACE, PRESENCE = 0.5, 0.5, 2.0, 0.5  # weights of the terms
TEMPERATURE = 0.1


class AOPLosses(NamedTuple):
    """The loss terms, each a scalar, and their weighted sum."""

    total: Tensor
    pairs: Tensor
    presence: Tensor
    coarse: Tensor
    place: Tensor
    closed: Tensor
    contrast: Tensor


def aop_losses(outputs: PairOutputs, batch: Mapping[str, Tensor], presence_by: str = "class") -> AOPLosses:
    """The losses of a batch of photos with `foreground` (B, H, W) and `body` (B, 2, h, w), the place on the body.

    `presence_by` is one of `networks.settings.PRESENCE_BY`: what weighs alike in the loss of the presence.
    """
    foreground = batch["foreground"]
    pairs = _pairs(outputs)
    presence = _presence(outputs, presence_by)
    coarse = segmentation_loss(resize(at_least_float32(outputs.coarse), foreground.shape[-2:]), foreground)
    person = (labels_on_corners(foreground, outputs.label.shape[-2:]) == 1)[:, None]
    off = F.smooth_l1_loss(at_least_float32(outputs.body), batch["body"], beta=0.05, reduction="none")
    place = joint_mean((off * person).sum(), 2 * person.sum())
    closed = segmentation_loss(outputs.closed, outputs.label)
    contrast = _contrast(outputs)
    total = pairs + PRESENCE * presence + coarse + PLACE * place + CLOSED * closed + CONTRAST * contrast
    return AOPLosses(total, pairs, presence, coarse, place, closed, contrast)


def _pairs(outputs: PairOutputs) -> Tensor:
    """Cross entropy of every query under every support; a class that the support lacks is background there."""
    logits = at_least_float32(outputs.match.logits).flatten(0, 1)
    supports = outputs.shown.shape[1]
    label = outputs.label[:, None].expand(-1, supports, -1, -1).flatten(0, 1)
    supported = at_pixels(outputs.shown.flatten(0, 1), label) | (label == 0) | (label == IGNORE)
    rival = at_pixels(outputs.rivals.flatten(0, 1), label)
    target = torch.where(supported, label, torch.zeros_like(label))
    weight = torch.where(supported | rival, 1.0, UNSUPPORTED) * (target != IGNORE) * _by_area(target)
    losses = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    return joint_mean((losses * weight).sum(), weight.sum())


def _by_area(label: Tensor) -> Tensor:
    """A weight for each pixel of (B, h, w): one over the root of its class's area, so that small classes count too."""
    flat = label.flatten(1)
    areas = torch.zeros(len(label), IGNORE + 1, device=label.device)
    areas.scatter_add_(1, flat, torch.ones_like(flat, dtype=areas.dtype))
    return areas.clamp(min=1).rsqrt().gather(1, flat).view(label.shape)


def _presence(outputs: PairOutputs, by: str) -> Tensor:
    """Binary cross entropy of the presence of the support's classes.

    By class it is a mean over the classes: of each the photos with and without it weigh alike, so that a rare class is
    not doubted for being rare. A class that all photos of the batch have, or none, is left out. By question it is a
    mean over all classes that are there, and over all that are not, so that the answers fit how often a class is met.
    """
    shown = (outputs.shown | outputs.rivals)[..., 1:]
    there = outputs.present[:, None, 1:].expand_as(shown)
    losses = F.binary_cross_entropy_with_logits(outputs.match.presence, there.float(), reduction="none")
    if by == "question":
        sides = [joint_mean((losses * which).sum(), which.sum()) for which in (shown & there, shown & ~there)]
        return (sides[0] + sides[1]) / 2
    parts, counted = [], []
    for which in (shown & there, shown & ~there):
        count = which.sum(dim=(0, 1))
        parts.append(joint_mean((losses * which).sum(dim=(0, 1)), count))
        counted.append(mean_over_ranks(count.to(losses.dtype)) > 0)
    both = counted[0] & counted[1]
    return ((parts[0] + parts[1]) / 2 * both).sum() / both.sum().clamp(min=1)


def _contrast(outputs: PairOutputs) -> Tensor:
    """Prototypes of one class attract each other over the batch, those of other classes repel (InfoNCE)."""
    present = outputs.present.clone()
    present[:, 0] = False
    rows, slots = present.nonzero(as_tuple=True)
    vectors = F.normalize(outputs.prototypes[rows, slots], dim=1)
    own = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    alike = (slots[:, None] == slots[None]) & ~own
    scores = (vectors @ vectors.T / TEMPERATURE).masked_fill(own, float("-inf")).log_softmax(dim=1)
    of_rows = alike.sum(dim=1)
    means = torch.where(alike, scores, torch.zeros_like(scores)).sum(dim=1) / of_rows.clamp(min=1)
    return joint_mean(-means.sum(), (of_rows > 0).sum())
