"""The policy of a connection as options, and scoping filters as people write them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.options import FLAG, takes_options
from console.errors import WrongUse
from store.records import MembershipMode, Scope, ScopingClause
from store.records.connections import LIMITS, Limit

if TYPE_CHECKING:
    from console.admin.connections.policy import PolicyChanges

WHO, LIMITS_OF_REMOVALS, READING = "Who counts", "How much may be removed at once", "How it works"
FILTERS_FORM = '[["department EQUALS Sales", "country EQUALS DE"], ["jobTitle IS NULL"]]'


def _range(setting: str) -> str:
    limit: Limit = LIMITS[setting]
    return f"{limit.least} to {limit.most}."


IntervalMinutes = Annotated[
    int | None,
    typer.Option(
        help="Minutes between two cycles, 1 to 10080; default 5. Entra pushes every 20 to 40.",
        rich_help_panel=READING,
    ),
]


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """The options that change a connection's policy; None if not given."""

    scope: Annotated[
        Scope | None,
        typer.Option(help="People assigned to the application, or everybody.", rich_help_panel=WHO),
    ] = None
    membership: Annotated[
        MembershipMode | None,
        typer.Option(
            help="Direct members of assigned groups, as Entra provisions; or nested ones too.",
            rich_help_panel=WHO,
        ),
    ] = None
    filter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'ATTRIBUTE OPERATOR VALUE'",
            help="Only people like this, for example 'department EQUALS Sales'. Given several times: all must hold.",
            rich_help_panel=WHO,
        ),
    ] = None
    filters_file: Annotated[
        Path | None,
        typer.Option(
            help=f"A JSON file with groups of filters, of which one must hold: {FILTERS_FORM}.",
            rich_help_panel=WHO,
        ),
    ] = None
    no_filters: Annotated[
        bool, typer.Option("--no-filters", metavar=FLAG, help="Take all filters away.", rich_help_panel=WHO)
    ] = False
    ceiling_floor: Annotated[
        int | None,
        typer.Option(
            help=f"So many removals are never held. {_range('ceiling_floor')}",
            rich_help_panel=LIMITS_OF_REMOVALS,
        ),
    ] = None
    ceiling_percent: Annotated[
        float | None,
        typer.Option(
            help=f"A larger share of a kind is held. {_range('ceiling_percent')}",
            rich_help_panel=LIMITS_OF_REMOVALS,
        ),
    ] = None
    ceiling_count: Annotated[
        int | None,
        typer.Option(
            help=f"More of a kind are held. {_range('ceiling_count')}", rich_help_panel=LIMITS_OF_REMOVALS
        ),
    ] = None
    held_days: Annotated[
        int | None,
        typer.Option(
            help=f"Days a held plan waits for a decision. {_range('held_plan_days')}",
            rich_help_panel=LIMITS_OF_REMOVALS,
        ),
    ] = None
    evidence_max_age_s: Annotated[
        int | None,
        typer.Option(
            help=f"Seconds: older evidence is taken again before a removal. {_range('evidence_max_age_s')}",
            rich_help_panel=LIMITS_OF_REMOVALS,
        ),
    ] = None
    full_every_hours: Annotated[
        int | None,
        typer.Option(
            help=f"Hours until everything is read anew. {_range('full_every_hours')}", rich_help_panel=READING
        ),
    ] = None
    deprovision_local_accounts: Annotated[
        bool | None,
        typer.Option(
            "--deprovision-local-accounts/--keep-local-accounts",
            help="What becomes of accounts that Entra never had.",
            rich_help_panel=READING,
        ),
    ] = None
    clear_emptied_attributes: Annotated[
        bool | None,
        typer.Option(
            "--clear-emptied-attributes/--keep-emptied-attributes",
            help="What becomes of a value that was emptied in Entra (its push sends no empty ones).",
            rich_help_panel=READING,
        ),
    ] = None

    protect_from_push: Annotated[
        bool | None,
        typer.Option(
            "--protect-from-push/--no-protect-from-push",
            help="Whether protected, admin and local accounts keep their access when Entra's push ends it. "
            "The last admin always does.",
            rich_help_panel=LIMITS_OF_REMOVALS,
        ),
    ] = None
    brake_push: Annotated[
        bool | None,
        typer.Option(
            "--brake-push/--no-brake-push",
            help="Whether the limits hold for removals by push within 10 minutes too.",
            rich_help_panel=LIMITS_OF_REMOVALS,
        ),
    ] = None

    def changes(self) -> PolicyChanges:
        """Return the changes as the use case takes them. Raises `WrongUse`."""
        from console.admin.connections.policy import PolicyChanges

        return PolicyChanges(
            scope=self.scope,
            membership=self.membership,
            scoping_filters=self._filters(),
            ceiling_floor=self.ceiling_floor,
            ceiling_percent=self.ceiling_percent,
            ceiling_count=self.ceiling_count,
            held_plan_days=self.held_days,
            full_every_hours=self.full_every_hours,
            evidence_max_age_s=self.evidence_max_age_s,
            deprovision_local_accounts=self.deprovision_local_accounts,
            clear_emptied_attributes=self.clear_emptied_attributes,
            protect_from_push=self.protect_from_push,
            brake_push=self.brake_push,
        )

    def _filters(self) -> tuple[tuple[ScopingClause, ...], ...] | None:
        given = [
            name
            for name, value in (
                ("--filter", self.filter),
                ("--filters-file", self.filters_file),
                ("--no-filters", self.no_filters),
            )
            if value
        ]
        if len(given) > 1:
            raise WrongUse(
                " and ".join(given) + " together", "filters are replaced as a whole", "Give one of them"
            )
        if self.no_filters:
            return ()
        if self.filters_file is not None:
            return _from_file(self.filters_file)
        return (tuple(_clause(text, "--filter") for text in self.filter),) if self.filter else None


takes_policy = takes_options("policy", PolicyOptions)
"""Give a command the policy's options in place of its parameter `policy`."""


def _clause(text: str, option: str) -> ScopingClause:
    from worker.reconcile.mapping.attribute_paths import PolicyError
    from worker.reconcile.mapping.scoping_filters import parse_clause

    try:
        return parse_clause(text)
    except PolicyError as error:
        raise WrongUse(f"{option} {text!r}", str(error), "Nothing was changed") from None


def _from_file(file: Path) -> tuple[tuple[ScopingClause, ...], ...]:
    try:
        groups: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        why = f"the file cannot be read ({error.strerror})"
        raise WrongUse(f"--filters-file {file}", why, "Check path and permissions") from None
    except ValueError as error:  # not UTF-8, or not JSON
        raise WrongUse(
            f"--filters-file {file}", f"this is not JSON ({error})", f"Wanted is {FILTERS_FORM}"
        ) from None
    is_groups = isinstance(groups, list) and all(
        isinstance(group, list) and all(isinstance(clause, str) for clause in group) for group in groups
    )
    if not is_groups:
        raise WrongUse(
            f"--filters-file {file}", "wanted are lists of filters in a list", f"For example {FILTERS_FORM}"
        )
    return tuple(tuple(_clause(text, f"--filters-file {file}") for text in group) for group in groups)
