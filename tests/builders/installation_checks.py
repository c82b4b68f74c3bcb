"""Steps and checks that the disasters share: an unnoticed leaver, and who has access afterwards."""

from __future__ import annotations

from tests.builders.installation import Installation, Json


def leaver_of(company: Installation) -> Json:
    """Somebody who was entitled, now unassigned and out of every group, unnoticed by the push."""
    people = company.entra.entitled()
    person = people[sorted(people)[-1]]
    company.entra.provisioning("arm", gap="drop_unassign", principal=person["id"])
    company.entra.provisioning("arm", gap="drop_change", principal=person["id"])
    for via in person["via"]:
        if via == "direct":
            company.entra.admin("DELETE", f"/assignments/{person['id']}")
        else:
            company.entra.admin("DELETE", f"/groups/{via}/members/{person['id']}")
    return person


def name_of(person: Json) -> str:
    return str(person["userPrincipalName"]).lower()


def assert_nobody_entitled_lost_access(company: Installation) -> None:
    assert set(company.entra.entitled()) <= company.active()


def assert_equal(company: Installation) -> None:
    assert company.active() == set(company.entra.entitled())


UNAVAILABLE = {"status": 503, "headers": {"Retry-After": "0.05"}}
