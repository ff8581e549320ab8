"""One split of a data set on disk: its ids, support index and samples."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from utils.errors import UserError

from .layout import image_path, label_path, list_path, mirrored_label_path, read_bad_ids, read_ids
from .reading import mapped, read_fitting, read_label
from .spec import SPLITS, VAL, DatasetSpec
from .stages import foreground_table
from .supports import SupportIndex, read_supports, val_supports
from .transforms import DecodedPhoto, Sample


class Split:
    """The "train", "test" or "val" split of the data set that lies in `root`.

    `table`, raw id -> label id, uint8 (256,), makes the label maps; by default that of the merged classes. `bad` holds
    the indices of photos that cannot be used. Where `labels` names a folder, the split is that of its label maps
    instead: photos that a network has labelled.
    Raises `UserError` when `root` or the id list is missing or broken.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        root: str | Path,
        split: str,
        table: np.ndarray | None = None,
        labels: str | Path = "",
    ) -> None:
        if split not in (*SPLITS, VAL):
            raise UserError(f"{spec.name} has no split {split!r}; choose train, test or val")
        self.spec = spec
        self.root = Path(root)
        self.split = split
        if not self.root.is_dir():
            raise UserError(
                f"{self.root}: no such folder; prepare {spec.title} first (docs/data.md) or set --data-root"
            )
        self._labels = Path(labels) if labels else None
        self.ids = read_ids(self.root, split) if self._labels is None else _ids_in_folder(self._labels)
        bad = read_bad_ids(self.root)
        self.bad = frozenset(index for index, image_id in enumerate(self.ids) if image_id in bad)
        self._table = spec.merge_table() if table is None else table
        self._foreground = foreground_table(spec)
        self._mirror = spec.mirror_table()
        # left and right part of a pair may be two labels still, which a flip must then swap
        self._swaps = bool((self._table[self._mirror] != self._table).any())
        self._kept: dict[tuple[int, str], tuple[Tensor, np.ndarray]] = {}
        self._room = 0

    def keep_decoded(self, size: int) -> None:
        """Keep decoded photos and labels in memory, up to `size` bytes in each process that loads from this split.

        What came first stays: photos are drawn anew each epoch in random order, so that none is likelier to be next.
        """
        self._room = size

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def usable(self) -> list[int]:
        """Indices of the photos that are not `bad`."""
        return [index for index in range(len(self.ids)) if index not in self.bad]

    @cached_property
    def supports(self) -> SupportIndex:
        """The support index, read at first use. Raises `UserError` when it is missing or does not fit the list."""
        if self.split == VAL:
            return val_supports(self.spec, self.root, self.ids)
        return read_supports(self.spec, self.root, self.split, len(self.ids))

    def on_validation_list(self) -> list[int]:
        """Indices of the photos that are on the validation list too; none where the set has no such list."""
        if not list_path(self.root, VAL).exists():
            return []
        held = set(read_ids(self.root, VAL))
        return [index for index, image_id in enumerate(self.ids) if image_id in held]

    def load(self, index: int, mirrored: bool = False) -> Sample:
        """Read one photo and its label maps, all mirrored left to right where `mirrored`. Raises as `decode`."""
        photo = self.decode(index, mirrored)
        image = photo.image.flip(-1) if photo.mirror_image else photo.image
        raw = photo.raw[:, ::-1] if photo.mirror_label else photo.raw
        return self.labelled(DecodedPhoto(image, raw, photo.id))

    def decode(self, index: int, mirrored: bool = False) -> DecodedPhoto:
        """Read one photo and its raw label map, to be mirrored left to right where `mirrored`.

        A label map of the mirrored photo (`Category_rev_ids/`) is used where it stands. Without it the label is
        mirrored, and left and right parts are swapped. Raises `UserError` naming the file at fault.
        """
        ready = mirrored and mirrored_label_path(self.root, self.ids[index]).exists()
        form = "ready" if ready else "swapped" if mirrored and self._swaps else "plain"
        image, raw = self._kept.get((index, form)) or self._read(index, form)
        return DecodedPhoto(image, raw, self.ids[index], mirrored, mirrored and not ready)

    def labelled(self, photo: DecodedPhoto) -> Sample:
        """A photo with its label maps of merged ids and foreground."""
        label, foreground = (torch.from_numpy(mapped(photo.raw, t)) for t in (self._table, self._foreground))
        return Sample(photo.image, label, foreground, photo.id)

    def _read(self, index: int, form: str) -> tuple[Tensor, np.ndarray]:
        """Image (3, H, W) and raw label map (H, W).

        `form` says which label: plain, that of the mirrored photo's file, or plain with left and right swapped.
        """
        image_id = self.ids[index]
        photo_file, label_file = image_path(self.root, image_id), label_path(self.root, image_id)
        if self._labels is not None:
            label_file = self._labels / f"{image_id}.png"
        if form == "ready":
            label_file = mirrored_label_path(self.root, image_id)
        raw = read_label(label_file, self.spec.num_slots)
        pixels = read_fitting(photo_file, raw.shape, published=self.spec.published_photos)
        if raw.shape != pixels.shape[:2]:
            sizes = f"{raw.shape[1]}x{raw.shape[0]}, but {photo_file.name} is {pixels.shape[1]}x{pixels.shape[0]}"
            raise UserError(f"{label_file}: is {sizes}; replace whichever is wrong")
        raw = mapped(raw, self._mirror) if form == "swapped" else raw
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        if pixels.nbytes + raw.nbytes <= self._room:
            self._room -= pixels.nbytes + raw.nbytes
            self._kept[index, form] = image, raw
        return image, raw


def _ids_in_folder(labels: Path) -> list[str]:
    ids = sorted(path.stem for path in labels.glob("*.png") if not path.name.startswith("."))
    if not ids:
        raise UserError(f"{labels}: holds no label maps; python -m tools.label_tagged makes them")
    return ids
