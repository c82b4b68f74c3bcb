"""What a browser is told about each answer, so that nothing foreign runs in it."""

from __future__ import annotations

from collections.abc import Mapping

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types leaver"
)
"""`form-action 'self'` governs redirects after a form too: sign-in begins with a link.
"""

YEAR_S = 31_536_000


def page_headers(public_url: str) -> Mapping[str, str]:
    """Return the headers of every page: `no-store`, for each is about people."""
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }
    return {**headers, **transport_headers(public_url)}


def transport_headers(public_url: str) -> Mapping[str, str]:
    """Return the header that keeps a browser on https, behind https only (RFC 6797)."""
    if not public_url.startswith("https:"):
        return {}
    return {"Strict-Transport-Security": f"max-age={YEAR_S}; includeSubDomains"}
