"""What every test runs under."""

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# Assertions of builders are explained like those of tests.
pytest.register_assert_rewrite("tests.builders")

# How long an example takes says something about the machine, not about the code: CI has two busy cores.
settings.register_profile("leaver", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# One commit gives one verdict; who wants to find something new says HYPOTHESIS_PROFILE=leaver.
settings.register_profile("same", settings.get_profile("leaver"), derandomize=True)
# Tests connect to simulated directories on this machine, which an operator has to allow.
os.environ["LEAVER_ALLOW_SIMULATOR"] = "1"

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command sets up logging for its whole process, onto the stream of one test, closed in the next."""
    root = logging.getLogger()
    level = root.level
    yield
    # By exact type: pytest's own handlers are of derived ones.
    root.handlers = [handler for handler in root.handlers if type(handler) is not logging.StreamHandler]
    root.setLevel(level)
    structlog.reset_defaults()
