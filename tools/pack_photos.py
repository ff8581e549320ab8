"""Copy a prepared data set at training size, so that it can be taken to a machine with a GPU.

    python -m tools.pack_photos --out packed        # CCP-OS with its tagged photos: 41 MB
    DATA_ROOT=packed bash scripts/release.sh        # there, in a clone

docs/training.md tells more.
"""

import io
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from dataloaders import catalog
from dataloaders.layout import IMAGE_FOLDER, LABEL_FOLDER
from dataloaders.spec import DatasetSpec
from utils.config import ArgumentParser, whole
from utils.errors import UserError, run_cli
from utils.files import replacing
from utils.imaging import network_size
from utils.parallel import parallel_map

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
    sources = {IMAGE_FOLDER: root / IMAGE_FOLDER, LABEL_FOLDER: root / LABEL_FOLDER}
    if tagged:
        sources["tagged"] = Path(tagged)
    for name, source in sources.items():
        files = sorted(path for path in source.iterdir() if path.is_file() and not path.name.startswith("."))
        of_photos = quality if name == IMAGE_FOLDER else None
        parallel_map(partial(_shrink, folder / name, size, of_photos), files, name, "file")
    return folder


def _shrink(folder: Path, size: int, quality: int | None, path: Path) -> None:
    """Write one photo of that quality, or a label map (a PNG of ids), with a longest side of at most `size` pixels."""
    try:
        with Image.open(path) as opened:
            opened.load()
            height, width = network_size((opened.height, opened.width), size, enlarge=False)
            how = Image.Resampling.LANCZOS if quality else Image.Resampling.NEAREST
            small = (opened.convert("RGB") if quality else opened).resize((width, height), how)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error}); prepare the data set anew") from error
    content = io.BytesIO()
    if quality:
        small.save(content, "JPEG", quality=quality, optimize=True)
    else:
        small.save(content, "PNG", optimize=True)
    with replacing(folder / f"{path.stem}{'.jpg' if quality else '.png'}") as temporary:
        temporary.write_bytes(content.getvalue())


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
    print(f"{folder}: {megabytes:.1f} MB; train with --data-root {chosen.out}")


if __name__ == "__main__":
    run_cli(main)
