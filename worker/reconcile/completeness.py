"""Tell whether a snapshot proves absence: only a complete reading does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from store.records import Scope
from worker.reconcile.snapshot import Completeness, ListRead, Snapshot

USERS = "users"
"""Name of the list that holds the whole directory."""


def gaps(snapshot: Snapshot, scope: Scope) -> tuple[str, ...]:
    """Return why absence from this snapshot proves nothing, in sentences.

    Empty if everything was read.
    """
    completeness = snapshot.completeness
    return (
        *_list_gaps(completeness),
        *_proof_gaps(completeness),
        *_group_gaps(snapshot),
        *([_NO_DIRECTORY] if scope is Scope.ALL and not _reads_everybody(snapshot) else []),
        *completeness.faults,
    )


def is_directory_listed(snapshot: Snapshot) -> bool:
    """Return whether the whole directory was listed to its end.

    A user who is nowhere in such a list is gone, unless a row of it has no object id.
    """
    return any(
        read.name == USERS and read.finished and not read.unidentified for read in snapshot.completeness.lists
    )


def _list_gaps(completeness: Completeness) -> Iterator[str]:
    if not completeness.lists:
        yield "Nothing was read."
    yield from _broken_lists([read for read in completeness.lists if not read.finished])
    for read in completeness.lists:
        if not read.finished:
            continue
        # More items than the count are no gap: a user was added while the pages were
        # read.
        if read.expected_items is not None and read.items < read.expected_items:
            yield f"The list {read.name} gave {read.items} of {read.expected_items} items{_detail(read)}."


def _broken_lists(broken: Sequence[ListRead]) -> Iterator[str]:
    """Yield one sentence for each cause, however many lists it ended."""
    by_cause: dict[str, list[ListRead]] = {}
    for read in broken:
        by_cause.setdefault(read.cause or read.name, []).append(read)
    for first, *others in by_cause.values():
        if not others:
            yield f"The list {first.name} broke off at {first.items} items{_detail(first)}."
            continue
        named = ", ".join(read.name for read in (first, *others)[:_MOST_NAMED])
        more = f" and {len(others) + 1 - _MOST_NAMED} more" if len(others) >= _MOST_NAMED else ""
        yield f"{len(others) + 1} lists broke off for one reason: {named}{more}{_detail(first)}."


_MOST_NAMED = 3


def _detail(read: ListRead) -> str:
    return f" ({read.detail})" if read.detail else ""


def _proof_gaps(completeness: Completeness) -> Iterator[str]:
    if completeness.missing_roles:
        yield f"The token lacks the permissions {', '.join(sorted(completeness.missing_roles))}."
    if not completeness.application_read:
        yield "The application itself could not be read."
    if not completeness.canary_read:
        yield "No known-good object could be read by itself."
    if not completeness.delta_unbroken:
        yield "The chain of delta links is broken."


def _group_gaps(snapshot: Snapshot) -> Iterator[str]:
    # A reading of some subjects holds only the groups that concern these subjects.
    if snapshot.is_of_subjects:
        return
    assigned = {row.principal_id for row in snapshot.assignments if row.principal_type == "Group"}
    unread = len(assigned - (snapshot.members.keys() & snapshot.groups.keys()))
    if unread:
        yield f"{unread} of {len(assigned)} assigned groups were not read."


def _reads_everybody(snapshot: Snapshot) -> bool:
    return snapshot.is_of_subjects or is_directory_listed(snapshot)


_NO_DIRECTORY = "The scope is everybody, and the directory was not listed."
