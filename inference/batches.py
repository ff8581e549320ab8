"""Run a parser over photo and video files and write what it finds; files that cannot be read are skipped."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from dataloaders import visualize
from utils.errors import UserError
from utils.files import replacing, write_json
from utils.imaging import to_rgb

from .inputs import Source
from .parser import BATCH_SIZE, OneShotParser


def parse_photos(parser: OneShotParser, sources: Sequence[Source], out: str) -> list[str]:
    """Parse and save photos, a batch at a time; returns one line for each that could not be read."""
    skipped = []
    with tqdm(total=len(sources), desc="photos", unit="photo", disable=not sources) as bar:
        for start in range(0, len(sources), BATCH_SIZE):
            photos = {}
            for source in sources[start : start + BATCH_SIZE]:
                try:
                    photos[source.name] = to_rgb(source.path)
                except UserError as error:
                    skipped.append(str(error))
            for name, parsing in zip(photos, parser.parse(list(photos.values())), strict=True):
                parsing.save(out, name)
            bar.update(len(sources[start : start + BATCH_SIZE]))
    return skipped


def parse_videos(parser: OneShotParser, sources: Sequence[Source], out: str) -> list[str]:
    """Parse and save videos; returns one line for each that could not be read."""
    skipped = []
    for source in sources:
        try:
            video = Video(source.path)
        except UserError as error:
            skipped.append(str(error))
            continue
        with tqdm(total=video.length or None, desc=source.path.name, unit="frame") as bar:
            _parse_video(parser, video, Path(out), source.name, bar)
    return skipped


class Video:
    """Upright frames, `frame_rate` and `length` (as stated, maybe 0) of a video. Raises `UserError` without frames."""

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


def _parse_video(parser: OneShotParser, video: Video, out: Path, name: str, bar: tqdm) -> None:
    """Write the overlay as an MP4, with a legend of all classes, and the mean areas as JSON."""
    shares: dict[str, float] = defaultdict(float)
    count = 0

    def overlays() -> Iterator[np.ndarray]:
        nonlocal count
        strip, frames = None, iter(video)
        while batch := list(itertools.islice(frames, BATCH_SIZE)):
            for parsing in parser.parse(batch):
                if strip is None:
                    strip = visualize.legend([c[1:] for c in parsing.classes], parsing.image.shape[1])
                yield np.concatenate([parsing.overlay(legend=False), strip])
                for class_name, area in parsing.areas().items():
                    shares[class_name] += area["share"]
            count += len(batch)
            bar.update(len(batch))

    write_video(out / f"{name}_overlay.mp4", overlays(), video.frame_rate)
    mean = {class_name: round(share / count, 6) for class_name, share in shares.items()}
    write_json(out / f"{name}.json", {"frames": count, "mean_share": mean})
