"""How steady the labels of a video are, plain and with `--smooth`, on clips whose truth is known.

    python -m tools.measure_smoothing --split val
    python -m tools.measure_smoothing --split test

There are two kinds of clips: drawn people who move their arms and legs, and photos of the split under a slow pan and
zoom. Each clip shows two people, one after the other, with a cut between them. Every frame has passed a strong JPEG
compression, as in a video. The reference is another drawn person, or another photo.
"""

import io
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from dataloaders import catalog, toy
from dataloaders.split import Split
from engine.metrics import ConfusionMatrix
from inference.parser import OneShotParser
from inference.smoothing import Smoother
from utils.config import whole
from utils.errors import run_cli
from utils.log import table

from .measuring import measuring_options, split_of, truth_under

SIZE = (360, 240)  # of a frame
QUALITY = 40  # of the JPEG compression
AFTER_CUT = 5  # frames
SWING = 18.0  # degrees to each side
REACH = 9  # pixels around what has moved
KINDS = {"drawn people": "toy", "photos under pan and zoom": ""}

Clip = list[tuple[np.ndarray, np.ndarray]]
"""Frames (H, W, 3) and their label maps (H, W)."""


class ClipTables:
    """Confusions of all frames, of what moves and of the frames after a cut; pixels that flicker and that might."""

    def __init__(self, slots: int) -> None:
        self.all, self.moving, self.after_cut = (ConfusionMatrix(slots) for _ in range(3))
        self.flicker: list[tuple[int, int]] = []

    def add(self, clip: Sequence[np.ndarray], truth: Sequence[np.ndarray], cut: int) -> None:
        """Count the labels of a clip's frames, which has a cut before frame `cut`."""
        for i, (labels, true) in enumerate(zip(clip, truth, strict=True)):
            pair = torch.from_numpy(labels), torch.from_numpy(true)
            self.all.update(*pair)
            if cut <= i < cut + AFTER_CUT:
                self.after_cut.update(*pair)
            if i in (0, cut):
                continue
            changed = truth[i - 1] != true
            near = cv2.dilate(changed.astype(np.uint8), np.ones((REACH, REACH), np.uint8)) > 0
            self.moving.update(pair[0][near], pair[1][near])
            self.flicker.append((int(((clip[i - 1] != labels) & ~changed).sum()), int((~changed).sum())))

    def row(self) -> list[float]:
        """Flicker in thousandths of the pixels, then mIoU in percent: all frames, what moves, after the cut."""
        flicker, pixels = np.sum(self.flicker, axis=0)
        return [1000 * flicker / pixels, *(m.miou() for m in (self.all, self.moving, self.after_cut))]


def walk(seed: int, person: int, frames: int) -> Clip:
    """A drawn person who moves arms and legs."""
    table = catalog.load("toy").merge_table()
    swings = SWING * np.sin(2 * np.pi * np.arange(frames) / 16)
    pictures = (toy.draw(seed, person, SIZE, float(swing)) for swing in swings)
    return [(image, table[label]) for image, label in pictures]


def pan(image: np.ndarray, label: np.ndarray, rng: np.random.Generator, frames: int) -> Clip:
    """A photo under a camera that moves by up to a pixel and a half and zooms by up to half a percent a frame."""
    base = max(SIZE[0] / image.shape[0], SIZE[1] / image.shape[1]) * 1.15
    speed, zoom = rng.uniform(-1.5, 1.5, 2), rng.uniform(0.995, 1.005)
    clip = []
    for i in range(frames):
        scale = base * zoom**i
        shift = np.array(SIZE[::-1]) / 2 - scale * np.array(image.shape[1::-1]) / 2 + speed * (i - frames / 2)
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        mirror = cv2.BORDER_REFLECT_101
        picture = cv2.warpAffine(image, matrix, SIZE[::-1], flags=cv2.INTER_LINEAR, borderMode=mirror)
        moved = cv2.warpAffine(label, matrix, SIZE[::-1], flags=cv2.INTER_NEAREST, borderMode=mirror)
        clip.append((picture, moved))
    return clip


def compressed(image: np.ndarray) -> np.ndarray:
    """A frame as it comes out of a video file."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=QUALITY)
    return np.array(Image.open(content))


def clips(kind: str, split: Split, count: int, frames: int, seed: int) -> Iterator[tuple[Clip, Clip, Clip]]:
    """For each clip the reference, as a clip of one frame, and its two parts."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        if kind == "toy":
            first, *others = (int(n) for n in rng.choice(10_000, 3, replace=False))
            yield walk(seed, first, 1), walk(seed, others[0], frames), walk(seed, others[1], frames)
            continue
        samples = [split.load(int(n)) for n in rng.choice(len(split), 3, replace=False)]
        photos = [(s.rgb, s.label.numpy().astype(np.uint8)) for s in samples]
        yield photos[:1], pan(*photos[1], rng, frames), pan(*photos[2], rng, frames)


def measure(
    parser: OneShotParser, parts: Iterator[tuple[Clip, Clip, Clip]], slots: int, total: int
) -> list[ClipTables]:
    """The tables of plain parsing and of smoothing."""
    tables = [ClipTables(slots) for _ in range(2)]
    for reference, first, second in tqdm(parts, total=total, unit="clip"):
        support = parser.set_reference(*reference[0])
        known = [c.id for c in support.classes]
        frames = [compressed(image) for image, _ in (*first, *second)]
        truth = [truth_under(label, known) for _, label in (*first, *second)]
        for smoother, one in zip((None, Smoother(parser.min_score)), tables, strict=True):
            one.add([parsing.labels for parsing in parser.parse_frames(frames, smoother)], truth, len(first))
    return tables


def main(arguments: Sequence[str] | None = None) -> None:
    options = measuring_options(__doc__ or "")
    options.add_argument("--clips", type=whole(1), default=6, help="how many of each kind (default: %(default)s)")
    options.add_argument("--frames", type=whole(6), default=16, help="of each part (default: %(default)s)")
    chosen = options.parse_args(arguments)
    split = split_of(chosen)
    parser, rows = OneShotParser(chosen.checkpoint), []
    for title, kind in KINDS.items():
        slots = catalog.load(kind).num_slots if kind else split.spec.num_slots
        parts = clips(kind, split, chosen.clips, chosen.frames, chosen.seed)
        for way, tables in zip(("plain", "--smooth"), measure(parser, parts, slots, chosen.clips), strict=True):
            rows.append([title, way, *(f"{value:.1f}" for value in tables.row())])
    print(table(["clips", "way", "flicker, of 1000 pixels", "mIoU %", "of what moves", "after the cut"], rows))


if __name__ == "__main__":
    run_cli(main)
