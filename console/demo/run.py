"""`leaver demo`: sets the stage, plays the acts, says what came of it."""

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
    """Plays the demo and prints it; gives whether every claim was proven."""
    # However it ends, its processes end with it; a shell starts background commands with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    teller = Narrator(as_json=as_json)
    teller.opening()
    teller.doing("Starting the simulated tenant and the server")
    with teller, tempfile.TemporaryDirectory(prefix="leaver-demo-") as name, set_up(Path(name)) as stage:
        result = scenario.run_scenario(stage, teller)
        result["duration_s"] = round(time.monotonic() - started, 1)
        if keep:
            result["kept"] = stage.addresses
        teller.verdict(result)
        if keep:
            teller.kept(stage)
            with suppress(KeyboardInterrupt):
                signal.pause()
    return bool(result["ok"])
