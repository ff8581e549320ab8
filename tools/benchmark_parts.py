"""Parts of the benchmark: made-up photos and test lists, peak memory, the loader taken apart."""

import cProfile
import platform
import pstats
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, default_collate
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.v2.functional import resize

from dataloaders import catalog
from dataloaders.oshp_loader import TestEpisodes, TrainEpisodes
from dataloaders.pairs import Pair
from dataloaders.reading import mapped, read_image, read_label
from dataloaders.transforms import Sample, scaled_crop

BLOCK = 32  # pixels of one patch of the made-up label maps
LOADER_PARTS = {
    "decode photo": read_image.__code__,
    "decode label": read_label.__code__,
    "resize photo": resize.__code__,
    "crop, pad and flip, labels too": scaled_crop.__code__,
    "class tables": mapped.__code__,
    "collate": default_collate.__code__,
}


def synthetic_episode(batch: int, side: int, slots: int, device: torch.device) -> dict[str, Tensor]:
    """Episodes of noise with patches of about half of the classes, as a photo shows them."""
    generator = torch.Generator().manual_seed(0)
    episode = {}
    for who in ("query", "support"):
        episode[who] = torch.randint(0, 256, (batch, 3, side, side), generator=generator, dtype=torch.uint8)
        patches = torch.randint(0, slots // 2, (batch, -(-side // BLOCK), -(-side // BLOCK)), generator=generator)
        label = patches.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)[:, :side, :side]
        episode |= {f"{who}_label": label, f"{who}_foreground": (label > 0).long()}
    episode["class_id"] = torch.zeros(batch, dtype=torch.long)
    return {name: value.to(device) for name, value in episode.items()}


class SyntheticEpisodes(TestEpisodes):
    """A test list in which every query meets `supports` supports of its own, with one photo made in memory for all."""

    def __init__(self, queries: int, supports: int, side: int) -> None:
        self.way, self.longest, self.spec = "kway", 0, catalog.load("atr")
        photo = synthetic_episode(1, side, self.spec.num_slots, torch.device("cpu"))
        self.sample = Sample(photo["query"][0], photo["query_label"][0], photo["query_foreground"][0], "made up")
        self.pairs = [Pair(q, queries + q * supports + s, 0) for q in range(queries) for s in range(supports)]

    def photo(self, index: int) -> Sample:
        """The photo, whichever is asked for."""
        return self.sample


def machine(device: torch.device) -> dict[str, Any]:
    """Names of the processor, the device and torch."""
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        named = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = named[0] if named else cpu
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {"cpu": cpu, "threads": torch.get_num_threads(), "device": gpu or str(device), "torch": torch.__version__}


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def count_parameters(network: nn.Module) -> int:
    """How many numbers a network learns or has learnt."""
    return sum(parameter.numel() for parameter in network.parameters())


def counted_operations(case: Callable[[], object]) -> int:
    """Multiplications and additions of the convolutions and products in a call."""
    with FlopCounterMode(display=False) as counter:
        case()
    return int(counter.get_total_flops())


def peak_memory(device: torch.device) -> float:
    """Peak memory in MB: of the device where it is CUDA, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # getrusage's figure would start at the peak of the process that started this one
        return float(next(line.split()[1] for line in status.read_text().splitlines() if "VmHWM" in line)) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def loader_parts(dataset: str, data_root: str, crop: int, number: int, clock: Callable[[], float]) -> dict[str, float]:
    """Episodes a second over the first `number` training episodes, by `clock`, and milliseconds of each part.

    Two loader processes are measured by the wall's clock, whatever `clock` is.
    """
    spec = catalog.load(dataset)
    root = catalog.locate(spec, data_root)
    episodes = TrainEpisodes(spec, root, fold=1, way="kway", crop_size=(crop, crop))
    number = min(number, len(episodes))

    def make() -> float:
        began = clock()
        made = [episodes[i] for i in range(number)]
        for i in range(0, number - 1, 2):
            default_collate(made[i : i + 2])
        return clock() - began

    make()  # the files are in memory from here on
    seconds = make()
    with cProfile.Profile(clock) as profile:
        profiled = make()
    spent = {key: times[3] for key, times in vars(pstats.Stats(profile))["stats"].items()}
    parts = {name: spent.get((c.co_filename, c.co_firstlineno, c.co_name), 0.0) for name, c in LOADER_PARTS.items()}
    parts["crop, pad and flip, labels too"] -= parts["resize photo"]
    parts["others"] = profiled - sum(parts.values())
    each = {f"{name}, ms an episode": 1e3 * value / number for name, value in parts.items()}
    two = {"episodes a second of two processes": number / _seconds_of_two(episodes, number)}
    return {"episodes": number, "episodes a second and process": number / seconds, **two, **each}


def _seconds_of_two(episodes: TrainEpisodes, number: int) -> float:
    """Seconds in which two loader processes make the first `number` episodes, from the first batch of two on."""
    batches = DataLoader(episodes, batch_sampler=[[i, (i + 1) % number] for i in range(0, number, 2)], num_workers=2)
    loaded = iter(batches)
    next(loaded)
    began = time.perf_counter()
    rest = sum(1 for _ in loaded)
    return (time.perf_counter() - began) * (rest + 1) / max(rest, 1)
