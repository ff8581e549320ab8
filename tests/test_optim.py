"""Every parameter has its rate, and the schedule moves all of them."""

import pytest

from engine.optim import make_optimizer, set_poly_lr

from .samples import tiny_network


def test_each_part_of_the_network_has_its_own_rate():
    network = tiny_network()
    network.coarse_space.requires_grad_(False)
    optimizer = make_optimizer(network, 0.1, 4.0, 0.9, 5e-4, npm_lr_scale=0.5)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    expected = {"encoder": 0.1, "npm": 0.2}
    for name, parameter in network.named_parameters():
        part = name.partition(".")[0]
        assert rate.get(id(parameter)) == (None if part == "coarse_space" else expected.get(part, 0.4)), name


def test_the_poly_schedule_scales_all_rates():
    optimizer = make_optimizer(tiny_network(), 0.1, 4.0, 0.9, 5e-4, npm_lr_scale=0.5)
    assert set_poly_lr(optimizer, 0.1, step=75, steps=100, power=0.5) == pytest.approx(0.05)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.1, 0.2])
    assert set_poly_lr(optimizer, 0.1, step=0, steps=100, power=0.9) == 0.1
