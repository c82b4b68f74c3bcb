"""The changes to users: link, update, create, restore, enable; and `leavers` for disable.

| in Entra            | here     | change                                  |
|---------------------|----------|-----------------------------------------|
| entitled            | active   | UPDATE where mapped attributes differ   |
| entitled            | inactive | ENABLE (and UPDATE)                     |
| entitled            | deleted  | RESTORE: the same row, the same history |
| entitled            | nobody   | CREATE                                  |
| not entitled        | active   | DISABLE                                 |
| not entitled        | inactive | nothing: Entra does not update them     |
| this cannot be told | anything | nothing                                 |

Whoever matches a row that is not linked to it is linked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from store.records import Action, DriftKind, GraphId, JsonValue, SubjectType, User, UserId
from worker.reconcile.entitlement import NESTED_NOTE
from worker.reconcile.lazy_mapping import Deferred
from worker.reconcile.mapping.attribute_mapping import CompiledMapping, Resolve
from worker.reconcile.plan import Change, Finding, Subject
from worker.reconcile.plan_context import Facts, planned_id, user_subject
from worker.reconcile.planning.leavers import Leavers, plan_leavers
from worker.reconcile.planning.matching import Claims, match_users, refused_names, returning_users
from worker.reconcile.snapshot import GraphUser


@dataclass(frozen=True, slots=True)
class People:
    """What is planned for users, and what the memberships need to know of it."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    leavers: Leavers
    claims: Claims
    active: Mapping[GraphId, str]
    """Our id of everybody entitled who is, or by this plan will be, an active user here."""
    arriving: Mapping[GraphId, Subject]
    """Who gets a row by this plan, or a deleted one back."""


def plan_people(facts: Facts) -> People:
    """Plans all changes to users."""
    claims = match_users(facts)
    rows = {graph_id: facts.state.users[UserId(row_id)] for graph_id, row_id in claims.rows.items()}
    newcomers = list(claims.open(sorted(facts.entitled)))
    returning = returning_users(facts, newcomers)
    refused = _refused(facts, claims, rows, newcomers)
    arriving = {
        g: returning[g].id if g in returning else planned_id(facts.state.connection_id, g, facts.state.users)
        for g in newcomers
        if g not in refused and not (g in returning and facts.is_younger(returning[g]))
    }
    linked = {
        r.entra_object_id: r.id for r in facts.state.users.values() if r.entra_object_id and not r.deleted_at
    }
    ids: Mapping[GraphId, str] = {**linked, **claims.rows, **arriving}
    staying = (g for g, row in rows.items() if g in facts.standing.entitled and _is_active_after(facts, row))
    active = {g: ids[g] for g in (*staying, *arriving)}
    leavers = plan_leavers(facts, claims, frozenset(active.values()))
    arrivals = tuple(_arrivals(facts, arriving, returning, ids))
    return People(
        changes=(*_changes_of_rows(facts, rows, ids, refused), *arrivals, *leavers.changes),
        findings=(*claims.conflicts.values(), *refused.values(), *leavers.findings),
        leavers=leavers,
        claims=claims,
        active=active,
        arriving={g: change.subject for g, change in zip(arriving, arrivals, strict=True)},
    )


def _is_active_after(facts: Facts, row: User) -> bool:
    """Tells whether an entitled person's row is active once the plan is applied."""
    return row.active or not facts.is_younger(row)


def _refused(
    facts: Facts, claims: Claims, rows: Mapping[GraphId, User], newcomers: list[GraphId]
) -> dict[GraphId, Finding]:
    """Entitled people who cannot be given their userName: it is empty, or two rows would end up with it."""
    entitled_rows = [g for g in facts.standing.entitled if g in rows and not facts.is_younger(rows[g])]
    names = {g: name for g in (*entitled_rows, *newcomers) if (name := facts.user_name(g))}
    live = (row for row in facts.state.users.values() if row.deleted_at is None)
    others = (row.user_name for row in live if claims.owners.get(row.id) not in names)
    taken = refused_names(names, {g: rows[g].user_name for g in names if g in rows}, others)
    nameless = [g for g in newcomers if g not in names]
    return {g: _taken(g, names[g], rows.get(g)) for g in taken} | {g: _nameless(g) for g in nameless}


def _taken(graph_id: GraphId, name: str, row: User | None) -> Finding:
    subject = Subject(SubjectType.USER, graph_id, row.id if row else None, name)
    return Finding(DriftKind.MATCH_CONFLICT, subject, "another account has or is to have the same userName")


def _nameless(graph_id: GraphId) -> Finding:
    subject = Subject(SubjectType.USER, graph_id, None, graph_id)
    detail = "the mapping gives it no userName; Entra skips such a user (ImportSkipped)"
    return Finding(DriftKind.MISSED_PROVISION, subject, detail)


def _changes_of_rows(
    facts: Facts, rows: Mapping[GraphId, User], ids: Mapping[GraphId, str], refused: Mapping[GraphId, Finding]
) -> Iterator[Change]:
    entitled = facts.standing.entitled
    for graph_id, row in rows.items():
        if row.entra_object_id != graph_id:
            yield _link(row, graph_id)
        # A push that landed since reading began may know better: nothing of it is undone (invariant I7).
        if graph_id not in entitled or facts.is_younger(row):
            continue
        before, after = facts.mapping.differences(facts.snapshot.users[graph_id], row.document, ids.get)
        if graph_id in refused:
            before.pop("userName", None)
            after.pop("userName", None)
        if after:
            yield Change(
                DriftKind.ATTRIBUTE_MISMATCH,
                Action.UPDATE,
                user_subject(row, graph_id),
                before=before,
                after=after,
                expected_version=row.version,
            )
        if not row.active:
            yield _enable(row, graph_id, _note(facts, graph_id))


def _link(row: User, graph_id: GraphId) -> Change:
    note = f"was linked to {row.entra_object_id}, who is gone" if row.entra_object_id else ""
    return Change(
        DriftKind.ATTRIBUTE_MISMATCH,
        Action.LINK,
        user_subject(row, graph_id),
        expected_version=row.version,
        note=note,
    )


def _enable(row: User, graph_id: GraphId, note: str) -> Change:
    return Change(
        DriftKind.MISSED_PROVISION,
        Action.ENABLE,
        user_subject(row, graph_id),
        before={"active": False},
        after={"active": True},
        expected_version=row.version,
        note=note,
    )


def _arrivals(
    facts: Facts,
    arriving: Mapping[GraphId, str],
    returning: Mapping[GraphId, User],
    ids: Mapping[GraphId, str],
) -> Iterator[Change]:
    resolve = ids.get
    for graph_id, local_id in arriving.items():
        row = returning.get(graph_id)
        label = facts.user_name(graph_id) or graph_id
        yield Change(
            DriftKind.MISSED_PROVISION,
            Action.RESTORE if row else Action.CREATE,
            Subject(SubjectType.USER, graph_id, local_id, label),
            after=Deferred(_arrived, facts.mapping, facts.snapshot.users[graph_id], resolve),
            expected_version=row.version if row else None,
            note=_note(facts, graph_id),
        )


def _arrived(mapping: CompiledMapping, user: GraphUser, resolve: Resolve) -> dict[str, JsonValue]:
    after = mapping.wanted(user, resolve)
    after["active"] = True
    return after


def _note(facts: Facts, graph_id: GraphId) -> str:
    return NESTED_NOTE if graph_id in facts.standing.nested_only else ""
