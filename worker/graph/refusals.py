"""What Graph and the token endpoint say when they refuse, read leniently: gateways answer HTML, so nothing is required."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Fault:
    """What an error body of Graph says."""

    codes: tuple[str, ...] = ()
    """`error.code`, then the codes of `innerError`, from outside to inside."""
    message: str = ""
    request_id: str | None = None


def decode_error(body: bytes) -> Fault:
    """Walks `error` and its `innerError`s (spelled `innererror` too); never raises."""
    level = _member(_json_or_none(body), "error")
    message = _text(level, "message")
    codes: list[str] = []
    request_id = ""
    while isinstance(level, dict) and len(codes) < 8:
        codes += [code] if (code := _text(level, "code")) else []
        request_id = _text(level, "request-id") or _text(level, "requestId") or request_id
        level = level.get("innerError", level.get("innererror"))
    return Fault(tuple(codes), message, request_id or None)


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """What the token endpoint says (RFC 6749 §5.2, with Entra's own codes)."""

    error: str = ""
    error_codes: tuple[int, ...] = ()
    trace_id: str | None = None


def decode_token_refusal(body: bytes) -> TokenRefusal:
    """Reads `error`, `error_codes` and the AADSTS number in `error_description`; never raises."""
    refusal = _json_or_none(body)
    if not isinstance(refusal, dict):
        return TokenRefusal()
    listed = refusal.get("error_codes")
    codes = [code for code in listed if isinstance(code, int)] if isinstance(listed, list) else []
    codes += [int(code) for code in re.findall(r"AADSTS(\d{3,9})", _text(refusal, "error_description"))]
    return TokenRefusal(
        _text(refusal, "error"), tuple(dict.fromkeys(codes)), _text(refusal, "trace_id") or None
    )


def _json_or_none(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: object, name: str) -> str:
    found = _member(value, name)
    return found if isinstance(found, str) else ""
