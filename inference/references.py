"""A reference: the prototypes of any classes, from several labelled photos, and blended with the bank on request."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from networks.base import Features, OneShotNetwork
from networks.decoding import human_mask
from networks.layers import resize_labels
from networks.prototypes import Prototypes
from networks.rivals import choose_rivals
from utils.errors import UserError
from utils.imaging import Photo
from utils.rivals import UNKNOWN_BIAS

from .annotations import BaseIds, is_unnamed
from .known_names import known_as, shown_name
from .labelled import named
from .parsing import ClassInfo
from .settings import SEVERAL_BIAS


@dataclass(frozen=True)
class Support:
    """A reference: its classes, their prototypes in the same order, which of them the checkpoint knows by name, and
    which other classes it knows that compete as background; and lines to tell the user."""

    classes: tuple[ClassInfo, ...]
    prototypes: Prototypes
    known: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def extract_prototypes(network: OneShotNetwork, photo: Features, label: Tensor, classes: int) -> Prototypes:
    """Prototypes from one photo: its features (batch 1) and its slots (h, w) at their size (see `shrink_labels`).

    Any labelled pixel counts as human foreground. In k-way the classes lie side by side, (1, 1 + K, D) behind the
    empty slot of the background; in 1-way each is one of a batch, (K, 1, D).
    """
    foreground = torch.where(label > 0, torch.ones_like(label), label)[None]
    if network.way == "kway":
        return network.extract_prototypes(photo, label[None], foreground, slots=classes + 1)
    each = torch.arange(1, classes + 1, device=label.device)[:, None, None]
    binary = torch.where(label < 0, label, (label == each).to(label.dtype))
    return network.extract_prototypes(photo, binary, foreground)


def people_of(network: OneShotNetwork, photo: Features, size: tuple[int, int]) -> np.ndarray:
    """Where AOPNet sees people in a photo of `size` (H, W), bool, whatever the classes: from its features (batch 1)."""
    nothing = Prototypes.of_classes(0 * photo.fine[0, :, :1, 0].T, photo.coarse[0, :, 0, 0], network.way)
    people = human_mask(network.class_maps(photo, nothing)[0].coarse[None], size)[0]
    return people.cpu().numpy()


def check_seen(
    prototypes: Prototypes,
    names: Sequence[str],
    photos: Iterable[tuple[Photo, tuple[np.ndarray, np.ndarray]]],
    max_size: int,
) -> None:
    """Raise `UserError` where the prototypes lack a class: it is too small at `max_size` pixels in the first of the
    `photos`, each with its pair of RGB and slots (H, W), that holds it."""
    present = prototypes.present.flatten()[-len(names) :].tolist()  # in k-way the background's slot comes first
    if all(present):
        return
    slot = present.index(False) + 1
    photo = next(named(one) for one, (_, slots) in photos if (slots == slot).any())
    where = f"beside its neighbours at {max_size} pixels"
    raise UserError(f"{photo}: {names[slot - 1]} is too small to be seen {where}; raise max_size")


def average_prototypes(photos: Iterable[Prototypes]) -> Prototypes:
    """Average the prototypes of several photos, each class over the photos that show it."""
    parts = zip(*((one.classes, one.present, one.foreground) for one in photos), strict=True)
    classes, present, foreground = (torch.stack(part) for part in parts)
    shown = present.sum(dim=0).clamp(min=1)[..., None]
    return Prototypes(classes.sum(dim=0) / shown, present.any(dim=0), foreground.mean(dim=0))


def rows_and_rivals(
    network: OneShotNetwork, known: Mapping[int, str], kind: str, names: Sequence[str], mapping: BaseIds | None
) -> tuple[list[int], list[int]]:
    """The row of the bank with which each of the reference's classes blends, 0 for those that do not; and the rows that
    may be rivals: none where no class is joined and none has a name, since they may be any. `kind` is one of
    `PROTOTYPES`; the rest as in `bank_rows`.

    Raises `UserError` where "bank" is asked for and no class is remembered.
    """
    in_use = kind == "bank" or (kind == "auto" and network.takes_rivals)
    if mapping and not in_use:
        what = "joins classes to the bank, which is not used"
        raise UserError(f"base_ids (--bank-map): {what}; choose the prototypes 'bank', or leave it away")
    if not in_use:
        return [0] * len(names), []
    rows, remembered = bank_rows(network, known, names, mapping), remembered_classes(network, known)
    if kind == "bank" and not any(rows):
        choice = ", ".join(remembered) or "none"
        raise UserError(f"bank: the reference has none of the remembered classes ({choice}); use support-only")
    told_apart = any(rows) or not all(map(is_unnamed, names))
    return rows, [row for row in remembered.values() if row not in rows] if network.takes_rivals and told_apart else []


def join_bank(
    network: OneShotNetwork,
    prototypes: Prototypes,
    photos: Sequence[tuple[Features, np.ndarray]],
    rows: Sequence[int],
    rivals: list[int],
) -> tuple[Prototypes, list[int]]:
    """The prototypes with what the bank gives: a share in those that have one of its `rows`, and rivals.

    `photos` are the features (batch 1) and slots (H, W) of the labelled ones, `rows` and `rivals` those of
    `rows_and_rivals`. Returned beside the prototypes are the rivals that are left: none of the classes by another name.
    """
    if any(rows):
        prototypes = blend_rows(network, prototypes, rows)
    unknown = [slot for slot, row in enumerate(rows, start=1) if not row]
    if rivals and unknown:
        rivals = choose_rivals(network, photos, rivals, unknown, prototypes)
    return prototypes._replace(rivals=network.bank.rows[rivals][None] if rivals else None), rivals


def presence_bias(known: Sequence[bool], told_apart: bool, photos: int) -> np.ndarray:
    """What is added to the logits of the presence, (1, 1 + K), with a reference of so many photos.

    Where known classes are told from others, those that are not `known` (K,) are doubted less: the network has learned
    on the known ones when to be sure.
    """
    unknown = np.array([False, *(told_apart and not one for one in known)])
    sure: np.ndarray = SEVERAL_BIAS * np.log(photos) + UNKNOWN_BIAS * unknown
    return sure[None].astype(np.float32)


def bank_rows(
    network: OneShotNetwork, known: Mapping[int, str], names: Sequence[str], mapping: BaseIds | None
) -> list[int]:
    """For each of the reference's classes `names` the row of the bank that remembers it, or 0 where none is joined.

    `known` are the checkpoint's classes by id, which is their row. `mapping` joins names to them, by default those that
    mean the same (`known_as`). Raises `UserError` for a class that the bank does not remember.
    """
    remembered = remembered_classes(network, known)
    if mapping is None:
        mapping = known_as(names, list(remembered))
    rows = dict.fromkeys(names, 0)
    for name, base in mapping.items():
        row = remembered.get(base, 0) if isinstance(base, str) else base
        if name not in names or row not in remembered.values():
            pair, choice = f"{name!r} as {base!r}", ", ".join(remembered) or "none"
            raise UserError(f"bank: {pair} joins no class of the reference to a remembered one ({choice})")
        rows[name] = row
    return list(rows.values())


def joined_names(names: Sequence[str], rows: Sequence[int], known: Mapping[int, str]) -> tuple[str, ...]:
    """Those of the reference's classes that blend with a row of the bank, and its name where that is another."""
    return tuple(shown_name(name, known[row]) for name, row in zip(names, rows, strict=True) if row)


def remembered_classes(network: OneShotNetwork, known: Mapping[int, str]) -> dict[str, int]:
    """The rows of the bank that hold something, by the names of their classes."""
    return {name: row for row, name in known.items() if row > 0 and bool(network.bank.rows[row].any())}


def blend_rows(network: OneShotNetwork, prototypes: Prototypes, rows: Sequence[int]) -> Prototypes:
    """Blend each class with the row of the bank that `rows` has for it; a class of row 0 stays as it is."""
    row = torch.tensor(rows, device=prototypes.classes.device)
    classes = prototypes.classes.clone()
    vectors = classes.flatten(0, 1)[-len(rows) :]  # a view, (K, D), without the background's slot of k-way
    bank = network.bank.rows.to(vectors.dtype)
    vectors.copy_(torch.where(row[:, None] > 0, vectors.lerp(bank[row], network.bank_share), vectors))
    return prototypes._replace(classes=classes, foreground=network.blend_foreground(prototypes.foreground))


def shrink_labels(
    label: Tensor, size: tuple[int, int] | torch.Size, shrink: Callable[..., Tensor] = resize_labels
) -> Tensor:
    """A label map (H, W) at the feature's `size`, as the network shrinks it; a class that is lost by it takes one cell.

    It is the cell that holds most of its pixels, among those that are not another class's last.
    """
    small = shrink(label[None], size)[0]
    height, width = label.shape
    for slot in sorted(set(label.unique().tolist()) - set(small.unique().tolist())):
        ys, xs = (label == slot).nonzero(as_tuple=True)
        cells, counts = ((ys * size[0] // height) * size[1] + xs * size[1] // width).unique(return_counts=True)
        for cell in cells[counts.argsort(descending=True, stable=True)].tolist():
            there = small.view(-1)[cell]
            if there <= 0 or (small == there).sum() > 1:
                small.view(-1)[cell] = slot
                break
    return small
