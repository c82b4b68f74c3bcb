"""What every test runs under."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, not about the code: CI has two busy cores.
settings.register_profile("leaver", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("leaver")


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
