"""Compare EOPNet, POPNet and two plain baselines on the test list of one data set and fold (k-way).

    python -m tools.compare --eop runs/ccp_eop_kway_f1/last.pt --pop runs/ccp_pop_kway_f1/last.pt

The baselines share the checkpoints' encoder and settings: nearest prototype on the pretrained encoder, nothing trained,
and a closed-set head for the base classes, trained here on the same episodes for as many iterations as EOPNet. Every
network passes the same evaluation. Prints a Markdown table and writes it with comparison.json into --out.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dataloaders import catalog
from dataloaders.oshp_loader import EpisodeBatches, TestEpisodes
from engine.evaluation import EvaluationPlan, evaluate, load_images
from engine.optim import make_optimizer
from engine.report import nan_to_none
from engine.settings import TrainSettings
from engine.training import TrainPlan, train_epoch
from engine.workers import make_loader
from networks.base import OneShotNetwork
from networks.baselines import ClosedSetBaseline, NearestPrototypeBaseline, closed_set_loss
from networks.checkpoints import initialise, open_checkpoint
from networks.checkpoints.files import revision
from networks.fast.depthwise import use_fast_depthwise_gradients
from networks.fast.folding import fold_batch_norm
from train import training_episodes
from utils.config import ArgumentParser, restore
from utils.constants import STAGES
from utils.device import autocast, choose_device, resolve_amp, seed_everything, tune
from utils.errors import UserError, run_cli
from utils.files import write_json, write_text
from utils.log import percent, table

TITLES = {"eop": "EOPNet", "pop": "POPNet, three stages"}
MUST_AGREE = ("dataset", "fold", "way", "encoder", "test_size")


@dataclass
class Entry:
    """One network to compare, the iterations that it was trained for, and the epoch that it believes in."""

    title: str
    network: OneShotNetwork
    iterations: int
    epoch: int = 0


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    entries, settings = load_trained({"eop": options.eop, "pop": options.pop})
    settings.data_root, settings.workers = options.data_root or settings.data_root, options.workers
    device = choose_device(options.device)
    spec = catalog.load(settings.dataset)
    tests = TestEpisodes(spec, catalog.locate(spec, settings.data_root), way="kway")
    plan = EvaluationPlan(
        0, spec.classes, spec.base_classes(settings.fold), device, settings.test_size,
        amp=resolve_amp(options.amp, device), workers=options.workers,
    )  # fmt: skip
    entries += baselines(settings, options.iterations or entries[0].iterations, device, plan.amp)
    rows = []
    for entry in entries:
        print(f"evaluating: {entry.title}", flush=True)
        rows.append(score(entry, tests, plan, options.timed))
    budgets = {row["iterations"] for row in rows if row["iterations"]}
    note = "" if len(budgets) == 1 else f"The budgets differ: {', '.join(map(str, sorted(budgets)))} iterations.\n"
    text = f"{markdown(rows)}\n\n{note}Seconds: median of {options.timed} queries, on {about_machine(device)}."
    print(f"\n{text}\n")
    folder = Path(options.out or f"runs/{spec.name}_compare_kway_f{settings.fold}")
    about = {"dataset": spec.name, "fold": settings.fold, "way": "kway", "pairs": len(tests.pairs)}
    facts = {"test_size": settings.test_size, "machine": about_machine(device), "revision": revision()}
    write_json(folder / "comparison.json", {**about, **facts, "rows": [nan_to_none(row) for row in rows]})
    write_text(folder / "comparison.md", text + "\n")
    print(f"written: {folder}/comparison.json, comparison.md")


def load_trained(paths: dict[str, str]) -> tuple[list[Entry], TrainSettings]:
    """The given checkpoints of EOPNet and POPNet, and the first's settings. Raises `UserError` if they disagree."""
    entries, shared = [], None
    for method, path in paths.items():
        if not path:
            continue
        checkpoint = open_checkpoint(path)
        if "steps" not in checkpoint.record:
            raise UserError(f"{path}: not a checkpoint of train.py; give the last.pt of a run")
        settings = restore(TrainSettings, checkpoint.trained_with, path)
        if settings.method != method or settings.way != "kway":
            raise UserError(f"{path}: a {settings.method} {settings.way} checkpoint; --{method} takes a k-way {method}")
        if checkpoint.stage < STAGES:
            raise UserError(f"{path}: only stage {checkpoint.stage} of {STAGES}; train the rest first")
        for name in MUST_AGREE:
            if shared and getattr(shared, name) != getattr(settings, name):
                raise UserError(f"{path}: trained with another --{name.replace('_', '-')} than {paths['eop']}")
        shared = shared or settings
        entries.append(Entry(TITLES[method], checkpoint.build(), checkpoint.record["steps"], checkpoint.epoch))
    if shared is None:
        raise UserError("name a checkpoint with --eop, --pop or both: the baselines share its encoder and settings")
    return entries, shared


def baselines(settings: TrainSettings, iterations: int, device: torch.device, amp: str) -> list[Entry]:
    """Nearest prototype on the pretrained encoder, and the closed-set head, trained."""
    spec = catalog.load(settings.dataset)
    seed_everything(settings.seed)
    closed = ClosedSetBaseline(
        spec.num_slots, spec.base_classes(settings.fold), settings.encoder, settings.channels, settings.level
    )
    print(*initialise(closed, settings.pretrained), sep="\n", flush=True)
    nearest = NearestPrototypeBaseline(spec.num_slots, settings.encoder)
    nearest.encoder.load_state_dict(closed.encoder.state_dict())
    train_closed_set(closed.to(device), settings, iterations, device, amp)
    return [
        Entry("closed-set head, base classes", closed, iterations),
        Entry("nearest prototype, not trained", nearest, 0),
    ]


def train_closed_set(
    network: ClosedSetBaseline, settings: TrainSettings, iterations: int, device: torch.device, amp: str
) -> None:
    """Train on both photos of the episodes, with the optimiser, schedule, crops and batches of the checkpoint's run."""
    use_fast_depthwise_gradients(network)
    optimizer = make_optimizer(network, settings.lr, settings.head_lr_scale, settings.momentum, settings.weight_decay)
    batches = iterations * settings.accumulate
    train_epoch(
        network,
        closed_set_loss,
        episode_batches(settings, batches, device),
        optimizer,
        torch.amp.GradScaler(device.type, enabled=amp == "fp16"),
        TrainPlan(1, batches, settings.lr, settings.power, device, settings.accumulate, amp),
        0,
        0,
        lambda step: True,
    )


def episode_batches(settings: TrainSettings, number: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """`number` batches of training episodes, over as many epochs as that takes."""
    spec = catalog.load(settings.dataset)
    if settings.unlabelled_person == "class":  # no class of the baseline's: it does not learn from these pixels
        settings = dataclasses.replace(settings, unlabelled_person="ignore")
    episodes = training_episodes(settings, spec, catalog.locate(spec, settings.data_root))
    sampler = EpisodeBatches(episodes, settings.batch_size, seed=settings.seed)
    loader = make_loader(
        episodes, settings.workers, device, batch_sampler=sampler, persistent_workers=settings.workers > 0
    )
    for epoch in range(-(-number // len(sampler))):
        episodes.set_epoch(epoch)
        sampler.set_epoch(epoch)
        yield from itertools.islice(loader, number - epoch * len(sampler))


def score(entry: Entry, tests: TestEpisodes, plan: EvaluationPlan, timed: int) -> dict[str, Any]:
    """A row of the table: mIoU in percent, parameters, seconds per query."""
    plan.epoch = entry.epoch
    network = entry.network.to(plan.device).eval()
    parameters = sum(p.numel() for p in network.parameters())
    fold_batch_norm(network)
    tune(network, plan.device)
    found = evaluate(network, tests, plan)
    return {
        "network": entry.title,
        "iterations": entry.iterations,
        **{name: found.figures["npm"][name] for name in ("novel", "base", "human")},
        "foreground": found.foreground["mean"],
        "parameters": parameters,
        "seconds_per_query": seconds_per_query(network, tests, plan, timed),
    }


@torch.inference_mode()
def seconds_per_query(network: OneShotNetwork, tests: TestEpisodes, plan: EvaluationPlan, count: int) -> float:
    """Median seconds from a photo in memory to its label map, the reference given, over the first `count` queries."""
    pairs = list({pair.query: pair for pair in tests.pairs}.values())[: count + 1]
    seconds = []
    for pair in pairs:
        images = list(load_images(tests.split, [pair.support, pair.query], plan))
        (support, label, foreground), (query, truth, _) = images
        with autocast(plan.device, plan.amp):
            reference = network.extract_prototypes(network.encode(support), label, foreground)
            reference = network.blend_with_bank(reference) if network.bank_in_use(plan.epoch) else reference
            began = clock(plan.device)
            network.predict(network.encode(query), reference, truth.shape[-2:])
            seconds.append(clock(plan.device) - began)
    return statistics.median(seconds[1:] or seconds)  # the first also pays for choosing kernels


def clock(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def about_machine(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} with {torch.get_num_threads()} threads"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    header = ["network", "iterations", "novel mIoU %", "base mIoU %", "human mIoU %", "parameters", "s per query"]
    cells = [
        [
            row["network"],
            str(row["iterations"]),
            *(percent(row[name]) for name in ("novel", "base", "human")),
            f"{row['parameters'] / 1e6:.1f} M",
            f"{row['seconds_per_query']:.3f}",
        ]
        for row in rows
    ]
    return table(header, cells)


def _options() -> ArgumentParser:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    add = options.add_argument
    add("--eop", default="", help="a checkpoint of EOPNet")
    add("--pop", default="", help="a checkpoint of POPNet with its three stages")
    add("--iterations", type=int, default=0, help="for the closed-set head; by default as many as EOPNet took")
    add("--data-root", default="", help="folder that holds the data sets' folders; by default as in training")
    add("--out", default="", help="folder for the results; by default runs/<set>_compare_kway_f<fold>")
    add("--timed", type=int, default=20, help="queries to time (default: %(default)s)")
    add("--workers", type=int, default=2, help="processes that load data (default: %(default)s)")
    add("--device", default="auto", help="cuda, mps, cpu, or auto for the best there is")
    add("--amp", default="off", choices=("off", "auto", "bf16", "fp16"), help="automatic mixed precision")
    return options


if __name__ == "__main__":
    run_cli(main)
