"""One task for many items on all cores."""

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")
SMALL_JOB = 64  # below that, starting worker processes takes longer than the work


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_exists(number: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def parallel_map(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    title: str,
    unit: str,
    *,
    progress: bool = True,
    spawn: bool = False,
) -> list[Result]:
    """`task` of every item, in order, on all cores, with a progress bar called `title` that counts `unit`s.

    `task` must be a function of a module, or a `partial` of one, since worker processes take it by name. `spawn` starts
    them anew: they inherit no threads and locks of the caller, as a task that calls OpenCV needs. Where that cannot be,
    a warning is given and the work is done in this process.
    """

    def with_progress(results: Iterable[Result]) -> list[Result]:
        return list(tqdm(results, title, len(items), unit=unit, disable=None if progress else True))

    workers = cores()
    if workers <= 1 or len(items) < SMALL_JOB:
        return with_progress(map(task, items))
    try:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn" if spawn else None)) as pool:
            return with_progress(pool.map(task, items, chunksize=16))
    except BrokenProcessPool:  # too little memory, or spawned from a program without an importable main module
        if not spawn:
            raise
        warnings.warn("the worker processes could not go on; working in one process instead", stacklevel=2)
        return with_progress(map(task, items))
