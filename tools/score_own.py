"""What own classes get: things that no training of CCP-OS has named, one at a time.

    python -m tools.score_own clothing-co-parsing
    python -m tools.score_own clothing-co-parsing --split test --alone --tags scarf belt

The clone's labels have 59 tags, which are 11 classes in CCP-OS. For each of the `--tags`, references that show it are
marked with it and with the classes around it, or (`--alone`) with it and nothing else. Photos that show it and photos
that do not are parsed. A tag is there, or found, where it takes more than half a thousandth of a photo.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from dataloaders.prepare.ccp import read_mat, tag_ids
from dataloaders.split import Split
from inference.parser import OneShotParser
from utils.errors import UserError, run_cli
from utils.log import percent, table

from .measuring import measuring_options, split_of

TAGS = ("scarf", "belt", "sunglasses", "glasses", "necklace", "boots", "jeans", "blazer", "shorts", "vest")
SEEN = 0.0005  # share of a photo's pixels from which on a tag counts as there, and as found
REFERENCES, WITH, WITHOUT = 6, 5, 5  # of a tag, and photos with and without it under each


class Tagged:
    """The photos of a split with the tags of a clone."""

    def __init__(self, source: Path, split: Split) -> None:
        self.source, self.split, self.ids = source, split, tag_ids(source)
        self.tags = {number: self._tags(number) for number in split.usable}

    def _tags(self, number: int) -> np.ndarray:
        """The tag of each pixel of a photo, uint8 (H, W)."""
        tags = read_mat(self.source / "annotations/pixel-level" / f"{self.split.ids[number]}.mat", "groundtruth")
        height, width = self.split.load(number).label.shape
        return np.asarray(Image.fromarray(tags).resize((width, height), Image.Resampling.NEAREST))

    def photos(self, tag: int) -> tuple[list[int], list[int]]:
        """The numbers of the photos that show a tag, and of those without a pixel of it."""
        shares = {number: (tags == tag).mean() for number, tags in self.tags.items()}
        return [n for n, share in shares.items() if share > SEEN], [n for n, share in shares.items() if share == 0]

    def labels(self, number: int, tag: int, alone: bool) -> np.ndarray:
        """A reference's label map (H, W): ids of CCP-OS (unless `alone`), and one more for the tag."""
        own = len(self.split.spec.labels)
        rest = self.split.load(number).label.numpy()
        return np.where(self.tags[number] == tag, own, 0 if alone else rest)


def score(parser: OneShotParser, tagged: Tagged, name: str, alone: bool, seed: int) -> list[str]:
    """A row of the table: the tag, its photos, IoU where it is there, IoU over all, missed, found where it is not."""
    tag, own, rng = tagged.ids[name], len(tagged.split.spec.labels), random.Random(seed)
    there, absent = tagged.photos(tag)
    if len(there) < 2:
        return [name, str(len(there)), *["-"] * 4]
    hits = misses = 0  # pixels
    wrong = {True: 0, False: 0}  # in photos with and without it
    seen: dict[bool, list[bool]] = {True: [], False: []}  # whether it was found
    names = {**tagged.split.spec.class_names, own: name}
    for reference in rng.sample(there, min(REFERENCES, len(there))):
        rgb = tagged.split.load(reference).rgb
        support = parser.make_support(rgb, tagged.labels(reference, tag, alone), names)
        others = [number for number in there if number != reference]
        queries = rng.sample(others, min(WITH, len(others))) + rng.sample(absent, min(WITHOUT, len(absent)))
        for number in queries:
            found = parser.parse(tagged.split.load(number).rgb, support).labels == own
            truth = tagged.tags[number] == tag
            shown = bool(truth.any())
            seen[shown].append(bool(found.mean() > SEEN))
            hits, misses = hits + int((found & truth).sum()), misses + int((~found & truth).sum())
            wrong[shown] += int((found & ~truth).sum())
    shares = hits / (hits + misses + wrong[True]), hits / (hits + misses + sum(wrong.values()))
    rates = 1 - np.mean(seen[True]), np.mean(seen[False]) if seen[False] else np.nan
    return [name, str(len(there)), *(percent(100 * figure) for figure in (*shares, *rates))]


def main(arguments: Sequence[str] | None = None) -> None:
    options = measuring_options(__doc__ or "")
    options.add_argument("source", type=Path, help="clone of clothing-co-parsing, of which the data set was made")
    options.add_argument("--tags", nargs="+", default=TAGS, help="(default: %(default)s)")
    options.add_argument("--alone", action="store_true", help="mark nothing else in the references")
    chosen = options.parse_args(arguments)
    tagged = Tagged(chosen.source, split_of(chosen))
    unknown = [tag for tag in chosen.tags if tag not in tagged.ids]
    if unknown:
        raise UserError(f"--tags {unknown[0]}: no tag of {chosen.source}; it has {', '.join(tagged.ids)}")
    parser = OneShotParser(chosen.checkpoint)
    rows = [score(parser, tagged, tag, chosen.alone, chosen.seed) for tag in tqdm(chosen.tags, unit="tag")]
    cells = np.array([row[2:] for row in rows])
    figures = np.ma.masked_invalid(np.where(cells == "-", "nan", cells).astype(float))
    rows.append(["mean", "", *map(percent, figures.mean(axis=0).filled(np.nan))])
    print(table(["tag", "photos", "IoU % where there", "IoU % over all", "missed %", "found where absent %"], rows))


if __name__ == "__main__":
    run_cli(main)
