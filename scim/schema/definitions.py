"""Define users and groups: the schemas of RFC 7643 as plain values that are fast to
read.

The definitions come from scim2-server's copy of the RFC; nothing is declared twice.
`Shape` is one resource type with its extensions, `Attribute` one attribute with its
characteristics (RFC 7643 §2.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from scim2_server.utils import load_default_schemas

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

FILLED_IN = frozenset({"active"})
"""Required attributes that a creation may leave out: the server sets them."""

CUSTOM_URN = re.compile(
    r"(urn:ietf:params:scim:schemas:extension:([A-Za-z0-9_.-]+):2\.0:(User|Group))(?::|$)", re.I | re.A
)
"""Entra's pattern of a custom extension,
`urn:ietf:params:scim:schemas:extension:{Name}:2.0:User:{attribute}` (Microsoft
Learn, "Customize application attributes": custom extension attributes).
"""

_CUSTOM_PATH = re.compile(r"(?P<urn>urn:.+):(?P<name>\$?[A-Za-z][A-Za-z0-9$_-]*)", re.I | re.A)


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    type: str
    """`string`, `boolean`, `integer`, `decimal`, `dateTime`, `reference`, `binary`,
    `complex`, or `any`.
    """
    multi_valued: bool = False
    case_exact: bool = False
    mutability: str = "readWrite"
    returned: str = "default"
    required: bool = False
    sub_attributes: Mapping[str, Attribute] = field(default_factory=dict)
    """By lower-case name: attribute names are case-insensitive (RFC 7643 §2.1)."""

    def sub(self, name: str) -> Attribute | None:
        return self.sub_attributes.get(name.lower())

    @property
    def is_complex(self) -> bool:
        return self.type == "complex"

    @property
    def is_open(self) -> bool:
        """Whether no schema declares it: any JSON value, a list too."""
        return self.type == "any"


@dataclass(frozen=True, slots=True)
class Extension:
    urn: str
    attributes: Mapping[str, Attribute]
    is_open: bool = False
    """An extension that only the customer's mapping declares: any attribute, plain
    values. `attributes` then only says how declared names are spelled.
    """

    def attribute(self, name: str) -> Attribute | None:
        known = self.attributes.get(name.lower())
        return known or (Attribute(name, "any") if self.is_open else None)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One resource type: its own attributes, the common ones, and its extensions by
    lower-case URN.
    """

    name: str
    endpoint: str
    urn: str
    attributes: Mapping[str, Attribute]
    extensions: Mapping[str, Extension]
    required: frozenset[str]

    def extension(self, urn: str) -> Extension | None:
        """Return the extension of a URN: a declared one, or any of Entra's pattern for
        custom ones.
        """
        known = self.extensions.get(urn.lower())
        if known:
            return known
        custom = CUSTOM_URN.fullmatch(urn)
        if custom and custom[3].lower() == self.name.lower():
            return Extension(urn, {}, is_open=True)
        return None


def _attribute(definition: Mapping[str, Any]) -> Attribute:
    return Attribute(
        name=definition["name"],
        type=definition["type"],
        multi_valued=definition.get("multiValued", False),
        case_exact=definition.get("caseExact", False),
        mutability=definition.get("mutability", "readWrite"),
        returned=definition.get("returned", "default"),
        required=definition.get("required", False),
        sub_attributes=_attributes(definition.get("subAttributes", ())),
    )


def _attributes(definitions: Any) -> dict[str, Attribute]:
    return {each["name"].lower(): _attribute(each) for each in definitions}


def _common_attributes() -> dict[str, Attribute]:
    """Attributes every resource has without a schema declaring them (RFC 7643 §3.1)."""
    time = {"type": "dateTime", "mutability": "readOnly"}
    exact = {"type": "string", "mutability": "readOnly", "caseExact": True}
    return _attributes(
        [
            {
                "name": "id",
                "type": "string",
                "caseExact": True,
                "mutability": "readOnly",
                "returned": "always",
            },
            {"name": "externalId", "type": "string", "caseExact": True},
            {
                "name": "schemas",
                "type": "reference",
                "multiValued": True,
                "caseExact": True,
                "returned": "always",
            },
            {
                "name": "meta",
                "type": "complex",
                "mutability": "readOnly",
                "subAttributes": [
                    {"name": "resourceType", **exact},
                    {"name": "created", **time},
                    {"name": "lastModified", **time},
                    {"name": "location", **exact},
                    {"name": "version", **exact},
                ],
            },
        ]
    )


Declared = frozenset[tuple[str, str]]
"""Custom attributes of a connection: pairs of an extension's URN and a name."""


def declared_by(paths: Iterable[str]) -> Declared:
    """Return the custom attributes among SCIM paths, mapped or declared."""
    found = (_CUSTOM_PATH.fullmatch(path) for path in paths)
    known = tuple(urn.lower() for urn in (USER_URN, GROUP_URN, ENTERPRISE_URN))
    return frozenset(
        (each["urn"], each["name"]) for each in found if each and each["urn"].lower() not in known
    )


def schema_bodies(declared: Declared = frozenset()) -> dict[str, dict[str, Any]]:
    """Return the RFC 7643 schemas as JSON, by URN, with the differences of Leaver."""
    bodies = {urn: schema.model_dump() for urn, schema in load_default_schemas().items()}
    kept = {urn: bodies[urn] for urn in (USER_URN, GROUP_URN, ENTERPRISE_URN)}
    # Entra matches groups by displayName and needs it unique (Entra SCIM page,
    # requirements for groups).
    _named(kept[GROUP_URN], "displayName")["uniqueness"] = "server"
    # Without `active` in its mapping Entra never sends leavers; it warns where a
    # required one is missing.
    _named(kept[USER_URN], "active")["required"] = True
    # A group's response never reads its members' names; a user's reads its groups
    # only on request.
    members = _named(kept[GROUP_URN], "members")
    members["subAttributes"] = [each for each in members["subAttributes"] if each["name"] != "display"]
    _named(kept[USER_URN], "groups")["returned"] = "request"
    return {**kept, **_declared_bodies(declared)}


def _declared_bodies(declared: Declared) -> dict[str, dict[str, Any]]:
    bodies: dict[str, dict[str, Any]] = {}
    for urn, name in sorted(declared):
        body = bodies.setdefault(
            urn,
            {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
                "id": urn,
                "name": urn.rpartition(":extension:")[2].partition(":")[0],
                "description": "Declared by the connection.",
                "attributes": [],
            },
        )
        described = {"type": "string", "multiValued": False, "description": f"{name}, as Entra sends it."}
        kept = {"required": False, "caseExact": False, "mutability": "readWrite", "returned": "default"}
        body["attributes"].append({"name": name, **described, **kept, "uniqueness": "none"})
    return bodies


def _named(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in body["attributes"] if each["name"] == name)
    return found


@lru_cache(maxsize=256)
def shapes(declared: Declared = frozenset()) -> Mapping[str, Shape]:
    """Return the resource types by lower-case endpoint: `users` and `groups`."""
    bodies = schema_bodies()
    common = _common_attributes()
    enterprise = Extension(ENTERPRISE_URN, _attributes(bodies[ENTERPRISE_URN]["attributes"]))
    user = {**common, **_attributes(bodies[USER_URN]["attributes"])}
    group = {**common, **_attributes(bodies[GROUP_URN]["attributes"])}
    custom = [
        Extension(
            urn, {name.lower(): Attribute(name, "any") for of, name in declared if of == urn}, is_open=True
        )
        for urn in sorted({urn for urn, _ in declared})
    ]
    of_users = {each.urn.lower(): each for each in (enterprise, *custom) if not is_for_groups(each.urn)}
    of_groups = {each.urn.lower(): each for each in custom if is_for_groups(each.urn)}
    return {
        "users": Shape("User", "Users", USER_URN, user, of_users, _required(user)),
        "groups": Shape("Group", "Groups", GROUP_URN, group, of_groups, _required(group)),
    }


def is_for_groups(urn: str) -> bool:
    return urn.lower().endswith(":group")


def _required(attributes: Mapping[str, Attribute]) -> frozenset[str]:
    return frozenset(each.name for each in attributes.values() if each.required)


def user_shape() -> Shape:
    return shapes()["users"]


def group_shape() -> Shape:
    return shapes()["groups"]
