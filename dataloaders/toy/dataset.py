"""The toy data set: drawn people in ATR's layout, with labels that are exact since picture and label share shapes."""

import multiprocessing
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from utils.files import replacing, write_text
from utils.parallel import parallel_map

from ..layout import IMAGE_FOLDER, label_path, list_path
from .figure import Figure
from .outfit import Outfit
from .paint import Canvas
from .person import paint_person
from .scene import grade, paint_backdrop

JPEG_QUALITY = 92


def build(
    root: Path, *, train: int = 240, test: int = 60, size: tuple[int, int] = (192, 128), seed: int = 0,
    progress: bool = True,
) -> None:  # fmt: skip
    """Write `train` + `test` pictures of `size` (H, W) with labels and their two lists into `root`.

    A picture depends on `seed` and its number only. A second run writes the same bytes.
    Raises `UserError` when `root` cannot be written.
    """
    numbers, task = range(1, train + test + 1), partial(_write, Path(root), seed, size)
    names = parallel_map(task, numbers, "drawing the toy data set", "picture", progress=progress, spawn=True)
    lists = {"train": names[:train], "test": names[train:]}
    for split, ids in lists.items():  # last, so that a list never names a picture that is not there
        write_text(list_path(Path(root), split), "".join(f"{name}\n" for name in ids))


def draw(
    seed: int, index: int, size: tuple[int, int] = (192, 128), swing: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one person: picture uint8 (H, W, 3) in RGB, and label uint8 (H, W) with ATR's values 0..17.

    `swing` turns arms and legs by so many degrees, to one side of the body outwards and to the other inwards: with
    values that go to and fro the same person moves.
    """
    rng = np.random.default_rng([seed, index])
    figure = Figure(Outfit(rng), Canvas(size, rng), rng, swing)
    paint_backdrop(figure)
    paint_person(figure)
    picture, label = figure.canvas.finish()
    return np.round(grade(picture, rng) * 255).astype(np.uint8), label


def _write(root: Path, seed: int, size: tuple[int, int], number: int) -> str:
    """Draw one picture and write it with its label. Returns its name."""
    if multiprocessing.parent_process():  # each core has a worker of its own
        cv2.setNumThreads(1)
    name, (picture, label) = f"toy_{number:05d}", draw(seed, number, size)
    for file, pixels in ((root / IMAGE_FOLDER / f"{name}.jpg", picture), (label_path(root, name), label)):
        with replacing(file) as temporary:
            Image.fromarray(pixels).save(temporary, quality=JPEG_QUALITY)  # a PNG has no such setting, and ignores it
    return name
