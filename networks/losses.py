"""Loss terms and their schedule over the epochs (docs/method.md, steps 13, 15 and 20)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from utils.constants import IGNORE
from utils.distributed import mean_over_ranks, world_size

from .base import Outputs
from .layers import at_least_float32


class Losses(NamedTuple):
    """The loss terms, each a scalar, and their weighted sum."""

    total: Tensor
    agm: Tensor
    npm: Tensor
    coarse: Tensor
    contrast: Tensor


def eopnet_losses(outputs: Outputs, foreground: Tensor, progress: float, temperature: float | None = 0.1) -> Losses:
    """`(1 - progress) CE(AGM) + progress CE(NPM) + CE(coarse) + contrast`.

    `foreground` is the query's foreground mask (B, H, W), `progress` = epoch / epochs. `temperature=None` leaves
    the contrastive term out, as 1-way does.
    """
    fine, agm, npm = popnet_losses(outputs, progress)
    coarse = segmentation_loss(outputs.logits.coarse, foreground)
    contrast = torch.zeros_like(npm)
    if temperature is not None:
        if outputs.query_prototypes is None or outputs.support_prototypes is None:
            raise ValueError("the network gives no prototypes to contrast; leave the temperature away")
        contrast = contrastive_loss(*outputs.query_prototypes, *outputs.support_prototypes, temperature)
    return Losses(fine + coarse + contrast, agm, npm, coarse, contrast)


class StageLosses(NamedTuple):
    """The loss terms of a POPNet stage, each a scalar, and their weighted sum."""

    total: Tensor
    agm: Tensor
    npm: Tensor


def popnet_losses(outputs: Outputs, progress: float) -> StageLosses:
    """`(1 - progress) CE(AGM) + progress CE(NPM)` at the labels of the stage, `progress` = epoch / its epochs."""
    if outputs.logits.agm is None:
        raise ValueError("a step of training needs the logits of AGM too")
    agm = segmentation_loss(outputs.logits.agm, outputs.label)
    npm = segmentation_loss(outputs.logits.npm, outputs.label)
    return StageLosses((1 - progress) * agm + progress * npm, agm, npm)


def segmentation_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Cross entropy of (B, C, H, W) logits and (B, H, W) labels, mean over the pixels that are not 255.

    0 where every pixel is to be ignored. Under several processes the mean runs over the pixels of all of them, in
    that the average of the processes' losses (and gradients) is that of the joint batch.
    """
    total = F.cross_entropy(at_least_float32(logits), label.long(), ignore_index=IGNORE, reduction="sum")
    return joint_mean(total, (label != IGNORE).sum())


def joint_mean(total: Tensor, count: Tensor) -> Tensor:
    """This process's `total` over the mean `count` of all processes, 0 where that is 0: averaged over the processes it
    is the mean of the joint batch."""
    return total / mean_over_ranks(count.to(total.dtype)).clamp(min=1 / world_size())


def contrastive_loss(
    query: Tensor, query_present: Tensor, support: Tensor, support_present: Tensor, temperature: float
) -> Tensor:
    """Pull prototypes of one class together across the pair: (B, N, D) prototypes, (B, N) presence -> scalar.

    Rows are the query's classes, columns the support's; minus the log-softmax of the cosine / temperature at the
    matching class, averaged over the rows (a row without a match adds 0) and the batch. The published 1e-6 that
    is added to the cosine matrix cancels in the softmax.
    """
    columns = support_present.clone()
    columns[:, 0] = True
    cosine = F.normalize(query, dim=2) @ F.normalize(support, dim=2).transpose(1, 2) / temperature
    log_probability = cosine.masked_fill(~columns[:, None], float("-inf")).log_softmax(dim=2)
    matched = query_present & columns
    diagonal = log_probability.diagonal(dim1=1, dim2=2)
    per_sample = -torch.where(matched, diagonal, torch.zeros_like(diagonal)).sum(dim=1)
    return (per_sample / query_present.sum(dim=1).clamp(min=1)).mean()
