"""Folders that one process holds, so that two do not write to one. A process that ends lets go, however it ends."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import UserError
from .files import require_writable

try:
    import fcntl
except ImportError:  # Windows, where nothing is held
    fcntl = None  # type: ignore[assignment]

LOCK = "run.lock"  # in a folder that a run holds


@contextmanager
def locked(folder: str | Path, wanted: bool = True) -> Iterator[None]:
    """Hold the folder for this process, which makes it, by a file in it; does nothing unless `wanted`.

    Raises `UserError` where another process holds the folder.
    """
    if not (wanted and fcntl):
        yield
        return
    require_writable(folder)
    with open(Path(folder) / LOCK, "w", encoding="utf-8") as file:
        _take(fcntl.lockf, file, folder, wait=False)
        yield


@contextmanager
def alone_in(folder: str | Path, wait: bool = True) -> Iterator[None]:
    """Hold the folder, which is made, against other processes that do so; nothing is left in it.

    Waits where another one holds it, or else raises `UserError`.
    """
    require_writable(folder)
    if not fcntl:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _take(fcntl.flock, handle, folder, wait)
        yield
    finally:
        os.close(handle)


def _take(lock: Callable[[Any, int], object], file: Any, folder: str | Path, wait: bool) -> None:
    try:
        lock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"{folder}: another run is writing there; wait for its end, or choose another") from error
    except OSError:  # a file system without locks
        pass
