"""Read and write videos frame by frame, in RGB."""

import itertools
from collections.abc import Iterator
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
        if not Path(path).is_file():
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


def write_video(path: str | Path, frames: Iterator[np.ndarray], frame_rate: float) -> None:
    """Write RGB uint8 frames (H, W, 3) of one size, at least one, as an MP4. Raises `UserError` when that fails."""
    with replacing(path) as temporary:
        first = next(frames)
        height, width = first.shape[:2]
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), frame_rate, (width, height))
        try:
            if not writer.isOpened():
                raise UserError(f"{temporary}: the video cannot be written ({width}x{height}); choose another --out")
            for frame in itertools.chain([first], frames):
                writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        finally:
            writer.release()
