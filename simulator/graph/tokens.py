"""Opaque tokens for `$skiptoken` and `$deltatoken`: the state of a query, sealed by a
checksum.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping

import orjson

from simulator.graph.wire import bad_request
from simulator.objects import JsonValue


def seal(state: Mapping[str, JsonValue]) -> str:
    """Pack a query's state into one word without meaning to the client."""
    body = orjson.dumps(dict(state), option=orjson.OPT_SORT_KEYS)
    return base64.urlsafe_b64encode(_mark(body) + body).decode().rstrip("=")


def unseal(token: str) -> Mapping[str, JsonValue]:
    """Unpack a token; a foreign or damaged one is Graph's 400."""
    try:
        packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        packed = b""
    if len(packed) <= 6 or _mark(packed[6:]) != packed[:6]:
        raise bad_request("The token in the request is invalid: badToken.")
    state: Mapping[str, JsonValue] = orjson.loads(packed[6:])
    return state


def _mark(body: bytes) -> bytes:
    return hashlib.sha256(b"simulator token" + body).digest()[:6]
