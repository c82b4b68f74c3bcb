"""The attribute mapping: the SCIM attributes that a Graph user should have here.

The default is Entra's own for a non-gallery application, so that the pull expects what
the push would have sent. `active` is never mapped: entitlement decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from store.records import Document, GraphId, JsonValue, Policy
from worker.reconcile.mapping.attribute_paths import (
    ENTERPRISE,
    MANAGER,
    Place,
    PolicyError,
    parse,
    read_manager,
)
from worker.reconcile.mapping.attribute_paths import read_path as read_path
from worker.reconcile.mapping.attribute_paths import write_paths as write_paths
from worker.reconcile.mapping.expressions import Source, attribute, compile_source
from worker.reconcile.mapping.syntax import AttributeReference, parse_expression
from worker.reconcile.snapshot import GraphUser, materialize

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
"""The default mapping, without proxyAddresses.

One table of Microsoft's page has it, the template has not.
"""

_NOT_MAPPED = frozenset({"active", "id", "meta", "schemas", "groups", "members"})

Resolve = Callable[[GraphId], str | None]
"""Return the id of the row that stands for an Entra user; None where there is none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the mapping, compiled."""

    path: str
    leaf: str
    """The attribute's name within its place."""
    source: Source
    clears: bool
    """Emptied in Entra means emptied here. Never a userName: every user needs one."""


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A mapping ready for many users."""

    places: tuple[tuple[Place, tuple[Line, ...]], ...]
    """All lines but the manager's, by the place in the document that they share."""
    sources: tuple[tuple[str, Source], ...]
    """The same, each with its path only."""
    properties: frozenset[str]
    """The Graph properties it reads."""
    with_manager: bool
    clear_emptied: bool
    user_name: Source
    user_name_property: str | None
    """The one Graph property that userName is taken from; None for an expression."""
    external_id: Source | None
    """None where the mapping gives no externalId."""
    external_id_property: str | None

    def wanted(self, user: GraphUser, resolve: Resolve) -> dict[str, JsonValue]:
        """Return every value of a new row of this user; leave out empty attributes."""
        flat: dict[str, JsonValue] = {}
        properties = materialize(user.properties)
        for path, source in self.sources:
            plain = source.plain
            value = source.read(user) if plain is None else properties.get(plain)
            if type(value) is not str:  # nearly all are texts: this runs twice for every new user
                value = source.settle(value)
            if value is not None and value != "":
                flat[path] = value
        if manager := self._manager(user, resolve):
            flat[MANAGER] = manager
        return flat

    def differences(
        self, user: GraphUser, document: Document, resolve: Resolve
    ) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
        """Return what the document holds and should hold, where the two differ."""
        before: dict[str, JsonValue] = {}
        after: dict[str, JsonValue] = {}
        properties = materialize(user.properties)
        for place, lines in self.places:
            holder = place.find(document)
            for line in lines:
                plain = line.source.plain
                value = line.source.read(user) if plain is None else properties.get(plain)
                held = holder.get(line.leaf)
                # Nearly all are equal as read: this loop is most of a cycle's planning.
                if value == held or not _differs(value := line.source.settle(value), held, line.clears):
                    continue
                # What cannot be evaluated is not empty there, and empties nothing here.
                if value is not None or not line.source.fails(user):
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
        # A manager without a row here cannot be referred to: Entra leaves the reference
        # out as well.
        if manager is None and (user.manager_id or not self.clear_emptied):
            return
        held = read_manager(document)
        if held != manager:
            before[MANAGER], after[MANAGER] = held, manager

    def _manager(self, user: GraphUser, resolve: Resolve) -> str | None:
        return resolve(user.manager_id) if self.with_manager and user.manager_id else None


def _differs(value: JsonValue, held: JsonValue, clears: bool) -> bool:
    # Entra never sends nulls: an emptied attribute keeps its last value, unless the
    # policy says otherwise.
    if value is None:
        return clears and held not in (None, "")
    return value != held


def compile_mapping(policy: Policy) -> CompiledMapping:
    """Compile the connection's mapping, or Entra's default where it has none.

    Raise `PolicyError` for a mapping that cannot be used.
    """
    rows = tuple(source_texts(policy).items())
    return _compile(rows, policy.clear_emptied_attributes)


def source_texts(policy: Policy) -> Mapping[str, str]:
    """Return the sources of the connection's mapping as they were written, by path."""
    return policy.mapping or DEFAULT_MAPPING


@lru_cache(maxsize=64)
def _compile(rows: tuple[tuple[str, str], ...], clear_emptied: bool) -> CompiledMapping:
    sources = {path: compile_source(text) for path, text in rows if path not in _NOT_MAPPED | {MANAGER}}
    if "userName" not in sources:
        raise PolicyError(
            "The attribute mapping has no userName, and nobody can be matched or created without; "
            "map it, by default from userPrincipalName."
        )
    lines: dict[Place, list[Line]] = {}
    for text, source in sources.items():
        path = parse(text)
        line = Line(text, path.leaf, source, clear_emptied and text != "userName")
        lines.setdefault(path.place, []).append(line)
    return CompiledMapping(
        places=tuple((place, tuple(shared)) for place, shared in lines.items()),
        sources=tuple((line.path, line.source) for shared in lines.values() for line in shared),
        properties=frozenset[str]().union(*(source.properties for source in sources.values())),
        with_manager=MANAGER in dict(rows),
        clear_emptied=clear_emptied,
        user_name=sources["userName"],
        user_name_property=_one_property(dict(rows)["userName"]),
        external_id=sources.get("externalId"),
        external_id_property=_one_property(dict(rows).get("externalId", "")),
    )


def _one_property(source: str) -> str | None:
    if not source:
        return None
    expression = parse_expression(source)
    if not isinstance(expression, AttributeReference) or expression.first:
        return None
    # Extension attributes lie inside one property, which cannot be searched as a whole.
    found = attribute(expression.name).properties - {"onPremisesExtensionAttributes"}
    return next(iter(found), None)


def required_graph_properties(policy: Policy) -> frozenset[str]:
    """Return the Graph properties to `$select` for users.

    They are those of mapping, matching and scoping filters together, and when a person
    was made there. The manager is not among them: it is read apart, when
    `wants_manager` says so.
    """
    always = {"id", "accountEnabled", "userPrincipalName", "mailNickname", "mail", "employeeId"}
    always.add("createdDateTime")
    filtered = (clause.attribute for clauses in policy.scoping_filters for clause in clauses)
    return compile_mapping(policy).properties.union(
        always, *(attribute(name).properties for name in filtered)
    )


def wants_manager(policy: Policy) -> bool:
    """Return whether users have to be read with their manager."""
    return compile_mapping(policy).with_manager
