"""Searches for users by equality, as Graph takes them in `$filter`."""

from __future__ import annotations

from dataclasses import dataclass

COLLECTIONS = frozenset({"businessPhones", "imAddresses", "otherMails", "proxyAddresses"})
"""Properties with several values, searched by `any`."""

FILTERED = COLLECTIONS | {
    "city",
    "country",
    "department",
    "displayName",
    "employeeId",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mailNickname",
    "onPremisesImmutableId",
    "onPremisesSecurityIdentifier",
    "state",
    "surname",
    "usageLocation",
    "userPrincipalName",
}
"""Properties that `$filter` takes with `eq` (Graph, resource type user)."""

ADVANCED = frozenset(
    {
        "companyName",
        "employeeType",
        "faxNumber",
        "mobilePhone",
        "officeLocation",
        "onPremisesDomainName",
        "onPremisesExtensionAttributes",
        "onPremisesSamAccountName",
        "onPremisesUserPrincipalName",
        "postalCode",
        "preferredLanguage",
        "streetAddress",
    }
)
"""Properties that `$filter` takes only in advanced queries.

These need `ConsistencyLevel: eventual` and `$count=true` (Graph, "Advanced query
capabilities").
"""


def is_searchable(name: str) -> bool:
    """Return whether Graph finds users by a property; an object is read by its id."""
    return name in FILTERED | ADVANCED - {"onPremisesExtensionAttributes"} and name != "id"


@dataclass(frozen=True, slots=True, order=True)
class GraphFilter:
    """One search by equality: a property, and the value that a person has there."""

    name: str
    value: str

    @property
    def is_collection(self) -> bool:
        """Whether the property has several values."""
        return self.name in COLLECTIONS

    @property
    def is_advanced(self) -> bool:
        """Whether the search needs `ConsistencyLevel: eventual` and `$count=true`."""
        return self.name.partition("/")[0] in ADVANCED

    @property
    def text(self) -> str:
        """The OData expression."""
        value = self.value.replace("'", "''")
        if self.is_collection:
            return f"{self.name}/any(x:x eq '{value}')"
        return f"{self.name} eq '{value}'"
