"""Parse untrusted JSON (RFC 8259): ambiguous input is refused, never guessed."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import orjson
from scim2_models import InvalidSyntaxException

_KEY = re.compile(rb'"\s*:')
_SPACED_KEY = re.compile(rb'"\s+:')
_LARGEST = 2**63


class _TooDeep(Exception):
    """A body nests deeper than is read."""


def read_json(body: bytes, max_depth: int, setting: str = "") -> Any:
    """Parse a body.

    Raises scim2_models.InvalidSyntaxException for what is not JSON in UTF-8, repeats a
    key, nests deeper than `max_depth`, the limit that `setting` sets, or holds NUL or a
    number no database keeps.
    """
    body = body.removeprefix(codecs.BOM_UTF8)  # .NET's encoder writes one; RFC 8259 §8.1 lets it be ignored
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidSyntaxException(detail=f"The body is not JSON: {error}.") from error
    may_be_odd = b"\\u" in body or body.count(b"{") + body.count(b"[") > max_depth
    try:
        keys = _count_keys(value, max_depth) if may_be_odd else _count_keys_of_plain(value)
    except _TooDeep as error:
        raise InvalidSyntaxException(detail=_too_deep(max_depth, setting)) from error
    # Text may look like a key, so the count is never too small: only where it differs
    # the slow parser decides.
    if _count_what_looks_like_keys(body) != keys:
        _refuse_repeated_keys(body)
    return value


def _count_what_looks_like_keys(body: bytes) -> int:
    if _SPACED_KEY.search(body):
        return len(_KEY.findall(body))
    return body.count(b'":')  # five times as fast


def _count_keys_of_plain(value: Any) -> int:
    """Count the keys of all objects, and refuse too large a number.

    For bodies that are not deep and hold no NUL, as most are.
    """
    keys, found = 0, [value]
    for each in found:  # grows while it is gone through
        kind = type(each)
        if kind is dict:
            keys += len(each)
            found += each.values()
        elif kind is list:
            found += each
        elif kind in (int, float):
            _refuse_too_large(each)
    return keys


def check_numbers(value: Any) -> None:
    """Refuse a number that is no JSON of 64 bits, wherever it is in a value.

    A body was checked when it was read; another program may give a value by a call.
    """
    if isinstance(value, dict | list):
        _count_keys_of_plain(value)
    elif isinstance(value, int | float):
        _refuse_too_large(value)


def _count_keys(value: Any, levels_left: int) -> int:
    """Count the keys of all objects; refuse NUL, too deep nesting and too large a
    number.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidSyntaxException(
                detail="The body holds a NUL character, which no attribute may have."
            )
        return 0
    if isinstance(value, dict):
        _descend(levels_left)
        return len(value) + sum(
            _count_keys(key, 1) + _count_keys(item, levels_left - 1) for key, item in value.items()
        )
    if isinstance(value, list):
        _descend(levels_left)
        return sum(_count_keys(item, levels_left - 1) for item in value)
    if isinstance(value, int | float):
        _refuse_too_large(value)
    return 0


def _refuse_too_large(number: float) -> None:
    if not -_LARGEST <= number < _LARGEST:
        raise InvalidSyntaxException(detail="The body holds a number beyond 64 bits.")


def _descend(levels_left: int) -> None:
    if levels_left <= 0:
        raise _TooDeep


def _too_deep(max_depth: int, setting: str) -> str:
    raised = f", or have the operator of Leaver raise {setting}" if setting else ""
    return (
        f"Arrays and objects are more than {max_depth} deep within each other: send a flatter body{raised}."
    )


def _refuse_repeated_keys(body: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            raise InvalidSyntaxException(detail="The body repeats a key within one object.")

    json.loads(body, object_pairs_hook=unique)
