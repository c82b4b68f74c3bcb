"""Problem details (RFC 9457) from one table: what was refused, which field, what to do.

No answer repeats the refused value, which may be a secret or a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from store.records import JsonValue

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of refusal."""

    status: int
    title: str
    remedy: str


TYPES: Mapping[str, ProblemType] = {
    "invalid-request": ProblemType(
        400, "The request cannot be read", "Correct what `errors` names and send it again."
    ),
    "invalid-cursor": ProblemType(
        400, "The cursor is not one of this list", "Begin again without a cursor, or use the last `next`."
    ),
    "unauthenticated": ProblemType(
        401, "No usable API token", "Send `Authorization: Bearer <token>` with a token of this installation."
    ),
    "token-refused": ProblemType(403, "The API token is refused", "Use another token; `detail` says why."),
    "permission-missing": ProblemType(
        403, "The API token lacks a permission", "Make a token with the permission that `detail` names."
    ),
    "operator-required": ProblemType(
        403, "An operator's token is required", "Make one with: leaver token operator create NAME"
    ),
    "not-found": ProblemType(
        404, "There is no such record", "Look at the list it should be in; names and ids are both accepted."
    ),
    "no-such-operation": ProblemType(
        404, "There is no such path", "The operations are at /api/admin/v1/openapi.json."
    ),
    "method-not-allowed": ProblemType(
        405, "The path has no such method", "Use one of the methods in the header Allow."
    ),
    "conflict": ProblemType(
        409, "The record is not in a state that allows this", "Read it again, then decide anew."
    ),
    "name-taken": ProblemType(409, "The name is taken", "Choose another name."),
    "ambiguous-reference": ProblemType(409, "Several records have this name", "Use the id instead."),
    "busy": ProblemType(409, "A run works on the connection", "Try again after the run has ended."),
    "idempotency-key-in-use": ProblemType(
        409, "A request with this Idempotency-Key is being carried out", "Wait, then send the same again."
    ),
    "answer-not-kept": ProblemType(
        409,
        "The request was carried out before, and its answer is not kept",
        "Read the record. A secret that did not arrive is replaced by rotating the token or endpoint.",
    ),
    "gone": ProblemType(
        410,
        "Events after this cursor are deleted by now",
        "Read users and groups again, then go on from the cursor in `snapshot`.",
    ),
    "precondition-failed": ProblemType(
        412, "The settings changed meanwhile", "Read them again, and send the change with the new ETag."
    ),
    "too-large": ProblemType(413, "The body is too large", "Send less at once."),
    "unsupported-media-type": ProblemType(
        415, "The body is not JSON", "Send it with Content-Type: application/json."
    ),
    "invalid-value": ProblemType(422, "A value cannot be used", "Correct the value that `detail` names."),
    "idempotency-key-reused": ProblemType(
        422, "The Idempotency-Key belongs to another request", "Use a new key for each new request."
    ),
    "precondition-required": ProblemType(
        428, "Settings are changed with If-Match only", "Read them, and send their ETag as If-Match."
    ),
    "too-many-requests": ProblemType(
        429, "The API token sends too many requests", "Slow down, and try again as Retry-After says."
    ),
    "internal": ProblemType(
        500, "Leaver has a defect", "Report the correlation id; the server's log has the cause."
    ),
    "upstream": ProblemType(
        502, "Microsoft Entra could not be asked, or refused", "`detail` says what to do there."
    ),
    "not-now": ProblemType(503, "This cannot be answered now", "Try again as Retry-After says."),
    "no-worker": ProblemType(503, "No worker runs", "Start one: leaver worker, or leaver serve --worker"),
    "operator-needed": ProblemType(
        503, "The operator of Leaver has to act", "`detail` names what is missing."
    ),
}
"""Every refusal of the API; docs/api.md lists them, and a test compares."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: a place in the body, or a parameter."""

    detail: str
    pointer: str | None = None
    """JSON Pointer into the body (RFC 6901)."""
    parameter: str | None = None


@dataclass(eq=False)
class Problem(Exception):
    """A refusal, to be answered with its row of the table."""

    type: str
    detail: str = ""
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    remedy: str | None = None

    @property
    def row(self) -> ProblemType:
        """Return the row of the table."""
        return TYPES[self.type]

    def document(self, correlation_id: str) -> dict[str, JsonValue]:
        """Return the body of the answer."""
        row = self.row
        body: dict[str, JsonValue] = {
            "type": f"/problems/{self.type}",
            "title": row.title,
            "status": row.status,
            "detail": self.detail or row.title + ".",
            "remedy": self.remedy or row.remedy,
            "correlation_id": correlation_id,
        }
        if self.errors:
            body["errors"] = [_error(each) for each in self.errors]
        return {**body, **self.extra}


def _error(error: FieldError) -> dict[str, JsonValue]:
    place = {"pointer": error.pointer, "parameter": error.parameter}
    return {"detail": error.detail, **{name: value for name, value in place.items() if value is not None}}
