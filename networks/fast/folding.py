"""BatchNorm taken into the convolutions before it, for networks that only parse from now on."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..base import OneShotNetwork
from . import switches

PROBE = 64  # side of the photo that shows which layers follow each other


@torch.no_grad()
def fold_batch_norm(network: OneShotNetwork) -> None:
    """Fold every BatchNorm of encoder and decoder that directly follows a convolution into it, in place.

    The features stay the same but for rounding; the network must be in evaluation mode, and cannot be trained
    afterwards. The heads, which are called once a parse, keep theirs.
    """
    if not switches.folding:
        return
    names = {module: name for name, module in network.named_modules()}
    for conv, bn in _followers(network):
        fused = fuse_conv_bn_eval(conv, bn)
        conv.weight, conv.bias = fused.weight, fused.bias
        parent, _, child = names[bn].rpartition(".")
        # timm's layer has its activation within; dropout does nothing in evaluation mode.
        setattr(network.get_submodule(parent), child, getattr(bn, "act", nn.Identity()))


def _followers(network: OneShotNetwork) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Pairs of layers where the second's input is the first's output, found by encoding a photo."""
    makers: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # keeps the outputs, so that no id is used twice
    pairs = []

    def made(conv: nn.Conv2d, _inputs: tuple, output: Tensor) -> None:
        makers[id(output)] = conv, output

    def taken(bn: nn.BatchNorm2d, inputs: tuple) -> None:
        if id(inputs[0]) in makers:
            pairs.append((makers[id(inputs[0])][0], bn))

    hooks = [m.register_forward_hook(made) for m in network.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_pre_hook(taken) for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    reference = next(network.parameters())
    network.encode(torch.zeros(1, 3, PROBE, PROBE, dtype=reference.dtype, device=reference.device))
    for hook in hooks:
        hook.remove()
    return pairs
