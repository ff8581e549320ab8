"""Every parameter has its rate, and the schedule moves all of them."""

import pytest
import torch

from engine.optim import begin_epoch, last_fall, load_optimizer, make_optimizer, make_schedule, poly_schedule
from engine.settings import TrainSettings

from .samples import tiny_network

SETTINGS = TrainSettings(lr=0.1, head_lr_scale=4.0, npm_lr_scale=0.5)


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


def published_rate(epoch: int) -> float:
    """The rate of an epoch of 50, as docs/method.md, D1, has it."""
    fall = max(f for f in (0, 9, 19, 29, 39, 49) if f <= epoch)
    return 0.001 * (1 - fall / 50) ** 0.9


@pytest.mark.parametrize("stops", [(), (3, 62, 63, 64, 203)])
def test_the_published_rates_of_50_epochs_follow_their_formula_also_across_a_resume(stops):
    settings, epoch_steps = TrainSettings(schedule="steps"), 7
    optimizer = make_optimizer(tiny_network(), settings)
    optimizer.step()
    schedule = make_schedule(optimizer, settings, epoch_steps)
    rates = []
    for step in range(50 * epoch_steps):
        if step in stops:  # a new process takes up the optimiser, and starts the schedule where it was
            state = optimizer.state_dict()
            optimizer = make_optimizer(tiny_network(), settings)
            load_optimizer(optimizer, state)
            schedule = make_schedule(optimizer, settings, epoch_steps, done=step)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([published_rate(step // epoch_steps) for step in range(50 * epoch_steps)], rel=1e-12)


@pytest.mark.parametrize("epochs, falls", [(50, [9, 19, 29, 39, 49]), (12, [1, 3, 6, 8, 11]), (7, [1, 3, 4, 6])])
def test_a_rate_in_steps_falls_five_times_at_the_most(epochs, falls):
    assert sorted({last_fall(epoch, epochs) for epoch in range(epochs)} - {0}) == falls


@pytest.mark.parametrize("schedule", ["steps", "poly"])
def test_the_momentum_is_lost_where_the_published_rate_falls(schedule):
    network, settings = tiny_network(), TrainSettings(schedule=schedule)
    optimizer = make_optimizer(network, settings)
    lost = []
    for epoch in range(50):
        network.npm.scaler.grad = torch.ones(())
        optimizer.step()
        begin_epoch(optimizer, settings, epoch)
        if not optimizer.state:
            lost.append(epoch)
    assert lost == ([9, 19, 29, 39, 49] if schedule == "steps" else [])
