"""Compile a regular expression to the program that `patterns` runs.

It takes the part of .NET's syntax that Python's `re` shares and that can be searched in
linear time.
"""

from __future__ import annotations

import re
from functools import lru_cache

from worker.reconcile.mapping.functions.patterns import Pattern, PatternStep

MAX_PROGRAM = 1000
"""Instructions of one pattern; `x{50}` takes 50."""

_MAX_GROUP_DEPTH = 20
_COUNT = re.compile(r"\{(\d{1,4})(,(\d{1,4})?)?\}")
_GROUP_NAME = re.compile(r"\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')")
_LITERAL_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}


class PatternError(Exception):
    """A pattern that cannot be searched, and why."""


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """Return the compiled pattern.

    Raise `PatternError` for one that cannot be searched here.
    """
    return _Compiler(text).compile()


class _Compiler:
    """Compile a pattern by recursive descent, one method for each rule."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._groups = 0
        self._depth = 0
        self._names: dict[str, int] = {}

    def compile(self) -> Pattern:
        body = self._alternatives()
        if self._at < len(self._text):
            raise PatternError("a closing bracket has no opening one")
        program = (PatternStep("save", 0), *_shifted(body, 1), PatternStep("save", 1), PatternStep("match"))
        return Pattern(program, self._groups, self._names)

    def _alternatives(self) -> list[PatternStep]:
        found = self._sequence()
        if self._take("|"):
            rest = self._alternatives()
            there = len(found) + 2
            split = PatternStep("split", 1, there)
            jump = PatternStep("jump", there + len(rest))
            found = [split, *_shifted(found, 1), jump, *_shifted(rest, there)]
        return self._limited(found)

    def _sequence(self) -> list[PatternStep]:
        found: list[PatternStep] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            part = self._repeated(self._atom())
            found = self._limited([*found, *_shifted(part, len(found))])
        return found

    def _repeated(self, part: list[PatternStep]) -> list[PatternStep]:
        times = self._times()
        if times is None:
            return part
        least, most = times
        if not _consumes(part) and (most is None or most > 1):
            raise PatternError("a part that may be empty is repeated")
        lazy = self._take("?")
        if self._times() is not None:
            raise PatternError("a repetition follows a repetition")
        if len(part) * max(least, most or 0) > MAX_PROGRAM:
            raise PatternError("it is too long")
        found: list[PatternStep] = []
        for _ in range(least):
            found += _shifted(part, len(found))
        if most is None:
            here = len(found)
            leave = here + len(part) + 2
            return [
                *found,
                _split(here + 1, leave, lazy),
                *_shifted(part, here + 1),
                PatternStep("jump", here),
            ]
        end = len(found) + (most - least) * (len(part) + 1)
        for _ in range(most - least):
            found.append(_split(len(found) + 1, end, lazy))
            found += _shifted(part, len(found))
        return found

    def _times(self) -> tuple[int, int | None] | None:
        for mark, times in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(mark):
                return times
        match = _COUNT.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        least = int(match[1])
        most = least if match[2] is None else int(match[3]) if match[3] else None
        if most is not None and most < least:
            raise PatternError(f"{match[0]} counts down")
        return least, most

    def _atom(self) -> list[PatternStep]:
        if self._times() is not None:
            raise PatternError("a repetition has nothing before it")
        mark = self._text[self._at]
        self._at += 1
        if mark == "(":
            return self._group()
        if mark == "[":
            return [PatternStep("char", test=_one_character(self._class()))]
        if mark in "^$":
            return [PatternStep("start" if mark == "^" else "end")]
        if mark == "\\":
            return [self._escape()]
        return [PatternStep("char", test=_one_character(r"[^\n]" if mark == "." else re.escape(mark)))]

    def _group(self) -> list[PatternStep]:
        self._depth += 1
        if self._depth > _MAX_GROUP_DEPTH:
            raise PatternError(f"groups are nested more than {_MAX_GROUP_DEPTH} deep")
        number = None
        if not self._take("?:"):
            number = self._groups = self._groups + 1
            self._name(number)
        body = self._alternatives()
        if not self._take(")"):
            raise PatternError("an opening bracket has no closing one")
        self._depth -= 1
        if number is None:
            return body
        return [PatternStep("save", 2 * number), *_shifted(body, 1), PatternStep("save", 2 * number + 1)]

    def _name(self, number: int) -> None:
        if self._peek() != "?":
            return
        match = _GROUP_NAME.match(self._text, self._at)
        if match is None:
            raise PatternError("lookaround and options cannot be searched here")
        self._at = match.end()
        self._names[match[1] or match[2]] = number

    def _class(self) -> str:
        # The class itself is Python's: one character takes constant time in any engine.
        end = self._at + (self._text[self._at : self._at + 1] == "^")
        end += self._text[end : end + 1] == "]"
        while end < len(self._text) and self._text[end] != "]":
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise PatternError("a class has no closing ]")
        body, self._at = self._text[self._at : end], end + 1
        return "[" + body.replace("[", "\\[") + "]"

    def _escape(self) -> PatternStep:
        if self._at >= len(self._text):
            raise PatternError("it ends with a backslash")
        mark = self._text[self._at]
        self._at += 1
        if mark in "bB":
            return PatternStep("word", negated=mark == "B")
        if mark in "dDwWsS":
            return PatternStep("char", test=_one_character(f"\\{mark}"))
        if mark in "AzZ":
            return PatternStep("start" if mark == "A" else "end")
        if mark.isalnum() and mark not in _LITERAL_ESCAPES:
            raise PatternError(f"\\{mark} cannot be searched here")
        return PatternStep("char", test=_one_character(re.escape(_LITERAL_ESCAPES.get(mark, mark))))

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, mark: str) -> bool:
        taken = self._text.startswith(mark, self._at)
        self._at += len(mark) if taken else 0
        return taken

    def _limited(self, program: list[PatternStep]) -> list[PatternStep]:
        if len(program) > MAX_PROGRAM:
            raise PatternError("it is too long")
        return program


@lru_cache(maxsize=512)
def _one_character(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise PatternError(str(error)) from None


def _split(first: int, other: int, lazy: bool) -> PatternStep:
    return PatternStep("split", other, first) if lazy else PatternStep("split", first, other)


def _shifted(program: list[PatternStep], by: int) -> list[PatternStep]:
    jumps = ("split", "jump")
    return [
        PatternStep(step.kind, step.at + by, step.other + by) if step.kind in jumps else step
        for step in program
    ]


def _consumes(program: list[PatternStep]) -> bool:
    """Return whether every way through the program takes at least one character."""
    seen: set[int] = set()
    waiting = [0]
    while waiting:
        pc = waiting.pop()
        if pc >= len(program):
            return False
        if pc in seen or program[pc].kind == "char":
            continue
        seen.add(pc)
        step = program[pc]
        waiting += {"split": [step.at, step.other], "jump": [step.at]}.get(step.kind, [pc + 1])
    return True
