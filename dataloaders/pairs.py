"""The fixed pairs of a test or validation list: which query meets which support, and for which class."""

from collections.abc import Callable, Collection, Container, Sequence
from itertools import chain, cycle, islice
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

from .spec import DatasetSpec
from .supports import SupportIndex, read_plain_pickle


class Pair(NamedTuple):
    """One episode, as indices into the id list of its split."""

    query: int
    support: int
    class_id: int


class FixedList(NamedTuple):
    """The pairs of a test or validation list, and what the user should know about them."""

    pairs: list[Pair]
    reused: int = 0  # images that the rule had to take again
    lacking: tuple[str, ...] = ()  # classes of which the rule finds no query or no support
    passed_over: int = 0  # pairs left out since a file of theirs cannot be used

    def notes(self) -> list[str]:
        """A line for each of these."""
        lines = []
        if self.passed_over:
            what = f"{self.passed_over} pairs are passed over, since a file of theirs cannot be used"
            lines.append(f"{what}: the figures do not compare with those of the whole list")
        if self.lacking:
            names = ", ".join(self.lacking)
            lines.append(f"not evaluated, since the list of pairs lacks a query or a support of it: {names}")
        if self.reused:
            lines.append(f"the list of pairs had to use {self.reused} images more than once")
        return lines


def fixed_list(
    spec: DatasetSpec, path: Path | None, images: int, index: Callable[[], SupportIndex], bad: Collection[int]
) -> FixedList:
    """The pairs in the file `path`, where there is one and it stands, else those of the published rule.

    `images` is the length of the id list, `bad` holds the indices that cannot be used. Raises `UserError` on a broken
    list, and as `index` does, which is asked for the rule alone.
    """
    if path and path.exists():
        made = FixedList(pairs_from_list(spec, path, images))
    else:
        names = tuple(spec.class_name(c) for c in lacking(spec, index()))
        made = FixedList(*pairs_by_rule(spec, index()), names)
    good = [pair for pair in made.pairs if pair.query not in bad and pair.support not in bad]
    if not good:
        source = path if path and path.exists() else index().path
        raise UserError(f"{source}: every pair has a photo that cannot be used (list/bad_id.txt); mend these photos")
    return made._replace(pairs=good, passed_over=len(made.pairs) - len(good))


def pairs_by_rule(spec: DatasetSpec, index: SupportIndex) -> tuple[list[Pair], int]:
    """The published rule, and how many images it had to take a second time.

    Class after class in `spec.evaluation_order`: the first `queries_per_class` query images that no earlier class has
    taken, each beside the next `supports_per_query` support images not used before. A class with too few of them goes
    on with its images from the start of its list; one without any in either role is left out (see `lacking`).
    Raises `UserError` when none is left.
    """
    pairs: list[Pair] = []
    queries_taken: set[int] = set()
    supports_taken: set[int] = set()
    reused = 0
    left_out = lacking(spec, index)
    if len(left_out) == len(spec.evaluation_order):
        raise UserError(f"{index.path}: no class has a query and a support image; mend the list or prepare again")
    for class_id in spec.evaluation_order:
        if class_id in left_out:
            continue
        queries, again = _next_unused(index.queries(class_id), queries_taken, spec.queries_per_class)
        wanted = spec.queries_per_class * spec.supports_per_query
        supports, again_supports = _next_unused(index.supports(class_id), supports_taken, wanted)
        queries_taken.update(queries)
        supports_taken.update(supports)
        reused += again + again_supports
        repeated = chain.from_iterable([query] * spec.supports_per_query for query in queries)
        pairs += [Pair(query, support, class_id) for query, support in zip(repeated, supports, strict=True)]
    return pairs, reused


def lacking(spec: DatasetSpec, index: SupportIndex) -> list[int]:
    """The classes that the list cannot show: those without a query or without a support image."""
    return [class_id for class_id in spec.evaluation_order if not all(index.roles(class_id))]


def pairs_from_list(spec: DatasetSpec, path: Path, images: int) -> list[Pair]:
    """The episodes of a `<set>_meta_test_list.txt`: a pickle of three int lists, queries, supports and classes.

    Raises `UserError` when the file is broken or does not fit a test list of `images` ids.
    """
    lists = read_plain_pickle(path)
    if not isinstance(lists, list | tuple) or len(lists) != 3 or not all(isinstance(part, list) for part in lists):
        raise UserError(f"{path}: must hold three int lists (queries, supports, classes); delete it to use the rule")
    lengths = {len(part) for part in lists}
    if len(lengths) != 1 or 0 in lengths or any(type(v) is not int for part in lists for v in part):
        raise UserError(f"{path}: its three lists must be ints of one length; delete it to use the rule")
    if min(lists[0] + lists[1]) < 0 or max(lists[0] + lists[1]) >= images:
        raise UserError(f"{path}: points past the {images} ids of the test list; delete it to use the rule")
    unknown = set(lists[2]) - set(spec.classes[1:])
    if unknown:
        raise UserError(f"{path}: class {min(unknown)} is none of {spec.title}'s classes; delete it to use the rule")
    return [Pair(*episode) for episode in zip(*lists, strict=True)]


def _next_unused(candidates: Sequence[int], taken: Container[int], wanted: int) -> tuple[list[int], int]:
    """The first `wanted` candidates not in `taken`, and the number filled up with images that had been used before."""
    chosen = list(islice((image for image in candidates if image not in taken), wanted))
    missing = wanted - len(chosen)
    if missing:
        others = [image for image in candidates if image in taken]
        chosen += islice(cycle([*others, *chosen]), missing)
    return chosen, missing
