"""Run the demo from start to end, and report whether every claim was proven."""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from console.demo import scenario
from console.demo.environment import set_up
from console.demo.narration import Narrator


def run_demo(*, keep: bool, as_json: bool) -> bool:
    """Run and print the demo; return whether every claim was proven."""
    # However it ends, its processes end with it. A shell starts background commands
    # with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    narrator = Narrator(as_json=as_json)
    narrator.opening()
    narrator.doing("Starting the simulated tenant and the server")
    with (
        narrator,
        tempfile.TemporaryDirectory(prefix="leaver-demo-") as name,
        set_up(Path(name)) as environment,
    ):
        result = scenario.run_scenario(environment, narrator)
        result["duration_s"] = round(time.monotonic() - started, 1)
        if keep:
            result["kept"] = environment.addresses
        narrator.verdict(result)
        if keep:
            narrator.kept(environment)
            with suppress(KeyboardInterrupt):
                signal.pause()
    return bool(result["ok"])
