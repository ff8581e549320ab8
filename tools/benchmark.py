"""What inference, evaluation, a training step and the loader cost, as ratios within one run.

    python -m tools.benchmark inference evaluation training memory loader --json benchmark.json

Things that are compared take turns, and medians are reported, so that other load on the machine falls on all alike.
Ratios compare with the bare encoder + decoder pass, in the same precision and memory format, as published and with
BatchNorm folded in, and with the plain loop of `networks/plain.py`. Absolute figures hold for the machine that is named
beside them.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engine.evaluation import evaluate
from networks.base import Outputs
from networks.eopnet import EOPNet
from networks.fast.depthwise import use_fast_depthwise_gradients
from networks.fast.folding import fold_batch_norm
from networks.losses import eopnet_losses
from networks.plain import plain_forward
from utils.config import ArgumentParser, OldName
from utils.device import AMP_TYPES, autocast, choose_device, resolve_amp, tune
from utils.errors import UserError, run_cli
from utils.files import write_json

from .benchmark_parts import SyntheticEpisodes, loader_parts, peak_memory, synthetic_episode, training_memory

SLOTS = 18  # ATR's background and label ids
WARMED_UP_EPOCH = 39


def main() -> None:
    options = _options()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    options.amp = resolve_amp(options.amp, device)
    if options.peak_of:  # a process of its own, started by `training_memory`
        step = _training_step(options.peak_of, options, device)
        before = peak_memory(device)
        step()
        print(json.dumps({"before_mb": before, "peak_mb": peak_memory(device)}))
        return
    results: dict[str, Any] = {"machine": machine(device), "options": vars(options)}
    print(", ".join(f"{name} {value}" for name, value in results["machine"].items()))
    for name in options.what:
        results[name] = BENCHMARKS[name](options, device)
        print(f"\n{name}")
        for key, value in results[name].items():
            print(f"  {key:<44} {value:.4g}" if isinstance(value, float) else f"  {key:<44} {value}")
    if options.json:
        write_json(options.json, results)


def machine(device: torch.device) -> dict[str, Any]:
    """Names of the processor, the device and torch."""
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        named = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = named[0] if named else cpu
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {"cpu": cpu, "threads": torch.get_num_threads(), "device": gpu or str(device), "torch": torch.__version__}


def medians(cases: dict[str, Callable[[], Any]], options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Median seconds of each case; the cases take turns, after a round that does not count."""
    clock = clock_of(options)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(options.repeats + 1):
        for name, case in cases.items():
            began = clock()
            case()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:
                seconds[name].append(clock() - began)
    return {name: median(values) for name, values in seconds.items()}


def clock_of(options: argparse.Namespace) -> Callable[[], float]:
    """The clock to measure with: the wall's, or this process's own time on the processors."""
    return time.process_time if options.cpu_time else time.perf_counter


@torch.inference_mode()
def inference(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """One photo parsed under a cached reference, against the bare encoder + decoder pass."""
    plain, network = _network(options, device).eval(), _folded(options, device)
    episode = synthetic_episode(1, options.size, SLOTS, device)
    photo = episode["query"]
    image = network.encoder.normalize(photo)
    with autocast(device, options.amp):
        support = network.encode(episode["support"])
        reference = network.extract_prototypes(support, episode["support_label"], episode["support_foreground"])
        size = (options.size, options.size)
        cases = {
            "bare": lambda: plain.decoder(*plain.encoder(image)),
            "folded": lambda: network.decoder(*network.encoder(image)),
            "parse": lambda: network.predict(network.encode(photo), reference, size),
        }
        with FlopCounterMode(display=False) as counter:
            cases["bare"]()
        found = medians(cases, options, device)
    operations = counter.get_total_flops() / found["bare"]
    return {
        "bare encoder + decoder pass, s": found["bare"],
        "bare pass with BatchNorm folded in, s": found["folded"],
        "parse with cached reference, s": found["parse"],
        "parse / bare pass": found["parse"] / found["bare"],
        "parse / folded bare pass": found["parse"] / found["folded"],
        "photos a second": 1 / found["parse"],
        "bare pass, share of the matrix product's speed": operations / _matmul_speed(options, device),
    }


def evaluation(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """A test list of the ATR protocol's form (15 supports a query), against a bare pass for each distinct photo."""
    plain, network = _network(options, device).eval(), _folded(options, device)
    episodes = SyntheticEpisodes(options.queries, options.supports, options.size)
    photos = options.queries * (1 + options.supports)
    image = network.encoder.normalize(synthetic_episode(1, options.size, SLOTS, device)["query"])
    encoded = []
    hook = network.encoder.register_forward_hook(lambda _module, images, _out: encoded.append(len(images[0])))

    @torch.inference_mode()
    def bare(network: EOPNet) -> None:
        with autocast(device, options.amp):
            network.decoder(*network.encoder(image))

    clock = clock_of(options)
    cases = {"plain": lambda: bare(plain), "folded": lambda: bare(network)}
    before = medians(cases, options, device)
    encoded.clear()
    began = clock()
    evaluate(
        network, episodes, range(SLOTS), device, use_bank=True, amp=options.amp, progress=False
    )  # its figures come to the CPU, so the device is done
    whole, passes = clock() - began, sum(encoded)
    after = medians(cases, options, device)
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


def training(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """One training step (2 episodes of 256x256 by default) against the plain loop, which runs in float32."""
    found = medians({kind: _training_step(kind, options, device) for kind in ("fast", "plain")}, options, device)
    return {
        "fast step, s": found["fast"],
        "plain step, s": found["plain"],
        "plain / fast": found["plain"] / found["fast"],
        "training episodes a second": options.batch / found["fast"],
    }


def memory(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Peak memory of one training step, fast and plain, each in a process of its own."""
    peaks = {kind: training_memory(kind, _same_options()) for kind in ("fast", "plain")}
    steps = {kind: peak["peak_mb"] - peak["before_mb"] for kind, peak in peaks.items()}
    return {
        "fast: peak of the process, MB": peaks["fast"]["peak_mb"],
        "plain: peak of the process, MB": peaks["plain"]["peak_mb"],
        "fast / plain, whole process": peaks["fast"]["peak_mb"] / peaks["plain"]["peak_mb"],
        "fast / plain, what the step adds": steps["fast"] / steps["plain"],
    }


def loader(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Training episodes that one loader process makes in a second, and where its time goes."""
    return loader_parts(options.dataset, options.data_root, options.crop, options.episodes)


BENCHMARKS = {f.__name__: f for f in (inference, evaluation, training, memory, loader)}


def _training_step(kind: str, options: argparse.Namespace, device: torch.device) -> Callable[[], None]:
    """Losses and gradients of one batch, `fast` or `plain`: the published loop over samples and classes, in float32."""
    network = _network(options, device).train()
    episode = synthetic_episode(options.batch, options.train_size, SLOTS, device)
    forward: Callable[[Mapping[str, Tensor], int], Outputs] = partial(plain_forward, network)
    amp = "off"
    if kind == "fast":
        use_fast_depthwise_gradients(network)
        forward, amp = network, options.amp

    def step() -> None:
        network.zero_grad(set_to_none=True)
        with autocast(device, amp):
            outputs = forward(episode, WARMED_UP_EPOCH)
        eopnet_losses(outputs, episode["query_foreground"], 0.5).total.backward()

    return step


def _folded(options: argparse.Namespace, device: torch.device) -> EOPNet:
    """The network as predict.py and evaluate.py run it."""
    network = _network(options, device).eval()
    fold_batch_norm(network)
    return network


def _network(options: argparse.Namespace, device: torch.device) -> EOPNet:
    torch.manual_seed(0)
    try:
        network = EOPNet(SLOTS, "kway", options.encoder, channels=options.channels).to(device)
    except ValueError as error:
        raise UserError(f"--encoder: {error}") from error
    network.bank.rows.normal_()
    tune(network, device, options.channels_last, options.compile)
    return network


def _matmul_speed(options: argparse.Namespace, device: torch.device, side: int = 2048) -> float:
    """Operations a second of a large matrix product in the precision in use."""
    a = torch.randn(side, side, device=device, dtype=AMP_TYPES.get(options.amp, torch.float32))
    return 2 * side**3 / medians({"product": lambda: a @ a}, options, device)["product"]


def _same_options() -> list[str]:
    return [argument for argument in sys.argv[1:] if argument not in BENCHMARKS]


def _options() -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("what", nargs="*", help=f"what to measure: {', '.join(BENCHMARKS)}; by default all")
    parser.add_argument("--encoder", default="xception65", help="encoder of the network")
    parser.add_argument("--channels", type=int, default=256, help="channels of the feature")
    parser.add_argument(
        "--hidden", dest="channels", type=int, action=OldName, today="--channels", default=argparse.SUPPRESS
    )
    parser.add_argument("--size", type=int, default=512, help="side of the photos in inference and evaluation")
    parser.add_argument(
        "--train-size", type=int, default=256, help="side of the training crops in `training`, `memory`"
    )
    parser.add_argument("--batch", type=int, default=2, help="episodes in a training step")
    parser.add_argument("--queries", type=int, default=4, help="queries in the evaluation")
    parser.add_argument("--supports", type=int, default=15, help="supports of each query in the evaluation")
    parser.add_argument("--dataset", default="ccp", help="data set of the loader")
    parser.add_argument("--data-root", default="data/datasets", help="folder that holds the data sets' folders")
    parser.add_argument("--crop", type=int, default=512, help="side of the loader's crops")
    parser.add_argument("--episodes", type=int, default=40, help="episodes that the loader makes")
    parser.add_argument("--repeats", type=int, default=5, help="measurements that a median is taken of")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0: its own choice")
    parser.add_argument("--cpu-time", action="store_true", help="count this process's CPU seconds: for a busy machine")
    parser.add_argument("--device", default="auto", help="cuda, mps, cpu or auto")
    parser.add_argument("--amp", default="off", choices=("off", "auto", "bf16", "fp16"), help="mixed precision")
    parser.add_argument("--channels-last", default="auto", choices=("auto", "on", "off"), help="memory format")
    parser.add_argument("--compile", action="store_true", help="compile encoder and decoder")
    parser.add_argument("--json", default="", help="write the figures to this file")
    parser.add_argument("--peak-of", default="", choices=("", "fast", "plain"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [name for name in options.what if name not in BENCHMARKS]:
        raise UserError(f"{unknown[0]!r} is not measured; choose among {', '.join(BENCHMARKS)}")
    options.what = options.what or list(BENCHMARKS)
    return options


if __name__ == "__main__":
    run_cli(main)
