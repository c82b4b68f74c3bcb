"""What the provisioning log is told about how a request was read."""

from __future__ import annotations

from collections.abc import Sequence

from scim.operations import Patch
from store.records import LogStatus, Step

_DIALECTS = {
    "entra": "Entra's default dialect: capitalised operations",
    "rfc": "operations as RFC 7644 has them (Entra: with the flag aadOptscim062020)",
}


def dialect_step(patch: Patch) -> Step:
    return Step("read", LogStatus.SUCCESS, _DIALECTS[patch.dialect], {"dialect": patch.dialect})


def ignored_steps(paths: Sequence[str]) -> tuple[Step, ...]:
    """Name what was ignored, so that an admin who mapped it finds out why it does not arrive."""
    if not paths:
        return ()
    named = [path[:200] for path in paths[:20]]
    detail = (
        "No schema declares "
        + ", ".join(named)
        + ": ignored. Remove it from the mapping in Entra, or declare it."
    )
    return (Step("read", LogStatus.WARNING, detail, {"ignored": named}),)
