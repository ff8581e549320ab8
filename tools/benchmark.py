"""What inference, evaluation, a training step and the loader cost, as ratios within one run.

    python -m tools.benchmark inference evaluation training memory loader photo --json benchmark.json

Things that are compared take turns, and medians are reported, so that other load on the machine falls on all alike.
Ratios compare with the bare encoder + decoder pass, in the same precision and memory format, as published and with
BatchNorm folded in, and with the plain loop of `networks/plain.py`. Absolute figures hold for the machine that is named
beside them.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from torch import Tensor

from dataloaders.settings import DATA_ROOT
from engine.evaluation import evaluate
from engine.settings import DeviceSettings
from networks.base import Outputs
from networks.build import build_network
from networks.eopnet import EOPNet
from networks.fast.depthwise import use_fast_depthwise_gradients
from networks.fast.folding import fold_batch_norm
from networks.losses import eopnet_losses
from networks.plain import plain_forward
from networks.settings import NetworkSettings
from utils.config import option, parse
from utils.constants import MAX_SIDE
from utils.device import autocast, choose_device, resolve_amp, tune
from utils.errors import UserError, run_cli
from utils.files import write_json

from .benchmark_parts import (
    SyntheticEpisodes,
    count_parameters,
    counted_operations,
    loader_parts,
    machine,
    peak_memory,
    synchronise,
    synthetic_episode,
)
from .benchmark_photo import photo_parts

SLOTS = 18  # ATR's background and label ids
WARMED_UP_EPOCH = 39


@dataclasses.dataclass
class BenchmarkSettings(DeviceSettings):
    """what is measured, and how"""

    what: tuple[str, ...] = option(
        (), "inference, evaluation, training, memory, loader, photo; by default all", positional=True
    )
    encoder: str = option("xception65", "encoder of the network")
    channels: int = option(256, "channels of the feature", least=1, most=4096, old="hidden")
    size: int = option(512, "side of the photos in inference and evaluation", least=32, most=MAX_SIDE)
    train_size: int = option(256, "side of the training crops in training and memory", least=32, most=MAX_SIDE)
    batch: int = option(2, "episodes in a training step", least=1)
    queries: int = option(4, "queries in the evaluation", least=1)
    supports: int = option(15, "supports of each query in the evaluation", least=1)
    dataset: str = option("ccp", "data set of the loader")
    data_root: str = option(DATA_ROOT, "folder that holds the data sets' folders")
    crop: int = option(512, "side of the loader's crops", least=32, most=MAX_SIDE)
    episodes: int = option(40, "episodes that the loader makes", least=1)
    repeats: int = option(5, "measurements that a median is taken of", least=1)
    threads: int = option(0, "threads of torch; 0: its own choice", least=0)
    cpu_time: bool = option(False, "count this process's CPU seconds: for a busy machine")
    json: str = option("", "write the figures to this file")


def main() -> None:
    settings = parse(BenchmarkSettings, description=__doc__.split("\n")[0])
    if unknown := [name for name in settings.what if name not in BENCHMARKS]:
        raise UserError(f"{unknown[0]!r} is not measured; choose among {', '.join(BENCHMARKS)}")
    device = _prepare(settings)
    results: dict[str, Any] = {"machine": machine(device), "options": dataclasses.asdict(settings)}
    print(", ".join(f"{name} {value}" for name, value in results["machine"].items()))
    for name in settings.what or BENCHMARKS:
        results[name] = BENCHMARKS[name](settings, device)
        print(f"\n{name}")
        for key, value in results[name].items():
            print(f"  {key:<44} {value:.4g}" if isinstance(value, float) else f"  {key:<44} {value}")
    if settings.json:
        write_json(settings.json, results)


def medians(cases: dict[str, Callable[[], Any]], settings: BenchmarkSettings, device: torch.device) -> dict[str, float]:
    """Median seconds of each case; the cases take turns, after a round that does not count."""
    clock = clock_of(settings)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(settings.repeats + 1):
        for name, case in cases.items():
            began = clock()
            case()
            synchronise(device)
            if turn:
                seconds[name].append(clock() - began)
    return {name: median(values) for name, values in seconds.items()}


def clock_of(settings: BenchmarkSettings) -> Callable[[], float]:
    """The clock to measure with: the wall's, or this process's own time on the processors."""
    return time.process_time if settings.cpu_time else time.perf_counter


@torch.inference_mode()
def inference(settings: BenchmarkSettings, device: torch.device) -> dict[str, Any]:
    """One photo parsed under a cached reference, against the bare encoder + decoder pass."""
    plain, network = _network(settings, device).eval(), _folded(settings, device)
    episode = synthetic_episode(1, settings.size, SLOTS, device)
    photo = episode["query"]
    image = network.encoder.normalize(photo)
    with autocast(device, settings.amp):
        support = network.encode(episode["support"])
        reference = network.extract_prototypes(support, episode["support_label"], episode["support_foreground"])
        size = (settings.size, settings.size)
        cases = {
            "encoder": lambda: plain.encoder(image),
            "bare": lambda: plain.decoder(*plain.encoder(image)),
            "folded": lambda: network.decoder(*network.encoder(image)),
            "parse": lambda: network.predict(network.encode(photo), reference, size),
        }
        operations = {name: counted_operations(cases[name]) for name in ("encoder", "bare")}
        found = medians(cases, settings, device)
    return {
        "parameters of the encoder, M": count_parameters(network.encoder) / 1e6,
        "parameters of the network, M": count_parameters(network) / 1e6,
        "encoder, GFLOP": operations["encoder"] / 1e9,
        "encoder + decoder, GFLOP": operations["bare"] / 1e9,
        "peak memory, MB": peak_memory(device),
        "bare encoder pass, s": found["encoder"],
        "bare encoder + decoder pass, s": found["bare"],
        "bare pass with BatchNorm folded in, s": found["folded"],
        "parse with cached reference, s": found["parse"],
        "parse / bare encoder pass": found["parse"] / found["encoder"],
        "parse / bare pass": found["parse"] / found["bare"],
        "parse / folded bare pass": found["parse"] / found["folded"],
        "photos a second": 1 / found["parse"],
    }


def evaluation(settings: BenchmarkSettings, device: torch.device) -> dict[str, Any]:
    """A test list of the ATR protocol's form (15 supports a query), against a bare pass for each distinct photo."""
    plain, network = _network(settings, device).eval(), _folded(settings, device)
    episodes = SyntheticEpisodes(settings.queries, settings.supports, settings.size)
    photos = settings.queries * (1 + settings.supports)
    image = network.encoder.normalize(synthetic_episode(1, settings.size, SLOTS, device)["query"])
    encoded = []
    hook = network.encoder.register_forward_hook(lambda _module, images, _out: encoded.append(len(images[0])))

    @torch.inference_mode()
    def bare(network: EOPNet) -> None:
        with autocast(device, settings.amp):
            network.decoder(*network.encoder(image))

    clock = clock_of(settings)
    cases = {"plain": lambda: bare(plain), "folded": lambda: bare(network)}
    before = medians(cases, settings, device)
    encoded.clear()
    began = clock()
    evaluate(
        network, episodes, range(SLOTS), device, use_bank=True, amp=settings.amp, progress=False
    )  # its figures come to the CPU, so the device is done
    whole, passes = clock() - began, sum(encoded)
    after = medians(cases, settings, device)
    hook.remove()
    seconds = {name: (before[name] + after[name]) / 2 for name in cases}
    return {
        "pairs": len(episodes.pairs),
        "distinct photos": photos,
        "photos encoded": passes,
        "bare pass, s (mean of before and after)": seconds["plain"],
        "the same with BatchNorm folded in, s": seconds["folded"],
        "whole evaluation, s": whole,
        "evaluation / bare passes of the photos": whole / (seconds["plain"] * photos),
        "evaluation / folded bare passes": whole / (seconds["folded"] * photos),
    }


def training(settings: BenchmarkSettings, device: torch.device) -> dict[str, Any]:
    """One training step (2 episodes of 256x256 by default) against the plain loop, which runs in float32."""
    found = medians({kind: _training_step(kind, settings, device) for kind in ("fast", "plain")}, settings, device)
    return {
        "fast step, s": found["fast"],
        "plain step, s": found["plain"],
        "plain / fast": found["plain"] / found["fast"],
        "training episodes a second": settings.batch / found["fast"],
    }


def memory(settings: BenchmarkSettings, device: torch.device) -> dict[str, Any]:
    """Peak memory of one training step, fast and plain, each in a process of its own."""
    before, peaks, steps = {}, {}, {}
    for kind in ("fast", "plain"):
        try:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                before[kind], peaks[kind] = pool.submit(_step_memory, kind, settings).result()
        except BrokenProcessPool as error:
            raise UserError(f"the {kind} step was killed, for want of memory; choose a smaller --train-size") from error
        steps[kind] = peaks[kind] - before[kind]
    return {
        "fast: peak of the process, MB": peaks["fast"],
        "plain: peak of the process, MB": peaks["plain"],
        "fast / plain, whole process": peaks["fast"] / peaks["plain"],
        "fast / plain, what the step adds": steps["fast"] / steps["plain"],
    }


def loader(settings: BenchmarkSettings, device: torch.device) -> dict[str, Any]:
    """Training episodes that one loader process makes in a second, and where its time goes."""
    return loader_parts(settings.dataset, settings.data_root, settings.crop, settings.episodes, clock_of(settings))


def photo(settings: BenchmarkSettings, device: torch.device) -> dict[str, Any]:
    """A photo of 6 megapixels from its file to its results with the released checkpoint, and the parts of that."""
    with tempfile.TemporaryDirectory() as folder:
        return photo_parts(Path(folder), device, settings.amp, lambda cases: medians(cases, settings, device))


BENCHMARKS = {f.__name__: f for f in (inference, evaluation, training, memory, loader, photo)}


def _prepare(settings: BenchmarkSettings) -> torch.device:
    """Set torch's threads, settle the precision, and give the device."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    settings.amp = resolve_amp(settings.amp, device)
    return device


def _step_memory(kind: str, settings: BenchmarkSettings) -> tuple[float, float]:
    """Memory in MB before and at the peak of one training step; run in a process of its own."""
    device = _prepare(settings)
    step = _training_step(kind, settings, device)
    before = peak_memory(device)
    step()
    return before, peak_memory(device)


def _training_step(kind: str, settings: BenchmarkSettings, device: torch.device) -> Callable[[], None]:
    """Losses and gradients of one batch, `fast` or `plain`: the published loop over samples and classes, in float32."""
    network = _network(settings, device).train()
    episode = synthetic_episode(settings.batch, settings.train_size, SLOTS, device)
    forward: Callable[[Mapping[str, Tensor], int], Outputs] = partial(plain_forward, network)
    amp = "off"
    if kind == "fast":
        use_fast_depthwise_gradients(network)
        forward, amp = network, settings.amp

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with autocast(device, amp):
            outputs = forward(episode, WARMED_UP_EPOCH)
        eopnet_losses(outputs, episode["query_foreground"], 0.5).total.backward()

    return step


def _folded(settings: BenchmarkSettings, device: torch.device) -> EOPNet:
    """The network as predict.py and evaluate.py run it."""
    network = _network(settings, device).eval()
    fold_batch_norm(network)
    return network


def _network(settings: BenchmarkSettings, device: torch.device) -> EOPNet:
    torch.manual_seed(0)
    shape = NetworkSettings(encoder=settings.encoder, channels=settings.channels)
    network = cast(EOPNet, build_network(SLOTS, "kway", shape).to(device))
    network.bank.rows.normal_()
    tune(network, device, settings.channels_last, settings.compile)
    return network


if __name__ == "__main__":
    run_cli(main)
