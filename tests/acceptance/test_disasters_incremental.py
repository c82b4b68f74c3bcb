"""The same disasters where a cycle reads only what changed: an increment takes nothing that it did not read itself.

Numbers are those of docs/safety.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders.installation import Installation, Json, installed
from tests.builders.installation_checks import (
    UNAVAILABLE,
    assert_equal,
    assert_nobody_entitled_lost_access,
    leaver_of,
    name_of,
)


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A company of which nothing is ever pushed: whatever happens, an increment has to notice by itself."""
    with installed(tmp_path_factory.mktemp("incremental"), users=120, groups=5, push=False) as it:
        yield it


@pytest.fixture
def company(read_only: Installation) -> Iterator[Installation]:
    """The company as it is by now, with a full cycle to continue from; healed afterwards."""
    assert read_only.sync("--full")["status"] == "applied"
    assert_equal(read_only)
    yield read_only
    read_only.entra.heal()
    read_only.entra.admin("PATCH", "/behaviour", {"empty_pages": []})


def increment(company: Installation) -> Json:
    report = company.sync()
    assert report["kind"] == "incremental", report["why_full"]
    return report


@pytest.mark.parametrize("what", ["users", "groups"])
def test_disaster_1_a_page_of_a_delta_that_answers_503_removes_nobody(
    company: Installation, what: str
) -> None:
    """One page answered 503 (ssosync#278): what an increment cannot read it does not take for empty."""
    gone = leaver_of(company)
    company.entra.fault(match=f"/{what}/delta", **UNAVAILABLE)
    assert company.sync()["status"] in {"failed", "incomplete", "applied"}
    assert_nobody_entitled_lost_access(company)

    company.entra.heal()
    company.sync()
    assert_equal(company)
    assert name_of(gone) not in company.active()


def test_disaster_2_people_missing_from_a_delta_keep_their_access(company: Installation) -> None:
    """200 with people missing (firezone#9188): who is not in a delta has not changed; the full cycle finds the rest."""
    leaver_of(company)
    company.entra.fault(match="/delta", drop_fraction=1.0)
    company.entra.fault(match="/members", drop_fraction=0.5)
    company.sync()
    assert_nobody_entitled_lost_access(company)
    company.entra.heal()
    company.sync("--full")
    assert_equal(company)


def test_disaster_6_an_empty_page_of_a_delta_is_followed(company: Installation) -> None:
    """Reading ended at the first empty page: in a delta, too, only a delta link is the end (graph-api.md)."""
    gone = leaver_of(company)
    company.entra.admin("PATCH", "/behaviour", {"empty_pages": [1, 2]})
    assert increment(company)["applied"].get("disable") == 1
    assert name_of(gone) not in company.active()
    assert_equal(company)


def test_disaster_13_an_increment_sees_deletions(company: Installation) -> None:
    """A pull could not see deletions (Syncope): an increment sees them, the purged as well, and says which is which."""
    deleted, purged = [company.entra.entitled()[name] for name in sorted(company.entra.entitled())[:2]]
    for person in (deleted, purged):
        company.entra.admin("DELETE", f"/users/{person['id']}")
    company.entra.admin("POST", f"/users/{purged['id']}/purge")
    report = increment(company)
    found = company.leaver("drift", "show", company.connection, "--cycle", report["cycle_id"])["findings"]
    missed = [finding["reason"] for finding in found if finding["kind"] == "missed_deprovision"]
    assert sorted(missed) == ["purged", "soft_deleted"]
    assert_equal(company)


def test_disaster_15_an_increment_finds_a_skipped_removal(company: Installation) -> None:
    """Removed from the group, nothing sent (azure-docs#22948): the next increment finds it, reason `unassigned`."""
    person = next(p for p in company.entra.entitled().values() if "direct" not in p["via"])
    for via in person["via"]:
        company.entra.admin("DELETE", f"/groups/{via}/members/{person['id']}")
    assert increment(company)["drift"]["missed_deprovision"] == 1
    assert_equal(company)
