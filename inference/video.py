"""Read and write videos frame by frame, in RGB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from utils.errors import UserError
from utils.files import replacing


class Video:
    """A video to read: `frame_rate`, `length` (as the file states it, maybe 0) and its frames, upright.

    Raises `UserError` when the file is no video or holds no frames.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{path}: no such video; check the path")
        self._capture = cv2.VideoCapture(str(path))
        self._next = self._read() if self._capture.isOpened() else None
        if self._next is None:
            self._capture.release()
            raise UserError(f"{path}: no video, or one without frames; give an MP4, MOV, AVI, MKV or WebM file")
        self.frame_rate = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self.length = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames, RGB uint8 (H, W, 3), once."""
        try:
            while self._next is not None:
                frame, self._next = self._next, self._read()
                yield frame
        finally:
            self._capture.release()

    def _read(self) -> np.ndarray | None:
        done, frame = self._capture.read()
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if done else None


class VideoOut:
    """Takes RGB frames of one size."""

    def __init__(self, path: Path, frame_rate: float) -> None:
        self.path, self.frame_rate = path, frame_rate
        self._writer: cv2.VideoWriter | None = None

    def add(self, frame: np.ndarray) -> None:
        """Append an RGB uint8 frame (H, W, 3). Raises `UserError` when the video cannot be written."""
        if self._writer is None:
            size = (frame.shape[1], frame.shape[0])
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*"mp4v"), self.frame_rate, size)
            if not self._writer.isOpened():
                raise UserError(f"{self.path}: the video cannot be written ({size[0]}x{size[1]}); choose another --out")
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


@contextmanager
def writing(path: str | Path, frame_rate: float) -> Iterator[VideoOut]:
    """An MP4 to add frames to; it stands under `path` once all are written."""
    with replacing(path) as temporary:
        out = VideoOut(temporary, frame_rate)
        try:
            yield out
        finally:
            out.close()
