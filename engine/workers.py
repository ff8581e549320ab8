"""Loader processes that neither die under the step that is to finish nor outlive the run."""

import functools
import multiprocessing
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from utils.distributed import say
from utils.parallel import process_exists

STOPS = (signal.SIGTERM, signal.SIGINT)
CAN_TAKE_SIGNALS = hasattr(signal, "sigtimedwait")  # Linux and other Unixes, but not macOS and Windows
PARENT_CHECK_SECONDS = 2.0
SHARED_MEMORY, LEAST_SHARED = "/dev/shm", 200_000_000  # bytes; docker gives 64 MB by default
# torch says so whenever a loader starts; more workers than cores are slower, and no worse than that
warnings.filterwarnings("ignore", "This DataLoader will create")


def make_loader(
    dataset: Dataset, workers: int, device: torch.device, lasting: bool = False, **options: Any
) -> DataLoader:
    """A `DataLoader` whose workers leave stop signals to this process; on CUDA its memory is pinned.

    `lasting` workers live through several epochs.

    Where there is little shared memory, through which workers hand over what they load, this process loads by itself.
    """
    workers = workers if workers and enough_shared_memory() else 0
    return DataLoader(
        dataset,
        num_workers=workers,
        persistent_workers=lasting and workers > 0,
        pin_memory=device.type == "cuda",
        worker_init_fn=leave_signals_to_parent,
        generator=torch.Generator(),  # leaves the global one alone
        **options,
    )


def leave_signals_to_parent(_worker: int) -> None:
    """Init function of a loader process: stop signals are for the parent, which ends its workers in its own time.

    A signal to the whole process group (Ctrl-C, a cluster's SIGTERM) must not take the workers from under the step that
    is to finish. Yet a worker must end when its parent terminates it or is gone: multiprocessing joins its children
    without a timeout when the interpreter exits, and an orphan would hold the run's output open.
    """
    if not CAN_TAKE_SIGNALS:  # torch's own handling of SIGTERM stays: a foreign one ends the worker
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


@contextmanager
def stops_held() -> Iterator[None]:
    """Hold stop signals back while workers are started: those inherit the mask, so that none is hit before its init."""
    if not CAN_TAKE_SIGNALS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@functools.cache
def enough_shared_memory() -> bool:
    """Whether the system has some; says so, once, where it does not: a worker that fills it is killed."""
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:  # another system, which has none of this kind
        return True
    if free < LEAST_SHARED:
        what = f"{SHARED_MEMORY} has {free / 1e6:.0f} MB free, too little for loading processes"
        say(f"{what}: this one loads the photos by itself; docker run --shm-size 1g gives more")
    return free >= LEAST_SHARED


def _end_with_parent(parent: BaseProcess) -> None:
    """Take this process's stop signals; end it on the parent's SIGTERM, or once the parent is gone."""
    while parent.is_alive() and process_exists(parent.pid or 0):  # a killed one's sentinel may stay silent
        taken = signal.sigtimedwait(STOPS, PARENT_CHECK_SECONDS)
        if taken and taken.si_signo == signal.SIGTERM and taken.si_pid == parent.pid:
            break
    os._exit(0)
