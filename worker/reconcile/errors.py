"""Define the one error of the pure core."""

from __future__ import annotations


class PolicyError(Exception):
    """A connection's mapping or scoping filter makes no sense; a person must correct
    it.

    Raised before anything is planned: a filter that cannot be read must not decide who
    loses access.
    """
