"""Keep values that differ from the mapping's and are not the pull's to write.

A name is overwritten only where the account holds the last one that both sides agreed
on; an attribute that does not fit on most accounts is not written at all until a person
says so (identity.md, "The mapping is a fact of the connection").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from store.records import DriftKind, GraphId, JsonValue, SubjectType, User
from worker.reconcile.plan import Finding, Subject
from worker.reconcile.plan_context import PlanContext, user_subject

RELEASED = "@released.invalid"
"""The ending of userNames that accounts have after they gave up their own."""


@dataclass(slots=True)
class KeptValues:
    """What was not written, collected while rows are compared."""

    rows: set[str] = field(default_factory=set)
    of_attribute: Counter[str] = field(default_factory=Counter)
    of_row: list[Finding] = field(default_factory=list)
    agreed_names: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """userName and externalId of rows in which both sides agree, where that is not
    noted yet.
    """

    def take_out(
        self,
        context: PlanContext,
        row: User,
        graph_id: GraphId,
        before: dict[str, JsonValue],
        after: dict[str, JsonValue],
        *,
        names_agree: bool,
    ) -> str:
        """Take out of the differences of a row what is not to be written.

        Return what is to be told with the rest of them, if there is a rest: a person
        has one finding of a kind. `names_agree`: the row is linked by this plan, which
        notes its names as agreed.
        """
        held = (row.user_name, row.external_id)
        if not {"userName", "externalId"} & after.keys() and held != (
            row.agreed_user_name,
            row.agreed_external_id,
        ):
            self.agreed_names[row.id] = held
        not_agreed: dict[str, JsonValue] = {}
        for path in list(after):
            if not _fits(context, row, path):
                self.of_attribute[path] += 1
            elif not names_agree and not _is_agreed(path, row):
                not_agreed[path] = after[path]
            else:
                continue
            self.rows.add(row.id)
            del before[path], after[path]
        detail = _not_agreed(not_agreed) if not_agreed else ""
        if detail and not after:
            self.of_row.append(Finding(DriftKind.ATTRIBUTE_MISMATCH, user_subject(row, graph_id), detail))
        return detail

    def findings(self, context: PlanContext) -> Iterator[Finding]:
        """Yield one finding for each attribute that does not fit, and one for each
        name that another job wrote.
        """
        said = context.mapping_verdict.sentences
        for path, number in sorted(self.of_attribute.items()):
            why = next((sentence for sentence in said if sentence.startswith(f"{path} ")), "")
            detail = f"{number} accounts hold another {path} than the mapping gives; none is rewritten. {why}"
            subject = Subject(SubjectType.USER, None, f"mapping:{path}", path)
            yield Finding(DriftKind.MAPPING_MISMATCH, subject, detail.strip())
        yield from self.of_row


def may_overwrite(context: PlanContext, row: User, path: str) -> bool:
    """Return whether the pull may write an attribute of this account."""
    return _fits(context, row, path) and _is_agreed(path, row)


def _fits(context: PlanContext, row: User, path: str) -> bool:
    """Return whether the account may hold what the mapping gives.

    The mapping check says nothing about an account that the push neither wrote nor
    found.
    """
    was_pushed = row.push_wrote_at is not None or row.push_found_at is not None
    return not was_pushed or context.may_write(path)


def _is_agreed(path: str, row: User) -> bool:
    if path == "userName":
        return row.user_name == row.agreed_user_name or row.user_name.endswith(RELEASED)
    if path == "externalId":
        return row.external_id == row.agreed_external_id or row.user_name.endswith(RELEASED)
    return True


def _not_agreed(wanted: Mapping[str, JsonValue]) -> str:
    """Return what is told of a row, also where both its names differ."""
    values = " and ".join(map(str, wanted.values()))
    if len(wanted) == 1:
        return (
            f"{next(iter(wanted))} is not the last value that both sides agreed on, and the mapping gives {values}: "
            "it is left as it is, for another provisioning job may have written it"
        )
    return (
        f"{' and '.join(wanted)} are not the last values that both sides agreed on, and the mapping gives "
        f"{values}: they are left as they are, for another provisioning job may have written them"
    )
