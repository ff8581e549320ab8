"""Training photos one by one, for a network that makes its episodes of all pairs in a batch."""

from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from utils.constants import IGNORE
from utils.distributed import from_first
from utils.errors import UserError
from utils.names import first_names

from .body import body_frame
from .layout import read_ids
from .pseudo_classes import FeatureExtractor, Parts, Sorting, cluster, parts_of, pseudo_map
from .recolouring import recolour
from .spec import DatasetSpec
from .split import Split
from .stages import FINE, stage_table
from .surroundings import GREY, window
from .transforms import Sample, resize

FEATURE_STRIDE = 4
ASPECT = (0.85, 1.18)  # range of the random change of the aspect ratio
TURNED, TURN = 0.5, 10.0  # how often a photo is turned, and by how many degrees at most
SMALL = (0.35, 1.0)  # range of the factor for photos in larger surroundings
PSEUDO_SIDE = 192  # longest side at which the pseudo-classes are kept


class TrainingPhoto(TypedDict):
    """A photo as uint8 (3, H, W) RGB, maps uint8 (H, W), 255 = ignore, and the place on the body (2, h, w)."""

    image: Tensor
    label: Tensor
    foreground: Tensor
    body: Tensor


class TrainingPhotos(Dataset[TrainingPhoto]):
    """The photos of the train list under the base classes of a fold, augmented, with pseudo-classes for the rest.

    A photo is mirrored with probability 1/2, now and then turned a little, resized so that its longer side is the
    crop's height times a factor from `zoom`, its aspect changed a little, padded at all sides or cropped to `crop_size`
    (H, W), and recoloured. Person pixels that belong to no base class are sorted into `pseudo_classes` slots after the
    last label id, also by what `look` sees in the photo, or as in an earlier `sorting` of the same photos. Photos with
    rare classes are drawn more often, by the inverse frequency of the rarest to the power of `balance`. `tagged` is a
    folder of label maps of further photos. Photos of the validation list take no part unless `train_on` is "all".
    All photos are read once at the start, and as many kept decoded as `cache_bytes` hold.

    Every draw follows from (seed, epoch, index). Raises `UserError` as `Split` does, and for a sorting of other photos.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        root: str | Path,
        *,
        fold: int,
        crop_size: tuple[int, int],
        zoom: tuple[float, float],
        surroundings: float = 0.0,
        pseudo_classes: int,
        look: FeatureExtractor | None = None,
        sorting: Sorting | None = None,
        balance: float = 0.0,
        tagged: str = "",
        train_on: str = "rest",
        cache_bytes: int = 0,
        seed: int = 0,
    ) -> None:
        self.base = spec.base_classes(fold)
        if spec.num_slots + pseudo_classes > IGNORE:
            room = IGNORE - spec.num_slots
            raise UserError(f"--pseudo-classes {pseudo_classes}: {spec.title} leaves room for {room}")
        table = stage_table(spec, FINE, self.base)
        self.split = Split(spec, root, "train", table)
        self.held_out = self.split.on_validation_list() if train_on == "rest" else []
        self._images = np.setdiff1d(np.arange(len(self.split)), [*self.held_out, *self.split.bad])
        self.tagged = Split(spec, root, "train", table, labels=tagged) if tagged else None
        self._check_tagged()
        self.keep_decoded(cache_bytes)
        self.crop_size, self.zoom, self.surroundings, self.seed = crop_size, zoom, surroundings, seed
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._pseudo, holds = self._survey(spec.num_slots, pseudo_classes, look, sorting)
        frequency = holds.mean(axis=0).clip(min=1 / len(self))
        weights = (holds / frequency**balance).max(axis=1)
        self._weights = np.where(holds.any(axis=1), weights, 1.0)  # a photo without a class: as of one that all hold
        self._drawn: tuple[int, np.ndarray] | None = None
        self.class_ids = np.zeros(len(self), dtype=np.int64)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose random numbers are drawn."""
        self._epoch.fill_(epoch)

    def keep_decoded(self, size: int) -> None:
        """As of a `Split`: `size` bytes for the photos of the train list and the tagged ones together."""
        of_tagged = size * len(self.tagged) // len(self) if self.tagged else 0
        self.split.keep_decoded(size - of_tagged)
        if self.tagged:
            self.tagged.keep_decoded(of_tagged)

    def __len__(self) -> int:
        return len(self._images) + (len(self.tagged) if self.tagged else 0)

    def used_ids(self) -> list[str]:
        """Ids of the photos that may be drawn, in list order, the tagged ones last."""
        return [self.split.ids[int(image)] for image in self._images] + (self.tagged.ids if self.tagged else [])

    def __getitem__(self, index: int) -> TrainingPhoto:
        epoch = int(self._epoch)
        rng = np.random.default_rng([self.seed, epoch, index])
        number = int(self._order(epoch)[index])
        mirrored = rng.random() < 0.5
        sample = self._load(number, mirrored)
        label = self._with_pseudo_classes(number, sample, mirrored)
        return self._view(sample._replace(label=label), rng)

    def _check_tagged(self) -> None:
        """Raise `UserError` where a tagged photo is one of those that a training must not see."""
        if self.tagged is None:
            return
        root = self.split.root
        kept_out = {*read_ids(root, "test"), *(self.split.ids[index] for index in self.held_out)}
        if seen := [image_id for image_id in self.tagged.ids if image_id in kept_out]:
            what = f"{len(seen)} tagged photos are on the test or validation list of {root} ({first_names(seen)})"
            raise UserError(f"{what}; take their label maps out of the folder")

    def _load(self, number: int, mirrored: bool = False) -> Sample:
        """A photo of the train list, or one of the tagged ones after them."""
        if self.tagged is None or number < len(self._images):
            return self.split.load(int(self._images[number]), mirrored)
        return self.tagged.load(number - len(self._images), mirrored)

    def _view(self, sample: Sample, rng: np.random.Generator) -> TrainingPhoto:
        height = self.crop_size[0]
        if rng.random() < TURNED:
            sample = _turned(sample, float(rng.uniform(-TURN, TURN)))
        frame = body_frame(sample.foreground.numpy())
        rows, columns = sample.label.shape
        surrounded = self.surroundings > 0 and rng.random() < self.surroundings
        factor = height * rng.uniform(*(SMALL if surrounded else self.zoom)) / max(rows, columns)
        across = factor * rng.uniform(*ASPECT)
        sample = resize(sample, (max(16, int(rows * factor)), max(16, int(columns * across))))
        factors = np.array(sample.label.shape) / (rows, columns)
        spare = np.array(sample.label.shape) - self.crop_size
        anywhere = [rng.integers(min(s, 0) if surrounded else 0, max(s, 0) + 1) for s in spare]
        corner = np.where((spare > 0) | surrounded, anywhere, spare // 2)
        sample = recolour(window(sample, corner, self.crop_size, surrounded), rng)
        grid = [np.linspace(0, n - 1, -(-n // FEATURE_STRIDE)) for n in self.crop_size]  # where the labels are taken
        places = frame.places(*((c + g) / f for c, g, f in zip(corner, grid, factors, strict=True)))
        return {
            "image": sample.image,
            "label": sample.label,
            "foreground": sample.foreground,
            "body": torch.from_numpy(places),
        }

    def _survey(
        self, slots: int, count: int, look: FeatureExtractor | None, sorting: Sorting | None
    ) -> tuple[list[Tensor], np.ndarray]:
        """A small map of the pseudo-class slots of each photo, and which slots each photo holds (N, slots + count)."""
        photos, sizes, holds = [], [], np.zeros((len(self), slots + count))
        for number in range(len(self)):
            sample = self._load(number)
            present = np.unique(sample.label.numpy())
            holds[number, present[(present > 0) & (present < slots)]] = 1
            factor = PSEUDO_SIDE / max(sample.label.shape)
            small = resize(sample, tuple(max(1, round(side * factor)) for side in sample.label.shape))  # type: ignore[arg-type]
            sizes.append(small.label.shape)
            looks = look(sample.image) if look and count else ()
            photos.append(parts_of(small.label.numpy(), small.foreground.numpy(), looks) if count else Parts([], []))
        # Processes may differ in what they look with: those of one run must mean the same by a pseudo-class.
        self.sorting = from_first(cluster(photos, count, look is not None)) if sorting is None else sorting
        if [len(chosen) for chosen in self.sorting] != [len(photo.unlabelled) for photo in photos]:
            raise UserError(
                f"{self.split.root}: its photos and labels are not those that the run began with; put them back, or "
                "choose another --run-dir"
            )
        maps = []
        for number, chosen in enumerate(self.sorting):
            maps.append(pseudo_map(sizes[number], photos[number], chosen, slots))
            holds[number, [slots + pseudo for pseudo in chosen]] = 1
        return maps, holds

    def _with_pseudo_classes(self, number: int, sample: Sample, mirrored: bool) -> Tensor:
        """The label map, its unlabelled person pixels under their pseudo-class, or 255 where they have none."""
        small = self._pseudo[number].flip(-1) if mirrored else self._pseudo[number]
        pseudo = functional.interpolate(small[None, None], size=sample.label.shape, mode="nearest-exact")[0, 0]
        unlabelled = (sample.label == 0) & (sample.foreground == 1)
        return torch.where(unlabelled, pseudo, sample.label)

    def _order(self, epoch: int) -> np.ndarray:
        """The photo of each index: every one as often as its weight says, the fractions by chance."""
        if self._drawn is None or self._drawn[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            order = rng.permutation(len(self))
            ends = np.cumsum(self._weights[order])
            places = (np.arange(len(self)) + rng.random()) * ends[-1] / len(self)
            self._drawn = (epoch, order[np.searchsorted(ends, places, side="right").clip(max=len(self) - 1)])
        return self._drawn[1]


def _turned(sample: Sample, degrees: float) -> Sample:
    """The sample turned about its middle; where nothing comes to lie grey, and 255 in the maps."""
    image = F.rotate(sample.image, degrees, InterpolationMode.BILINEAR, fill=[GREY] * 3)
    maps = torch.stack([sample.label, sample.foreground])
    label, foreground = F.rotate(maps, degrees, InterpolationMode.NEAREST, fill=[IGNORE] * 2)
    return Sample(image, label, foreground, sample.id)
