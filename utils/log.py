"""What a run tells: lines on the terminal, and TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter


class Board:
    """TensorBoard in the run folder; does nothing with `enabled=False` (all ranks but the first)."""

    def __init__(self, folder: Path, step: int, enabled: bool = True) -> None:
        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None) if enabled else None

    def scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        """One curve for each value."""
        if self.writer:
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, step)

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """An RGB image (H, W, 3)."""
        if self.writer:
            self.writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close."""
        if self.writer:
            self.writer.close()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, columns padded so that it reads well as plain text too."""
    widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
    lines = [[str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (header, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(value: float) -> str:
    """One decimal, or a dash for NaN."""
    return "-" if value != value else f"{value:.1f}"
