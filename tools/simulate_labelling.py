"""Label one photo, correct some, train: what each step gives, where the true labels stand in for who corrects.

    python -m tools.simulate_labelling --out runs/labelling                    # cuts CCP-OS, prints the first training
    python -m tools.simulate_labelling --out runs/labelling --checkpoint runs/labelling/first/last.pt

The train list is cut in two. A checkpoint learns from the first half; the second half is the collection, of which that
checkpoint has seen no label. Photos of the collection are labelled in the order in which somebody would who first takes
a photo with many classes, and then those with classes that are missing still. The first ones are the references. At the
end a training goes on from the checkpoint with the corrected photos, by scripts/collection.args; what follows `--train`
goes to it. Every step is measured on the test list. docs/label-a-collection.md tells how to do this yourself.
"""

import random
import subprocess
import sys
import time
from argparse import REMAINDER, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from dataloaders import catalog
from dataloaders.layout import IMAGE_FOLDER, LABEL_FOLDER, list_path, pairs_path, supports_path
from dataloaders.reading import ids_in
from dataloaders.settings import DATA_ROOT
from dataloaders.spec import DatasetSpec
from dataloaders.split import Split
from dataloaders.transforms import Sample
from engine.metrics import ConfusionMatrix
from inference.parser import OneShotParser
from utils.config import MOST, ArgumentParser, whole
from utils.constants import PROTOTYPES
from utils.errors import UserError, run_cli
from utils.files import replacing, write_json, write_text
from utils.log import percent, table

ROOT = Path(__file__).resolve().parents[1]
REFERENCES = (1, 5, 20)  # labelled photos at once, before there is a training
FIRST = "--method aop --way kway --fold 0 @scripts/aop.args --pseudo-classes 3 --resume auto"


class Stage(NamedTuple):
    """A row of the table: mIoU in percent of the test photos, and minutes of computing."""

    what: str
    labelled: int
    miou: float
    minutes: float


def write_part(spec: DatasetSpec, root: Path, data_root: Path, ids: Sequence[str]) -> Path:
    """A data set below `data_root` whose train list is `ids`, with the photos, labels and test list of `root`.

    The photos and labels are links. Returns its folder.
    """
    part = data_root / spec.folder
    write_text(list_path(part, "train"), "".join(f"{i}\n" for i in ids))
    linked = [root / IMAGE_FOLDER, root / LABEL_FOLDER, list_path(root, "test")]
    linked += [path for path in (supports_path(spec, root, "test"), pairs_path(spec, root)) if path.exists()]
    for path in linked:
        with replacing(part / path.relative_to(root)) as temporary:  # which must not follow the link
            temporary.unlink()
            temporary.symlink_to(path.resolve())
    return part


def order_of_labelling(holds: Sequence[set[int]], seed: int) -> list[int]:
    """Places of the photos as they are labelled: each time one with the most classes that no earlier one shows.

    Where that leaves a choice, chance makes it. `holds` are the classes of each photo.
    """
    left = list(range(len(holds)))
    random.Random(seed).shuffle(left)
    seen: set[int] = set()
    order = []
    while left:
        best = max(left, key=lambda place: len(holds[place] - seen))
        left.remove(best)
        order.append(best)
        seen |= holds[best]
    return order


def measure(parser: OneShotParser, references: Sequence[Sample], tests: Split, photos: int) -> tuple[float, float]:
    """mIoU in percent over all classes but the background, of the first `photos` tests, and the minutes it took.

    A class that no reference shows is never found, and so counts with 0.
    """
    began = time.monotonic()
    names = {c: tests.spec.class_name(c) for c in tests.spec.classes if c}
    parser.set_reference([s.rgb for s in references], [s.label.numpy() for s in references], names)
    matrix = ConfusionMatrix(tests.spec.num_slots)
    for number in tqdm(range(min(photos, len(tests))), unit="photo", leave=False):
        sample = tests.load(number)
        matrix.update(torch.from_numpy(parser.parse(sample.rgb).labels), sample.label)
    return matrix.miou(), (time.monotonic() - began) / 60


def train(options: Namespace, ids: Sequence[str], spec: DatasetSpec, root: Path) -> float:
    """Train on the photos `ids` from the checkpoint, or go on with that; returns the minutes."""
    write_part(spec, root, options.out / "corrected", ids)
    command = [sys.executable, str(ROOT / "train.py"), "--dataset", spec.name, "@scripts/collection.args"]
    command += ["--data-root", str((options.out / "corrected").resolve()), "--resume", "auto"]
    command += ["--pretrained", str(options.checkpoint.resolve())]
    command += ["--run-dir", str((options.out / "trained").resolve()), *options.train]
    print(" ".join(command), flush=True)
    began = time.monotonic()
    if subprocess.run(command, cwd=ROOT).returncode:
        raise UserError(f"{options.out / 'trained'}: the training did not end well, see above; start the same again")
    return (time.monotonic() - began) / 60


def simulate(options: Namespace, spec: DatasetSpec, root: Path, collection: Sequence[str]) -> list[Stage]:
    """All steps in turn, each printed when it is done."""
    photos = Split(spec, write_part(spec, root, options.out / "collection", collection), "train")
    tests = Split(spec, root, "test")
    holds = [set(ids_in(photos.load(n).label.numpy())) for n in range(len(photos))]
    order = order_of_labelling(holds, options.seed)[: options.correct]
    labelled = [photos.load(place) for place in order]
    steps = []

    def row(what: str, count: int, checkpoint: Path, number: int, adapt: bool = False, minutes: float = 0) -> None:
        parser = OneShotParser(checkpoint, adapt=adapt, prototypes=options.prototypes)
        miou, more = measure(parser, labelled[:number], tests, options.photos)
        steps.append(Stage(what + adapt * ", --adapt", count, miou, minutes + more))
        print(f"{steps[-1].what}: {percent(miou)} mIoU %, {minutes + more:.1f} minutes", flush=True)

    numbers = [number for number in REFERENCES if number <= len(labelled)]
    for number in dict.fromkeys((*numbers, len(labelled))):
        what = f"{number} reference{'s' * (number > 1)}"
        row(what, number, options.checkpoint, number)
        if 1 < number < len(labelled):
            row(what, number, options.checkpoint, number, adapt=True)
    minutes = train(options, [collection[place] for place in order], spec, root)
    trained, most = options.out / "trained" / "last.pt", numbers[-1]
    row(f"a training on {len(labelled)} photos, {most} references", len(labelled), trained, most, minutes=minutes)
    row(f"the same training, {most} references", len(labelled), trained, most, adapt=True)
    return steps


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, required=True, help="folder for data sets, training and results")
    options.add_argument("--checkpoint", type=Path, help="what was trained on the first half; without it, that is told")
    options.add_argument("--dataset", default="ccp", help="(default: %(default)s)")
    options.add_argument("--data-root", default=DATA_ROOT, help="folder that holds the data sets' folders")
    options.add_argument("--correct", type=whole(2), default=100, help="photos to correct (default: %(default)s)")
    options.add_argument("--photos", type=whole(1), default=MOST, help="test photos to measure on (default: all)")
    options.add_argument("--prototypes", default="auto", choices=PROTOTYPES, help="as of predict.py")
    options.add_argument("--seed", type=whole(0), default=0, help="of the order of labelling (default: %(default)s)")
    options.add_argument("--train", nargs=REMAINDER, default=[], help="further options of the second training")
    chosen = options.parse_args(arguments)
    spec = catalog.load(chosen.dataset)
    root = catalog.locate(spec, chosen.data_root)
    ids = Split(spec, root, "train").ids
    known, collection = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    if chosen.checkpoint is None:
        write_part(spec, root, chosen.out / "known", known)
        folders = f"--data-root {chosen.out / 'known'} --run-dir {chosen.out / 'first'}"
        print(f"the first training: python train.py --dataset {spec.name} {FIRST} {folders}")
        return
    steps = simulate(chosen, spec, root, collection)
    rows = [[s.what, str(s.labelled), percent(s.miou), f"{s.minutes:.1f}"] for s in steps]
    print("\n" + table(["step", "labelled photos", "mIoU %", "minutes"], rows))
    write_json(chosen.out / "steps.json", [s._asdict() for s in steps])


if __name__ == "__main__":
    run_cli(main)
