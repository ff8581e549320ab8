"""Recipes of masks, read before any photo is parsed: "foreground - hair - skin | fill | grow 2%".

A recipe is a sum of classes, `background` and `foreground`, then steps behind bars. Names hold blanks and hyphens
themselves, so the longest name that the reference knows is taken. docs/after-parsing.md explains the steps.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError
from utils.files import read_json

FOREGROUND, BACKGROUND = "foreground", "background"
MEASURED, PLAIN = ("grow", "shrink", "feather", "drop"), ("invert", "fill", "box")  # steps with a number, and without
PERSON = ("person", "people", "human", "body")  # as users may call the foreground
NUMBER = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(%|px)?")
NUMBERED = re.compile(r"person\s+(\d+)(?![\w.%])", re.I)  # one of the persons of a photo
UNKNOWN = re.compile(r".+?(?=\s*[+|]|\s+-|$)", re.S)
NAME = re.compile(r"[\w-]+")


class Operation(NamedTuple):
    """One thing that is done to the mask: `+` or `-` a class, or a step with its `length` or area, if it has one."""

    name: str
    operand: str = ""  # the class, `foreground`, `background` or "person 2"
    length: float = 0.0
    percent: bool = False  # the length is a share of the person's height, an area one of the person's; else pixels


class Recipe(NamedTuple):
    """What a recipe says, in its order, and the classes in it that the reference lacks."""

    operations: tuple[Operation, ...]
    lacks: tuple[str, ...] = ()

    @property
    def persons(self) -> dict[str, int]:
        """The numbers of the persons that it names, by these names."""
        numbered = {one.operand: NUMBERED.fullmatch(one.operand) for one in self.operations}
        return {operand: int(match[1]) for operand, match in numbered.items() if match}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to start from: all that it adds is lacking."""
        return not any(operation.name == "+" for operation in self.operations)


def parse_recipe(text: str, names: Iterable[str], source: str = "mask", *, lenient: bool = False) -> Recipe:
    """The recipe in `text`, for a reference with classes called `names`.

    A class that the reference lacks raises `UserError`, or, where `lenient`, is passed over and noted. So does
    anything else that is no recipe; the message points at the place with a caret.
    """
    return _Reader(text, names, source, lenient).read()


def read_recipes(
    given: Sequence[str], files: Sequence[str], names: Iterable[str]
) -> tuple[dict[str, Recipe], list[str]]:
    """Recipes by name, of NAME=RECIPE texts and of JSON files {name: recipe}; and lines on what was passed over.

    A file may be shared between references: a class that this one lacks is passed over in it, and a mask of which
    nothing is left is not made. Raises `UserError` for a recipe that cannot be read, and for two of one name.
    """
    names, recipes, notes = list(names), dict[str, Recipe](), list[str]()
    entries = [(*_named(text), "--mask", False) for text in given]
    entries += [(name, text, path, True) for path in files for name, text in _read_file(path).items()]
    for name, text, source, lenient in entries:
        recipe = parse_recipe(text, names, f"{source} {name}", lenient=lenient)
        if not NAME.fullmatch(name):
            raise UserError(f"{source}: a mask cannot be called {name!r}; use letters, digits, - and _")
        if name in recipes:
            raise UserError(f"{source}: two masks are called {name!r}; give each a name of its own")
        if recipe.lacks:
            what = "so it is not made" if recipe.is_empty else "which it goes without"
            lacks = ", ".join(f"{lack!r}{_nearest(lack, names)}" for lack in recipe.lacks)
            notes.append(f"{source}: mask {name}: the reference lacks {lacks}, {what}")
        if not recipe.is_empty:
            recipes[name] = recipe
    return recipes, notes


def _named(text: str) -> tuple[str, str]:
    name, equals, recipe = text.partition("=")
    if not equals:
        raise UserError(f"--mask {text!r}: must be NAME=RECIPE, such as 'clothes=foreground - hair - skin'")
    return name.strip(), recipe


def _read_file(path: str | Path) -> Mapping[str, str]:
    content = read_json(path, by_hand=True)
    if not isinstance(content, dict) or not content or not all(isinstance(text, str) for text in content.values()):
        raise UserError(f"{path}: must hold recipes by name, {json.dumps({'clothes': 'foreground - hair - skin'})}")
    return content


def _nearest(name: str, names: Iterable[str]) -> str:
    if name.lower() in PERSON:
        return f" (the person is {FOREGROUND!r})"
    near = difflib.get_close_matches(name.lower(), [FOREGROUND, BACKGROUND, *names], 1, 0.6)
    return f" (the nearest is {near[0]!r})" if near else ""


class _Reader:
    """Reads one recipe from left to right; `place` is where it is in the text."""

    def __init__(self, text: str, names: Iterable[str], source: str, lenient: bool) -> None:
        self.text, self.source, self.lenient, self.place = text, source, lenient, 0
        self.names = sorted({FOREGROUND, BACKGROUND, *names}, key=len, reverse=True)
        self.lacks: list[str] = []

    def read(self) -> Recipe:
        """The whole recipe; raises `UserError` where it is none."""
        operations = self._term("+")
        while sign := self._next():
            if operations and operations[-1].name == "feather":
                raise self._wrong("nothing can follow feather")
            if sign not in "+-|":
                raise self._wrong("expected +, - or |")
            self.place += 1
            if sign != "|":
                operations += self._term(sign)
            elif self._next() not in ("+", "-"):  # classes may be added and taken away behind a bar too
                operations.append(self._step())
        return Recipe(tuple(operations), tuple(dict.fromkeys(self.lacks)))

    def _next(self) -> str:
        """The next letter that is no blank; empty at the end."""
        rest = self.text[self.place :]
        self.place += len(rest) - len(rest.lstrip())
        return self.text[self.place : self.place + 1]

    def _term(self, sign: str) -> list[Operation]:
        if self._next() in ("", "+", "-", "|"):
            raise self._wrong("expected a class, foreground or background")
        for name in self.names:
            end = self.place + len(name)
            if self.text[self.place : end].lower() == name.lower() and re.match(r"[\s+|-]|$", self.text[end:]):
                self.place = end
                return [Operation(sign, name)]
        if numbered := NUMBERED.match(self.text, self.place):
            self.place = numbered.end()
            return [Operation(sign, f"person {int(numbered[1])}")]
        unknown = UNKNOWN.match(self.text, self.place)
        assert unknown is not None  # there is a letter
        if not self.lenient:
            known = ", ".join(sorted(set(self.names) - {FOREGROUND, BACKGROUND}))
            near = _nearest(unknown[0], self.names) or f" (it has {known})"
            raise self._wrong(f"the reference has no class {unknown[0]!r}{near}")
        self.lacks.append(unknown[0])
        self.place = unknown.end()
        return []

    def _step(self) -> Operation:
        word = re.compile("[a-z]+").match(self.text, self.place)
        if word is None or word[0] not in (*MEASURED, *PLAIN):
            raise self._wrong(f"expected a step: {', '.join((*MEASURED, *PLAIN))}")
        self.place = word.end()
        if word[0] in PLAIN:
            return Operation(word[0])
        self._next()
        number = NUMBER.match(self.text, self.place)
        if number is None:
            lacks = "an area, such as 0.5%" if word[0] == "drop" else "a length, such as 2%"
            raise self._wrong(f"{word[0]} needs {lacks} of the person's, or 3 pixels")
        self.place = number.end()
        return Operation(word[0], length=float(number[1]), percent=number[2] == "%")

    def _wrong(self, what: str) -> UserError:
        marked = f"{self.text[: self.place]}^{self.text[self.place :]}"
        return UserError(f'{self.source}: "{marked}": {what}, at the ^')
