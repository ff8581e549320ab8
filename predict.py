"""Parse your own photos from one labelled reference.

    python predict.py --reference ref.jpg --labels ref.png --names names.json photos/ clip.mp4 --out parsed

    from predict import OneShotParser
    parser = OneShotParser("data/released/lite0_ccp_toy.safetensors")
    parser.set_reference("ref.jpg", label_map, {1: "hat", 2: "coat"})
    parser.parse("photo.jpg").save("parsed", "photo")

docs/own-photos.md explains the options and shows results.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dataloaders import catalog
from dataloaders.palette import palette
from inference.annotations import IGNORE, Labels, check_pair, ids_by_name, named, read_colors, read_labels, read_names
from inference.batches import BATCH_SIZE, parse_photos, parse_videos
from inference.inputs import collect
from inference.parsing import ClassInfo, Parsing
from inference.references import bank_rows, blend_classes, pool
from inference.tiles import tiles
from networks import decoding
from networks.base import Features
from networks.checkpoints import released
from networks.decoding import Maps, Tally
from networks.fast.folding import fold_batch_norm
from networks.prototypes import Prototypes
from utils.config import ArgumentParser
from utils.device import choose_device, tune
from utils.errors import UserError, run_cli
from utils.files import read_json
from utils.imaging import Photo, resize_longest, to_rgb

DEFAULT_CHECKPOINT = str(Path(__file__).resolve().parent / "data/released/lite0_ccp_toy.safetensors")
DEFAULT_SIZE = 512
MIN_SCORE = 0.0
PROTOTYPES = ("support-only", "bank")
LOGITS_AT_ONCE = 2**26  # bounds the memory of the upsampled logits; beyond it they are upsampled less, labels the rest


@dataclass(frozen=True)
class Support:
    """What a reference says: its classes, and their prototypes in the same order."""

    classes: tuple[ClassInfo, ...]
    prototypes: Prototypes


class OneShotParser:
    """Parses photos into the classes of a labelled reference, whatever these are.

    `checkpoint` is a released file, a checkpoint of this project, or one of the authors' (then `dataset` and `way`
    say which). With `prototypes="bank"` classes that the checkpoint was trained on blend with its memory of them.
    Every photo is resized so that its longest side is `max_size`, by default as in the checkpoint's evaluation; where
    that took photos as they are, only those above 512 pixels are resized. With `tile=True` larger photos are parsed in
    overlapping windows of that size instead, at their own scale.
    A class whose mean probability stays below `min_score` is taken to be absent from a photo; the default is what was
    measured for the checkpoint.
    """

    def __init__(
        self,
        checkpoint: str | Path = DEFAULT_CHECKPOINT,
        device: str = "auto",
        prototypes: str = "support-only",
        *,
        max_size: int = 0,
        tile: bool = False,
        min_score: float | None = None,
        dataset: str = "",
        way: str = "",
    ) -> None:
        if prototypes not in PROTOTYPES:
            raise UserError(f"prototypes {prototypes!r}: choose one of {', '.join(PROTOTYPES)}")
        if max_size and max_size < 32:
            raise UserError(f"max_size {max_size}: must be at least 32 pixels")
        opened = released.open_checkpoint(checkpoint, catalog.load(dataset).num_slots if dataset else None, way)
        self.device = choose_device(device)
        self.network = opened.network.to(self.device).eval()
        fold_batch_norm(self.network)
        tune(self.network, self.device)
        self.notes, self.class_names = opened.notes, opened.class_names
        if dataset and not self.class_names:
            self.class_names = dict(enumerate(catalog.load(dataset).labels))
        self.max_size = max_size or opened.test_size or DEFAULT_SIZE
        self.enlarge = bool(max_size or opened.test_size)
        self.prototypes, self.tile = prototypes, tile
        self.min_score = next(s for s in (min_score, opened.min_score, MIN_SCORE) if s is not None)
        if prototypes == "bank" and opened.epoch <= self.network.warmup_epochs:
            raise UserError(f"{checkpoint}: still in its warm-up, so its bank is not in use; use support-only")
        self.support: Support | None = None

    def set_reference(
        self,
        image: Photo | Sequence[Photo],
        labels: Labels | Sequence[Labels],
        names: Mapping[int, str] | None = None,
        base_ids: Mapping[str, int | str] | None = None,
    ) -> Support:
        """Take the labelled photo (or list of photos) as the reference for `parse`; see `make_support`."""
        self.support = self.make_support(image, labels, names, base_ids)
        return self.support

    @torch.inference_mode()
    def make_support(
        self,
        image: Photo | Sequence[Photo],
        labels: Labels | Sequence[Labels],
        names: Mapping[int, str] | None = None,
        base_ids: Mapping[str, int | str] | None = None,
    ) -> Support:
        """Compute a reference once. Each photo has its `labels`: an index map (H, W), or masks {name: (H, W)}.

        In an index map 0 is the background, 255 is ignored, and every other id (up to 65535) is a class; `names` names
        them. Masks are named already; they take the ids of `names`, or 1, 2, ... in order. Several photos average
        their prototypes, each class over the photos that hold it. For `prototypes="bank"`, `base_ids` maps class names
        to the checkpoint's classes, by id or name; without it equal names are the same class.
        Raises `UserError` when the labels do not fit their photo or hold no class.
        """
        images = list(image) if isinstance(image, (list, tuple)) else [image]
        maps = list(labels) if isinstance(labels, (list, tuple)) else [labels]
        if len(images) != len(maps) or not images:
            raise UserError(f"{len(images)} reference photos but {len(maps)} label maps; give one for each photo")
        ids = ids_by_name(maps, names or {})
        pairs = [check_pair(photo, label, ids) for photo, label in zip(images, maps, strict=True)]
        found = sorted({int(i) for _, label in pairs for i in np.unique(label)} - {0, IGNORE})
        if not found:
            raise UserError(f"{named(images[0])}: its labels hold no class, only background; mark at least one class")
        classes = _describe(found, {**{i: name for name, i in ids.items()}, **(names or {})})
        photos = [(self._encode([rgb])[0], self._slots(label, found)) for rgb, label in pairs]
        vectors, foreground = pool(self.network, photos, len(found))
        lost = [c.name for c, one in zip(classes, vectors, strict=True) if not one.any()]
        if lost:
            raise UserError(
                f"{named(images[0])}: {', '.join(lost)} is too small to be seen beside its neighbours at "
                f"{self.max_size} pixels; raise max_size"
            )
        if self.prototypes == "bank":
            rows = bank_rows(self.network, self.class_names, [c.name for c in classes], base_ids)
            vectors, foreground = blend_classes(self.network, vectors, rows), self.network.blend_foreground(foreground)
        return Support(classes, Prototypes.of_classes(vectors, foreground, self.network.way))

    def parse(self, image: Photo | Sequence[Photo], support: Support | None = None) -> Parsing | list[Parsing]:
        """Parse one photo, or a list of them into a list, under `support`, by default the one that was set.

        The result is at the photo's own size. Raises `UserError` without a reference and for unreadable photos.
        """
        support = support or self.support
        if support is None:
            raise UserError("there is no reference yet; call set_reference first")
        if not isinstance(image, (list, tuple)):
            return next(self._parse([to_rgb(image)], support))
        results: list[Parsing] = []
        for start in range(0, len(image), BATCH_SIZE):
            results += self._parse([to_rgb(one) for one in image[start : start + BATCH_SIZE]], support)
        return results

    def _parse(self, photos: list[np.ndarray], support: Support) -> Iterator[Parsing]:
        whole = [not self.tile or max(photo.shape[:2]) <= self.max_size for photo in photos]
        features = iter(self._encode([photo for photo, fits in zip(photos, whole, strict=True) if fits]))
        for photo, fits in zip(photos, whole, strict=True):
            yield self._finish(photo, next(features), support) if fits else self._parse_tiled(photo, support)

    @torch.inference_mode()
    def _encode(self, photos: Sequence[np.ndarray], scale: bool = True) -> list[Features]:
        """Features of each photo, batch 1; photos that come to the same size pass the network together."""
        tensors = [torch.from_numpy(photo).permute(2, 0, 1).to(self.device) for photo in photos]
        if scale:
            tensors = [resize_longest(t, self.max_size, self.enlarge) for t in tensors]
        results: dict[int, Features] = {}
        for size in {t.shape for t in tensors}:
            places = [i for i, t in enumerate(tensors) if t.shape == size]
            coarse, fine = self.network.encode(torch.stack([tensors[i] for i in places]))
            results |= {i: Features(coarse[n : n + 1], fine[n : n + 1]) for n, i in enumerate(places)}
        return [results[i] for i in range(len(photos))]

    @torch.inference_mode()
    def maps(self, photo: np.ndarray, support: Support) -> Maps:
        """Logits at feature size of an RGB photo (H, W, 3), seen whole: what the label map is decoded from."""
        return self.network.class_maps(self._encode([photo])[0], support.prototypes)[0]

    @torch.inference_mode()
    def _finish(self, photo: np.ndarray, features: Features, support: Support) -> Parsing:
        maps = self.network.class_maps(features, support.prototypes)[0]
        scores = decoding.tally(maps).scores
        labels, foreground = self._decode(maps, scores >= self.min_score, photo.shape[:2])
        return _result(photo, labels, foreground, scores, support)

    @torch.inference_mode()
    def _parse_tiled(self, photo: np.ndarray, support: Support) -> Parsing:
        """In windows at the photo's own scale; whether a class is there is judged over all windows together."""
        parts: list[tuple[Any, Maps]] = []
        total: Tally | None = None
        for tile in tiles(photo.shape[:2], self.max_size):
            features = self._encode([np.ascontiguousarray(photo[tile.window])], scale=False)[0]
            maps = self.network.class_maps(features, support.prototypes)[0]
            counted = decoding.tally(maps)
            total = counted if total is None else total.plus(counted)
            parts.append((tile, maps))
        scores = total.scores
        labels = np.zeros(photo.shape[:2], dtype=np.int64)
        foreground = np.zeros(photo.shape[:2], dtype=bool)
        for tile, maps in parts:
            (top, left), inner = (s.start for s in tile.window), tile.core
            here = tuple(slice(s.start - o, s.stop - o) for s, o in zip(inner, (top, left), strict=True))
            size = tuple(s.stop - s.start for s in tile.window)
            slots, human = self._decode(maps, scores >= self.min_score, size)
            labels[inner], foreground[inner] = slots[here], human[here]
        return _result(photo, labels, foreground, scores, support)

    def _decode(self, maps: Maps, kept: Tensor, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        factor = min(1.0, (LOGITS_AT_ONCE / (len(maps.classes) * size[0] * size[1])) ** 0.5)
        labels, foreground = decoding.decode(maps, kept, tuple(max(1, int(s * factor)) for s in size))
        if factor < 1:
            pair = torch.stack([labels.float(), foreground.float()])[None]
            labels, foreground = torch.nn.functional.interpolate(pair, size=tuple(size), mode="nearest-exact")[0]
        return labels.long().cpu().numpy(), foreground.bool().cpu().numpy()

    def _slots(self, label: np.ndarray, ids: Sequence[int]) -> Tensor:
        """The user's ids -> 0..K, and -1 for pixels to ignore."""
        slots = np.searchsorted(ids, label) + 1
        slots = np.where(label == 0, 0, np.where(label == IGNORE, -1, slots))
        return torch.from_numpy(slots).to(self.device)


def _describe(ids: Sequence[int], names: Mapping[int, str]) -> tuple[ClassInfo, ...]:
    told = [names.get(i, f"class {i}") for i in ids]
    twice = sorted({name for name in told if told.count(name) > 1})
    if twice:
        raise UserError(f"two classes are named {twice[0]!r}; give each a name of its own")
    colors = palette(["background", *told])[1:]
    return tuple(ClassInfo(*entry) for entry in zip(ids, told, colors, strict=True))


def _result(photo: np.ndarray, slots: np.ndarray, foreground: np.ndarray, scores: Tensor, support: Support) -> Parsing:
    ids = [c.id for c in support.classes]
    table = np.array([0, *ids], dtype=np.uint8 if max(ids) < IGNORE else np.uint16)
    return Parsing(photo, table[slots], foreground, dict(zip(ids, scores.tolist(), strict=True)), support.classes)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when files had to be skipped."""
    options = _options().parse_args(arguments)
    sources = collect(options.inputs)
    colors = read_colors(options.colors) if options.colors else None
    labels = [read_labels(path, colors) for path in options.labels]
    names = read_names(options.names) if options.names else None
    parser = OneShotParser(
        options.checkpoint,
        options.device,
        options.prototypes,
        max_size=options.max_size,
        tile=options.tile,
        min_score=options.min_score,
        dataset=options.dataset,
        way=options.way,
    )
    base_ids = read_json(options.bank_map) if options.bank_map else None
    if base_ids is not None and not isinstance(base_ids, dict):
        raise UserError(f'{options.bank_map}: must map names, as {{"my name": "class of the checkpoint"}} does')
    support = parser.set_reference(options.reference, labels, names, base_ids)
    for line in parser.notes:
        print(line)
    print(f"{options.checkpoint} on {parser.device}; classes: {', '.join(c.name for c in support.classes)}")
    photos, videos = ([s for s in sources if s.is_video == kind] for kind in (False, True))
    skipped = parse_photos(parser, photos, options.out) + parse_videos(parser, videos, options.out)
    for line in skipped:
        print(f"skipped: {line}", file=sys.stderr)
    print(f"{len(sources) - len(skipped)} of {len(sources)} files parsed into {options.out}")
    return 1 if skipped else 0


def _options() -> ArgumentParser:
    options = ArgumentParser(description="Parse photos and videos into the classes of a labelled reference.")
    add = options.add_argument
    add("inputs", nargs="+", help="photos, videos, or folders of them")
    add("--reference", action="append", required=True, help="the labelled photo; may be given several times")
    add("--labels", action="append", required=True, help="its labels: index PNG, colour PNG, or folder of masks")
    add("--names", help='JSON file of class names by id: {"1": "hat"}, or a list with the background first')
    add("--colors", help='JSON file of the colours in colour PNGs: {"hat": [230, 25, 75]}')
    add("--out", default="parsed", help="folder for the results (default: %(default)s)")
    add(
        "--checkpoint", default=DEFAULT_CHECKPOINT, help="weights: released, own or the authors' (default: %(default)s)"
    )
    add("--dataset", default="", help="data set of an authors' checkpoint")
    add("--way", default="", choices=("", "kway", "1way"), help="kind of an authors' checkpoint")
    add(
        "--prototypes", default="support-only", choices=PROTOTYPES, help="bank: blend with what training has remembered"
    )
    add("--bank-map", help='JSON file {"my name": "class of the checkpoint"}; by default equal names')
    add("--max-size", type=int, default=0, help="longest side that the network sees (default: as evaluated)")
    add("--tile", action="store_true", help="parse photos larger than --max-size in windows, at their own scale")
    add("--min-score", type=float, help="score below which a class is absent (default: as measured for the weights)")
    add("--device", default="auto", help="cuda, mps, cpu, or auto for the best there is")
    return options


if __name__ == "__main__":
    run_cli(main)
