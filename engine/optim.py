"""SGD with the poly schedule."""

from __future__ import annotations

import torch
from torch import nn


def make_optimizer(
    network: nn.Module,
    lr: float,
    head_lr_scale: float,
    momentum: float,
    weight_decay: float,
    npm_lr_scale: float = 1.0,
) -> torch.optim.SGD:
    """SGD over what is not frozen: the encoder, and everything else at `head_lr_scale` times the rate.

    NPM's few scalars have `npm_lr_scale` times that rate.
    """
    scales = {"encoder.": 1.0, "npm.": head_lr_scale * npm_lr_scale, "": head_lr_scale}
    members: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in scales}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            members[next(prefix for prefix in scales if name.startswith(prefix))].append(parameter)
    groups = [
        {"params": members[prefix], "lr": lr * scale, "scale": scale}
        for prefix, scale in scales.items()
        if members[prefix]
    ]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)


def set_poly_lr(optimizer: torch.optim.Optimizer, lr: float, step: int, steps: int, power: float) -> float:
    """Set the rate of `step` (from 0) of `steps`: `lr * (1 - step / steps) ** power`; returns it."""
    rate = lr * (1 - step / steps) ** power
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    return rate
