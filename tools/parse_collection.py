"""Parse a collection that is too large for one process, on Ray Data: photos in, parquet files of masks out.

    pip install -r requirements-scale.txt
    python -m tools.parse_collection --reference ref.jpg --labels ref.png photos/ --out parsed --workers 4

Takes folders of photos, parquet files and tars. Started again, it goes on where it was. docs/large-collections.md
describes the results.
"""

import argparse
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference.command import (
    LabelledReference,
    add_parser_options,
    add_reference_options,
    make_parser,
    read_reference,
    tell_passed_over,
    tell_reference,
)
from utils.config import ArgumentParser, whole
from utils.errors import UserError, run_cli
from utils.files import digest, file_digest, read_json, write_json
from utils.locks import locked

RUN = "run.json"  # in the folder of results: the options that they were made with
PATIENCE = 4  # seconds in which a cluster must take a connection, and again in which it must answer
# Ray speaks gRPC, so HTTP/2: a client greets with this, and the server's first frame holds its settings.
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS = 4  # the kind of a frame, its fourth byte
ELSEWHERE = ("inputs", "out", "workers", "gpus_per_worker", "address", "shard", "device")  # may differ in a later run


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when photos could not be parsed."""
    options = parse_options(arguments)
    reference = read_reference(options)
    require_ray()
    from inference.collection import parts  # late: torch takes seconds, a mistake above none

    pieces, passed_over = parts(options.inputs, options.labels)
    tell_passed_over(passed_over, "photos")
    if options.address:
        require_answer(options.address)
    with locked(options.out):
        wanted = check_same(options, reference)
        parser = make_parser(options)
        support = parser.set_reference(*reference)
        write_json(options.out / RUN, wanted)  # not before: a start that failed leaves nothing
        tell_reference(parser, options.checkpoint)

        from .ray_pipeline import forget_failures, parse, results  # late: it needs Ray

        forget_failures(options.out)
        parse(pieces, options, support)
        done, errors, notes = results(options.out)
    for line in errors:
        print(f"not parsed: {line}", file=sys.stderr)
    if notes:
        print(f"there are notes on {len(notes)} photos (column note), such as: {notes[0]}")
    print(f"{done - len(errors)} of {done} photos parsed into {options.out / 'shards'}")
    return 1 if errors else 0


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line. Raises `UserError` for a mistake in them."""
    options = ArgumentParser(prog="python -m tools.parse_collection", description=__doc__.splitlines()[0])
    add = options.add_argument
    add("inputs", nargs="+", help="folders of photos, photos, parquet files, tars, or folders of these")
    add_reference_options(options)
    add("--out", type=Path, default=Path("parsed"), help="folder for the results (default: %(default)s)")
    add("--workers", type=whole(1, 10_000), default=2, help="processes that parse (default: %(default)s)")
    add("--gpus-per-worker", type=float, default=0.0, help="such as 1, or 0.5 for two on a GPU (default: none)")
    add("--address", default="", help="a running Ray cluster, as host:port; by default one is started here")
    add("--shard", type=whole(1), default=256, help="rows of a parquet file at least (default: %(default)s)")
    add_parser_options(options)
    chosen = options.parse_args(arguments)
    if not 0 <= chosen.gpus_per_worker <= 8:
        raise UserError(f"--gpus-per-worker {chosen.gpus_per_worker}: must be 0 to 8")
    return chosen


def require_ray() -> None:
    """Raise `UserError` where Ray Data is not installed."""
    try:
        import pyarrow  # noqa: F401
        import ray.data.checkpoint  # noqa: F401  # Ray before 2.50 has none
    except ImportError as error:
        raise UserError(f"{error.name} is missing or too old: pip install -r requirements-scale.txt") from error


def require_answer(address: str) -> None:
    """Raise `UserError` unless something that may be a cluster answers at the address, within ten seconds."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE) as line:
            line.sendall(GREETING)
            answer = line.recv(9, socket.MSG_WAITALL)
        if answer[3:4] != bytes([SETTINGS]):
            raise ValueError("what listens there speaks another language")
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"--address {address}: no Ray cluster answers there ({error}); start one with `ray start --head`, or leave "
            "--address away"
        ) from error


def check_same(options: argparse.Namespace, reference: LabelledReference) -> dict[str, Any]:
    """What decides the results: the options, and digests of what they name.

    Raises `UserError` where earlier results in `--out` were made with something else.
    """
    path = options.out / RUN
    wanted: dict[str, Any] = {name: value for name, value in vars(options).items() if name not in ELSEWHERE}
    digests = {"digest_of_reference": _digest(reference), "digest_of_weights": _file_digest(options.checkpoint)}
    wanted |= digests
    before = read_json(path) if path.exists() else {}
    for name in (name for name, value in wanted.items() if before.get(name, value) != value):
        what = f"with other --{name.replace('_', '-')}"
        if name in digests:
            what = f"of an earlier {name.removeprefix('digest_of_')}, which has been changed since"
        raise UserError(f"{options.out}: holds results {what}; choose another --out")
    return wanted


def _file_digest(path: str) -> str:
    """A digest of a file; empty where it cannot be read, of which the one who then reads it tells."""
    try:
        return file_digest(path)
    except OSError:
        return ""


def _digest(reference: LabelledReference) -> str:
    """A digest of the labelled photos, as they were read."""
    parts = [[path, _file_digest(path)] for path in reference.photos]
    for label in reference.labels:
        masks = label if isinstance(label, dict) else {"": label}
        parts += [[name, *mask.shape, digest(mask.tobytes())] for name, mask in masks.items()]
    named = sorted((reference.names or {}).items()), sorted((reference.base_ids or {}).items())
    return digest(json.dumps([parts, *named]).encode())


if __name__ == "__main__":
    run_cli(main)
