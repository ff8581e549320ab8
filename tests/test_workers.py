"""Loader processes end with their parent, however it ends, and not before."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from engine import workers
from engine.workers import CAN_TAKE_SIGNALS, make_loader, stops_held

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not CAN_TAKE_SIGNALS, reason="this system cannot tell who sent a signal")

LEAVES_WORKERS = """
import sys, torch
from torch.utils.data import TensorDataset
from engine.workers import make_loader
batches = iter(make_loader(TensorDataset(torch.zeros(9)), 2, torch.device("cpu"), multiprocessing_context={context!r}))
next(batches)
{ending}
"""
KILLED = "import os, signal; os.kill(os.getpid(), 9)"


class Sleepers(Dataset):
    """Every item is the id of the process that made it, a moment later."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> int:
        time.sleep(0.02)
        return os.getpid()


@pytest.mark.parametrize(
    "ending, status",
    [("raise RuntimeError('a mistake')", 1), ("sys.exit(3)", 3), (KILLED, -9)],
)
def test_a_process_with_busy_workers_ends(ending, status, context="fork"):
    """The workers hold this test's pipes open as long as they live, so `run` returns only when all have ended."""
    script = LEAVES_WORKERS.format(ending=ending, context=context)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == status, done.stderr


@pytest.mark.slow
def test_a_fork_server_ends_with_its_process_too():
    test_a_process_with_busy_workers_ends(KILLED, -9, "forkserver")


def test_with_little_shared_memory_the_run_loads_by_itself(monkeypatch, capsys):
    workers.enough_shared_memory.cache_clear()
    monkeypatch.setattr(workers, "LEAST_SHARED", 10**15)
    made = [
        make_loader(Sleepers(), 2, torch.device("cpu"), lasting=lasting, batch_size=20) for lasting in (False, True)
    ]
    assert [loader.num_workers for loader in made] == [0, 0]
    assert capsys.readouterr().out.count("docker run --shm-size 1g") == 1
    workers.enough_shared_memory.cache_clear()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_does_not_take_a_worker_away(number):
    with stops_held():
        batches = iter(make_loader(Sleepers(), 1, torch.device("cpu"), batch_size=2))
    worker = int(next(batches)[0])
    subprocess.run(["kill", f"-{number}", str(worker)], check=True)  # by a process that is not its parent
    assert [int(pid) for batch in batches for pid in batch] == [worker] * 38


def test_signals_are_held_only_within():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with stops_held():
        assert {signal.SIGTERM, signal.SIGINT} <= signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
