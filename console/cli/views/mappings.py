"""The attribute mapping of a connection as text, and the verdicts on it."""

from __future__ import annotations

import shlex

from rich.console import Group, RenderableType
from rich.text import Text

from console.admin.connections.mapping import ImportedMapping, MappingDetails
from console.admin.connections.mapping_check import CheckedMapping
from console.cli.output import View
from console.documents import mappings as documents
from console.documents.values import plural, utc_text
from console.errors import ATTENTION, DONE
from console.rendering import text
from worker.reconcile.mapping.fit import NAMES, AttributeFit, Fit

ORIGINS = {
    "default": "Entra's default for a non-gallery application",
    "imported": "read from Entra's provisioning job",
    "set": "set by a person",
}


def shown(details: MappingDetails) -> View:
    """Show the mapping in use and where it comes from."""
    document = documents.mapping(
        details.connection, details.current, details.lines, details.versions, details.ended_plans
    )
    return View(document, lambda: _card(details))


def _card(details: MappingDetails) -> RenderableType:
    current = details.current
    by = f", {current.by}, {utc_text(current.at)}" if current.by else ""
    is_confirmed = details.connection.policy.mapping_confirmed
    ended = plural(details.ended_plans, "plan that waited", "plans that waited")
    told = [("Ended", f"{ended}: the next cycle holds what is still due")] if details.ended_plans else []
    return Group(
        text.facts(
            [
                ("Mapping", f"version {current.version}: {ORIGINS[current.origin]}{by}"),
                ("Fits", "a person said so" if is_confirmed else "as the check says"),
                *told,
            ]
        ),
        text.table("Attribute here", "From Entra", rows=list(details.lines.items())),
    )


def imported(found: ImportedMapping) -> View:
    """Show the mapping that was read from Entra, and what of it was left out."""
    details = found.details
    document = documents.mapping(
        details.connection, details.current, details.lines, details.versions, details.ended_plans
    )
    document["left_out"] = dict(found.left_out)
    document["other_jobs"] = found.other_jobs
    lines = [f"Left out: {path}: {why}" for path, why in found.left_out.items()]
    if found.other_jobs:
        lines.append(f"The application has {found.other_jobs} more jobs, whose mapping may differ.")
    return View(document, lambda: Group(_card(details), *(Text(line, style=text.CARE) for line in lines)))


def checked(found: CheckedMapping) -> View:
    """Show a verdict on each attribute, and the command that takes a suggestion."""
    fit, connection = found.fit, found.connection
    reference = connection.id

    def lines() -> RenderableType:
        return Group(
            fit.sentence,
            *(Text(line.sentence, style=_style(line)) for line in fit.attributes),
            *(f"  {command}" for command in _commands(reference, fit.attributes)),
            *([_what_to_say(reference)] if exit_code(found) != DONE else []),
        )

    return View(documents.check(connection, fit), lines)


def _style(line: AttributeFit) -> str:
    if line.verdict is Fit.FITS:
        return text.GOOD
    return text.BAD if line.path in NAMES else text.CARE


def _commands(reference: str, lines: tuple[AttributeFit, ...]) -> list[str]:
    """Return the one command that takes all suggestions; none where there is none."""
    pairs = [
        f"--set {shlex.quote(f'{line.path}={line.suggestion.source}')}" for line in lines if line.suggestion
    ]
    return [f"leaver connection mapping set {reference} {' '.join(pairs)}"] if pairs else []


def _what_to_say(reference: str) -> str:
    return (
        "Until userName and externalId fit, no access is taken by names and nothing is rewritten. "
        f"If you know that they fit: leaver connection mapping check {reference} --accept"
    )


def exit_code(found: CheckedMapping) -> int:
    """Return 0 where the names fit or a person said so, else 3."""
    fits = found.fit.names_fit or found.connection.policy.mapping_confirmed
    return DONE if fits else ATTENTION
