"""The authors' checkpoints: their tensor names and shapes turned into ours (spec: Checkpoints).

Three kinds of file are known: a full EOPNet state dict, that of one stage of POPNet, and the COCO DeepLabV3+ weights
that training starts from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

_ASPP = {"aspp1": "point", "aspp2": "atrous.0", "aspp3": "atrous.1", "aspp4": "atrous.2"}

# First match wins. Every authors' name that a network can use is one regular expression away from ours.
_COMMON = [
    (r"^xception_features\.block1\.rep\.([024])\.", lambda m: f"encoder.body.block1.convs.{int(m[1]) // 2}."),
    (r"^xception_features\.block2\.block2_lastconv\.1\.", "encoder.body.block2.convs.2."),
    (
        r"^xception_features\.block(\d+)\.rep\.([135])\.",
        lambda m: f"encoder.body.{_block(m[1])}.convs.{int(m[2]) // 2}.",
    ),
    (r"^xception_features\.block(\d+)\.skipbn\.", lambda m: f"encoder.body.{_block(m[1])}.skip_bn."),
    (r"^xception_features\.block(\d+)\.skip\.", lambda m: f"encoder.body.{_block(m[1])}.skip."),
    (r"^xception_features\.", "encoder.body."),
    (r"^feature_projection_conv1\.", "decoder.low.conv."),
    (r"^feature_projection_bn1\.", "decoder.low.bn."),
]
_LEVEL = {
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
_HEADS = [
    (r"^decoder2\.", "agm.guide.convs."),
    (r"^decoder3\.(?:0\.)?atrous_convolution\.", "agm.guide.separable."),
    (r"^scaler$", "npm.scaler"),
    (r"^prototype$", "bank.rows"),
]
_EOP = [
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
_POP = [
    *_HEADS,
    (r"^classifier_6\.", "agm.guide.classify."),
    (r"^bg_att_fusion\.", "agm.background."),
    (r"^after_sim_fg\.", "npm.foreground."),
    (r"^after_sim_bg\.", "npm.background."),
    (r"^bg_sim_fusion\.", "npm.fusion."),
    (r"^feature_fusion\.([01])\.atrous_convolution\.", lambda m: f"infuse.{m[1]}."),
]
_RULES = {"eop_kway": _EOP, "eop_1way": _EOP, "pop_kway": _POP, "deeplab": []}
_KINDS = {  # a key that only this kind of file has
    "eop_kway": "npm_class_fg.weight",
    "eop_1way": "npm_class.weight",
    "pop_kway": "classifier_6.weight",
}
BANK = "bank.rows"


class Conversion(NamedTuple):
    """A state dict under our names, and what is worth telling about how it came about."""

    kind: str  # "eop_kway", "eop_1way", "pop_kway" or "deeplab"
    state: dict[str, Tensor]  # complete: what the file lacks keeps the network's own values
    unused: list[str]  # the file's keys that found no place
    new: list[str]  # the network's tensors that the file does not hold
    notes: list[str]


def unwrap(content: object) -> dict[str, Tensor] | None:
    """The state dict within a loaded file, without `module.` prefixes; None where there is none."""
    for key in ("state_dict", "model", "net"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        return None
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        return None
    return {k.removeprefix("module."): v for k, v in content.items()}


def identify(weights: Mapping[str, Tensor]) -> str | None:
    """Which of the authors' files these (unwrapped) weights are, or None."""
    for kind, key in _KINDS.items():
        if key in weights:
            return kind
    if "xception_features.conv1.weight" in weights and "aspp1.atrous_convolution.weight" in weights:
        return "deeplab"
    return None


def convert(weights: Mapping[str, Tensor], network: nn.Module, level: str = "mid") -> Conversion:
    """Turn the authors' (unwrapped) weights into a state dict for `network`, an EOPNet or POPNet on Xception-65.

    A POPNet's earlier stages keep their own values. Raises `ValueError` for weights of an unknown kind, of another
    network or way, or with a tensor missing or of another shape. The bank is the exception: rows are class ids, so a
    bank of another length is cut or padded, and said.
    """
    kind = identify(weights)
    own = network.state_dict()
    if kind is None:
        raise ValueError("neither an EOPNet or POPNet checkpoint of the authors nor their COCO DeepLabV3+ weights")
    if kind not in ("deeplab", f"{network.method}_{network.way}"):
        raise ValueError(f"these are the authors' {kind} weights, the network is {network.method}_{network.way}")
    rules = _COMMON + _LEVEL[level] + _RULES[kind]
    state, unused, notes = {}, [], []
    for name, tensor in weights.items():
        ours = _rename(name, rules)
        if ours == BANK and tensor.ndim == 2:
            tensor = _fit_bank(tensor, own[BANK], notes)
        if ours not in own:
            unused.append(name)
        elif own[ours].shape != tensor.shape:
            raise ValueError(f"{name} is {tuple(tensor.shape)}, the network needs {tuple(own[ours].shape)}")
        else:
            state[ours] = tensor
    new = [k for k in own if k not in state and not k.endswith("num_batches_tracked") and not k.startswith("previous.")]
    lacking = [k for k in new if k.startswith("encoder.")] if kind == "deeplab" else new
    if lacking:
        raise ValueError(f"{len(lacking)} tensors are missing, the first is for {lacking[0]}")
    return Conversion(kind, {**own, **state}, unused, new, notes)


def _rename(name: str, rules: list) -> str | None:
    for pattern, replacement in rules:
        renamed, count = re.subn(pattern, replacement, name)
        if count:
            return renamed
    return None


def _block(number: str) -> str:
    return f"middle.{int(number) - 4}" if 4 <= int(number) <= 19 else f"block{number}"


def _fit_bank(rows: Tensor, own: Tensor, notes: list[str]) -> Tensor:
    if len(rows) == len(own):
        return rows
    notes.append(f"the prototype bank has {len(rows)} rows for {len(own)} class slots; rows were kept by class id")
    fitted = torch.zeros(len(own), rows.shape[1], dtype=rows.dtype)
    kept = min(len(rows), len(own))
    fitted[:kept] = rows[:kept]
    return fitted
