"""Disasters that really happened to others, replayed against a whole installation: those of the pull.

Numbers are those of docs/safety.md; 7 to 11 are in `test_disasters_push`. Provisioning service and worker both
run; what is judged is what the application's people can do afterwards: nobody entitled lost access, every
leaver is out.
"""

from __future__ import annotations

from pathlib import Path

from tests.builders.installation import Installation, installed
from tests.builders.installation_checks import (
    UNAVAILABLE,
    assert_equal,
    assert_nobody_entitled_lost_access,
    leaver_of,
    name_of,
)


def test_disaster_1_a_page_that_answers_503_removes_nobody(company: Installation) -> None:
    """One page answered 503, was read as empty, users were deleted (ssosync#278): here 0 removals."""
    gone = leaver_of(company)
    company.entra.fault(match="/groups/[^/]+/members", **UNAVAILABLE)
    report = company.sync("--full")
    assert (report["status"], report["complete"]) == ("incomplete", False)
    assert_nobody_entitled_lost_access(company)
    assert name_of(gone) in company.active()

    company.entra.heal()
    assert company.sync("--full")["complete"] is True
    assert_equal(company)


def test_disaster_2_people_missing_from_a_200_keep_their_access(company: Installation) -> None:
    """The directory answered 200 with people missing (firezone#9188): absentees are found alive, dropped."""
    company.entra.fault(match=r"GET /v1\.0//?users\?", drop_fraction=0.3)
    company.entra.fault(match="/groups/[^/]+/members", drop_fraction=0.3)
    report = company.sync("--full")
    assert report["status"] != "applied" or report["applied"].get("disable", 0) == 0
    assert_nobody_entitled_lost_access(company)
    company.entra.heal()
    company.sync("--full")
    assert_equal(company)


def test_disaster_2_an_empty_200_keeps_everybody_in(company: Installation) -> None:
    """Zero results hold removals whatever the percentage (design.md §5, rule 4)."""
    company.entra.fault(match="/appRoleAssignedTo", body={"value": []}, status=200)
    report = company.sync("--full")
    assert report["status"] in {"held", "incomplete"}
    assert_nobody_entitled_lost_access(company)


def test_disaster_4_a_cycle_that_would_leave_none_is_held(company: Installation) -> None:
    """An incoming sync deleted all users: "would leave none" trips (authentik#19295)."""
    before = company.active()
    principals = {via for person in company.entra.entitled().values() for via in person["via"]}
    assigned = [via for via in principals if via != "direct"]
    direct = [person["id"] for person in company.entra.entitled().values() if "direct" in person["via"]]
    company.entra.provisioning("arm", gap="frozen_job")
    for principal in assigned + direct:
        company.entra.admin("DELETE", f"/assignments/{principal}")
    report = company.sync("--full")
    assert report["status"] == "held"
    assert report["held_plan"]["reason"]
    assert company.active() == before

    for principal in assigned + direct:
        company.entra.admin("PUT", f"/assignments/{principal}")
    company.sync("--full")
    assert_equal(company)


def test_disaster_6_an_empty_page_with_a_next_link_is_followed(company: Installation) -> None:
    """The reader stopped at the first empty page although a next link was there (graph-api.md §4)."""
    company.entra.admin("PATCH", "/behaviour", {"empty_pages": [1, 2]})
    report = company.sync("--full")
    assert report["complete"] is True
    assert_equal(company)


def test_disaster_12_limits_are_judged_before_the_first_removal(company: Installation) -> None:
    """The first N removals were already done when the limit tripped: judged on the frozen plan (midPoint)."""
    before = company.active()
    company.entra.provisioning("arm", gap="frozen_job")
    people = company.entra.entitled()
    leaving = [people[name] for name in sorted(people)[:20]]
    for person in leaving:
        company.entra.admin("PATCH", f"/users/{person['id']}", {"accountEnabled": False})
    report = company.sync("--full")
    assert report["status"] == "held"
    assert company.active() == before

    plan = report["held_plan"]
    shown = company.leaver("plan", "show", plan["id"])
    assert sum(change["action"] == "disable" for change in shown["changes"]) == len(leaving)
    company.leaver("plan", "approve", plan["checksum"])
    assert company.active() == before - {name_of(person) for person in leaving}

    for person in leaving:
        company.entra.admin("PATCH", f"/users/{person['id']}", {"accountEnabled": True})
    company.sync("--full")
    assert_equal(company)


def test_disaster_13_deletions_are_seen(company: Installation) -> None:
    """A full pull could not see deletes at all (Syncope's Azure bundle): sees them, and tells the two kinds apart."""
    company.entra.provisioning("arm", gap="frozen_job")
    deleted, purged = [company.entra.entitled()[name] for name in sorted(company.entra.entitled())[:2]]
    for person in (deleted, purged):
        company.entra.admin("DELETE", f"/users/{person['id']}")
    company.entra.admin("POST", f"/users/{purged['id']}/purge")
    report = company.sync("--full")
    found = company.leaver("drift", "show", company.connection, "--cycle", report["cycle_id"])["findings"]
    missed = [finding["reason"] for finding in found if finding["kind"] == "missed_deprovision"]
    assert sorted(missed) == ["purged", "soft_deleted"]
    assert not {name_of(deleted), name_of(purged)} & company.active()
    assert_equal(company)


def test_disaster_14_removals_before_a_restart_are_found(company: Installation) -> None:
    """Removals before a restart of the job are lost for ever: found by the next full cycle (known-issues)."""
    person = company.entra.entitled()[sorted(company.entra.entitled())[0]]
    for via in person["via"]:
        path = f"/assignments/{person['id']}" if via == "direct" else f"/groups/{via}/members/{person['id']}"
        company.entra.admin("DELETE", path)
    company.entra.provisioning("restart")
    company.entra.provisioning("cycle")
    assert name_of(person) in company.active(), "the push was expected to miss this one"
    report = company.sync("--full")
    assert report["drift"]["missed_deprovision"] == 1
    assert_equal(company)


def test_disaster_15_a_skipped_removal_is_a_missed_deprovision(company: Installation) -> None:
    """Removed from the group, log says NotEffectivelyEntitled, nothing sent (azure-docs#22948)."""
    person = next(p for p in company.entra.entitled().values() if "direct" not in p["via"])
    company.entra.provisioning("arm", gap="not_effectively_entitled", principal=person["id"])
    for via in person["via"]:
        company.entra.admin("DELETE", f"/groups/{via}/members/{person['id']}")
    company.entra.provisioning("cycle")
    assert name_of(person) in company.active(), "the push was expected to miss this one"
    report = company.sync("--full")
    found = company.leaver("drift", "show", company.connection, "--cycle", report["cycle_id"])["findings"]
    missed = [finding for finding in found if finding["kind"] == "missed_deprovision"]
    assert [finding["reason"] for finding in missed] == ["unassigned"]
    assert_equal(company)


def test_disaster_5_a_small_company_may_lose_a_third(tmp_path: Path) -> None:
    """A 25 % limit alone blocked legitimate small syncs (firezone#10892): the floor lets them pass."""
    with installed(tmp_path, users=9, groups=1, worker=False) as company:
        company.sync()
        company.entra.provisioning("stop")
        leaving = sorted(company.entra.entitled())[:3]
        for name in leaving:
            company.entra.admin(
                "PATCH", f"/users/{company.entra.entitled()[name]['id']}", {"accountEnabled": False}
            )
        report = company.sync("--full")
        assert (report["status"], report["applied"].get("disable")) == ("applied", 3)
        assert_equal(company)


def test_disaster_3_there_is_no_cap_at_10000(tmp_path: Path) -> None:
    """The reader stopped at 10,000 and everyone past it counted as gone: no cap (DefGuard)."""
    with installed(tmp_path, users=12_000, groups=4, worker=False, push=False) as company:
        first = company.sync("--full")
        entitled = company.entra.entitled()
        assert len(entitled) > 10_000
        assert first["counts"]["users"] == len(entitled)
        again = company.sync("--full")
        assert (again["complete"], sum(again["applied"].values())) == (True, 0)
        assert company.scim("/Users?filter=active eq true&count=0".replace(" ", "%20"))[
            "totalResults"
        ] == len(entitled)
