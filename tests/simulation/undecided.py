"""What a cycle left as it is and told, and whether the next one only went on with that."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from simulator.provisioning import paths
from store.records import REMOVALS, Action, Origin, User
from tests.simulation.picture import Picture
from tests.simulation.promises import person_of
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Undecided:
    """What a cycle told that it leaves as it is, for the next one may know more."""

    subjects: frozenset[str]
    """Object ids and rows."""
    attributes: frozenset[str]
    """Paths that do not fit on most accounts: the mapping is checked anew in every full cycle."""
    approved: frozenset[str]
    """Rows of an approved plan that is still to be applied."""


OF_A_HOLDER = frozenset({Action.LINK, Action.CHANGE_HOLDER, Action.UPDATE, Action.ENABLE, Action.UNSEAL})
"""What follows when it is known who an account without holder stands for."""
GIVES_A_HOLDER = frozenset({Action.LINK, Action.CHANGE_HOLDER})


def goes_on(
    world: World,
    settled: Picture,
    after: Picture,
    done: Sequence[RowMapping],
    undecided: Undecided,
    *,
    is_first_whole: bool,
) -> bool:
    """Whether a full cycle only went on with what the one before had left undecided, and told.

    The mapping is checked in every full cycle: attributes that did not fit may; and those who were told of get the
    accounts that were withheld once the entitled have theirs (seeds 61046, 70062). After an increment more: an account
    without holder is decided where everybody is read, and so is who has two names that were swapped.
    """
    rest = [entry for entry in done if not _is_of(entry, undecided.attributes)]
    linked = {str(entry["subject_id"]) for entry in done if entry["action"] in GIVES_A_HOLDER}
    if is_first_whole:
        return bool(done) and all(
            _is_told(world, after, entry, undecided.subjects)
            if entry["action"] in GIVES_A_HOLDER
            else _refers_to(entry, linked)
            for entry in rest
        )
    return bool(done) and all(
        _is_told(world, after, entry, undecided.subjects)
        or _refers_to(entry, linked)
        or _finds_a_holder(world, settled, entry)
        or entry["subject_id"] in undecided.approved
        for entry in rest
    )


def _is_of(entry: RowMapping, attributes: frozenset[str]) -> bool:
    """Whether it updates these alone; a value that is added comes with whether it is the primary one."""
    changed = {str(each["attribute"]) for each in entry["modified"]}
    with_primary = attributes | {path.removesuffix("value") + "primary" for path in attributes}
    return entry["action"] == Action.UPDATE and changed <= with_primary


def _refers_to(entry: RowMapping, linked: Container[str]) -> bool:
    """Whether reports refer to a manager whose account was linked in the same cycle (seed 66019)."""
    is_of_manager = all(str(each["attribute"]).startswith(paths.MANAGER) for each in entry["modified"])
    return is_of_manager and all(each["new"] in linked for each in entry["modified"])


def _is_told(world: World, after: Picture, entry: RowMapping, subjects: frozenset[str]) -> bool:
    """Whether it takes nothing from those who were told of."""
    takes = entry["action"] in REMOVALS and entry["amount"]
    return not takes and all({row, person_of(world, after, after, row)} & subjects for row in _rows_of(entry))


def _finds_a_holder(world: World, settled: Picture, entry: RowMapping) -> bool:
    """Whether an account that nobody held gets a holder, or ends: all who answer to it left, or it is local where that
    ends it. That none of them is entitled is kept by I1 (seed 62062).
    """
    rows = [row for key, row in settled.users.items() if key in _rows_of(entry)]
    if not rows or any(row.entra_object_id is not None for row in rows):
        return False
    if entry["action"] in REMOVALS and entry["amount"]:
        return world.policy.deprovision_local_accounts or not any(map(_is_local, rows))
    return entry["action"] in (OF_A_HOLDER if entry["subject_type"] == "user" else {Action.ADD_MEMBER})


def _is_local(row: User) -> bool:
    return row.origin not in (Origin.SCIM, Origin.GRAPH)


def _rows_of(entry: RowMapping) -> frozenset[str]:
    """Users of an entry: its subject, or those who joined a group."""
    if entry["subject_type"] == "user":
        return frozenset({str(entry["subject_id"])})
    return frozenset(str(each["new"]) for each in entry["modified"])
