"""Create users, or restore deleted users with their row and history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from msgspec import structs
from sqlalchemy import select

from store import tables
from store.directory.documents import modified, user_columns
from store.engine.list_lookups import Lookup, with_one_of_any
from store.errors import OtherAccount, Terminal, UniquenessConflict
from store.keys import new_id, search_key, to_user
from store.lifecycle import user_writes
from store.lifecycle.transaction import Transaction, beside_id, in_scope
from store.lifecycle.user_writes import UserChange
from store.lifecycle.users import deprovisioned, reactivated, sealed_without_proof
from store.logs.journal import LogSubject
from store.records import (
    Action,
    CreateUser,
    HolderBasis,
    Origin,
    Outcome,
    OutcomeStatus,
    SubjectType,
    User,
    UserId,
    is_object_id,
)

_c = tables.users.c


async def create(tx: Transaction, commands: Sequence[CreateUser]) -> list[Outcome]:
    """Create users, or restore the rows of users that were deleted here."""
    drafts = [_draft(command) for command in commands]
    known = await ExistingUsers.load(tx, commands, [draft for draft in drafts if isinstance(draft, dict)])
    outcomes: list[Outcome] = []
    accepted: list[UserChange] = []
    for command, draft in zip(commands, drafts, strict=True):
        try:
            if isinstance(draft, Terminal):
                raise draft
            here = known.by_id.get(command.id) if command.id else None
            if here is not None and here.deleted_at is None:
                outcomes.append(tx.unchanged(command, Action.CREATE, here))
                continue
            changed = user_writes.stamped(tx, command, _creation(tx, command, draft, known))
        except Terminal as error:
            outcomes.append(tx.refuse(command, Action.CREATE, error, _subject(command)))
            continue
        known.take(changed.after)
        accepted.append(changed)
        outcomes.append(Outcome(command, OutcomeStatus.APPLIED, changed.action, changed.after))
    await user_writes.write(tx, accepted)
    return outcomes


def _draft(command: CreateUser) -> dict[str, Any] | Terminal:
    try:
        return user_columns(command.document)
    except Terminal as error:
        return error


@cache
def _with_one_of(*columns: str) -> Lookup:
    """Return the query for users, deleted ones too, with one of the values in one of
    the columns.
    """
    scope = beside_id(tables.users) if columns == ("id",) else in_scope(tables.users)
    lists = {name: _c[name] for name in columns}
    return with_one_of_any(select(tables.users).where(*scope), tables.users, lists, for_update=True)


@dataclass(slots=True)
class ExistingUsers:
    """Present and deleted users with the ids and names of the users to create."""

    by_id: dict[str, User] = field(default_factory=dict)
    live_names: dict[str, User] = field(default_factory=dict)
    live_entra_ids: set[str] = field(default_factory=set)
    live_external_ids: dict[str, list[User]] = field(default_factory=dict)
    """Live accounts by externalId, and by the holder's object id."""
    gone: dict[tuple[str, str], User] = field(default_factory=dict)

    @classmethod
    async def load(
        cls, tx: Transaction, commands: Sequence[CreateUser], drafts: list[dict[str, Any]]
    ) -> ExistingUsers:
        """Read them with one query for names and object ids, and another for ids.

        Each branch of the first is answered by an index of its own. In one query SQLite
        would look for the ids among all rows of the connection.
        """
        wanted: dict[str, list[Any]] = {
            "user_name_key": [draft["user_name_key"] for draft in drafts],
            "external_id": _spellings(draft["external_id"] for draft in drafts if draft["external_id"]),
            "entra_object_id": _object_ids(commands, drafts),
        }
        known = cls()
        await known._read(tx, wanted)
        await known._read(tx, {"id": [command.id for command in commands if command.id]})
        return known

    async def _read(self, tx: Transaction, wanted: Mapping[str, list[Any]]) -> None:
        wanted = {name: values for name, values in wanted.items() if values}
        if wanted:
            for row in await _with_one_of(*wanted).rows(tx.conn, {**tx.scope, **wanted}):
                self._add(to_user(row))

    def _add(self, user: User) -> None:
        if user.id in self.by_id:
            return
        self.by_id[user.id] = user
        if user.deleted_at is None:
            self.take(user)
            return
        external_id = user.external_id or ""
        keys = (
            ("id", user.id),
            ("entra", user.entra_object_id),
            ("object id", external_id.lower() if is_object_id(external_id) else None),
            ("both names", _both_names(user.user_name, user.external_id)),
        )
        for kind, key in keys:
            # Of several the one deleted last: that is where the person left off.
            if key and ((kind, key) not in self.gone or self.gone[kind, key].deleted_at < user.deleted_at):  # type: ignore[operator]
                self.gone[kind, key] = user

    def take(self, user: User) -> None:
        self.live_names[search_key(user.user_name)] = user
        if user.entra_object_id:
            self.live_entra_ids.add(user.entra_object_id)
        for external_id in {(user.external_id or "").lower(), (user.entra_object_id or "").lower()} - {""}:
            self.live_external_ids.setdefault(external_id, []).append(user)
        for key in [key for key, gone in self.gone.items() if gone.id == user.id]:
            del self.gone[key]

    def find_former(self, command: CreateUser, draft: dict[str, Any]) -> User | None:
        """Return the deleted row of the same person, or None.

        A proof is the object id: Entra's, or in externalId. The push finds a row by
        both names together as well; it is then sealed, since a name is no proof. A
        userName alone, or a mailNickname (Entra's default externalId), is given to
        another person one day: it restores nothing (identity.md, W5).
        """
        external_id = draft["external_id"] or ""
        proof = command.entra_object_id or (external_id.lower() if is_object_id(external_id) else None)
        names = None if proof else _both_names(draft["user_name"], draft["external_id"])
        candidates = (
            ("id", command.id),
            ("entra", proof),
            ("object id", proof.lower() if proof else None),
            ("both names", names),
        )
        for kind, key in candidates:
            user = self.gone.get((kind, key)) if key else None
            if user is not None and not _is_someone_else(user, proof):
                return user
        return None


def _spellings(external_ids: Iterable[str]) -> list[str]:
    """Return the values with object ids in both letter cases: they are compared without
    case.
    """
    given = list(external_ids)
    return [*given, *(spelling for e in given if is_object_id(e) for spelling in (e.lower(), e.upper()))]


def _object_ids(commands: Sequence[CreateUser], drafts: Sequence[dict[str, Any]]) -> list[str]:
    sent = (draft["external_id"] or "" for draft in drafts)
    proofs = [external_id.lower() for external_id in sent if is_object_id(external_id)]
    return [*(command.entra_object_id for command in commands if command.entra_object_id), *proofs]


def _both_names(user_name: str, external_id: str | None) -> str | None:
    return f"{search_key(user_name)}\x1f{external_id}" if external_id else None


def _is_someone_else(user: User, proof: str | None) -> bool:
    """Return whether the deleted row is another person's: two object ids are two
    people.
    """
    external_id = (user.external_id or "").lower()
    known = user.entra_object_id or (external_id if is_object_id(external_id) else None)
    return proof is not None and known is not None and proof.lower() != known.lower()


def _creation(
    tx: Transaction, command: CreateUser, draft: dict[str, Any], known: ExistingUsers
) -> UserChange:
    if (namesake := known.live_names.get(draft["user_name_key"])) is not None:
        other = OtherAccount(namesake.id, namesake.user_name)
        raise UniquenessConflict("userName", draft["user_name"], other)
    if command.entra_object_id in known.live_entra_ids:
        raise UniquenessConflict("entraObjectId", command.entra_object_id or "")
    if tx.cause.origin is Origin.SCIM and tx.cause.can_prove and draft["active"]:
        _refuse_second_account(draft, known)
    before = known.find_former(command, draft)
    if before is None:
        # A row of another user may have the id that was planned for this one.
        is_free = command.id is not None and command.id not in known.by_id
        after = _new(tx, command, draft, command.id if is_free and command.id else UserId(new_id()))
        return UserChange(Action.CREATE, None, after, modified({}, after.document))
    back = structs.replace(
        reactivated(tx, before),
        user_name=draft["user_name"],
        external_id=draft["external_id"],
        document=draft["document"],
        # Marks never come back by themselves.
        is_protected=False,
        is_admin=False,
        **_holder(command, before),
    )
    if not draft["active"]:
        after = deprovisioned(tx, back, None)
    else:
        after = back if command.entra_object_id else sealed_without_proof(tx, back)
    return UserChange(Action.RESTORE, before, after, modified(before.document, after.document))


def _refuse_second_account(draft: dict[str, Any], known: ExistingUsers) -> None:
    """Raise `UniquenessConflict` if a live account has the same externalId and it
    stands for one person.

    A mailNickname, Entra's default, is unique within a domain only: two accounts whose
    userNames both begin with it may share it.
    """
    external_id = draft["external_id"]
    if not external_id:
        return
    proof = external_id.lower() if is_object_id(external_id) else None
    for holder in known.live_external_ids.get(external_id.lower(), ()):
        is_nickname = _is_nickname(external_id, draft["user_name"]) and _is_nickname(
            external_id, holder.user_name
        )
        if proof or not is_nickname:
            other = OtherAccount(holder.id, holder.user_name, proof)
            raise UniquenessConflict("externalId", external_id, other)


def _is_nickname(external_id: str, user_name: str) -> bool:
    return user_name.partition("@")[0].casefold() == external_id.casefold()


def _holder(command: CreateUser, before: User) -> dict[str, Any]:
    if command.entra_object_id is None:
        return {}
    return {
        "entra_object_id": command.entra_object_id,
        "directory_id": command.directory_id,
        "holder_basis": HolderBasis.PROOF,
        "holder_seen_at": None,
        "sealed_at": None,
    }


def _new(tx: Transaction, command: CreateUser, draft: dict[str, Any], user_id: UserId) -> User:
    user = User(
        id=user_id,
        tenant_id=tx.tenant_id,
        connection_id=tx.connection_id,
        user_name=draft["user_name"],
        external_id=draft["external_id"],
        entra_object_id=command.entra_object_id,
        directory_id=command.directory_id,
        holder_basis=HolderBasis.PROOF if command.entra_object_id else None,
        active=True,
        document=draft["document"],
        version=1,
        origin=tx.cause.origin,
        created_at=tx.now,
        last_modified=tx.now,
    )
    return user if draft["active"] else deprovisioned(tx, user, None)


def _subject(command: CreateUser) -> LogSubject:
    label = command.document.get("userName")
    return LogSubject(SubjectType.USER, command.id, label if isinstance(label, str) else "")
