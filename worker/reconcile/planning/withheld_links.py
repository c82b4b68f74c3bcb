"""Withhold links by names that would end access which may be an entitled user's.

Where names moved between people before the first reading, they say whose an account was
not even in part. It shows if an entitled user is left without an account. The removals
that rest on names wait for a person then (identity.md, W6, W8).
"""

from __future__ import annotations

from collections.abc import Sequence

from store.records import GraphId, User, UserId, name_key
from worker.reconcile.plan_context import PlanContext
from worker.reconcile.planning.matches import Matches, is_linkable

LINK_WITHHELD = (
    "the account has their names, but names alone say whose it is, and it may be that of an entitled user who has "
    "another name by now: say whose it is with `leaver user same-person`"
)


def withhold_links(context: PlanContext, matches: Matches, live: Sequence[User]) -> None:
    """Take back the links by names that rest on names which may have moved.

    Those to people who are not entitled: access would end. Those of accounts whose name
    the push gave to another account: they are not even that name's owner's. Where only
    some subjects were read, what the last report said of a conflict holds; before any
    reading every such link is in doubt.
    """
    state = context.state
    if context.snapshot.is_of_subjects:
        owners = {row_id: matches.owners[row_id] for row_id in matches.by_names}
        doubted = [row_id for row_id in owners if not state.last_read_at or owners[row_id] in state.contested]
    else:
        matches.without_account = _without_account(context, matches, live)
        doubted = list(matches.by_names) if matches.without_account else []
    for row_id in sorted(doubted):
        is_taken = state.users[UserId(row_id)].sealed_at is not None
        if is_taken or context.entitlement.reason(matches.owners[row_id]) is not None:
            matches.withhold(row_id, LINK_WITHHELD)


def _without_account(context: PlanContext, matches: Matches, live: Sequence[User]) -> frozenset[GraphId]:
    """Return the entitled users who get no account because of a name.

    Not those who alone answer to an account with access: that one is likely theirs.
    """
    users = context.state.users
    rows = ((users[UserId(row_id)], people) for row_id, people in matches.claimants.items())
    alone = {people[0] for row, people in rows if len(people) == 1 and row.active and is_linkable(row)}
    left = [g for g in context.entitled if g not in matches.rows and g not in alone]
    if not left:
        return frozenset()
    taken = {
        name_key(row.user_name)
        for row in live
        if row.id not in matches.owners or row.is_guarded or row.is_admin
    }
    return frozenset(
        g for g in left if g in matches.conflicts or name_key(context.user_name(g) or "") in taken
    )
