"""The properties of Graph's users that a mapping or a scoping filter may read.

Graph refuses a whole reading for one name that it does not know, so a name is checked
when it is saved (Microsoft Graph, "user resource type", v1.0).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from worker.reconcile.mapping.source_attributes import GRAPH_NAMES, attribute

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
