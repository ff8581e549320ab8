"""What runs on a GPU equals the CPU, and the same bodies run on the CPU everywhere."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch

import train as train_cli
from dataloaders import catalog
from dataloaders.oshp_loader import TestEpisodes
from engine import stopping
from engine.evaluation import evaluate
from engine.optim import poly_schedule
from engine.settings import TrainSettings
from engine.training import Trainer, objective_of, to_device
from inference.parser import OneShotParser
from utils.device import choose_device, tune

from .devices import on_each_device
from .own_photos import parsed, write_checkpoint
from .samples import random_episode, tiny_network
from .test_train import last, note_steps, settings, stop_signal


def trainer(network: torch.nn.Module, device: torch.device, amp: str = "off", scaled: bool = False) -> Trainer:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    scaler = torch.amp.GradScaler(device.type, enabled=scaled, init_scale=256.0)
    return Trainer(network, optimizer, poly_schedule(optimizer, 10, 0.9), scaler, device, amp)


@on_each_device
def test_a_forward_pass_and_a_training_step_equal_those_of_the_cpu(name):
    """In double precision, so that only the order of the sums differs."""
    device, objective = choose_device(name), objective_of(TrainSettings(epochs=5), epoch=2)
    plain = tiny_network().double()
    plain.encoder.normalize = lambda images: images
    moved = copy.deepcopy(plain).to(device)
    moved.encoder.normalize = plain.encoder.normalize
    episode = {k: v.double() if v.is_floating_point() else v for k, v in random_episode().items()}
    with torch.no_grad():
        expected, found = plain.eval()(episode, 0).logits, moved.eval()(to_device(episode, device), 0).logits
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-7, atol=1e-9)
    (theirs,) = trainer(plain, torch.device("cpu")).steps([episode], objective, 0)
    (ours,) = trainer(moved, device).steps([episode], objective, 0)
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-7)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(moved.state_dict()[key].cpu(), value, rtol=1e-5, atol=1e-8, msg=key)


@on_each_device
def test_half_precision_trains_under_its_scaler(name):
    """A step moves the weights, and the scaler undoes its scale: the losses stay near those of single precision."""
    device, objective = choose_device(name), objective_of(TrainSettings(epochs=5), epoch=2)
    network = tiny_network().to(device)
    before = copy.deepcopy(network)
    steps = list(trainer(network, device, "fp16", scaled=True).steps([random_episode()] * 3, objective, 0))
    single = list(trainer(before, device).steps([random_episode()] * 3, objective, 0))
    assert steps[0].losses["total"] == pytest.approx(single[0].losses["total"], rel=0.05)
    assert steps[-1].losses["total"] < steps[0].losses["total"]
    assert all(p.isfinite().all() for p in network.parameters())


@on_each_device
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(name, toy_root, tmp_path, monkeypatch):
    whole, halves, steps = tmp_path / "whole", tmp_path / "halves", []
    run = partial(settings, toy_root, device=name, epochs=1)
    train_cli.train(run(whole))
    monkeypatch.setattr(stopping, "StopSignal", stop_signal(lambda: len(steps) == 2))
    note_steps(monkeypatch, steps)
    assert train_cli.train(run(halves)) == 143
    assert train_cli.train(run(halves)) is None
    assert len(steps) == 4
    for key, value in last(whole)["network"].items():
        torch.testing.assert_close(last(halves)["network"][key], value, rtol=1e-3, atol=1e-4, msg=key)


@on_each_device
def test_evaluation_and_predict_give_what_the_cpu_gives(name, toy_root, tmp_path):
    device, cpu = choose_device(name), torch.device("cpu")
    spec = catalog.load("toy")
    episodes = TestEpisodes(spec, catalog.locate(spec, toy_root), way="kway", longest=64)
    episodes.pairs = episodes.pairs[::20]
    network = tiny_network(num_slots=spec.num_slots)
    base = spec.base_classes(1)
    expected, found = (
        evaluate(copy.deepcopy(network).to(where), episodes, base, where, use_bank=False, progress=False)
        for where in (cpu, device)
    )
    assert found.figures["npm"].accuracy == pytest.approx(expected.figures["npm"].accuracy, abs=0.5)
    path = write_checkpoint(tmp_path / "tiny.pt")
    ours, theirs = (parsed(OneShotParser(path, where)) for where in (name, "cpu"))
    assert (ours.labels == theirs.labels).mean() > 0.99


@pytest.mark.slow
@on_each_device
def test_a_compiled_network_says_the_same(name):
    device = choose_device(name)
    network = tiny_network().to(device).eval()
    compiled = copy.deepcopy(network)
    tune(compiled, device, compile=True)
    image = torch.randint(0, 256, (1, 3, 64, 48), device=device)
    with torch.no_grad():
        torch.testing.assert_close(compiled.encode(image).fine, network.encode(image).fine, rtol=1e-3, atol=1e-3)
