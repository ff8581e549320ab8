"""BatchNorm over several passes at once, each with statistics of its own, as a loop over the passes would give."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn import functional as F

from utils.distributed import is_distributed, world_size


def batch_norm_passes(bn: nn.BatchNorm2d, x: Tensor, passes: int, order: Tensor | None = None) -> Tensor:
    """Normalise (B, P * C, h, w), the P passes beside each other as channel groups, each with its own statistics.

    In evaluation mode the running statistics serve, and this is plain BatchNorm. In training the running
    statistics move as a loop would move them that makes the passes `order` (indices into P) one after another.
    """
    if not bn.training:
        tensors = (bn.running_mean, bn.running_var, bn.weight, bn.bias)
        return F.batch_norm(x, *(for_each_pass(tensor, passes) for tensor in tensors), eps=bn.eps)
    if order is None:
        order = torch.arange(passes, device=x.device)
    out, mean, var = _normalize(
        x, for_each_pass(bn.weight, passes), for_each_pass(bn.bias, passes), bn.eps, bn.running_mean.dtype
    )
    _move_running(bn, mean.view(passes, -1), var.view(passes, -1), order)
    return out


def for_each_pass(tensor: Tensor, passes: int) -> Tensor:
    """Repeat the channels of (C, ...) for each pass; one pass takes the tensor itself, which exported graphs need."""
    return tensor if passes == 1 else tensor.repeat(passes, *[1] * (tensor.ndim - 1))


def synchronize(network: nn.Module) -> None:
    """Let the BatchNorm layers of a network share their statistics over the ranks, on any device.

    torch's own SyncBatchNorm serves on CUDA; it does not run on the CPU.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = partial(_forward_synced, module)


def _forward_synced(bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    out = batch_norm_passes(bn, x, 1)
    return bn.act(bn.drop(out)) if hasattr(bn, "act") else out  # timm's layer has its activation within


def _normalize(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch-normalised (B, C, H, W), the mean and the unbiased variance (C,), over all ranks' batches."""
    if not is_distributed():
        mean, var = (torch.zeros(x.shape[1], dtype=dtype, device=x.device) for _ in range(2))
        # With momentum 1 the "running" statistics that come back are those of this batch.
        return F.batch_norm(x, mean, var, weight, bias, training=True, momentum=1.0, eps=eps), mean, var
    exact = x.to(dtype)
    count = x.numel() // x.shape[1] * world_size()
    mean = all_reduce(exact.sum(dim=(0, 2, 3))) / count
    centred = exact - mean[:, None, None]
    var = all_reduce(centred.square().sum(dim=(0, 2, 3))) / count
    out = centred * (weight * (var + eps).rsqrt())[:, None, None] + bias[:, None, None]
    return out.to(x.dtype), mean.detach(), var.detach() * (count / max(count - 1, 1))


@torch.no_grad()
def _move_running(bn: nn.BatchNorm2d, mean: Tensor, var: Tensor, order: Tensor) -> None:
    """`r <- (1 - m) r + m * statistic`, once per entry of `order`, in closed form."""
    steps = torch.arange(len(order) - 1, -1, -1, device=mean.device, dtype=mean.dtype)
    weights = bn.momentum * (1 - bn.momentum) ** steps
    keep = (1 - bn.momentum) ** len(order)
    bn.running_mean.mul_(keep).add_(weights @ mean[order])
    bn.running_var.mul_(keep).add_(weights @ var[order])
    bn.num_batches_tracked.add_(len(order))
