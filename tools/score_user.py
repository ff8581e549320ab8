"""What a user of a checkpoint gets: some labelled photos as the reference, their classes, and other photos to parse.

    python -m tools.score_user --split val --references 1
    python -m tools.score_user --checkpoint runs/ccp_aop_kway_f1/last.pt --split val --references 3 --sweep

Photos with an odd place in the split's list are references, those with an even place are parsed; which ones meet
follows from the seed. A class counts as found where it takes more than a thousandth of the photo. `--sweep` shows what
other values of `--min-score` would do, and how well the score tells absent classes from present ones.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dataloaders.split import Split
from engine.metrics import ConfusionMatrix
from inference.parser import OneShotParser
from networks import decoding
from utils.config import whole
from utils.constants import IGNORE, PROTOTYPES
from utils.errors import run_cli
from utils.log import percent, table

from .measuring import draw, measuring_options, meetings, split_of

STEPS = [round(0.05 * i, 2) for i in range(20)]
SEEN = 0.001  # share of a photo's pixels from which on a class counts as found


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
        maps = parser.maps(query.rgb, support)
        presence = None if maps.presence is None else maps.presence.cpu()
        on_cpu = decoding.Maps(maps.classes.cpu(), maps.coarse.cpu(), presence)
        tables.add(on_cpu, query.label.long(), [c.id for c in support.classes])
    return tables


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
    split = split_of(chosen)
    spec = split.spec
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
