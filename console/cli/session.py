"""One command at a shell: the services it is given, and the person who typed it."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable
from typing import TypeVar

from config.logging import configure_logging
from config.settings import LogLevel, Settings, load_settings
from console.admin.actor import Actor, ActorKind
from console.admin.services import Services, open_services

T = TypeVar("T")


def run(work: Callable[[Services, Actor], Awaitable[T]]) -> T:
    """Run one command's work with an open database, and return its result.

    Logs are written only where `LEAVER_LOG_LEVEL` is set: a command's outcome is what
    it prints, and the log of the same would stand between its lines.
    """
    settings = load_settings()
    configure_logging(settings if "log_level" in settings.model_fields_set else quiet(settings))

    async def opened() -> T:
        async with open_services(settings) as services:
            return await work(services, shell_actor())

    return asyncio.run(opened())


def quiet(settings: Settings) -> Settings:
    """Return the same settings with errors alone in the log."""
    return settings.model_copy(update={"log_level": LogLevel.ERROR})


def shell_actor() -> Actor:
    """Return the operating system's user, as an operator of all tenants."""
    return Actor(ActorKind.CLI, _operating_system_user())


def _operating_system_user() -> str:
    """Return the user's name by uid, or `uid:N` where the uid has no name (containers).

    `LOGNAME` and `USER` are not asked: anyone at the shell can set them to another
    name.
    """
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
