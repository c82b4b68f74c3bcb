"""`Replace`, the function that does five things, by which arguments are written.

- oldValue, replacementValue: the source with every oldValue replaced;
- oldValue, template: the template with every oldValue replaced by the source;
- regexPattern, replacementValue: the source with every match replaced, where `${name}`
  in the replacement is a group of the match;
- regexPattern, regexGroupName, replacementValue: the same, only the group replaced;
- regexPattern, regexGroupName, replacementAttributeName: the source, or where it is
  empty the group as it is found in the attribute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from worker.reconcile.mapping.functions.base import (
    BuildError,
    Evaluate,
    Function,
    FunctionParameter,
    constant_text,
)
from worker.reconcile.mapping.functions.pattern_compiler import PatternError, compile_pattern
from worker.reconcile.mapping.functions.patterns import Found, Pattern, TooManySteps
from worker.reconcile.mapping.syntax import Empty, Expression, FunctionCall
from worker.reconcile.mapping.values import MAX_TEXT, Absent, Value, capped, fault, is_present, text_of
from worker.reconcile.snapshot import GraphUser

_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\d{1,3})|([$&]))")


def _build(call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    written = [not isinstance(argument, Empty) for argument in call.arguments] + [False] * 7
    _, old, pattern, group, new, attribute, template = written[:7]
    if not written[0]:
        raise BuildError(call.column, "Replace needs source")
    match (old, pattern, group, new, attribute, template):
        case (True, False, False, True, False, False):
            return _texts(arguments[0], arguments[1], arguments[4])
        case (True, False, False, False, False, True):
            return _texts(arguments[6], arguments[1], arguments[0])
        case (False, True, False, True, False, False):
            return _matches(arguments[0], _pattern(call.arguments[2]), arguments[4])
        case (False, True, True, True, False, False):
            compiled, number = _group(call.arguments[2], call.arguments[3])
            return _groups(arguments[0], compiled, number, arguments[4])
        case (False, True, True, False, True, False):
            compiled, number = _group(call.arguments[2], call.arguments[3])
            return _or_extract(arguments[0], compiled, number, arguments[5])
        case _:
            raise BuildError(
                call.column,
                "Replace needs oldValue with replacementValue or template, or regexPattern with "
                "replacementValue, or regexPattern and regexGroupName with replacementValue or "
                "replacementAttributeName",
            )


def _pattern(argument: Expression) -> Pattern:
    text = constant_text(argument)
    if text is None:
        raise BuildError(argument.column, "Replace needs its regexPattern written out as a text")
    try:
        return compile_pattern(text)
    except PatternError as error:
        raise BuildError(argument.column, f"the regular expression {text!r:.80}: {error}") from None


def _group(argument: Expression, name: Expression) -> tuple[Pattern, int]:
    pattern = _pattern(argument)
    number = pattern.names.get(constant_text(name) or "")
    if number is None:
        known = ", ".join(pattern.names) or "none"
        raise BuildError(name.column, f"the regular expression has no such group; it has {known}")
    return pattern, number


def _texts(source: Evaluate, old: Evaluate, new: Evaluate) -> Evaluate:
    def evaluate(user: GraphUser) -> Value:
        text, before, after = text_of(source(user)), text_of(old(user)), text_of(new(user))
        for value in (text, before, after):
            if isinstance(value, Absent) and value.is_fault:
                return value
        if isinstance(text, Absent):
            return text
        if isinstance(after, Absent):
            return after
        if isinstance(before, Absent) or not before:
            return fault("Replace has no oldValue")
        if len(text) + text.count(before) * (len(after) - len(before)) > MAX_TEXT:
            return fault(f"the result is longer than {MAX_TEXT} characters")
        return text.replace(before, after)

    return evaluate


def _matches(source: Evaluate, pattern: Pattern, new: Evaluate) -> Evaluate:
    return _replacing(
        source, new, pattern, lambda found, after: (found.span(0), _expand(pattern, found, after))
    )


def _groups(source: Evaluate, pattern: Pattern, number: int, new: Evaluate) -> Evaluate:
    return _replacing(source, new, pattern, lambda found, after: (found.span(number), after))


def _replacing(
    source: Evaluate,
    new: Evaluate,
    pattern: Pattern,
    edit: Callable[[Found, str], tuple[tuple[int, int], str]],
) -> Evaluate:
    def evaluate(user: GraphUser) -> Value:
        text, after = text_of(source(user)), text_of(new(user))
        if isinstance(text, Absent) or isinstance(after, Absent):
            return text if isinstance(text, Absent) else after
        if len(text) > MAX_TEXT:
            return fault(f"the source is longer than {MAX_TEXT} characters")
        parts: list[str] = []
        size = done = 0
        try:
            for found in pattern.search_all(text):
                (start, end), replacement = edit(found, after)
                if start < done:  # the group took no part in this match
                    continue
                parts += (text[done:start], replacement)
                size += start - done + len(replacement)
                done = end
                if size > MAX_TEXT:
                    return fault(f"the result is longer than {MAX_TEXT} characters")
        except TooManySteps:
            return fault("the regular expression takes too long for this text")
        return capped("".join([*parts, text[done:]]))

    return evaluate


def _or_extract(source: Evaluate, pattern: Pattern, number: int, attribute: Evaluate) -> Evaluate:
    def evaluate(user: GraphUser) -> Value:
        given = source(user)
        if is_present(given) or (isinstance(given, Absent) and given.is_fault):
            return given
        text = text_of(attribute(user))
        if isinstance(text, Absent):
            return text
        try:
            found = next(pattern.search_all(text[:MAX_TEXT]), None)
        except TooManySteps:
            return fault("the regular expression takes too long for this text")
        return found.group(number) if found else Absent("the regular expression finds nothing")

    return evaluate


def _expand(pattern: Pattern, found: Found, template: str) -> str:
    def value(reference: re.Match[str]) -> str:
        name, digits, mark = reference.groups()
        if mark:
            return "$" if mark == "$" else found.group(0)
        number = int(digits) if digits else pattern.names.get(name, int(name) if name.isdecimal() else -1)
        # .NET leaves a reference to a group that is not there as it is written.
        return found.group(number) if 0 <= number <= pattern.groups else reference[0]

    return _REFERENCE.sub(value, template)


REPLACE = Function(
    "Replace",
    (
        FunctionParameter("source"),
        FunctionParameter("oldValue", optional=True),
        FunctionParameter("regexPattern", optional=True, constant=True),
        FunctionParameter("regexGroupName", optional=True, constant=True),
        FunctionParameter("replacementValue", optional=True),
        FunctionParameter("replacementAttributeName", optional=True),
        FunctionParameter("template", optional=True),
    ),
    _build,
)
