"""The photos of a collection for Ray Data. The processes that read need not wait for torch, so it is not imported."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from inference.collection import Part

AT_ONCE = 8  # photos that a process has in memory
ENTRIES = pa.schema({"photo": pa.string(), "name": pa.string(), "content": pa.binary(), "error": pa.string()})


class Photos(Datasource):
    """The parts of a collection, each a task."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = parts

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """A task for each part."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(partial(_tables, part), unknown) for part in self.parts]


def _tables(part: Part) -> Iterator[pa.Table]:
    """The photos of a part, a few at a time."""
    some: list[dict[str, Any]] = []
    for entry in part.entries():
        some.append(entry._asdict())
        if len(some) == AT_ONCE:
            yield pa.Table.from_pylist(some, ENTRIES)
            some = []
    if some:
        yield pa.Table.from_pylist(some, ENTRIES)
