"""Limits of the SCIM endpoints; the SCIM error for a request beyond one names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScimLimits:
    max_body_bytes: int = 1_048_576
    max_group_body_bytes: int = 4_194_304
    """Okta sends all members of a group with their names: 1.7 MB for 20,000."""
    max_bulk_body_bytes: int = 8_388_608
    max_depth: int = 24
    """How deep arrays and objects may nest in a body."""
    max_patch_operations: int = 1_000
    max_patch_selectors: int = 50
    """Filters in the paths of one PATCH; each may hold as many comparisons as four."""
    max_patch_comparisons: int = 150_000
    """Values that the operations of one PATCH go through, by comparisons of filters."""
    max_bulk_operations: int = 1_000
    max_filter_length: int = 4_096
    max_filter_terms: int = 50
    max_scan_terms: int = 5
    """Comparisons of a filter that no index answers: each is made with every row."""
    max_filter_depth: int = 20
    """How deep brackets may nest in a filter."""
    max_document_bytes: int = 262_144
    """What one resource may hold, without the members of a group."""
    max_values: int = 1_000
    """Values of one multi-valued attribute."""
    max_attributes: int = 200
    """Attributes of one extension, and characters of an attribute's name."""
    max_name_length: int = 1_000
    """Characters of userName, displayName and externalId."""
    default_page_size: int = 100
    max_page_size: int = 1_000
    cursor_timeout_s: int = 3_600
    request_timeout_s: float = 30.0
    head_timeout_s: float = 10.0
    """Until the head of a request has come, on a new connection and on a kept one."""
    body_timeout_s: float = 25.0
    """Until a body has come, of /oauth/token too."""
    idle_timeout_s: float = 120.0
    """How long a connection is kept between two requests."""
    max_connections: int = 1_000
    """At once; fewer where the process has fewer file descriptors."""
    max_connections_per_address: int = 250
    """At once, of one address that is no trusted proxy."""
    max_large_requests: int = 1
    """Large requests of one tenant at once (`scim.shared_load`); others wait."""
    max_logged_refusals: int = 100
    """Refused writes of a token and minute that are logged one by one."""
    requests_per_s: float = 1_000.0
    """Per token; at least 25 for Entra (App Gallery requirements). 0: no limit."""
    burst: int = 20_000
    """Requests of a token before the rate applies: an initial cycle is as fast as we
    answer.
    """
    token_memory_s: float = 1.0
    """Seconds an accepted token is cached; a revocation takes effect within them."""
    access_token_s: int = 3_600
    """Lifetime of an access token of /oauth/token; Entra's validator wants 60 to 360
    minutes.
    """
    guesses_before_slowing: int = 10
    """Refused tokens per address and minute that are answered at full speed."""


def setting_of(limit: str) -> str:
    """Return the variable by which an operator changes a limit, for error messages."""
    return f"LEAVER_SCIM_{limit.upper()}"
