"""Prove a prepared data set right: `python -m dataloaders.check NAME [--data-root DIR] [--full]`.

One line for each finding, a summary table, exit status 0 when nothing was found and 1 otherwise.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from utils.config import ArgumentParser
from utils.errors import UserError
from utils.parallel import parallel_map

from .. import catalog
from ..layout import image_path, label_path, list_path, mirrored_label_path, pairs_path, read_ids
from ..pairs import pairs_by_rule, pairs_from_list
from ..spec import SPLITS, DatasetSpec
from ..supports import SupportIndex, read_supports
from .photos import Report, SourceFiles, attempt, inspect

SAMPLE = 2000  # ids of each split whose support entries and mirrored labels are checked without --full
SHOWN = 20  # findings of one kind that are printed; the rest is counted


@dataclass
class Outcome:
    """What a check found."""

    findings: list[tuple[str, str]] = field(default_factory=list)  # (kind, line naming the file)
    summary: list[str] = field(default_factory=list)  # lines of the table

    def add(self, kind: str, line: str) -> None:
        """Note a finding."""
        self.findings.append((kind, line))

    def of(self, kind: str) -> Callable[[str], None]:
        """Where findings of one kind go."""
        return partial(self.add, kind)

    def lines(self) -> Iterator[str]:
        """The findings as they are printed, the first few of each kind."""
        seen: Counter[str] = Counter()
        for kind, line in self.findings:
            seen[kind] += 1
            if seen[kind] <= SHOWN:
                yield f"{kind}: {line}"
        for kind, number in seen.items():
            if number > SHOWN:
                yield f"{kind}: and {number - SHOWN} more"


def check(spec: DatasetSpec, root: str | Path, *, full: bool = False, decode: bool = True) -> Outcome:
    """Check the data set in `root`.

    `full` compares every support entry and mirrored label instead of a sample; without `decode` photos are opened but
    not read to the end. Raises `UserError` only when `root` is missing; all else becomes a finding.
    """
    root, outcome = Path(root), Outcome()
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; prepare {spec.title} first (docs/data.md) or set --data-root")
    lists = {split: attempt(outcome.of("list"), read_ids, root, split) for split in SPLITS}
    ids = {split: split_ids for split, split_ids in lists.items() if split_ids is not None}
    _check_lists(spec, root, ids, outcome)
    rows = []
    for split, split_ids in ids.items():
        sample = _sample(len(split_ids), full)
        reports = _check_files(spec, root, split, split_ids, sample, decode, outcome)
        index = attempt(outcome.of("support"), read_supports, spec, root, split, len(split_ids))
        if index is not None:
            _check_supports(spec, index, split_ids, reports, sample, outcome)
            _check_enough(spec, root, split, index, len(split_ids), outcome)
        rows.append((split, reports, index))
    outcome.summary += _table(spec, rows)
    return outcome


def _check_lists(spec: DatasetSpec, root: Path, ids: dict[str, list[str]], outcome: Outcome) -> None:
    for split, split_ids in ids.items():
        path = list_path(root, split)
        if spec.counts is not None and len(split_ids) != spec.counts[split]:
            outcome.add("count", f"{path}: {len(split_ids)} ids, the published list has {spec.counts[split]}")
        for image_id, number in Counter(split_ids).items():
            if number > 1:
                outcome.add("list", f"{path}: {image_id} stands {number} times")
    for image_id in sorted(set(ids.get("train", ())) & set(ids.get("test", ()))):
        outcome.add("list", f"{list_path(root, 'test')}: {image_id} is a training image too")


def _check_files(
    spec: DatasetSpec, root: Path, split: str, ids: Sequence[str], sample: set[int], decode: bool, outcome: Outcome
) -> list[Report]:
    files = [SourceFiles(image_id, image_path(root, image_id), label_path(root, image_id)) for image_id in ids]
    for index in sample:
        mirrored = mirrored_label_path(root, ids[index])
        if mirrored.exists():
            files[index] = files[index]._replace(mirrored=mirrored)
    task = partial(inspect, spec, decode=decode)
    reports = parallel_map(task, files, f"{spec.title} {split}: photos and labels", "photo")
    for report in reports:
        for problem in report.problems:
            outcome.add("file", problem)
    return reports


def _check_supports(
    spec: DatasetSpec,
    index: SupportIndex,
    ids: Sequence[str],
    reports: Sequence[Report],
    sample: set[int],
    outcome: Outcome,
) -> None:
    """Compare the support index with the classes that the label maps hold."""
    indexed: dict[int, set[int]] = {image: set() for image in sample}
    for class_id in spec.classes[1:]:
        for image in sample.intersection(chain(*index.roles(class_id))):
            indexed[image].add(class_id)
    for image in sorted(sample):
        if reports[image].problems:
            continue  # what the label holds is not known
        wrong = indexed[image] ^ spec.classes_of(reports[image].raw_ids)
        if wrong:
            classes = ", ".join(spec.class_name(c) for c in sorted(wrong))
            outcome.add(
                "support",
                f"{index.path}: {ids[image]} (index {image}) is wrong about {classes}; delete it and prepare again",
            )


def _check_enough(
    spec: DatasetSpec, root: Path, split: str, index: SupportIndex, images: int, outcome: Outcome
) -> None:
    """Can the episodes be drawn: every class has queries and supports, and the test list comes out."""
    for class_id in spec.classes[1:] if split == "train" else spec.evaluation_order:
        attempt(outcome.of("class"), index.queries, class_id)
        attempt(outcome.of("class"), index.supports, class_id)
        if spec.both_roles(split) and len(index.roles(class_id)[0]) == 1:
            name = spec.class_name(class_id)
            outcome.add("class", f"{index.path}: class {class_id} ({name}) has one image, so no query finds a support")
    if split != "test":
        return
    fixed = pairs_path(spec, root)
    if fixed.exists():
        pairs = attempt(outcome.of("pairs"), pairs_from_list, spec, fixed, images)
        outcome.summary.append(f"test list: {fixed}, {len(pairs or ())} pairs")
        return
    try:
        pairs, reused = pairs_by_rule(spec, index)
    except UserError:
        return  # the class without images has been named above
    again = f", {reused} images taken again where a class has too few" if reused else ""
    outcome.summary.append(f"test list: by the rule, {len(pairs)} pairs{again}")


def _sample(number: int, full: bool) -> set[int]:
    """Evenly spaced indices: all of them with `full`, else at most `SAMPLE`."""
    return set(range(0, number, 1 if full else max(1, -(-number // SAMPLE))))


def _table(spec: DatasetSpec, rows: list[tuple[str, list[Report], SupportIndex | None]]) -> list[str]:
    """For each split the number of ids, and for each class the images that hold it and its queries and supports."""
    lines = [f"{spec.title} {split}: {len(reports)} ids" for split, reports, _ in rows]
    header = "".join(f"{f'{split}: photos':>15}{'queries':>9}{'supports':>9}" for split, _, _ in rows)
    lines.append(f"{'class':<22}{header}")
    for class_id in spec.classes[1:]:
        cells = ""
        for _, reports, index in rows:
            photos = sum(class_id in spec.classes_of(report.raw_ids) for report in reports)
            queries, supports = index.roles(class_id) if index is not None else ((), ())
            cells += f"{photos:>15}{len(queries):>9}{len(supports):>9}"
        lines.append(f"{class_id:>3} {spec.class_name(class_id):<18}{cells}")
    return lines


def main() -> int:
    """Command line of the check."""
    parser = ArgumentParser(prog="python -m dataloaders.check", description="Check a prepared data set.")
    parser.add_argument("dataset", help=f"{', '.join(catalog.names())}, or the path of a dataset.json")
    parser.add_argument(
        "--data-root", type=Path, default=catalog.DATA_ROOT, help="folder of the data sets (%(default)s)"
    )
    parser.add_argument(
        "--full", action="store_true", help="compare every support entry and mirrored label, not a sample"
    )
    arguments = parser.parse_args()
    spec = catalog.load(arguments.dataset)
    outcome = check(spec, catalog.locate(spec, arguments.data_root), full=arguments.full)
    print(*outcome.lines(), *outcome.summary, sep="\n")
    print(f"{len(outcome.findings)} findings" if outcome.findings else "all is well")
    return 1 if outcome.findings else 0
