"""Two processes, on the CPU or sharing a GPU, give the losses, weights, bank, statistics and metrics of one."""

import math
import os
from pathlib import Path

import pytest
import timm
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from dataloaders import catalog
from dataloaders.oshp_loader import TestEpisodes
from engine.evaluation import evaluate
from engine.optim import poly_schedule
from engine.settings import TrainSettings
from engine.training import Trainer, objective_of
from networks.aop_losses import aop_losses
from networks.aopnet import PairOutputs
from networks.batchnorm import synchronize
from networks.matching import Match
from networks.settings import Departures
from utils.constants import IGNORE
from utils.distributed import mean_over_ranks

from .devices import CUDA
from .samples import random_episode, tiny_network, tiny_stages

WORLD, STEPS = 2, 2
RUNS = [("eop", 1), ("eop", 2), ("pop", 1), ("published", 1)]


def joint_batches() -> list[dict]:
    batches = [random_episode(batch=4, seed=seed) for seed in range(2 * STEPS)]
    for batch in batches:
        batch["query_label"][0, :30] = 255  # so that the ranks count different numbers of pixels
        batch["support_label"][2:][batch["support_label"][2:] == 3] = 0  # and show different classes
    return [{k: v.double() if v.is_floating_point() else v for k, v in batch.items()} for batch in batches]


def trained(rank: int, world: int, accumulate: int, method: str = "eop", where: str = "cpu") -> dict:
    """Losses and state after some steps on this rank's share of the joint batches; ranks on CUDA share the card."""
    device = torch.device(where)
    # Not the level "high": ASPP on so small a feature has values at the ReLU's very kink, which rounding pushes over.
    # "published" is EOPNet's step as published, in the epoch in which the coarse branch has a bank too
    options = {"departures": Departures(True, True, True)} if method == "published" else {}
    network = (tiny_stages(level="mid") if method == "pop" else tiny_network(**options)).double().to(device)
    if world > 1 and where == "cuda":
        network = timm.layers.convert_sync_batchnorm(network)
    elif world > 1:
        synchronize(network)
    network.encoder.normalize = lambda images: images
    parallel = DistributedDataParallel(network, broadcast_buffers=False) if world > 1 else network
    share = 4 // world
    batches = [{k: v[rank * share : (rank + 1) * share] for k, v in batch.items()} for batch in joint_batches()]
    learnt = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learnt, lr=0.05, momentum=0.9)
    schedule = poly_schedule(optimizer, 4 * STEPS, 0.9)
    scaler = torch.amp.GradScaler(where, enabled=False)
    trainer = Trainer(parallel, optimizer, schedule, scaler, device, accumulate=accumulate)
    epoch = 0 if method == "published" else 2
    objective = objective_of(TrainSettings(method="pop" if method == "pop" else "eop", epochs=5), epoch)
    losses = [step.losses for step in trainer.steps(batches, objective, epoch)]
    return {"losses": losses, "state": {name: tensor.cpu() for name, tensor in network.state_dict().items()}}


def evaluated(data_root: str) -> dict:
    spec = catalog.load("toy")
    episodes = TestEpisodes(spec, catalog.locate(spec, data_root), way="kway", longest=64)
    episodes.pairs = episodes.pairs[::13]
    network, base = tiny_network(num_slots=spec.num_slots), spec.base_classes(1)
    options = {"use_bank": False, "with_agm": True, "progress": False}
    scored = evaluate(network, episodes, base, torch.device("cpu"), **options)
    more = {"labels": scored.labels_digest, "foreground": scored.foreground}
    return {name: vars(figures) for name, figures in scored.figures.items()} | more


def pair_losses(rank: int, world: int) -> dict[str, float]:
    """AOPNet's losses of this rank's share of what a network may have said of 4 photos; contrast keeps to a rank."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(4, *shape, generator=generator, dtype=torch.float64)

    label = torch.randint(0, 4, (4, 8, 6), generator=generator)
    label[0, :5], label[1][label[1] == 2] = IGNORE, 0  # the ranks count different numbers of pixels and classes
    shown, present = noise(3, 4) > 0, torch.stack([(label == c).flatten(1).any(dim=1) for c in range(4)], dim=1)
    everything = PairOutputs(
        Match(noise(3, 4, 8, 6), noise(3, 3)), noise(2, 8, 6), noise(2, 8, 6), noise(4, 8, 6), label,
        shown, ~shown & (noise(3, 4) > 0), present, noise(4, 5),
    )  # fmt: skip
    batch = {"foreground": (label % 3 > 0).long(), "body": noise(2, 8, 6)}
    own = slice(rank * 4 // world, (rank + 1) * 4 // world)
    match, *parts = everything
    outputs = PairOutputs(Match(*(part[own] for part in match)), *(part[own] for part in parts))
    terms = aop_losses(outputs, {name: part[own] for name, part in batch.items()})._asdict()
    return {name: mean_over_ranks(value).item() for name, value in terms.items() if name not in ("total", "contrast")}


def work(rank: int, folder: str, data_root: str, where: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD)
    result = {f"{method} {steps}": trained(rank, WORLD, steps, method, where) for method, steps in RUNS}
    told = {"trained": result, "figures": evaluated(data_root), "pairs": pair_losses(rank, WORLD)}
    torch.save(told, os.path.join(folder, f"rank{rank}.pt"))
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=["cpu", CUDA])
def ranks(request, tmp_path_factory, toy_root) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(work, args=(str(folder), str(toy_root), request.param), nprocs=WORLD)
    return [torch.load(Path(folder) / f"rank{rank}.pt", weights_only=True) for rank in range(WORLD)]


@pytest.mark.parametrize("method, accumulate", RUNS)
def test_training_equals_one_process_with_the_joint_batch(ranks, method, accumulate):
    alone = trained(0, 1, accumulate, method)
    assert len(alone["losses"]) == math.ceil(2 * STEPS / accumulate)
    slack = 100 if method == "pop" else 1  # in POPNet's longer chain of layers rounding grows faster from step to step
    for rank in ranks:
        joint = rank["trained"][f"{method} {accumulate}"]
        for ours, theirs in zip(joint["losses"], alone["losses"], strict=True):
            assert ours == pytest.approx(theirs, rel=slack * 1e-9)
        for name, value in alone["state"].items():
            torch.testing.assert_close(joint["state"][name], value, rtol=slack * 1e-7, atol=slack * 1e-9, msg=name)


def test_losses_of_all_pairs_are_means_over_all_processes(ranks):
    for rank in ranks:
        assert rank["pairs"] == pytest.approx(pair_losses(0, 1), rel=1e-6)  # weights are in single precision


def test_metrics_equal_one_process(ranks, toy_root):
    alone = evaluated(str(toy_root))
    for rank in ranks:
        for output in ("npm", "agm"):
            assert rank["figures"][output]["iou"] == pytest.approx(alone[output]["iou"], nan_ok=True)
            assert rank["figures"][output]["accuracy"] == alone[output]["accuracy"]
        assert rank["figures"]["labels"] == alone["labels"]
        assert rank["figures"]["foreground"] == pytest.approx(alone["foreground"])


def test_accumulating_is_not_the_same_as_a_step_each():
    assert trained(0, 1, 1)["losses"][-1]["total"] != trained(0, 1, 2)["losses"][-1]["total"]
