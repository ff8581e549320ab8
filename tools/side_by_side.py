"""Results of evaluations side by side, where they are of the same pairs and labels."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    """A Markdown table of the results.json files `paths`: NPM's figures, and the settings in which they differ.

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
    return table(["results", *FIGURES.values(), *shown], rows)


def _read(path: str) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not all(name in content for name in (*MUST_AGREE, "figures")):
        raise UserError(f"{path}: does not say which pairs and labels it is of; evaluate the checkpoint anew")
    return content


def _figure(content: Mapping[str, Any], name: str) -> str:
    value = content["figures"]["npm"][name]
    return percent(float("nan") if value is None else value)
