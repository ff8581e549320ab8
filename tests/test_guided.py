"""Gains that share their products with one feature give what the plain convolutions give, forward and backward."""

import pytest
import torch
from torch import nn

from networks.fast import switches
from networks.fast.shared_gains import shared_conv, shared_products
from networks.heads import GuidedConv

from .samples import random_episode, tiny_network


def plain(feature: torch.Tensor, gains: torch.Tensor, first: nn.Conv2d, second: nn.Conv2d) -> torch.Tensor:
    return torch.cat([second(first(gains[:, i : i + 1] * feature)) for i in range(gains.shape[1])], dim=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (4, 2), (7, 9)])
def test_products_are_shared_exactly_up_to_the_edges(size):
    torch.manual_seed(0)
    convs = [nn.Conv2d(4, 6, 3, padding=1).double(), nn.Conv2d(6, 5, 3, padding=1).double()]
    feature = torch.randn(2, 4, *size, dtype=torch.double, requires_grad=True)
    gains = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    ours, expected = shared_products(feature, gains, *convs), plain(feature, gains, *convs)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    wanted = [feature, gains, *convs[0].parameters(), *convs[1].parameters()]
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((out * weights).sum(), wanted) for out in (ours, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 9)])
def test_one_feature_under_many_gains_shares_the_first_convolution(size):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, padding=1).double()
    feature, gains = torch.randn(1, 4, *size).double(), torch.randn(5, 1, *size).double()
    torch.testing.assert_close(shared_conv(feature, gains, conv), conv(gains * feature), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("supports", [2, 4])
def test_a_batch_of_gains_on_one_feature_gives_what_each_gives_alone(supports):
    torch.manual_seed(0)
    guide = GuidedConv(4).double().eval()
    feature, gains = torch.randn(1, 4, 6, 5).double(), torch.randn(supports, 1, 6, 5).double()
    with torch.no_grad():
        together = guide(feature, gains)
        alone = torch.cat([guide(feature, gains[i : i + 1]) for i in range(supports)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_few_and_many_gains_take_different_ways_to_one_result(passes):
    torch.manual_seed(0)
    guide = GuidedConv(4).double().eval()
    feature, gains = torch.randn(2, 4, 6, 5).double(), torch.randn(2, passes, 6, 5).double()
    with torch.no_grad():
        together = guide(feature, gains)
        alone = torch.cat([guide(feature, gains[:, i : i + 1]) for i in range(passes)], dim=1)
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("shape", [(2, 5), (4, 1)])
def test_switched_off_the_convolutions_run_one_after_another(shape, monkeypatch):
    torch.manual_seed(0)
    guide = GuidedConv(4).double().eval()
    feature, gains = torch.randn(2 if shape[1] > 1 else 1, 4, 6, 5).double(), torch.randn(*shape, 6, 5).double()
    calls = []
    guide.convs[0].register_forward_hook(lambda *_: calls.append("first"))
    with torch.no_grad():
        shared = guide(feature, gains)
        assert not calls
        monkeypatch.setattr(switches, "shared_gains", False)
        torch.testing.assert_close(guide(feature, gains), shared)
    assert calls == ["first"]


def test_one_query_under_several_supports_gives_agm_as_each_alone():
    network = tiny_network().eval()
    episode = random_episode(batch=3)
    with torch.no_grad():
        query, support = network.encode(episode["query"][:1]), network.encode(episode["support"])
        reference = network.extract_prototypes(support, episode["support_label"], episode["support_foreground"])
        together = network.logits_at(query, reference, (65, 49), with_agm=True).agm
        for i in range(3):
            one = reference._replace(
                **{name: part[i : i + 1] for name, part in reference._asdict().items() if part is not None}
            )
            alone = network.logits_at(query, one, (65, 49), with_agm=True).agm
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-4)
