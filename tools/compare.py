"""Compare EOPNet, POPNet and plain baselines on the test list of one data set and fold (k-way).

    python -m tools.compare --eop runs/ccp_eop_kway_f1/last.pt --pop runs/ccp_pop_kway_f1/last.pt
    python -m tools.compare --dataset ccp --fold 1 --test-size 384 --encoder tf_efficientnet_lite0 --encoder resnet50
    python -m tools.compare --results runs/one/results.json runs/other/results.json

The baselines share the checkpoints' encoder and settings: nearest prototype on the pretrained encoder, nothing trained,
with one prototype and with several a class, and a closed-set head for the base classes, trained here on the same
episodes for as many iterations as EOPNet. The second form takes any encoders as they are, and trains nothing. Every
network passes the same evaluation. Prints a Markdown table and writes it with comparison.json into --out. `--results`
puts evaluations that were made earlier side by side, where their pairs and labels are the same.
"""

import copy
import dataclasses
import itertools
import statistics
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dataloaders import catalog
from dataloaders.oshp_loader import TestEpisodes
from dataloaders.settings import DATA_ROOT
from engine.evaluation import evaluate
from engine.optim import make_optimizer, poly_schedule
from engine.progress import progress_bar
from engine.report import nan_to_none
from engine.resume import same_value
from engine.settings import TrainSettings
from engine.training import Trainer, training_batches, training_episodes
from networks.base import OneShotNetwork
from networks.baselines import ClosedSetBaseline, NearestPrototypeBaseline, closed_set_loss
from networks.checkpoints import initialise, open_checkpoint
from networks.fast.depthwise import use_fast_depthwise_gradients
from networks.fast.folding import fold_batch_norm
from utils.config import ArgumentParser, flag_of, restore, whole
from utils.constants import MAX_SIDE, PRECISIONS, STAGES
from utils.device import autocast, choose_device, resolve_amp, seed_everything, tune
from utils.errors import UserError, run_cli
from utils.files import write_json, write_text
from utils.log import percent, revision, table

from .benchmark_parts import machine, synchronise
from .side_by_side import side_by_side

SEVERAL = 5  # prototypes of a class
TITLES = {"eop": "EOPNet", "pop": "POPNet, three stages"}
MUST_AGREE = ("dataset", "fold", "way", "encoder", "test_size")


@dataclass
class Contender:
    """One network to compare, the iterations that it was trained for, and whether its bank takes part."""

    title: str
    network: OneShotNetwork
    iterations: int
    use_bank: bool = False


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = _options().parse_args(arguments)
    if options.results:
        print(side_by_side(options.results))
        return
    entries, settings = load_trained({"eop": options.eop, "pop": options.pop})
    settings = settings or _untrained_settings(options)
    settings.data_root, settings.workers = options.data_root or settings.data_root, options.workers
    device = choose_device(options.device)
    settings.amp = resolve_amp(options.amp, device)
    spec = catalog.load(settings.dataset)
    root = catalog.locate(spec, settings.data_root)
    tests = TestEpisodes(spec, root, way="kway", longest=settings.test_size)
    if entries:
        entries += baselines(settings, options.iterations or entries[0].iterations, device)
    for encoder in options.encoder:
        entries += untrained(dataclasses.replace(settings, encoder=encoder, pretrained=options.pretrained), encoder)
    rows = []
    for entry in entries:
        print(f"evaluating: {entry.title}", flush=True)
        rows.append(score(entry, tests, settings, device, options.timed))
    where = machine(device)
    budgets = {row["iterations"] for row in rows if row["iterations"]}
    note = "" if len(budgets) < 2 else f"The budgets differ: {', '.join(map(str, sorted(budgets)))} iterations.\n"
    timed = f"Seconds: median of {options.timed} queries, on {where['device']} with {where['threads']} threads."
    text = f"{markdown(rows)}\n\n{note}{timed}"
    print(f"\n{text}\n")
    folder = Path(options.out or f"runs/{spec.name}_compare_kway_f{settings.fold}")
    facts = {
        "dataset": spec.name,
        "fold": settings.fold,
        "way": "kway",
        "pairs": len(tests.pairs),
        "test_size": settings.test_size,
        "machine": where,
        "revision": revision(),
    }
    write_json(folder / "comparison.json", {**facts, "rows": [nan_to_none(row) for row in rows]})
    write_text(folder / "comparison.md", text + "\n")
    print(f"written: {folder}/comparison.json, comparison.md")


def load_trained(paths: dict[str, str]) -> tuple[list[Contender], TrainSettings | None]:
    """The given checkpoints of EOPNet and POPNet, and the first's settings. Raises `UserError` if they disagree."""
    entries: list[Contender] = []
    shared: TrainSettings | None = None
    for method, path in paths.items():
        if not path:
            continue
        checkpoint = open_checkpoint(path)
        if checkpoint.kind != "run" or "steps" not in checkpoint.record:
            raise UserError(f"{path}: not a checkpoint of train.py; give the last.pt of a run")
        settings = restore(TrainSettings, checkpoint.trained_with, path)
        if settings.method != method or settings.way != "kway":
            raise UserError(f"{path}: a {settings.method} {settings.way} checkpoint; --{method} takes a k-way {method}")
        if checkpoint.stage < STAGES:
            raise UserError(f"{path}: only stage {checkpoint.stage} of {STAGES}; train the rest first")
        for name in MUST_AGREE:
            if shared and not same_value(name, getattr(shared, name), getattr(settings, name)):
                raise UserError(f"{path}: trained with another {flag_of(name)} than {paths['eop']}")
        shared = shared or settings
        network = checkpoint.build()
        use_bank = network.bank_in_use(checkpoint.epoch)
        entries.append(Contender(TITLES[method], network, checkpoint.record["steps"], use_bank))
    return entries, shared


def untrained(settings: TrainSettings, name: str = "") -> list[Contender]:
    """Nearest prototype on the pretrained encoder of the settings, with one prototype a class and with several."""
    slots = catalog.load(settings.dataset).num_slots
    seed_everything(settings.seed)
    try:
        network = NearestPrototypeBaseline(slots, settings.encoder)
        if settings.ignore_place:
            network.encoder.ignore_place(settings.ignore_place)
    except ValueError as error:
        raise UserError(f"--encoder: {error}") from error
    print(*initialise(network, settings.pretrained), sep="\n", flush=True)
    title = f"{name}: nearest" if name else "nearest"
    several = copy.deepcopy(network)
    several.per_class = SEVERAL
    return [
        Contender(f"{title} prototype, not trained", network, 0),
        Contender(f"{title} of {SEVERAL} prototypes a class, not trained", several, 0),
    ]


def _untrained_settings(options: Namespace) -> TrainSettings:
    """What the networks of `--encoder` share."""
    if not options.encoder:
        raise UserError(
            "name a checkpoint with --eop, --pop or both, whose encoder the baselines share, or an --encoder"
        )
    settings = TrainSettings(
        dataset=options.dataset,
        fold=options.fold,
        test_size=options.test_size,
        ignore_place=options.ignore_place,
        data_root=options.data_root or DATA_ROOT,
    )
    settings.check()
    return settings


def baselines(settings: TrainSettings, iterations: int, device: torch.device) -> list[Contender]:
    """The closed-set head, trained, and nearest prototype on the encoder that it started from."""
    spec = catalog.load(settings.dataset)
    seed_everything(settings.seed)
    closed = ClosedSetBaseline(
        spec.num_slots, spec.base_classes(settings.fold), settings.encoder, settings.channels, settings.level
    )
    print(*initialise(closed, settings.pretrained), sep="\n", flush=True)
    train_closed_set(closed.to(device), settings, iterations, device)
    return [Contender("closed-set head, base classes", closed, iterations), *untrained(settings)]


def train_closed_set(
    network: ClosedSetBaseline, settings: TrainSettings, iterations: int, device: torch.device
) -> None:
    """Train on both photos of the episodes, with the optimiser, crops and batches of the checkpoint's run; the rate
    falls at every step."""
    use_fast_depthwise_gradients(network)
    optimizer = make_optimizer(network, settings)
    schedule = poly_schedule(optimizer, iterations, settings.power)
    scaler = torch.amp.GradScaler(device.type, enabled=settings.amp == "fp16")
    trainer = Trainer(network, optimizer, schedule, scaler, device, settings.amp, settings.accumulate)
    batches = episode_batches(settings, iterations * settings.accumulate, device)
    with progress_bar(0, iterations, 0) as bar:
        for _ in trainer.steps(batches, closed_set_loss, 0, bar):
            pass


def episode_batches(settings: TrainSettings, number: int, device: torch.device) -> Iterator[Mapping[str, Tensor]]:
    """`number` batches of training episodes, over as many epochs as that takes."""
    spec = catalog.load(settings.dataset)
    if settings.unlabelled_person == "class":  # no class of the baseline's: it does not learn from these pixels
        settings = dataclasses.replace(settings, unlabelled_person="ignore")
    episodes = training_episodes(settings, spec, catalog.locate(spec, settings.data_root), device)
    order, loader = training_batches(settings, episodes, device)
    for epoch in range(-(-number // len(order))):
        episodes.set_epoch(epoch)
        order.set_epoch(epoch)
        yield from itertools.islice(loader, number - epoch * len(order))


def score(
    entry: Contender, tests: TestEpisodes, settings: TrainSettings, device: torch.device, timed: int
) -> dict[str, Any]:
    """A row of the table: mIoU in percent, parameters, seconds per query."""
    network = entry.network.to(device).eval()
    parameters = sum(p.numel() for p in network.parameters())
    fold_batch_norm(network)
    tune(network, device)
    base = tests.spec.base_classes(settings.fold)
    scored = evaluate(network, tests, base, device, use_bank=entry.use_bank, amp=settings.amp, workers=settings.workers)
    figures = scored.figures["npm"]
    return {
        "network": entry.title,
        "iterations": entry.iterations,
        "novel": figures.novel,
        "base": figures.base,
        "human": figures.human,
        "foreground": scored.foreground["mean"],
        "parameters": parameters,
        "seconds_per_query": seconds_per_query(entry, tests, device, settings.amp, timed),
    }


@torch.inference_mode()
def seconds_per_query(entry: Contender, tests: TestEpisodes, device: torch.device, amp: str, count: int) -> float:
    """Median seconds from a photo in memory to its label map, the reference given, over the first `count` queries."""
    network, seconds = entry.network, []
    for pair in list({pair.query: pair for pair in tests.pairs}.values())[: count + 1]:
        support, query = tests.photo(pair.support), tests.photo(pair.query)
        maps = (support.label[None].to(device), support.foreground[None].to(device))
        height, width = query.label.shape
        with autocast(device, amp):
            prototypes = network.extract_prototypes(network.encode(support.image[None].to(device)), *maps)
            if entry.use_bank:
                prototypes = network.blend_with_bank(prototypes)
            photo = query.image[None].to(device)
            synchronise(device)
            began = time.perf_counter()
            network.predict(network.encode(photo), prototypes, (height, width))
            synchronise(device)
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:] or seconds)  # the first also pays for choosing kernels


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
    add("--results", nargs="+", default=[], help="results.json files to put side by side; nothing else is done then")
    add("--eop", default="", help="a checkpoint of EOPNet")
    add("--pop", default="", help="a checkpoint of POPNet with its three stages")
    add("--encoder", action="append", default=[], help="an encoder to compare untrained; may be given several times")
    add("--pretrained", default="encoder", help="weights of these: 'encoder' (their own), a file or 'none'")
    add("--ignore-place", type=whole(0), default=0, help="directions of these to leave out, which tell the place alone")
    add("--dataset", default="ccp", help="data set, without a checkpoint (default: %(default)s)")
    add("--fold", type=int, default=1, help="its fold (default: %(default)s)")
    add("--test-size", type=whole(0, MAX_SIDE), default=384, help="longest side of its photos (default: %(default)s)")
    add("--iterations", type=whole(0, 10**9), default=0, help="of the closed-set head; by default as many as EOPNet's")
    add("--data-root", default="", help="folder that holds the data sets' folders; by default as in training")
    add("--out", default="", help="folder for the results; by default runs/<set>_compare_kway_f<fold>")
    add("--timed", type=whole(1), default=20, help="queries to time (default: %(default)s)")
    add("--workers", type=whole(0, 512), default=2, help="processes that load data (default: %(default)s)")
    add("--device", default="auto", help="cuda, mps, cpu, or auto for the best there is")
    add("--amp", default="off", choices=PRECISIONS, help="automatic mixed precision")
    return options


if __name__ == "__main__":
    run_cli(main)
