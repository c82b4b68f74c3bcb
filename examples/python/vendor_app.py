"""An app whose people sign in through Leaver, and are out the moment they leave."""

import asyncio
import os
import secrets

from aiohttp import web
from leaver_client import Leaver, Person, WebhookRefused

PORT = int(os.environ.get("PORT", "5000"))
APP_URL = os.environ.get("APP_URL", f"http://127.0.0.1:{PORT}")
RETURN_TO = f"{APP_URL}/signed-in"
VALUES = ("APP_LEAVER_URL", "APP_LEAVER_TOKEN", "APP_LEAVER_CONNECTION", "APP_LEAVER_WEBHOOK_SECRET")
leaver = Leaver(*map(os.environ.__getitem__, VALUES))
signed_in: dict[str, Person] = {}  # by the value of the app's own cookie


async def home(request: web.Request) -> web.Response:
    known = signed_in.get(request.cookies.get("app", ""))
    person = known and await asyncio.to_thread(leaver.session, known.secret)
    if not person:
        return web.Response(status=401, text='<a href="/sign-in">Sign in</a>', content_type="text/html")
    return web.Response(text=f"Hello, {person.user_name}")


async def sign_in(_request: web.Request) -> web.Response:
    state = secrets.token_urlsafe()
    answer = web.Response(status=303, headers={"Location": leaver.sign_in_url(RETURN_TO, state)})
    answer.set_cookie("state", state, httponly=True, samesite="Lax", secure=APP_URL.startswith("https"))
    return answer


async def come_back(request: web.Request) -> web.Response:
    if not secrets.compare_digest(request.cookies.get("state", "?"), request.query.get("state", "")):
        return web.Response(status=403, text="This sign-in was begun elsewhere.")
    person = await asyncio.to_thread(leaver.redeem, request.query["code"], RETURN_TO)
    cookie = secrets.token_urlsafe()
    signed_in[cookie] = person
    answer = web.Response(status=303, headers={"Location": "/"})
    answer.set_cookie("app", cookie, httponly=True, samesite="Lax", secure=APP_URL.startswith("https"))
    return answer


async def hear(request: web.Request) -> web.Response:
    try:
        event = leaver.verify_webhook(request.headers, await request.read())
    except WebhookRefused as refused:
        return web.Response(status=401, text=str(refused))
    ended = {each["id"] for each in event["data"].get("ended", ())}
    for cookie in [cookie for cookie, person in signed_in.items() if person.session_id in ended]:
        del signed_in[cookie]  # and whatever else the app keeps for this person
    return web.Response(status=204)  # this acknowledges the end: Leaver writes it into the receipt


app = web.Application()
app.add_routes([web.get("/", home), web.get("/sign-in", sign_in), web.get("/signed-in", come_back)])
app.add_routes([web.post("/leaver", hear)])
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=PORT, print=None)
