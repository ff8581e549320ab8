"""One task for many items on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")
SMALL_JOB = 64  # below that, starting worker processes takes longer than the work


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel_map(task: Callable[[Item], Result], items: Sequence[Item], title: str, unit: str) -> list[Result]:
    """`task` of every item, in order, on all cores, with a progress bar called `title` that counts `unit`s.

    `task` must be a function of a module, or a `partial` of one, since worker processes take it by name.
    """

    def with_progress(results: Iterable[Result]) -> list[Result]:
        return list(tqdm(results, title, len(items), unit=unit, disable=None))

    workers = cores()
    if workers <= 1 or len(items) < SMALL_JOB:
        return with_progress(map(task, items))
    with ProcessPoolExecutor(workers) as pool:
        return with_progress(pool.map(task, items, chunksize=16))
