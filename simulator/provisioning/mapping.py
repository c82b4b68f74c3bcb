"""Entra's default attribute mapping (non-gallery `scim` template), from Graph
properties to SCIM attributes.

A mapping gives flat values: SCIM path -> text, empty ones left out, because the service
never sends nulls. References (manager, members) are not part of it: they need the
target's ids and go out last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.provisioning import paths
from simulator.provisioning.expression import evaluate
from simulator.provisioning.paths import ENTERPRISE

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
LEGACY_GROUP_SCHEMA = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"

ACTIVE = 'Switch([IsSoftDeleted], , "False", "True", "True", "False")'


@dataclass(frozen=True, slots=True)
class AttributeMapping:
    """One row of the mapping page."""

    target: str
    """SCIM path."""
    source: str
    """Entra's source attribute name or expression."""
    matching_priority: int = 0
    """1, 2, … for matching attributes, in the order they are tried; 0 for others."""


AttributeMappings = tuple[AttributeMapping, ...]

DEFAULT_USER_MAPPING: AttributeMappings = (
    AttributeMapping("userName", "userPrincipalName", matching_priority=1),
    AttributeMapping("active", ACTIVE),
    AttributeMapping("displayName", "displayName"),
    AttributeMapping("title", "jobTitle"),
    AttributeMapping('emails[type eq "work"].value', "mail"),
    AttributeMapping("preferredLanguage", "preferredLanguage"),
    AttributeMapping("name.givenName", "givenName"),
    AttributeMapping("name.familyName", "surname"),
    AttributeMapping("name.formatted", 'Join(" ", [givenName], [surname])'),
    AttributeMapping('addresses[type eq "work"].formatted', "physicalDeliveryOfficeName"),
    AttributeMapping('addresses[type eq "work"].streetAddress', "streetAddress"),
    AttributeMapping('addresses[type eq "work"].locality', "city"),
    AttributeMapping('addresses[type eq "work"].region', "state"),
    AttributeMapping('addresses[type eq "work"].postalCode', "postalCode"),
    AttributeMapping('addresses[type eq "work"].country', "country"),
    AttributeMapping('phoneNumbers[type eq "work"].value', "telephoneNumber"),
    AttributeMapping('phoneNumbers[type eq "mobile"].value', "mobile"),
    AttributeMapping('phoneNumbers[type eq "fax"].value', "facsimileTelephoneNumber"),
    AttributeMapping("externalId", "mailNickname"),
    AttributeMapping(f"{ENTERPRISE}:employeeNumber", "employeeId"),
    AttributeMapping(f"{ENTERPRISE}:department", "department"),
)

DEFAULT_GROUP_MAPPING: AttributeMappings = (
    AttributeMapping("displayName", "displayName", matching_priority=1),
    AttributeMapping("externalId", "objectId"),
)

_GRAPH_NAMES = {
    "objectId": "id",
    "physicalDeliveryOfficeName": "officeLocation",
    "telephoneNumber": "businessPhones",
    "mobile": "mobilePhone",
    "facsimileTelephoneNumber": "faxNumber",
    "originalUserPrincipalName": "userPrincipalName",
}
"""Source attributes that Graph calls by another name."""


def source_value(source: Mapping[str, Any], name: str) -> str | None:
    """Read a source attribute by Entra's name as a text; None where it is empty."""
    value = source.get(_GRAPH_NAMES.get(name, name))
    if name.startswith("extensionAttribute"):
        value = (source.get("onPremisesExtensionAttributes") or {}).get(name)
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if isinstance(value, bool):
        return str(value)
    if value is None or value == "":
        return None
    if name == "userPrincipalName":
        # B2B guests: `#EXT#` and the tenant's domain are taken off;
        # originalUserPrincipalName keeps them.
        return str(value).partition("#EXT#")[0]
    return str(value)


def map_attributes(mappings: AttributeMappings, source: Mapping[str, Any]) -> dict[str, str]:
    """Return what an object should look like in the target: SCIM path -> text, empty
    values left out.

    `source` is the object's Graph properties with `id`, and for a user `IsSoftDeleted`.
    """
    values = ((m.target, evaluate(m.source, lambda name: source_value(source, name))) for m in mappings)
    return {target: value for target, value in values if value}


def matching_paths(mappings: AttributeMappings) -> list[str]:
    """Return the matching attributes in the order they are tried."""
    ranked = sorted((m for m in mappings if m.matching_priority), key=lambda m: m.matching_priority)
    return [mapping.target for mapping in ranked]


def edit(mappings: AttributeMappings, changes: Mapping[str, str | None]) -> AttributeMappings:
    """Return a mapping with some targets mapped from another source, added, or (None)
    removed.

    Raise BadExpression for a source that makes no sense.
    """
    for source in changes.values():
        if source is not None:
            evaluate(source, lambda _: None)
    rest = [m for m in mappings if m.target not in changes]
    kept = {m.target: m.matching_priority for m in mappings}
    new = [AttributeMapping(t, s, kept.get(t, 0)) for t, s in changes.items() if s is not None]
    return tuple(rest + new)


def with_matching(mappings: AttributeMappings, targets: Iterable[str]) -> AttributeMappings:
    """Return a mapping whose matching attributes are these, in this order."""
    rank = {target: place for place, target in enumerate(targets, start=1)}
    return tuple(AttributeMapping(m.target, m.source, rank.get(m.target, 0)) for m in mappings)


def user_body(values: Mapping[str, str]) -> dict[str, Any]:
    """Render a `POST /Users` body: `active` is a boolean there; `meta` and an empty
    `roles` always sent.
    """
    # A custom extension's URN is not listed in `schemas`, only the two documented ones.
    body: dict[str, Any] = {
        "schemas": [USER_SCHEMA, ENTERPRISE],
        "meta": {"resourceType": "User"},
        "roles": [],
    }
    for path, value in values.items():
        paths.put(body, path, value == "True" if path == "active" else value)
    return body


def group_body(values: Mapping[str, str]) -> dict[str, Any]:
    """Render a `POST /Groups` body: no members yet, and Microsoft's old schema is still
    listed.
    """
    body: dict[str, Any] = {
        "schemas": [GROUP_SCHEMA, LEGACY_GROUP_SCHEMA],
        "meta": {"resourceType": "Group"},
    }
    for path, value in values.items():
        paths.put(body, path, value)
    return body
