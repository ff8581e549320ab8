"""How well several people in one picture are parsed: `--people auto`, boxes, `--tile`, and all as one.

    python -m tools.measure_people --split val
    python -m tools.measure_people --split test --picture docs/images/people.jpg

The pictures are composed of photos of the split: two to four people side by side, the smallest a quarter of the
tallest, at least 2 % of a person's height between them. References are photos with an odd place in the split's list,
people those with an even place; who meets whom follows from the seed. Every person counts as much as in the photo that
it is from: labels and results are brought to that size. Photos of one person are parsed too, by `auto` and by `off`.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from tqdm import tqdm

from dataloaders import visualize
from dataloaders.split import Split
from engine.metrics import ConfusionMatrix
from inference.parser import OneShotParser
from utils.config import whole
from utils.constants import IGNORE
from utils.errors import run_cli
from utils.log import percent, table

from .compositions import Composition, Cutout, compose, cut_out
from .measuring import measuring_options, person_of, split_of, truth_under

ROWS = {
    "single": "the photos that the people are from, one by one",
    "boxes": "`--people boxes.json`, with the true boxes",
    "auto": "`--people auto`",
    "tile": "`--tile`",
    "off": "all people as one (`off`)",
    "alone auto": "photos of one person, `--people auto`",
    "alone off": "photos of one person, `off`",
}


class Measure:
    """Confusions of each way to parse, and how often `auto` finds the right number of people."""

    def __init__(self, split: Split, checkpoint: str) -> None:
        self.split, self.names = split, split.spec.class_names
        self.matrices = {row: ConfusionMatrix(split.spec.num_slots) for row in ROWS}
        self.right: dict[str, list[bool]] = {"auto": [], "alone auto": []}
        self.parser = OneShotParser(checkpoint)
        self.others = {"tile": OneShotParser(checkpoint, tile=True), "auto": OneShotParser(checkpoint, people="auto")}

    def take_reference(self, rng: np.random.Generator) -> None:
        """Draw the reference for what comes next."""
        while True:
            image, label, _ = person_of(self.split, int(rng.integers(len(self.split) // 2)) * 2 + 1)
            if ((label > 0) & (label != IGNORE)).any():
                break
        support = self.parser.set_reference(image, label, self.names)
        for other in self.others.values():
            other.support = support
        self.known = [c.id for c in support.classes]

    def draw_people(self, count: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, Cutout]]:
        """Photos with labels, and the people cut out of them."""
        people: list[tuple[np.ndarray, np.ndarray, Cutout]] = []
        while len(people) < count:
            image, label, outline = person_of(self.split, int(rng.integers((len(self.split) + 1) // 2)) * 2)
            cutout = cut_out(image, label, outline)
            if cutout is not None:
                people.append((image, label, cutout))
        return people

    def add(self, row: str, labels: np.ndarray, truth: np.ndarray, scale: float = 1.0) -> None:
        """Count labels and truth (h, w) of a person who is `scale` times as large as in the photo."""
        truth = truth_under(truth, self.known)
        size = [max(1, round(side / scale)) for side in truth.shape[::-1]]
        resized = (cv2.resize(part, size, interpolation=cv2.INTER_NEAREST) for part in (labels, truth))
        self.matrices[row].update(*(torch.from_numpy(part) for part in resized))

    def single(self, people: Sequence[tuple[np.ndarray, np.ndarray, Cutout]]) -> None:
        """Parse the photos of the people one by one."""
        for image, label, cutout in people:
            self.add("single", self.parser.parse(image).labels[cutout.frame], label[cutout.frame])

    def together(self, picture: Composition) -> np.ndarray:
        """Parse a picture of several people in every way. Returns the overlay of `auto`."""
        count = len(picture.scales)
        boxes = [cv2.boundingRect((picture.people == n).astype(np.uint8)) for n in range(1, count + 1)]
        auto = self.others["auto"].parse(picture.image)
        parsed = {
            "boxes": self.parser.parse(picture.image, boxes=boxes),
            "auto": auto,
            "tile": self.others["tile"].parse(picture.image),
            "off": self.parser.parse(picture.image),
        }
        for row, parsing in parsed.items():
            for frame, scale in zip(picture.frames, picture.scales, strict=True):
                self.add(row, parsing.labels[frame], picture.label[frame], scale)
        self.right["auto"].append(len(auto.people) == count)
        return auto.overlay()

    def alone(self, index: int) -> None:
        """Parse a photo of one person by `auto` and by `off`."""
        image, label, _ = person_of(self.split, index)
        auto = self.others["auto"].parse(image)
        self.add("alone auto", auto.labels, label)
        self.add("alone off", self.parser.parse(image).labels, label)
        self.right["alone auto"].append(len(auto.people) == 1)

    def report(self) -> str:
        """The table, in percent."""
        rows = []
        for row, title in ROWS.items():
            right = self.right.get(row)
            share = f"{100 * np.mean(right):.0f} % of {len(right)}" if right else ""
            rows.append([title, percent(self.matrices[row].miou()), share])
        return table(["", "mIoU %", "right number of people"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    options = measuring_options(__doc__ or "")
    options.add_argument("--pictures", type=whole(1), default=50, help="how many of each kind (default: %(default)s)")
    options.add_argument("--picture", help="also write the first picture of four people as `auto` parses it")
    chosen = options.parse_args(arguments)
    measure = Measure(split_of(chosen), chosen.checkpoint)
    picture = chosen.picture
    for number in tqdm(range(chosen.pictures), unit="picture"):
        rng = np.random.default_rng([chosen.seed, number])  # so that a picture does not depend on how many there are
        measure.take_reference(rng)
        people = measure.draw_people(2 + number % 3, rng)
        measure.single(people)
        overlay = measure.together(compose([cutout for _, _, cutout in people], rng))
        measure.alone(2 * number % len(measure.split))
        if picture and len(people) == 4:
            visualize.save_image(picture, overlay)
            picture = None
    print(measure.report())


if __name__ == "__main__":
    run_cli(main)
