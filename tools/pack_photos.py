"""Copy a prepared data set at training size, so that it can be taken to a machine with a GPU.

    python -m tools.pack_photos --out packed        # CCP-OS with its tagged photos: 41 MB
    DATA_ROOT=packed bash scripts/release.sh        # there, in a clone

docs/training.md tells more.
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from dataloaders import catalog
from dataloaders.layout import IMAGE_FOLDER, LABEL_FOLDER
from dataloaders.reading import read_fitting, read_label
from dataloaders.spec import DatasetSpec
from utils.config import ArgumentParser, whole
from utils.errors import UserError, run_cli
from utils.files import replacing
from utils.imaging import network_size
from utils.parallel import parallel_map
from utils.pictures import picture_size

KEPT = ("list", "support", "dataset.json")


def pack(spec: DatasetSpec, root: Path, out: Path, size: int, quality: int, tagged: str = "") -> Path:
    """Copy the data set below `root` into the data root `out`, photos at `size` pixels and as JPEG; returns its folder.

    Label maps, those of the folder `tagged` too, become as small. Raises `UserError` where a photo cannot be read.
    """
    folder = out / spec.folder
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: holds something already; remove it, or choose another --out")
    for name in KEPT:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name)
        elif (root / name).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    photos = partial(_shrink_photo, folder, root / LABEL_FOLDER, size, quality, spec.published_photos)
    parallel_map(photos, _files(root / IMAGE_FOLDER), IMAGE_FOLDER, "file")
    for name, source in {LABEL_FOLDER: root / LABEL_FOLDER, **({"tagged": Path(tagged)} if tagged else {})}.items():
        parallel_map(partial(_shrink_label, folder / name, size, spec.num_slots), _files(source), name, "file")
    return folder


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _shrink_photo(folder: Path, labels: Path, size: int, quality: int, published: bool, path: Path) -> None:
    """Write one photo, as it is seen with its label map where it has one, as a JPEG of that quality."""
    label = labels / f"{path.stem}.png"
    fitting = picture_size(label)[1] if label.is_file() else ()
    photo = Image.fromarray(read_fitting(path, fitting, published=published))
    _write(photo, size, Image.Resampling.LANCZOS, folder / IMAGE_FOLDER / f"{path.stem}.jpg", quality)


def _shrink_label(folder: Path, size: int, slots: int, path: Path) -> None:
    """Write one label map, a PNG of ids."""
    ids = Image.fromarray(read_label(path, slots))
    _write(ids, size, Image.Resampling.NEAREST, folder / f"{path.stem}.png")


def _write(picture: Image.Image, size: int, how: Image.Resampling, path: Path, quality: int = 0) -> None:
    """Write a picture with a longest side of at most `size` pixels; only a JPEG has a `quality`."""
    height, width = network_size((picture.height, picture.width), size, enlarge=False)
    with replacing(path) as temporary:
        picture.resize((width, height), how).save(temporary, optimize=True, quality=quality)


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--dataset", default="ccp", help="prepared data set (default: %(default)s)")
    options.add_argument("--data-root", default="data/datasets", help="folder that holds the data sets' folders")
    options.add_argument("--tagged", default="", help="folder of their label maps, see tools/label_tagged.py")
    options.add_argument("--size", type=whole(32), default=384, help="longest side in pixels (default: %(default)s)")
    options.add_argument("--quality", type=whole(1, 95), default=75, help="of the JPEG files (default: %(default)s)")
    options.add_argument("--out", default="packed", help="the new data root (default: %(default)s)")
    chosen = options.parse_args(arguments)
    spec = catalog.load(chosen.dataset)
    root = catalog.locate(spec, chosen.data_root)
    folder = pack(spec, root, Path(chosen.out), chosen.size, chosen.quality, chosen.tagged)
    megabytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    where = f"--dataset {folder / 'dataset.json'}" if spec.home else f"--data-root {chosen.out}"
    print(f"{folder}: {megabytes:.1f} MB; train with {where}")


if __name__ == "__main__":
    run_cli(main)
