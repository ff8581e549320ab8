"""Digests: short texts that are equal where two evaluations were of the same pairs, labels or weights."""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from dataloaders.oshp_loader import TestEpisodes
from utils import __version__
from utils.distributed import sum_over_ranks
from utils.log import revision

LENGTH = 16  # hexadecimal digits


def of_pairs(episodes: TestEpisodes) -> str:
    """Digest of a list of pairs: the ids of query and support, and the class, in their order."""
    ids = episodes.split.ids
    return of_lines(f"{ids[pair.query]} {ids[pair.support]} {pair.class_id}" for pair in episodes.pairs)


def of_lines(lines: Iterable[str]) -> str:
    """Digest of some lines of text."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()[:LENGTH]


def of_weights(weights: Mapping[str, Tensor]) -> str:
    """Digest of named tensors: names, types, shapes and values."""
    found = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()[:LENGTH]


class LabelDigest:
    """Digest of the label maps that the pairs of an evaluation show, whichever process reads them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.photos: dict[int, Tensor] = {}
        self.total = torch.zeros(hashlib.sha256().digest_size, dtype=torch.int64)

    def read(self, index: int, image_id: str, *maps: Tensor) -> None:
        """Take note of the label maps (1, H, W) of a photo of the split."""
        found = hashlib.sha256(f"{image_id} {tuple(maps[0].shape)}".encode())
        for one in maps:
            found.update(one.contiguous().numpy().data)
        self.photos[index] = torch.tensor(list(found.digest()))

    def scored(self, query: int, support: int) -> None:
        """Count the labels of a pair; both photos have been read."""
        self.total += self.photos[query] + self.photos[support]

    def text(self) -> str:
        """The digest over the pairs of all processes."""
        total = sum_over_ranks(self.total.to(self.device))
        return of_lines(map(str, total.tolist()))


def versions() -> dict[str, str]:
    """What computed: the versions of this project, its code, torch and Python."""
    return {
        "project": __version__,
        "revision": revision(),
        "torch": str(torch.__version__),  # a kind of str that checkpoints do not hold
        "python": platform.python_version(),
    }


def of_evaluation(episodes: TestEpisodes, labels: str) -> dict[str, Any]:
    """What an evaluation was of: split, pairs, the digests of both, and the size of the photos."""
    return {
        "split": episodes.split.split,
        "pairs": len(episodes.pairs),
        "pairs_digest": of_pairs(episodes),
        "labels_digest": labels,
        "test_size": episodes.longest,
    }
