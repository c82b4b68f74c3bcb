"""What Graph sends is checked while it is decoded; what does not fit is never read as nothing."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from store.records import GraphId
from worker.graph import error_bodies, models

ADA = {"id": "ada", "accountEnabled": True, "userPrincipalName": "ada@x.example", "manager": {"id": "bo"}}


def page_of(*rows: object) -> bytes:
    return json.dumps({"value": rows}).encode()


def test_a_user_keeps_what_was_asked_for() -> None:
    [user] = models.decode_users(page_of(ADA)).value
    assert (user.id, user.account_enabled, user.manager_id) == ("ada", True, "bo")
    assert user.properties["userPrincipalName"] == "ada@x.example"


def test_an_expanded_user_without_manager_lacks_the_key() -> None:
    """Graph, "List users": an expanded object without manager simply has none."""
    [user] = models.decode_users(page_of({"id": "ada", "accountEnabled": False})).value
    assert user.manager_id is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="no value"),
        pytest.param(b'{"value": null}', id="null"),
        pytest.param(b'{"value": {}}', id="no list"),
        pytest.param(b'{"value": [', id="cut off"),
        pytest.param(b"<html></html>", id="html"),
        pytest.param(b'{"value": [], "@odata.nextLink": 7}', id="link of a wrong type"),
    ],
)
def test_a_malformed_page_of_users_is_refused(body: bytes) -> None:
    """Disaster 10 and issue 3: `200 {}`, a wrong type, half a page are faults, never a shorter list."""
    for decode in (models.decode_users, models.users_decoder(b"key"), models.decode_objects):
        with pytest.raises(msgspec.DecodeError):
            decode(body)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"id": "ada"}, id="no accountEnabled"),
        pytest.param({"id": "ada", "accountEnabled": None}, id="accountEnabled null"),
        pytest.param({"id": "ada", "accountEnabled": "True"}, id="accountEnabled text"),
        pytest.param({**ADA, "manager": "bo"}, id="manager of a wrong type"),
        pytest.param({**ADA, "manager": {}}, id="manager without id"),
    ],
)
def test_a_user_of_whom_not_everything_is_said_is_of_unknown_state(row: object) -> None:
    """One row that does not fit ends no list; neither is it read as disabled."""
    for decode in (models.decode_users, models.users_decoder(b"key")):
        odd, good = decode(page_of(row, {"id": "bo", "accountEnabled": True})).value
        assert (odd.id, odd.account_enabled) == ("ada", None)
        assert odd.unknown
        assert (good.account_enabled, good.unknown) == (True, "")


@pytest.mark.parametrize(
    "row",
    ["ada", None, 7, [], {"accountEnabled": True}, {"id": ""}, {"id": 7}, {"id": None, "principalId": 7}],
)
def test_a_row_without_an_id_is_left_out_and_counted(row: object) -> None:
    good = {"id": "bo", "accountEnabled": True, "principalId": "bo"}
    for decode in _LISTS:
        page = decode(page_of(row, good))
        assert (len(page.value), page.unidentified) == (1, 1)


_LISTS: list[Callable[[bytes], models.GraphPage[Any]]] = [
    models.decode_users,
    models.users_decoder(b"key"),
    models.decode_objects,
    models.decode_assignments,
    models.decode_deleted_users,
]


@pytest.mark.parametrize(
    ("decode", "row", "read"),
    [
        (
            models.decode_assignments,
            {"principalId": "ada", "principalType": None, "resourceId": "app"},
            models.AppRoleAssignment("ada", None, "app"),
        ),
        (
            models.decode_assignments,
            {"principalId": "ada", "principalType": 7, "resourceId": []},
            models.AppRoleAssignment("ada"),
        ),
        (
            models.decode_deleted_users,
            {"id": "ada", "deletedDateTime": "yesterday"},
            models.DeletedUser("ada"),
        ),
        (models.decode_objects, {"id": "ada", "@odata.type": 7}, models.DirectoryObject(GraphId("ada"))),
        (models.decode_groups, {"id": "g", "displayName": None}, None),
    ],
)
def test_what_else_a_row_says_is_kept(
    decode: Callable[[bytes], models.GraphPage[Any]], row: object, read: object
) -> None:
    [found] = decode(page_of(row)).value
    assert found == read if read else found.display_name == ""


def test_member_types_are_told_apart() -> None:
    page = models.decode_objects(page_of({"@odata.type": "#microsoft.graph.user", "id": "ada"}, {"id": "x"}))
    assert [member.kind for member in page.value] == [models.ObjectKind.USER, models.ObjectKind.UNKNOWN]


def test_counts_come_as_text() -> None:
    """Graph, "$count": `text/plain`, sometimes with a byte order mark."""
    assert models.decode_count("\ufeff893".encode()) == 893
    with pytest.raises(msgspec.ValidationError):
        models.decode_count(b"many")


def test_error_bodies_are_walked_to_the_innermost() -> None:
    body = {
        "error": {
            "code": "a",
            "message": "m",
            "innererror": {"code": "b", "requestId": "r", "innerError": {"code": "c"}},
        }
    }
    assert error_bodies.decode_error(json.dumps(body).encode()) == error_bodies.Fault(
        ("a", "b", "c"), "m", "r"
    )
