"""Folded networks give the features of the whole ones."""

import copy

import pytest
import torch
from torch import nn

from networks.eopnet import EOPNet
from networks.fast import switches
from networks.fast.folding import fold_batch_norm

from .samples import tiny_network, tiny_stages

NETWORKS = {
    "lite0": lambda: tiny_network(),
    "lite0 high": lambda: tiny_network(level="high"),
    "resnet18": lambda: EOPNet(7, encoder="resnet18", channels=8),
    "xception65": lambda: EOPNet(7, channels=8),
    "pop": lambda: tiny_stages(),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_features_stay_the_same(kind):
    torch.manual_seed(0)
    network = NETWORKS[kind]().double().eval()
    for bn in network.modules():
        if isinstance(bn, nn.BatchNorm2d):
            nn.init.uniform_(bn.running_mean, -0.1, 0.1)
            nn.init.uniform_(bn.running_var, 0.5, 1.5)
            nn.init.uniform_(bn.weight, 0.5, 1.5)
            nn.init.uniform_(bn.bias, -0.1, 0.1)
    folded = copy.deepcopy(network)
    fold_batch_norm(folded)
    count = [sum(isinstance(m, nn.BatchNorm2d) for m in one.modules()) for one in (network, folded)]
    heads = sum(isinstance(m, nn.BatchNorm2d) for name, m in network.named_modules() if ".guide." in name)
    assert count[1] == heads < count[0]
    photo = torch.rand(1, 3, 65, 97).double()
    with torch.no_grad():
        for one, other in zip(network.encode(photo), folded.encode(photo), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_switched_off_nothing_is_folded(monkeypatch):
    monkeypatch.setattr(switches, "folding", False)
    network = tiny_network().eval()
    before = str(network)
    fold_batch_norm(network)
    assert str(network) == before
