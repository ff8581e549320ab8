"""Many users at once on the web page, each with a reference of their own: is it right, how fast, how much memory?

    python -m tests.load_test --users 10 --parses 20

Starts demo.py on a free port of 127.0.0.1, lets the users work, prints latency, failures and the server's memory, and
stops it. Every user's classes bear the user's number and size; a result that shows another user's is a failure.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from dataloaders import toy
from inference.settings import DEFAULT_CHECKPOINT
from utils.config import ArgumentParser
from utils.errors import UserError, run_cli

ROOT = Path(__file__).resolve().parents[1]
MOST_USERS, MOST_PARSES = 40, 100
START_SECONDS = 300
PHOTO_SIZE = (192, 128)
NAME = re.compile(r"user\d+")


@dataclass
class Server:
    """A started demo.py."""

    address: str
    process: subprocess.Popen

    def memory(self) -> float:
        """Resident memory in MB; NaN where the system has no /proc."""
        status = Path(f"/proc/{self.process.pid}/status")
        resident = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
        return int(resident[1]) / 1024 if resident else float("nan")


@dataclass
class Outcome:
    """What the users met: seconds of each parse, and a line for each failure."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serving(checkpoint: str | Path) -> Iterator[Server]:
    """Start demo.py on a free port of 127.0.0.1, and stop it at the end. Raises `UserError` when it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--checkpoint", str(Path(checkpoint).resolve()), "--port", str(port), "--data-root", "none")
    command = [sys.executable, "-u", "demo.py", *options]  # no data: the example is the drawn one
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            _await(process, port)
            yield Server(f"http://127.0.0.1:{port}", process)
        except TimeoutError as error:
            log.seek(0)
            last = (log.read().strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"demo.py did not start: {last}") from error
        finally:
            process.terminate()  # started in the background, it may well not hear Ctrl-C
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise TimeoutError


def work(server: Server, users: int, parses: int, seconds: float) -> Outcome:
    """Let `users` parse `parses` times each, all at once, for at most `seconds`."""
    outcome = Outcome()
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(users) as pool:
        jobs = [pool.submit(_visit, server, user, parses, deadline, Path(folder), outcome) for user in range(users)]
        for user, job in enumerate(jobs):
            if error := job.exception():
                outcome.failures.append(f"user {user}: {type(error).__name__}: {error}")
    return outcome


def _visit(server: Server, user: int, parses: int, deadline: float, folder: Path, outcome: Outcome) -> None:
    """One user: set a reference, parse, and look at every result for the classes of somebody else."""
    photo, labels = folder / f"photo{user}.png", folder / f"labels{user}.png"
    image, label = toy.draw(1, user, (PHOTO_SIZE[0] + user, PHOTO_SIZE[1]))
    Image.fromarray(image).save(photo)
    Image.fromarray(np.where(label > 0, user + 1, 0).astype(np.uint8)).save(labels)
    client = Client(server.address, verbose=False, download_files=str(folder / f"user{user}"))
    files, mine = (handle_file(photo), handle_file(labels)), f"user{user}"
    _, message = client.predict(*files, f"{user + 1} {mine}", api_name="/reference")
    if set(NAME.findall(str(message))) != {mine}:
        outcome.failures.append(f"{mine}: set a reference, was told {message!r}")
    for _ in range(parses):
        if time.monotonic() > deadline:
            outcome.failures.append(f"{mine}: out of time")
            return
        start = time.monotonic()
        _, table, archive, *_ = client.predict([handle_file(photo)], 0.6, False, api_name="/parse")
        outcome.seconds.append(time.monotonic() - start)
        with zipfile.ZipFile(archive) as packed, packed.open(f"01_{photo.name}") as file:
            label_map = np.array(Image.open(file))
        own = label_map.shape == image.shape[:2] and set(np.unique(label_map)) <= {0, user + 1}
        if set(NAME.findall(table)) != {mine} or photo.name not in table or not own:
            outcome.failures.append(f"{mine}: parsed, was shown {table!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT, help="(default: %(default)s)")
    options.add_argument("--users", type=int, default=10, help=f"at once, at most {MOST_USERS} (default: %(default)s)")
    options.add_argument("--parses", type=int, default=20, help=f"of each user, at most {MOST_PARSES} (%(default)s)")
    options.add_argument("--seconds", type=float, default=600, help="stop after this time (default: %(default)s)")
    chosen = options.parse_args(arguments)
    if not (1 <= chosen.users <= MOST_USERS and 1 <= chosen.parses <= MOST_PARSES):
        raise UserError(f"--users must be 1 to {MOST_USERS}, --parses 1 to {MOST_PARSES}")
    with serving(chosen.checkpoint) as server:
        warm = work(server, 1, 1, chosen.seconds)
        before = server.memory()
        start = time.monotonic()
        outcome = work(server, chosen.users, chosen.parses, chosen.seconds)
        took, after = time.monotonic() - start, server.memory()
    failures = warm.failures + outcome.failures
    print(*failures, sep="\n", end="\n" if failures else "")
    half, most, longest = np.percentile(outcome.seconds or [np.nan], (50, 95, 100))
    wanted = chosen.users * chosen.parses
    print(
        f"{len(outcome.seconds)} of {wanted} parses by {chosen.users} users in {took:.0f} s, {len(failures)} failures"
    )
    print(f"seconds from click to result: median {half:.2f}, 95 % {most:.2f}, longest {longest:.2f}")
    print(f"server memory: {before:.0f} MB after the first parse, {after:.0f} MB after the last")
    return 1 if failures else 0


if __name__ == "__main__":
    run_cli(main)
