"""The provider of sign-in by the admin API: set with its version, never shown with its secret, audited."""

from __future__ import annotations

import pytest

from tests.builders.api_client import ApiDesk

BODY = {"issuer": "https://id.example/realm", "client_id": "leaver", "client_secret": "the-secret-value"}


def path(desk: ApiDesk) -> str:
    return f"/connections/{desk.connection.id}/sign-in-provider"


async def test_a_provider_is_set_read_and_removed_without_its_secret_being_shown(desk: ApiDesk) -> None:
    """Issue 11: "any standard OpenID provider per connection"; "credentials are never returned"."""
    before = await desk.contoso.get(path(desk))
    assert (before.json["kind"], before.json["issuer"]) == ("entra", None)
    seen = {"If-Match": before.headers["ETag"]}

    made = await desk.contoso.send("PUT", path(desk), {**BODY, "link_claim": "employee_id"}, seen)

    assert (made.status, made.json["kind"], made.json["link_claim"]) == (200, "openid", "employee_id")
    for name, end in (
        ("redirect_uri", "/callback/login"),
        ("front_channel_logout_uri", "/logout/front"),
        ("back_channel_logout_uri", "/logout/back"),
    ):
        assert made.json[name].endswith(f"/v1/admin/openid/{desk.connection.id}{end}")
    assert (await desk.contoso.send("PUT", path(desk), BODY, seen)).problem == "precondition-failed"
    assert (await desk.contoso.send("PUT", path(desk), BODY)).problem == "precondition-required"
    audit = await desk.contoso.get(f"/connections/{desk.connection.id}/audit")
    assert "connection.openid_provider_set" in audit.text
    assert "the-secret-value" not in audit.text + made.text + (await desk.contoso.get(path(desk))).text
    gone = await desk.contoso.send("DELETE", path(desk), None, {"If-Match": made.headers["ETag"]})
    assert (gone.json["kind"], gone.headers["ETag"]) == ("entra", before.headers["ETag"])


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"issuer": "http://id.example"}, "/issuer"),
        ({"issuer": "https://[broken"}, "/issuer"),
        ({"issuer": "https://id.example?realm=1"}, "/issuer"),
        ({"issuer": "https://user@id.example"}, "/issuer"),
        ({"link_claim": "email"}, "/link_claim"),
    ],
)
async def test_a_provider_that_could_let_another_person_in_is_refused(
    desk: ApiDesk, changed: dict[str, str], pointer: str
) -> None:
    """The issuer is https and plain; a claim that is given to others links no one."""
    refused = await desk.contoso.send("PUT", path(desk), BODY | changed, {"If-Match": "*"})
    assert (refused.status, refused.problem) == (422, "invalid-value")
    assert refused.json["errors"][0]["pointer"] == pointer


async def test_a_person_is_linked_to_the_account_that_a_provider_knows(desk: ApiDesk) -> None:
    """A link needs a provider; the account is named by id or userName."""
    link = f"/connections/{desk.connection.id}/users/{desk.user}/sign-in-subject"
    refused = await desk.contoso.send("PUT", link, {"subject": "ann-there"})
    assert (refused.problem, refused.json["errors"][0]["pointer"]) == ("invalid-value", "/subject")
    await desk.contoso.send("PUT", path(desk), BODY, {"If-Match": "*"})
    linked = await desk.contoso.send("PUT", link, {"subject": "ann-there"})
    assert (linked.status, linked.json["user_id"], linked.json["subject"]) == (200, desk.user, "ann-there")
    assert (await desk.contoso.send("PUT", f"{link}", {"subject": ""})).status == 400
