"""The simulator as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys


def start(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start a simulator; give the process and what it says when ready."""
    command = [sys.executable, "-m", "simulator", "--users", "12", "--groups", "3", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    return process, json.loads(line) if line else {}


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    return process.returncode
