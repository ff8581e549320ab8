"""The data sets that the project knows: those of `sets/*.json`, and any dataset.json.

Class merges, folds, order and boundaries of ATR-OS, LIP-OS and CIHP-OS are those of the published benchmark; CCP-OS
mirrors ATR-OS on photos that anybody can have. The test boundaries of LIP and CIHP are this project's own, see
`docs/data.md`.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

from utils.errors import UserError
from utils.files import read_json

from .dataset_json import parse_dataset_json, read_dataset_json
from .spec import DatasetSpec

DATA_ROOT = Path("data/datasets")
NAMES = ("atr", "lip", "cihp", "ccp", "toy")
_SETS = Path(__file__).parent / "sets"


def names() -> list[str]:
    """Names of the data sets in the catalogue."""
    return list(NAMES)


def load(name_or_json: str | Path) -> DatasetSpec:
    """The record of a data set, by its name or by the path of its dataset.json, or of the folder that holds it.

    Raises `UserError` on an unknown name, listing those that exist, and on a dataset.json that does not hold
    together.
    """
    given, name = str(name_or_json), canonical(str(name_or_json))
    if name in NAMES:
        return _known(name)
    if given.endswith(".json") or Path(name).is_file():
        return read_dataset_json(Path(name))
    raise UserError(f"there is no data set {given!r}; choose one of {', '.join(NAMES)}, or give a dataset.json")


def canonical(name: str) -> str:
    """How settings write a data set: by its name in the catalogue, or by the path of its dataset.json."""
    if name.lower() in NAMES:
        return name.lower()
    return name if name.endswith(".json") else str(Path(name) / "dataset.json")


def same_dataset(one: str, other: str) -> bool:
    """Whether two names of data sets, or paths of dataset.json files or their folders, mean the same one."""
    one, other = canonical(one), canonical(other)
    return one == other or (not {one, other} & set(NAMES) and Path(one).resolve() == Path(other).resolve())


def results_name(name: str) -> str:
    """The name that folders of results have of a data set: its own, or that of the folder of its dataset.json."""
    name = canonical(name)
    return name if name in NAMES else Path(name).resolve().parent.name


def validate_dataset(name: str, fold: int = 0) -> str:
    """The data set in its `canonical` form; an empty name, or fold 0, says nothing and is not looked at.

    Raises `UserError` for a data set or a fold that does not exist.
    """
    if not name:
        return name
    spec = load(name)
    if fold:
        spec.base_classes(fold)
    return canonical(name)


def locate(spec: DatasetSpec, data_root: str | Path = DATA_ROOT) -> Path:
    """Folder of the data set: `data_root`/`spec.folder`, or the folder in which its dataset.json stands."""
    return spec.home if spec.home is not None else Path(data_root) / spec.folder


@cache
def _known(name: str) -> DatasetSpec:
    """A data set of the catalogue: a dataset.json with its folder below the data root and its published results."""
    path = _SETS / f"{name}.json"
    content = read_json(path)
    folder, results = content.pop("folder"), content.pop("results", {})
    return replace(parse_dataset_json(path, content), folder=folder, results=results, home=None)
