"""How well people are parsed who are small in their photos, at once and with a closer look.

    python -m tools.measure_small --split val
    python -m tools.measure_small --split test --parses 120

A person of the split is cut out and set into surroundings made of another photo's margin. References are whole photos
with an odd place in the split's list, people those with an even place. The first row has the photos as they are. The
last column tells what is left: the photo is cut to the true person.
"""

from collections.abc import Sequence

import numpy as np
import torch
from tqdm import tqdm

from dataloaders.split import Split
from engine.metrics import ConfusionMatrix
from inference.closer import closer_window
from inference.parser import OneShotParser
from inference.references import Support
from utils.config import whole
from utils.constants import IGNORE
from utils.errors import run_cli
from utils.log import percent, table

from .compositions import cut_out, set_small
from .measuring import draw, measuring_options, person_of, split_of, truth_under

SHARES = (0.75, 0.6, 0.4, 0.25)  # of the picture's height that a person takes
WAYS = ("at once (`--no-closer`)", "with a closer look (default)", "cut to the true person")
AS_IT_IS = "the photos as they are"


class Measure:
    """Confusions of each way to parse, for each share."""

    def __init__(self, split: Split, checkpoint: str) -> None:
        self.split = split
        self.parsers = [OneShotParser(checkpoint, closer=closer) for closer in (False, True)]
        titles = [AS_IT_IS, *(f"{share:.0%} of the height" for share in SHARES)]
        self.matrices = {title: [ConfusionMatrix(split.spec.num_slots) for _ in WAYS] for title in titles}

    def add(self, title: str, support: Support, image: np.ndarray, label: np.ndarray) -> None:
        """Parse a picture in every way."""
        truth = truth_under(label, [c.id for c in support.classes])
        person = closer_window((label > 0) & (label != IGNORE)) or (slice(None), slice(None))
        cut = np.zeros_like(truth, dtype=np.uint16)
        cut[person] = self.parsers[0].parse(image[person], support).labels
        labels = [*(parser.parse(image, support).labels for parser in self.parsers), cut]
        for matrix, parsed in zip(self.matrices[title], labels, strict=True):
            matrix.update(torch.from_numpy(parsed.astype(np.int64)), torch.from_numpy(truth))

    def meet(self, references: Sequence[int], queries: Sequence[int], rng: np.random.Generator) -> None:
        """Parse some people under a reference."""
        image, label, _ = person_of(self.split, references[0])
        support = self.parsers[0].make_support(image, label, self.split.spec.class_names)
        photos = [person_of(self.split, index) for index in queries]
        people = [cut_out(*photo) for photo in photos]  # None where the margin is too narrow for a background
        margins = [one.margin for one in people if one is not None]
        for (image, label, _), person in zip(photos, people, strict=True):
            if person is not None and len(margins) > 1:
                self.add(AS_IT_IS, support, image, label)
                others = [margin for margin in margins if margin is not person.margin]
                for share, title in zip(SHARES, list(self.matrices)[1:], strict=True):
                    background = others[int(rng.integers(len(others)))]
                    self.add(title, support, *set_small(person, background, share, rng))

    def report(self) -> str:
        """The table, in percent."""
        rows = [[title, *(percent(matrix.miou()) for matrix in own)] for title, own in self.matrices.items()]
        return table(["a person takes", *(f"mIoU %, {way}" for way in WAYS)], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    options = measuring_options(__doc__ or "")
    options.add_argument("--parses", type=whole(1), default=60, help="how many people (default: %(default)s)")
    chosen = options.parse_args(arguments)
    measure = Measure(split_of(chosen), chosen.checkpoint)
    groups = list(draw(measure.split.usable, chosen.parses, 1, chosen.seed))
    for number, (references, queries) in enumerate(tqdm(groups, unit="reference")):
        measure.meet(references, queries, np.random.default_rng([chosen.seed, number]))
    print(measure.report())


if __name__ == "__main__":
    run_cli(main)
