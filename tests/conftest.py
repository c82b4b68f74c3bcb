"""What every test runs under."""

from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, not about the code: CI has two busy cores.
settings.register_profile("leaver", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("leaver")
