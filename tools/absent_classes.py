"""Measure how well absent classes stay absent, over a range of `--min-score`, and name the best value.

    python -m tools.absent_classes --checkpoint runs/ccp_eop_kway_f1/last.pt --split train
    python -m tools.absent_classes --checkpoint runs/ccp_eop_kway_f1/last.pt --split test

Draws random pairs of photos of one split: one is the reference with all its classes, the other is parsed. Choose the
value on the training split, then look at what it does on the test split.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dataloaders import catalog
from dataloaders.split import Split
from engine.metrics import ConfusionMatrix, mean
from inference.parser import OneShotParser
from networks import decoding
from networks.layers import resize_labels
from utils.config import ArgumentParser, whole
from utils.errors import run_cli

STEPS = [round(0.05 * i, 2) for i in range(16)]
SEEN = 0.001  # share of a photo's pixels from which on a class counts as found


class Tables:
    """For each value of `--min-score`: pixels, and whether classes of the reference are there and were found."""

    def __init__(self, slots: int) -> None:
        self.pixels = {step: ConfusionMatrix(slots) for step in STEPS}
        self.classes = {step: ConfusionMatrix(2) for step in STEPS}

    def add(self, maps: decoding.Maps, truth: Tensor, ids: Sequence[int]) -> None:
        """One parsed photo: its maps, and its label map (h, w) at their size with the data set's ids."""
        table = torch.tensor([0, *ids])
        scores = decoding.tally(maps).scores
        height, width = truth.shape
        there = torch.tensor([bool((truth == i).any()) for i in ids]).long()
        for step in STEPS:
            slots, _ = decoding.decode(maps, scores >= step, (height, width))
            self.pixels[step].update(table[slots], truth)
            seen = torch.tensor([((slots == k).float().mean() > SEEN).item() for k in range(1, len(table))]).long()
            self.classes[step].update(seen, there)

    def rows(self, classes: Sequence[int]) -> list[tuple[float, float, float, float]]:
        """(min score, mIoU, share of absent classes found all the same, share of present ones missed), in percent."""
        result = []
        for step in STEPS:
            iou = self.pixels[step].iou()
            (right, wrong), (missed, hit) = self.classes[step].counts.tolist()
            shares = 100 * wrong / max(1, right + wrong), 100 * missed / max(1, missed + hit)
            result.append((step, mean(iou[c] for c in classes), *shares))
        return result


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--checkpoint", required=True, help="released file or checkpoint of this project")
    options.add_argument("--dataset", default="ccp", help="data set to measure on (default: %(default)s)")
    options.add_argument("--data-root", default="data/datasets", help="folder that holds the data sets' folders")
    options.add_argument("--split", default="train", choices=("train", "test"), help="whose photos to pair")
    options.add_argument("--pairs", type=whole(1), default=300, help="number of pairs (default: %(default)s)")
    options.add_argument("--seed", type=whole(0, 2**32), default=0, help="seed of the pairs (default: %(default)s)")
    chosen = options.parse_args(arguments)
    spec = catalog.load(chosen.dataset)
    split = Split(spec, catalog.locate(spec, chosen.data_root), chosen.split)
    parser = OneShotParser(chosen.checkpoint)
    tables = measure(parser, split, spec.num_slots, chosen.pairs, chosen.seed)
    print("| min score | mIoU % | absent classes found % | present classes missed % |\n|---|---|---|---|")
    rows = tables.rows(spec.classes)
    for row in rows:
        print("| " + " | ".join(f"{v:.2f}" if i == 0 else f"{v:.1f}" for i, v in enumerate(row)) + " |")
    print(f"best mIoU at --min-score {max(rows, key=lambda row: row[1])[0]}")


def measure(parser: OneShotParser, split: Split, slots: int, pairs: int, seed: int) -> Tables:
    """Parse random pairs of the split."""
    rng, tables = np.random.default_rng(seed), Tables(slots)
    for _ in tqdm(range(pairs), unit="pair"):
        query, reference = (split.load(int(i)) for i in rng.choice(len(split), 2, replace=False))
        image, label = reference.image.permute(1, 2, 0).numpy(), reference.label.numpy()
        if not ((label > 0) & (label < 255)).any():
            continue
        support = parser.make_support(image, label)
        ids = [c.id for c in support.classes]
        maps = parser.maps(query.image.permute(1, 2, 0).numpy(), support)
        truth = resize_labels(query.label[None].long(), maps.classes.shape[-2:])[0]
        # As in the benchmark, classes that the reference lacks are background.
        truth[~torch.isin(truth, torch.tensor([*ids, 255]))] = 0
        tables.add(decoding.Maps(*(m.cpu() for m in maps)), truth, ids)
    return tables


if __name__ == "__main__":
    run_cli(main)
