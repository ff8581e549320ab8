"""Videos: upright frames with the times at which they are shown, and writing them again at a steady rate."""

import itertools
import math
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from utils.errors import UserError
from utils.files import replacing
from utils.names import is_utf8

Frame = tuple[np.ndarray, float]
"""RGB uint8 (H, W, 3), and the second from which on it is shown."""


class VideoOptions(NamedTuple):
    """Whether to steady the labels over time and to write each frame's label map; from and to which second to parse."""

    smooth: bool = False
    frames: bool = False
    start: float = 0.0
    end: float = math.inf


USUAL_RATE, MAX_RATE = 25.0, 240.0  # frames a second
LOOKED_AT = 2000  # frames whose times tell whether they are even
MATROSKA, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # what MKV and WebM files start with, and hold once
GAP, GAP_FRAMES = 0.1, 3  # what a video must lack to be called incomplete: containers state slightly wrong lengths


class Video:
    """Upright frames, `frame_rate` and `length` (frames as stated, maybe 0) of a video.

    Of the frames those from second `start` on and before `end`. Raises `UserError` where there are none.
    """

    def __init__(self, path: str | Path, start: float = 0.0, end: float = math.inf) -> None:
        if not Path(path).is_file():
            raise UserError(f"{path}: no such video; check the path")
        self._path, self.frame_rate = path, _rate(path)
        self._capture = _opened(path)
        self._count, self._last, self._ended = 0, 0.0, False
        self._stated, self._shape = _stated(self._capture), _pixel_shape(self._capture)
        self._next = self._read() if self._capture.isOpened() else None
        if self._next is None:
            self._capture.release()
            raise UserError(f"{path}: no video, or one without frames; give an MP4, MOV, AVI, MKV or WebM file")
        self.length = max(0, int(self._stated[0]))
        if self.length:
            seconds = min(end, self.length / self.frame_rate) - start
            self.length = max(1, round(seconds * self.frame_rate))
        self._end = end
        while self._next is not None and self._next[1] < start:
            self._next = self._read()
        if self._next is None or self._next[1] >= end:
            self._capture.release()
            raise UserError(f"{path}: no frame from second {start:g} to {end:g}; choose another --start and --end")

    def __iter__(self) -> Iterator[Frame]:
        """The frames with their times, once."""
        try:
            while self._next is not None and self._next[1] < self._end:
                frame, self._next = self._next, self._read()
                yield frame
        finally:
            self._capture.release()

    @property
    def incomplete(self) -> str:
        """A line for a video that ended clearly before the length that it states; empty for others, and before its end.

        Both its frames and its times must fall short: frames alone are a guess where the times are uneven.
        """
        frames, rate = self._stated
        if not self._ended or frames <= 0 or rate <= 0:
            return ""
        lacking = frames - self._count, frames - 1 - self._last * rate
        if min(lacking) < max(GAP_FRAMES, GAP * frames) or _whole_matroska(self._path):
            return ""
        reason = f"it breaks off after {self._count} of the {frames:.0f} frames that it states"
        return f"the rest, since {reason} (those are parsed); copy or export the video anew"

    def _read(self) -> Frame | None:
        done, frame = self._capture.read()
        if not done:
            self._ended = True
            return None
        second, steady = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, self._count / self.frame_rate
        self._count += 1
        self._last = second if second > 0 else steady
        return cv2.cvtColor(_square(frame, *self._shape), cv2.COLOR_BGR2RGB), self._last


def check_span(paths: Iterable[str | Path], start: float, end: float) -> None:
    """Raise `UserError` where a part of videos ends before it begins, or begins behind the end of one of them.

    A video that cannot be read, or does not state its length, is left to `Video`.
    """
    if not 0 <= start < end:
        raise UserError(f"--start {start:g} --end {end:g}: seconds from 0 on; the start must lie before the end")
    for path in paths:
        frames, rate = _stated_by(path)
        if frames > 0 and rate > 0 and start >= frames / rate:
            raise UserError(f"{path}: --start {start:g} lies behind its end at {frames / rate:.2f} seconds; lower it")


def write_video(path: str | Path, frames: Iterable[Frame], frame_rate: float) -> None:
    """Write frames of one size, at least one, as an MP4 in which each is shown as long as its time says.

    The file has a steady rate: a frame stands several times in it, or not at all, where the times are uneven. A last
    column or row is repeated where a side is odd, which the format cannot have. Raises `UserError` when that fails.
    """
    with replacing(path) as temporary:
        stream = iter(frames)
        first = next(stream)
        height, width = (side + side % 2 for side in first[0].shape[:2])
        with _in_utf8(temporary) as name:
            writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*"mp4v"), frame_rate, (width, height))
        try:
            if not writer.isOpened():
                raise UserError(f"{path}: the video cannot be written ({width}x{height}); choose another --out")
            written = 0
            for (frame, _), end in _with_ends(itertools.chain([first], stream), 1 / frame_rate):
                padding = ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0))
                pixels = cv2.cvtColor(np.pad(frame, padding, mode="edge"), cv2.COLOR_RGB2BGR)
                while written < max(round((end - first[1]) * frame_rate), 1):
                    writer.write(pixels)
                    written += 1
        finally:
            writer.release()
        if _stated_by(temporary)[0] < written:  # OpenCV does not tell of a disk that is full
            raise UserError(f"{path}: the video cannot be written whole; free some space, or choose another --out")


def _stated_by(path: str | Path) -> tuple[float, float]:
    """As `_stated`, of the file."""
    capture = _opened(path)
    stated = _stated(capture)
    capture.release()
    return stated


def _stated(capture: cv2.VideoCapture) -> tuple[float, float]:
    """How many frames a video says that it has, and how many a second; 0 or less where it does not say."""
    return capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)


def _pixel_shape(capture: cv2.VideoCapture) -> tuple[float, float]:
    """By how much to enlarge the width and the height of upright frames, so that their pixels are square as shown."""
    wide, high = (capture.get(part) for part in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
    if wide <= 0 or high <= 0:  # a file need not say
        return 1.0, 1.0
    across = wide / high if capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180 == 0 else high / wide
    return max(1.0, across), max(1.0, 1 / across)


def _square(frame: np.ndarray, across: float, down: float) -> np.ndarray:
    """A frame (H, W, 3) enlarged by these factors; as it is where they are one."""
    return frame if across == down else cv2.resize(frame, None, fx=across, fy=down)


def _whole_matroska(path: str | Path) -> bool:
    """Whether an MKV or WebM file is as long as it says, or does not say it.

    These do not state a number of frames: OpenCV has it from the length of the whole file, whose sound may be longer.
    """
    with open(path, "rb") as file:
        head = file.read(4096)
    start = head.find(SEGMENT, 0, 4000) + len(SEGMENT)
    if not head.startswith(MATROSKA) or start < len(SEGMENT):
        return False
    width = 9 - head[start].bit_length()  # bytes of the size, by its first bit that is set
    size = int.from_bytes(head[start : start + width], "big") - (1 << 7 * width)
    unknown = size == (1 << 7 * width) - 1
    return unknown or start + width + size <= Path(path).stat().st_size


def _opened(path: str | Path) -> cv2.VideoCapture:
    with _in_utf8(path) as name:
        return cv2.VideoCapture(name)


@contextmanager
def _in_utf8(path: str | Path) -> Iterator[str]:
    """The whole path, or a link to it where that is not UTF-8: OpenCV ends the process at such a name.

    Of a name alone, FFmpeg would take what stands before a colon for a protocol.
    """
    if is_utf8(path):
        yield str(Path(path).absolute())
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"video{Path(path).suffix}"
        link.symlink_to(Path(path).absolute())
        yield str(link)


def _rate(path: str | Path) -> float:
    """Frames a second of a steady video that shows each frame: the stated rate, rounded so that an MP4 can have it.

    Where the times are uneven, the rate at which the shortest-lived frame is shown once.
    """
    capture = _opened(path)
    stated = capture.get(cv2.CAP_PROP_FPS)
    rate = stated if 0.1 <= stated <= MAX_RATE else USUAL_RATE if stated < 0.1 else MAX_RATE
    times: list[float] = []
    while len(times) < LOOKED_AT and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    capture.release()
    shown = np.diff(times)
    shown = shown[shown > 1 / MAX_RATE]
    if len(shown) and shown.max() > 1.5 * shown.min():
        rate = max(rate, 1 / float(shown.min()))
    return round(rate, 2)


def _with_ends(frames: Iterator[Frame], usual: float) -> Iterator[tuple[Frame, float]]:
    """Each frame with the second at which the next begins; the last is shown for the `usual` time."""
    before = next(frames)
    for frame in frames:
        end = frame[1] if frame[1] > before[1] else before[1] + usual  # times that stand still
        yield before, end
        before = (frame[0], end)
    yield before, before[1] + usual
