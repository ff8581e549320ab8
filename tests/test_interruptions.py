"""Whatever stops a run (a signal, kill -9, a full disk), its last checkpoint loads and the run goes on as before."""

import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

import train as train_cli
from engine import run
from engine.settings import TrainSettings
from networks.checkpoints import files
from utils import log
from utils.errors import UserError

from .data_helpers import few_pairs
from .test_train import assert_same, last, settings

KILLS = 10


def work(settings: TrainSettings) -> None:
    """Train in a process group of its own, as a cluster's jobs do."""
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # the loader's processes start as they do by default
    run.TestEpisodes = few_pairs(100)
    torch.set_num_threads(1)
    sys.exit(train_cli.train(settings))


@pytest.fixture(scope="module")
def start(toy_root):
    """Start a run that saves after every step, in a process forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_interruptions"])

    def start(folder: Path, **changes: object) -> multiprocessing.Process:
        process = context.Process(target=work, args=(settings(toy_root, folder, save_minutes=1e-9, **changes),))
        process.start()
        return process

    return start


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory) -> tuple[dict, float]:
    """The last checkpoint of a run that nothing disturbed, and the seconds that it took."""
    folder, began = tmp_path_factory.mktemp("undisturbed"), time.monotonic()
    process = start(folder)
    process.join()
    assert process.exitcode == 0
    return last(folder), time.monotonic() - began


def wait_for_the_end_of_group(group: int) -> None:
    """Loader processes must not outlive their run (they look every other second whether it is still there)."""
    deadline = time.monotonic() + 60
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)


def assert_equal_end(undisturbed: dict, folder: Path) -> None:
    apart = ("settings", "versions")
    assert_same(*({k: v for k, v in content.items() if k not in apart} for content in (undisturbed, last(folder))))


def logged_steps(folder: Path) -> set[int]:
    """The steps of all losses in the folder's TensorBoard files: records of length, checksum, event, checksum."""
    steps = set()
    for path in (folder / "tensorboard").iterdir():
        content, at = path.read_bytes(), 0
        while len(content) >= at + 12 and len(content) >= (
            end := at + 16 + int.from_bytes(content[at : at + 8], "little")
        ):
            event = Event.FromString(content[at + 12 : end - 4])
            steps |= {event.step for value in event.summary.value if value.tag.startswith("loss/")}
            at = end
    return steps


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_nothing(start, undisturbed, tmp_path):
    expected, seconds = undisturbed
    rng, positions = random.Random(0), []
    for _ in range(KILLS):
        process = start(tmp_path)
        time.sleep(rng.uniform(0.1, 0.6) * seconds)
        process.kill()
        process.join()
        if (tmp_path / "last.pt").exists():
            at = last(tmp_path)["position"]
            positions.append((at["epoch"], at["batch"]))
    assert positions == sorted(positions)
    process = start(tmp_path)
    process.join()
    assert process.exitcode == 0
    assert_equal_end(expected, tmp_path)
    assert not list(tmp_path.glob(".last.*"))


def test_after_kill_9_the_logs_have_every_step_of_the_last_checkpoint(start, tmp_path):
    process = start(tmp_path)
    while process.is_alive() and not ((tmp_path / "last.pt").exists() and last(tmp_path)["steps"] >= 3):
        time.sleep(0.01)
    process.kill()
    process.join()
    assert last(tmp_path)["steps"] >= 3 and logged_steps(tmp_path) >= set(range(last(tmp_path)["steps"]))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_ends_the_step_writes_and_exits(start, undisturbed, tmp_path, number):
    process = start(tmp_path, workers=2)
    while not (tmp_path / "last.pt").exists():
        assert process.is_alive()
        time.sleep(0.01)
    os.killpg(process.pid, number)
    process.join()
    assert process.exitcode == 128 + number
    wait_for_the_end_of_group(process.pid)
    assert last(tmp_path)["position"] != {"epoch": 2, "batch": 0}
    process = start(tmp_path, workers=2)
    process.join()
    assert_equal_end(undisturbed[0], tmp_path)


@pytest.fixture
def full_disk():
    """No file may grow beyond some kilobytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_stops_with_one_line_and_keeps_the_last_checkpoint(full_disk, tmp_path):
    path = tmp_path / "last.pt"
    files.save_run(path, torch.nn.Linear(1, 100_000), {"epoch": 1})
    before = path.read_bytes()
    full_disk()
    with pytest.raises(UserError, match=r"last\.pt: cannot be written .*free some space$") as caught:
        files.save_run(path, torch.nn.Linear(1, 100_000), {"epoch": 2})
    assert "\n" not in str(caught.value) and "No space left" in str(caught.value)
    assert path.read_bytes() == before and files.read(path)["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_full_disk_does_not_leave_the_run_waiting_for_its_logs(full_disk, tmp_path):
    board = log.Board(tmp_path, step=3)
    full_disk()
    with pytest.raises(UserError, match=r"tensorboard: cannot be written .*free some space$"):
        for step in range(100_000):
            board.scalars("loss", {"total": 1.0}, step)


def test_a_run_folder_that_cannot_be_written_is_told_in_one_line(toy_root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written .*choose another folder") as caught:
        train_cli.train(settings(toy_root, tmp_path / "file" / "run"))
    assert "\n" not in str(caught.value)
