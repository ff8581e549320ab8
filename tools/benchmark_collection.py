"""How fast a collection is parsed: by predict.py, by one worker of Ray's and by two, and the memory that this takes.

    python -m tools.benchmark_collection --reference ref.jpg --labels ref.png photos/ --number 5000

The photos are repeated under different names until there are `--number`. Photos per second are counted from the first
results on, so that the start does not count. Memory is that of the largest process, in the first and last quarter of
that time. Everything runs one after another; the load of the machine at the start stands beside it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from inference.inputs import collect
from utils.config import ArgumentParser, whole
from utils.errors import UserError, run_cli
from utils.log import table

ROOT = Path(__file__).resolve().parents[1]
MB = 2**20
PAUSE = 0.5  # seconds between two looks at the processes


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("photos", nargs="+", help="photos, or folders of them")
    options.add_argument("--reference", required=True, help="the labelled photo")
    options.add_argument("--labels", required=True, help="its labels")
    options.add_argument("--number", type=whole(10), default=1000, help="photos to parse (default: %(default)s)")
    options.add_argument("--max-size", type=whole(32), default=384, help="as of predict.py (default: %(default)s)")
    workers = "numbers of workers to measure, one after the other; 0 is predict.py (default: 0 1 2)"
    options.add_argument("--workers", nargs="+", type=whole(0, 100), default=[0, 1, 2], help=workers)
    chosen = options.parse_args(arguments)
    sources = [source.path.absolute() for source in collect(chosen.photos)[0] if not source.is_video]
    files = ["--reference", chosen.reference, "--labels", chosen.labels, "--max-size", str(chosen.max_size)]
    collection = [sys.executable, "-m", "tools.parse_collection", *files, "--workers"]
    rows = []
    for count in chosen.workers:
        title = f"{count} worker{'s' * (count > 1)}" if count else "predict.py"
        command = [*collection, str(count)] if count else [sys.executable, "predict.py", *files]
        with tempfile.TemporaryDirectory() as folder:
            photos = Path(folder) / "photos"
            photos.mkdir()
            for n in range(chosen.number):
                source = sources[n % len(sources)]
                shutil.copyfile(source, photos / f"{n:06d}{source.suffix}")
            load = os.getloadavg()[0]
            rate, early, late = watch([*command, str(photos), "--out", str(Path(folder) / "out")], Path(folder) / "out")
            rows.append([title, f"{rate:.2f}", f"{early / MB:.0f}", f"{late / MB:.0f}", f"{load:.1f}"])
            print(rows[-1], flush=True)
    print(table(["", "photos per second", "MB in the first quarter", "MB in the last", "load before"], rows))


def watch(command: Sequence[str], out: Path) -> tuple[float, int, int]:
    """Run the command; results per second after the first, and the largest process in the first and last quarter.

    Raises `UserError` when it fails.
    """
    memory = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            memory.append((time.time(), max(map(_resident, _below(process.pid)), default=0)))
            time.sleep(PAUSE)
    if process.returncode:
        raise UserError(f"{' '.join(command)}: ended with {process.returncode}; run it by itself to see why")
    results = sorted((path.stat().st_mtime, _count(path)) for path in _results(out))
    (first, skipped), (last, _) = results[0], results[-1]
    quarter = (last - first) / 4
    early, late = (
        max((size for when, size in memory if low <= when <= low + quarter), default=0)
        for low in (first, last - quarter)
    )
    return (sum(n for _, n in results) - skipped) / max(last - first, 1e-9), early, late


def _results(out: Path) -> list[Path]:
    return [*out.glob("[!.]*_overlay.jpg"), *out.glob("shards/*.parquet")]


def _count(path: Path) -> int:
    if path.suffix != ".parquet":
        return 1
    from pyarrow import parquet

    return int(parquet.ParquetFile(path).metadata.num_rows)


def _below(root: int) -> list[int]:
    """The processes that descend from `root`, and itself (Linux)."""
    parents = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # ended
            continue
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sorted(tree)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    run_cli(main)
