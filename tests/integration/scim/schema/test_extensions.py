"""Custom extensions: what a connection declares is listed, stored, filtered by and sorted by like any other attribute."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest

from store.tenancy import connections
from tests.builders.scim_client import ENTERPRISE, ScimClient

CONTOSO = "urn:ietf:params:scim:schemas:extension:contoso:2.0:User"
VENDOR = "urn:vendor.example:scim:badge:1.0"


async def declare(scim: ScimClient, *paths: str) -> None:
    connection = scim.connection
    policy = replace(connection.policy, extensions=paths)
    await scim.database.write(
        lambda writing: connections.set_policy(writing, connection.tenant_id, connection.id, policy)
    )


async def test_a_declared_extension_is_listed(scim: ScimClient) -> None:
    """RFC 7643 §7, and Entra reads /Schemas when its mapping page is opened."""
    before = {each["id"] for each in (await scim.get("/Schemas")).body["Resources"]}
    await declare(scim, f"{CONTOSO}:costCenter", f"{CONTOSO}:badge", f"{VENDOR}:level")
    listed = {each["id"]: each for each in (await scim.get("/Schemas")).body["Resources"]}
    assert set(listed) - before == {CONTOSO, VENDOR}
    assert [each["name"] for each in listed[CONTOSO]["attributes"]] == ["badge", "costCenter"]
    assert listed[CONTOSO]["name"] == "contoso"
    assert (await scim.get(f"/Schemas/{CONTOSO}")).body["id"] == CONTOSO
    user_type = (await scim.get("/ResourceTypes/User")).body
    assert {CONTOSO, VENDOR} <= {each["schema"] for each in user_type["schemaExtensions"]}


@pytest.mark.parametrize("urn", [CONTOSO, VENDOR])
async def test_its_values_are_stored_read_filtered_and_sorted(scim: ScimClient, urn: str) -> None:
    """All that holds for the enterprise extension holds for a declared one."""
    await declare(scim, f"{CONTOSO}:costCenter", f"{VENDOR}:costCenter")
    for number, name in enumerate(("ida", "ben", "cleo")):
        await scim.create_user(f"{name}@northwind.example", **{urn: {"costCenter": f"C{(number + 1) % 3}"}})
    await scim.create_user("dan@northwind.example")

    found = (await scim.get("/Users?filter=" + quote(f'{urn}:costCenter eq "c2"'))).body
    assert [each["userName"] for each in found["Resources"]] == ["ben@northwind.example"]
    [ben] = found["Resources"]
    assert (ben[urn], urn in ben["schemas"]) == ({"costCenter": "C2"}, True)
    having, order = quote(f"{urn}:costCenter pr"), quote(f"{urn}:costCenter")
    present = (await scim.get(f"/Users?filter={having}&sortBy={order}")).body
    assert [each["userName"][:3] for each in present["Resources"]] == ["cle", "ida", "ben"]
    only = (await scim.get(f"/Users/{ben['id']}?attributes={order}")).body
    assert set(only) == {"schemas", "id", urn}


async def test_entra_changes_it_in_both_dialects_and_does_not_list_it_in_schemas(scim: ScimClient) -> None:
    """Mapping page: the URN of a custom extension "isn't listed in the schemas" of Entra's requests."""
    await declare(scim, f"{CONTOSO}:costCenter")
    ida = await scim.create_user("ida@northwind.example", **{CONTOSO: {"costCenter": "C1"}})
    path = f"/Users/{ida['id']}"
    old = {"op": "Replace", "path": f"{CONTOSO}:costCenter", "value": "C2"}
    assert (await scim.patch(path, old)).body[CONTOSO] == {"costCenter": "C2"}
    merged = {"op": "replace", "value": {f"{CONTOSO}:costCenter": "C3", f"{ENTERPRISE}:department": "Maps"}}
    changed = (await scim.patch(path, merged)).body
    assert (changed[CONTOSO], changed[ENTERPRISE]) == ({"costCenter": "C3"}, {"department": "Maps"})
    removed = (await scim.patch(path, {"op": "remove", "path": f"{CONTOSO}:costCenter"})).body
    assert CONTOSO not in removed
    assert CONTOSO not in removed["schemas"]


async def test_one_connections_extension_is_none_of_anothers(scim: ScimClient) -> None:
    """Design §7, I5."""
    await declare(scim, f"{VENDOR}:level")
    assert VENDOR in str((await scim.get("/Schemas")).body)
    await declare(scim)
    assert VENDOR not in str((await scim.get("/Schemas")).body)
    refused = await scim.get("/Users?filter=" + quote(f"{VENDOR}:level pr"))
    assert (refused.status, refused.body["scimType"]) == (400, "invalidFilter")
