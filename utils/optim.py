"""SGD with the poly schedule."""

from __future__ import annotations

import torch
from torch import nn


def make_optimizer(
    network: nn.Module, lr: float, head_lr_scale: float, momentum: float, weight_decay: float
) -> torch.optim.SGD:
    """SGD over two groups: the encoder, and everything else at `head_lr_scale` times the rate. Frozen ones are out."""
    trained = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    encoder = [p for n, p in trained if n.startswith("encoder.")]
    rest = [p for n, p in trained if not n.startswith("encoder.")]
    groups = [
        {"params": encoder, "lr": lr, "scale": 1.0},
        {"params": rest, "lr": lr * head_lr_scale, "scale": head_lr_scale},
    ]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)


def set_poly_lr(optimizer: torch.optim.Optimizer, lr: float, step: int, steps: int, power: float) -> float:
    """Set the rate of `step` (from 0) of `steps`: `lr * (1 - step / steps) ** power`; returns it."""
    rate = lr * (1 - step / steps) ** power
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    return rate
