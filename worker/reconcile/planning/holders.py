"""Decide for which person an account stands whose holder is gone (identity.md, W2, W3).

| the holder is gone, and                  | then                                      |
|------------------------------------------|-------------------------------------------|
| the push wrote another living person's   | that person is the holder: every key of   |
| object id into the account               | the earlier one ends                      |
| the push wrote or found the account since| that one is the holder                    |
| the holder was last seen, and its names  |                                           |
| are those of exactly one other, entitled |                                           |
| person                                   |                                           |
| another person is to have its userName   | the account gives up its names and access;|
|                                          | the other person gets an own account      |

An account of which no holder is known, and which may have been another person's before
(`is_doubted`), is not linked to a person but changes its holder.

So does the account of a living person who is not entitled, and who is called otherwise
by now: nothing else would ever free the name.

In doubt the holder changes, since then keys die and history is sealed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from msgspec import structs

from store.records import (
    Action,
    DriftKind,
    GraphId,
    HolderBasis,
    JsonValue,
    Origin,
    User,
    UserId,
    name_key,
)
from worker.reconcile.arrays.object_ids import groups_holding
from worker.reconcile.plan import Change, Finding
from worker.reconcile.plan_context import PlanContext, user_subject
from worker.reconcile.planning.matches import Matches, object_id_in

CLOCKS_DIFFER = timedelta(minutes=10)
"""So much may Graph's clock and the database's differ."""


@dataclass(frozen=True, slots=True)
class _Successor:
    row: User
    person: GraphId
    basis: HolderBasis


def plan_changes_of_holder(context: PlanContext, matches: Matches) -> tuple[Change, ...]:
    """Plan which accounts stand for another person now, and match them to that
    person.
    """
    rows = [row for row in orphans(context, matches) if not context.is_changed_after_reading(row)]
    changes: list[Change] = []
    for found in (*_successors(context, rows), *_withdrawn_links(context, matches)):
        if found.person not in matches.rows and found.person not in matches.conflicts:
            if (earlier := matches.owners.get(found.row.id)) is not None:
                del matches.rows[earlier]
            matches.set(found.person, found.row.id)
            changes.append(_change_of_holder(context, found))
    changes += [_first_holder(found) for found in _of_unknown_past(context, matches)]
    return tuple(structs.replace(change, after=_with_groups(context, change)) for change in changes)


def is_doubted(context: PlanContext, row: User, graph_id: GraphId) -> bool:
    """Return whether an account without a known holder may have been another person's
    before this one's: who left it is not known, and a link hands nothing over (W6).

    It is under a seal, or stood for a person of another directory; or it is older than
    the person, and the push found it since (a silent match).
    """
    if context.has_holder(row):
        return False
    if row.sealed_at is not None or row.entra_object_id is not None:
        return True
    born_at = context.snapshot.users[graph_id].created_at
    is_older = born_at is not None and born_at - row.created_at > CLOCKS_DIFFER
    return row.push_found_at is not None and is_older


def _of_unknown_past(context: PlanContext, matches: Matches) -> Iterator[_Successor]:
    for graph_id, row_id in matches.rows.items():
        row = context.state.users[UserId(row_id)]
        if graph_id not in context.entitled or not is_doubted(context, row, graph_id):
            continue
        if context.is_about_user(graph_id, row_id) and not context.is_changed_after_reading(row):
            basis = HolderBasis.NAMES if row_id in matches.by_names else HolderBasis.PROOF
            yield _Successor(row, graph_id, basis)


def _withdrawn_links(context: PlanContext, matches: Matches) -> Iterator[_Successor]:
    """Yield accounts that names linked to a living person, and into which the push
    wrote the names of exactly one other, entitled person later (identity.md, W6).

    The claim that linked them is gone: keys end, and each of the two has an account.
    """
    rows = [
        row
        for graph_id, row_id in matches.rows.items()
        if (row := context.state.users[UserId(row_id)]).holder_basis is HolderBasis.NAMES
        and row.entra_object_id == graph_id
        and _is_named_by_push(context, row, graph_id)
        and context.is_about_user(graph_id, row_id)
        and not context.is_changed_after_reading(row)
    ]
    named = context.people_named(row.user_name for row in rows) if rows else {}
    for row in rows:
        people = named.get(name_key(row.user_name), [])
        if len(people) == 1 and people[0] in context.entitled and context.has_external_id(people[0], row):
            yield _Successor(row, people[0], HolderBasis.NAMES)


def orphans(context: PlanContext, matches: Matches) -> Iterator[User]:
    """Yield accounts whose holder is certainly not a living user of the directory."""
    for row in context.state.users.values():
        is_held = row.deleted_at is None and context.has_holder(row) and row.id not in matches.owners
        if (
            is_held
            and context.is_about_user(row.entra_object_id, row.id)
            and context.is_gone(row.entra_object_id)
        ):
            yield row


def _successors(context: PlanContext, rows: list[User]) -> Iterator[_Successor]:
    users = context.snapshot.users
    for row in rows:
        if (proof := object_id_in(row)) in users and proof is not None:
            yield _Successor(row, proof, HolderBasis.PROOF)
    touched = [row for row in rows if _was_touched(context, row) and object_id_in(row) not in users]
    believed = context.are_believed(touched)
    touched = [row for row in touched if row.id in believed]
    if not touched:
        return
    named = context.people_named({row.user_name for row in touched})
    for row in touched:
        people = named.get(name_key(row.user_name), [])
        is_one = len(people) == 1 and believed[row.id] in (None, people[0])
        if is_one and people[0] in context.entitled and context.has_external_id(people[0], row):
            yield _Successor(row, people[0], HolderBasis.NAMES)


def _was_touched(context: PlanContext, row: User) -> bool:
    """Return whether the push wrote or found the account since its holder was seen."""
    seen_at = row.holder_seen_at or context.state.last_read_at
    touched = [at for at in (row.push_wrote_at, row.push_found_at) if at is not None]
    return bool(touched) and (seen_at is None or max(touched) > seen_at)


def _change_of_holder(context: PlanContext, found: _Successor) -> Change:
    row = found.row
    is_gone = row.entra_object_id not in context.snapshot.users
    why = ", who is gone" if is_gone else ""
    told = f"the account stood for {row.entra_object_id}{why}; Entra gave it to another person"
    return _handing_over(found, told, is_gone=is_gone)


def _first_holder(found: _Successor) -> Change:
    told = "whose the account was before is not known: nothing of it is handed over"
    return _handing_over(found, told, is_gone=False)


def _handing_over(found: _Successor, told: str, *, is_gone: bool) -> Change:
    row = found.row
    return Change(
        DriftKind.HOLDER_CHANGED,
        Action.CHANGE_HOLDER,
        user_subject(row, found.person),
        before={"holder": row.entra_object_id, "isGone": is_gone, "sealed": row.sealed_at is not None},
        after={"holder": found.person, "holderBasis": found.basis.value},
        expected_version=row.version,
        note=told,
    )


def _with_groups(context: PlanContext, change: Change) -> dict[str, JsonValue]:
    person = GraphId(str(change.after["holder"]))
    return {**change.after, "keepGroups": sorted(_groups_of(context, person))}


def _groups_of(context: PlanContext, person: GraphId) -> Iterator[str]:
    given = frozenset(groups_holding(context.entitlement.members, person))
    for group in context.state.groups.values():
        if group.deleted_at is None and group.entra_object_id in given:
            yield group.id


def plan_retirements(context: PlanContext, matches: Matches) -> tuple[Change, ...]:
    """Plan which accounts that the pull alone made are retired, because the push wrote
    another for the same person; match the person to the push's.

    Entra knows only its own of the two, and goes on writing to it.
    """
    changes: list[Change] = []
    for person, pushed_ids in matches.twins.items():
        made = context.state.users[UserId(matches.rows[person])]
        pushed = [context.state.users[UserId(row_id)] for row_id in pushed_ids]
        if len(pushed) == 1 and _is_twin(context, person, made, pushed[0]):
            matches.hand_to(person, pushed[0].id)
            changes.append(_retirement(made, person, pushed[0]))
    return tuple(changes)


def _is_twin(context: PlanContext, person: GraphId, made: User, pushed: User) -> bool:
    is_pulls_own = made.origin is Origin.GRAPH and made.push_wrote_at is None and made.push_found_at is None
    is_marked = made.is_admin or made.is_protected
    is_pushs = pushed.push_wrote_at is not None and pushed.active
    moved = context.is_changed_after_reading(made) or context.is_changed_after_reading(pushed)
    return is_pulls_own and is_pushs and person in context.entitled and not (is_marked or moved)


def _retirement(made: User, person: GraphId, pushed: User) -> Change:
    return Change(
        DriftKind.MATCH_CONFLICT,
        Action.RETIRE,
        user_subject(made, person),
        before={"active": made.active, "userName": made.user_name, "externalId": made.external_id},
        after={"active": False, "successor": pushed.id},
        expected_version=made.version,
        note=f"the push wrote {pushed.user_name} for the same person: that account is theirs now",
    )


def plan_releases(context: PlanContext, matches: Matches, wanting: Collection[GraphId]) -> tuple[Change, ...]:
    """Plan which accounts give up their names, for their holder is gone or has another
    name, and an entitled user who arrives or was renamed is to have them.
    """
    wanted = {name_key(context.user_name(graph_id) or "") for graph_id in wanting}
    if not wanted:
        return ()
    given_up = [*orphans(context, matches), *_renamed_leavers(context, matches, wanted)]
    releases = (
        _release(context, row)
        for row in given_up
        if name_key(row.user_name) in wanted and not context.is_changed_after_reading(row)
    )
    return tuple(change for change in releases if change is not None)


def _renamed_leavers(context: PlanContext, matches: Matches, wanted: Collection[str]) -> Iterator[User]:
    """Yield accounts with a wanted name, of living people who are not entitled and are
    called otherwise by now.

    Marked accounts keep their access until a person decides, and their names with it.
    """
    for graph_id, row_id in matches.rows.items():
        row = context.state.users[UserId(row_id)]
        key = name_key(row.user_name)
        if key not in wanted or row.is_guarded or row.is_admin or row.entra_object_id != graph_id:
            continue
        is_other = name_key(context.user_name(graph_id) or row.user_name) != key
        if is_other and context.is_about_user(graph_id, row_id):
            yield row


def _release(context: PlanContext, row: User) -> Change | None:
    assert row.entra_object_id is not None, "an orphan had a holder"
    reason = context.entitlement.reason(row.entra_object_id)
    if reason is None:
        return None
    return Change(
        DriftKind.MISSED_DEPROVISION if row.active else DriftKind.ATTRIBUTE_MISMATCH,
        Action.RELEASE_NAMES,
        user_subject(row, row.entra_object_id),
        reason,
        before={"active": row.active, "userName": row.user_name, "externalId": row.external_id},
        after={"active": False},
        expected_version=row.version,
        note="another person is to have its userName",
        hold_reason="It is an admin's account, and another person is to have its userName."
        if row.is_admin
        else "",
    )


def is_seen_again(row: User, graph_id: GraphId) -> bool:
    """Return whether the holder of an account that is sealed, or whose holder was
    missing, is there again.
    """
    was_in_doubt = row.sealed_at is not None or row.holder_seen_at is not None
    proof = object_id_in(row)
    return was_in_doubt and row.entra_object_id == graph_id and proof in (None, graph_id)


def shared_anchors(context: PlanContext, rows: Mapping[GraphId, User]) -> Iterator[Finding]:
    """Yield accounts that stand for one living person while the push writes another
    living person's object id or names into them.
    """
    named_by_push: list[tuple[GraphId, User]] = []
    for graph_id, row in rows.items():
        if not context.has_holder(row):
            continue
        proof = object_id_in(row)
        if proof not in (None, graph_id) and proof in context.snapshot.users:
            yield _shared_anchor(row, graph_id, proof, f"the object id {proof}")
        elif _is_named_by_push(context, row, graph_id):
            named_by_push.append((graph_id, row))
    people = context.people_named(row.user_name for _, row in named_by_push) if named_by_push else {}
    for graph_id, row in named_by_push:
        others = people.get(name_key(row.user_name), [])
        if len(others) == 1:
            yield _shared_anchor(row, graph_id, others[0], f"the names of {others[0]}")


def _is_named_by_push(context: PlanContext, row: User, graph_id: GraphId) -> bool:
    """Return whether the push wrote another userName than the one that both sides
    agreed on, and not the holder's new one.
    """
    if row.push_wrote_at is None or row.agreed_user_name in (None, row.user_name) or not context.names_fit:
        return False
    return name_key(context.user_name(graph_id) or row.user_name) != name_key(row.user_name)


def _shared_anchor(row: User, graph_id: GraphId, other: GraphId | None, what: str) -> Finding:
    detail = (
        f"the push writes {what} into it: two people share the account. Delete the object "
        "connection of one of them in Entra, or restart provisioning with a full reset"
    )
    candidates = (row.id, *((other,) if other else ()))
    return Finding(DriftKind.SHARED_ANCHOR, user_subject(row, graph_id), detail, candidates)


def double_claims(context: PlanContext, matches: Matches) -> Iterator[Finding]:
    """Yield accounts of people who are gone into which the push wrote the object id of
    another account's holder.

    A request that leaves an account without access is applied as sent (identity.md,
    W1).
    """
    for row in orphans(context, matches):
        proof = object_id_in(row)
        other = matches.rows.get(proof) if proof is not None else None
        if other is not None and proof != row.entra_object_id:
            detail = (
                f"the push wrote the object id {proof} into it, who has the account {other} already: delete the object "
                "connection of that user in Entra, or restart provisioning with a full reset"
            )
            yield Finding(
                DriftKind.MATCH_CONFLICT, user_subject(row, row.entra_object_id), detail, (row.id, other)
            )
