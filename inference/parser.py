"""The parser of own photos: set a labelled reference once, parse any number of photos under it.

parser = OneShotParser()
parser.set_reference("ref.jpg", label_map, {1: "hat", 2: "coat"})
parsing = parser.parse("photo.jpg")   # .labels (H, W) of class ids, .areas(), .overlay(), .save(folder, name)
"""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from torch import Tensor

from dataloaders import catalog
from networks.base import Features
from networks.checkpoints import open_checkpoint
from networks.decoding import Maps
from networks.fast.folding import fold_batch_norm
from utils.device import autocast, choose_device, free_memory, resolve_amp, tune
from utils.errors import UserError
from utils.imaging import Photo, is_blank, network_size, resize_longest, to_rgb

from .adapting import adapt as turn
from .annotations import BaseIds, Labels, Names
from .boxes import Box
from .closer import closer_pair, closer_window
from .labelled import check_labels
from .parsing import Parsing, labels_of
from .people import Place, Sight, apart, find_people, places_of_boxes
from .references import (
    Support,
    average_prototypes,
    check_seen,
    extract_prototypes,
    join_bank,
    joined_names,
    people_of,
    presence_bias,
    rows_and_rivals,
    shrink_labels,
)
from .self_check import poorly_parsed
from .settings import DEFAULT_CHECKPOINT, check_choices, defaults_of
from .smoothing import Smoother
from .tiles import SlotMap, join_tiles, tiles

BYTES_A_PIXEL = 150  # that the smallest encoder takes at the least: what needs more than there is would be killed
BATCH_SIZE = 4  # photos that are in memory at once

T = TypeVar("T")
P = TypeVar("P", bound=Photo)
L = TypeVar("L", bound=Labels)
Several = list[T] | tuple[T, ...]


class OneShotParser:
    """Parses photos into the classes of a labelled reference, whatever these are.

    `checkpoint` is a released file, a checkpoint of this project, or one of the authors' (then `dataset` and `way`
    say which). `prototypes` is "support-only", "bank" (classes that the checkpoint was trained on blend with its memory
    of them) or "auto": for AOPNet bank where a class has the name of one in training, else support-only.
    Every photo is resized so that its longest side is `max_size`, by default as in the checkpoint's evaluation; where
    that took photos as they are, only those above 512 pixels are resized. With `tile=True` larger photos are parsed in
    overlapping windows of that size instead, at their own scale. With `people="auto"` the persons are looked for, and
    each is parsed as a photo of its own.
    A class whose score stays below `min_score` is taken to be absent from a photo; the default is what was measured for
    the checkpoint. `adapt` turns those of classes not in the bank until the reference itself is parsed well: seconds.
    `amp` is the precision: "off" is single, "auto" bf16 where the device is fast at it. Where the network can, borders
    follow the photo, unless `refine` is False, and people who are small in a photo are parsed in a window around them,
    unless `closer` is False. `depth` is that of 16-bit photos in bits, 0 for what their files say.
    Raises `UserError` for a checkpoint that cannot be used and for arguments out of range.
    """

    def __init__(
        self, checkpoint: str | Path = DEFAULT_CHECKPOINT, device: str = "auto", prototypes: str = "auto", *,
        max_size: int = 0, tile: bool = False, people: str = "off", min_score: float | None = None, dataset: str = "",
        way: str = "", depth: int = 0, adapt: bool = False, refine: bool = True, closer: bool = True, amp: str = "off",
    ) -> None:  # fmt: skip
        check_choices(prototypes, max_size, depth, min_score, people, tile, amp)
        spec = catalog.load(dataset) if dataset else None
        opened = open_checkpoint(checkpoint, num_slots=spec.num_slots if spec else None, way=way)
        self.device = choose_device(device)
        self.amp = resolve_amp(amp, self.device)
        self.network = opened.build().to(self.device)
        self.network.refine = self.network.refine and refine
        self.closer = self.network.looks_closer and closer
        fold_batch_norm(self.network)
        tune(self.network, self.device)
        self.notes, self.depth = list(opened.notes), depth
        if opened.encoder_licence:
            self.notes.append(f"licence of the weights in {opened.settings.encoder}: {opened.encoder_licence}")
        self.class_names = opened.class_names or dict(enumerate(spec.labels if spec else ()))
        preset = defaults_of(opened.test_size, opened.min_score, self.network.min_presence)
        self.max_size, self.enlarge = max_size or preset.max_size, bool(max_size) or preset.enlarge
        self.prototypes, self.tile, self.people, self.adapt = prototypes, tile, people, adapt
        if adapt and self.network.way != "kway":
            raise UserError("adapt is for k-way checkpoints; leave it away")
        self.min_score = preset.min_score if min_score is None else min_score
        if prototypes == "bank" and not (self.network.bank_in_use(opened.epoch) or opened.settings.method == "aop"):
            raise UserError(f"{checkpoint}: still in its warm-up, so its bank is not in use; use support-only")
        self.support: Support | None = None

    def set_reference(
        self, image: P | Several[P], labels: L | Several[L], names: Names | None = None, base_ids: BaseIds | None = None
    ) -> Support:
        """Take the labelled photo (or list of photos) as the reference for `parse`; see `make_support`."""
        self.support = self.make_support(image, labels, names, base_ids)
        return self.support

    @torch.inference_mode()
    def make_support(
        self, image: P | Several[P], labels: L | Several[L], names: Names | None = None,
        base_ids: BaseIds | None = None, adapt: bool | None = None,
    ) -> Support:  # fmt: skip
        """Compute a reference once. Each photo has its `labels`: an index map (H, W), or masks {name: (H, W)}.

        In an index map 0 is the background, 255 is ignored, and every other id (up to 65535) is a class; `names` names
        them. Masks are named already; they take the ids of `names`, or 1, 2, ... in order. Several photos average
        their prototypes, each class over the photos that hold it. For `prototypes="bank"`, `base_ids` maps class names
        to the checkpoint's classes, by id or name; without it names of one meaning are. `adapt` is for this call.
        Raises `UserError` when the labels do not fit their photo or hold no class.
        """
        images = image if isinstance(image, (list, tuple)) else [image]
        maps = labels if isinstance(labels, (list, tuple)) else [labels]
        notes = list[str]()
        classes, pairs = check_labels(images, maps, names or {}, self.depth, notes.append)
        closer = [closer_pair(*pair, self._people) for pair in pairs] if self.closer else pairs
        references = [self._reference(rgb, slots) for rgb, slots in closer]
        own, known = [c.name for c in classes], self.class_names
        prototypes = average_prototypes(extract_prototypes(self.network, *photo, len(own)) for photo in references)
        check_seen(prototypes, own, zip(images, pairs, strict=True), self.max_size)
        photos = [(features, slots) for (features, _), (_, slots) in zip(references, closer, strict=True)]
        rows, rivals = rows_and_rivals(self.network, known, self.prototypes, own, base_ids)
        prototypes, rivals = join_bank(self.network, prototypes, photos, rows, rivals)
        unknown = [slot for slot, row in enumerate(rows, start=1) if not row]
        adapt = self.adapt if adapt is None else adapt
        if adapt:
            prototypes = turn(self.network, references, prototypes, unknown)
            notes += [] if unknown else ["adapt: the checkpoint knows all classes by name, so none is turned"]
        sure = presence_bias([row > 0 for row in rows], bool(rivals) or any(rows), len(pairs))
        prototypes = prototypes._replace(presence_bias=self._on_device(sure))
        rival_names = tuple(known[row] for row in rivals)
        support = Support(classes, prototypes, known=joined_names(own, rows, known), rivals=rival_names)
        if unknown:
            themselves = [self._class_maps(features, support) for features, _ in references]
            notes += poorly_parsed(themselves, [slots for _, slots in references], own, unknown, self.min_score, adapt)
        return dataclasses.replace(support, notes=tuple(notes))

    @overload
    def parse(self, image: Photo, support: Support | None = None, boxes: Sequence[Box] | None = None) -> Parsing: ...

    @overload
    def parse(
        self, image: Several[P], support: Support | None = None, boxes: Sequence[Sequence[Box] | None] | None = None
    ) -> list[Parsing]: ...

    def parse(
        self, image: P | Several[P], support: Support | None = None, boxes: Sequence[Any] | None = None
    ) -> Parsing | list[Parsing]:
        """Parse one photo, or a list of them into a list, under `support`, by default the one that was set.

        The result is at the photo's own size. `boxes` (x, y, width, height in pixels) are of the persons of the photo,
        or a list of such boxes for each photo: these persons are parsed, and nobody else.
        Raises `UserError` without a reference, for unreadable photos, and for boxes outside a photo.
        """
        support = support or self.support
        if support is None:
            raise UserError("there is no reference yet; call set_reference first")
        if not isinstance(image, (list, tuple)):
            return self._parse([to_rgb(image, depth=self.depth, tell=warnings.warn)], support, [boxes])[0]
        results = list[Parsing]()
        boxes = [None] * len(image) if boxes is None else boxes
        if len(boxes) != len(image):
            raise UserError(f"{len(image)} photos and {len(boxes)} lists of boxes; give one list for each photo")
        for start in range(0, len(image), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            photos = [to_rgb(one, depth=self.depth, tell=warnings.warn) for one in image[batch]]
            results += self._parse(photos, support, boxes[batch])
        return results

    def parse_frames(self, frames: Sequence[np.ndarray], smoother: Smoother | None = None) -> list[Parsing]:
        """Parse some frames of a video, RGB uint8 (H, W, 3), in order; `smoother` goes on from those before.

        Raises `UserError` without a reference, and for a smoother with `tile` or `people`.
        """
        if smoother is None:
            return self.parse(list(frames))
        if self.tile or self.people != "off":
            raise UserError("frames that are parsed in parts cannot be smoothed; leave out tile and people")
        if self.support is None:
            raise UserError("there is no reference yet; call set_reference first")
        return self._parse(frames, self.support, [None] * len(frames), smoother)

    @torch.inference_mode()
    def features(self, photo: np.ndarray) -> Features:
        """What the network makes of an RGB photo (H, W, 3), resized as one: a batch of 1."""
        return self._encode_resized([photo])[0]

    @torch.inference_mode()
    def maps(self, photo: np.ndarray, support: Support) -> Maps:
        """Logits at feature size of an RGB photo (H, W, 3), resized as one: what the label map is decoded from."""
        return self._class_maps(self.features(photo), support)

    @torch.inference_mode()
    def _parse(
        self,
        photos: Sequence[np.ndarray],
        support: Support,
        boxes: Sequence[Sequence[Box] | None],
        smoother: Smoother | None = None,
    ) -> list[Parsing]:
        """Parse RGB photos, person by person where these are looked for or have boxes."""
        results, ids = [], [c.id for c in support.classes]
        for rgb, whole, given in zip(photos, self._decode(photos, support, smoother), boxes, strict=True):
            one, person_ids = whole, None
            each: list[Tensor] = []
            if given is not None or self.people == "auto":
                places = self._places(rgb, given, support)
                one, person_ids, each = apart(
                    rgb, whole, places, lambda photo: self._decode([photo], support)[0], others=given is None
                )
            labels = labels_of(one.slots, ids)
            scores, *of_persons = (dict(zip(ids, s.tolist(), strict=True)) for s in (one.scores, *each))
            results.append(Parsing(rgb, labels, one.foreground, scores, support.classes, person_ids, tuple(of_persons)))
        return results

    def _places(self, rgb: np.ndarray, boxes: Sequence[Box] | None, support: Support) -> list[Place]:
        """Where the persons of an RGB photo are, by their boxes, or else by looking for them."""

        def look(photo: np.ndarray, longest: int) -> Sight:
            features = self._encode([resize_longest(self._image(photo), longest)])[0]
            with autocast(self.device, self.amp):
                foreground = self.network.coarse_logits(features, support.prototypes)[0].float().softmax(dim=0)[1]
            height = None if features.place is None else features.place[0, 0].float().cpu().numpy()
            return Sight(foreground.cpu().numpy(), height)

        if boxes is not None:
            return places_of_boxes(boxes, rgb.shape[:2])
        return [] if is_blank(rgb) else find_people(rgb, self.max_size, look)

    def _decode(
        self, photos: Sequence[np.ndarray], support: Support, smoother: Smoother | None = None
    ) -> list[SlotMap]:
        """Parse RGB photos: those that are resized in one pass of the network, the windows of the others one by one."""
        windows = [tiles(rgb.shape[:2], self.max_size if self.tile else max(rgb.shape)) for rgb in photos]
        resized = iter(self._encode_resized([rgb for rgb, own in zip(photos, windows, strict=True) if len(own) == 1]))
        results = []
        for rgb, own in zip(photos, windows, strict=True):
            cut = (self._encode([self._image(rgb[tile.window])])[0] for tile in own)  # one in memory at a time
            maps = [self._class_maps(one, support) for one in ([next(resized)] if len(own) == 1 else cut)]
            if smoother is not None:
                maps = [smoother(rgb, maps[0], network_size(rgb.shape[:2], self.max_size, self.enlarge))]
            decoded = join_tiles(own, maps, self.min_score)
            if is_blank(rgb):  # black, of one colour, or noise: nobody is there
                decoded = decoded.blank()
            window = closer_window(decoded.foreground) if self.closer and len(own) == 1 and smoother is None else None
            if window:
                decoded = self._decode([rgb[window]], support)[0].placed(window, rgb.shape[:2])
            results.append(decoded)
        return results

    def _people(self, rgb: np.ndarray) -> np.ndarray:
        return people_of(self.network, self.features(rgb), rgb.shape[:2])

    def _reference(self, rgb: np.ndarray, slots: np.ndarray) -> tuple[Features, Tensor]:
        """Features of a labelled photo (batch 1), and its slots (h, w) at their size."""
        features = self._encode_resized([rgb])[0]
        size = features.fine.shape[-2:]
        return features, shrink_labels(self._on_device(slots), size, self.network.shrink_labels)

    def _encode_resized(self, photos: Sequence[np.ndarray]) -> list[Features]:
        return self._encode([resize_longest(self._image(rgb), self.max_size, self.enlarge) for rgb in photos])

    def _encode(self, images: Sequence[Tensor]) -> list[Features]:
        """Features of each image (3, H, W), batch 1; images of one size pass the network together."""
        features: dict[int, Features] = {}
        for size in {image.shape for image in images}:
            places = [i for i, image in enumerate(images) if image.shape == size]
            need = len(places) * size[1] * size[2] * BYTES_A_PIXEL
            if need > free_memory(self.device):
                raise MemoryError(f"{size[2]}x{size[1]} pixels need {need / 1e9:.0f} GB or more")
            with autocast(self.device, self.amp):
                together = self.network.encode(torch.stack([images[i] for i in places]))
            features |= {i: together.of(n) for n, i in enumerate(places)}
        return [features[i] for i in range(len(images))]

    def _class_maps(self, features: Features, support: Support) -> Maps:
        with autocast(self.device, self.amp):
            return self.network.class_maps(features, support.prototypes)[0]

    def _image(self, rgb: np.ndarray) -> Tensor:
        return self._on_device(np.ascontiguousarray(rgb)).permute(2, 0, 1)

    def _on_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)
