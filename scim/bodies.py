"""Reading JSON that anybody may have sent (RFC 8259): what is odd is refused, never guessed at."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
from scim2_models import InvalidSyntaxException

_KEY = re.compile(rb'"\s*:')


def read_json(body: bytes, max_depth: int) -> Any:
    """Parse a body.

    Raises scim2_models.InvalidSyntaxException for what is not JSON in UTF-8, repeats a key, nests deeper than
    `max_depth`, or holds NUL or a number no database keeps.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidSyntaxException(detail=f"The body is not JSON: {error}.") from error
    keys = _count_keys(value, max_depth)
    # Text may look like a key, so the count is never too small: only where it differs the slow parser has to
    # tell.
    if len(_KEY.findall(body)) != keys:
        _refuse_repeated_keys(body)
    return value


def _count_keys(value: Any, levels_left: int) -> int:
    """Count the keys of all objects, and refuse what lies too deep, too large a number, or NUL."""
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
    if isinstance(value, int | float) and not -(2**63) <= value < 2**63:
        raise InvalidSyntaxException(detail="The body holds a number beyond 64 bits.")
    return 0


def _descend(levels_left: int) -> None:
    if levels_left <= 0:
        raise InvalidSyntaxException(detail="The body nests too deep for a SCIM message.")


def _refuse_repeated_keys(body: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            raise InvalidSyntaxException(detail="The body repeats a key within one object.")

    json.loads(body, object_pairs_hook=unique)
