"""Every parameter has its rate, and the schedule moves all of them."""

import pytest

from engine.optim import load_optimizer, make_optimizer, poly_schedule
from engine.settings import OptimizerSettings

from .samples import tiny_network

SETTINGS = OptimizerSettings(lr=0.1, head_lr_scale=4.0, npm_lr_scale=0.5)


def test_each_part_of_the_network_has_its_own_rate():
    network = tiny_network()
    network.coarse_space.requires_grad_(False)
    optimizer = make_optimizer(network, SETTINGS)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    expected = {"encoder": 0.1, "npm": 0.2}
    for name, parameter in network.named_parameters():
        part = name.partition(".")[0]
        assert rate.get(id(parameter)) == (None if part == "coarse_space" else expected.get(part, 0.4)), name


def test_the_poly_schedule_scales_all_rates():
    optimizer = make_optimizer(tiny_network(), SETTINGS)
    assert poly_schedule(optimizer, steps=100, power=0.9).get_last_lr() == pytest.approx([0.1, 0.2, 0.4])
    optimizer.step()
    schedule = poly_schedule(optimizer, steps=100, power=0.5, done=75)
    assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
    assert schedule.get_last_lr() == pytest.approx([0.05, 0.1, 0.2])
    schedule.step()
    assert schedule.get_last_lr()[0] == pytest.approx(0.1 * (1 - 76 / 100) ** 0.5)


def test_a_schedule_goes_on_where_it_was_from_the_state_of_an_earlier_optimiser():
    """Earlier checkpoints hold no rate to start from; it is this run's own."""
    state = make_optimizer(tiny_network(), SETTINGS).state_dict()
    for group in state["param_groups"]:
        del group["initial_lr"]
        group["lr"] = 0.0123
    optimizer = make_optimizer(tiny_network(), SETTINGS)
    load_optimizer(optimizer, state)
    assert poly_schedule(optimizer, 100, 0.5, done=75).get_last_lr() == pytest.approx([0.05, 0.1, 0.2])
