"""Armed faults: what should go wrong, where, and how often.

Every request outside `/admin` passes by here.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson

from simulator.login.id_token_faults import NAMES as ID_TOKEN_FAULTS
from simulator.refusals import Refusal, find_refusal


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong.

    Without `status`, `body` or `reset` the real answer is given, perhaps late or
    thinned.
    """

    match: re.Pattern[str]
    """Searched in `<METHOD> <path?query>`, as sent and percent-decoded."""
    nth: frozenset[int] | None = None
    """Which matching requests (from 1) are hit; None: every one."""
    times: int | None = None
    """How many requests are hit at most."""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    drop_fraction: float = 0.0
    """Share of the items of `value` that silently vanish, here and from
    `@odata.count`."""
    delay_s: float = 0.0
    reset: bool = False
    """The connection breaks in the middle of the body."""
    trickle_s: float = 0.0
    """The body comes in pieces of a few bytes with such a pause between two of them."""
    truncate: float = 0.0
    """Share of the body that is missing although the answer ends properly."""
    rows: Mapping[str, Any] = field(default_factory=dict)
    """Object id, or `*` for every object -> what becomes of its row: an object is laid
    over it, anything else takes its place. Rows are found by `id` and `principalId`."""
    refusal: Refusal | None = None
    """An answer by name instead of the real one."""
    id_token: str | None = None
    """How the ID token of a token answer is wrong (`simulator.login.id_token_faults`).
    """
    seen: int = 0
    hit: int = 0

    def takes(self, method: str, target: str) -> bool:
        """Return whether this request is hit, and count it."""
        if not self.match.search(f"{method} {target}") and not self.match.search(
            f"{method} {unquote(target)}"
        ):
            return False
        self.seen += 1
        if self.nth is not None and self.seen not in self.nth:
            return False
        if self.times is not None and self.hit >= self.times:
            return False
        self.hit += 1
        return True

    @property
    def replaces_answer(self) -> bool:
        return self.status is not None or self.body is not None or self.refusal is not None

    @property
    def answer_status(self) -> int:
        """The status of an answer that never came from Graph."""
        return self.status or (self.refusal.status if self.refusal else 200)

    @property
    def answer_headers(self) -> Mapping[str, str]:
        """The headers of such an answer; those of the fault win."""
        return {**(self.refusal.headers if self.refusal else {}), **self.headers}

    def cut(self, body: bytes) -> bytes:
        """Return what is left of a body where a share of it is to be missing."""
        return body[: int(len(body) * (1 - self.truncate))] if self.truncate else body

    def replacement(self) -> bytes:
        """Return the body of an answer that never came from Graph."""
        if isinstance(self.body, str):
            return self.body.encode()
        if self.body is not None:
            return orjson.dumps(self.body)
        if self.refusal is not None:
            return self.refusal.body()
        code, message = _WORDS.get(self.status or 200, ("generalException", "An armed fault."))
        inner = {"date": "2026-01-01T00:00:00", "request-id": "00000000-0000-4000-8000-000000000000"}
        return orjson.dumps({"error": {"code": code, "message": message, "innerError": inner}})


_WORDS = {
    401: ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
    403: ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    404: ("Request_ResourceNotFound", "Resource does not exist."),
    410: ("resyncRequired", "Resync required. Replace any local items with the server's version."),
    429: ("TooManyRequests", "Please retry again later."),
    500: ("generalException", "An unexpected error occurred."),
    502: ("serviceNotAvailable", "Bad gateway."),
    503: ("serviceNotAvailable", "The service is temporarily unavailable."),
    504: ("serviceNotAvailable", "The service did not answer in time."),
}

FIELDS = frozenset(
    {
        *("match", "nth", "times", "status", "headers", "body"),
        *("drop_fraction", "delay_s", "reset", "trickle_s", "truncate", "rows", "refusal", "id_token"),
    }
)


def parse_fault(document: Mapping[str, Any]) -> Fault:
    """Read a fault as the admin side gets it; raise ValueError that says what is
    wrong."""
    unknown = set(document) - FIELDS
    if unknown or not isinstance(document.get("match"), str):
        names = ", ".join(sorted(FIELDS))
        raise ValueError(f"a fault needs 'match' and has these fields only: {names} (not: {sorted(unknown)})")
    nth = document.get("nth")
    return Fault(
        match=_pattern(document["match"]),
        nth=None if nth is None else frozenset([nth] if isinstance(nth, int) else nth),
        times=document.get("times"),
        status=document.get("status"),
        headers={str(k): str(v) for k, v in (document.get("headers") or {}).items()},
        body=document.get("body"),
        drop_fraction=float(document.get("drop_fraction") or 0),
        delay_s=float(document.get("delay_s") or 0),
        reset=document.get("reset") is True,
        trickle_s=float(document.get("trickle_s") or 0),
        truncate=float(document.get("truncate") or 0),
        rows=dict(document.get("rows") or {}),
        id_token=_id_token_fault(document.get("id_token")),
        refusal=None if document.get("refusal") is None else find_refusal(str(document["refusal"])),
    )


def _id_token_fault(name: Any) -> str | None:
    if name is not None and name not in ID_TOKEN_FAULTS:
        raise ValueError(f"'id_token' is one of {', '.join(sorted(ID_TOKEN_FAULTS))}")
    return None if name is None else str(name)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"'match' {text!r} is no regular expression: {error}") from None


class FaultBook:
    """The faults that are armed, in the order they were armed."""

    def __init__(self, seed: int = 1) -> None:
        self._armed: list[Fault] = []
        self._random = random.Random(f"faults {seed}")

    def arm(self, fault: Fault) -> None:
        self._armed.append(fault)

    def clear(self) -> None:
        self._armed.clear()

    @property
    def armed(self) -> list[Fault]:
        return list(self._armed)

    def take(self, method: str, target: str, *, in_batch: bool = False) -> Fault | None:
        """Return the first armed fault that hits this request; all matching ones count
        it.

        An item of a batch has no connection of its own that could break.
        """
        able = [fault for fault in self._armed if not (in_batch and fault.reset)]
        hits = [fault for fault in able if fault.takes(method, target)]
        return hits[0] if hits else None

    def changed(self, fault: Fault, body: bytes) -> bytes:
        """Return the body of a real answer with its rows as a fault changes them."""
        if fault.drop_fraction:
            body = self.thinned(body, fault.drop_fraction)
        return _distorted(body, fault.rows) if fault.rows else body

    def thinned(self, body: bytes, fraction: float) -> bytes:
        """Take a share of the items out of a list, and out of its count, as if they had
        never been there.
        """
        try:
            document = orjson.loads(bytes(body))  # a rendered page is a subclass, which orjson refuses
        except orjson.JSONDecodeError:
            return body
        items = document.get("value") if isinstance(document, dict) else None
        if not isinstance(items, list):
            return body
        kept = [item for item in items if self._random.random() >= fraction]
        document["value"] = kept
        if isinstance(document.get("@odata.count"), int):
            document["@odata.count"] -= len(items) - len(kept)
        return orjson.dumps(document)


def _distorted(body: bytes, rows: Mapping[str, Any]) -> bytes:
    """Return a body whose rows, or whose one object, are changed as `Fault.rows`
    says."""
    try:
        document = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        return body
    if not isinstance(document, dict):
        return body
    if isinstance(document.get("value"), list):
        document["value"] = [_distorted_row(row, rows) for row in document["value"]]
        return orjson.dumps(document)
    return orjson.dumps(_distorted_row(document, rows))


def _distorted_row(row: Any, rows: Mapping[str, Any]) -> Any:
    if not isinstance(row, dict):
        return row
    for name in (row.get("id"), row.get("principalId"), "*"):
        if isinstance(name, str) and name in rows:
            wanted = rows[name]
            return {**row, **wanted} if isinstance(wanted, dict) else wanted
    return row
