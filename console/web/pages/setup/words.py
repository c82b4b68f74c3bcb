"""What is said when a set-up is refused: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from console.admin import errors
from console.admin.operators.link_errors import InvalidFrameAncestor, LinkRefused

WORDS: Mapping[type[errors.UseCaseError], Callable[[Any], str]] = {
    errors.NameTaken: lambda e: f"Another {e.noun} has this name.",
    errors.InvalidName: lambda e: f"The name of a {e.noun} is 1 to 100 printable characters without a slash.",
    errors.ValueOutOfRange: lambda e: (
        f"{e.setting.replace('_', ' ').capitalize()} is a number from {e.least:,} to {e.most:,}."
    ),
    errors.InvalidObjectId: lambda _e: "An id of Entra's has the form of a GUID.",
    errors.InvalidDirectory: lambda _e: "A directory is named by its GUID or by one of its domains.",
    errors.InvalidPolicy: lambda e: f"{e.why[:1].upper()}{e.why[1:]}.",
    errors.CredentialIncomplete: lambda _e: (
        "Client and directory are changed together with their credential: a stored secret is sent to no other place."
    ),
    errors.CredentialRefused: lambda e: f"Entra refuses the credential: {e.why} {e.remedy}",
    errors.InvalidServiceUrl: lambda _e: (
        "The URL has to be https, and an origin of one of Microsoft's clouds."
    ),
    errors.CloudMismatch: lambda e: f"{e.why} {e.remedy}",
    errors.UnknownPermission: lambda _e: "There is no such permission.",
    errors.InvalidAddress: lambda _e: (
        "An address is an IP address or a network, for example 20.190.128.0/18."
    ),
    errors.TokenRevoked: lambda _e: "The token is revoked for good: make a new one.",
    errors.InvalidWebhookUrl: lambda e: f"Events are not sent there: {e.why}.",
    errors.UnknownEventType: lambda e: (
        f"There is no such type of event. The types are: {', '.join(e.known)}."
    ),
    errors.InvalidEventCursor: lambda _e: "This is no cursor of the feed.",
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
