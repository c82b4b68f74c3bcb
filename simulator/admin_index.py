"""What the admin side can be asked, as its own first page."""

from aiohttp import web

from simulator.faults import FIELDS
from simulator.provisioning.faults import Gap
from simulator.provisioning.routes import VERBS


async def index(request: web.Request) -> web.Response:
    """Answer with everything that can be asked here, and of the provisioning
    service.
    """
    routes = [route for route in request.app.router.routes() if route.method != "HEAD" and route.resource]
    return web.json_response(
        {
            "admin": [
                {
                    "request": f"{route.method} {route.resource.canonical}",
                    "does": " ".join((route.handler.__doc__ or "").split()),
                }
                for route in routes
                if route.resource is not None
            ],
            "faults": sorted(FIELDS),
            "provisioning": {
                "request": "POST /admin/provisioning",
                "do": VERBS,
                "gaps": [gap.value for gap in Gap],
            },
            "guide": "docs/simulator.md",
        }
    )
