"""A minute of patience: prototypes turned until the references parse as they are labelled (docs/method.md, step 41)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from networks.base import Features, OneShotNetwork
from networks.layers import at_least_float32
from networks.prototypes import Prototypes
from utils.constants import IGNORE

STEPS, RATE, PULL = 60, 0.02, 1.0


def adapt(
    network: OneShotNetwork,
    references: Sequence[tuple[Features, Tensor]],
    prototypes: Prototypes,
    turned: Sequence[int],
) -> Prototypes:
    """The prototypes of a k-way network after some steps of Adam on the references' own pixels; the others of its slots
    than `turned` stay as they are, since what a bank remembers is better than what few photos tell.

    `references` are the features of each photo (batch 1) and its slots at feature size (h, w), negative where a pixel
    does not count (see `shrink_labels`). The prototypes change their direction alone; a pull keeps them near the start.
    """
    if not turned:
        return prototypes
    with torch.inference_mode(False), torch.enable_grad():
        start = F.normalize(prototypes.classes.detach().clone(), dim=-1, eps=1e-6)
        length = prototypes.classes.detach().clone().norm(dim=-1, keepdim=True)
        free = torch.zeros_like(prototypes.present, dtype=torch.bool)
        free[:, list(turned)] = True
        direction = start.clone().requires_grad_()
        photos = [(_copy(features), _target(slots)) for features, slots in references if (slots > 0).any()]
        present, foreground = prototypes.present.clone(), prototypes.foreground.clone()
        rivals = None if prototypes.rivals is None else prototypes.rivals.clone()
        optimizer = torch.optim.Adam([direction], lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            classes = torch.where(free[..., None], F.normalize(direction, dim=-1, eps=1e-6), start)
            now = Prototypes(classes * length, present, foreground, rivals)
            loss = torch.stack([_loss(network, features, target, now) for features, target in photos]).mean()
            far = (classes - start).square().sum(dim=-1).mean()
            (loss + PULL * far).backward(inputs=[direction])
            optimizer.step()
        classes = F.normalize(direction.detach(), dim=-1, eps=1e-6) * length
    return prototypes._replace(classes=torch.where(free[..., None], classes, prototypes.classes.detach()))


def _copy(features: Features) -> Features:
    return Features(*(at_least_float32(part.detach().clone()) for part in (features.coarse, features.fine)))


def _target(slots: Tensor) -> Tensor:
    return torch.where(slots < 0, IGNORE, slots).long()[None].clone()


def _loss(network: OneShotNetwork, features: Features, target: Tensor, prototypes: Prototypes) -> Tensor:
    """Cross entropy of a reference under its own prototypes; every class weighs alike, the background not at all."""
    logits = network.logits(features, prototypes).npm
    losses = F.cross_entropy(logits.float(), target, ignore_index=IGNORE, reduction="none")
    slots = [slot for slot in target.unique().tolist() if slot not in (0, IGNORE)]
    return torch.stack([losses[target == slot].mean() for slot in slots]).mean()
