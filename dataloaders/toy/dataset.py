"""The toy data set: drawn people in clothes, with labels that are exact because picture and label share their shapes.

It stands in for ATR where a download is not possible, and serves tests and first runs. Folder layout and the 18 label
values are those of ATR.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from utils.files import replacing, write_text

from .figure import Figure
from .outfit import choose
from .paint import Canvas
from .person import paint_person
from .scene import grade, paint_backdrop

JPEG_QUALITY = 92

Job = tuple[Path, str, int, int, tuple[int, int]]
"""Root folder, name, seed, number and size (H, W) of one picture."""


def build(
    root: Path,
    *,
    train: int = 240,
    test: int = 60,
    size: tuple[int, int] = (192, 128),
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Write `train` + `test` pictures of `size` (H, W) with labels and their two lists into `root`.

    A picture depends on `seed` and its number only. A second run writes the same bytes.
    Raises `UserError` when `root` cannot be written.
    """
    root = Path(root)
    names = [f"toy_{index:05d}" for index in range(1, train + test + 1)]
    jobs = [(root, name, seed, index, size) for index, name in enumerate(names, 1)]
    with tqdm(total=len(jobs), desc="drawing the toy data set", unit="picture", disable=not progress) as bar:
        for _ in _in_parallel(jobs):
            bar.update()
    # Last, so that a list never names a picture that is not there.
    write_text(root / "list" / "meta_train_id.txt", "".join(f"{name}\n" for name in names[:train]))
    write_text(root / "list" / "meta_test_id.txt", "".join(f"{name}\n" for name in names[train:]))


def draw(seed: int, index: int, size: tuple[int, int] = (192, 128)) -> tuple[np.ndarray, np.ndarray]:
    """Draw one person: picture uint8 (H, W, 3) in RGB, and label uint8 (H, W) with ATR's values 0..17."""
    rng = np.random.default_rng([seed, index])
    outfit = choose(rng)
    canvas = Canvas(size, rng)
    holding = outfit.bag_side if outfit.bag == "hand" else 0
    figure = Figure(canvas.shape, rng, feminine=outfit.feminine, front=outfit.front, holding=holding)
    paint_backdrop(canvas, figure, rng)
    paint_person(canvas, figure, outfit, rng)
    picture, label = canvas.finish()
    picture = grade(picture, rng)
    return np.round(picture * 255).astype(np.uint8), label


def _in_parallel(jobs: list[Job]) -> Iterator[None]:
    """Run the jobs over the processor's cores, or here when they are few or no worker can start."""
    workers = min(_cores(), len(jobs) // 8)
    done = 0
    if workers > 1:
        # Spawned workers inherit no threads and locks of the caller, which a fork would copy as they are.
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
                for result in pool.map(_write, jobs, chunksize=4):
                    done += 1
                    yield result
        except BrokenProcessPool:  # no main module to import, as in an interactive session, or too little memory
            warnings.warn("the worker processes could not go on; drawing in one process instead", stacklevel=3)
    for job in jobs[done:]:
        yield _write(job)


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write(job: Job) -> None:
    """Draw one picture and write it with its label; a function of the module, so that a spawned worker finds it."""
    root, name, seed, index, size = job
    picture, label = draw(seed, index, size)
    _save(root / "trainval_images" / f"{name}.jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    _save(root / "trainval_classes" / f"{name}.png", label, [])


def _save(path: Path, pixels: np.ndarray, options: list[int]) -> None:
    """Encode by the suffix of `path` and write in one piece; colours in OpenCV's order."""
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(pixels), options)
    if not done:
        raise RuntimeError(f"{path}: the picture could not be encoded")
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())
