"""Gradients of depthwise convolutions put together from fast ones: the same as torch's own."""

import copy

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from networks.backbones import Encoder
from networks.fast import switches
from networks.fast.depthwise import use_fast_depthwise_gradients

CASES = [
    # kernel, stride, padding, dilation
    (3, 1, 1, 1),
    (5, 1, 2, 1),
    (7, 1, 3, 1),
    (5, 2, 0, 1),
    (3, 2, 1, 1),
    (7, 4, 2, 1),
    (3, 1, 2, 2),
    (5, 1, 4, 2),
    (3, 1, 0, 3),
]


def gradients(conv, x):
    x = x.clone().requires_grad_()
    out = conv(x)
    out.square().sum().backward()
    return [out.detach(), x.grad, *(p.grad for p in conv.parameters())]


@pytest.mark.parametrize("kind", [nn.Conv2d, Conv2dSame])
@pytest.mark.parametrize("kernel, stride, padding, dilation", CASES)
def test_gradients_are_torchs_own(kind, kernel, stride, padding, dilation):
    torch.manual_seed(0)
    conv = kind(6, 6, kernel, stride, padding, dilation, groups=6, dtype=torch.float64)
    x = torch.randn(2, 6, 17, 14, dtype=torch.float64)
    expected = gradients(copy.deepcopy(conv), x)
    plain = conv.forward
    use_fast_depthwise_gradients(conv)
    assert (conv.forward != plain) == ((kernel, stride, dilation) != (3, 1, 1))
    for got, want in zip(gradients(conv, x), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 5, padding=2),  # not depthwise
        nn.Conv2d(4, 8, 5, padding=2, groups=4),
        nn.Conv2d(4, 4, 4, groups=4),  # an even kernel has no middle
        nn.Conv2d(4, 4, (5, 3), groups=4),
        nn.Conv2d(4, 4, 5, stride=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 5, padding=2, padding_mode="reflect", groups=4),
        nn.Conv2d(4, 4, 5, padding="same", groups=4),
    ],
)
def test_other_convolutions_are_left_alone(conv):
    use_fast_depthwise_gradients(conv)
    assert "forward" not in vars(conv)


def test_switched_off_the_gradients_are_torchs_own(monkeypatch):
    conv, x = nn.Conv2d(4, 4, 5, padding=2, groups=4), torch.randn(1, 4, 8, 8)
    expected = gradients(copy.deepcopy(conv), x)
    use_fast_depthwise_gradients(conv)
    assert "_Depthwise" in str(conv(x).grad_fn.next_functions)
    monkeypatch.setattr(switches, "depthwise_gradients", False)
    assert "_Depthwise" not in str(conv(x).grad_fn.next_functions)
    assert all(torch.equal(got, want) for got, want in zip(gradients(conv, x), expected, strict=True))


def test_a_frozen_weight_or_input_needs_no_gradient():
    conv = nn.Conv2d(4, 4, 5, padding=2, groups=4, bias=False)
    use_fast_depthwise_gradients(conv)
    conv(torch.randn(1, 4, 8, 8)).sum().backward()
    assert conv.weight.grad is not None
    conv.weight.grad = None
    conv.weight.requires_grad_(False)
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    conv(x).sum().backward()
    assert x.grad is not None and conv.weight.grad is None


@pytest.mark.parametrize("amp", [False, True])
def test_an_encoder_trains_and_parses_as_before(amp):
    torch.manual_seed(0)
    encoder = Encoder("tf_efficientnet_lite0").train()
    quick = copy.deepcopy(encoder)
    use_fast_depthwise_gradients(quick)
    x = torch.randn(2, 3, 64, 48)
    # bfloat16 has 8 bits of mantissa; rounding adds up over 50 layers and BatchNorm of two photos
    for network in (encoder, quick):
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            low, high = network(x)
        (low.float().square().mean() + high.float().square().mean()).backward()
    ours, theirs = (torch.cat([p.grad.flatten() for p in network.parameters()]) for network in (quick, encoder))
    assert ours.dtype == torch.float32
    assert torch.cosine_similarity(ours, theirs, dim=0) > (0.98 if amp else 0.99999)
    encoder.eval()
    quick.eval()
    quick.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(quick(x), encoder(x), strict=True))
