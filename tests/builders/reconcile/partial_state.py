"""The part of a state that a plan for a focus reads."""

from __future__ import annotations

from dataclasses import replace

from store.records import Group, Policy, User
from tests.builders.reconcile.snapshots import CONNECTION
from worker.reconcile.dependencies import RowKeys, rows_needed
from worker.reconcile.snapshot import Focus, Snapshot
from worker.reconcile.state import State


def part_of_state(state: State, part: Snapshot, policy: Policy, focus: Focus) -> State:
    """Return the rows that the focus needs, with their memberships, as a read of the store would."""
    need = rows_needed(CONNECTION, part, policy, focus)
    users = {i: u for i, u in state.users.items() if _is_found(u, u.user_name, need.users)}
    whole = {i for i, g in state.groups.items() if _is_found(g, g.display_name, need.whole_groups)}
    groups = whole | {i for i, g in state.groups.items() if _is_found(g, g.display_name, need.groups)}
    groups |= {i for i, held in state.members.items() if held & (users.keys() | whole)}
    inside = {m for g in whole for m in state.members.get(g, ())}
    users |= {i: u for i, u in state.users.items() if i in inside}
    groups |= {i for i in state.groups if i in inside}
    kept = users.keys() | whole
    members = {g: m if g in whole else m & kept for g, m in state.members.items() if g in groups}
    return replace(state, users=users, groups={g: state.groups[g] for g in groups}, members=members)


def _is_found(row: User | Group, name: str, keys: RowKeys) -> bool:
    return (
        row.id in keys.ids
        or row.entra_object_id in keys.objects
        or name.lower() in {key.lower() for key in keys.names}
        or (row.external_id or "").lower() in {key.lower() for key in keys.external_ids}
    )
