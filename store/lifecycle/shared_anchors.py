"""Find out whether the push meant an earlier holder when it ended access.

Entra writes for ever to the account to which it anchored a person. An account that
changed its holder may so have two anchors, whichever of its holders it stands for now.
The push is obeyed, and the next cycle looks at the present holder (identity.md, W3).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import bindparam, select

from store import tables
from store.engine.prepared_statements import fetch
from store.lifecycle.transaction import Transaction
from store.records import Cause, Origin, User, UserId, is_object_id
from store.records.drift import ConflictKind, PushConflict
from store.sync import push_conflicts

_h = tables.account_holders.c
_WITH_HOLDERS = select(_h.user_id, _h.number).where(
    _h.tenant_id == bindparam("scope_tenant"), _h.user_id.in_(bindparam("ids", expanding=True))
)


class EndedByPush(Struct, frozen=True):
    """An account whose access a request of the push ended."""

    before: User
    after: User

    @property
    def carries_another_id(self) -> bool:
        """Return whether the push had written another person's object id into it."""
        external_id = (self.before.external_id or "").lower()
        return is_object_id(external_id) and external_id != self.after.entra_object_id


def ended_by_push(before: User | None, after: User, cause: Cause) -> EndedByPush | None:
    """Return the account if the push ended the access of a holder who can be read in
    Graph.
    """
    is_asked = cause.origin is Origin.SCIM and cause.can_prove
    if not is_asked or before is None or after.entra_object_id is None:
        return None
    return EndedByPush(before, after) if before.active and not after.active else None


async def note_shared(tx: Transaction, ended: Sequence[EndedByPush]) -> None:
    """Note the accounts that stood for another person as well, or carry another
    person's object id.
    """
    unknown = [each.after.id for each in ended if not each.carries_another_id]
    shared = await _with_another_holder(tx, ended, unknown) if unknown else frozenset[UserId]()
    for each in ended:
        holder = each.after.entra_object_id
        if holder is not None and (each.carries_another_id or each.after.id in shared):
            conflict = PushConflict(ConflictKind.SHARED_ANCHOR, each.after.id, holder, "", tx.now)
            await push_conflicts.note(tx.conn, tx.tenant_id, tx.connection_id, conflict)


async def _with_another_holder(
    tx: Transaction, ended: Sequence[EndedByPush], ids: Sequence[UserId]
) -> frozenset[UserId]:
    present = {each.after.id: each.after.holder_number for each in ended}
    rows = await fetch(tx.conn, _WITH_HOLDERS, tx.scope | {"ids": ids})
    return frozenset(
        UserId(row["user_id"]) for row in rows if row["number"] != present[UserId(row["user_id"])]
    )
