"""Which data, seen how."""

from dataclasses import dataclass

from utils.config import option
from utils.constants import WAYS

from . import catalog

DATA_ROOT = str(catalog.DATA_ROOT)


@dataclass
class DataSettings:
    """data"""

    dataset: str = option("atr", "data set: atr, lip, cihp, ccp, toy, or the path of a dataset.json or its folder")
    data_root: str = option(DATA_ROOT, "folder that holds the data sets' folders")
    fold: int = option(1, "which classes are novel: a fold of the data set, as 1 or 2; 0: none, as for a release")
    way: str = option("kway", "all classes of the support at once, or one class an episode", WAYS)

    def check(self) -> None:
        """Raise `UserError` for a data set or fold that does not exist; `dataset` takes its canonical form."""
        self.dataset = catalog.validate_dataset(self.dataset, self.fold)
