"""Parts of the benchmark: made-up photos and test lists, peak memory, the loader taken apart."""

import json
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate
from torchvision.transforms.v2.functional import horizontal_flip

from dataloaders import catalog
from dataloaders.layout import image_path, label_path
from dataloaders.oshp_loader import Pair, Sample, TestEpisodes, TrainEpisodes
from dataloaders.reading import read_image, read_label
from dataloaders.transforms import random_crop, random_scale
from utils.errors import UserError

BLOCK = 32  # pixels of one patch of the made-up label maps


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
    command = [sys.executable, "-m", "tools.benchmark", *options, "--peak-of", kind]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"the {kind} step failed: {done.stderr.strip().splitlines()[-1]}")
    peaks: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return peaks


def loader_parts(dataset: str, data_root: str, crop: int, number: int) -> dict[str, float]:
    """Episodes a second of one process over the first `number` training episodes, and milliseconds of each part.

    The parts are run again by themselves, on the same photos: what they do not account for is the rest.
    """
    spec = catalog.load(dataset)
    root = catalog.locate(spec, data_root)
    episodes = TrainEpisodes(spec, root, fold=1, way="kway", crop_size=(crop, crop))
    number = min(number, len(episodes))
    seconds: dict[str, float] = defaultdict(float)
    with _timed(seconds, "all"):
        made = [episodes[i] for i in range(number)]
        with _timed(seconds, "collate"):
            for i in range(0, number - 1, 2):
                default_collate(made[i : i + 2])
    rng = np.random.default_rng(0)
    for image in (image for pair in episodes.pairs[:number] for image in (pair.query, pair.support)):
        image_id = episodes.split.ids[image]
        with _timed(seconds, "decode photo"):
            read_image(image_path(root, image_id))
        with _timed(seconds, "decode label"):
            read_label(label_path(root, image_id), spec.num_slots)
        sample = episodes.split.load(image)
        if rng.random() < 0.5:
            with _timed(seconds, "flip"):
                horizontal_flip(sample.image), horizontal_flip(torch.stack([sample.label, sample.foreground]))
        with _timed(seconds, "resize"):
            sample = random_scale(sample, episodes.scale, rng)
        with _timed(seconds, "crop and pad"):
            random_crop(sample, episodes.crop_size, rng)
    total = seconds.pop("all")
    parts = {f"{name}, ms an episode": 1e3 * value / number for name, value in seconds.items()}
    rest = 1e3 * (total - sum(seconds.values())) / number
    return {"episodes": number, "episodes a second and process": number / total, **parts, "rest, ms an episode": rest}


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time that passes within to `seconds[name]`."""
    began = time.perf_counter()
    yield
    seconds[name] += time.perf_counter() - began
