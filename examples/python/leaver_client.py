"""Talk to Leaver from your app. One file, standard library only: copy it.

Every method is one HTTP request and blocks; in asyncio call it by `asyncio.to_thread`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

API = "/api/admin/v1"
TOLERANCE_S = 300
"""How old a webhook may be; a copy of it is worth nothing later."""


class LeaverError(Exception):
    """A refusal of Leaver's: its status, and what it says is to be done."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        said = answer.get("detail") or answer.get("error_description") or "no reason was given"
        super().__init__(f"{status}: {said} {answer.get('remedy', '')}".strip())
        self.status, self.answer = status, answer


class WebhookRefused(Exception):
    """A request to the webhook that Leaver did not sign, or signed too long ago."""


@dataclass(frozen=True)
class Person:
    """Whose session it is: the account `id`, which stands for the person `holder`."""

    id: str
    holder: int
    user_name: str
    tenant: str
    connection: str
    session_id: str
    expires_at: int
    proof_age_s: int | None
    """How long ago it was known that the person is entitled; None: never."""
    secret: str = field(repr=False)
    """The session's secret: keep it on the server, it answers `Leaver.session`."""


@dataclass(frozen=True)
class History:
    """What one person achieved. It stays when access ends."""

    leaver: Leaver
    path: str

    def add(self, title: str, score: int, *, key: str | None = None, **more: Any) -> dict[str, Any]:
        """Keep a result once for each `key`. Also: `taken_at`, `document`."""
        body = {"title": title, "score": score, "idempotency_key": key, **more}
        return self.leaver.call("POST", self.path, body)

    def list(self) -> list[dict[str, Any]]:
        """Return the results of the account's present person."""
        results: list[dict[str, Any]] = self.leaver.call("GET", self.path)["items"]
        return results


class Leaver:
    """One connection of Leaver's, by an API token of it, or of an operator for all."""

    def __init__(
        self, url: str, token: str, connection: str = "", webhook_secret: str = "", timeout_s: float = 10.0
    ) -> None:
        self._url, self._token, self._connection = url.rstrip("/"), token, connection
        self._webhook_secret, self._timeout_s = webhook_secret, timeout_s
        self._idle: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Leaver:
        return self

    def __exit__(self, *_: object) -> None:
        while self._idle:
            self._idle.pop().close()

    def sign_in_url(self, return_to: str, state: str) -> str:
        """Return where to send a browser: it comes back with `code` and `state`."""
        query = urlencode({"return_to": return_to, "state": state})
        return f"{self._url}/v1/admin/openid/{self._connection}/login?{query}"

    def redeem(self, code: str, return_to: str) -> Person:
        """Exchange the code of a sign-in, once and within a minute, for the session."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": return_to}
        basic = base64.b64encode(f"{self._connection}:{self._token}".encode()).decode()
        answer = self._send("POST", "/oauth/token", urlencode(form), f"Basic {basic}")
        return _person(answer["session"], answer["access_token"])

    def session(self, secret: str, max_age_s: float | None = None) -> Person | None:
        """Return whose session it is now; None: it is over.

        With `max_age_s` Leaver asks Microsoft Graph first where the proof is older.
        """
        form = {"token": secret} | ({} if max_age_s is None else {"max_age_s": str(max_age_s)})
        answer = self._send("POST", "/oauth/introspect", urlencode(form))
        return _person(answer, secret) if answer["active"] else None

    def history(self, person: Person | str) -> History:
        """Return where the results of a person, or of an account's id, are kept."""
        user = person if isinstance(person, str) else person.id
        return History(self, f"{API}/connections/{self._connection}/users/{quote(user, safe='')}/results")

    def acknowledge(self, event: Mapping[str, Any]) -> None:
        """Say that what an event `session.revoked` names is over in your app too."""
        receipt = f"receipts/{event['data']['receipt']}/acknowledgement"
        self.call("PUT", f"{API}/connections/{event['connection_id']}/{receipt}")

    def events(self, after: Path | str | None = None, types: str = "") -> Iterator[dict[str, Any]]:
        """Yield events for ever, in order; a file as `after` keeps the place.

        The place moves on after the last event of a page was dealt with. After a crash
        the page comes again: act once for each `id`. Raises `LeaverError` 410 where the
        place is too old: read all users, then go on from `answer["snapshot"]`.
        """
        file, cursor = (after, None) if isinstance(after, Path) else (None, after)
        if file is not None and file.exists():
            cursor = file.read_text().strip() or None
        while True:
            query = {"wait": "5", "types": types} | ({"after": cursor} if cursor else {})
            try:
                page = self.call("GET", f"{API}/events?{urlencode(query)}")
            except (OSError, http.client.HTTPException, LeaverError) as error:
                if isinstance(error, LeaverError) and error.status < 500 and error.status != 429:
                    raise
                time.sleep(1)  # Leaver is being restarted, or is busy
                continue
            yield from page["items"]
            cursor = page["next"]
            if file is not None:
                file.with_suffix(".new").write_text(cursor)
                file.with_suffix(".new").replace(file)

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Return the event that Leaver sent and signed. Raises `WebhookRefused`."""
        given = {name.lower(): value for name, value in headers.items()}
        event_id, at = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
        if not at.isascii() or not at.isdigit() or abs(time.time() - int(at)) > TOLERANCE_S:
            raise WebhookRefused("it has no time, or was signed more than five minutes ago")
        key = base64.b64decode(self._webhook_secret.removeprefix("whsec_"))
        wanted = hmac.digest(key, f"{event_id}.{at}.".encode() + body, hashlib.sha256)
        signatures = given.get("webhook-signature", "").split()
        right = f"v1,{base64.b64encode(wanted).decode()}".encode()
        if not key or not any(hmac.compare_digest(each.encode(), right) for each in signatures):
            raise WebhookRefused("no signature is right: it is not Leaver's, or the secret is another")
        event: dict[str, Any] = json.loads(body)
        return event

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call any operation of the admin API. Raises `LeaverError`."""
        return self._send(method, path, None if body is None else json.dumps(body))

    def _send(self, method: str, path: str, body: str | None, authorization: str = "") -> dict[str, Any]:
        kind = "application/json" if path.startswith(API) else "application/x-www-form-urlencoded"
        headers = {"Authorization": authorization or f"Bearer {self._token}", "Content-Type": kind}
        writes = method == "POST" and path.startswith(API)  # never sent twice, so by a wire of its own
        kept = self._idle.pop() if self._idle and not writes else None
        try:
            answer = self._exchange(kept or self._connect(), method, path, body, headers)
        except (http.client.HTTPException, ConnectionError):
            if kept is None:
                raise
            answer = self._exchange(self._connect(), method, path, body, headers)
        document: dict[str, Any] = json.loads(answer[1]) if answer[1] else {}
        if answer[0] >= 300:
            raise LeaverError(answer[0], document)
        return document

    def _exchange(self, wire: http.client.HTTPConnection, *request: Any) -> tuple[int, bytes]:
        try:
            wire.request(*request)
            answer = wire.getresponse()
            read = answer.status, answer.read()
        except BaseException:
            wire.close()
            raise
        self._idle.append(wire)
        return read

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.netloc, timeout=self._timeout_s)


def _person(answer: Mapping[str, Any], secret: str) -> Person:
    return Person(
        id=answer["sub"],
        holder=answer["holder"],
        user_name=answer["username"],
        tenant=answer["tenant"],
        connection=answer["connection"],
        session_id=answer["sid"],
        expires_at=answer["exp"],
        proof_age_s=answer["proof_age_s"],
        secret=secret,
    )
