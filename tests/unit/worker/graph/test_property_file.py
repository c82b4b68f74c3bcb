"""What Graph said of each user is read back as it came, from memory or from the file."""

from __future__ import annotations

import os

import pytest

from worker.graph import property_file
from worker.graph.property_file import PropertyFile

CONTENTS = [f'{{"id":"{number}","displayName":"é{number}"}}'.encode() for number in range(50)]


def test_bytes_come_back_whether_they_were_written_already_or_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some lie in the file, the last ones still in memory."""
    monkeypatch.setattr(property_file, "IN_MEMORY", 200)
    file = PropertyFile()
    places = [file.keep(content) for content in CONTENTS]
    assert [file.read(place) for place in places] == CONTENTS


def test_a_full_disk_costs_memory_and_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file saves memory; a cycle must not fail for want of it."""
    monkeypatch.setattr(property_file, "IN_MEMORY", 200)
    file = PropertyFile()
    places = [file.keep(content) for content in CONTENTS[:20]]

    def full(_file: int, _content: memoryview, _offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    places += [file.keep(content) for content in CONTENTS[20:]]
    assert [file.read(place) for place in places] == CONTENTS
