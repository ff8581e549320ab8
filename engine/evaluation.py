"""The evaluation loop: every photo is encoded once, whatever the number of pairs it stands in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as V
from tqdm import tqdm

from utils.constants import IGNORE
from utils.device import autocast
from utils.distributed import rank, world_size

from .metrics import ConfusionMatrix, binary_figures, kway_figures, mean
from .workers import make_loader, stops_held

PAIRS_AT_ONCE = 15  # supports that one query is parsed under in one call
FEATURES_AT_ONCE = 2**27  # bytes that the query's feature may take in such a call, once for each support


@dataclass
class EvaluationPlan:
    """How to evaluate: the epoch that the network believes in, and the protocol's classes (merged ids)."""

    epoch: int
    classes: Sequence[int]
    base: Sequence[int]
    device: torch.device
    test_size: int = 0  # longest side at which photos are parsed; 0: as they are
    with_agm: bool = False
    amp: str = "off"
    workers: int = 0
    keep: Sequence[int] = ()  # indices of pairs whose predictions are to be returned
    progress: bool = True


@dataclass
class Evaluation:
    """Figures in percent per output (`npm`, with `agm` also that), of the foreground, and predictions kept."""

    figures: dict[str, dict[str, Any]]
    foreground: dict[str, float]
    predictions: dict[int, Tensor] = field(default_factory=dict)  # pair index -> uint8 (H, W)


@torch.inference_mode()
def evaluate(network: Any, episodes: Any, plan: EvaluationPlan) -> Evaluation:
    """Parse the query of every pair of `episodes` under its support and score it (spec: Test, Metrics).

    Under several processes each takes its share of the queries, without padding, and all return the joint figures.
    """
    network.eval()
    queries: dict[int, list[int]] = defaultdict(list)
    for number, pair in enumerate(episodes.pairs):
        queries[pair.query].append(number)
    queries = {q: queries[q] for q in list(queries)[rank() :: world_size()]}
    mine = [episodes.pairs[number] for numbers in queries.values() for number in numbers]
    supports = list(dict.fromkeys(pair.support for pair in mine))
    bar = tqdm(total=len(supports) + len(mine), desc="evaluate", unit="step", disable=not plan.progress or rank() > 0)
    references = _references(network, episodes.split, supports, mine, plan, bar)
    scores = _Scores(network, plan)
    kept = {}
    for (image, label, foreground), numbers in zip(
        load_images(episodes.split, list(queries), plan), queries.values(), strict=True
    ):
        with autocast(plan.device, plan.amp):
            features = network.encode(image)
        at_once = max(1, min(PAIRS_AT_ONCE, FEATURES_AT_ONCE // features.fine.nbytes))
        for start in range(0, len(numbers), at_once):
            chunk = numbers[start : start + at_once]
            pairs = [episodes.pairs[number] for number in chunk]
            for number, prediction in zip(
                chunk, _parse(network, features, label, foreground, pairs, references, scores), strict=True
            ):
                if number in plan.keep:
                    kept[number] = prediction.to(torch.uint8).cpu()
            bar.update(len(chunk))
    bar.close()
    return scores.evaluation(kept)


def _references(
    network: Any, split: Any, supports: list[int], pairs: Sequence[Any], plan: EvaluationPlan, bar: tqdm
) -> dict:
    """(support, class id) -> reference with the bank's share in it; the class id is 0 in k-way."""
    wanted = defaultdict(set)
    for pair in pairs:
        wanted[pair.support].add(pair.class_id if network.way == "1way" else 0)
    references = {}
    for index, (image, label, foreground) in zip(supports, load_images(split, supports, plan), strict=True):
        with autocast(plan.device, plan.amp):
            features = network.encode(image)
        for class_id in sorted(wanted[index]):
            one = _binary(label, class_id) if network.way == "1way" else label
            reference = network.extract_prototypes(features, one, foreground)
            if network.bank_in_use(plan.epoch):
                reference = network.blend_with_bank(reference, torch.tensor([class_id], device=plan.device))
            references[index, class_id] = reference
        bar.update()
    return references


def _parse(
    network: Any,
    features: Any,
    label: Tensor,
    foreground: Tensor,
    pairs: Sequence[Any],
    references: dict,
    scores: _Scores,
) -> Tensor:
    """Score one query under several supports; returns the screened predictions (S, H, W)."""
    plan, binary = scores.plan, network.way == "1way"
    found = [references[pair.support, pair.class_id if binary else 0] for pair in pairs]
    reference = type(found[0])(*(torch.cat(parts) for parts in zip(*found, strict=True)))
    labels = (
        torch.cat([_binary(label, pair.class_id) for pair in pairs]) if binary else label.expand(len(pairs), -1, -1)
    )
    with autocast(plan.device, plan.amp):
        found = network.predict(features, reference, label.shape[-2:], with_agm=plan.with_agm)
    truth = network.drop_unsupported(labels, reference.present)
    scores.foreground.update(found.human, foreground.expand_as(found.human))
    predictions = {"npm": found.npm, "agm": found.agm} if plan.with_agm else {"npm": found.npm}
    for name, prediction in predictions.items():
        for i, pair in enumerate(pairs):
            scores.matrix(name, pair.class_id).update(prediction[i], truth[i])
    return predictions["npm"]


class _Scores:
    """Confusion matrices: in k-way one for each output, in 1-way one for each output and class."""

    def __init__(self, network: Any, plan: EvaluationPlan) -> None:
        self.plan, self.binary = plan, network.way == "1way"
        keys = [c for c in plan.classes if c > 0] if self.binary else [0]
        size = 2 if self.binary else network.num_slots
        outputs = ("npm", "agm") if plan.with_agm else ("npm",)
        self.matrices = {name: {key: ConfusionMatrix(size, plan.device) for key in keys} for name in outputs}
        self.foreground = ConfusionMatrix(2, plan.device)

    def matrix(self, name: str, class_id: int) -> ConfusionMatrix:
        return self.matrices[name][class_id if self.binary else 0]

    def evaluation(self, kept: dict[int, Tensor]) -> Evaluation:
        for matrix in (self.foreground, *(m for by_class in self.matrices.values() for m in by_class.values())):
            matrix.reduce()
        figures = {}
        for name, by_class in self.matrices.items():
            if self.binary:
                figures[name] = binary_figures(by_class, self.plan.base)
            else:
                figures[name] = kway_figures(by_class[0], self.plan.classes, self.plan.base)
        background, human = self.foreground.iou()
        return Evaluation(figures, {"mean": mean((background, human)), "background": background, "human": human}, kept)


class _Images(Dataset):
    def __init__(self, split: Any, indices: Sequence[int], longest: int) -> None:
        self.split, self.indices, self.longest = split, indices, longest

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor, Tensor]:
        sample = self.split.load(self.indices[place])
        image = sample.image
        if self.longest:
            height, width = image.shape[-2:]
            factor = self.longest / max(height, width)
            image = V.resize(image, [max(1, round(height * factor)), max(1, round(width * factor))], antialias=True)
        return image, sample.label, sample.foreground


def load_images(split: Any, indices: Sequence[int], plan: EvaluationPlan) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Photos (1, 3, H, W), their labels and foreground masks (1, H, W), on the device, in the order of `indices`.

    The photos come at the size at which they are parsed, the maps at their own.
    """
    with stops_held():
        batches = iter(
            make_loader(
                _Images(split, indices, plan.test_size), min(plan.workers, len(indices)), plan.device, batch_size=1
            )
        )
    for batch in batches:
        yield tuple(tensor.to(plan.device, non_blocking=True) for tensor in batch)


def _binary(label: Tensor, class_id: int) -> Tensor:
    """Label map of one class: 1 where it is, 0 elsewhere, 255 stays."""
    return torch.where(label == IGNORE, label, (label == class_id).to(label.dtype))
