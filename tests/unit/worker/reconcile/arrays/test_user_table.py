"""A directory in arrays answers as one of objects does."""

from __future__ import annotations

import pytest

from store.records import GraphId
from worker.reconcile.arrays.object_ids import (
    IdFlags,
    MemberLists,
    ObjectIds,
    count_groups,
    count_memberships,
    groups_holding,
    members_of_any,
    only_groups,
)
from worker.reconcile.arrays.user_table import (
    ManagerTable,
    UserTable,
    digest_reader,
    managers_of,
    reports_of,
    users_in_state,
)
from worker.reconcile.snapshot import GraphUser

ANN, BOB, CY, DI = map(GraphId, ("ann", "bob", "cy", "di"))
DIGEST = bytes(range(16))


def table() -> UserTable:
    """Bob was met as a manager before he was listed; Di is not listed at all; of Cy no state is known."""
    made = UserTable(ObjectIds(), lambda place: {"place": place})
    made.put(ANN, True, BOB, DIGEST, 7)
    made.put(BOB, False, DI, bytes(16), 8)
    made.put_other(GraphUser(CY, None, {"place": 9}, unknown="no state"))
    return made


def test_a_user_of_the_table_is_the_user_that_was_listed() -> None:
    """State, properties, manager and digest come back as they were given."""
    ann = table()[ANN]
    assert (ann.id, ann.account_enabled, ann.manager_id) == (ANN, True, BOB)
    assert (dict(ann.properties), ann.digest) == ({"place": 7}, DIGEST.hex())
    assert table()[CY].unknown == "no state"


def test_the_table_holds_who_was_listed_and_no_one_else() -> None:
    """An id that is only someone's manager or a member of a group is no user of the directory."""
    users = table()
    assert (list(users), len(users)) == ([ANN, BOB, CY], 3)
    assert DI not in users
    assert users.get(DI) is None
    with pytest.raises(KeyError):
        users[DI]


def test_a_user_who_is_listed_twice_counts_once_and_as_listed_last() -> None:
    """Pages may overlap where the directory changes under the reading."""
    users = table()
    users.put(CY, True, None, DIGEST, 1)
    users.put_other(GraphUser(ANN, None, {}, unknown="no state"))
    assert len(users) == 3
    assert (users[CY].account_enabled, users[ANN].account_enabled) == (True, None)


def test_the_questions_of_a_cycle_have_the_same_answers_as_with_objects() -> None:
    """Entitlement and comparison ask these of every user."""
    users = table()
    objects = dict(users.items())
    for each in (users, objects):
        states = [set(users_in_state(each, state)) for state in (True, False, None)]
        assert states == [{ANN}, {BOB}, {CY}]
        assert managers_of(each) == {BOB, DI}
        assert set(reports_of(each, {DI})) == {BOB}
        assert digest_reader(each)(ANN) == (DIGEST.hex(), BOB)


def test_managers_and_missing_answers_are_noted_later() -> None:
    """Managers are read beside the list of users."""
    users = table()
    managers = ManagerTable(users.ids)
    managers.put(BOB, ANN)
    untold = users.set_managers({ANN, BOB, GraphId("else")}, managers)
    assert untold == [ANN], "who is enabled here and got no answer; nothing is known of others"
    users.forget_state(ANN, "not told")
    assert users[BOB].manager_id == ANN
    assert (users[ANN].account_enabled, users[ANN].unknown) == (None, "not told")


def test_a_manager_that_is_not_there_is_not_one_that_was_not_told() -> None:
    """None is Graph's word that there is none; without an entry nothing was said, and nothing is changed."""
    users = table()
    managers = ManagerTable(users.ids)
    managers.put(ANN, None)
    assert users.set_managers({ANN, BOB}, managers) == [], (
        "Bob is disabled: nothing is written of his manager"
    )
    new = GraphId("new")
    managers.put(new, DI)
    managers.put(ANN, new)
    assert dict(managers) == {ANN: new, new: DI}
    assert (len(managers), BOB in managers) == (2, False)
    with pytest.raises(KeyError):
        managers[BOB]


def test_members_as_numbers_are_the_members_that_were_read() -> None:
    """Five million memberships are arrays; a set is made of one group at a time."""
    crew, empty, team = map(GraphId, ("crew", "empty", "team"))
    read = {crew: frozenset({ANN, BOB}), empty: frozenset[GraphId](), team: frozenset({BOB, CY})}
    kept = MemberLists(ObjectIds())
    kept.update(read)
    assert dict(kept) == read
    for members in (kept, read):
        assert members_of_any(members) == {ANN, BOB, CY}
        assert groups_holding(members, BOB) == [crew, team]
        assert dict(only_groups(members, [team])) == {team: read[team]}
        assert count_memberships(members, frozenset({BOB, DI})) == 2
        assert dict(count_groups(members, frozenset({ANN, BOB, DI}))) == {ANN: 1, BOB: 2, DI: 0}


def test_flags_of_ids_are_a_set_of_those_that_were_known() -> None:
    """A cycle without changes notes which of a million people have a row; a set of them takes 65 bytes each."""
    ids = ObjectIds()
    known = [GraphId(name) for name in ("ann", "bob", "cleo")]
    for each in known:
        ids.number_of(each)
    flags = IdFlags(ids)
    ids.number_of(GraphId("later"))
    for name in ("bob", "ann", "ann", "later", "never seen"):
        flags.add(GraphId(name))
    assert (set(flags), len(flags)) == ({"ann", "bob"}, 2)
    assert [each in flags for each in (*known, "later", "never seen")] == [True, True, False, False, False]
