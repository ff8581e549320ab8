"""How good is a reference of few strokes? Ways to grow them into a label map, beside the whole map of the data set.

    python -m tools.measure_strokes --photos 60

In each photo one straight stroke is drawn in every larger part of each class, of `--share` of its pixels. The table
tells the mIoU of the grown maps, and that of other photos parsed with these maps as their reference.
"""

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import torch
from tqdm import tqdm

from dataloaders.reading import ids_in
from dataloaders.split import Split
from engine.metrics import ConfusionMatrix
from inference.growing import Scene, grow, scene_of, ungrown
from inference.parser import OneShotParser
from utils.config import whole
from utils.constants import IGNORE
from utils.errors import run_cli
from utils.log import percent, table

from .measuring import draw, measuring_options, split_of, truth_under

LEAST_PART = 0.1  # of a class's pixels, that a part must have to get a stroke
OUTSIDE = 1000  # watershed's marker of what is not the person
Way = Callable[[np.ndarray, np.ndarray, Scene], np.ndarray]  # photo, strokes, scene -> label map


def stroked(label: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Strokes uint8 (H, W) that cover `share` of each class of a label map; 255 elsewhere."""
    strokes = np.full(label.shape, IGNORE, dtype=np.uint8)
    for i in ids_in(label):
        count, parts, stats, _ = cv2.connectedComponentsWithStats((label == i).astype(np.uint8))
        area = stats[:, cv2.CC_STAT_AREA]
        for part in (n for n in range(1, count) if area[n] >= LEAST_PART * area[1:].sum()):
            strokes[_stroke(parts == part, max(1, round(share * area[part])), rng)] = i
    return strokes


def _stroke(part: np.ndarray, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """A stroke, bool (H, W), of so many pixels along a part of a photo, bool (H, W), from a point deep inside it."""
    depth = cv2.distanceTransform(np.pad(part, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    ys, xs = np.nonzero(part)
    y, x = rng.choice(np.argwhere(depth >= 0.6 * depth.max()))
    offsets = np.stack([ys - y, xs - x], axis=1).astype(np.float64)
    spread = offsets - offsets.mean(axis=0)
    along = np.linalg.eigh(spread.T @ spread)[1][:, 1]
    across = np.abs(offsets @ np.array([-along[1], along[0]]))
    width = np.clip(0.4 * depth.max(), 1, 4)
    order = np.lexsort([np.hypot(*offsets.T), across > width])[:pixels]
    stroke = np.zeros_like(part)
    stroke[ys[order], xs[order]] = True
    return stroke


def watershed(photo: np.ndarray, strokes: np.ndarray, scene: Scene) -> np.ndarray:
    """OpenCV's watershed from the strokes and from what is not the person."""
    markers = np.where(strokes == IGNORE, 0, strokes).astype(np.int32)
    around = cv2.dilate(scene.person.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    markers[around & (markers == 0)] = OUTSIDE
    cv2.watershed(np.ascontiguousarray(photo[..., ::-1]), markers)
    lost = (markers <= 0) | (markers == OUTSIDE)
    return np.where(strokes == IGNORE, np.where(scene.person, np.where(lost, IGNORE, markers), 0), strokes)


WAYS: dict[str, Way] = {
    "strokes alone": lambda photo, strokes, scene: ungrown(strokes, scene),
    "watershed": watershed,
    "nearest stroke: feature": partial(grow, colour=0.0),
    "nearest stroke: colour": partial(grow, colour=1e3, limit=1e3 * 0.01),
    "nearest stroke: feature and colour": grow,
    "the same, without a limit": partial(grow, limit=float("inf")),
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = measuring_options(__doc__ or "")
    options.add_argument("--photos", type=whole(1), default=60, help="how many references (default: %(default)s)")
    options.add_argument("--share", type=float, default=0.01, help="painted part of a class (default: %(default)s)")
    chosen = options.parse_args(arguments)
    split = split_of(chosen)
    parser, rng = OneShotParser(chosen.checkpoint), np.random.default_rng(chosen.seed)
    names = ["whole map", *WAYS]
    maps, parses = ({name: ConfusionMatrix(split.spec.num_slots) for name in names} for _ in range(2))
    groups = draw(split.usable, 6 * chosen.photos, 1, chosen.seed)
    for (reference,), queries in tqdm(groups, unit="reference"):
        photo, label = _load(split, reference)
        strokes = stroked(label, chosen.share, rng)
        if (strokes == IGNORE).all():
            continue
        scene = scene_of(parser, photo, strokes)
        grown = {"whole map": label, **{name: way(photo, strokes, scene) for name, way in WAYS.items()}}
        shown = ids_in(label)
        for name, one in grown.items():
            _count(maps[name], np.where(one == IGNORE, 0, one), label, shown)
        loaded = [_load(split, query) for query in queries[:3]]
        for name, one in grown.items():
            support = parser.make_support(photo, one)
            for parsing, (_, truth) in zip(parser.parse([p for p, _ in loaded], support), loaded, strict=True):
                _count(parses[name], parsing.labels, truth, shown)
    rows = [[name, percent(maps[name].miou()), percent(parses[name].miou())] for name in names]
    print(table(["reference", "mIoU % of the map", "mIoU % of parses"], rows))


def _load(split: Split, number: int) -> tuple[np.ndarray, np.ndarray]:
    sample = split.load(number)
    return sample.rgb, sample.label.numpy()


def _count(matrix: ConfusionMatrix, labels: np.ndarray, truth: np.ndarray, shown: Sequence[int]) -> None:
    """Count a label map; classes of the truth that the reference does not show are background."""
    known = truth_under(truth, shown)
    matrix.update(torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(known.astype(np.int64)))


if __name__ == "__main__":
    run_cli(main)
