"""The attribute mapping: what a Graph user should look like here, as flat SCIM attribute paths.

The default is Entra's own for a non-gallery application, so that the pull expects what the push would have
sent. `active` is never mapped: entitlement decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from store.records import Document, GraphId, JsonValue, Policy
from worker.reconcile.errors import PolicyError
from worker.reconcile.paths import ENTERPRISE, MANAGER, parse, read_manager
from worker.reconcile.paths import read_path as read_path
from worker.reconcile.paths import write_paths as write_paths
from worker.reconcile.snapshot import GraphUser
from worker.reconcile.sources import Read, attribute, compile_source

DEFAULT_MAPPING: Mapping[str, str] = MappingProxyType(
    {
        "userName": "userPrincipalName",
        "externalId": "mailNickname",
        "displayName": "displayName",
        "title": "jobTitle",
        "preferredLanguage": "preferredLanguage",
        "name.givenName": "givenName",
        "name.familyName": "surname",
        "name.formatted": 'Join(" ", [givenName], [surname])',
        'emails[type eq "work"].value': "mail",
        'addresses[type eq "work"].formatted': "officeLocation",
        'addresses[type eq "work"].streetAddress': "streetAddress",
        'addresses[type eq "work"].locality': "city",
        'addresses[type eq "work"].region': "state",
        'addresses[type eq "work"].postalCode': "postalCode",
        'addresses[type eq "work"].country': "country",
        'phoneNumbers[type eq "work"].value': "businessPhones[0]",
        'phoneNumbers[type eq "mobile"].value': "mobilePhone",
        'phoneNumbers[type eq "fax"].value': "faxNumber",
        f"{ENTERPRISE}:employeeNumber": "employeeId",
        f"{ENTERPRISE}:department": "department",
        MANAGER: "manager",
    }
)
"""Without proxyAddresses, which one table of Microsoft's page has and the template has not."""

_NOT_MAPPED = frozenset({"active", "id", "meta", "schemas", "groups", "members"})

Resolve = Callable[[GraphId], str | None]
"""Our id of the row that stands for an Entra user, None where there is none."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One line of the mapping, compiled."""

    path: str
    source: Read
    held: Callable[[Document], JsonValue]
    clears: bool
    """Emptied there means emptied here. Never a userName: nobody can be without."""


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A mapping ready for many users."""

    attributes: tuple[Attribute, ...]
    """All but the manager."""
    properties: frozenset[str]
    """The Graph properties it reads."""
    with_manager: bool
    clear_emptied: bool
    user_name: Read
    user_name_property: str | None
    """The one Graph property that userName is taken from as it is; None for an expression."""

    def wanted(self, user: GraphUser, resolve: Resolve) -> dict[str, JsonValue]:
        """Gives every value a new row of this user gets; empty attributes are left out."""
        flat: dict[str, JsonValue] = {
            line.path: value for line in self.attributes if (value := line.source(user)) is not None
        }
        if manager := self._manager(user, resolve):
            flat[MANAGER] = manager
        return flat

    def differences(
        self, user: GraphUser, document: Document, resolve: Resolve
    ) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
        """Gives what the document holds and what it should hold, for the attributes that differ only."""
        before: dict[str, JsonValue] = {}
        after: dict[str, JsonValue] = {}
        for line in self.attributes:
            value = line.source(user)
            # Entra never sends nulls: an emptied attribute keeps its last value, unless the policy says so.
            if value is None and not line.clears:
                continue
            held = line.held(document)
            if held != value:
                before[line.path], after[line.path] = held, value
        if self.with_manager:
            self._compare_manager(user, document, resolve, before, after)
        return before, after

    def _compare_manager(
        self,
        user: GraphUser,
        document: Document,
        resolve: Resolve,
        before: dict[str, JsonValue],
        after: dict[str, JsonValue],
    ) -> None:
        manager = self._manager(user, resolve)
        # A manager whom we do not hold cannot be referred to: Entra leaves the reference out as well.
        if manager is None and (user.manager_id or not self.clear_emptied):
            return
        held = read_manager(document)
        if held != manager:
            before[MANAGER], after[MANAGER] = held, manager

    def _manager(self, user: GraphUser, resolve: Resolve) -> str | None:
        return resolve(user.manager_id) if self.with_manager and user.manager_id else None


def compile_mapping(policy: Policy) -> CompiledMapping:
    """Compiles the connection's mapping, Entra's default where it has none; raises `PolicyError`."""
    rows = tuple((policy.mapping or DEFAULT_MAPPING).items())
    return _compile(rows, policy.clear_emptied_attributes)


@lru_cache(maxsize=64)
def _compile(rows: tuple[tuple[str, str], ...], clear_emptied: bool) -> CompiledMapping:
    sources = {path: compile_source(text) for path, text in rows if path not in _NOT_MAPPED | {MANAGER}}
    if "userName" not in sources:
        raise PolicyError(
            "The attribute mapping has no userName, and nobody can be matched or created without; "
            "map it, by default from userPrincipalName."
        )
    return CompiledMapping(
        attributes=tuple(
            Attribute(path, source.read, parse(path).read, clear_emptied and path != "userName")
            for path, source in sources.items()
        ),
        properties=frozenset[str]().union(*(source.properties for source in sources.values())),
        with_manager=MANAGER in dict(rows),
        clear_emptied=clear_emptied,
        user_name=sources["userName"].read,
        user_name_property=_plain_property(dict(rows)["userName"]),
    )


def _plain_property(source: str) -> str | None:
    name = source.strip("[] ")
    if not name.isidentifier():
        return None
    return next(iter(attribute(name).properties))


def required_graph_properties(policy: Policy) -> frozenset[str]:
    """Gives the Graph properties to `$select` for users: mapping, matching and scoping filters together.

    The manager is not among them: it comes by `$expand`, when `wants_manager` says so.
    """
    always = {"id", "accountEnabled", "userPrincipalName", "mailNickname"}
    filtered = (clause.attribute for clauses in policy.scoping_filters for clause in clauses)
    return compile_mapping(policy).properties.union(
        always, *(attribute(name).properties for name in filtered)
    )


def wants_manager(policy: Policy) -> bool:
    """Tells whether users have to be read with their manager."""
    return compile_mapping(policy).with_manager
