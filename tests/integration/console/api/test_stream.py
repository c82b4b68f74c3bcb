"""A run is watched as a stream of server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from console.admin import runs
from console.admin.runs import RequestedRun
from tests.builders.api_client import ApiDesk
from worker.jobs.queue import JobKind, JobState


async def test_a_stream_tells_each_step_and_ends_with_the_report(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 11: "202 with a place to watch and a stream of server-sent events"."""
    states: Iterator[RequestedRun] = iter(
        [
            RequestedRun("cycle.1", JobKind.CYCLE, JobState.QUEUED),
            RequestedRun("cycle.1", JobKind.CYCLE, JobState.QUEUED),
            RequestedRun("cycle.1", JobKind.CYCLE, JobState.RUNNING),
            RequestedRun("cycle.1", JobKind.CYCLE, JobState.DONE, {"report": {"status": "applied"}}),
        ]
    )

    async def show(*_arguments: object) -> RequestedRun:
        return next(states)

    monkeypatch.setattr(runs, "show", show)
    monkeypatch.setattr("console.api.stream.LOOK_EVERY_S", 0.01)
    path = f"/connections/{desk.connection.id}/runs/cycle.1"
    answer = await desk.contoso.send("GET", path, headers={"Accept": "text/event-stream"})
    assert answer.headers["Content-Type"] == "text/event-stream"
    told = [
        dict(line.split(": ", 1) for line in part.split("\n")) for part in answer.text.strip().split("\n\n")
    ]
    assert [each["event"] for each in told] == ["progress", "progress", "end"]
    assert [json.loads(each["data"])["state"] for each in told] == ["queued", "running", "done"]
    assert [each["id"] for each in told] == ["1", "2", "3"]


async def test_a_stream_of_another_tenants_run_is_404(desk: ApiDesk) -> None:
    path = f"/connections/{desk.connection.id}/runs/cycle.1"
    answer = await desk.fabrikam.send("GET", path, headers={"Accept": "text/event-stream"})
    assert (answer.status, answer.problem) == (404, "not-found")
