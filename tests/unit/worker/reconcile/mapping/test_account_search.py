"""By what an account is looked for before it is called unmatched, and what is not searched (identity.md, W9)."""

from __future__ import annotations

from msgspec import structs

from store.records import Policy
from tests.builders.reconcile.snapshots import row
from worker.reconcile.mapping.account_search import MAX_FILTERS, search_for

MAPPED = {"userName": "userPrincipalName", "externalId": "mailNickname"}


def test_addresses_and_names_are_searched_where_the_list_of_people_does_not_show_them() -> None:
    found = search_for(row("r1", name="Ana@Corp.example", external_id="10042"), Policy())
    assert {(each.name, each.value) for each in found.filters} == {
        ("proxyAddresses", "smtp:ana@corp.example"),
        ("otherMails", "ana@corp.example"),
        ("onPremisesUserPrincipalName", "ana@corp.example"),
        ("onPremisesImmutableId", "10042"),
        ("onPremisesSamAccountName", "10042"),
        ("onPremisesSecurityIdentifier", "10042"),
    }
    assert set(found.compared) == {"id", "userPrincipalName", "mail", "employeeId", "mailNickname"}
    assert found.gaps == ()


def test_what_the_mapping_reads_is_compared_and_not_searched() -> None:
    policy = Policy(mapping={**MAPPED, "externalId": "onPremisesSamAccountName"})
    found = search_for(row("r1", name="ana@corp.example", external_id="ana"), policy)
    assert "onPremisesSamAccountName" in found.compared
    assert "onPremisesSamAccountName" not in {each.name for each in found.filters}


def test_what_cannot_be_searched_is_said() -> None:
    """A guest's name, a name that an expression makes, and more addresses than one search takes."""
    guest = search_for(row("r1", name="ana_fabrikam.example", external_id="g"), Policy(mapping=MAPPED))
    assert "#EXT#" in guest.sentence
    made = Policy(mapping={**MAPPED, "userName": 'Append([mailNickname], "@app.example")'})
    assert "Append" in search_for(row("r1", name="ana@app.example"), made).sentence
    addresses = [{"value": f"ana{n}@corp.example"} for n in range(40)]
    many = search_for(row("r1", document={"emails": addresses}), Policy())
    assert len(many.filters) == MAX_FILTERS
    assert "Not searched: more than" in many.sentence


def test_a_long_name_is_compared_in_the_list_of_people_and_not_searched_in_graph() -> None:
    """Graph takes no such filter; the list holds a digest of it."""
    long = search_for(row("r1", name=f"{'a' * 300}@app.example"), Policy())
    assert long.filters == ()
    assert "Not searched: in Graph, names of more than 256 characters" in long.sentence


def test_an_object_id_is_compared_only() -> None:
    """It is asked for by itself: no other property holds one."""
    some = structs.replace(row("r1", external_id="2f1e0d3c-6b5a-4c7d-8e9f-0a1b2c3d4e5f"), user_name="ana")
    assert {each.value for each in search_for(some, Policy()).filters} == {"ana"}
