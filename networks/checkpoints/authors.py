"""The authors' files of EOPNet, a stage of POPNet and DeepLabV3+ (COCO), under our names (docs/method.md, step 31)."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..backbones.xception import block_name

EPOCH = 39  # at which the authors test theirs
DEEPLAB = "deeplab"

_Rules = list[tuple[str, str | Callable[[re.Match[str]], str]]]
_ASPP = {"aspp1": "point", "aspp2": "atrous.0", "aspp3": "atrous.1", "aspp4": "atrous.2"}

# First match wins. Every authors' name that a network can use is one regular expression away from ours.
_COMMON: _Rules = [
    (r"^xception_features\.block1\.rep\.([024])\.", lambda m: f"encoder.body.block1.convs.{int(m[1]) // 2}."),
    (r"^xception_features\.block2\.block2_lastconv\.1\.", "encoder.body.block2.convs.2."),
    (r"^xception_features\.block(\d+)\.rep\.([135])\.", lambda m: f"{_block(m)}.convs.{int(m[2]) // 2}."),
    (r"^xception_features\.block(\d+)\.skipbn\.", lambda m: f"{_block(m)}.skip_bn."),
    (r"^xception_features\.block(\d+)\.skip\.", lambda m: f"{_block(m)}.skip."),
    (r"^xception_features\.", "encoder.body."),
    (r"^feature_projection_conv1\.", "decoder.low.conv."),
    (r"^feature_projection_bn1\.", "decoder.low.bn."),
]
_LEVEL: dict[str, _Rules] = {
    "mid": [
        (r"^midfea_adapt_conv\.", "decoder.adapt.conv."),
        (r"^midfea_adapt_bn\.", "decoder.adapt.bn."),
        (r"^midfea_conv\.0\.atrous_convolution\.", "decoder.fuse."),
    ],
    "high": [
        (r"^aspp1\.atrous_convolution\.", "decoder.adapt.point.conv."),
        (r"^aspp1\.bn\.", "decoder.adapt.point.bn."),
        (r"^(aspp[234])\.atrous_convolution\.", lambda m: f"decoder.adapt.{_ASPP[m[1]]}."),
        (r"^global_avg_pool\.1\.", "decoder.adapt.image.conv."),
        (r"^global_avg_pool\.2\.", "decoder.adapt.image.bn."),
        (r"^concat_projection_conv1\.", "decoder.adapt.project.conv."),
        (r"^concat_projection_bn1\.", "decoder.adapt.project.bn."),
        (r"^decoder1\.0\.atrous_convolution\.", "decoder.fuse."),
    ],
}
_HEADS: _Rules = [
    (r"^decoder2\.", "agm.guide.convs."),
    (r"^decoder3\.(?:0\.)?atrous_convolution\.", "agm.guide.separable."),
    (r"^scaler$", "npm.scaler"),
    (r"^prototype$", "bank.rows"),
]
_EOP: _Rules = [
    *_HEADS,
    (r"^agm_class\.", "agm.guide.classify."),
    (r"^agm_bg_fusion\.", "agm.background."),
    (r"^npm_class_fg\.", "npm.foreground."),
    (r"^npm_class_bg\.", "npm.background."),
    (r"^npm_bg_fusion\.", "npm.fusion."),
    (r"^npm_class\.", "npm.classify."),
    (r"^s1_conv1\.", "coarse.guide.convs."),
    (r"^s1_conv2\.atrous_convolution\.", "coarse.guide.separable."),
    (r"^s1_semantic\.", "coarse.guide.classify."),
    (r"^s1_trans\.", "coarse_space."),
    (r"^s2_trans\.", "fine_space."),
]
_POP: _Rules = [
    *_HEADS,
    (r"^classifier_6\.", "agm.guide.classify."),
    (r"^bg_att_fusion\.", "agm.background."),
    (r"^after_sim_fg\.", "npm.foreground."),
    (r"^after_sim_bg\.", "npm.background."),
    (r"^bg_sim_fusion\.", "npm.fusion."),
    (r"^feature_fusion\.([01])\.atrous_convolution\.", lambda m: f"infuse.{m[1]}."),
]
_KINDS = {  # kind -> the names of its own, and one that only such a file has
    "eop_kway": (_EOP, "npm_class_fg.weight"),
    "eop_1way": (_EOP, "npm_class.weight"),
    "pop_kway": (_POP, "classifier_6.weight"),
    DEEPLAB: ([], "xception_features.conv1.weight"),
}
BANK = "bank.rows"


class Converted(NamedTuple):
    """An authors' file under our names, and what is worth telling about it."""

    kind: str  # "eop_kway", "eop_1way", "pop_kway" or "deeplab"
    weights: dict[str, Tensor]
    unused: list[str]  # the file's names that have no place in such a network
    notes: list[str]


def convert(content: object, network: str, num_slots: int, level: str) -> Converted:
    """What a file of the authors holds, for a `network` such as "eop_kway", its class slots and its feature level.

    A `module.` prefix does not matter. The bank's rows are class ids, so a bank of another length is cut or padded, and
    said. Raises `ValueError` for any other file, and for weights of another network or way.
    """
    theirs = _tensors(content)
    if not theirs:
        raise ValueError("holds no network weights; give a checkpoint of this project or of the authors")
    kind = identify(content)
    if kind is None:
        raise ValueError("neither an EOPNet or POPNet checkpoint of the authors nor their COCO DeepLabV3+ weights")
    if kind not in (DEEPLAB, network):
        raise ValueError(f"these are the authors' {kind} weights, the network is {network}; give the file of this one")
    names = {name: rename(name, kind, level) for name in theirs}
    weights = {ours: theirs[name] for name, ours in names.items() if ours}
    notes = []
    if BANK in weights and weights[BANK].ndim == 2 and len(weights[BANK]) != num_slots:
        rows = weights[BANK]
        notes = [f"the prototype bank has {len(rows)} rows for {num_slots} class slots; rows were kept by class id"]
        weights[BANK] = torch.cat([rows, rows.new_zeros(num_slots, rows.shape[1])])[:num_slots]
    unused = [name for name, ours in names.items() if not ours]
    if unused:
        notes.append(f"{len(unused)} tensors of the file are not used: {', '.join(unused)}")
    return Converted(kind, weights, unused, notes)


def identify(content: object) -> str | None:
    """Which kind of the authors' files this is the content of, or None."""
    weights = _tensors(content)
    return next((kind for kind, (_, only) in _KINDS.items() if only in weights), None)


def bank(content: object) -> Tensor:
    """The prototype bank (rows, channels) of the authors' EOPNet or POPNet, a row for each class id.

    Raises `KeyError` for other files.
    """
    return _tensors(content)["prototype"]


def rename(name: str, kind: str, level: str) -> str | None:
    """Our name of an authors' tensor in a network of that feature level; None where it has no place there."""
    for pattern, replacement in _COMMON + _LEVEL[level] + _KINDS[kind][0]:
        renamed, count = re.subn(pattern, replacement, name)
        if count:
            return renamed
    return None


def _tensors(content: object) -> dict[str, Tensor]:
    """The state dict within a loaded file, without `module.` prefixes; empty where there is none."""
    for key in ("state_dict", "model", "net"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        return {}
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        return {}
    return {k.removeprefix("module."): v for k, v in content.items()}


def _block(match: re.Match[str]) -> str:
    return f"encoder.body.{block_name(int(match[1]))}"
