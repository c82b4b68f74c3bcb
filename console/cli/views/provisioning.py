"""On-demand provisioning as text: one subject with its steps, or a list in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from console import errors
from console.cli.output import View
from console.documents import reports as documents
from console.rendering import reports as rendering
from console.rendering import text
from store.records import LogStatus
from worker.on_demand.report import EntraResult, OnDemandReport, OnDemandResult

MOST_WITH_STEPS = 5
"""Of a longer list every subject gets one line; its steps are in `--json`."""

_LOOK_CLOSER = "The step says why; `leaver drift show CONNECTION` and `leaver log CONNECTION` look closer."


def provisioned(report: OnDemandReport) -> View:
    """Show the report of `leaver provision` for one subject (design.md §6)."""
    document = documents.provisioning_report(report)
    return View(document, lambda: rendering.provisioned_subject(document))


def listed(reports: Sequence[OnDemandReport], *, repeated: int = 0) -> View:
    """Show the reports of a list; `repeated` counts subjects that were named again."""
    return View(documents.provisioning_reports(reports), lambda: Group(*_list(reports, repeated)))


def failure(reports: Sequence[OnDemandReport]) -> str | None:
    """Return the one line of a run that failed; None for every other."""
    failed = [report for report in reports if _has_failed(report)]
    if not failed:
        return None
    if len(reports) > 1:
        more = "What failed is listed with its reason" if len(failed) < len(reports) else _why(failed[0])
        return errors.one_line(f"{len(failed)} of {len(reports)} subjects failed. {more}")
    is_ours = failed[0].result is OnDemandResult.FAILED
    what = "nothing was provisioned" if is_ours else "Entra did not do it"
    return errors.one_line(f"{what}: {_why(failed[0])}")


def exit_code(reports: Sequence[OnDemandReport]) -> int:
    """Return 1 if a subject failed, 3 if a difference was left as it is, else 0."""
    if any(map(_has_failed, reports)):
        return errors.FAILED
    return errors.ATTENTION if any(map(_remains, reports)) else errors.DONE


def _has_failed(report: OnDemandReport) -> bool:
    entra = report.entra
    return report.result is OnDemandResult.FAILED or (
        entra is not None and entra.result is EntraResult.FAILED
    )


def _remains(report: OnDemandReport) -> bool:
    """Return whether a difference remains; of a dry run nothing else was expected."""
    if report.would:
        return False
    undone = any(step.status is LogStatus.WARNING for step in report.steps[3:])
    return report.result is OnDemandResult.SKIPPED or undone


def _why(report: OnDemandReport) -> str:
    """Return why a subject failed, and what to do."""
    if report.entra and report.result is not OnDemandResult.FAILED:
        why, remedy = report.entra.detail, report.entra.remedy or ""
    else:
        steps = [step for step in report.steps if step.status is LogStatus.FAILURE]
        why = report.error or (steps[0].detail if steps else "a step failed.")
        remedy = report.remedy or ("" if report.error else _LOOK_CLOSER)
    return errors.one_line(f"{errors.one_line(why)} {'' if remedy in why else remedy}")


def _list(reports: Sequence[OnDemandReport], repeated: int) -> Iterator[RenderableType]:
    if len(reports) <= MOST_WITH_STEPS:
        for report in reports:
            yield rendering.provisioned_subject(documents.provisioning_report(report))
            yield ""
    else:
        yield text.table("subject", "result", "why", rows=map(_row, reports))
    yield _summary(reports, repeated)
    for report in filter(_has_failed, reports):
        yield Text.assemble(("  ✗ ", text.BAD), f"{report.subject}: {_why(report)}")


def _row(report: OnDemandReport) -> Sequence[Text | str]:
    word = rendering.result_word(documents.provisioning_report(report))
    return _named(report), word, _reason(report)


def _named(report: OnDemandReport) -> str:
    """Return the requested subject, after its name in Entra where they differ."""
    found = report.steps[0].data
    name = str(found.get("userPrincipalName") or found.get("displayName") or "")
    is_same = name.casefold() in ("", report.subject.casefold())
    return report.subject if is_same else f"{name} ({report.subject})"


def _reason(report: OnDemandReport) -> str:
    """Return the detail of the step that decided."""
    bad = [step for step in report.steps if step.status in (LogStatus.FAILURE, LogStatus.WARNING)]
    return (bad[-1] if bad else next(step for step in report.steps if step.name == "scope")).detail


def _summary(reports: Sequence[OnDemandReport], repeated: int) -> Text:
    """Return the counts.

    A dry run's `skipped` is counted as what it would have been.
    """
    would = Counter(report.would for report in reports if report.would)
    results = Counter(report.result for report in reports)
    results[OnDemandResult.SKIPPED] -= would.total()
    parts = [f"{would[result]} would be {result}" for result in OnDemandResult if would[result]]
    parts += [f"{results[result]} {result}" for result in OnDemandResult if results[result]]
    again = f" ({repeated} named more than once)" if repeated else ""
    return Text(f"{len(reports)} subjects{again}: {', '.join(parts)}.", style="bold")
