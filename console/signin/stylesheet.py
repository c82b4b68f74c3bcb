"""The stylesheet of the pages of sign-in: a file, for no page of ours may hold any."""

from __future__ import annotations

from aiohttp import web

PATH = "/v1/admin/openid/sign-in.css"
DAY_S = 86_400

STYLESHEET = """\
:root { color-scheme: light dark; }
body { margin: 0; font: 100%/1.5 system-ui, sans-serif; background: light-dark(#f6f7f9, #0e1116);
  color: light-dark(#161b24, #e7ebf1); overflow-wrap: anywhere; }
main { max-inline-size: 36rem; margin: 10vh auto; padding: 1.5rem; background: light-dark(#fff, #161b22);
  border: 1px solid light-dark(#dfe3ea, #2a323d); border-radius: 0.5rem; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.25; text-wrap: balance; }
h2 { font-size: 1.0625rem; }
ul { padding: 0; list-style: none; }
li { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; padding-block: 0.5rem; }
a { color: light-dark(#1d4ed8, #8ab4ff); }
button { font: inherit; padding: 0.375rem 0.875rem; border: 1px solid light-dark(#8b95a5, #667081);
  border-radius: 0.375rem; background: none; color: inherit; cursor: pointer; }
:focus-visible { outline: 3px solid light-dark(#1d4ed8, #8ab4ff); outline-offset: 2px; }
@media (max-width: 40rem) { main { margin: 1rem; } }
"""


async def serve(request: web.Request) -> web.Response:
    """Return the stylesheet."""
    headers = {"Cache-Control": f"public, max-age={DAY_S}", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=STYLESHEET, content_type="text/css", charset="utf-8", headers=headers)
