"""Regular expressions for `Replace`, searched in time linear in the text.

Python's own engine can take exponential time on a pattern that a customer wrote, which
would stop the worker for every tenant. This one runs a small program and never visits
the same instruction at the same place twice; a search takes at most
`MAX_PROGRAM` * `MAX_TEXT` steps, and `MAX_STEPS` for one call. It knows what Entra's
examples use: classes, groups, names, alternatives, repetition and anchors. Lookaround
and back-references cannot be searched in linear time and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_PROGRAM = 1000
"""Instructions of one pattern; `x{50}` takes 50."""

MAX_STEPS = 100_000
"""Instructions that one replacement may execute; about 50 ms."""

_MAX_GROUP_DEPTH = 20
_COUNT = re.compile(r"\{(\d{1,4})(,(\d{1,4})?)?\}")
_GROUP_NAME = re.compile(r"\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')")
_LITERAL_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}


class PatternError(Exception):
    """A pattern that cannot be searched, and why."""


class TooManySteps(Exception):
    """A text and a pattern that together take more than `MAX_STEPS`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a program.

    Its kind is `char`, `split`, `jump`, `save`, `start`, `end`, `word` or `match`.
    """

    kind: str
    at: int = 0
    """Where to go on, or the number of the slot to save."""
    other: int = 0
    test: re.Pattern[str] | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One match: where the whole and every group begin and end.

    Both are -1 for a group that took no part.
    """

    text: str
    spans: tuple[int, ...]

    def span(self, group: int) -> tuple[int, int]:
        """Return the start and end of a group; 0 is the whole match."""
        return self.spans[2 * group], self.spans[2 * group + 1]

    def group(self, group: int) -> str:
        """Return the text of a group, empty where it took no part."""
        start, end = self.span(group)
        return self.text[start:end] if start >= 0 else ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern."""

    program: tuple[Step, ...]
    groups: int
    names: Mapping[str, int]

    def search_all(self, text: str) -> Iterator[Found]:
        """Yield every match from left to right; raise `TooManySteps`."""
        budget = [MAX_STEPS]
        at = 0
        visited: set[int] = set()
        while at <= len(text):
            spans = self._match(text, at, visited, budget)
            if spans is None:
                at += 1
                continue
            yield Found(text, spans)
            visited = set()  # what failed before may now be found from a later start
            at = spans[1] if spans[1] > at else at + 1

    def _match(self, text: str, start: int, visited: set[int], budget: list[int]) -> tuple[int, ...] | None:
        # Alternatives wait on a stack in the order in which Perl and .NET try them.
        size = len(text) + 1
        stack = [(0, start, (-1,) * (2 * self.groups + 2))]
        while stack:
            pc, at, spans = stack.pop()
            while (key := pc * size + at) not in visited:
                visited.add(key)
                budget[0] -= 1
                if budget[0] < 0:
                    raise TooManySteps
                step = self.program[pc]
                if step.kind == "match":
                    return spans
                if step.kind == "split":
                    stack.append((step.other, at, spans))
                    pc = step.at
                elif step.kind == "jump":
                    pc = step.at
                elif step.kind == "save":
                    spans = (*spans[: step.at], at, *spans[step.at + 1 :])
                    pc += 1
                elif not _holds(step, text, at):
                    break
                else:
                    at += step.kind == "char"
                    pc += 1
        return None


def _holds(step: Step, text: str, at: int) -> bool:
    if step.kind == "char":
        return at < len(text) and step.test is not None and step.test.match(text, at) is not None
    if step.kind == "start":
        return at == 0
    if step.kind == "end":
        return at == len(text) or (at == len(text) - 1 and text[at] == "\n")
    before = at > 0 and _is_word(text[at - 1])
    after = at < len(text) and _is_word(text[at])
    return (before != after) != step.negated


def _is_word(character: str) -> bool:
    return character == "_" or character.isalnum()


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
        program = (Step("save", 0), *_shifted(body, 1), Step("save", 1), Step("match"))
        return Pattern(program, self._groups, self._names)

    def _alternatives(self) -> list[Step]:
        found = self._sequence()
        if self._take("|"):
            rest = self._alternatives()
            there = len(found) + 2
            split = Step("split", 1, there)
            jump = Step("jump", there + len(rest))
            found = [split, *_shifted(found, 1), jump, *_shifted(rest, there)]
        return self._limited(found)

    def _sequence(self) -> list[Step]:
        found: list[Step] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            part = self._repeated(self._atom())
            found = self._limited([*found, *_shifted(part, len(found))])
        return found

    def _repeated(self, part: list[Step]) -> list[Step]:
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
        found: list[Step] = []
        for _ in range(least):
            found += _shifted(part, len(found))
        if most is None:
            here = len(found)
            leave = here + len(part) + 2
            return [*found, _split(here + 1, leave, lazy), *_shifted(part, here + 1), Step("jump", here)]
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

    def _atom(self) -> list[Step]:
        if self._times() is not None:
            raise PatternError("a repetition has nothing before it")
        mark = self._text[self._at]
        self._at += 1
        if mark == "(":
            return self._group()
        if mark == "[":
            return [Step("char", test=_one_character(self._class()))]
        if mark in "^$":
            return [Step("start" if mark == "^" else "end")]
        if mark == "\\":
            return [self._escape()]
        return [Step("char", test=_one_character(r"[^\n]" if mark == "." else re.escape(mark)))]

    def _group(self) -> list[Step]:
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
        return [Step("save", 2 * number), *_shifted(body, 1), Step("save", 2 * number + 1)]

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

    def _escape(self) -> Step:
        if self._at >= len(self._text):
            raise PatternError("it ends with a backslash")
        mark = self._text[self._at]
        self._at += 1
        if mark in "bB":
            return Step("word", negated=mark == "B")
        if mark in "dDwWsS":
            return Step("char", test=_one_character(f"\\{mark}"))
        if mark in "AzZ":
            return Step("start" if mark == "A" else "end")
        if mark.isalnum() and mark not in _LITERAL_ESCAPES:
            raise PatternError(f"\\{mark} cannot be searched here")
        return Step("char", test=_one_character(re.escape(_LITERAL_ESCAPES.get(mark, mark))))

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, mark: str) -> bool:
        taken = self._text.startswith(mark, self._at)
        self._at += len(mark) if taken else 0
        return taken

    def _limited(self, program: list[Step]) -> list[Step]:
        if len(program) > MAX_PROGRAM:
            raise PatternError("it is too long")
        return program


@lru_cache(maxsize=512)
def _one_character(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise PatternError(str(error)) from None


def _split(first: int, other: int, lazy: bool) -> Step:
    return Step("split", other, first) if lazy else Step("split", first, other)


def _shifted(program: list[Step], by: int) -> list[Step]:
    jumps = ("split", "jump")
    return [
        Step(step.kind, step.at + by, step.other + by) if step.kind in jumps else step for step in program
    ]


def _consumes(program: list[Step]) -> bool:
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
