"""What the tools share that parse the photos of a split with a checkpoint: options, draws, references."""

import random
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from dataloaders import catalog
from dataloaders.reading import ids_in
from dataloaders.split import Split
from dataloaders.transforms import Sample
from inference.parser import OneShotParser
from inference.references import Support
from inference.settings import DEFAULT_CHECKPOINT
from utils.config import ArgumentParser, whole
from utils.constants import IGNORE
from utils.errors import UserError

QUERIES_PER_REFERENCE = 6


def measuring_options(description: str) -> ArgumentParser:
    """The options that all tools share which parse a split's photos with a checkpoint."""
    options = ArgumentParser(description=description.splitlines()[0])
    options.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT, help="checkpoint (default: %(default)s)")
    options.add_argument("--dataset", default="ccp", help="data set to measure on (default: %(default)s)")
    options.add_argument("--data-root", default=catalog.DATA_ROOT, help="folder of the sets (default: %(default)s)")
    options.add_argument("--split", default="val", help="whose photos to take (default: %(default)s)")
    options.add_argument("--seed", type=whole(0, 2**32), default=7, help="of what is drawn (default: %(default)s)")
    return options


def split_of(chosen: Namespace) -> Split:
    """The split that the options name. Raises `UserError` where there is none."""
    spec = catalog.load(chosen.dataset)
    return Split(spec, catalog.locate(spec, chosen.data_root), chosen.split)


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
    names = {i: split.spec.class_name(i) for i in classes}
    for references, queries in groups:
        samples = [split.load(number) for number in references]
        labels = [truth_under(sample.label.numpy(), classes) for sample in samples]
        marked = [n for n, label in enumerate(labels) if ids_in(label)]
        if not marked:
            continue
        support = parser.make_support([samples[n].rgb for n in marked], [labels[n] for n in marked], names)
        for number in queries:
            yield support, split.load(number)


def person_of(split: Split, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo (H, W, 3), its labels and the outline of the person, bool (H, W)."""
    sample = split.load(index)
    outline = (sample.foreground > 0) & (sample.foreground != IGNORE)
    return sample.rgb, sample.label.numpy().astype(np.uint8), outline.numpy()


def truth_under(label: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """A true label map, uint8 (H, W), in which classes that are none of `ids` are background; 255 stays."""
    return np.where(np.isin(label, [*ids, IGNORE]), label, 0).astype(np.uint8)
