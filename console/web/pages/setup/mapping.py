"""Mapping: which Entra attribute fills which SCIM attribute, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping

from console.admin.connections import mapping, mapping_check, mapping_effect, mapping_preview
from console.admin.connections.mapping import MappingChanges, MappingDetails
from console.admin.connections.mapping_check import CheckedMapping
from console.admin.connections.mapping_preview import MappingPreview
from console.admin.errors import UnknownReference
from console.web import refusals
from console.web.refusals import WebRefused
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import LONGEST_NUMBER, Visit
from console.web.wording.words import actor
from store.errors import VersionMoved

routes = WebRoutes()
MAPPING = f"{CONNECTION}/mapping"


@routes.page("mapping", MAPPING, "admin:connection:read")
async def show(visit: Visit) -> WebAnswer:
    """Show the lines in use and the versions before."""
    return _page(await mapping.show(visit.services, visit.actor, visit.connection_id))


@routes.form(
    "mapping.check", f"{MAPPING}/check", "admin:connection:read", calls="connections.mapping_check.check"
)
async def check(visit: Visit) -> WebAnswer:
    """Compare every line with what Entra wrote."""
    checked = await mapping_check.check(visit.services, visit.actor, visit.connection_id)
    details = await mapping.show(visit.services, visit.actor, visit.connection_id)
    return _page(details, checked=checked)


@routes.form(
    "mapping.confirm",
    f"{MAPPING}/confirm",
    "admin:connection:update",
    calls="connections.mapping_check.check",
)
async def confirm(visit: Visit) -> WebAnswer:
    """Note that a person says that the mapping fits."""
    await mapping_check.check(visit.services, visit.actor, visit.connection_id, accept=True)
    return SeeOther(f"{visit.base}/mapping", "mapping-confirmed")


@routes.form(
    "mapping.import",
    f"{MAPPING}/import",
    "admin:connection:update",
    calls="connections.mapping.import_from_entra",
)
async def take_over(visit: Visit) -> WebAnswer:
    """Take over the mapping of Entra's provisioning job."""
    imported = await mapping.import_from_entra(visit.services, visit.actor, visit.connection_id)
    if imported.left_out:
        return _page(imported.details, left_out=imported.left_out)
    return _done(visit, "mapping-imported", imported.details)


@routes.form(
    "mapping.preview",
    f"{MAPPING}/preview",
    "admin:connection:read",
    calls="connections.mapping_preview.preview",
)
async def preview(visit: Visit) -> WebAnswer:
    """Show one person under the lines that were typed."""
    lines = _lines(visit)
    try:
        shown = await mapping_preview.preview(
            visit.services, visit.actor, visit.connection_id, visit.sent("person").strip(), lines
        )
    except UnknownReference:
        raise WebRefused(refusals.NO_SUCH_ACCOUNT) from None
    details = await mapping.show(visit.services, visit.actor, visit.connection_id)
    return _page(details, lines=lines, shown=shown)


@routes.form("mapping.save", MAPPING, "admin:connection:update", calls="connections.mapping.change")
async def save(visit: Visit) -> WebAnswer:
    """Say how many people would change; make a new version when that was read."""
    of = visit.services, visit.actor, visit.connection_id
    lines = _lines(visit)
    if not visit.sent("confirmed"):
        effect = await mapping_effect.mapping_effect(*of, lines)
        if effect is not None:
            values = {"effect": effect, "lines": lines, "version": visit.sent("version")}
            return WebPage("setup/mapping_effect.html", values)
    return await _change(visit, MappingChanges(whole=lines))


@routes.form(
    "mapping.default", f"{MAPPING}/default", "admin:connection:update", calls="connections.mapping.change"
)
async def to_default(visit: Visit) -> WebAnswer:
    """Go back to Entra's default mapping."""
    return await _change(visit, MappingChanges(to_default=True))


async def _change(visit: Visit, changes: MappingChanges) -> SeeOther:
    """Make a new version of the one that the form showed."""

    of = visit.services, visit.actor, visit.connection_id
    version = visit.sent("version")
    if not (version.isascii() and version.isdecimal() and len(version) <= LONGEST_NUMBER):
        raise WebRefused(refusals.UNREADABLE)
    try:
        details = await mapping.change(*of, changes, version=int(version))
    except VersionMoved:
        now = (await mapping.show(*of)).current
        said = f"{actor(now.by)} made version {now.version} meanwhile. Nothing was saved."
        raise WebRefused(refusals.stale(said)) from None
    return _done(visit, "mapping-saved", details)


def _done(visit: Visit, notice: str, details: MappingDetails) -> SeeOther:
    """Show the mapping in use, and say whether plans that waited were ended."""
    return SeeOther(f"{visit.base}/mapping", f"{notice}-plans-ended" if details.ended_plans else notice)


def _lines(visit: Visit) -> Mapping[str, str]:
    """Return the lines of the form; one whose source was emptied is taken away."""
    pairs = zip(visit.all_sent("path"), visit.all_sent("source"), strict=False)
    return {path.strip(): source.strip() for path, source in pairs if path.strip() and source.strip()}


def _page(
    details: MappingDetails,
    *,
    checked: CheckedMapping | None = None,
    lines: Mapping[str, str] | None = None,
    shown: MappingPreview | None = None,
    left_out: Mapping[str, str] | None = None,
) -> WebPage:
    fits = {} if checked is None else {each.path: each for each in checked.fit.attributes}
    values = {
        "details": details,
        "lines": details.lines if lines is None else lines,
        "checked": checked,
        "fits": fits,
        "has_suggestion": any(each.suggestion is not None for each in fits.values()),
        "shown": shown,
        "person": "" if shown is None else shown.user.user_name,
        "left_out": left_out or {},
    }
    return WebPage("setup/mapping.html", values)
