"""Minimal filtering gives what torch's convolution gives, and only where it is meant to run."""

import pytest
import torch
from torch.nn import functional as F

from networks.fast import switches, winograd
from networks.fast.winograd import Conv3x3, minimal_conv3x3


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (7, 5), (16, 12), (9, 23)])
def test_it_equals_the_plain_convolution(size):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, *size, generator=generator, dtype=torch.float64)
    weight, bias = torch.randn(5, 6, 3, 3, generator=generator).double(), torch.randn(5, generator=generator).double()
    expected = F.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(minimal_conv3x3(x, weight, bias), expected, rtol=1e-10, atol=1e-12)


def test_single_precision_is_kept():
    torch.manual_seed(0)
    conv = Conv3x3(256, 256)
    x = torch.randn(1, 256, 20, 20)
    with torch.no_grad():
        exact = F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
        assert (conv(x) - exact).abs().max() < 1e-4


def test_training_half_precision_narrow_layers_and_the_switch_keep_torchs_own(monkeypatch):
    calls = []
    original = winograd.minimal_conv3x3
    monkeypatch.setattr(winograd, "minimal_conv3x3", lambda *a: (calls.append(a[0].shape[1]), original(*a))[1])
    wide, narrow, x = Conv3x3(128, 128), Conv3x3(8, 8), torch.randn(1, 128, 4, 4)
    wide(x).sum().backward()
    assert wide.weight.grad is not None
    with torch.no_grad():
        narrow(x[:, :8])
        with torch.autocast("cpu", torch.bfloat16):
            wide(x)
        assert calls == []
        monkeypatch.setattr(switches, "minimal_filtering", False)
        plain = wide(x)
        assert calls == []
        monkeypatch.setattr(switches, "minimal_filtering", True)
        torch.testing.assert_close(wide(x), plain, rtol=1e-4, atol=1e-5)
    assert calls == [128]
