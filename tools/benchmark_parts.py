"""Parts of the benchmark: made-up photos and test lists, peak memory, the loader taken apart."""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from dataloaders import catalog
from dataloaders.oshp_loader import Pair, Sample, TestEpisodes, TrainEpisodes
from utils.errors import UserError

BLOCK = 32  # pixels of one patch of the made-up label maps
TIMED = {  # what the loader calls -> what it is called in the table
    "dataloaders.split.read_image": "decode photo",
    "dataloaders.split.read_label": "decode label",
    "dataloaders.split.horizontal_flip": "flip",
    "dataloaders.oshp_loader.random_scale": "resize",
    "dataloaders.oshp_loader.random_crop": "crop and pad",
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


def peak_memory(device: torch.device) -> float:
    """Peak memory in MB: of the device where it is CUDA, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # getrusage's figure would start at the peak of the process that started this one
        return float(next(line.split()[1] for line in status.read_text().splitlines() if "VmHWM" in line)) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def training_memory(kind: str, options: Sequence[str]) -> dict[str, float]:
    """Memory before and at the peak of one training step, `fast` or `plain`, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("benchmark.py")), *options, "--peak-of", kind]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"the {kind} step failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def loader_parts(dataset: str, data_root: str, crop: int, number: int) -> dict[str, Any]:
    """Episodes a second of one process over the first `number` training episodes, and milliseconds of each part."""
    spec = catalog.load(dataset)
    root = catalog.locate(spec, data_root)
    episodes = TrainEpisodes(spec, root, fold=1, way="kway", crop_size=(crop, crop))
    number = min(number, len(episodes))
    seconds = dict.fromkeys([*TIMED.values(), "collate"], 0.0)
    undo = [_time_calls(path, name, seconds) for path, name in TIMED.items()]
    try:
        began = time.perf_counter()
        made = [episodes[i] for i in range(number)]
        before_collate = time.perf_counter()
        for i in range(0, number - 1, 2):
            default_collate(made[i : i + 2])
        ended = time.perf_counter()
    finally:
        for put_back in undo:
            put_back()
    seconds["collate"] = ended - before_collate
    whole = ended - began
    parts = {f"{name}, ms an episode": 1e3 * value / number for name, value in seconds.items()}
    rest = 1e3 * (whole - sum(seconds.values())) / number
    return {"episodes": number, "episodes a second and process": number / whole, **parts, "rest, ms an episode": rest}


def _time_calls(path: str, name: str, seconds: dict[str, float]) -> Any:
    """Add the time of every call of the function at `path` to `seconds[name]`; returns what puts it back."""
    module_name, _, attribute = path.rpartition(".")
    module = importlib.import_module(module_name)
    original = getattr(module, attribute)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        result = original(*arguments, **options)
        seconds[name] += time.perf_counter() - began
        return result

    setattr(module, attribute, timed)
    return lambda: setattr(module, attribute, original)
