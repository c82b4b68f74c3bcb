"""What can go wrong while provisioning: one object is refused, or the whole job must
wait for a person.
"""

UNAUTHORIZED = "Unauthorized"
INSUFFICIENT_RIGHTS = "InsufficientRights"
INVALID_ANCHOR = "InvalidAnchor"
SERVICE_INCOMPATIBLE = "SystemForCrossDomainIdentityManagementServiceIncompatible"
CREDENTIALS_REFUSED = "SystemForCrossDomainIdentityManagementCredentialValidationFailure"
CREDENTIALS_UNCHECKED = "SystemForCrossDomainIdentityManagementCredentialValidationUnavailable"
SEVERAL_MATCHES = "SystemForCrossDomainIdentityManagementMultipleEntriesInResponse"


class ProvisioningError(Exception):
    """Something the provisioning service could not do; `code` is the one its log
    shows."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TargetRefused(ProvisioningError):
    """One object failed; it goes to escrow and is tried again later."""


class JobStopped(ProvisioningError):
    """Credentials or compliance fail for every object: the job goes into quarantine at
    once.
    """


class NotPossible(ProvisioningError):
    """A request to the service itself that it cannot serve; the caller must ask
    differently (or later).
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


_CODES = {
    401: UNAUTHORIZED,
    403: INSUFFICIENT_RIGHTS,
    405: "MethodNotAllowed",
    409: "Conflict",
    422: "UnprocessableEntity",
    429: "TooManyRequests",
    500: "InternalServerError",
    501: "NotImplemented",
    502: "InternalError",
    503: "InternalError",
    504: "Timeout",
}


def code_of(status: int) -> str:
    """Return the log code for a SCIM server's answer."""
    return _CODES.get(status, SERVICE_INCOMPATIBLE)
