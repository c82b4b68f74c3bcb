"""Entra's provisioning service as a SCIM client.

Cycles over a directory's change feed, both PATCH dialects, the provisioning log,
provision on demand, and the gaps through which leavers slip in real life.
"""

from simulator.provisioning.client import ClientCredentials, SecretToken
from simulator.provisioning.dialect import Dialect
from simulator.provisioning.errors import JobStopped, NotPossible, ProvisioningError, TargetRefused
from simulator.provisioning.faults import Gap
from simulator.provisioning.job import JobSettings
from simulator.provisioning.jobs import ProvisioningJobs
from simulator.provisioning.report import CycleReport
from simulator.provisioning.routes import add_routes
from simulator.provisioning.service import ProvisioningService

__all__ = [
    "ClientCredentials",
    "CycleReport",
    "Dialect",
    "Gap",
    "JobSettings",
    "JobStopped",
    "NotPossible",
    "ProvisioningError",
    "ProvisioningJobs",
    "ProvisioningService",
    "SecretToken",
    "TargetRefused",
    "add_routes",
]
