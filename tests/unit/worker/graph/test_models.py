"""What Graph sends is checked while it is decoded; what does not fit is never read as nothing."""

import json
from collections.abc import Callable

import msgspec
import pytest

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
        pytest.param(page_of("ada"), id="no object"),
        pytest.param(page_of({"accountEnabled": True}), id="no id"),
        pytest.param(page_of({"id": "", "accountEnabled": True}), id="empty id"),
        pytest.param(page_of({"id": 7, "accountEnabled": True}), id="id of a wrong type"),
        pytest.param(page_of({"id": "ada"}), id="no accountEnabled"),
        pytest.param(page_of({"id": "ada", "accountEnabled": None}), id="accountEnabled null"),
        pytest.param(page_of({"id": "ada", "accountEnabled": "True"}), id="accountEnabled text"),
        pytest.param(page_of({**ADA, "manager": "bo"}), id="manager of a wrong type"),
        pytest.param(page_of({**ADA, "manager": {}}), id="manager without id"),
    ],
)
def test_a_malformed_page_of_users_is_refused(body: bytes) -> None:
    """Disaster 10 and issue 3: `200 {}`, wrong types, missing ids are faults, never a shorter list."""
    with pytest.raises(msgspec.DecodeError):
        models.decode_users(body)


@pytest.mark.parametrize(
    ("decode", "row"),
    [
        (models.decode_objects, {"@odata.type": "#microsoft.graph.user"}),
        (models.decode_objects, {"id": None}),
        (models.decode_assignments, {"principalId": "ada", "principalType": "User"}),
        (models.decode_assignments, {"principalType": "User", "resourceId": "app"}),
        (models.decode_deleted_users, {"id": "ada", "deletedDateTime": "yesterday"}),
        (models.decode_groups, {"id": "g"}),
    ],
)
def test_other_lists_are_as_strict(decode: Callable[[bytes], object], row: object) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(page_of(row))


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
