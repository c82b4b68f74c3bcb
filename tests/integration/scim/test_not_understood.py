"""A write of which nothing is understood is refused and changes nothing: groups and their members.

Of users the same is tested without a server, in tests/unit/scim/test_scim_patch.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.scim_client import ScimClient

UNREADABLE: list[Any] = ["", {}, 5, [None], [{}], [""], [{"id": "{}"}], [{"value": ""}], [{"display": "Ida"}]]


def _filled(value: Any, member_id: str) -> Any:
    if isinstance(value, list):
        return [_filled(each, member_id) for each in value]
    if isinstance(value, dict):
        return {name: _filled(each, member_id) for name, each in value.items()}
    return value.format(member_id) if isinstance(value, str) else value


async def test_members_that_are_not_understood_never_leave(scim: ScimClient) -> None:
    """Before, each of these replaced the members by none, and was logged as a success."""
    first, second = [(await scim.create_user(f"u{number}@northwind.example"))["id"] for number in range(2)]
    group = await scim.create_group("Cartographers", first, second)
    path = f"/Groups/{group['id']}"
    for value in UNREADABLE:
        members = _filled(value, first)
        for op in ("add", "replace", "Remove"):
            reply = await scim.patch(path, {"op": op, "path": "members", "value": members})
            assert (reply.status, reply.body["scimType"]) == (400, "invalidValue"), (op, value)
            assert reply.body["detail"].startswith("Operations[0]: ")
            assert "members" in reply.body["detail"]
        for reply in (
            await scim.patch(path, {"op": "replace", "value": {"members": members}}),
            await scim.put(path, {"displayName": "Cartographers", "members": members}),
            await scim.post("/Groups", {"displayName": "Surveyors", "members": members}),
        ):
            assert (reply.status, reply.body["scimType"]) == (400, "invalidValue"), value
    assert await scim.member_ids(group["id"]) == {first, second}
    assert (await scim.get("/Groups")).body["totalResults"] == 1


async def test_a_member_that_is_not_understood_refuses_the_others_too(scim: ScimClient) -> None:
    first, second = [(await scim.create_user(f"u{number}@northwind.example"))["id"] for number in range(2)]
    group = await scim.create_group("Cartographers", first)
    operation = {"op": "replace", "path": "members", "value": [{"value": second}, {"id": first}]}
    assert (await scim.patch(f"/Groups/{group['id']}", operation)).status == 400
    assert await scim.member_ids(group["id"]) == {first}


@pytest.mark.parametrize(
    ("operation", "stays"),
    [
        ({"op": "Remove", "path": "members", "value": []}, True),
        ({"op": "add", "path": "members", "value": []}, True),
        ({"op": "replace", "path": "members", "value": []}, False),
        ({"op": "replace", "path": "members", "value": None}, False),
        ({"op": "Remove", "path": "members"}, False),
    ],
)
async def test_only_an_explicit_nothing_empties_a_group(
    scim: ScimClient, operation: dict[str, Any], stays: bool
) -> None:
    member = (await scim.create_user("ida@northwind.example"))["id"]
    group = await scim.create_group("Cartographers", member)
    assert (await scim.patch(f"/Groups/{group['id']}", operation)).status == 204
    assert await scim.member_ids(group["id"]) == ({member} if stays else set())


async def test_a_whole_group_that_does_not_name_its_members_keeps_them(scim: ScimClient) -> None:
    """RFC 7644 §3.5.1: an omitted attribute "MAY" be taken as cleared; silence takes no access here."""
    member = (await scim.create_user("u@northwind.example"))["id"]
    group = await scim.create_group("Cartographers", member)
    path = f"/Groups/{group['id']}"
    assert (await scim.put(path, {"displayName": "Surveyors"})).status == 200
    assert await scim.member_ids(group["id"]) == {member}
    empties: list[Any] = [None, []]
    for emptied in empties:
        assert (
            await scim.put(path, {"displayName": "Surveyors", "members": [{"value": member}]})
        ).status == 200
        assert (await scim.put(path, {"displayName": "Surveyors", "members": emptied})).status == 200
        assert await scim.member_ids(group["id"]) == set()
