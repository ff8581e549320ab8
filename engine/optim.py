"""SGD with the poly schedule (docs/method.md, step 30)."""

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from .settings import OptimizerSettings


def make_optimizer(network: nn.Module, settings: OptimizerSettings) -> torch.optim.SGD:
    """SGD over what is not frozen: rates of encoder, NPM's scalars and the rest, scaled as the settings say."""
    heads = settings.head_lr_scale
    scales = {"encoder.": 1.0, "npm.": heads * settings.npm_lr_scale, "": heads}
    members: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in scales}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            members[next(prefix for prefix in scales if name.startswith(prefix))].append(parameter)
    groups = [
        {"params": members[prefix], "lr": settings.lr * scale, "initial_lr": settings.lr * scale}
        for prefix, scale in scales.items()
        if members[prefix]
    ]
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take an optimiser's saved state; the rates at the start of the run stay this run's own."""
    initial = [group["initial_lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, rate in zip(optimizer.param_groups, initial, strict=True):
        group["initial_lr"] = rate


def poly_schedule(optimizer: torch.optim.Optimizer, steps: int, power: float, done: int = 0) -> LambdaLR:
    """The rates of a run of `steps` of which `done` are behind: `initial * (1 - step / steps) ** power`."""
    return LambdaLR(optimizer, lambda step: (1 - min(step, steps) / steps) ** power, last_epoch=done - 1)
