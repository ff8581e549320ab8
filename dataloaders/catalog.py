"""The data sets that the project knows: ATR-OS, LIP-OS, CIHP-OS, CCP-OS, the toy set, and any dataset.json.

Class merges, folds, order and boundaries of the first three are those of the published benchmark; CCP-OS mirrors
ATR-OS on photos that anybody can have. The test boundaries of LIP and CIHP are this project's own, see
`docs/data.md`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from utils.errors import UserError

from .dataset_json import read_dataset_json
from .palette import palette
from .spec import DatasetSpec

DATA_ROOT = Path("data/datasets")

_ATR_LABELS = (
    "background", "hat", "hair", "sunglasses", "upper-clothes", "skirt", "pants", "dress", "belt", "left-shoe",
    "right-shoe", "face", "left-leg", "right-leg", "left-arm", "right-arm", "bag", "scarf",
)  # fmt: skip
_LIP_LABELS = (
    "background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat", "socks", "pants", "jumpsuits",
    "scarf", "skirt", "face", "left-arm", "right-arm", "left-leg", "right-leg", "left-shoe", "right-shoe",
)  # fmt: skip
_CIHP_LABELS = tuple("torso-skin" if name == "jumpsuits" else name for name in _LIP_LABELS)
_CCP_LABELS = (
    "background", "hat", "hair", "skin", "upper-clothes", "skirt", "pants", "dress", "outerwear", "shoes", "legwear",
    "bag", "other",
)  # fmt: skip
_LIP_AREAS = {
    "head": (1, 2, 4, 13),
    "body": (5, 6, 7, 10, 11, 12),
    "arms": (3, 14, 15),
    "legs": (8, 9, 16, 17, 18, 19),
}

_ATR = DatasetSpec(
    name="atr",
    folder="ATR_OS",
    title="ATR-OS",
    labels=_ATR_LABELS,
    merges={15: 14, 10: 9, 13: 12},
    dropped=(3, 8, 17),
    mirrored=((9, 10), (12, 13), (14, 15)),
    classes=(0, 1, 2, 4, 5, 6, 7, 9, 11, 12, 14, 16),
    base={1: (0, 1, 2, 4, 9, 11, 12, 14, 16), 2: (0, 2, 5, 6, 7, 9, 11, 12, 14)},
    evaluation_order=(1, 7, 5, 16, 9, 4, 2, 6, 11, 12, 14),
    boundary={"train": 7500, "test": 200},
    counts={"train": 15000, "test": 2706},
    body_areas={"head": (1, 2, 3, 11), "body": (4, 5, 7, 8, 16, 17), "arms": (14, 15), "legs": (6, 9, 10, 12, 13)},
    palette=palette(_ATR_LABELS),
    results={
        ("eop", "kway", 1): {"novel": 31.1, "human": 61.9},
        ("eop", "kway", 2): {"novel": 34.6, "human": 63.3},
        ("eop", "1way", 1): {"novel": 53.0, "human": 68.2},
        ("eop", "1way", 2): {"novel": 41.4, "human": 69.5},
    },
)

_LIP = DatasetSpec(
    name="lip",
    folder="LIP_OS",
    title="LIP-OS",
    labels=_LIP_LABELS,
    merges={15: 14, 17: 16, 19: 18},
    dropped=(3, 4, 8, 11),
    mirrored=((14, 15), (16, 17), (18, 19)),
    classes=(0, 1, 2, 5, 6, 7, 9, 10, 12, 13, 14, 16, 18),
    base={1: (0, 1, 2, 5, 7, 10, 13, 14, 16, 18), 2: (0, 1, 2, 6, 9, 12, 13, 14, 16, 18)},
    evaluation_order=(10, 6, 12, 1, 2, 5, 7, 9, 13, 14, 16, 18),
    boundary={"train": 7500, "test": 2000},
    counts={"train": 30462, "test": 10000},
    body_areas=_LIP_AREAS,
    palette=palette(_LIP_LABELS),
    results={
        ("eop", "kway", 1): {"novel": 25.7, "human": 43.0},
        ("eop", "kway", 2): {"novel": 30.4, "human": 45.7},
        ("eop", "1way", 1): {"novel": 42.0, "human": 57.0},
        ("eop", "1way", 2): {"novel": 46.2, "human": 58.0},
    },
)

_CIHP = replace(
    _LIP,
    name="cihp",
    folder="CIHP_OS",
    title="CIHP-OS",
    labels=_CIHP_LABELS,
    base={1: (0, 1, 2, 5, 7, 10, 13, 14, 16, 18), 2: (0, 2, 6, 9, 10, 12, 13, 14, 16, 18)},
    evaluation_order=(12, 6, 1, 2, 5, 7, 9, 10, 13, 14, 16, 18),
    boundary={"train": 7500, "test": 1000},
    counts={"train": 28280, "test": 5000},
    palette=palette(_CIHP_LABELS),
    results={
        ("eop", "kway", 1): {"novel": 20.5, "human": 49.1},
        ("eop", "kway", 2): {"novel": 25.1, "human": 45.5},
        ("eop", "1way", 1): {"novel": 25.4, "human": 53.8},
        ("eop", "1way", 2): {"novel": 36.4, "human": 55.4},
    },
)

_CCP = DatasetSpec(
    name="ccp",
    folder="CCP_OS",
    title="CCP-OS",
    labels=_CCP_LABELS,
    dropped=(12,),
    classes=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
    base={1: (0, 1, 2, 3, 4, 8, 9, 10, 11), 2: (0, 2, 3, 5, 6, 7, 8, 9, 10)},
    evaluation_order=(1, 5, 10, 7, 8, 11, 6, 4, 2, 9, 3),
    boundary={"train": 801, "test": 99},
    supports_per_query=5,
    all_images_both=True,
    counts={"train": 802, "test": 200},
    body_areas={"head": (1, 2), "skin": (3,), "body": (4, 5, 7, 8, 11, 12), "legs": (6, 9, 10)},
    palette=palette(_CCP_LABELS),
)

_TOY = replace(
    _ATR,
    name="toy",
    folder="TOY_OS",
    title="Toy-OS",
    boundary={"train": 119, "test": 29},
    queries_per_class=4,
    supports_per_query=3,
    counts={"train": 240, "test": 60},
    results={},
)

_CATALOG = {spec.name: spec for spec in (_ATR, _LIP, _CIHP, _CCP, _TOY)}


def names() -> list[str]:
    """Names of the data sets in the catalogue."""
    return list(_CATALOG)


def load(name_or_json: str | Path) -> DatasetSpec:
    """The record of a data set, by its name or by the path of its dataset.json.

    Raises `UserError` on an unknown name, listing those that exist, and on a dataset.json that does not hold
    together.
    """
    name = str(name_or_json)
    if name.lower() in _CATALOG:
        return _CATALOG[name.lower()]
    if name.endswith(".json"):
        return read_dataset_json(Path(name))
    if (Path(name) / "dataset.json").is_file():
        return read_dataset_json(Path(name) / "dataset.json")
    raise UserError(f"there is no data set {name!r}; choose one of {', '.join(_CATALOG)}, or give a dataset.json")


def validate_dataset(name: str, fold: int = 0) -> str:
    """The data set's name as the catalogue writes it; an empty name, or fold 0, says nothing and is not looked at.

    Raises `UserError` for a data set or a fold that does not exist.
    """
    if not name:
        return name
    spec = load(name)
    if fold:
        spec.base_classes(fold)
    return spec.name if spec.home is None else name


def locate(spec: DatasetSpec, data_root: str | Path = DATA_ROOT) -> Path:
    """Folder of the data set: `data_root`/`spec.folder`, or the folder in which its dataset.json stands."""
    return spec.home if spec.home is not None else Path(data_root) / spec.folder
