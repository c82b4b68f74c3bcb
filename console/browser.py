"""Check what a browser sends: cookies, origin, and the path that it returns to.

And tell it with each page that nothing foreign runs there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

SESSION_COOKIE = "__Host-leaver"
BROWSER_COOKIE = "__Host-leaver-sign-in"
"""Binds a sign-in to the browser that began it."""
_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
"""A path with query of RFC 3986, without a second slash at its start: `//host` is
another host, and browsers read `\\` as `/` and drop tabs and line breaks.
"""
LONGEST_PATH = 2_000
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types leaver"
)
"""`form-action 'self'` governs redirects after a form too: sign-in begins with a link.
"""

YEAR_S = 31_536_000
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def set_cookie(answer: web.Response, name: str, value: str, max_age_s: int) -> None:
    """Set a cookie that this host alone gets, over https, and no script can read.

    Lax, not Strict: the provider sends the browser back from another site. Browsers
    take `__Host-` and Secure on http://127.0.0.1 and http://localhost too.
    """
    answer.set_cookie(name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="Lax")


def drop_cookie(answer: web.Response, name: str) -> None:
    """Delete a cookie: with the attributes it was set with, or the browser keeps it."""
    answer.set_cookie(name, "", max_age=0, path="/", secure=True, httponly=True, samesite="Lax")


def keeps_cookies(public_url: str) -> bool:
    """Return whether browsers keep our cookies at this URL: https, or this machine."""
    parts = urlsplit(public_url)
    return parts.scheme == "https" or parts.hostname in _LOOPBACK


def is_same_origin(request: web.Request, public_url: str) -> bool:
    """Return whether an unsafe request comes from a page of ours.

    Sec-Fetch-Site cannot be set by a page; browsers without it send Origin. With
    neither, or with several of one, the request is refused.
    """
    sites = request.headers.getall("Sec-Fetch-Site", [])
    if sites:
        return sites in (["same-origin"], ["none"])
    parts = urlsplit(public_url)
    return request.headers.getall("Origin", []) == [f"{parts.scheme}://{parts.netloc}"]


def return_path(wanted: str | None) -> str | None:
    """Return a path within this host to go to after sign-in, None for anything else."""
    if not wanted or len(wanted) > LONGEST_PATH or _PATH.fullmatch(wanted) is None:
        return None
    parts = urlsplit(wanted)
    return None if parts.scheme or parts.netloc else wanted


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
