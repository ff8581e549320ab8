"""Typed settings: read from the command line, checked, saved as a plain dict and read back.

Settings are dataclasses whose fields are made by `option`; each class is a group of options `--name` in the help. A
settings class may have a method `check`, which raises `UserError` for values that cannot work.
"""

import argparse
import dataclasses
import json
import math
import reprlib
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from .errors import UserError
from .files import read_lines

T = TypeVar("T")
MOST = 10**6  # of a number that nothing else bounds: beyond it torch's own arithmetic overflows


def option(
    default: Any,
    help: str,
    choices: Sequence[Any] | None = None,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = MOST,
    old: str = "",
    old_of: str = "",
    positional: bool = False,
    only_for: Sequence[str] = (),
) -> Any:
    """A settings field that is also a command-line option.

    A number must be finite, at least `least` and at most `most`, and greater than `above`. `old` is the field's earlier
    name, which goes on working. `old_of` marks a field that is itself the earlier form of the option named: it is left
    out of the help. A `positional` one has no flag, and takes any number of words. `only_for` holds the methods that
    alone have a use for it, which the help names; `refuse_unused` is for the others.
    """
    help = f"{', '.join(only_for)}: {help}" if only_for else help
    metadata = {"help": help, "choices": choices, "range": (least, above, most), "old": old, "old_of": old_of}
    return dataclasses.field(default=default, metadata={**metadata, "positional": positional, "only_for": only_for})


def parse(kind: type[T], arguments: Sequence[str] | None = None, description: str = "") -> T:
    """Fill settings from the command line; `--dry-run` prints them as JSON and exits. `UserError` for bad values."""
    parser = ArgumentParser(
        description=description,
        epilog="@FILE reads further options from a file, one a line.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    hints = typing.get_type_hints(kind)
    entries = {entry.name: entry for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for base in (*kind.__mro__[1:], kind):
        own = [entries[name] for name in vars(base).get("__annotations__", {}) if name in entries]
        group = parser.add_argument_group((base.__doc__ or "").strip()) if own else parser
        for entry in own:
            _add(group, entry, hints[entry.name])
    parser.add_argument("--dry-run", action="store_true", help="print the settings as JSON and exit")
    values = vars(parser.parse_args(list(_with_files(sys.argv[1:] if arguments is None else arguments))))
    dry_run = values.pop("dry_run")
    settings = kind(**_tuples(values))
    for name, value in vars(settings).items():
        _check_range(flag_of(name), value, *entries[name].metadata["range"])
    if check := getattr(settings, "check", None):
        check()
    if dry_run:
        print(json.dumps(dataclasses.asdict(settings), indent=2))  # type: ignore[call-overload]  # a dataclass
        raise SystemExit(0)
    return settings


def restore(kind: type[T], values: Mapping[str, Any], source: object = "settings") -> T:
    """Settings from the dict in a checkpoint. What it lacks takes its default; fields unknown today are left out.

    Raises `UserError` about `source` for a value that the field cannot have.
    """
    entries = {entry.name: entry for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    today, hints = today_names(kind, values), typing.get_type_hints(kind)
    known = _tuples({name: value for name, value in today.items() if name in entries})
    for name, value in known.items():
        choices = entries[name].metadata["choices"]
        if not _is_of(value, hints[name]) or (choices and value not in choices):
            raise UserError(f"{source}: {name} cannot be {reprlib.repr(value)}; fetch or write the file anew")
        _check_range(f"{source}: {name}", value, *entries[name].metadata["range"])
    return kind(**known)


def today_names(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in `values`, those of `kind` that had another name in earlier checkpoints under today's."""
    today = {entry.metadata["old"]: entry.name for entry in dataclasses.fields(kind) if entry.metadata["old"]}
    return {today.get(name, name): value for name, value in values.items()}


def whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """The type of an option of `ArgumentParser` that takes whole numbers from `least` to `most`."""

    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} must be {least} to {most}")
        return value

    return number


class ArgumentParser(argparse.ArgumentParser):
    """Tells a mistake in one line, as all of this project's commands do."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help lists the options")


def flag_of(name: str) -> str:
    """The command-line option of a settings field."""
    return "--" + name.replace("_", "-")


def require(holds: bool, name: str, what: str) -> None:
    """Raise `UserError` about the option of field `name` unless it `holds`."""
    if not holds:
        raise UserError(f"{flag_of(name)} {what}")


def unused_by(method: str, kind: Any) -> list[dataclasses.Field]:
    """The fields of settings, or of their class, that the method has no use for."""
    return [f for f in dataclasses.fields(kind) if f.metadata["only_for"] and method not in f.metadata["only_for"]]


def refuse_unused(settings: Any, method: str) -> None:
    """Raise `UserError` for a setting that the method has no use for and that is not left at its default."""
    for field in unused_by(method, settings):
        flag = f"no_{field.name}" if field.default is True else field.name
        methods = " or ".join(field.metadata["only_for"])
        unset = getattr(settings, field.name) == field.default
        require(unset, flag, f"is for --method {methods}, not {method}; leave it away")


def _with_files(arguments: Sequence[str], within: tuple[str, ...] = ()) -> Iterator[str]:
    """The arguments, with those in each @FILE in its place. argparse's own way reads no byte order marks."""
    for argument in arguments:
        if not argument.startswith("@"):
            yield argument
            continue
        path = argument[1:]
        if path in within:
            raise UserError(f"{path}: reads itself; take the line {argument} out")
        try:
            lines = read_lines(path, "one option a line")
        except OSError as error:
            raise UserError(f"{path}: options cannot be read there ({error.strerror}); check the path") from error
        yield from _with_files(lines, (*within, path))


def _check_range(name: str, value: object, least: float, above: float, most: float) -> None:
    """Raise `UserError` unless a number, or every number of a tuple, is finite and lies in its range."""
    for number in value if isinstance(value, tuple) else (value,):
        if not isinstance(number, (int, float)):
            continue
        if isinstance(number, float) and not math.isfinite(number):
            raise UserError(f"{name} {number}: must be a finite number")
        if number < least or number <= above or number > most:
            bounds = {"greater than": above, "at least": least, "at most": most}
            told = ", ".join(f"{what} {bound:g}" for what, bound in bounds.items() if math.isfinite(bound))
            raise UserError(f"{name} {number}: must be {told}")


class _OldName(argparse.Action):
    """The earlier name of an option: it works, says how the option is called `today`, and is left out of the help."""

    def __init__(self, option_strings: Sequence[str], dest: str, today: str, **options: Any) -> None:
        super().__init__(option_strings, dest, **{**options, "help": argparse.SUPPRESS})
        self.today = today

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, flag: str | None = None) -> None:
        print(f"{flag} is now {self.today}", file=sys.stderr)
        setattr(namespace, self.dest, values)


def _add(group: argparse._ActionsContainer, entry: dataclasses.Field, hint: Any) -> None:
    metadata, flag = entry.metadata, flag_of(entry.name)
    if hint is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=entry.default, help=metadata["help"])
        return
    if metadata["positional"]:
        group.add_argument(entry.name, nargs="*", default=entry.default, help=metadata["help"])
        return
    kind: dict[str, Any] = {"type": hint, "choices": metadata["choices"]}
    if isinstance(hint, types.GenericAlias):
        first, *others = typing.get_args(hint)
        kind = {"type": first, "nargs": 1 + len(others)}
    earlier: dict[str, Any] = {**kind, "action": _OldName}
    if metadata["old_of"]:
        group.add_argument(flag, default=entry.default, today=metadata["old_of"], **earlier)
        return
    group.add_argument(flag, default=entry.default, help=metadata["help"], **kind)
    if metadata["old"]:
        unset = argparse.SUPPRESS
        group.add_argument(flag_of(metadata["old"]), dest=entry.name, default=unset, today=flag, **earlier)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _is_of(value: object, hint: Any) -> bool:
    """Whether a value is of a field's type; whole numbers are floats too, and True is no number."""
    if isinstance(hint, types.GenericAlias):
        inner = typing.get_args(hint)
        whole = isinstance(value, tuple) and len(value) == len(inner)
        return whole and all(map(_is_of, typing.cast(tuple, value), inner))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
