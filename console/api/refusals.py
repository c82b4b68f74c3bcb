"""The problem that each error of a use case, of the store and of the worker becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from scim2_models import SCIMException

from console.admin import errors
from console.admin.connections import errors as connection_errors
from console.admin.events import errors as event_errors
from console.admin.events.errors import InvalidStream, TooEarly
from console.admin.sessions.errors import InvalidFrameAncestor, LinkRefused
from console.api.problems import FieldError, Problem
from scim.errors import refusal_of
from store import errors as store_errors
from worker import errors as worker_errors
from worker.jobs.requests import NoWorkerRuns
from worker.locks.lease import LeaseHeld

log = structlog.get_logger(__name__)


def _value(setting: str, detail: str) -> Problem:
    return Problem("invalid-value", detail, (FieldError(detail, pointer=f"/{setting}"),))


def _known_permissions(error: errors.UnknownPermission) -> Problem:
    known = ", ".join(f"{section}:{'|'.join(actions)}" for section, actions in error.known.items())
    return _value("permissions", f"There is no such permission. The permissions are: {known}.")


JOIN_REFUSALS: Mapping[errors.JoinProblem, str] = {
    errors.JoinProblem.ONE_HOLDER: "Both are one account with one holder.",
    errors.JoinProblem.TWO_DIRECTORIES: "The two belong to two directories.",
    errors.JoinProblem.JOINED_ALREADY: "The two are declared the same person already.",
    errors.JoinProblem.NOT_JOINED: "The two were not declared the same person.",
    errors.JoinProblem.NOT_SEALED: "The account is not sealed.",
    errors.JoinProblem.SEALED: "The account is sealed, or stands for another person now.",
}

WORDS: Mapping[type[errors.UseCaseError], Callable[[Any], Problem]] = {
    errors.UnknownReference: lambda e: Problem("not-found", f"There is no such {e.noun} here."),
    errors.AmbiguousReference: lambda e: Problem(
        "ambiguous-reference", f"{e.matches} {e.noun}s have this name."
    ),
    errors.ReferenceTooShort: lambda e: Problem(
        "not-found", f"The beginning of a checksum has at least {e.fewest_characters} characters."
    ),
    errors.AccountDeleted: lambda _e: Problem("conflict", "The account is deleted: it has no access."),
    errors.AccountElsewhere: lambda e: Problem(
        "conflict",
        f"It is an account of the connection {e.other_connection_name}, not of {e.connection_name}.",
    ),
    errors.JoinRefused: lambda e: Problem("conflict", JOIN_REFUSALS[e.refusal]),
    errors.ConnectionRuns: lambda e: Problem(
        "busy", f"A run works on the connection, at the latest until {e.until:%Y-%m-%d %H:%M:%S} UTC."
    ),
    errors.NameTaken: lambda e: Problem("name-taken", f"Another {e.noun} has this name."),
    errors.InvalidName: lambda e: _value(
        "name", f"The name of a {e.noun} is 1 to 100 printable characters without `/`."
    ),
    errors.ValueOutOfRange: lambda e: _value(
        e.setting, f"{e.setting} is a number from {e.least} to {e.most}."
    ),
    connection_errors.InvalidObjectId: lambda e: _value(
        e.setting, f"{e.setting} is an id of Entra's: a GUID."
    ),
    connection_errors.InvalidDirectory: lambda _e: _value(
        "entra_tenant_id", "entra_tenant_id is the id of an Entra tenant (a GUID) or one of its domains."
    ),
    errors.BackupExists: lambda _e: Problem("conflict", "A backup overwrites no file."),
    errors.NotOnSqlite: lambda _e: Problem("conflict", "PostgreSQL has programs of its own for this."),
    errors.InvalidPolicy: lambda e: _value(e.setting, f"{e.setting} cannot be used: {e.why}."),
    errors.AllTenantsRequired: lambda e: Problem(
        "operator-required", f"To {e.deed} is for an operator of all tenants."
    ),
    connection_errors.NothingToChange: lambda _e: Problem(
        "invalid-request", "The request names no value that is to be changed."
    ),
    connection_errors.CredentialRefused: lambda e: Problem(
        "invalid-value", f"Entra refuses the new credential: {e.why}"
    ),
    connection_errors.CredentialIncomplete: lambda _e: Problem(
        "invalid-value",
        "Client, Entra tenant and cloud are changed together with their credential: a stored secret is sent"
        " to no other place.",
    ),
    errors.SecretKeyMissing: lambda _e: Problem("operator-needed", "LEAVER_SECRET_KEY is not set."),
    connection_errors.InvalidServiceUrl: lambda e: _value(
        "return_urls" if e.role is connection_errors.UrlRole.RETURN else f"{e.role}_url",
        "An address to return to is https (http to this machine only), without fragment and user."
        if e.role is connection_errors.UrlRole.RETURN
        else "The URL has to be https and an origin of one of Microsoft's clouds, without a path; a simulator on this"
        " machine has to be allowed by the operator.",
    ),
    connection_errors.CloudMismatch: lambda e: Problem("invalid-value", f"{e.why} {e.remedy}"),
    connection_errors.InvalidAttributePath: lambda _e: _value(
        "attributes", "An attribute is written as URN:attribute, below a custom SCIM extension."
    ),
    errors.UnknownPermission: _known_permissions,
    errors.InvalidAddress: lambda _e: _value(
        "allowed_addresses", "An address is an IP address or a network."
    ),
    errors.FederationIncomplete: lambda _e: _value(
        "federation_subject", "A federated token needs the subject and an audience of its assertions."
    ),
    errors.FederationForUser: lambda _e: _value("user", "A federated token cannot stand for a user."),
    errors.TokenRevoked: lambda _e: Problem("conflict", "The token is revoked for good: make a new one."),
    errors.InvalidResult: lambda e: _value(e.field, f"{e.field}: {e.why}."),
    event_errors.InvalidEventCursor: lambda _e: Problem(
        "invalid-cursor", errors=(FieldError("Not a cursor of this feed.", parameter="after"),)
    ),
    event_errors.InvalidWebhookUrl: lambda e: _value("url", f"Events are not sent there: {e.why}."),
    InvalidStream: lambda e: Problem(
        "invalid-request",
        f"{e.setting}: {e.why}.",
        (FieldError(f"{e.why}.", pointer="/" + e.setting.replace(".", "/")),),
    ),
    TooEarly: lambda e: Problem("too-many-requests", headers={"Retry-After": str(max(1, round(e.delay_s)))}),
    event_errors.EventsGone: lambda e: Problem("gone", extra={"snapshot": e.snapshot}),
    event_errors.UnknownEventType: lambda e: Problem(
        "invalid-value",
        f"There is no such type of event. The types are: {', '.join(e.known)}.",
        (FieldError("Not a type of event.", parameter="types"),),
    ),
    errors.PermissionMissing: lambda e: Problem("permission-missing", f"It needs {e.permission}."),
    errors.SignInTooOld: lambda _e: Problem(
        "permission-missing", "It needs a sign-in of the last 15 minutes."
    ),
    LinkRefused: lambda e: Problem("not-found", f"The link is {e.problem}."),
    InvalidFrameAncestor: lambda _e: _value(
        "frame_ancestors", "An origin is https:// and a host, without a path."
    ),
    errors.NoDriftReport: lambda e: Problem("not-found", f"There is no such drift report: {e.why}."),
}
"""The words for errors of `console.admin.errors`; any other is worded by its class."""

_STORE: Mapping[type[Exception], str] = {
    store_errors.NotFound: "not-found",
    store_errors.UniquenessConflict: "conflict",
    store_errors.VersionMoved: "conflict",
    store_errors.InvalidRecord: "invalid-value",
    store_errors.Terminal: "conflict",
    store_errors.NeedsHuman: "operator-needed",
    LeaseHeld: "busy",
    worker_errors.Terminal: "conflict",
}


def problem_of(error: Exception) -> Problem:
    """Return the problem that answers an error; a defect of ours is logged by the
    caller.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, errors.UseCaseError):
        words = WORDS.get(type(error))
        return words(error) if words else Problem("conflict", _first_line(error))
    if isinstance(error, SCIMException):
        return _of_authentication(error)
    if isinstance(error, store_errors.TryAgain | worker_errors.DatabaseAway):
        delay_s = getattr(error, "delay_s", 5.0)
        return Problem("not-now", str(error), headers={"Retry-After": str(max(1, round(delay_s)))})
    if isinstance(error, NoWorkerRuns):
        return Problem("no-worker", str(error), headers={"Retry-After": "30"})
    if isinstance(error, worker_errors.NeedsHuman):
        return Problem("upstream", str(error), remedy=error.remedy)
    for kind, name in _STORE.items():
        if isinstance(error, kind):
            return Problem(name, str(error))
    if isinstance(error, worker_errors.WorkerError):
        return Problem("upstream", str(error))
    return Problem("internal", "The request could not be carried out.")


def _first_line(error: Exception) -> str:
    return " ".join((type(error).__doc__ or "").split("\n\n")[0].split())


_OF_SCIM = {
    401: "unauthenticated",
    403: "token-refused",
    408: "invalid-request",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
    503: "not-now",
}


def _of_authentication(error: SCIMException) -> Problem:
    """Return the problem of a refusal that SCIM shares: tokens, bodies, rates."""
    refusal = refusal_of(error)
    name = _OF_SCIM.get(refusal.status, "invalid-request")
    return Problem(name, str(refusal.body["detail"]), headers=dict(refusal.headers))
