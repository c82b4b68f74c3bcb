"""Parse error bodies of Graph and of the token endpoint leniently.

Gateways answer HTML, so no field is required.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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
    """Read `error` and its `innerError`s (also spelled `innererror`); never raise."""
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
    """Read `error`, `error_codes` and the AADSTS number; never raise."""
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


# Remedies for refusals of the token endpoint (Microsoft Entra authentication error
# codes).

SECRET_EXPIRED = 7000222

REMEDIES: Mapping[int, str] = {
    7000215: "The client secret is wrong (often its ID was pasted, not its Value): set a new one.",
    SECRET_EXPIRED: "The client secret has expired: create a new one (Certificates & secrets) and set it here.",
    7000216: "No credential was accepted: set a client secret or a certificate for the connection.",
    700016: "The directory does not know this client id: check it and the tenant id, or give consent first.",
    7000112: "The app is disabled in the directory: enable it (Enterprise applications > Properties).",
    90002: "There is no such tenant: check tenant id and login URL (national clouds have their own).",
    900023: "The tenant id is malformed: use the directory's GUID or a verified domain.",
    700027: "The certificate does not fit: upload this one to the app registration, or set that one.",
    700030: "The certificate is not valid for this app: upload a current one and set it here.",
    70021: "No federated credential matches: compare issuer, subject and audience with the registration.",
    700211: "The app trusts no federated credential of this issuer: add one (Certificates & secrets).",
    700212: "The federated credential of the app expects another audience: compare both.",
    700213: "The federated credential of the app expects another subject: compare both.",
    50013: "The federated assertion is not signed by its issuer's published keys: check the token's source.",
    700024: "The assertion is outside its validity: check this machine's clock.",
    65001: "Nobody has consented to the app in this directory: open the admin consent link.",
    50196: "Entra saw a loop of requests from this app and pauses it: wait some minutes.",
    53003: "A Conditional Access policy blocks the app: exempt its service principal, or allow this network.",
    7000229: "The app has no service principal in this directory: open the admin consent link, then try again.",
    500011: (
        "The directory does not know the Graph of the connection's Graph URL: set the Graph URL and the login "
        "URL of the directory's own cloud. If both are right, Microsoft Graph has no service principal there: "
        "az ad sp create --id 00000003-0000-0000-c000-000000000000"
    ),
    500014: (
        "Microsoft Graph is disabled in this directory: enable it (Enterprise applications, application type "
        "Microsoft applications > Microsoft Graph > Properties > Enabled for users to sign in)."
    ),
    5000225: "Microsoft has blocked this directory for inactivity: an admin has it reactivated by Microsoft support.",
    1000502: "The certificate is outside its validity: upload a current one to the app registration and set it here.",
    530035: (
        "Security defaults block the app: look at its entry in Sign-in logs > Service principal sign-ins, and at "
        "Entra ID > Overview > Properties > Manage security defaults."
    ),
    900382: "The login URL is of another cloud than the directory: set login URL and Graph URL of the directory's cloud.",
    50194: "The app is single-tenant: use the login URL with the tenant id.",
}


TRANSIENT = frozenset({50033, 90006, 90024, 90025, 90033})
"""Refusals that Microsoft calls transient, with any OAuth word."""


# The `Retry-After` header: seconds, whole or fractional, or an HTTP date.


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds to wait from `now`, at least 0, or None without a value.

    Microsoft's own sample of a throttled answer is fractional (`2.128`, Graph
    throttling guidance); RFC 9110 §10.2.3 allows whole seconds and a date.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _until(value, now or datetime.now(UTC))
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(value: str, now: datetime) -> float | None:
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
