"""Addresses of the pages that set a connection up, for the test over the route table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.builders.console_scene import ConsoleScene

SetupExample = Callable[[ConsoleScene], Sequence[str]]


def _of_connections(rest: str) -> SetupExample:
    return lambda scene: [f"/connections/{each.id}{rest}" for each in (scene.many, scene.one, scene.empty)]


def _known(name: str, pattern: str) -> SetupExample:
    return lambda scene: [pattern.format(base=f"/connections/{scene.many.id}", **{name: scene.known[name]})]


SETUP_EXAMPLES: Mapping[str, SetupExample] = {
    "enter.sign_in": _known("sign_in", "/sign-in/{sign_in}"),
    "enter.setup": _known("setup", "/setup/{setup}"),
    "enter.signed_out": lambda _scene: ["/signed-out"],
    "me": lambda _scene: ["/me"],
    "setup": _of_connections("/setup"),
    "tokens": _of_connections("/tokens"),
    "tokens.new": _of_connections("/tokens/new"),
    "mapping": _of_connections("/mapping"),
    "settings": _of_connections("/settings"),
    "settings.mode": _of_connections("/settings/mode"),
    "settings.provider": _of_connections("/settings/sign-in"),
    "settings.end": _of_connections("/settings/end"),
    "webhooks": _of_connections("/webhooks"),
    "webhooks.show": _known("webhook", "{base}/webhooks/{webhook}"),
    "operator": lambda _scene: ["/operator", "/operator?level=ok", "/operator?q=nothing"],
    "operators": lambda _scene: [],  # of operators alone: test_setup_guides
    "status": _known("status", "/status/{status}"),
    "audit": _of_connections("/audit"),
    "tokens.ask": lambda scene: [
        f"/connections/{scene.many.id}/tokens/{scene.known['token']}/{deed}"
        for deed in ("rotate", "suspend", "revoke")
    ],
}
