"""Compare what the app has now with the simulated tenant's own state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from console.demo.processes import Json, call

PAGE = 200
NOT_COMPARED = frozenset({"schemas", "active"})
"""`active` is compared with entitlement, in `_access`."""


def differences(scim_url: str, token: str, state: Json, expected_extra: set[str]) -> list[str]:
    """Return a sentence for every difference; an empty list proves every claim.

    `state` is the simulator's `/state`; `expected_extra` are accounts of the app's own.
    """
    accounts = {user["userName"].lower(): user for user in _all(scim_url, token, "Users")}
    groups = {group["displayName"]: group for group in _all(scim_url, token, "Groups")}
    entitled = {user["userPrincipalName"].lower(): user for user in state["users"] if user["entitled"]}
    return [
        *_access(accounts, set(entitled) | expected_extra),
        *_attributes(accounts, entitled),
        *_memberships(accounts, groups, state, entitled),
    ]


def _access(accounts: Mapping[str, Json], entitled: set[str]) -> Iterator[str]:
    active = {name for name, user in accounts.items() if user["active"]}
    yield from (f"{name} still has access" for name in sorted(active - entitled))
    yield from (f"{name} should have access and has not" for name in sorted(entitled - active))


def _attributes(accounts: Mapping[str, Json], entitled: Mapping[str, Json]) -> Iterator[str]:
    for name, truth in entitled.items():
        for attribute, value in truth["scim"].items():
            if attribute not in NOT_COMPARED and not _contains(accounts.get(name, {}).get(attribute), value):
                yield f"{name}: {attribute} is not what Entra says"


def _memberships(
    accounts: Mapping[str, Json], groups: Mapping[str, Json], state: Json, entitled: Mapping[str, Json]
) -> Iterator[str]:
    name_of = {user["id"]: name for name, user in accounts.items()}
    upn_of = {user["id"]: name for name, user in entitled.items()}
    for group in state["groups"]:
        if not group["assigned"]:
            continue
        here = groups.get(group["displayName"], {"members": []})
        found = {name_of.get(member["value"], member["value"]) for member in here.get("members", [])}
        wanted = {upn_of[member] for member in group["members"] if member in upn_of}
        if found & set(entitled) != wanted:
            yield f"group {group['displayName']} does not have the members Entra says"


def _contains(actual: Any, expected: Any) -> bool:
    """Return whether `actual` holds all of `expected`.

    More, such as an id, is ignored.
    """
    if isinstance(expected, Mapping):
        return isinstance(actual, Mapping) and all(_contains(actual.get(k), v) for k, v in expected.items())
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        items = actual if isinstance(actual, list) else []
        return all(any(_contains(item, wanted) for item in items) for wanted in expected)
    return bool(actual == expected)


def _all(scim_url: str, token: str, kind: str) -> list[Json]:
    found: list[Json] = []
    while True:
        page = call("GET", f"{scim_url}/{kind}?startIndex={len(found) + 1}&count={PAGE}", token=token)
        found += page.get("Resources", [])
        if len(found) >= page["totalResults"] or not page.get("Resources"):
            return found
