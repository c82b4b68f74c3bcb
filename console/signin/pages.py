"""The pages of sign-in: plain, without script, each with what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from aiohttp import web

from console.admin.sessions.errors import SignInProblem
from console.admin.sessions.own_sessions import OwnSessions
from console.documents.values import utc_text

STYLESHEET_PATH = "/v1/admin/openid/sign-in.css"
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
"""A file, for no page of ours may hold any."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

PROBLEMS: Mapping[SignInProblem, tuple[int, str, str]] = {
    SignInProblem.NOT_STARTED_HERE: (
        400,
        "This sign-in is over",
        "It was used before, took longer than ten minutes, or was begun in another browser. Start again.",
    ),
    SignInProblem.UNKNOWN_PERSON: (
        403,
        "There is no account for you here yet",
        "Ask your administrator to assign you to the application in Entra. If you were assigned a moment ago, wait "
        "some minutes and try again. (For the administrator: the account must carry your object id. Map objectId to "
        "externalId, or give the connection its Graph credential, and look at: leaver provision.)",
    ),
    SignInProblem.NO_ACCESS: (
        403,
        "Your access has ended",
        "Your account is no longer active. What you achieved is kept. If this is a mistake, ask your administrator "
        "to assign you to the application in Entra again.",
    ),
    SignInProblem.CONTESTED: (
        403,
        "Your account is being checked",
        "Two people claim this account, and it must be known first whose it is. Ask your administrator to look at "
        "the drift report (leaver drift show).",
    ),
    SignInProblem.ANOTHER_DIRECTORY: (
        403,
        "You are signed in with an account of another organisation",
        "Sign out of that account, or use a private window, and sign in with your work account of this organisation.",
    ),
    SignInProblem.NO_CONSENT: (
        403,
        "Your organisation has not allowed this sign-in yet",
        "An administrator has to consent once: Entra > Enterprise applications > the application > Permissions > "
        "Grant admin consent. Then try again.",
    ),
    SignInProblem.TOKEN_REFUSED: (
        403,
        "The answer of the identity provider was not accepted",
        "Try again. If it happens again, tell your administrator the time of this page: the reason is in the log.",
    ),
    SignInProblem.PROVIDER_REFUSED: (
        403,
        "The identity provider refused the sign-in",
        "Try again, and tell your administrator the code below if it happens again.",
    ),
    SignInProblem.PROVIDER_UNREACHABLE: (
        503,
        "The identity provider does not answer",
        "Nothing is wrong with your account. Try again in a minute.",
    ),
    SignInProblem.NOT_SET_UP: (
        503,
        "Sign-in is not set up yet",
        "The administrator has to give the connection its directory, client id and credential: "
        "leaver connection set CONNECTION --entra-tenant-id … --client-id … --client-secret -",
    ),
    SignInProblem.RETURN_REFUSED: (
        400,
        "This application's address is not allowed",
        "return_to must be, letter by letter, an address that the connection allows. The administrator adds it: "
        "leaver connection set CONNECTION --return-url https://…",
    ),
    SignInProblem.PLAIN_HTTP: (
        503,
        "Sign-in needs https",
        "Browsers keep the cookie of a session over https only. The operator has to set LEAVER_PUBLIC_URL to an "
        "https URL.",
    ),
}
"""Status, heading and remedy for each reason."""


def problem(reason: SignInProblem, *, again: str | None = None, detail: str = "") -> web.Response:
    """Return the page of a refused sign-in; `again` is the path that starts anew."""
    status, heading, remedy = PROBLEMS[reason]
    shown = [_paragraph(remedy)]
    if reason is SignInProblem.PROVIDER_REFUSED and detail:
        shown.append(_paragraph(f"Code: {detail}"))
    if again is not None:
        shown.append(f'<p><a href="{escape(again)}">Sign in again</a></p>')
    return page(heading, shown, status=status)


def own_sessions(found: OwnSessions, base: str) -> web.Response:
    """Return the page of a signed-in person: the live sessions, each with its end."""
    rows = [
        f"<li>{escape(_described(each.created_from, each.agent))}, since {utc_text(each.created_at)}"
        + (
            " (this one)"
            if each.id == found.current.id
            else f" {_button(f'{base}/sessions/{each.id}/end', 'End')}"
        )
        + "</li>"
        for each in found.live
    ]
    shown = [
        f"<p>You are signed in as <bdi>{escape(found.user.user_name)}</bdi>.</p>",
        f"<h2>Your sessions</h2><ul>{''.join(rows)}</ul>",
        _button(f"{base}/logout", "Sign out"),
    ]
    return page("Signed in", shown)


def signed_out(sign_out_url: str | None, again: str) -> web.Response:
    """Return the page after sign-out, with the way to sign out of the directory too."""
    shown = [f'<p><a href="{escape(again)}">Sign in again</a></p>']
    if sign_out_url:
        shown.insert(0, f'<p><a href="{escape(sign_out_url)}">Sign out of your organisation too</a></p>')
    return page("You are signed out", shown)


def page(heading: str, paragraphs: Sequence[str], *, status: int = 200) -> web.Response:
    """Return a page; `paragraphs` are HTML already."""
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="stylesheet" href="{STYLESHEET_PATH}">'
        f"<title>{escape(heading)}</title></head><body><main><h1>{escape(heading)}</h1>"
        f"{''.join(paragraphs)}</main></body></html>"
    )
    return web.Response(status=status, text=body, content_type="text/html", charset="utf-8", headers=HEADERS)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _button(action: str, label: str) -> str:
    return f'<form method="post" action="{escape(action)}"><button>{escape(label)}</button></form>'


def _described(address: str | None, agent: str | None) -> str:
    return ", ".join(part for part in (address, (agent or "")[:80]) if part) or "a browser"


async def serve_stylesheet(request: web.Request) -> web.Response:
    """Return the stylesheet."""
    headers = {"Cache-Control": f"public, max-age={DAY_S}", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=STYLESHEET, content_type="text/css", charset="utf-8", headers=headers)
