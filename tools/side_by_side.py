"""Results of evaluations side by side, where they are of the same pairs and labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import bootstrap
from engine.report import within
from utils.errors import UserError
from utils.files import read_json
from utils.log import percent, table

MUST_AGREE = {  # entry of results.json -> what it says, for people
    "dataset": "data set",
    "fold": "fold",
    "split": "photo list",
    "pairs_digest": "pairs",
    "labels_digest": "labels",
}
MAY_DIFFER = ("test_size", "precision", "prototypes")
FIGURES = {"human": "Human mIoU %", "base": "Base mIoU %", "novel": "Novel mIoU %"}


def side_by_side(paths: Sequence[str]) -> str:
    """Markdown tables of the results.json files `paths`: NPM's figures, and the settings in which they differ; then
    each one's figures less the first one's, with the 95 % interval of that over the query photos.

    Raises `UserError` that says what differs where two files are not of the same pairs and labels, and for a file
    that does not say what it is of.
    """
    contents = [_read(path) for path in paths]
    for path, content in zip(paths[1:], contents[1:], strict=True):
        differing = [what for name, what in MUST_AGREE.items() if content[name] != contents[0][name]]
        if differing:
            raise UserError(
                f"{path}: not of the same {', '.join(differing)} as {paths[0]}, so their figures cannot be compared; "
                "evaluate both on the same data"
            )
    shown = [name for name in MAY_DIFFER if len({content.get(name) for content in contents}) > 1]
    rows = [
        [path, *(_figure(content, name) for name in FIGURES), *(str(content.get(name)) for name in shown)]
        for path, content in zip(paths, contents, strict=True)
    ]
    return f"{table(['results', *FIGURES.values(), *shown], rows)}\n\n{_differences(paths, contents)}"


def _differences(paths: Sequence[str], contents: Sequence[Mapping[str, Any]]) -> str:
    """How far each differs from the first, on the same drawings of query photos; or what is missing for that."""
    draws, totals = [], []
    for path, content in zip(paths, contents, strict=True):
        beside = Path(path).with_suffix(".npz")
        counts = bootstrap.read_counts(beside)
        total = counts.figures(counts.matrices.sum(axis=0)) if counts else []
        if counts is None or not np.allclose(total, [_value(content, name) for name in FIGURES], equal_nan=True):
            return f"no intervals: {beside} is missing or of another evaluation; evaluate the checkpoint anew"
        draws.append(bootstrap.resampled(counts))
        totals.append(total)
    rows = []
    for path, drawn, total in zip(paths[1:], draws[1:], totals[1:], strict=True):
        ranges = bootstrap.intervals(drawn - draws[0])
        changes = np.subtract(total, totals[0])
        rows.append([path, *(_signed(c) + within(ranges[name]) for name, c in zip(FIGURES, changes, strict=True))])
    return table([f"less {paths[0]}, with 95 % interval", *FIGURES.values()], rows) if rows else ""


def _read(path: str) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not all(name in content for name in (*MUST_AGREE, "figures")):
        raise UserError(f"{path}: does not say which pairs and labels it is of; evaluate the checkpoint anew")
    return content


def _figure(content: Mapping[str, Any], name: str) -> str:
    return percent(_value(content, name))


def _value(content: Mapping[str, Any], name: str) -> float:
    value = content["figures"]["npm"][name]
    return float("nan") if value is None else value


def _signed(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:+.1f}"
