"""BatchNorm over several passes at once, each with statistics of its own, as a loop over the passes would give."""

from functools import partial

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn import functional as F

from utils.distributed import is_distributed, world_size


def batch_norm_passes(bn: nn.BatchNorm2d, x: Tensor, passes: int, order: Tensor | None = None) -> Tensor:
    """Normalise (B, P * C, h, w), the P passes beside each other as channel groups, each with its own statistics.

    In evaluation mode the running statistics serve, and this is plain BatchNorm. In training the running
    statistics move as a loop would move them that makes the passes `order` (indices into P) one after another.
    """
    weight, bias = for_each_pass(bn.weight, passes), for_each_pass(bn.bias, passes)
    running_mean, running_var = _running(bn)
    if not bn.training:
        mean, var = for_each_pass(running_mean, passes), for_each_pass(running_var, passes)
        return F.batch_norm(x, mean, var, weight, bias, eps=bn.eps)
    if order is None:
        order = torch.arange(passes, device=x.device)
    out, mean, var = _normalize(x, weight, bias, bn.eps, running_mean.dtype)
    _move_running(bn, mean.view(passes, -1), var.view(passes, -1), order)
    return out


def for_each_pass(tensor: Tensor, passes: int) -> Tensor:
    """Repeat the channels of (C, ...) for each pass; one pass takes the tensor itself, which exported graphs need."""
    return tensor if passes == 1 else tensor.repeat(passes, *[1] * (tensor.ndim - 1))


def synchronize(network: nn.Module) -> None:
    """Share BatchNorm statistics over the ranks on any device; torch's SyncBatchNorm does not run on the CPU."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = partial(_forward_synced, module)  # type: ignore[method-assign]  # that is the aim


def _forward_synced(bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    out = batch_norm_passes(bn, x, 1)
    if isinstance(bn, BatchNormAct2d):
        out = bn.act(bn.drop(out))
    return out


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
    momentum, counted = bn.momentum or 0.0, bn.num_batches_tracked
    weights, keep = momentum * (1 - momentum) ** steps, (1 - momentum) ** len(order)
    for running, statistic in zip(_running(bn), (mean, var), strict=True):
        running.mul_(keep).add_(weights @ statistic[order])
    if counted is not None:
        counted.add_(len(order))


def _running(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("a BatchNorm layer without running statistics")
    return bn.running_mean, bn.running_var
