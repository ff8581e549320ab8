"""What the authors' networks answered, as `tests/data/goldens` carries it, and the inputs that they were given.

All numbers are for ATR (18 label ids, 256 channels, fold 1), measured with the authors' code on the CPU in float64
under the weights of standin.py. The photos follow from the rules below, so that no file has to hold them.

- shapes.json.gz: names and shapes of the authors' state dicts: eop_kway, eop_1way and pop_kway
- logits.npz: logits and query labels at the same 400 pixels of each evaluated photo
- numbers.json.gz: the losses there; one training step with its gradient norms; trainings of two to four steps; whole
  evaluations of mini_atr; the digest of ATR's test list
- mini_atr.zip: 18 small photos in the layout of ATR-OS, with their lists
- metrics.npz: predictions, labels and the figures that the protocol gives for them
- atr_supports.npz: the published support lists of ATR, one bit a key and image

make_goldens.py writes these files.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dataloaders import catalog
from dataloaders.layout import list_path, supports_path
from dataloaders.prepare.build import dump_supports

from .standin import BANK_CLASSES, draw_all

FOLDER = Path(__file__).parent / "data" / "goldens"
EPOCHS = {"static": 10, "dynamic": 39}  # of the evaluations: in the warm-up, and with the bank
STAGE_SEED, PREVIOUS_SEED = 300, 301  # of the photos that POPNet parsed, and of the earlier stage's features
QUERY_SIZE, SUPPORT_SIZE = (161, 113), (145, 97)
QUERY_CLASSES = (1, 4, 5, 6, 7, 9, 11, 12, 14, 16)  # top to bottom
SUPPORT_CLASSES = (1, 2, 4, 6, 7, 9, 11, 12, 14, 16)
CLASS_ID = 4  # of the 1-way evaluation
LEFT_OUT = {"query": (2, 4), "support": (9, 12)}  # base classes that a sample of the training step lacks
CLASS_IDS = (4, 9)  # of the samples of the 1-way training step
TRAJECTORIES = ("warmup", "new_optimiser", "bank_starts", "late", "first_epoch", "padded_support")
Episode = dict[str, Tensor]


def read_json(path: Path) -> Any:
    """The content of a .json.gz file."""
    return json.loads(gzip.decompress(path.read_bytes()))


@functools.cache
def numbers() -> dict[str, Any]:
    """The content of numbers.json.gz."""
    return read_json(FOLDER / "numbers.json.gz")


def arrays(name: str) -> dict[str, Tensor]:
    """The arrays of one of the .npz files."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def shapes(kind: str) -> dict[str, list[int]]:
    """Tensor name -> shape of the authors' `kind`: eop_kway, eop_1way or pop_kway."""
    return read_json(FOLDER / "shapes.json.gz")[kind]


def standin_weights(kind: str) -> dict[str, Tensor]:
    """A stand-in state dict for the authors' `kind`."""
    return draw_all(shapes(kind))


def photos(rng: np.random.Generator, batch: int, size: tuple[int, int]) -> Tensor:
    """Photo-like images (B, 3, H, W): a smooth random field and noise, as the authors' encoder takes them.

    That is BGR in -1..1, rounded to float32, in float64.
    """
    field = F.interpolate(
        torch.from_numpy(rng.random((batch, 3, 6, 5)) * 2.6 - 1.3), size=size, mode="bicubic", align_corners=False
    )
    noise = torch.from_numpy(rng.standard_normal((batch, 3, *size)))
    return (field + 0.1 * noise).clamp(-1, 1).float().double()


def bands(classes: Iterable[int], size: tuple[int, int]) -> Tensor:
    """A label map (H, W): the classes as bands of about equal height, top to bottom, with background at both sides."""
    height, width = size
    ids = torch.tensor(tuple(classes))
    rows = ids[((torch.arange(height) + 1) * len(ids) - 1) // height]
    label = rows[:, None].repeat(1, width)
    label[:, : width // 4] = label[:, -(-4 * width // 5) :] = 0
    return label


def rgb(images: Tensor) -> Tensor:
    """What this project's networks take, RGB in 0..255, from what the authors' take."""
    return (images.flip(1) + 1) * 127.5


def evaluation_episode(way: str, seed: int = 100) -> Episode:
    """The episode of all evaluations; POPNet's photos have another seed."""
    rng = np.random.default_rng(seed)
    query, support = photos(rng, 1, QUERY_SIZE), photos(rng, 1, SUPPORT_SIZE)
    labels = bands(QUERY_CLASSES, QUERY_SIZE)[None], bands(SUPPORT_CLASSES, SUPPORT_SIZE)[None]
    return _episode(way, (query, support), labels, torch.tensor([CLASS_ID]))


def training_batch(way: str) -> Episode:
    """The batch of two of the training step."""
    size = (97, 97)
    rng = np.random.default_rng(200)
    query, support = photos(rng, 2, size), photos(rng, 2, size)
    labels = [
        torch.stack([bands((c for c in BANK_CLASSES if c != left_out), size) for left_out in LEFT_OUT[who]])
        for who in ("query", "support")
    ]
    return _episode(way, (query, support), labels, torch.tensor(CLASS_IDS))


def trajectory_batch(way: str, step: int, padded: bool = False) -> Episode:
    """The batch of two of a training's `step` (from 0), in float64; `padded`: ignored pixels in the supports too."""
    rng = np.random.default_rng(20000 + step)
    class_id = BANK_CLASSES[step % len(BANK_CLASSES)]
    samples = [[_blocks(rng, class_id, padded=who == "query" or padded) for who in ("query", "support")] for _ in "12"]
    query, support = (
        [torch.stack(parts) for parts in zip(*of_one, strict=True)] for of_one in zip(*samples, strict=True)
    )
    episode = _episode(way, (query[0], support[0]), (query[1], support[1]), torch.full((2,), class_id))
    return episode | {"query_foreground": query[2], "support_foreground": support[2]}


def _blocks(rng: np.random.Generator, class_id: int, padded: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Photo (3, 65, 49), label and foreground (65, 49): blocks of class colours; some people show no base class."""
    grid = np.zeros((13, 7), int)
    grid[1:12, 1:6] = rng.choice([*BANK_CLASSES, 0], (11, 5))
    grid[rng.integers(1, 12), rng.integers(1, 6)] = class_id
    block = np.ones((5, 7), int)
    label = np.kron(grid, block)
    novel = np.kron((rng.random((13, 7)) < 0.08).astype(int), block) * (label == 0)
    colours = np.random.default_rng(9).random((18, 3)) * 1.6 - 0.8
    photo = (colours[label].transpose(2, 0, 1) + 0.4 * rng.random((3, 65, 49)) - 0.2).clip(-1, 1)
    foreground = ((label > 0) | (novel > 0)).astype(int)
    if padded:
        label[:3, :4] = foreground[:3, :4] = 255
    return torch.from_numpy(photo), torch.from_numpy(label), torch.from_numpy(foreground)


def _episode(way: str, images: Iterable[Tensor], labels: Iterable[Tensor], class_id: Tensor) -> Episode:
    episode = {"class_id": class_id if way == "1way" else torch.zeros_like(class_id)}
    for who, image, label in zip(("query", "support"), images, labels, strict=True):
        own = label == class_id[:, None, None]
        episode[who] = rgb(image)
        episode[f"{who}_foreground"] = torch.where(label == 255, label, (label > 0).long())
        episode[f"{who}_label"] = torch.where(label == 255, label, own.long()) if way == "1way" else label
    return episode


def atr_supports(split: str) -> dict[int, list[int]]:
    """The published support index of ATR's `split`: image indices of each key."""
    bits = np.unpackbits(arrays("atr_supports")[split].numpy(), axis=1)
    return {key: np.flatnonzero(row).tolist() for key, row in enumerate(bits)}


def write_atr_lists(root: Path) -> Path:
    """Write ATR's published support index, and lists of made-up ids, under `root`; returns it."""
    spec = catalog.load("atr")
    for split, count in spec.counts.items():
        for path in (list_path(root, split), supports_path(spec, root, split)):
            path.parent.mkdir(parents=True, exist_ok=True)
        list_path(root, split).write_text("".join(f"{split}_{index}\n" for index in range(count)))
        supports_path(spec, root, split).write_bytes(dump_supports(atr_supports(split)))
    return root


def write_mini_atr(data_root: Path) -> Path:
    """Unpack the small ATR-OS below `data_root`; returns its folder."""
    root = data_root / catalog.load("atr").folder
    with zipfile.ZipFile(FOLDER / "mini_atr.zip") as archive:
        archive.extractall(root)
    return root


def mini_atr_weights(way: str) -> dict[str, Tensor]:
    """The weights under which the authors' program evaluated it."""
    weights = standin_weights(f"eop_{way}")
    overrides = numbers()["mini_atr"][way]["overrides"]
    return weights | {name: torch.tensor(value).view(weights[name].shape) for name, value in overrides.items()}


def pairs_digest(pairs: Iterable[Iterable[int]]) -> str:
    """Digest of a test list of (query, support, class)."""
    plain = [[int(number) for number in pair] for pair in pairs]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()
