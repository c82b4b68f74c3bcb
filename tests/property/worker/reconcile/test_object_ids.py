"""Sets of ids as flags do what sets of ids do."""

from __future__ import annotations

from collections.abc import Set

from hypothesis import given
from hypothesis import strategies as st

from store.records import GraphId
from worker.reconcile.arrays.object_ids import ObjectIds, UnitedIds

some_ids = st.frozensets(st.sampled_from([GraphId(letter) for letter in "abcdefgh"]))


@given(some_ids, some_ids, some_ids, some_ids)
def test_flags_of_ids_are_joined_and_compared_as_sets_are(
    known: frozenset[GraphId], ours: frozenset[GraphId], later: frozenset[GraphId], theirs: frozenset[GraphId]
) -> None:
    """Who is entitled and assigned is worked out of flags; ids come that had no number, and other sets take part."""
    ids = ObjectIds()
    ids.number_all(known)
    flags = ids.number_all(ours)
    ids.number_all(later)
    elsewhere = ObjectIds()
    elsewhere.number_all(later)
    others: list[Set[GraphId]] = [theirs, ids.number_all(theirs), elsewhere.number_all(theirs)]
    assert frozenset(flags) == ours
    for other in others:
        assert flags & other == other & flags == ours & theirs
        assert flags | other == other | flags == ours | theirs
        assert frozenset(flags - other) == ours - theirs
        assert other - flags == theirs - ours
        assert set(ids.flags(other)) <= {0, 1}
        united = UnitedIds(flags, other, later)
        assert frozenset(united) == ours | theirs | later
        assert len(list(united)) == len(ours | theirs | later)
        assert all((each in united) == (each in ours | theirs | later) for each in "abcdefgh")
        assert united.among(ids.number_all(known)) == known & (ours | theirs | later)
        assert united.among(known) == known & (ours | theirs | later)
