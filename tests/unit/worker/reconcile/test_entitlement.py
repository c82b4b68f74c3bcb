"""Who is entitled, by what, and why not; and what a reading proves by silence."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from store.records import CycleKind, GraphId, MembershipMode, Policy, Reason, Scope, ScopingClause
from tests.builders.reconcile.snapshots import ENFORCE, ROLES, partial, person, reading, whole
from worker.reconcile.completeness import gaps, is_directory_listed
from worker.reconcile.entitlement import Entitlement, entitlement_of, scope_key
from worker.reconcile.snapshot import Assignment, Completeness, GraphGroup, ListRead, Snapshot

EVERYBODY = Policy(scope=Scope.ALL)
NESTED = Policy(membership=MembershipMode.TRANSITIVE)


def entitlement(snapshot: Snapshot, policy: Policy = ENFORCE) -> Entitlement:
    return entitlement_of(snapshot, policy)


def test_the_assigned_and_direct_members_of_assigned_groups_are_entitled() -> None:
    """Entra provisions users assigned plus **direct** members of assigned groups (not transitive)."""
    snapshot = reading(
        [person(name) for name in ("ana", "bo", "cy", "di")],
        assigned=["ana"],
        groups={"sales": ["bo", "inner"]},
        nested={"sales": ["cy"]},
    )
    found = entitlement(snapshot)
    assert found.entitled == {"ana", "bo"}
    assert found.reason(GraphId("cy")) is Reason.UNASSIGNED
    assert found.via(GraphId("ana")) == ("direct",)
    assert found.via(GraphId("bo")) == ("sales",)


def test_nested_members_count_by_policy_and_are_marked() -> None:
    """`membership: transitive` is a choice, and then people found only through nesting are labelled."""
    snapshot = reading(
        [person("bo"), person("cy"), person("di")],
        assigned=["di"],
        groups={"sales": ["bo"]},
        nested={"sales": ["bo", "cy", "di"]},
    )
    found = entitlement(snapshot, NESTED)
    assert found.entitled == {"bo", "cy", "di"}
    assert found.nested_only == {"cy"}
    assert found.members[GraphId("sales")] == {"bo", "cy", "di"}


def test_a_member_of_one_group_who_is_nested_in_another_is_not_nested_only() -> None:
    """Whom Entra provisions through any group is not labelled."""
    snapshot = reading([person("bo")], groups={"sales": [], "staff": ["bo"]}, nested={"sales": ["bo"]})
    assert entitlement(snapshot, NESTED).nested_only == frozenset()


def test_scope_all_takes_every_enabled_user() -> None:
    """`scope: all` takes every user."""
    snapshot = reading([person("ana"), person("bo", enabled=False)])
    found = entitlement(snapshot, EVERYBODY)
    assert found.entitled == {"ana"}
    assert found.reason(GraphId("bo")) is Reason.DISABLED


def test_why_somebody_is_not_entitled() -> None:
    """Disabled, soft-deleted and purged are different facts and are recorded as such."""
    policy = Policy(scoping_filters=((ScopingClause("department", "EQUALS", "Sales"),),))
    snapshot = reading(
        [
            person("ana", department="Sales"),
            person("bo", enabled=False, department="Sales"),
            person("cy", department="Staff"),
            person("di", department="Sales"),
        ],
        assigned=["ana", "bo", "cy", "flo"],
        deleted=["ed", "flo"],
    )
    found = entitlement(snapshot, policy)
    reasons = {name: found.reason(GraphId(name)) for name in ("ana", "bo", "cy", "di", "ed", "flo", "gus")}
    assert reasons == {
        "ana": None,
        "bo": Reason.DISABLED,
        "cy": Reason.OUT_OF_SCOPE,
        "di": Reason.UNASSIGNED,
        "ed": Reason.SOFT_DELETED,
        "flo": Reason.SOFT_DELETED,
        "gus": Reason.PURGED,
    }


def test_who_is_in_the_bin_and_still_listed_is_not_entitled() -> None:
    """Two lists read one after the other may show a person in both: the deletion is the later fact."""
    snapshot = reading([person("ana")], assigned=["ana"], deleted=["ana"])
    assert entitlement(snapshot).entitled == frozenset()
    assert entitlement(snapshot).reason(GraphId("ana")) is Reason.SOFT_DELETED


def test_a_broken_off_listing_tells_nothing_of_the_absent() -> None:
    """Purged vs unknown: a user that is in no list is purged only if the list was read to its end."""
    snapshot = reading([person("ana"), person("bo", enabled=False)], deleted=["cy"], completeness=partial())
    found = entitlement(snapshot)
    reasons = {name: found.reason(GraphId(name)) for name in ("ana", "bo", "cy", "di")}
    assert reasons == {"ana": None, "bo": Reason.DISABLED, "cy": Reason.SOFT_DELETED, "di": None}


def test_where_only_the_assigned_were_read_the_absent_are_unassigned() -> None:
    """Without the directory's list nobody can be called purged."""
    proof = Completeness((ListRead("appRoleAssignedTo", 1, 2, True),), ROLES)
    snapshot = reading([person("ana")], assigned=["ana", "bo"], completeness=proof)
    found = entitlement(snapshot)
    assert found.reason(GraphId("cy")) is Reason.UNASSIGNED
    assert found.reason(GraphId("bo")) is None


def test_on_demand_who_is_not_found_is_purged() -> None:
    """One subject is read by itself: not found, nor in the bin, is gone."""
    proof = Completeness((ListRead("user", 1, 0, True),), ROLES)
    snapshot = reading(kind=CycleKind.ON_DEMAND, completeness=proof)
    assert entitlement(snapshot).reason(GraphId("ana")) is Reason.PURGED


def test_groups_that_are_not_security_groups_give_nothing() -> None:
    """Groups need `securityEnabled=true`."""
    snapshot = reading([person("ana")], groups={"mail": ["ana"]})
    mail = GraphGroup(GraphId("mail"), "Mail", {"securityEnabled": False})
    snapshot = replace(snapshot, groups={mail.id: mail})
    assert entitlement(snapshot).entitled == frozenset()


def test_service_principals_are_nobody() -> None:
    """`principalType`: `User`, `Group`, `ServicePrincipal`."""
    robot = Assignment(GraphId("robot"), "ServicePrincipal", "0")
    snapshot = replace(reading([person("ana")], assigned=["ana"]), assignments=(robot,))
    assert entitlement(snapshot).entitled == frozenset()


def test_counts_are_of_the_entitled() -> None:
    """`users`, `groups`, `memberships` that Graph showed as entitled."""
    snapshot = reading(
        [person("ana"), person("bo", enabled=False)],
        assigned=["ana"],
        groups={"sales": ["ana", "bo"], "staff": ["ana"]},
    )
    assert entitlement(snapshot).counts == {"users": 1, "groups": 2, "memberships": 2}


@pytest.mark.parametrize(
    "policy",
    [
        EVERYBODY,
        NESTED,
        Policy(scoping_filters=((ScopingClause("department", "EQUALS", "Sales"),),)),
        Policy(mapping={"userName": "mail"}),
    ],
)
def test_the_scope_key_changes_with_the_definition(policy: Policy) -> None:
    """Changed scope: removals are held whatever the percentage."""
    snapshot = reading()
    assert scope_key(snapshot, policy) != scope_key(snapshot, Policy())
    assert scope_key(replace(snapshot, service_principal_id="other"), Policy()) != scope_key(
        snapshot, Policy()
    )
    assert scope_key(snapshot, Policy(mapping={"userName": "userPrincipalName"})) == scope_key(
        snapshot, Policy()
    )


# --- Completeness


def proof(**changed: object) -> Completeness:
    return replace(whole(), **changed)  # type: ignore[arg-type]


def test_a_whole_reading_has_no_gaps() -> None:
    """Every page of every list was read, no error or cap was met, counts agree."""
    snapshot = reading([person("ana")], assigned=["ana"], groups={"sales": []})
    assert gaps(snapshot, Scope.ASSIGNED) == ()
    assert is_directory_listed(snapshot)


@pytest.mark.parametrize(
    ("completeness", "says"),
    [
        pytest.param(Completeness((), ROLES), "Nothing was read", id="nothing"),
        pytest.param(partial(), r"users broke off at 3 items \(503\)", id="broke-off"),
        pytest.param(
            proof(lists=(ListRead("members:sales", 1, 99, True, 100),)), "99 of 100 items", id="one-short"
        ),
        pytest.param(proof(missing_roles=frozenset({"User.Read.All"})), "lacks .* User.Read.All", id="roles"),
        pytest.param(proof(application_read=False), "application itself", id="application"),
        pytest.param(proof(canary_read=False), "known-good", id="canary"),
        pytest.param(proof(delta_unbroken=False), "delta", id="delta"),
        pytest.param(proof(faults=("The page limit was met.",)), "page limit", id="fault"),
    ],
)
def test_each_gap_is_named(completeness: Completeness, says: str) -> None:
    """Otherwise the cycle adds and never removes, and the admin is told why."""
    (gap,) = gaps(reading(completeness=completeness), Scope.ASSIGNED)
    assert re.search(says, gap)


@pytest.mark.parametrize("items", [100, 101])
def test_the_count_itself_or_more_is_no_gap(items: int) -> None:
    """Somebody may be added while the pages are read; only who is missing matters."""
    snapshot = reading(completeness=proof(lists=(ListRead("users", 1, items, True, 100),)))
    assert gaps(snapshot, Scope.ASSIGNED) == ()


def test_an_assigned_group_that_was_not_read_is_a_gap() -> None:
    """Its members would all count as unassigned."""
    snapshot = reading(groups={"sales": [], "staff": []})
    unread = replace(snapshot, members={GraphId("sales"): frozenset()})
    assert gaps(unread, Scope.ASSIGNED) == ("1 of 2 assigned groups were not read.",)
    assert gaps(replace(unread, kind=CycleKind.ON_DEMAND), Scope.ASSIGNED) == ()


def test_scope_all_needs_the_directory() -> None:
    """Who is everybody, if not everybody was listed?"""
    lists = (ListRead("appRoleAssignedTo", 1, 0, True),)
    snapshot = reading(completeness=proof(lists=lists))
    assert gaps(snapshot, Scope.ALL) == ("The scope is everybody, and the directory was not listed.",)
    assert gaps(replace(snapshot, kind=CycleKind.ON_DEMAND), Scope.ALL) == ()
    assert gaps(reading(), Scope.ALL) == ()


HIDDEN = {GraphId("secret"): "its members are hidden"}


def test_nobody_is_proved_unassigned_while_a_group_hides_its_members() -> None:
    """Anybody might be one of them; who is disabled or deleted needs no list."""
    people = [person("ana"), person("bo", enabled=False), person("cy")]
    snapshot = replace(
        reading(people, groups={"secret": [], "sales": ["cy"]}, deleted=["di"]), unknown_grants=HIDDEN
    )
    found = entitlement(snapshot)
    assert found.is_whole
    assert found.unreadable == {"secret"}
    reasons = {name: found.reason(GraphId(name)) for name in ("ana", "bo", "cy", "di", "ed")}
    assert reasons == {
        "ana": None,
        "bo": Reason.DISABLED,
        "cy": None,
        "di": Reason.SOFT_DELETED,
        "ed": Reason.PURGED,
    }


def test_of_a_user_without_a_state_nothing_is_decided() -> None:
    odd = person("ana").without_state("not told")
    found = entitlement(reading([odd, person("bo")], assigned=["ana"]))
    assert (found.entitled, found.undecided) == (frozenset(), frozenset({GraphId("ana")}))
    assert found.reason(GraphId("ana")) is None
    assert found.reason(GraphId("bo")) is Reason.UNASSIGNED


def test_an_assignment_without_a_type_decides_nothing_but_another_one_does() -> None:
    snapshot = reading([person("ana"), person("bo"), person("cy", enabled=False)], groups={"sales": ["bo"]})
    untyped = tuple(Assignment(GraphId(name), "", "0") for name in ("ana", "bo", "cy"))
    found = entitlement(replace(snapshot, assignments=(*snapshot.assignments, *untyped)))
    assert found.entitled == {"bo"}
    assert found.reason(GraphId("ana")) is None
    assert found.reason(GraphId("cy")) is Reason.DISABLED


def test_a_list_with_a_row_of_nobody_proves_no_deletion() -> None:
    lists = (ListRead("users", 1, 1, True, unidentified=1), ListRead("appRoleAssignedTo", 1, 1, True))
    snapshot = reading(
        [person("ana")], groups={"sales": ["ana", "bo"]}, completeness=Completeness(lists, ROLES)
    )
    assert not is_directory_listed(snapshot)
    assert entitlement(snapshot).reason(GraphId("bo")) is None
    assert entitlement(snapshot).reason(GraphId("cy")) is Reason.UNASSIGNED
