"""Run a parser over photo and video files and write what it finds; files that cannot be read are skipped."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dataloaders import visualize
from utils.errors import UserError
from utils.files import write_json
from utils.imaging import to_rgb

from .inputs import Source
from .parser import BATCH_SIZE, OneShotParser
from .video import Video, write_video


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
