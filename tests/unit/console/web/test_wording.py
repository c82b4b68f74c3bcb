"""How values are written on a page: times of the viewer, shares, attributes of extensions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from console.web.pages.logs import differences, others
from console.web.rendering import environment
from console.web.wording.explanations import changed, decisive, shown_path
from console.web.wording.words import actor, share
from store.records import AuditEntry, JsonValue, LogStatus, Step, TenantId

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def written(template: str, zone: str = "Europe/Berlin", **values: object) -> str:
    """Render a text as a page does."""
    return environment().from_string(template).render(now=NOW, zone=ZoneInfo(zone), **values)


def test_a_time_within_a_sentence_is_the_viewers() -> None:
    """console.md T6: the server writes the viewer's zone; the exact UTC stands in the title."""
    text = "Paused since 2026-11-27 23:30:00Z: moved at 2026-11-28 05:00:00Z."
    shown = written("{{ text | sentence }}", text=text)
    assert ">28 Nov 00:30</time>" in shown
    assert 'title="2026-11-28 05:00:00 UTC">28 Nov 06:00</time>' in shown
    assert ">28 Nov 05:00 UTC</time>" in written("{{ text | sentence }}", "UTC", text=text)


def test_a_sentence_from_entra_stays_text() -> None:
    assert "&lt;b&gt;" in written("{{ text | sentence }}", text="<b>x</b> 2026-11-28 05:00:00Z")


@pytest.mark.parametrize(("percent", "text"), [(10, "10 %"), (17.6, "17.6 %"), (0.04, "0 %")])
def test_a_share_has_a_digit_behind_the_point_only_where_it_says_something(percent: float, text: str) -> None:
    assert share(percent) == text


def test_an_attribute_of_an_extension_is_named_without_its_urn() -> None:
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    assert shown_path(f"{urn}:department") == "department"
    assert shown_path(f"{urn}:manager.value") == "manager.value"
    assert shown_path('emails[type eq "work"].value') == 'emails[type eq "work"].value'


def test_the_audit_shows_what_changed_and_not_what_a_form_sent_besides() -> None:
    values: dict[str, JsonValue] = {"ceiling_count": 100, "brake_push": True, "what": "x"}
    detail: dict[str, JsonValue] = {
        "before": {**values},
        "after": {**values, "brake_push": False},
        "what": ["brake_push"],
    }
    entry = AuditEntry(1, NOW, TenantId("t"), None, "web:olga", "connection.changed", "id", "entra", detail)
    assert differences(entry) == [("brake_push", "yes", "no")]
    assert others(entry) == ""


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("web:olga", "olga (console)"),
        ("cli:ada", "ada (command line)"),
        ("web:user 01a22435-67de-779b-9f0a-3fa5f7e24407", "admin f7e24407 (console)"),
        ("worker", "worker"),
        ("user 01a22435-67de-779b-9f0a-3fa5f7e24407", "admin f7e24407"),
        (None, ""),
    ],
)
def test_an_actor_is_named_as_people_name_it(label: str | None, shown: str) -> None:
    assert actor(label) == shown


def test_what_is_late_waits_for_a_worker() -> None:
    """No page says that something comes "1 min ago"."""
    assert written("{{ at | due }}", at=NOW - timedelta(minutes=1)) == "as soon as a worker is free"
    assert "in 5 min" in written("{{ at | due }}", at=NOW + timedelta(minutes=5))


def test_the_first_step_that_failed_says_why_and_none_that_was_not_reached() -> None:
    found = Step("find", LogStatus.FAILURE, "Nobody goes by that name.")
    behind = Step("perform", LogStatus.SKIPPED, "Not reached.")
    assert decisive([found, behind]) == found
    assert decisive([Step("find", LogStatus.SUCCESS, "Found."), behind]) == behind
    assert decisive([]) is None


def test_a_log_entry_names_an_attribute_once() -> None:
    assert changed([{"attribute": "members"}] * 8) == "members × 8"
    assert changed([{"attribute": each} for each in "abcd"]) == "a, b and 2 more"
