"""A setting that nothing reads is a promise that nobody keeps."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from config.settings import Settings
from scim.limits import ScimLimits

ROOT = Path(__file__).parents[3]


def _code(*rooms: str) -> str:
    return "\n".join(
        module.read_text()
        for room in rooms
        for module in (ROOT / room).rglob("*.py")
        if module != ROOT / "config" / "settings.py"
    )


def test_each_setting_is_read_somewhere() -> None:
    """first-days: "a test that each setting has an effect"."""
    limits = {f"scim_{field.name}" for field in fields(ScimLimits)}
    code = _code("config", "store", "scim", "worker", "console")
    rest = Settings.model_fields.keys() - limits - {"public_url", "host", "port"}
    unread = [name for name in rest if not re.search(rf"\.{name}\b", code)]
    assert sorted(unread) == []


def test_each_limit_of_the_push_is_read_beside_its_declaration() -> None:
    """`console.server.app.limits_of` copies them all, read or not."""
    code = _code("scim")
    assert [
        field.name for field in fields(ScimLimits) if len(re.findall(rf"\b{field.name}\b", code)) < 2
    ] == []
