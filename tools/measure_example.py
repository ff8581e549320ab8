"""How well the checkpoint parses the example of the web page: the mIoU of its reference and of its photos.

    python -m tools.measure_example                           # the drawn people
    python -m tools.measure_example --data-root data/datasets # photos of CCP-OS, where they are prepared there
    python -m tools.measure_example --choose 60               # looks for better ones among the first 60

A photo's mIoU is the mean over the reference's classes that it shows or that are found in it.
"""

from collections.abc import Sequence

import numpy as np

from dataloaders.reading import ids_in
from inference.page import example
from inference.page.references import Reference, support_of
from inference.parser import OneShotParser
from inference.settings import DEFAULT_CHECKPOINT
from utils.config import ArgumentParser, whole
from utils.constants import IGNORE
from utils.errors import UserError, run_cli
from utils.log import percent, table

GROUP = 4  # photos that stand beside the reference
LEAST_CLASSES = 4  # that reference and photo must have in common
SHOWN = 5  # groups that are printed


def miou(labels: np.ndarray, photo: Reference, reference: Reference) -> float:
    """Mean IoU in percent of a label map (H, W), over the reference's classes that it or the truth holds."""
    ious = []
    for i in ids_in(reference.labels):
        hit, truth, counts = labels == i, photo.labels == i, photo.labels != IGNORE
        either = ((hit | truth) & counts).sum()
        if either:
            ious.append(100 * (hit & truth & counts).sum() / either)
    return float(np.mean(ious)) if ious else 0.0


def measure(parser: OneShotParser, reference: Reference, photos: Sequence[Reference]) -> list[float]:
    """The mIoU of each photo under the reference."""
    support = support_of(parser, [reference])
    parsings = parser.parse([photo.photo for photo in photos], support)
    return [miou(parsing.labels, photo, reference) for parsing, photo in zip(parsings, photos, strict=True)]


def choose(parser: OneShotParser, candidates: dict[str, Reference]) -> None:
    """Print the references that parse themselves and their best four photos well, the best first."""
    groups = []
    for name, reference in candidates.items():
        own = _classes(reference)
        alike = [n for n, c in candidates.items() if n != name and len(own & _classes(c)) >= LEAST_CLASSES]
        if len(own) < LEAST_CLASSES or len(alike) < GROUP:
            continue
        scores = measure(parser, reference, [reference, *(candidates[n] for n in alike)])
        best = sorted(zip(scores[1:], alike, strict=True), reverse=True)[:GROUP]
        groups.append((np.mean([scores[0], *(score for score, _ in best)]), name, scores[0], best))
    for mean, name, itself, best in sorted(groups, reverse=True)[:SHOWN]:
        photos = ", ".join(f"{n} ({score:.0f})" for score, n in best)
        print(f"{mean:.1f}: reference {name} ({itself:.0f}), photos {photos}")


def _classes(reference: Reference) -> set[int]:
    return set(ids_in(reference.labels))


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT, help="checkpoint (default: %(default)s)")
    options.add_argument("--data-root", default="", help="folder with CCP_OS, to take its photos")
    options.add_argument("--choose", type=whole(GROUP + 1), help="look for a better example among so many")
    chosen = options.parse_args(arguments)
    data_root = chosen.data_root or "nowhere"
    if chosen.data_root and example.prepared(data_root) is None:
        raise UserError(f"--data-root {chosen.data_root}: holds no CCP_OS; leave it away for drawn people")
    parser = OneShotParser(chosen.checkpoint)
    if chosen.choose:
        choose(parser, example.candidates(data_root, chosen.choose))
        return
    shown = example.load(data_root)
    scores = measure(parser, shown.reference, [shown.reference, *shown.photos])
    names = ["reference", *(f"example_{n}" for n in range(1, len(scores)))]
    print(table(["photo", "mIoU %"], [[name, percent(score)] for name, score in zip(names, scores, strict=True)]))


if __name__ == "__main__":
    run_cli(main)
