"""A reference of any classes: prototypes from several labelled photos, blended with the bank on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from networks.base import Features, OneShotNetwork
from networks.layers import resize_labels
from utils.errors import UserError


def pool(network: OneShotNetwork, photos: Sequence[tuple[Features, Tensor]], classes: int) -> tuple[Tensor, Tensor]:
    """Average prototypes of the classes, (K, D), and of the foreground, (D,): each class over the photos that hold it.

    A photo is its features (batch 1) and its label map (H, W) of slots: 0 background, 1..`classes`, -1 ignore. Any
    labelled pixel counts as human foreground.
    """
    parts = [_pool_one(network, features, label, classes) for features, label in photos]
    present = torch.stack([shown for _, shown, _ in parts]).float()[..., None]
    total = (torch.stack([prototypes for prototypes, _, _ in parts]) * present).sum(dim=0)
    foreground = torch.stack([human for _, _, human in parts]).mean(dim=0)
    return total / present.sum(dim=0).clamp(min=1), foreground


def bank_rows(
    network: OneShotNetwork, known: Mapping[int, str], names: Sequence[str], mapping: Mapping[str, int | str] | None
) -> dict[int, int]:
    """Class index -> row of the bank, for reference classes `names` and the checkpoint's `known` classes by id.

    `mapping` joins names to known classes, by id or name; without it equal names are joined. Raises `UserError` for a
    class that the bank does not remember, and when none is joined.
    """
    filled = {name: row for row, name in known.items() if row > 0 and bool(network.bank.rows[row].any())}
    told = ", ".join(filled) or "none"
    rows: dict[int, int] = {}
    for name, base in (mapping if mapping is not None else {n: n for n in names if n in filled}).items():
        row = filled.get(base, 0) if isinstance(base, str) else base
        if name not in names or row not in filled.values():
            raise UserError(f"bank: {name!r} as {base!r} joins no class of the reference to a remembered one ({told})")
        rows[list(names).index(name)] = row
    if not rows:
        raise UserError(
            f"bank: the reference has none of the remembered classes ({told}); map them or use support-only"
        )
    return rows


def blend_classes(network: OneShotNetwork, classes: Tensor, rows: Mapping[int, int]) -> Tensor:
    """Blend the prototype of each class index in `rows` (0..K-1) with the bank row that it maps to: (K, D)."""
    classes = classes.clone()
    for index, row in rows.items():
        static = torch.zeros_like(network.bank.rows)[None]
        static[0, row] = classes[index]
        present = torch.zeros(1, len(network.bank.rows), dtype=torch.bool, device=static.device)
        present[0, row] = True
        classes[index] = network.bank.blend(static, present)[0, row]
    return classes


def shrink_labels(label: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resize a label map (H, W) to `size` by the nearest pixel, yet so that no class is lost if that can be.

    A class that nearest-pixel sampling would miss takes the cell that holds most of its pixels, among those that are
    not another class's last.
    """
    small = resize_labels(label[None], size)[0]
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


def _pool_one(
    network: OneShotNetwork, features: Features, label: Tensor, classes: int
) -> tuple[Tensor, Tensor, Tensor]:
    label = shrink_labels(label, features.fine.shape[-2:])
    foreground = torch.where(label > 0, torch.ones_like(label), label)[None]
    if network.way == "1way":
        each = torch.arange(1, classes + 1, device=label.device)[:, None, None]
        labels = torch.where(label < 0, label, (label == each).to(label.dtype))
        found = network.extract_prototypes(features, labels, foreground)
        return found.classes[:, 0], found.present[:, 0], found.foreground[0, 0]
    found = network.extract_prototypes(features, label[None], foreground, slots=classes + 1)
    return found.classes[0, 1:], found.present[0, 1:], found.foreground[0, 0]
