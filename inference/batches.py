"""Run a parser over photo and video files and write what it finds; files that cannot be used are named and skipped."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dataloaders import visualize
from utils.errors import UserError, out_of_memory
from utils.files import replacing, write_json
from utils.imaging import is_blank, network_size, to_rgb
from utils.names import first_names

from .boxes import Boxes
from .extras import Extras
from .inputs import FRAMES, Source, remove_frames
from .masks import person_size
from .parser import BATCH_SIZE, OneShotParser
from .parsing import PNG_LEVEL, Parsing
from .smoothing import Smoother
from .together import parse_together
from .videos import Frame, Video, VideoOptions, write_video

PIECES = 2  # windows that a person may be high
NARROW = 100  # pixels of a side at network size: below, there is little to see


def parse_photos(
    parser: OneShotParser,
    sources: Sequence[Source],
    out: str,
    extras: Extras | None = None,
    boxes: Boxes | None = None,
) -> list[str]:
    """Parse and save photos, a batch at a time; returns one line for each that could not be read, parsed or written.

    `boxes` has those of the persons to parse for each photo's path.
    """
    extras = extras or Extras()
    skipped, empty = list[str](), list[str]()
    with tqdm(total=len(sources), desc="photos", unit="photo", disable=not sources) as bar:
        for start in range(0, len(sources), BATCH_SIZE):
            photos = {}
            for source in sources[start : start + BATCH_SIZE]:
                try:
                    photos[source] = to_rgb(source.path, depth=parser.depth, tell=bar.write)
                    if line := narrow(parser, photos[source].shape[:2]):
                        bar.write(f"{source.path}: {line}")
                except UserError as error:
                    skipped.append(str(error))
            own = None if boxes is None else {source: boxes[source.path] for source in photos}
            for source, parsing in parse_together(parser, photos, own):
                try:
                    if isinstance(parsing, UserError):
                        raise parsing
                    parsing = extras.cleaned(parsing)
                    extras.save(parsing, out, source)
                    empty += [] if parsing.labels.any() else [source.path.name]
                    if parser.tile and (line := too_large(parsing, parser.max_size)):
                        bar.write(f"{source.path}: {line}")
                except UserError as error:
                    skipped.append(f"{source.path}: {error}")
            bar.update(len(sources[start : start + BATCH_SIZE]))
    if empty:
        print(f"none of the classes is found in {len(empty)} of {len(sources)} photos: {first_names(empty)}")
    return skipped


def parse_videos(
    parser: OneShotParser,
    sources: Sequence[Source],
    out: str,
    options: VideoOptions | None = None,
    extras: Extras | None = None,
) -> list[str]:
    """Parse and save videos; returns one line for each that could not be read to its end, parsed or written. What
    `extras` adds to a photo is added to each frame that is written."""
    skipped, options, extras = [], options or VideoOptions(), extras or Extras()
    for source in sources:
        try:
            video = Video(source.path, options.start, options.end)
            with tqdm(total=video.length or None, desc=source.path.name, unit="frame") as bar:
                _parse_video(parser, video, Path(out), source, bar, options, extras)
            if video.incomplete:
                skipped.append(f"{source.path}: {video.incomplete}")
        except Exception as error:  # OpenCV has a kind of its own
            if not isinstance(error, UserError) and not out_of_memory(error):
                raise
            line = str(error)
            skipped.append(line if line.startswith(str(source.path)) else f"{source.path}: {line}")
    return skipped


def narrow(parser: OneShotParser, size: tuple[int, int]) -> str:
    """A line for a photo of `size` (H, W) of which the network sees a narrow strip; empty for others."""
    seen = network_size(size, parser.max_size, parser.enlarge)
    if parser.tile or parser.people == "auto" or min(seen) >= NARROW or min(size) <= min(seen):
        return ""
    return f"the network sees {seen[1]}x{seen[0]} pixels of {size[1]}x{size[0]}; --tile parses it at its own scale"


def too_large(parsing: Parsing, window: int) -> str:
    """A line where windows of so many pixels showed only pieces of a person; empty where they showed enough."""
    size = person_size(parsing.foreground)
    if size[0] <= PIECES * window:  # in the width several people may stand side by side
        return ""
    return f"a person fills {size[1]}x{size[0]} pixels, and --tile shows the network {window} at once; leave it away"


def _parse_video(
    parser: OneShotParser,
    video: Video,
    out: Path,
    source: Source,
    bar: tqdm,
    options: VideoOptions,
    extras: Extras,
) -> None:
    """Write the overlay as an MP4, with a legend of all classes, and the mean areas as JSON; frames where wanted.

    The means are over the frames that show something: black ones, as of a fade, are counted apart.
    """
    shares: dict[str, float] = defaultdict(float)
    count = blank = 0
    smoother = Smoother(parser.min_score) if options.smooth else None
    folder = out / f"{source.name}{FRAMES}"
    written: list[dict[str, Any]] = []
    if options.frames:
        remove_frames(folder)

    def overlays() -> Iterator[Frame]:
        nonlocal count, blank
        strip, frames = None, iter(video)
        while batch := list(itertools.islice(frames, BATCH_SIZE)):
            for (frame, second), parsing in zip(
                batch, parser.parse_frames([frame for frame, _ in batch], smoother), strict=True
            ):
                parsing = extras.cleaned(parsing)
                if strip is None:
                    strip = visualize.legend([c[1:] for c in parsing.classes], frame.shape[1])
                yield np.concatenate([parsing.overlay(legend=False), strip]), second
                if options.frames:
                    written.append({"file": f"{folder.name}/{len(written):06}.png", "second": round(second, 4)})
                    with replacing(out / written[-1]["file"]) as temporary:
                        parsing.index_image().save(temporary, compress_level=PNG_LEVEL)
                    extras.write(parsing, extras.draw(parsing), folder, f"{len(written) - 1:06}")
                blank += is_blank(frame)
                for class_name, area in parsing.areas().items():
                    shares[class_name] += area["share"]
            count += len(batch)
            bar.update(len(batch))

    write_video(out / f"{source.name}_overlay.mp4", overlays(), video.frame_rate)
    mean = {class_name: round(share / max(count - blank, 1), 6) for class_name, share in shares.items()}
    facts = {"video": str(source.path), "frames": count, "blank_frames": blank}
    maps = {"label_maps": written} if options.frames else {}
    write_json(out / f"{source.name}.json", {**facts, "mean_share": mean, **maps})
