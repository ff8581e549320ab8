"""Evaluation encodes every photo once, whatever the number of pairs it stands in (docs/method.md, steps 26 to 29)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from dataloaders.oshp_loader import TestEpisodes, label_of
from dataloaders.pairs import Pair
from networks.base import Features, OneShotNetwork
from networks.prototypes import Prototypes
from networks.rivals import blend_support
from utils.device import autocast
from utils.distributed import rank, sum_over_ranks, world_size

from .digests import LabelDigest
from .metrics import ConfusionMatrix, Figures, figures_of, mean
from .workers import make_loader, stops_held

PAIRS_AT_ONCE = 15  # supports that one query is parsed under in one call
FEATURES_AT_ONCE = 2**27  # bytes that the query's feature may take in such a call, once for each support


@dataclass
class Evaluation:
    """Scores in percent: `figures` of each output, "npm" and on request "agm"; `foreground` of background, person and
    their mean.

    `counts` holds the confusion matrices behind them by query photo, (Q, N, N): in k-way under 0, in 1-way for each
    class. `labels_digest` is that of the label maps that were read.
    """

    figures: dict[str, Figures]
    foreground: dict[str, float]
    counts: dict[str, dict[int, Tensor]] = field(default_factory=dict)
    labels_digest: str = ""
    predictions: dict[int, Tensor] = field(default_factory=dict)  # pair index -> uint8 (H, W)


@torch.inference_mode()
def evaluate(
    network: OneShotNetwork,
    episodes: TestEpisodes,
    base: Sequence[int],
    device: torch.device,
    *,
    use_bank: bool,
    with_agm: bool = False,
    amp: str = "off",
    workers: int = 0,
    keep: Sequence[int] = (),
    progress: bool = True,
) -> Evaluation:
    """Parse the query of every pair of `episodes` under its support and score it; `base` holds the base classes.

    `use_bank` blends the prototypes with the bank. `keep` are the numbers of pairs whose predictions are returned.
    Under several processes each takes its share of the queries, without padding, and all return the joint figures.
    """
    loop = _Loop(network.eval(), episodes, device, use_bank, with_agm, amp, workers, set(keep))
    return loop.run(base, progress)


@dataclass
class _Loop:
    network: OneShotNetwork
    episodes: TestEpisodes
    device: torch.device
    use_bank: bool
    with_agm: bool
    amp: str
    workers: int
    keep: set[int]

    def __post_init__(self) -> None:
        numbers: dict[int, list[int]] = defaultdict(list)
        for number, pair in enumerate(self.episodes.pairs):
            numbers[pair.query].append(number)
        # query -> the numbers of its pairs, for the queries of this process
        self.numbers = {query: numbers[query] for query in list(numbers)[rank() :: world_size()]}
        self.pairs = [self.episodes.pairs[number] for numbers in self.numbers.values() for number in numbers]
        self.scores = _Scores(self.episodes, self.with_agm, self.device)
        self.kept: dict[int, Tensor] = {}
        self.labels = LabelDigest(self.device)

    def run(self, base: Sequence[int], progress: bool) -> Evaluation:
        """Encode the supports, then each query; returns the figures."""
        supports = list(dict.fromkeys(pair.support for pair in self.pairs))
        quiet = not progress or rank() > 0
        with tqdm(total=len(supports) + len(self.pairs), desc="evaluate", unit="step", disable=quiet) as bar:
            prototypes = self._prototypes(supports, bar)
            for numbers, photo in zip(self.numbers.values(), self._photos(list(self.numbers)), strict=True):
                self._parse_query(numbers, photo, prototypes, bar)
        for pair in self.pairs:
            self.labels.scored(pair.query, pair.support)
        return self.scores.evaluation(base, self.kept, self.labels.text())

    def _prototypes(self, supports: Sequence[int], bar: tqdm) -> dict[tuple[int, int], Prototypes]:
        """(support, class that its episode is about) -> prototypes, with the bank's share in them where it is used."""
        classes: dict[int, set[int]] = defaultdict(set)
        for pair in self.pairs:
            classes[pair.support].add(self.episodes.class_of(pair))
        extracted = {}
        for support, (image, label, foreground) in zip(supports, self._photos(supports), strict=True):
            with autocast(self.device, self.amp):
                features = self.network.encode(image)
            for class_id in sorted(classes[support]):
                own = label_of(label, class_id)
                one = self.network.extract_prototypes(features, own, foreground, self.episodes.spec.num_slots)
                if self.use_bank:
                    one = blend_support(self.network, one, features, own, class_id)
                extracted[support, class_id] = one
            bar.update()
        return extracted

    def _parse_query(
        self,
        numbers: Sequence[int],
        photo: tuple[Tensor, Tensor, Tensor],
        prototypes: dict[tuple[int, int], Prototypes],
        bar: tqdm,
    ) -> None:
        """Score one query under each of its supports, some at once."""
        image, label, foreground = photo
        with autocast(self.device, self.amp):
            features = self.network.encode(image)
        at_once = max(1, min(PAIRS_AT_ONCE, FEATURES_AT_ONCE // features.fine.nbytes))
        for start in range(0, len(numbers), at_once):
            some = numbers[start : start + at_once]
            pairs = [self.episodes.pairs[number] for number in some]
            supports = [prototypes[pair.support, self.episodes.class_of(pair)] for pair in pairs]
            predictions = self._parse(features, label, foreground, pairs, Prototypes.join(supports))
            for number, prediction in zip(some, predictions, strict=True):
                if number in self.keep:
                    self.kept[number] = prediction.to(torch.uint8).cpu()
            bar.update(len(some))

    def _parse(
        self, features: Features, label: Tensor, foreground: Tensor, pairs: Sequence[Pair], prototypes: Prototypes
    ) -> Tensor:
        """Score one query under several supports; returns the screened predictions (S, H, W)."""
        labels = torch.cat([label_of(label, self.episodes.class_of(pair)) for pair in pairs])
        height, width = label.shape[-2:]
        with autocast(self.device, self.amp):
            parsed = self.network.predict(features, prototypes, (height, width), self.with_agm)
        kway = self.episodes.way == "kway"  # in 1-way the published evaluation scores labels as they are
        truth = self.network.drop_unsupported(labels, prototypes.present) if kway else labels
        self.scores.foreground.update(parsed.human, foreground.expand_as(parsed.human))
        for name, prediction in (("npm", parsed.npm), ("agm", parsed.agm)):
            if prediction is not None:
                for i, pair in enumerate(pairs):
                    self.scores.matrix(name, pair).update(prediction[i], truth[i])
        return parsed.npm

    def _photos(self, indices: Sequence[int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Photos (1, 3, H, W) at network size, their labels and foreground (1, H, W) at their own, on the device."""
        photos, workers = self.episodes.photos(indices), min(self.workers, len(indices))
        with stops_held():
            batches = iter(make_loader(photos, workers, self.device, batch_size=1))
        for index, photo in zip(indices, batches, strict=True):
            self.labels.read(index, photo.id[0], photo.label, photo.foreground)
            image, label, foreground = (tensor.to(self.device, non_blocking=True) for tensor in photo[:3])
            yield image, label, foreground


class _Scores:
    """Confusion matrices of each query: in k-way one for each output, in 1-way one for each output and class."""

    def __init__(self, episodes: TestEpisodes, with_agm: bool, device: torch.device) -> None:
        self.classes, self.binary = episodes.spec.classes, episodes.way == "1way"
        self.places = {query: i for i, query in enumerate(dict.fromkeys(pair.query for pair in episodes.pairs))}
        keys = [c for c in self.classes if c > 0] if self.binary else [0]
        size = 2 if self.binary else episodes.spec.num_slots
        shape = (len(self.places), size, size)
        outputs = ("npm", "agm") if with_agm else ("npm",)
        self.counts = {
            name: {key: torch.zeros(shape, dtype=torch.int64, device=device) for key in keys} for name in outputs
        }
        self.foreground = ConfusionMatrix(2, device)

    def matrix(self, output: str, pair: Pair) -> ConfusionMatrix:
        """Where a pair is counted."""
        counts = self.counts[output][pair.class_id if self.binary else 0]
        return ConfusionMatrix.of(counts[self.places[pair.query]])

    def evaluation(self, base: Sequence[int], kept: dict[int, Tensor], labels: str) -> Evaluation:
        """The joint figures of all processes."""
        counts = {
            name: {key: sum_over_ranks(c).cpu() for key, c in by_key.items()} for name, by_key in self.counts.items()
        }
        figures = {}
        for name, by_key in counts.items():
            totals = {key: ConfusionMatrix.of(c.sum(dim=0)) for key, c in by_key.items()}
            figures[name] = figures_of(totals, self.classes, base)
        sum_over_ranks(self.foreground.counts)
        background, human = self.foreground.iou()
        foreground = {"mean": mean((background, human)), "background": background, "human": human}
        return Evaluation(figures, foreground, counts, labels, kept)
