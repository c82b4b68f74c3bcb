"""Entra's mapping functions over texts (*Reference for writing expressions*).

Every value is a text or None (empty), as in Entra; a boolean is `True` or `False`. An
argument list that a function does not take raises ValueError or IndexError.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

Value = str | None
Arguments = Sequence[Value]


def _switch(arguments: Arguments) -> Value:
    source, default, *pairs = arguments
    cases = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return cases.get(source, default)


def _join(arguments: Arguments) -> Value:
    separator, *values = arguments
    return (separator or "").join(value for value in values if value)


def _replace(arguments: Arguments) -> Value:
    """Replace a text, or what a regular expression finds (the first three forms of
    Entra).
    """
    source, old, pattern, group, replacement = arguments[:5]
    if source is None:
        return None
    if old is not None:
        return source.replace(old, replacement or "")
    if pattern is None:
        raise ValueError("Replace needs oldValue or regexPattern")
    try:
        # .NET writes a named group `(?<name>...)`.
        compiled = re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern))
    except re.error as error:
        raise ValueError(f"regexPattern {pattern!r} is none: {error}") from error
    if group is None:
        return compiled.sub(replacement or "", source)
    return compiled.sub(lambda found: _without_group(found, group, replacement or ""), source)


def _without_group(found: re.Match[str], group: str, replacement: str) -> str:
    start, end = found.span(group)
    whole = found[0]
    return whole[: start - found.start()] + replacement + whole[end - found.start() :]


def _mid(arguments: Arguments) -> Value:
    source, start, length = arguments
    first = int(start or "") - 1
    return (source or "")[first : first + int(length or "")]


def _word(arguments: Arguments) -> Value:
    source, number, delimiters = arguments
    words = [w for w in re.split(f"[{re.escape(delimiters or ' ')}]", source or "") if w]
    place = int(number or "") - 1
    return words[place] if 0 <= place < len(words) else None


def _plain_letters(arguments: Arguments) -> Value:
    folded = unicodedata.normalize("NFKD", arguments[0] or "")
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def _condition(arguments: Arguments) -> Value:
    condition, when_true, when_false = arguments
    return when_true if condition == "True" else when_false


def _truth(value: bool) -> str:
    return "True" if value else "False"


def letter_by_letter(text: str, change: Callable[[str], str]) -> str:
    """Change the case of each letter by itself, as .NET does: `ß` has no upper case."""
    return "".join(new if len(new := change(each)) == 1 else each for each in text)


FUNCTIONS: Mapping[str, Callable[[Arguments], Value]] = {
    "Append": lambda arguments: "".join(value or "" for value in arguments),
    "Coalesce": lambda arguments: next((value for value in arguments if value), None),
    "IIF": _condition,
    "IsNull": lambda arguments: _truth(arguments[0] is None),
    "IsNullOrEmpty": lambda arguments: _truth(not arguments[0]),
    "IsPresent": lambda arguments: _truth(bool(arguments[0])),
    "Join": _join,
    "Left": lambda arguments: (arguments[0] or "")[: int(arguments[1] or "")],
    "Mid": _mid,
    "NormalizeDiacritics": _plain_letters,
    "Not": lambda arguments: {"True": "False", "False": "True"}.get(arguments[0] or "False"),
    "Replace": _replace,
    "Right": lambda arguments: (arguments[0] or "")[-int(arguments[1] or "") :],
    "StripSpaces": lambda arguments: (arguments[0] or "").replace(" ", ""),
    "Switch": _switch,
    "ToLower": lambda arguments: letter_by_letter(arguments[0] or "", str.lower),
    "ToUpper": lambda arguments: letter_by_letter(arguments[0] or "", str.upper),
    "Trim": lambda arguments: (arguments[0] or "").strip(),
    "Word": _word,
}
