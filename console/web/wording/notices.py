"""What is said after a form was sent: what was done, or why it was refused.

Closed lists, so that no link can put words into the console's mouth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from console.admin import errors
from console.admin.connections import errors as connection_errors
from console.admin.events import errors as event_errors
from console.admin.sessions.errors import InvalidFrameAncestor, LinkRefused

NOTICES: Mapping[str, str] = {
    "sync-requested": "A cycle was asked for. It shows below as soon as a worker begins.",
    "provisioned": "Done. The five steps are below.",
    "protected": "The account is protected: neither a cycle nor the push ends its access by itself.",
    "unprotected": "The account is not protected any more.",
    "sessions-ended": "Every session of the account was ended. Access itself stays.",
    "plan-approved": "The approved rows were applied. What became of each is below.",
    "plan-rejected": "The rejected rows stay as they are until their facts in Entra change.",
    "same-person": "Decided: both are one person, and the history is one.",
    "link-revoked": "The link opens nothing any more, and what it opened has ended.",
    "token-suspended": "The token is suspended: who uses it gets 403 until it is resumed.",
    "token-resumed": "The token works again.",
    "token-revoked": "The token is revoked for good.",
    "settings-saved": "The settings were saved.",
    "credential-saved": "The credential was tried at Entra and stored. The next cycle uses it.",
    "mode-enforce": "From the next cycle on drift is repaired, within the ceilings.",
    "mode-report": "From now on drift is reported, and nothing is changed.",
    "paused": "The connection is paused: pushes are answered with 503, and no cycle runs.",
    "resumed": "The connection works again; the next cycle is due at once.",
    "provider-set": "People sign in by this provider from now on. Sessions that live go on.",
    "provider-removed": "People sign in by Entra again.",
    "person-linked": "The person of the provider signs in with that account.",
    "mapping-saved": "A new version of the mapping is in use. Check that it fits.",
    "mapping-saved-plans-ended": (
        "A new version of the mapping is in use. Plans that waited were found by the one before and are ended: "
        "the next cycle holds what is still due. Check that it fits."
    ),
    "mapping-imported": "The mapping of Entra's provisioning job was taken over.",
    "mapping-imported-plans-ended": (
        "The mapping of Entra's provisioning job was taken over. Plans that waited were found by the one before and "
        "are ended: the next cycle holds what is still due."
    ),
    "mapping-confirmed": "It is noted that the mapping fits.",
    "webhook-deleted": "Nothing more is sent to that webhook.",
    "webhook-replayed": "Events after the cursor are sent again.",
    "operator-removed": "The operator enters the console no more; every session has ended.",
    "connection-ended": "The connection was ended.",
    "sent-twice": "The form was sent twice; it was carried out once.",
}
"""By the value of `notice` in the address."""


JOIN_PROBLEMS: Mapping[errors.JoinProblem, str] = {
    errors.JoinProblem.ONE_HOLDER: "Both are one account with one holder.",
    errors.JoinProblem.TWO_DIRECTORIES: "The two belong to two directories of Entra.",
    errors.JoinProblem.JOINED_ALREADY: "The two are declared the same person already.",
    errors.JoinProblem.NOT_JOINED: "The two were not declared the same person.",
    errors.JoinProblem.NOT_SEALED: "The account is not sealed.",
    errors.JoinProblem.SEALED: "The account is sealed, or stands for another person now.",
}

REFUSED: Mapping[type[errors.UseCaseError], Callable[[Any], str]] = {
    errors.AccountDeleted: lambda e: f"The account {e.user_name} is deleted: it has no access.",
    errors.AccountElsewhere: lambda e: f"The account belongs to the connection {e.other_connection_name}.",
    errors.JoinRefused: lambda e: JOIN_PROBLEMS[e.refusal],
    errors.SecretKeyMissing: lambda _e: "LEAVER_SECRET_KEY is not set, so no credential can be read.",
    connection_errors.NothingToChange: lambda _e: "Nothing was chosen that could be changed.",
    connection_errors.NotBraked: lambda _e: "No brake holds back removals by push.",
    errors.NameTaken: lambda e: f"Another {e.noun} has this name.",
    errors.InvalidName: lambda e: f"The name of a {e.noun} is 1 to 100 printable characters without a slash.",
    errors.ValueOutOfRange: lambda e: (
        f"{e.setting.replace('_', ' ').capitalize()} is a number from {e.least:,} to {e.most:,}."
    ),
    connection_errors.InvalidObjectId: lambda _e: "An id of Entra's has the form of a GUID.",
    connection_errors.InvalidDirectory: lambda _e: (
        "A directory is named by its GUID or by one of its domains."
    ),
    errors.InvalidPolicy: lambda e: f"{e.why[:1].upper()}{e.why[1:]}.",
    connection_errors.CredentialIncomplete: lambda _e: (
        "Client and directory are changed together with their credential: a stored secret is sent to no other place."
    ),
    connection_errors.CredentialRefused: lambda e: f"Entra refuses the credential: {e.why} {e.remedy}",
    connection_errors.InvalidServiceUrl: lambda e: (
        "The connection leads to a simulated directory, which the operator has not allowed (LEAVER_ALLOW_SIMULATOR)."
        if e.problem is connection_errors.UrlProblem.SIMULATOR_NOT_ALLOWED
        else "The URL has to be https, and an origin of one of Microsoft's clouds."
    ),
    connection_errors.CloudMismatch: lambda e: f"{e.why} {e.remedy}",
    errors.UnknownPermission: lambda _e: "There is no such permission.",
    errors.InvalidAddress: lambda _e: (
        "An address is an IP address or a network, for example 20.190.128.0/18."
    ),
    errors.TokenRevoked: lambda _e: "The token is revoked for good: make a new one.",
    event_errors.InvalidWebhookUrl: lambda e: f"Events are not sent there: {e.why}.",
    event_errors.UnknownEventType: lambda e: (
        f"There is no such type of event. The types are: {', '.join(e.known)}."
    ),
    event_errors.InvalidEventCursor: lambda _e: "This is no cursor of the feed.",
    errors.ConnectionRuns: lambda e: (
        f"A run works on the connection, at the latest until {e.until:%H:%M:%S} UTC. Try again then."
    ),
    errors.AllTenantsRequired: lambda _e: "Only an operator of all tenants can do this.",
    errors.NoDriftReport: lambda _e: "There is no drift report yet.",
    LinkRefused: lambda e: f"The link is {e.problem}.",
    InvalidFrameAncestor: lambda _e: (
        "An origin that may show the page is https:// and a host, without a path."
    ),
}
"""By the error that refused the form: what happened, and what to do."""
