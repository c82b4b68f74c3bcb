"""How values are written on a page: names from Entra, times, numbers, states."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from config.visible_text import visible, visible_value
from store.keys import utc_now

LONGEST_NAME = 80
_UTC_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ)")
"""As `console.documents.values.utc_text` writes it."""
DAY_S = 86_400

TONES = {
    **dict.fromkeys(
        ("active", "success", "applied", "repaired", "approved", "live", "ok", "created", "enabled"), "good"
    ),
    **dict.fromkeys(("failure", "failed", "deleted", "quarantined", "expired", "refused"), "bad"),
    **dict.fromkeys(
        ("warning", "held", "open", "incomplete", "paused", "waits", "sealed", "suspended"),
        "care",
    ),
}
"""The colour of a state; the word always stands beside it."""


def name(text: object, longest: int = LONGEST_NAME) -> Markup:
    """Return a text from Entra: isolated from the direction of the page, without a
    hidden character, cut where it is very long.
    """
    whole = visible("" if text is None else str(text))
    if len(whole) <= longest:
        return Markup("<bdi>{}</bdi>").format(whole)
    return Markup('<bdi title="{}">{}…</bdi>').format(whole[:1_000], whole[: longest - 1])


def number(value: float | None) -> str:
    """Return a number with separators; a dash where none is known."""
    return "–" if value is None else f"{value:,}"


def share(percent: float) -> str:
    """Return a percentage: `10 %`, `17.6 %`."""
    return f"{percent:.1f}".removesuffix(".0") + " %"


def duration(seconds: float | None) -> str:
    """Return a duration in the two largest units."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part_size, part in ((DAY_S, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part_size
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


@pass_context
def moment(context: Context, at: datetime | None, empty: str = "never") -> Markup:
    """Return a time: how long ago within a day, else the date, in the viewer's zone;
    exact in UTC on hover.
    """
    if at is None:
        return escape(empty)
    now = context.get("now") or utc_now()
    return _time(at, _told(at, now, context["zone"]))


@pass_context
def clock(context: Context, at: datetime | None, empty: str = "never") -> Markup:
    """Return the exact time in the viewer's zone."""
    if at is None:
        return escape(empty)
    zone: ZoneInfo = context["zone"]
    return _time(at, f"{at.astimezone(zone):%d %b %Y %H:%M:%S}{_utc(zone)}".lstrip("0"))


@pass_context
def due(context: Context, at: datetime | None) -> Markup:
    """Return when something is due: what is late waits for a worker."""
    is_late = at is None or at <= (context.get("now") or utc_now())
    return escape("as soon as a worker is free") if is_late else moment(context, at)


@pass_context
def dated(context: Context, at: datetime) -> Markup:
    """Return day and time in the viewer's zone, for `since …` and `until …`."""
    return _time(at, _day(at, context.get("now") or utc_now(), context["zone"]))


@pass_context
def sentence(context: Context, text: str, longest: int = 300) -> Markup:
    """Return a sentence of ours that holds times in UTC, with the viewer's times."""
    parts = _UTC_TIME.split(text[:longest])
    told = [
        name(part, longest) if number % 2 == 0 else dated(context, datetime.fromisoformat(part))
        for number, part in enumerate(parts)
        if part
    ]
    return Markup("").join(told)


def _time(at: datetime, text: str) -> Markup:
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        exact.strftime("%Y-%m-%dT%H:%M:%SZ"), exact.strftime("%Y-%m-%d %H:%M:%S"), text
    )


def _told(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    past_s = (now - at).total_seconds()
    if abs(past_s) < DAY_S:
        return ago(past_s)
    return _day(at, now, zone)


def _day(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    there = at.astimezone(zone)
    year = "" if there.year == now.astimezone(zone).year else f" {there.year}"
    return f"{there.day} {there:%b}{year} {there:%H:%M}{_utc(zone)}"


def ago(past_s: float) -> str:
    """Return how long ago, or in how long, in one unit."""
    size = abs(past_s)
    if size < 45:
        return "just now" if past_s >= 0 else "in a moment"
    told = f"{max(1, round(size / 60))} min" if size < 5400 else f"{round(size / 3600)} h"
    return f"{told} ago" if past_s > 0 else f"in {told}"


def _utc(zone: ZoneInfo) -> str:
    return " UTC" if zone.key == "UTC" else ""


STEP_NAMES = {
    "find": "1. Find in Entra",
    "scope": "2. Is in scope",
    "match": "3. Match here",
    "evaluate": "4. Evaluate",
    "perform": "5. Perform",
}
"""The five steps of *Provision on demand*."""


FACES = {"web": "console", "cli": "command line", "api": "API"}
_USER = re.compile(r"user [0-9a-f-]{36}")


def actor(label: str | None) -> str:
    """Return an actor of the logs as people read it: `web:olga` is olga, console."""
    if _USER.fullmatch(label or ""):
        return f"admin {(label or '')[-8:]}"
    face, colon, who = (label or "").partition(":")
    if not colon or face not in FACES:
        return label or ""
    known = f"admin {who[-8:]}" if _USER.fullmatch(who) else who
    return f"{known} ({FACES[face]})"


def shown_json(value: object, indent: int | None = 2) -> str:
    """Return a JSON value to read, with every hidden character visible."""
    return json.dumps(visible_value(value), indent=indent, ensure_ascii=False, default=str)[:20_000]


def tone(state: object) -> str:
    """Return the tone of a state: good, bad, care or calm."""
    return TONES.get(str(state), "calm")


def words(value: object) -> str:
    """Return a word of ours as people read it: `missed_deprovision` with spaces."""
    return str(value).replace("_", " ")
