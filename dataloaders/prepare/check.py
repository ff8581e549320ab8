"""Prove a prepared data set right: `python -m dataloaders.check NAME [--data-root DIR] [--full]`.

One line for each finding, a summary table, exit status 0 when nothing was found and 1 otherwise.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from utils.config import ArgumentParser
from utils.errors import UserError
from utils.parallel import parallel_map

from .. import catalog
from ..layout import image_path, label_path, list_path, mirrored_label_path, pairs_path, read_bad_ids, read_ids
from ..pairs import Pair, pairs_by_rule, pairs_from_list
from ..spec import SPLITS, VAL, DatasetSpec
from ..supports import SupportIndex, read_supports
from .photos import Report, SourceFiles, attempt, inspect

FEW_TRAIN, FEW_TEST = 60, 20  # photos of a list of the user's own
SAMPLE = 2000  # ids of each split whose support entries and mirrored labels are checked without --full
SHOWN = 20  # findings of one kind that are printed; the rest is counted


@dataclass
class Outcome:
    """What a check found."""

    findings: list[tuple[str, str]] = field(default_factory=list)  # (kind, line naming the file)
    summary: list[str] = field(default_factory=list)  # lines of the table
    notes: list[str] = field(default_factory=list)  # what is right, and too little for its use

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
        for note in self.notes:
            yield f"note: {note}"


def check(spec: DatasetSpec, root: str | Path, *, full: bool = False, decode: bool = True) -> Outcome:
    """Check the data set in `root`.

    `full` compares every support entry and mirrored label instead of a sample; without `decode` photos are opened but
    not read to the end. Raises `UserError` only when `root` is missing; all else becomes a finding.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; prepare {spec.title} first (docs/data.md) or set --data-root")
    return _Check(spec, root, full, decode).run()


class _Part(NamedTuple):
    """One split as it was found."""

    split: str
    ids: list[str]
    sample: set[int]  # whose support entries and mirrored labels are checked
    reports: list[Report]
    supports: SupportIndex | None


@dataclass
class _Check:
    spec: DatasetSpec
    root: Path
    full: bool
    decode: bool
    outcome: Outcome = field(default_factory=Outcome)

    def run(self) -> Outcome:
        lists = {split: attempt(self.outcome.of("list"), read_ids, self.root, split) for split in SPLITS}
        ids = {split: split_ids for split, split_ids in lists.items() if split_ids is not None}
        self.check_lists(ids)
        parts = [self.look_at(split, split_ids) for split, split_ids in ids.items()]
        for part in parts:
            if part.supports is not None:
                self.check_supports(part, part.supports)
                self.check_enough(part, part.supports)
        self.outcome.summary += self.table(parts)
        if self.spec.home is not None:
            self.note_few(parts)
        return self.outcome

    def note_few(self, parts: Sequence[_Part]) -> None:
        """Say of a set of the user's own what it is too small for."""
        numbers = {part.split: len(part.ids) for part in parts}
        if numbers.get("train", FEW_TRAIN) < FEW_TRAIN:
            what = f"{numbers['train']} training photos are few, and a network may find nothing after training on them"
            remedy = (
                "label some hundred, or parse with the checkpoint that comes with the project, which needs no training"
            )
            self.outcome.notes.append(f"{what}; {remedy}: python predict.py (docs/own-photos.md)")
        if numbers.get("test", FEW_TEST) < FEW_TEST:
            self.outcome.notes.append(f"{numbers['test']} test photos measure little; the figures will jump about")

    def check_lists(self, ids: dict[str, list[str]]) -> None:
        counts = self.spec.counts or {}
        for split, split_ids in ids.items():
            path, wanted = list_path(self.root, split), counts.get(split, len(split_ids))
            if len(split_ids) != wanted:
                self.outcome.add("count", f"{path}: {len(split_ids)} ids, the published list has {wanted}")
            for image_id, number in Counter(split_ids).items():
                if number > 1:
                    self.outcome.add("list", f"{path}: {image_id} stands {number} times")
        if list_path(self.root, VAL).exists():
            val = attempt(self.outcome.of("list"), read_ids, self.root, VAL)
            self.outcome.summary.append(f"validation list: {len(val or ())} of the train photos")
        for image_id in sorted(set(ids.get("train", ())) & set(ids.get("test", ()))):
            self.outcome.add("list", f"{list_path(self.root, 'test')}: {image_id} is a training image too")

    def look_at(self, split: str, ids: list[str]) -> _Part:
        """Inspect the files of a split, and read its support index."""
        sample = set(range(0, len(ids), 1 if self.full else max(1, -(-len(ids) // SAMPLE))))
        unusable = read_bad_ids(self.root)
        bad = {index for index, image_id in enumerate(ids) if image_id in unusable}
        sample -= bad
        files = {i: SourceFiles(n, image_path(self.root, n), label_path(self.root, n)) for i, n in enumerate(ids)}
        for index in sample:
            mirrored = mirrored_label_path(self.root, ids[index])
            files[index] = files[index]._replace(mirrored=mirrored if mirrored.exists() else None)
        good = [index for index in files if index not in bad]
        task = partial(inspect, self.spec, decode=self.decode)
        title = f"{self.spec.title} {split}: photos and labels"
        inspected = dict(zip(good, parallel_map(task, [files[i] for i in good], title, "photo"), strict=True))
        reports = [inspected.get(index, Report(())) for index in files]
        for problem in chain(*(report.problems for report in reports)):
            self.outcome.add("file", problem)
        if bad:
            self.outcome.summary.append(f"{len(bad)} of the {split} ids are passed over: their files cannot be used")
        supports = attempt(self.outcome.of("support"), read_supports, self.spec, self.root, split, len(ids))
        return _Part(split, ids, sample, reports, supports)

    def check_supports(self, part: _Part, index: SupportIndex) -> None:
        """Compare the support index with the classes that the label maps hold."""
        indexed: dict[int, set[int]] = {image: set() for image in part.sample}
        for class_id in self.spec.classes[1:]:
            for image in part.sample.intersection(chain(*index.roles(class_id))):
                indexed[image].add(class_id)
        for image in sorted(part.sample):
            if part.reports[image].problems:
                continue  # what the label holds is not known
            if wrong := indexed[image] ^ self.spec.classes_of(part.reports[image].raw_ids):
                classes = ", ".join(self.spec.class_name(c) for c in sorted(wrong))
                fault = f"{part.ids[image]} (index {image}) is wrong about {classes}"
                self.outcome.add("support", f"{index.path}: {fault}; delete it and prepare again")

    def check_enough(self, part: _Part, index: SupportIndex) -> None:
        """Can the episodes be drawn: every class has queries and supports, and the test list comes out."""
        for class_id in self.spec.classes[1:] if part.split == "train" else self.spec.evaluation_order:
            attempt(self.outcome.of("class"), index.queries, class_id)
            attempt(self.outcome.of("class"), index.supports, class_id)
            if self.spec.both_roles(part.split) and len(index.roles(class_id)[0]) == 1:
                fault = (
                    f"class {class_id} ({self.spec.class_name(class_id)}) has one image, so no query finds a support"
                )
                self.outcome.add("class", f"{index.path}: {fault}")
        fixed = pairs_path(self.spec, self.root)
        if part.split == "test" and fixed.exists():
            listed = attempt(self.outcome.of("pairs"), pairs_from_list, self.spec, fixed, len(part.ids)) or []
            self.check_pairs(part, fixed, listed)
            self.outcome.summary.append(f"test list: {fixed}, {len(listed)} pairs")
        elif part.split == "test":
            with suppress(UserError):  # the class without images has been named above
                pairs, reused = pairs_by_rule(self.spec, index)
                again = f", {reused} images taken again where a class has too few" if reused else ""
                self.outcome.summary.append(f"test list: by the rule, {len(pairs)} pairs{again}")

    def check_pairs(self, part: _Part, path: Path, pairs: Sequence[Pair]) -> None:
        """Does each photo of a fixed test list show the class of its pairs: not where the list is of other ids."""
        shown = {i: self.spec.classes_of(report.raw_ids) for i, report in enumerate(part.reports) if report.raw_ids}
        for image, class_id in dict.fromkeys((image, pair.class_id) for pair in pairs for image in pair[:2]):
            if class_id not in shown.get(image, {class_id}):
                fault = f"{part.ids[image]} (index {image}) does not show {self.spec.class_name(class_id)}"
                self.outcome.add("pairs", f"{path}: {fault}; delete it to use the rule")

    def table(self, parts: Sequence[_Part]) -> Iterator[str]:
        """The number of ids of each split, and for each class the images that hold it, its queries and supports."""
        for part in parts:
            yield f"{self.spec.title} {part.split}: {len(part.ids)} ids"
        header = "".join(f"{f'{part.split}: photos':>15}{'queries':>9}{'supports':>9}" for part in parts)
        yield f"{'class':<22}{header}"
        for class_id in self.spec.classes[1:]:
            cells = ""
            for part in parts:
                photos = sum(class_id in self.spec.classes_of(report.raw_ids) for report in part.reports)
                queries, supports = part.supports.roles(class_id) if part.supports is not None else ((), ())
                cells += f"{photos:>15}{len(queries):>9}{len(supports):>9}"
            yield f"{class_id:>3} {self.spec.class_name(class_id):<18}{cells}"


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
    rest = "nothing is broken; mind the notes" if outcome.notes else "all is well"
    print(f"{len(outcome.findings)} findings" if outcome.findings else rest)
    return 1 if outcome.findings else 0
