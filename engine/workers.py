"""Loader processes that neither die under the step that is to finish nor outlive the run."""

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

STOPS = (signal.SIGTERM, signal.SIGINT)
CAN_TAKE_SIGNALS = hasattr(signal, "sigtimedwait")  # Linux and other Unixes, but not macOS and Windows
PARENT_CHECK_SECONDS = 2.0
# torch says so whenever a loader starts; more workers than cores are slower, and no worse than that
warnings.filterwarnings("ignore", "This DataLoader will create")


def make_loader(dataset: Dataset, workers: int, device: torch.device, **options: Any) -> DataLoader:
    """A `DataLoader` whose workers leave stop signals to this process; on CUDA its memory is pinned."""
    return DataLoader(
        dataset,
        num_workers=workers,
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


def _end_with_parent(parent: BaseProcess) -> None:
    """Take this process's stop signals; end it on the parent's SIGTERM, or once the parent is gone."""
    while parent.is_alive():
        taken = signal.sigtimedwait(STOPS, PARENT_CHECK_SECONDS)
        if taken and taken.si_signo == signal.SIGTERM and taken.si_pid == parent.pid:
            break
    os._exit(0)
