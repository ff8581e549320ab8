"""What a user of a checkpoint gets: some labelled photos as the reference, their classes, and other photos to parse.

    python -m tools.score_user --split val --references 1
    python -m tools.score_user --checkpoint runs/ccp_aop_kway_f1/last.pt --split val --references 3 --sweep

Photos with an odd place in the split's list are references, those with an even place are parsed; which ones meet
follows from the seed. A class counts as found where it takes more than a thousandth of the photo. `--sweep` shows what
other values of `--min-score` would do, and how well the score tells absent classes from present ones.
"""

import random
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dataloaders import catalog
from dataloaders.split import Split
from dataloaders.transforms import Sample
from engine.metrics import ConfusionMatrix
from inference.parser import OneShotParser
from inference.references import Support
from inference.settings import DEFAULT_CHECKPOINT
from networks import decoding
from utils.config import ArgumentParser, whole
from utils.constants import IGNORE, PROTOTYPES
from utils.errors import UserError, run_cli
from utils.log import percent, table

STEPS = [round(0.05 * i, 2) for i in range(20)]
SEEN = 0.001  # share of a photo's pixels from which on a class counts as found
QUERIES_PER_REFERENCE = 6


class Tables:
    """For each value of `--min-score`: pixels, and whether classes of the reference are there and were found."""

    def __init__(self, slots: int, steps: Sequence[float]) -> None:
        self.pixels = {step: ConfusionMatrix(slots) for step in steps}
        self.classes = {step: ConfusionMatrix(2) for step in steps}
        self.scores: dict[bool, list[float]] = {True: [], False: []}  # of the classes that are there, and of the others

    def add(self, maps: decoding.Maps, truth: Tensor, ids: Sequence[int]) -> None:
        """One parsed photo: its maps, and its label map (H, W) with the data set's ids."""
        table = torch.tensor([0, *ids])
        scores = decoding.class_scores([maps])
        height, width = truth.shape
        known = torch.isin(truth, torch.tensor([*ids, IGNORE]))
        shown = torch.where(known, truth, torch.zeros_like(truth))  # classes that the reference lacks are background
        shares = torch.stack([(truth == i).float().mean() for i in ids])
        counted = (shares == 0) | (shares > SEEN)
        for present, score in zip((shares > 0)[counted].tolist(), scores[counted].tolist(), strict=True):
            self.scores[present].append(score)
        for step in self.pixels:
            slots, _ = decoding.decode(maps, scores >= step, (height, width))
            self.pixels[step].update(table[slots], shown)
            seen = torch.stack([(slots == k).float().mean() > SEEN for k in range(1, len(table))]).long()
            self.classes[step].update(seen[counted], (shares > 0).long()[counted])

    def rows(self) -> list[tuple[float, float, float, float]]:
        """(min score, mIoU without background, absent classes found, present ones missed), in percent."""
        result = []
        for step, matrix in self.pixels.items():
            (right, wrong), (missed, hit) = self.classes[step].counts.tolist()
            shares = 100 * wrong / max(1, right + wrong), 100 * missed / max(1, missed + hit)
            result.append((step, matrix.miou(), *shares))
        return result

    def area_under_curve(self) -> float:
        """How often the score of a class that is there is above that of one that is not; 0.5 is chance."""
        there, absent = (np.array(self.scores[which]) for which in (True, False))
        above = np.searchsorted(np.sort(absent), there, side="left").sum()
        ties = np.searchsorted(np.sort(absent), there, side="right").sum() - above
        return float((above + ties / 2) / max(1, len(there) * len(absent)))


def draw(places: Sequence[int], parses: int, references: int, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Groups of reference photos and of photos to parse under them, as places in the list of ids.

    Raises `UserError` where `places` are too few.
    """
    queries, supports = ([place for place in places if place % 2 == odd] for odd in (0, 1))
    if not queries or len(supports) < references:
        raise UserError(f"the list has {len(supports)} photos for references and {len(queries)} to parse: too few")
    rng, drawn = random.Random(seed), 0
    while drawn < parses:
        group = rng.sample(supports, references), rng.sample(queries, min(QUERIES_PER_REFERENCE, len(queries)))
        drawn += len(group[1])
        yield group


def meetings(
    parser: OneShotParser, split: Split, classes: Sequence[int], groups: Iterable[tuple[list[int], list[int]]]
) -> Iterator[tuple[Support, Sample]]:
    """Each photo to parse with the reference that it meets; only pixels of `classes` are marked in this."""
    kept, names = torch.tensor([*classes, 0, IGNORE]), {i: split.spec.class_name(i) for i in classes}
    for references, queries in groups:
        samples = [split.load(number) for number in references]
        labels = [torch.where(torch.isin(s.label, kept), s.label, 0).numpy() for s in samples]
        marked = [n for n, label in enumerate(labels) if ((label > 0) & (label != IGNORE)).any()]
        if not marked:
            continue
        support = parser.make_support([rgb_of(samples[n]) for n in marked], [labels[n] for n in marked], names)
        for number in queries:
            yield support, split.load(number)


def rgb_of(sample: Sample) -> np.ndarray:
    """The photo of a sample, RGB uint8 (H, W, 3)."""
    return sample.image.permute(1, 2, 0).numpy()


def measure(
    parser: OneShotParser,
    split: Split,
    classes: Sequence[int],
    groups: Iterable[tuple[list[int], list[int]]],
    steps: Sequence[float],
) -> Tables:
    """Parse the photos of each group under its references."""
    tables = Tables(split.spec.num_slots, steps)
    for support, query in meetings(parser, split, classes, groups):
        maps = parser.maps(rgb_of(query), support)
        presence = None if maps.presence is None else maps.presence.cpu()
        on_cpu = decoding.Maps(maps.classes.cpu(), maps.coarse.cpu(), presence)
        tables.add(on_cpu, query.label.long(), [c.id for c in support.classes])
    return tables


def measuring_options(description: str) -> ArgumentParser:
    """The options that all tools share which parse a split's photos with a checkpoint."""
    options = ArgumentParser(description=description.splitlines()[0])
    options.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT, help="checkpoint (default: %(default)s)")
    options.add_argument("--dataset", default="ccp", help="data set to measure on (default: %(default)s)")
    options.add_argument("--data-root", default=catalog.DATA_ROOT, help="folder of the sets (default: %(default)s)")
    options.add_argument("--split", default="val", help="whose photos to take (default: %(default)s)")
    options.add_argument("--seed", type=whole(0, 2**32), default=7, help="of what is drawn (default: %(default)s)")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = measuring_options(__doc__ or "")
    options.add_argument(
        "--references", type=whole(1, 100), default=1, help="labelled photos at once (default: %(default)s)"
    )
    options.add_argument("--parses", type=whole(1), default=300, help="how many photos to parse (default: %(default)s)")
    options.add_argument("--prototypes", default="auto", choices=PROTOTYPES, help="as of predict.py")
    options.add_argument("--novel-of", type=whole(0), default=0, help="mark only the novel classes of this fold")
    options.add_argument("--adapt", action="store_true", help="as of predict.py")
    options.add_argument("--no-refine", action="store_true", help="as of predict.py")
    options.add_argument("--min-score", type=float, help="as of predict.py")
    options.add_argument("--sweep", action="store_true", help="a row for every value of --min-score")
    chosen = options.parse_args(arguments)
    spec = catalog.load(chosen.dataset)
    split = Split(spec, catalog.locate(spec, chosen.data_root), chosen.split)
    options_of_parser = {"adapt": chosen.adapt, "refine": not chosen.no_refine, "min_score": chosen.min_score}
    parser = OneShotParser(chosen.checkpoint, prototypes=chosen.prototypes, **options_of_parser)
    classes = spec.novel(chosen.novel_of) if chosen.novel_of else spec.classes
    groups = draw(split.usable, chosen.parses, chosen.references, chosen.seed)
    steps = STEPS if chosen.sweep else [parser.min_score]
    tables = measure(parser, split, classes, tqdm(groups, unit="reference"), steps)
    rows = [[f"{step:.2f}", *map(percent, figures)] for step, *figures in tables.rows()]
    print(table(["min score", "mIoU %", "absent classes found %", "present classes missed %"], rows))
    print(f"area under the curve of the score: {tables.area_under_curve():.3f}")


if __name__ == "__main__":
    run_cli(main)
