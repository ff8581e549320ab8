"""Trainings as published against the authors' own, by what `train.py` trains with (docs/method.md, D1 to D4)."""

import pytest
import torch

from engine.optim import begin_epoch, make_optimizer, make_schedule
from engine.settings import TrainSettings
from engine.training import Trainer, objective_of
from networks.build import build_network
from networks.checkpoints import authors
from networks.checkpoints.checkpoint import load_weights
from networks.eopnet import EOPNet
from utils.config import parse

from . import goldens
from .data_helpers import REPOSITORY

TERMS = {"agm": "agm", "npm": "npm", "coarse": "s1", "contrast": "contrast", "total": "total"}
# The authors' program was started in these epochs, so that the falls of the rate before them did not happen.
STARTED_LATE = ("bank_starts", "padded_support")
EPOCH_STEPS = 100
CPU = torch.device("cpu")


def published(way: str) -> TrainSettings:
    """The settings of the run scripts of ATR."""
    return parse(TrainSettings, [f"@{REPOSITORY}/scripts/published.args", "--way", way])


def start(way: str, settings: TrainSettings) -> EOPNet:
    """A network under the stand-in weights, its banks empty, in float64."""
    network = build_network(18, way, settings)
    converted = authors.convert(goldens.standin_weights(f"eop_{way}"), f"eop_{way}", 18, "mid")
    assert load_weights(network, converted.weights, "encoder.") == ["coarse_bank.rows"]
    network.bank.rows.zero_()
    return network.double()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["kway", "1way"])
@pytest.mark.parametrize("run", goldens.TRAJECTORIES)
def test_a_training_equals_the_authors(way, run):
    expected, settings = goldens.numbers()["trajectory"][way][run], published(way)
    network = start(way, settings)
    optimizer = make_optimizer(network, settings)
    before = None
    for number, step in enumerate(expected["steps"]):
        epoch = step["epoch"]
        if epoch != before:
            begin_epoch(optimizer, settings, epoch)
            schedule = make_schedule(optimizer, settings, EPOCH_STEPS, epoch * EPOCH_STEPS)
            trainer = Trainer(network, optimizer, schedule, torch.amp.GradScaler("cpu", enabled=False), CPU)
            before = epoch
        if run in STARTED_LATE:
            for group in optimizer.param_groups:
                group["lr"] = step["lr"]
        else:
            assert schedule.get_last_lr() == pytest.approx([step["lr"]] * len(optimizer.param_groups))
        episode = goldens.trajectory_batch(way, number, padded=run == "padded_support")
        (done,) = trainer.steps([episode], objective_of(settings, epoch), epoch)
        theirs = step["losses"] | {"total": step["total"]}
        for ours, name in TERMS.items():
            assert done.losses[ours] == pytest.approx(theirs[name], rel=1e-6), (number, ours)
        assert network.bank.rows.norm(dim=1).tolist() == pytest.approx(step["bank_norms"], rel=1e-6), number
    if "final_norms" in expected:
        check_tensors(network, way, expected["final_norms"])


def check_tensors(network: EOPNet, way: str, norms: dict[str, float]) -> None:
    """Weights, statistics and banks have the norms of the authors'."""
    state, seen = network.state_dict(), set()
    for theirs, norm in norms.items():
        ours = "coarse_bank.rows" if theirs == "s1_prototype" else authors.rename(theirs, f"eop_{way}", "mid")
        if ours in state:
            assert state[ours].double().norm().item() == pytest.approx(norm, rel=1e-6), theirs
            seen.add(ours)
    assert {name for name in set(state) - seen if not name.endswith("num_batches_tracked")} <= {"npm.scaler"}
