"""How well the borders of label maps lie: plain, refined under the photo, and without specks too.

    python -m tools.measure_borders --split val --parses 150

Photos meet references as in tools/score_user.py. mIoU is over all pixels. The boundary F-score is of each class of a
photo: how much of its outline lies within 3 pixels of the true one, and the other way round; the mean over photos and
classes is given. *Small* is the mean over classes that take less than 2 % of a photo. All are in percent, at the
photo's own size.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from tqdm import tqdm

from engine.metrics import ConfusionMatrix
from inference.parser import OneShotParser
from inference.specks import without_specks
from inference.tiles import join_tiles, tiles
from utils.config import whole
from utils.constants import IGNORE
from utils.errors import run_cli
from utils.log import percent, table

from .measuring import draw, measuring_options, meetings, split_of, truth_under

TITLES = ("plain", "refined", "refined, without specks")
NEAR = 3  # pixels
SMALL = 0.02  # share of a photo below which a class is small
AROUND = np.ones((3, 3), dtype=np.uint8)
NEARBY = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR + 1, 2 * NEAR + 1))


class Borders:
    """Of one kind of label map: counted pixels, and IoU and boundary F-score of each class of each photo."""

    def __init__(self, slots: int) -> None:
        self.pixels = ConfusionMatrix(slots)
        self.iou: list[float] = []
        self.boundary: list[float] = []
        self.share: list[float] = []

    def add(self, labels: np.ndarray, truth: np.ndarray, ids: Sequence[int]) -> None:
        """A label map (H, W), and the true one with 255 where nobody knows; `ids` are the reference's classes."""
        self.pixels.update(torch.from_numpy(labels), torch.from_numpy(truth))
        known = truth != IGNORE
        for class_id in ids:
            true, own = truth == class_id, (labels == class_id) & known
            if true.any():
                self.iou.append(100 * float((true & own).sum() / (true | own).sum()))
                self.boundary.append(boundary_score(own, true))
                self.share.append(float(true.mean()))

    def row(self) -> list[str]:
        """mIoU without background, boundary F-score, both of small classes."""
        small = np.array(self.share) < SMALL
        parts = (np.array(self.boundary), np.array(self.iou)[small], np.array(self.boundary)[small])
        figures = [self.pixels.miou(), *(float(p.mean()) if len(p) else np.nan for p in parts)]
        return [percent(figure) for figure in figures]


def boundary_score(own: np.ndarray, true: np.ndarray) -> float:
    """The boundary F-score of two masks (H, W) in percent; 0 where one is empty."""
    outlines = [_outline(mask) for mask in (own, true)]
    shares = []
    for one, other in (outlines, outlines[::-1]):
        near = cv2.dilate(other, NEARBY) > 0
        shares.append((one > 0)[near].sum() / max(1, np.count_nonzero(one)))
    return 100 * float(2 * shares[0] * shares[1] / max(sum(shares), 1e-9))


def _outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask that touch others; the rim of the photo is no outline."""
    pixels = mask.astype(np.uint8)
    return pixels - cv2.erode(pixels, AROUND)


def main(arguments: Sequence[str] | None = None) -> None:
    options = measuring_options(__doc__ or "")
    options.add_argument("--parses", type=whole(1), default=150, help="how many photos to parse (default: %(default)s)")
    chosen = options.parse_args(arguments)
    split = split_of(chosen)
    parser = OneShotParser(chosen.checkpoint)
    plain, refined, cleaned = borders = [Borders(split.spec.num_slots) for _ in TITLES]
    groups = draw(split.usable, chosen.parses, 1, chosen.seed)
    for support, query in tqdm(meetings(parser, split, split.spec.classes, groups), unit="photo", total=chosen.parses):
        ids = [c.id for c in support.classes]
        truth = truth_under(query.label.numpy(), ids)
        table_of_ids = np.array([0, *ids], dtype=np.uint8)
        for refine, one in ((False, plain), (True, refined)):
            parser.network.refine = refine
            maps = parser.maps(query.rgb, support)
            slots, foreground, _ = join_tiles(tiles(truth.shape, max(truth.shape)), [maps], parser.min_score)
            one.add(table_of_ids[slots], truth, ids)
        cleaned.add(table_of_ids[without_specks(slots, foreground).labels], truth, ids)
    header = ["label maps", "mIoU %", "boundary F %", "small: mIoU %", "small: boundary F %"]
    print(table(header, [[title, *one.row()] for title, one in zip(TITLES, borders, strict=True)]))


if __name__ == "__main__":
    run_cli(main)
