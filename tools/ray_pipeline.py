"""The parts of a collection through Ray Data: read, parsed by a pool of workers, written as parquet files.

Ray's checkpoint notes the photos of each file that is whole. A later run leaves these out, and removes what a run that
was killed has left half written. A worker that dies is started anew, and its photos with it.
"""

import argparse
import logging
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from pyarrow import compute, parquet
from pyarrow import dataset as arrow_dataset
from ray.data import ActorPoolStrategy, DataContext
from ray.data.checkpoint import CheckpointConfig

from inference.collection import Entry, Part, rows, schema
from inference.command import make_parser
from inference.references import Support
from networks.prototypes import Prototypes
from utils.errors import UserError
from utils.files import replacing

from .ray_source import AT_ONCE, Photos

ROOT = Path(__file__).resolve().parents[1]
OBJECT_STORE = 512 * 2**20  # bytes of shared memory for what passes between the processes
BLOCK = 2 * 2**20  # bytes of photos that are handed on at once
LONGEST_GREETING = 30  # seconds in which a cluster must let us in
BESIDE = 3  # processes that read, leave out and write, beside the workers


class Worker:
    """A process that parses: `support` is the reference, made once by who started it."""

    def __init__(self, options: argparse.Namespace, support: Support) -> None:
        self.parser = make_parser(options)
        self.parser.support = _on(self.parser.device, support)

    def __call__(self, table: pa.Table) -> pa.Table:
        entries = [Entry(**row) for row in table.to_pylist()]
        return pa.Table.from_pylist(rows(self.parser, entries), schema())


def parse(parts: Sequence[Part], options: argparse.Namespace, support: Support) -> None:
    """Parse what no earlier run has, into the folder `shards` of `options.out`.

    Raises `UserError` when the cluster cannot be joined, a part cannot be read or the disk is full; what is written
    stays, and the same command goes on from there.
    """
    out = options.out.absolute()
    try:
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors come as exceptions, in one line
        warnings.filterwarnings("ignore", module=r"ray\.data")
        _connect(options)
        context = DataContext.get_current()
        context.target_max_block_size = BLOCK
        context.enable_progress_bars = sys.stderr.isatty()
        context.checkpoint_config = CheckpointConfig("photo", str(out / "done"), delete_checkpoint_on_success=False)
        # Ray plans with processors: what needs a GPU is not counted among them
        needs: dict[str, float] = {"num_gpus": options.gpus_per_worker} if options.gpus_per_worker else {"num_cpus": 1}
        photos = ray.data.read_datasource(Photos(parts), override_num_blocks=len(parts))
        parsed = photos.map_batches(
            Worker,
            fn_constructor_args=(options, _on("cpu", support)),
            batch_size=AT_ONCE,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=options.workers),
            **needs,
        )
        parsed.write_parquet(str(out / "shards"), min_rows_per_file=options.shard)
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        raise UserError(_in_one_line(error, options.out)) from error
    finally:
        ray.shutdown()


def forget_failures(out: Path) -> None:
    """Take the photos that were not parsed out of earlier results, so that they are tried again."""
    failed = set[str]()
    shards = []
    for path in _whole_files(out / "shards"):
        table = parquet.read_table(path, columns=["photo", "error"])
        if lost := table.filter(compute.is_valid(table["error"]))["photo"].to_pylist():
            failed.update(lost)
            shards.append(path)
    notes = _whole_files(out / "done") if failed else []
    for path in (*notes, *shards):  # killed in between, a later run finds the errors still, and does the rest
        table = parquet.read_table(path)
        kept = table.filter(compute.invert(compute.is_in(table["photo"], pa.array(failed))))
        if not kept.num_rows:
            path.unlink()
        elif kept.num_rows < table.num_rows:
            with replacing(path) as temporary:
                parquet.write_table(kept, temporary)


def results(out: Path) -> tuple[int, list[str], list[str]]:
    """How many photos have a row in the folder `shards` of `out`, the errors of those not parsed, and the notes."""
    shards = arrow_dataset.dataset(str(out / "shards"), schema(), format="parquet")
    told = [
        shards.scanner(columns=[name], filter=arrow_dataset.field(name).is_valid()).to_table()[name].to_pylist()
        for name in ("error", "note")
    ]
    return shards.count_rows(), told[0], told[1]


def _whole_files(folder: Path) -> list[Path]:
    """The parquet files in a folder; those of a run that died are Ray's to remove."""
    whole = []
    for file in sorted(folder.glob("[!.]*.parquet")):
        with suppress(pa.ArrowInvalid):
            parquet.read_schema(file)
            whole.append(file)
    return whole


def _connect(options: argparse.Namespace) -> None:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    workers_find_this_code = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    if options.address:
        watch = threading.Timer(LONGEST_GREETING, _give_up, [options.address])
        watch.start()
        try:
            ray.init(options.address, runtime_env=workers_find_this_code, **quiet)
        finally:
            watch.cancel()
        return
    os.environ.setdefault("RAY_worker_niceness", "0")  # else the workers wait for every other program
    ray.init(
        num_cpus=options.workers + BESIDE,
        object_store_memory=OBJECT_STORE,
        include_dashboard=False,
        runtime_env=workers_find_this_code,
        **quiet,
    )


def _give_up(address: str) -> None:
    """End the process: `ray.init` waits for minutes where something listens that is no cluster. Nothing is lost."""
    line = f"error: --address {address}: what listens there does not answer as a Ray cluster; name another, or none"
    print(line, file=sys.stderr, flush=True)
    os._exit(2)


def _on(device: Any, support: Support) -> Support:
    """The reference on another device."""
    moved: list[Any] = [None if tensor is None else tensor.to(device).clone() for tensor in support.prototypes]
    return replace(support, prototypes=Prototypes(*moved))


def _in_one_line(error: Exception, out: Path) -> str:
    """What went wrong in a process of Ray's, without its traceback."""
    text = str(error)
    again = "start the same command again: it goes on where it was"
    if "UserError: " in text:
        return text
    if "No space left on device" in text:
        return f"{out}: the disk is full; free some space and {again}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no more is known'}; {again}"
