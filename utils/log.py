"""What a run tells: lines on the terminal, TensorBoard, the state of the code."""

import functools
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import image, scalar

from .files import reported

FLUSH_SECONDS = 20.0


class Board:
    """TensorBoard in the run folder; does nothing with `enabled=False` (all ranks but the first).

    Events are written where they arise. tensorboardX's `SummaryWriter` hands them to a thread, which ends if the disk
    is full, so that the run waits for ever; its `flush` does not reach what is still in the queue either.
    Raises `UserError` when the folder cannot be written.
    """

    def __init__(self, folder: Path, step: int, enabled: bool = True) -> None:
        self.folder, self.events, self._flushed = folder / "tensorboard", None, 0.0
        if enabled:
            with reported(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self.events = EventsWriter(str(self.folder / "events"), f".{step}")
        # Events after this step are of a run that was cut off, or of an earlier one; TensorBoard drops them.
        self._write(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        """One curve for each value."""
        for name, value in values.items():
            self._add(scalar(f"{group}/{name}", value), step)

    def picture(self, name: str, pixels: np.ndarray, step: int) -> None:
        """An RGB image (H, W, 3)."""
        self._add(image(name, pixels, dataformats="HWC"), step)

    def flush(self) -> None:
        """Put all events so far into the file: before a checkpoint is written, so that none of its steps is lost."""
        if self.events:
            with reported(self.folder):
                self.events.flush()
            self._flushed = time.time()

    def close(self) -> None:
        """Flush and close."""
        if self.events:
            self.events.close()
            self.events = None

    def _add(self, summary: Summary, step: int) -> None:
        self._write(Event(step=step, summary=summary))

    def _write(self, event: Event) -> None:
        if not self.events:
            return
        event.wall_time = time.time()
        with reported(self.folder):
            self.events.write_event(event)
        if event.wall_time - self._flushed > FLUSH_SECONDS:
            self.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, columns padded so that it reads well as plain text too."""
    widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
    lines = [[str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (header, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(value: float) -> str:
    """One decimal, or a dash for NaN."""
    return "-" if value != value else f"{value:.1f}"


@functools.cache
def revision() -> str:
    """The git revision of the code, with `+` for uncommitted changes; empty outside a git checkout.

    That of the first call: what is committed or pulled while a program runs is not what it runs.
    """
    command = ["git", "describe", "--always", "--dirty=+"]
    folder = Path(__file__).parent
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=folder, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
