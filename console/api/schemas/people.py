"""Schemas of accounts and groups."""

from __future__ import annotations

from datetime import datetime

from console.api.contract import AnswerModel, RequestModel
from console.api.schemas.common import LogEntryAnswer, PageAnswer


class HolderAnswer(AnswerModel):
    """The person that an account stands for."""

    directory_id: str | None
    number: int
    basis: str | None
    seen_at: datetime | None
    sealed_at: datetime | None


class UserAnswer(AnswerModel):
    """An account."""

    id: str
    connection_id: str
    user_name: str
    display_name: str | None
    external_id: str | None
    entra_object_id: str | None
    holder: HolderAnswer
    state: str
    protected: bool
    admin: bool
    origin: str
    created_at: datetime
    last_modified: datetime
    deprovisioned_at: datetime | None
    deprovision_reason: str | None
    deleted_at: datetime | None


class UserPage(PageAnswer[UserAnswer]):
    """Accounts, in the order in which they came."""


class GroupNameAnswer(AnswerModel):
    """A group, named."""

    id: str
    display_name: str


class UserDetailsAnswer(UserAnswer):
    """An account with its groups, live sessions and latest changes."""

    groups: list[GroupNameAnswer]
    sessions: int
    changes: list[LogEntryAnswer]


class MarksBody(RequestModel):
    """The marks that guard an account; what is left out stays."""

    protected: bool | None = None
    admin: bool | None = None


class GroupAnswer(AnswerModel):
    """A group."""

    id: str
    connection_id: str
    display_name: str
    external_id: str | None
    entra_object_id: str | None
    origin: str
    members: int
    created_at: datetime
    last_modified: datetime


class GroupPage(PageAnswer[GroupAnswer]):
    """Groups, in the order in which they came."""


class MemberAnswer(AnswerModel):
    """A direct member of a group."""

    id: str
    user_name: str
    state: str


class GroupDetailsAnswer(GroupAnswer):
    """A group with its direct members."""

    users: list[MemberAnswer]
    groups: list[GroupNameAnswer]
