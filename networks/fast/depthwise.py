"""Depthwise convolutions whose gradients are quick on the CPU.

torch's library for the CPU has fast kernels for the gradients of undilated 3x3 depthwise convolutions, and for their
inputs' only without a stride. All others fall back to loops that take 10 to 50 times as long, and with an
EfficientNet were half of a training step. Here those gradients are put together from the fast ones; they are the same
sums.
"""

from functools import partial
from typing import Any

import torch
from timm.layers import pad_same
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import at_least_float32
from . import switches

WINDOW = 3  # side of the kernel whose gradients are fast


def use_fast_depthwise_gradients(network: nn.Module) -> None:
    """Let a network's depthwise convolutions take their gradients as above, where it pays: in training on the CPU."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _pays(module):
            module.forward = partial(_forward, module)  # type: ignore[method-assign]  # on this layer alone


def _pays(conv: nn.Conv2d) -> bool:
    settings = (conv.kernel_size, conv.stride, conv.dilation)
    depthwise = 1 < conv.groups == conv.in_channels == conv.out_channels
    if not depthwise or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return False
    if any(len(set(pair)) > 1 for pair in settings):
        return False
    kernel, stride, dilation = (pair[0] for pair in settings)
    return kernel >= WINDOW and kernel % 2 == 1 and stride * dilation * kernel > WINDOW and 1 in (stride, dilation)


def _forward(conv: nn.Conv2d, x: Tensor) -> Tensor:
    fast = switches.depthwise_gradients and torch.is_grad_enabled() and x.device.type == "cpu"
    if not fast or torch.compiler.is_compiling():
        return type(conv).forward(conv, x)
    padding = conv.padding
    if isinstance(conv, Conv2dSame):
        x, padding = pad_same(x, list(conv.kernel_size), list(conv.stride), list(conv.dilation)), (0, 0)
    weight = conv.weight
    if torch.is_autocast_enabled("cpu"):
        x, weight = (tensor.to(torch.get_autocast_dtype("cpu")) for tensor in (x, weight))
    out: Tensor = _Depthwise.apply(x, weight, conv.stride[0], padding, conv.dilation[0])
    return out if conv.bias is None else out + conv.bias[:, None, None].to(out.dtype)


class _Depthwise(torch.autograd.Function):
    """(B, C, H, W) and (C, 1, k, k) -> (B, C, H', W')."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.dilation = stride, padding, dilation
        return F.conv2d(x, weight, None, stride, padding, dilation, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (down, right), (height, width), dilation = ctx.padding, x.shape[-2:], ctx.dilation
        padded = F.pad(x, (right, right, down, down))
        size, batch = padded.shape[-2:], len(x)
        if dilation > 1:
            reach = dilation * (weight.shape[-1] - 1)
            rows, columns = (-(-length // dilation) * dilation for length in gradient.shape[-2:])
            gradient = _phases(gradient, rows, columns, dilation)
            padded = _phases(padded, rows + reach, columns + reach, dilation)
        to_x = to_weight = None
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(gradient, padded, weight, ctx.stride)
        if ctx.needs_input_grad[0]:
            to_x = _input_gradient(gradient, padded, weight, ctx.stride)
            if dilation > 1:
                to_x = _from_phases(to_x, batch, dilation)[..., : size[0], : size[1]]
            to_x = to_x[..., down : down + height, right : right + width]
        return to_x, to_weight, None, None, None


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The gradient of a k x k kernel without padding or dilation, one 3x3 window after another."""
    out, kernel = torch.empty_like(weight), weight[..., :WINDOW, :WINDOW]
    rows, columns = (stride * (length - 1) + WINDOW for length in gradient.shape[-2:])
    for top in range(0, weight.shape[-1] - 1, WINDOW - 1):
        for left in range(0, weight.shape[-1] - 1, WINDOW - 1):
            seen = x[..., top : top + rows, left : left + columns]
            part = _gradient(gradient, seen, kernel, stride, (False, True, False))[1]
            out[..., top : top + WINDOW, left : left + WINDOW] = part
    return out


def _input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    if stride > 1:  # slow in half precision only
        gradient, x, weight = (at_least_float32(tensor) for tensor in (gradient, x, weight))
    return _gradient(gradient, x, weight, stride, (True, False, False))[0]


def _gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride] * 2, [0, 0], [1, 1], False, [0, 0], len(weight), wanted
    )
    return gradients


def _phases(x: Tensor, rows: int, columns: int, step: int) -> Tensor:
    """Every `step`-th pixel becomes a photo of its own: (B, C, H, W), zeros added up to (rows, columns), ->
    (B * step^2, C, rows / step, columns / step), in channels-last memory."""
    x = F.pad(x, (0, columns - x.shape[-1], 0, rows - x.shape[-2])).permute(0, 2, 3, 1)
    x = x.unflatten(2, (-1, step)).unflatten(1, (-1, step)).permute(0, 2, 4, 1, 3, 5)
    return x.flatten(0, 2).permute(0, 3, 1, 2)


def _from_phases(x: Tensor, batch: int, step: int) -> Tensor:
    """The reverse of `_phases`, without cutting off what was added."""
    x = x.permute(0, 2, 3, 1).unflatten(0, (batch, step, step)).permute(0, 3, 1, 4, 2, 5)
    return x.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
