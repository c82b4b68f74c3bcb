"""The two PATCH dialects, sample by sample."""

from typing import Any

from simulator.provisioning.client import SecretToken, parse_target
from simulator.provisioning.dialect import (
    Change,
    Dialect,
    add_members,
    manager_patch,
    remove_members,
    user_patch,
)

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
WORK_MAIL = 'emails[type eq "work"].value'
MEMBER = "4d8f2b6a-91c3-4e07-8a5d-6b2c1f0e9d31"


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
    return {"schemas": schemas, "Operations": list(operations)}


def test_default_sends_one_operation_per_attribute() -> None:
    """S22, S24: several attributes, each with its path, enterprise URN included."""
    changes = [
        Change("displayName", "Mia Lund", "Mia Torv"),
        Change(WORK_MAIL, "mia.lund@fabrikam-demo.example", "mia.torv@fabrikam-demo.example"),
        Change("name.familyName", "Lund", "Torv"),
        Change(f"{ENTERPRISE}:employeeNumber", "80221", "80220"),
    ]
    assert user_patch(Dialect.DEFAULT, changes) == patch(
        {"op": "Replace", "path": "displayName", "value": "Mia Lund"},
        {"op": "Replace", "path": WORK_MAIL, "value": "mia.lund@fabrikam-demo.example"},
        {"op": "Replace", "path": "name.familyName", "value": "Lund"},
        {"op": "Replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "80221"},
    )


def test_default_adds_where_the_target_had_nothing() -> None:
    """S25, S26: `Add` also for an element that does not exist yet, mixed with `Replace`."""
    changes = [
        Change(WORK_MAIL, "mia.lund@fabrikam-demo.example"),
        Change('addresses[type eq "work"].formatted', "Quay 9, Bergen", "Quay 9"),
        Change(f"{ENTERPRISE}:department", "Harbour"),
    ]
    assert [o["op"] for o in user_patch(Dialect.DEFAULT, changes)["Operations"]] == ["Add", "Replace", "Add"]


def test_default_spells_booleans_as_texts() -> None:
    """S28, S30: disable and re-enable as the strings "False" and "True"."""
    for new, old in (("False", "True"), ("True", "False")):
        assert user_patch(Dialect.DEFAULT, [Change("active", new, old)]) == patch(
            {"op": "Replace", "path": "active", "value": new}
        )


def test_the_flag_keeps_the_path_of_a_single_change() -> None:
    """S41: filtered paths stay; the rest is one path-less replace with dotted and URN keys."""
    assert user_patch(Dialect.RFC, [Change("active", "False", "True")]) == patch(
        {"op": "replace", "path": "active", "value": False}
    )
    assert user_patch(Dialect.RFC, [Change("nickName", "Mi")]) == patch(
        {"op": "add", "path": "nickName", "value": "Mi"}
    )


def test_the_flag_merges_all_but_filtered_paths() -> None:
    """S41: filtered paths stay; all else is one path-less replace with dotted and URN keys."""
    changes = [
        Change(WORK_MAIL, "mia.lund@fabrikam-demo.example", "mia.torv@fabrikam-demo.example"),
        Change("displayName", "Mia Lund", "Mia Torv"),
        Change("name.familyName", "Lund", "Torv"),
        Change("active", "False", "True"),
        Change(f"{ENTERPRISE}:employeeNumber", "80221"),
    ]
    assert user_patch(Dialect.RFC, changes) == patch(
        {"op": "replace", "path": WORK_MAIL, "value": "mia.lund@fabrikam-demo.example"},
        {
            "op": "replace",
            "value": {
                "displayName": "Mia Lund",
                "name.familyName": "Lund",
                "active": False,
                f"{ENTERPRISE}:employeeNumber": "80221",
            },
        },
    )


def test_filtered_paths_alone_leave_no_empty_replace() -> None:
    """§7: only "all else" is merged; nothing else, nothing merged."""
    changes = [Change(WORK_MAIL, "a@x.example"), Change('phoneNumbers[type eq "mobile"].value', "1")]
    operations = user_patch(Dialect.RFC, changes)["Operations"]
    assert [operation["path"] for operation in operations] == [change.path for change in changes]


def test_a_group_is_renamed_by_its_path_in_both_dialects() -> None:
    """S46."""
    change = [Change("displayName", "Dock Crew (North)", "Dock Crew")]
    operation = {"path": "displayName", "value": "Dock Crew (North)"}
    assert user_patch(Dialect.DEFAULT, change) == patch({"op": "Replace", **operation})
    assert user_patch(Dialect.RFC, change) == patch({"op": "replace", **operation})


def test_a_manager_is_a_bare_text() -> None:
    """S31, S33: `Add` with the raw id; replaced later; cleared with an empty text."""
    path = f"{ENTERPRISE}:manager"
    assert manager_patch(Dialect.DEFAULT, MEMBER, had_one=False) == patch(
        {"op": "Add", "path": path, "value": MEMBER}
    )
    assert manager_patch(Dialect.DEFAULT, "", had_one=True) == patch(
        {"op": "Replace", "path": path, "value": ""}
    )
    assert manager_patch(Dialect.RFC, MEMBER, had_one=False)["Operations"][0]["op"] == "add"


def test_members_join_with_a_null_ref_by_default_and_without_under_the_flag() -> None:
    """S47, S48, S52."""
    assert add_members(Dialect.DEFAULT, [MEMBER, "second"]) == patch(
        {
            "op": "Add",
            "path": "members",
            "value": [{"$ref": None, "value": MEMBER}, {"$ref": None, "value": "second"}],
        }
    )
    assert add_members(Dialect.RFC, [MEMBER]) == patch(
        {"op": "add", "path": "members", "value": [{"value": MEMBER}]}
    )


def test_members_leave_by_value_by_default_and_by_path_under_the_flag() -> None:
    """S49, S50, S51."""
    assert remove_members(Dialect.DEFAULT, [MEMBER]) == patch(
        {"op": "Remove", "path": "members", "value": [{"value": MEMBER}]}
    )
    assert remove_members(Dialect.DEFAULT, [MEMBER], with_ref=True) == patch(
        {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": MEMBER}]}
    )
    assert remove_members(Dialect.RFC, [MEMBER]) == patch(
        {"op": "remove", "path": f'members[value eq "{MEMBER}"]'}
    )


def test_the_flag_behind_the_tenant_url_chooses_the_dialect() -> None:
    """COMPAT: flags are query suffixes on the Tenant URL, with or without a slash before the `?`."""
    secret = SecretToken("t")
    for url in ("https://a.example/scim/v2?aadOptscim062020", "https://a.example/scim/v2/?aadOptscim062020"):
        target = parse_target(url, secret)
        assert (target.base_url, target.dialect) == ("https://a.example/scim/v2", Dialect.RFC)
    pinned = parse_target("https://a.example/scim?AzureAdScimPatch2017", secret)
    assert pinned.dialect is Dialect.DEFAULT
    assert parse_target("https://a.example/scim", secret).dialect is Dialect.DEFAULT
