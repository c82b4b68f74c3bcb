"""`attributes` and `excludedAttributes`: what an answer holds (RFC 7644 §3.9)."""

from __future__ import annotations

from typing import Any

import pytest

from scim.endpoints.projection import project, projection_of, read_projection
from scim.schema.definitions import ENTERPRISE_URN, group_shape, user_shape

ADA: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE_URN],
    "id": "u1",
    "userName": "ada",
    "name": {"givenName": "Ada", "familyName": "Marsh"},
    "emails": [{"type": "work", "value": "a@x.example"}],
    ENTERPRISE_URN: {"department": "Records", "manager": {"value": "m1", "$ref": "r"}},
    "meta": {"resourceType": "User", "version": 'W/"1"'},
}
ALWAYS = {"schemas": ADA["schemas"], "id": "u1"}


def included(*paths: str) -> dict[str, Any]:
    return project(ADA, read_projection(user_shape(), paths, ()))


def excluded(*paths: str) -> dict[str, Any]:
    return project(ADA, read_projection(user_shape(), (), paths))


def test_only_what_is_asked_for_is_returned_beside_id_and_schemas() -> None:
    """RFC 7643 §7: `id` and `schemas` are returned always."""
    assert included("userName") == {**ALWAYS, "userName": "ada"}
    assert included("USERNAME", " name.givenName ") == {
        **ALWAYS,
        "userName": "ada",
        "name": {"givenName": "Ada"},
    }
    assert included("emails.value") == {**ALWAYS, "emails": [{"value": "a@x.example"}]}


@pytest.mark.parametrize("path", [f"{ENTERPRISE_URN}:department", "department"])
def test_parts_of_an_extension_can_be_asked_for(path: str) -> None:
    assert included(path) == {**ALWAYS, ENTERPRISE_URN: {"department": "Records"}}


def test_a_whole_extension_can_be_asked_for() -> None:
    assert included(ENTERPRISE_URN) == {**ALWAYS, ENTERPRISE_URN: ADA[ENTERPRISE_URN]}


def test_what_is_excluded_is_left_out_and_nothing_else() -> None:
    assert excluded("emails", "name.givenName") == {
        name: value for name, value in ADA.items() if name not in ("emails", "name")
    } | {"name": {"familyName": "Marsh"}}
    assert ENTERPRISE_URN not in excluded(ENTERPRISE_URN)
    assert excluded(f"{ENTERPRISE_URN}:manager.$ref")[ENTERPRISE_URN]["manager"] == {"value": "m1"}


def test_what_is_always_returned_cannot_be_excluded() -> None:
    assert excluded("id", "schemas") == ADA


def test_names_nobody_declares_select_nothing() -> None:
    assert included("favouriteColour") == ALWAYS
    assert excluded("favouriteColour") == ADA


def test_members_are_wanted_unless_excluded_or_not_asked_for() -> None:
    """Entra asks for groups with `excludedAttributes=members`, and must get none."""
    shape = group_shape()
    assert projection_of(shape, {}).wants("members")
    assert projection_of(shape, {"aadOptscim062020": ""}).wants("members")
    assert not projection_of(shape, {"excludedAttributes": "members"}).wants("members")
    assert not projection_of(shape, {"excludedAttributes": "Members"}).wants("members")
    assert not projection_of(shape, {"attributes": "id"}).wants("members")
    assert projection_of(shape, {"attributes": "id,members"}).wants("members")
    assert projection_of(shape, {"excludedAttributes": "members.$ref"}).wants("members")
