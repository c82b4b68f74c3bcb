"""Regular expressions for `Replace`, searched in time linear in the text.

Python's own engine can take exponential time on a pattern that a customer wrote, which
would stop the worker for every tenant. This one runs a small program and never visits
the same instruction at the same place twice; a search takes at most
(instructions * characters) steps, and `MAX_STEPS` for one call. It knows what Entra's
examples use: classes, groups, names, alternatives, repetition and anchors. Lookaround
and back-references cannot be searched in linear time and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_STEPS = 100_000
"""Instructions that one replacement may execute; about 50 ms."""


class TooManySteps(Exception):
    """A text and a pattern that together take more than `MAX_STEPS`."""


@dataclass(frozen=True, slots=True)
class PatternStep:
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

    program: tuple[PatternStep, ...]
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


def _holds(step: PatternStep, text: str, at: int) -> bool:
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
