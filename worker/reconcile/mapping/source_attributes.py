"""Source attributes: what a name in a mapping or scoping filter reads of a Graph user.

Attributes go by Graph's names or by those of Entra's mapping page, which differ. Graph
refuses a whole reading for one name that it does not know, so a name is checked when it
is saved (Microsoft Graph, "user resource type", v1.0).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from store.records import JsonValue
from worker.reconcile.mapping.values import Absent, Value, fault, first_of, from_json
from worker.reconcile.snapshot import GraphUser

Read = Callable[[GraphUser], JsonValue]
"""Return a value of a user; None where it is empty."""

GRAPH_NAMES = {
    "objectId": "id",
    "originalUserPrincipalName": "userPrincipalName",
    "physicalDeliveryOfficeName": "officeLocation",
    "telephoneNumber": "businessPhones",
    "mobile": "mobilePhone",
    "facsimileTelephoneNumber": "faxNumber",
} | {f"extensionAttribute{n}": "onPremisesExtensionAttributes" for n in range(1, 16)}
"""Attributes of Entra's mapping page that Graph calls by another name."""

_SOFT_DELETED = "IsSoftDeleted"
_APP_ROLES = "appRoleAssignments"


def _never_absent(_user: GraphUser) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Source:
    """A compiled source: how to read it, and the Graph properties that it needs."""

    read: Read
    properties: frozenset[str]
    plain: str | None = None
    """The one property of which it gives the first value, as `single` does.

    None for anything less simple.
    """
    why_absent: Callable[[GraphUser], Absent | None] = _never_absent
    """Return why an expression has no value; None for an attribute or a value."""
    many: bool = False
    """Gives a list of objects (app roles), of which none may be left out."""

    def settle(self, value: JsonValue) -> JsonValue:
        """Return what is stored of a value: the first of several, None if empty."""
        return value if self.many else single(value)

    def fails(self, user: GraphUser) -> bool:
        """Return whether the expression cannot be evaluated for this user."""
        absent = self.why_absent(user)
        return absent is not None and absent.is_fault


def attribute(name: str) -> Source:
    """Compile one source attribute, by Graph's name or by Entra's."""
    graph_name = GRAPH_NAMES.get(name, name)
    properties = frozenset({graph_name})
    if graph_name == "id":
        return Source(lambda user: user.id, properties)
    if graph_name == "accountEnabled":
        return Source(lambda user: str(user.account_enabled), properties)
    if name == "userPrincipalName":
        return Source(_user_principal_name, properties)
    if name == _SOFT_DELETED:
        return Source(lambda _user: "False", frozenset())  # a user who was read is not deleted
    if name == _APP_ROLES:
        return Source(lambda user: single(user.properties.get(name)), frozenset())
    if graph_name == "onPremisesExtensionAttributes":
        return Source(lambda user: _inside(user.properties.get(graph_name), name), properties)
    return Source(lambda user: single(user.properties.get(graph_name)), properties, graph_name)


def attribute_value(name: str, first: bool) -> Callable[[GraphUser], Value]:
    """Return how an attribute is read inside an expression: with all its values.

    `first` takes the first of several values. App roles are no property of `/users`:
    where they were not read, the value is a fault.
    """
    source = attribute(name)
    graph_name = GRAPH_NAMES.get(name, name)
    if source.plain is None and name != _APP_ROLES:
        return lambda user: from_json(source.read(user), name)
    if name == _APP_ROLES:
        return _app_roles
    if first or name == "telephoneNumber":  # one value in Entra, several in Graph
        return lambda user: first_of(from_json(user.properties.get(graph_name), name))
    return lambda user: from_json(user.properties.get(graph_name), name)


def _app_roles(user: GraphUser) -> Value:
    if _APP_ROLES not in user.properties:
        return fault("the app roles of the user were not read")
    return from_json(user.properties[_APP_ROLES], _APP_ROLES)


def single(value: JsonValue) -> JsonValue:
    """Return the first of several values; None for an empty one."""
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    return None if value == "" else value


def _user_principal_name(user: GraphUser) -> JsonValue:
    # For B2B guests `#EXT#` and the tenant's domain are taken off;
    # originalUserPrincipalName gives the raw name (Microsoft, how-provisioning-works).
    name = single(user.properties.get("userPrincipalName"))
    return name.partition("#EXT#")[0] if isinstance(name, str) else name


def _inside(value: JsonValue, name: str) -> JsonValue:
    return single(value.get(name)) if isinstance(value, dict) else None


KNOWN_PROPERTIES = frozenset(
    {
        *("id", "accountEnabled", "ageGroup", "businessPhones", "city", "companyName"),
        *("consentProvidedForMinor", "country", "createdDateTime", "creationType", "department"),
        *("displayName", "employeeHireDate", "employeeId", "employeeLeaveDateTime", "employeeOrgData"),
        *("employeeType", "externalUserState", "externalUserStateChangeDateTime", "faxNumber"),
        *("givenName", "identities", "imAddresses", "isResourceAccount", "jobTitle"),
        *("lastPasswordChangeDateTime", "legalAgeGroupClassification", "mail", "mailNickname"),
        *("manager", "mobilePhone", "officeLocation", "onPremisesDistinguishedName"),
        *("onPremisesDomainName", "onPremisesExtensionAttributes", "onPremisesImmutableId"),
        *("onPremisesLastSyncDateTime", "onPremisesSamAccountName", "onPremisesSecurityIdentifier"),
        *("onPremisesSyncEnabled", "onPremisesUserPrincipalName", "otherMails", "passwordPolicies"),
        *("postalCode", "preferredDataLocation", "preferredLanguage", "proxyAddresses"),
        *("securityIdentifier", "showInAddressList", "state", "streetAddress", "surname"),
        *("usageLocation", "userPrincipalName", "userType"),
    }
)

_DIRECTORY_EXTENSION = re.compile(r"extension_[0-9a-f]{32}_\w+", re.IGNORECASE)
"""An attribute that an application added (Graph, "directory extensions")."""


def unknown_properties(properties: Iterable[str]) -> tuple[str, ...]:
    """Return the properties that Graph's users do not have, sorted."""
    return tuple(
        sorted(
            name for name in set(properties) - KNOWN_PROPERTIES if not _DIRECTORY_EXTENSION.fullmatch(name)
        )
    )


def unknown_attribute(name: str) -> str | None:
    """Return why an attribute cannot be read, in a sentence; None where it can."""
    unknown = unknown_properties(attribute(name).properties)
    return sentence_on(unknown[0]) if unknown else None


def sentence_on(name: str) -> str:
    """Return what is wrong with an unknown property, and which one may be meant."""
    known = sorted(KNOWN_PROPERTIES | GRAPH_NAMES.keys())
    by_case = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), by_case, n=1)
    meant = f"; did you mean {by_case[near[0]]}?" if near else ""
    return f"Microsoft Graph's users have no property {name}{meant}"
