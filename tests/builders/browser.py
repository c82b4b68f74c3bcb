"""A browser that keeps `__Host-` cookies, follows no redirect by itself and says from where a request comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import aiohttp

Form: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
"""Fields of a form; as pairs where a name comes several times."""


@dataclass(frozen=True)
class Page:
    status: int
    headers: Mapping[str, str]
    text: str
    url: str

    @property
    def location(self) -> str:
        return urljoin(self.url, self.headers["Location"])


@dataclass
class Browser:
    """Cookies by host and port; an empty value deletes one."""

    http: aiohttp.ClientSession
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Page:
        return await self._send("GET", url, headers or {})

    async def post(
        self, url: str, headers: Mapping[str, str] | None = None, form: Form | None = None
    ) -> Page:
        """Sends a form of a page of the same host, unless the headers say otherwise."""
        return await self._send(
            "POST", url, {"Sec-Fetch-Site": "same-origin"} if headers is None else headers, form
        )

    async def follow(self, page: Page) -> Page:
        return await self.get(page.location)

    def cookie(self, url: str, name: str) -> str | None:
        return self.cookies.get(urlsplit(url).netloc, {}).get(name)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], form: Form | None = None
    ) -> Page:
        host = self.cookies.setdefault(urlsplit(url).netloc, {})
        sent = {**headers}
        if host:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in host.items())
        async with self.http.request(method, url, headers=sent, data=form, allow_redirects=False) as answer:
            text = await answer.text()
            for line in answer.headers.getall("Set-Cookie", []):
                for name, morsel in SimpleCookie(line).items():
                    _check_host_cookie(name, line)
                    host[name] = morsel.value
                    if not morsel.value:
                        del host[name]
            return Page(answer.status, dict(answer.headers), text, url)


def _check_host_cookie(name: str, line: str) -> None:
    """What a browser asks of a cookie whose name begins with `__Host-`, and we of every session cookie."""
    if name.startswith("__Host-"):
        attributes = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes, line
        assert not any(each.startswith("domain") for each in attributes), line
