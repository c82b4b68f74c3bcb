"""Errors of Graph and of the token endpoint, sorted by who must act next.

    GraphError
    ├── GraphTryAgain         tried again here (`http.retry`), then by the next cycle
    │   ├── Throttled         429, or a throttling code
    │   ├── ServiceFault      408, 409, 412, 500, 502, 503, 504, 509
    │   └── ConnectionFault   no answer, half an answer, too late an answer
    ├── GraphTerminal         the same request would end the same way
    │   ├── BadRequest        400, 405, 501 ...
    │   ├── NotFound          404 in Graph's own words; never the 404 page of a gateway
    │   ├── ResyncRequired    410, or an expired delta token
    │   ├── MalformedAnswer   200 with something else than what was asked for
    │   ├── EndlessList       page after page without anything, and always a next link
    │   ├── ForeignLink       a next link that leads away from Graph; it is not followed
    │   ├── SubjectNotFound   on demand: no object has that reference
    │   └── AmbiguousSubject  on demand: several objects have it
    └── GraphNeedsHuman       an admin must act
        ├── CredentialsRejected   of these CredentialExpired
        ├── ConsentMissing, ApplicationNotFound
        └── ConnectionUnusable    the connection itself lacks something

Codes come in mixed case and are refined in `innerError`; message texts are no contract
(Graph, "Error responses"). Graph's own message is shown only with everything in quotes
left out: it may hold names of people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from worker.errors import NeedsHuman, Terminal, TryAgain, WorkerError
from worker.graph import error_bodies
from worker.graph.error_bodies import REMEDIES, SECRET_EXPIRED, TRANSIENT, parse_retry_after

if TYPE_CHECKING:
    from store.records import GraphId
    from worker.reconcile.snapshot import Snapshot


class GraphError(WorkerError):
    """Anything that kept us from reading what was asked for."""

    request_id: str | None = None
    """Graph's `request-id`: what Microsoft's support asks for."""
    said: str = ""
    """Status and codes as Graph gave them."""


class GraphTryAgain(GraphError, TryAgain):
    """The same request may succeed later."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, delay_s=60.0 if retry_after_s is None else retry_after_s)
        self.retry_after_s = retry_after_s
        """What Graph asked us to wait; None where it did not say."""


class Throttled(GraphTryAgain):
    """Graph asks us to slow down."""


class ServiceFault(GraphTryAgain):
    """Graph or something before it is not well."""


class ConnectionFault(GraphTryAgain):
    """Graph could not be reached, or broke off in the middle of an answer."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        """What to look at where it goes on."""


class GraphTerminal(GraphError, Terminal):
    """The same request would end the same way."""


class BadRequest(GraphTerminal):
    """Graph refuses the query itself."""


class NotFound(GraphTerminal):
    """Graph says in its own words that the object does not exist."""


class ResyncRequired(GraphTerminal):
    """The delta link is no longer good: everything has to be read anew."""


class MalformedAnswer(GraphTerminal):
    """A successful status with a body that is not what was asked for."""


class EndlessList(GraphTerminal):
    """A list that goes on without giving anything."""


class ForeignLink(GraphTerminal):
    """A link in an answer points to another host, which would get the token."""


class SubjectNotFound(GraphTerminal):
    """No object in the directory has the reference; `snapshot` proves the search."""

    def __init__(self, message: str, snapshot: Snapshot) -> None:
        super().__init__(message)
        self.snapshot = snapshot


class AmbiguousSubject(GraphTerminal):
    """Several objects have the reference; `who` describes each by its object id."""

    def __init__(self, why: str, who: Mapping[GraphId, str]) -> None:
        listed = "; ".join([*list(who.values())[:_MOST_NAMED], *(["..."] if len(who) > _MOST_NAMED else [])])
        super().__init__(
            f"{len(who)} {why}: {listed}. Which one is meant cannot be told: give the object id of that one."
        )
        self.who = who


_MOST_NAMED = 10


class GraphNeedsHuman(GraphError, NeedsHuman):
    """Only an admin can help; `remedy` says how."""


class CredentialsRejected(GraphNeedsHuman):
    """Entra refuses the app's credential; `code` is its AADSTS number."""

    def __init__(self, message: str, remedy: str, code: int | None = None) -> None:
        super().__init__(message, remedy)
        self.code = code


class CredentialExpired(CredentialsRejected):
    """The secret or certificate has ended."""


class ConsentMissing(GraphNeedsHuman):
    """The app lacks `permission` (or an admin's consent to it)."""

    def __init__(self, message: str, permission: str) -> None:
        remedy = (
            f"Grant the application permission {permission} in Entra (App registrations > API permissions) "
            "and give admin consent; it takes up to 15 minutes to appear in tokens."
        )
        super().__init__(message, remedy)
        self.permission = permission


class ApplicationNotFound(GraphNeedsHuman):
    """The directory has no enterprise application of that id."""


class ConnectionUnusable(GraphNeedsHuman):
    """The connection lacks what is needed to read Graph at all."""


@dataclass(frozen=True, slots=True)
class GraphResponse:
    """An answer other than success, as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


# A 404 means "does not exist" only with one of these codes: the 404 page of a gateway
# must never read as "user gone".
_NOT_FOUND = frozenset({"request_resourcenotfound", "resourcenotfound", "itemnotfound", "notfound"})
_THROTTLED = frozenset({"toomanyrequests", "activitylimitreached", "requestthrottled"})
_NO_CONSENT = frozenset(
    {"authorization_requestdenied", "accessdenied", "authentication_msgraphpermissionmissing", "forbidden"}
)
_STALE_DELTA = re.compile(r"syncstate|resync|badtoken|expired", re.IGNORECASE)
_SERVICE_FAULTS = frozenset({408, 500, 502, 503, 504, 507, 509})
_MOVED = frozenset({409, 412})
"""Conflict and resourceModified: another writer changed the object meanwhile."""


def error_from_answer(answer: GraphResponse, name: str, permission: str) -> GraphError:
    """Return the error for an unsuccessful answer.

    `name` is what was read, `permission` what reading it takes. The status decides. The
    codes of the error and of every `innerError` refine it, and turn a 400 with a
    throttling code into `Throttled`.
    """
    fault = error_bodies.decode_error(answer.body)
    codes = {code.lower() for code in fault.codes}
    said = _described(answer, fault)
    request_id = fault.request_id or answer.headers.get("request-id")
    error = _sort(answer, name, permission, codes, said, has_request_id=bool(request_id))
    error.said = said
    error.request_id = request_id
    if error.request_id:
        error.args = (f"{error} (request-id {error.request_id})", *error.args[1:])
    return error


def _sort(
    answer: GraphResponse, name: str, permission: str, codes: set[str], said: str, *, has_request_id: bool
) -> GraphError:
    status = answer.status
    retry_after_s = parse_retry_after(answer.headers.get("retry-after"))
    if status == 429 or (400 <= status < 500 and codes & _THROTTLED):
        return Throttled(
            f"Graph throttled the reading of {name} ({said}{_for(retry_after_s)}). Leaver waits as long as "
            "Graph asks and tries again; if this lasts, lengthen the connection's interval.",
            retry_after_s,
        )
    if status in _SERVICE_FAULTS:
        return ServiceFault(
            f"Graph failed while {name} was read ({said}). Leaver tries again; if this lasts, look at "
            "https://status.cloud.microsoft.",
            retry_after_s,
        )
    if status in _MOVED:
        return ServiceFault(
            f"{name} changed while it was read ({said}). Leaver reads it again.", retry_after_s
        )
    if status == 401:
        return _unauthorized(name, permission, codes, said)
    if status == 403:
        return _forbidden(name, permission, said)
    if status == 410 or (status in (400, 404) and any(map(_STALE_DELTA.search, codes))):
        return ResyncRequired(
            f"Graph wants {name} to be read anew from the start ({said}): the next cycle reads everything."
        )
    if status == 404 and codes & _NOT_FOUND:
        return NotFound(
            f"Graph has no such object: {name} ({said}). Somebody who was only just made appears within minutes."
        )
    return _refused(status, name, said, has_request_id=has_request_id)


def _for(retry_after_s: float | None) -> str:
    return "" if not retry_after_s else f", for {retry_after_s:.0f} s"


def throttled_until(wait_s: float, now: datetime) -> Throttled:
    """Return the error for a request that Graph's own pause is too long for."""
    return Throttled(
        f"Graph asked for a pause of all reading of this directory: {wait_s:.0f} s from now, until "
        f"{now + timedelta(seconds=wait_s):%Y-%m-%d %H:%M:%S} UTC. Nothing is read before; the next cycle "
        "is due then.",
        wait_s,
    )


def _refused(status: int, name: str, said: str, *, has_request_id: bool) -> BadRequest:
    what = f"Graph refused the query for {name} ({said})"
    if status == 501:
        return BadRequest(
            f"{what}: it cannot give a property that was asked for. Take that property out of the "
            "connection's attribute mapping and scoping filters."
        )
    return BadRequest(
        f"{what}. Check the connection's Graph URL and the property names in its attribute mapping and "
        "scoping filters; if all are right, this is a fault of Leaver: report it"
        f"{' with the request-id' if has_request_id else ''}."
    )


def _forbidden(name: str, permission: str, said: str) -> ConsentMissing:
    return ConsentMissing(
        f"Graph refuses to let this app read {name} ({said}): {permission} is needed.", permission
    )


def _unauthorized(name: str, permission: str, codes: set[str], said: str) -> GraphError:
    if codes & _NO_CONSENT:
        return _forbidden(name, permission, said)
    return CredentialsRejected(
        f"Graph refused the app's token while {name} was read ({said}).",
        "Check that the connection's Graph URL and login URL belong to the same cloud and tenant, then "
        "test the connection.",
    )


def _described(answer: GraphResponse, fault: error_bodies.Fault) -> str:
    said = f"{answer.status}"
    if fault.codes:
        said += " " + "/".join(dict.fromkeys(fault.codes))
    if fault.message and answer.status == 400:
        said += ": " + re.sub(r"'[^']*'|\"[^\"]*\"", "…", fault.message)[:200]
    return said


def token_refused(status: int, body: bytes) -> GraphError:
    """Return the error for a refusal of the token endpoint or its OpenID metadata.

    It names the AADSTS code and the remedy.
    """
    refusal = error_bodies.decode_token_refusal(body)
    if transient := [code for code in refusal.error_codes if code in TRANSIENT]:
        return ServiceFault(
            f"Entra could not give this app a token now (AADSTS{transient[0]}, which passes)."
        )
    if refusal.error in ("temporarily_unavailable", "server_error"):  # RFC 6749 §4.1.2.1
        return ServiceFault(f"Entra could not give this app a token now ({refusal.error}).")
    code = next((code for code in refusal.error_codes if code in REMEDIES), None)
    if code is None:
        code = next(iter(refusal.error_codes), None)
    named = f"AADSTS{code}" if code is not None else (refusal.error or f"status {status}")
    remedy = REMEDIES.get(
        code or 0, "Check tenant id, client id and secret or certificate of the connection."
    )
    kind = CredentialExpired if code == SECRET_EXPIRED else CredentialsRejected
    error = kind(f"Entra refused to give this app a token ({named}).", remedy, code)
    error.request_id = refusal.trace_id
    return error


def credential_unusable(why: str, remedy: str) -> ConnectionUnusable:
    """Return an error that says why the credential cannot be used, and what to do."""
    return ConnectionUnusable(f"The Graph credential cannot be used: {why}.", remedy)
