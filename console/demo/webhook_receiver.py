"""The vendor's app as the demo plays it: sessions of its own that end by webhook."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

LONGEST_BODY = 65_536
WAIT_S = 30.0
"""How long the demo waits for events; they come within a second."""


@dataclass
class WebhookReceiver:
    """Listens on this machine, and remembers which sessions were said to have ended."""

    url: str
    secret: str | None = None
    """Of the webhook; what comes before it is known is not believed."""
    ended: set[str] = field(default_factory=set)

    def has_heard_of(self, sessions: Collection[str]) -> bool:
        """Wait for the end of all these sessions; return whether it was told."""
        until = time.monotonic() + WAIT_S
        while not self.ended.issuperset(sessions):
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def take(self, headers: dict[str, str], body: bytes) -> bool:
        """End the sessions that an event names; return whether Leaver signed it."""
        if self.secret is None:
            return False
        try:
            event = Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        self.ended |= {each["id"] for each in event["data"].get("ended", ()) if each["kind"] == "session"}
        return True


@contextmanager
def receiving() -> Iterator[WebhookReceiver]:
    """Listen on a free port until the body ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length", "0")), LONGEST_BODY)
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(204 if receiver.take(headers, self.rfile.read(length)) else 401)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the demo tells its own story."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = WebhookReceiver(f"http://127.0.0.1:{server.server_port}/leaver")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
