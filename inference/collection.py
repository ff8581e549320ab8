"""Large collections: what they are read from, part by part, and the row that each photo becomes.

Nothing here knows of Ray: `tools/parse_collection.py` hands parts and photos to its workers.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from utils.errors import UserError
from utils.imaging import to_rgb
from utils.names import is_utf8
from utils.pictures import SUFFIXES, Tell, open_picture

from .inputs import collect, is_of_photos
from .masks import run_lengths
from .together import parse_together

if TYPE_CHECKING:  # who only reads need not wait for torch
    import pyarrow

    from .parser import OneShotParser
    from .parsing import Parsing

FILES_A_PART = 32  # a part is at least what one worker is given
AT_ONCE = 16  # photos of a parquet file in memory at once
TARS, PARQUET = (".tar", ".tgz", ".tar.gz"), (".parquet",)
NAMES, IMAGES = ("name", "path", "file_name", "id"), ("image", "bytes", "jpg", "content")  # columns of a parquet file


class Entry(NamedTuple):
    """A photo of a collection. `photo` says where it is, and no other has the same; `content` is None for a file."""

    photo: str
    name: str
    content: bytes | None = None
    error: str | None = None


class Part(NamedTuple):
    """What one task reads: some photo files, a parquet file or a tar."""

    kind: str
    paths: tuple[str, ...]

    def entries(self) -> Iterator[Entry]:
        """The photos in their order. Raises `UserError` for a parquet file without the columns for them."""
        if self.kind == "files":
            return (_in_utf8(Entry(path, Path(path).stem)) for path in self.paths)
        return map(_in_utf8, (_of_parquet if self.kind == "parquet" else _of_tar)(self.paths[0]))


def parts(inputs: Sequence[str], labels: Sequence[str] = ()) -> tuple[list[Part], list[str]]:
    """The parts of photos, parquet files, tars and folders of them, and the names of what is passed over in folders.

    The reference's `labels` are no photos. Paths are made absolute, so that a photo is recognised when a run is started
    again in another folder.
    Raises `UserError` as `collect` does.
    """
    packed: list[Part] = []
    plain: list[Path] = []
    own = {Path(label).resolve() for label in labels}
    passed_over: list[str] = []
    for path in (Path(one).absolute() for one in inputs):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        in_packs = [part for file in inside if (part := _packed(file))]
        packed += in_packs
        if not in_packs or any(file.suffix.lower() in SUFFIXES and file.resolve() not in own for file in inside):
            plain.append(path)
        else:
            passed_over += [f"{file.name}/" for file in inside if file.is_dir() and is_of_photos(file)]
    sources, unread = collect(plain, labels) if plain else ([], [])
    passed_over += [name for name in unread if not _packed(Path(name))]
    passed_over += [source.path.name for source in sources if source.is_video]
    photos = [str(source.path) for source in sources if not source.is_video]
    chunks = (photos[start : start + FILES_A_PART] for start in range(0, len(photos), FILES_A_PART))
    return [*(Part("files", tuple(chunk)) for chunk in chunks), *dict.fromkeys(packed)], passed_over


def rows(parser: OneShotParser, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The row of each photo, in their order, under the parser's reference: see `schema`."""
    results = {entry.photo: {"photo": entry.photo, "name": entry.name, "error": entry.error} for entry in entries}
    photos: dict[str, np.ndarray] = {}
    for entry in entries:
        if entry.error is None:
            notes: list[str] = []
            try:
                photos[entry.photo] = _rgb(entry, parser.depth, notes.append)
            except UserError as error:
                results[entry.photo]["error"] = _of_photo(entry, str(error))
            results[entry.photo]["note"] = _of_photo(entry, "; ".join(notes)) or None
    for photo, parsing in parse_together(parser, photos):
        results[photo] |= {"error": f"{photo}: {parsing}"} if isinstance(parsing, UserError) else _found(parsing)
    return list(results.values())


def schema() -> pyarrow.Schema:
    """The columns of a row. `size` and `counts` of a class are its mask as COCO's run lengths, `counts` compressed.

    A photo that could not be read or parsed has an `error` alone; `note` is what a reader should know of another.
    """
    import pyarrow as pa

    numbers = {
        "id": pa.int32(),
        "name": pa.string(),
        "pixels": pa.int64(),
        "share": pa.float64(),
        "score": pa.float64(),
    }
    of_class = pa.struct({**numbers, "size": pa.list_(pa.int32()), "counts": pa.string()})
    columns = {"photo": pa.string(), "name": pa.string(), "width": pa.int32(), "height": pa.int32()}
    return pa.schema({**columns, "classes": pa.list_(of_class), "error": pa.string(), "note": pa.string()})


def _found(parsing: Parsing) -> dict[str, Any]:
    height, width = parsing.labels.shape
    classes = [
        {"name": name, **area, **run_lengths(parsing.labels == area["id"])} for name, area in parsing.areas().items()
    ]
    return {"width": width, "height": height, "classes": classes}


class _Named(io.BytesIO):
    """Bytes that an error calls by the name of their photo."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.content or b"")
        self.called = entry.photo

    def __str__(self) -> str:
        return self.called


def _rgb(entry: Entry, depth: int, tell: Tell) -> np.ndarray:
    photo = entry.photo if entry.content is None else open_picture(_Named(entry), tell=tell)
    return to_rgb(photo, depth=depth, tell=tell)


def _of_photo(entry: Entry, line: str) -> str:
    """A line with the photo's own name, where `to_rgb` has none for it."""
    return line.replace("the photo:", f"{entry.photo}:", 1)


def _in_utf8(entry: Entry) -> Entry:
    """The entry, or an error where its name is not UTF-8: parquet files hold no other text."""
    if is_utf8(entry.photo):
        return entry
    photo = entry.photo.encode("utf-8", "backslashreplace").decode()
    return Entry(photo, photo, error=f"{photo}: its name is not UTF-8; rename it")


def _packed(path: Path) -> Part | None:
    name = path.name.lower()
    if name.startswith((".", "_")):
        return None
    kind = "tar" if name.endswith(TARS) else "parquet" if name.endswith(PARQUET) else ""
    return Part(kind, (str(path),)) if kind else None


def _of_parquet(path: str) -> Iterator[Entry]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        yield Entry(path, Path(path).stem, error=f"{path}: not a readable parquet file ({error})")
        return
    columns = file.schema_arrow.names
    name, image = (next((one for one in known if one in columns), None) for known in (NAMES, IMAGES))
    if name is None or image is None:
        wanted = f"one of {', '.join(NAMES)}, and one of {', '.join(IMAGES)}"
        raise UserError(f"{path}: has the columns {', '.join(columns)}; a photo needs {wanted}")
    number = 0
    try:
        for batch in file.iter_batches(AT_ONCE, columns=[name, image]):
            for row in batch.to_pylist():
                value = row[image]
                content = value.get("bytes") if isinstance(value, dict) else value  # a dict: Hugging Face's images
                fault = None if isinstance(content, bytes) else f"{path}: row {number} holds no bytes of a photo"
                yield Entry(f"{path}#{number}", str(row[name]), content if fault is None else None, fault)
                number += 1
    except (OSError, pyarrow.ArrowException) as error:
        yield Entry(path, Path(path).stem, error=f"{path}: cannot be read to its end ({error}); write it anew")


def _of_tar(path: str) -> Iterator[Entry]:
    try:
        with tarfile.open(path, "r|*") as tar:
            for member in tar:
                inside = Path(member.name)
                if not member.isfile() or inside.suffix.lower() not in SUFFIXES or inside.name.startswith("."):
                    continue
                file = tar.extractfile(member)
                yield Entry(f"{path}#{member.name}", str(inside.with_suffix("")), file.read() if file else b"")
    except (OSError, tarfile.TarError, EOFError) as error:
        yield Entry(path, Path(path).stem, error=f"{path}: cannot be read to its end ({error}); pack it anew")
