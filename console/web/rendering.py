"""Render the templates: compiled at start, escaped, and strict about names.

And serve the files that pages link to.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console.documents.people import user_state
from console.documents.values import plural
from console.web.wording import words
from console.web.wording.explanations import changed, shown_path

TEMPLATES = Path(__file__).with_name("templates")
ASSETS = Path(__file__).with_name("assets")
PREFIX = "/console-assets"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
FOR_GOOD = "public, max-age=31536000, immutable"


@cache
def environment() -> Environment:
    """Return the templates, each compiled once."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters.update(
        name=words.name,
        actor=words.actor,
        due=words.due,
        changed=changed,
        number=words.number,
        moment=words.moment,
        clock=words.clock,
        dated=words.dated,
        duration=words.duration,
        path=shown_path,
        share=words.share,
        sentence=words.sentence,
        tone=words.tone,
        words=words.words,
        user_state=user_state,
        shown_json=words.shown_json,
    )
    made.globals.update(
        plural=plural, step_names=words.STEP_NAMES, asset={n: a.path for n, a in assets().items()}
    )
    for template in made.list_templates(extensions=["html"]):
        made.get_template(template)
    return made


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return the page. Raises `UndefinedError` for a name that is missing."""
    return environment().get_template(template).render(values)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file that pages link to."""

    name: str
    body: bytes
    compressed: bytes
    content_type: str

    @property
    def path(self) -> str:
        """Return its address: another one for every change of the file."""
        return f"{PREFIX}/{hashlib.sha256(self.body).hexdigest()[:12]}/{self.name}"

    def answer(self, request: web.Request) -> web.Response:
        """Return the file, compressed where the browser takes that."""
        headers = {
            "Content-Type": self.content_type,
            "Cache-Control": FOR_GOOD,
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=self.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=self.body, headers=headers)


@cache
def assets() -> Mapping[str, Asset]:
    """Return the files by name."""
    found = {}
    for file in sorted(ASSETS.iterdir()):
        if file.suffix in TYPES:
            body = file.read_bytes()
            found[file.name] = Asset(file.name, body, gzip.compress(body, 9, mtime=0), TYPES[file.suffix])
    return found


def add_assets(app: web.Application) -> None:
    """Serve the files that pages link to."""
    for asset in assets().values():
        app.router.add_get(asset.path, _serving(asset))
    if icon := assets().get("icon.svg"):
        app.router.add_get("/favicon.ico", _serving(icon))


def _serving(asset: Asset) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        return asset.answer(request)

    return serve
