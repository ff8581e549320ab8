"""Evaluate the authors' checkpoints and print the published tables beside what is measured.

    bash scripts/reproduce.sh [atr] [lip] [cihp]

Fetches the authors' files with gdown where that is installed and there is a connection. Files that you download
yourself go into data/pretrained_model, under any name: each is recognised by its tensors. What data and checkpoints
allow is evaluated; the table says what is missing for the rest.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataloaders import catalog
from dataloaders.layout import supports_path
from engine.checkpoint import AUTHORS_MODELS
from networks.checkpoints.pretrained import COCO_FOLDER
from utils.config import ArgumentParser
from utils.constants import WAYS
from utils.errors import UserError, run_cli
from utils.files import read_json
from utils.log import percent, table

from .authors_files import Recognised, place_supports, recognise_all

ROOT = Path(__file__).resolve().parents[1]
SETS = ("atr", "lip", "cihp")
NEVER_RELEASED = "never released by the authors"
FIGURES = ("novel", "human")


@dataclass
class Row:
    """One evaluation of the published tables: NPM's mIoU in percent, or what is missing for it."""

    dataset: str
    way: str
    fold: int
    missing: str = ""
    measured: dict[str, float] | None = None

    @property
    def published(self) -> dict[str, float]:
        """The published mIoU in percent."""
        return dict(catalog.load(self.dataset).published("eop", self.way, self.fold) or {})

    @property
    def released(self) -> bool:
        """Whether the authors released the checkpoint: the k-way ones, all but that of ATR's fold 2."""
        return self.way == "kway" and (self.dataset, self.fold) != ("atr", 2)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = ArgumentParser(prog="scripts/reproduce.sh", description=__doc__.splitlines()[0])
    options.add_argument("sets", nargs="*", help=f"which of {', '.join(SETS)}; by default all")
    options.add_argument("--weights", type=Path, default=Path("data/pretrained_model"), help="the authors' files")
    options.add_argument("--data-root", type=Path, default=catalog.DATA_ROOT, help="folder of the data sets")
    options.add_argument("--out", type=Path, default=Path("runs"), help="folder for the results")
    options.add_argument("--device", default="auto", help="cuda, mps, cpu, or auto for the best there is")
    options.add_argument("--no-fetch", action="store_true", help="do not try to download")
    chosen = options.parse_args(arguments)
    if unknown := set(chosen.sets) - set(SETS):
        raise UserError(f"{min(unknown)!r} has no published table; choose among {', '.join(SETS)}")
    rows = [Row(name, way, fold) for name in chosen.sets or SETS for way in WAYS for fold in (1, 2)]
    files = recognise_all(chosen.weights)
    lacking = [row for row in rows if row.released and key(row) not in files]
    if lacking and not chosen.no_fetch:
        fetch(chosen.weights)
        files = recognise_all(chosen.weights)
    for name in dict.fromkeys(row.dataset for row in rows):
        place_supports(chosen.weights, catalog.load(name), chosen.data_root)
    for row in rows:
        row.missing = "; ".join(lacks(row, files, chosen.data_root))
        if not row.missing:
            out = chosen.out / f"{row.dataset}_eop_{row.way}_f{row.fold}_authors"
            measure(row, files[key(row)], out, ["--data-root", str(chosen.data_root), "--device", chosen.device])
    print("\n" + text(rows))


def key(row: Row) -> tuple[str, str, int]:
    """What a checkpoint is recognised as."""
    return row.dataset, row.way, row.fold


def fetch(folder: Path) -> None:
    """Download the authors' checkpoints and support files; where that cannot be, say in one line what to do by hand."""
    by_hand = f"download {AUTHORS_MODELS} (checkpoints) and {COCO_FOLDER} (support files) into {folder} and run again"
    try:
        import gdown  # type: ignore[import-not-found]  # optional: nothing else here needs it
    except ImportError:
        print(f"gdown is not installed: pip install gdown, or {by_hand}")
        return
    try:
        for name, url in (("models", AUTHORS_MODELS), ("supports", COCO_FOLDER)):
            gdown.download_folder(url, output=str(folder / name), quiet=True)
    except Exception as error:  # its own kinds and those of what it stands on; without a connection nothing is lost
        print(f"the authors' files cannot be fetched ({type(error).__name__}): {by_hand}")


def lacks(row: Row, files: dict[tuple[str, str, int], Recognised], data_root: Path) -> Iterator[str]:
    """What is missing for a row of the table, in words."""
    spec = catalog.load(row.dataset)
    if key(row) not in files:
        yield "checkpoint" if row.released else NEVER_RELEASED
    root = catalog.locate(spec, data_root)
    if not root.is_dir():
        yield f"data: bash scripts/prepare_{row.dataset}.sh SOURCE"
    elif not supports_path(spec, root, "test").exists():
        yield f"{supports_path(spec, root, 'test').name}"


def measure(row: Row, file: Recognised, out: Path, options: Sequence[str]) -> None:
    """Evaluate a checkpoint as its script does, and put the figures into the row."""
    print(f"\n{row.dataset} {row.way} fold {row.fold}: {file.path}", flush=True)
    what = [
        "--dataset",
        row.dataset,
        "--way",
        row.way,
        "--fold",
        str(row.fold),
        "--checkpoint",
        str(file.path.resolve()),
    ]
    command = [sys.executable, str(ROOT / "evaluate.py"), *what, "--output", str(out), *options]
    if subprocess.run(command).returncode:
        row.missing = "evaluation failed, see above"
        return
    figures = read_json(out / "results.json")["figures"]["npm"]
    row.measured = {name: float("nan") if figures[name] is None else figures[name] for name in FIGURES}


def text(rows: Sequence[Row]) -> str:
    """The Markdown table: published, measured and difference, in mIoU %, and what is missing."""
    cells = []
    for row in rows:
        numbers = []
        for name in FIGURES:
            published, measured = row.published[name], (row.measured or {}).get(name, float("nan"))
            difference = measured - published
            numbers += [
                percent(published),
                percent(measured),
                "-" if difference != difference else f"{difference:+.1f}",
            ]
        cells.append([catalog.load(row.dataset).title, row.way, str(row.fold), *numbers, row.missing or "-"])
    header = ["set", "way", "fold"]
    header += [f"{name} {what}" for name in FIGURES for what in ("published", "measured", "difference")]
    return table([*header, "missing"], cells)


if __name__ == "__main__":
    run_cli(main)
