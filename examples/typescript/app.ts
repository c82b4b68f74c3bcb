// An app whose people sign in through Leaver, and are out the moment they leave.
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

interface Session { active: boolean; sub: string; sid: string; username: string }
interface SignedIn { secret: string; sid: string }
const { APP_LEAVER_URL, APP_LEAVER_TOKEN, APP_LEAVER_CONNECTION, APP_LEAVER_WEBHOOK_SECRET = "", PORT = "5000" } = process.env;
const APP_URL = process.env.APP_URL ?? `http://127.0.0.1:${PORT}`;
const RETURN_TO = `${APP_URL}/signed-in`;
const secure = APP_URL.startsWith("https") ? "; Secure" : "";
const signedIn = new Map<string, SignedIn>(); // by the value of the app's own cookie

async function leaver<T>(path: string, form: Record<string, string>): Promise<T> {
  const Authorization = `Basic ${Buffer.from(`${APP_LEAVER_CONNECTION}:${APP_LEAVER_TOKEN}`).toString("base64")}`;
  const answer = await fetch(APP_LEAVER_URL + path, { method: "POST", headers: { Authorization }, body: new URLSearchParams(form) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

function isFromLeaver(headers: IncomingMessage["headers"], body: string): boolean { // standardwebhooks.com
  const { "webhook-id": id, "webhook-timestamp": at } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(at)) < 300)) return false;
  const key = Buffer.from(APP_LEAVER_WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
  const right = Buffer.from(`v1,${createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64")}`);
  const given = String(headers["webhook-signature"]).split(" ").map((each) => Buffer.from(each));
  return key.length > 0 && given.some((each) => each.length === right.length && timingSafeEqual(each, right));
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", APP_URL);
  const cookie = (name: string) => new RegExp(`(?:^|; )${name}=([^;]*)`).exec(request.headers.cookie ?? "")?.[1] ?? "";
  const redirect = (to: string, name: string, value: string) =>
    response.writeHead(303, { Location: to, "Set-Cookie": `${name}=${value}; Path=/; HttpOnly; SameSite=Lax${secure}` }).end();
  if (pathname === "/sign-in") {
    const state = randomUUID();
    const query = new URLSearchParams({ return_to: RETURN_TO, state });
    redirect(`${APP_LEAVER_URL}/v1/admin/openid/${APP_LEAVER_CONNECTION}/login?${query}`, "state", state);
  } else if (pathname === "/signed-in" && cookie("state") && cookie("state") === searchParams.get("state")) {
    const form = { grant_type: "authorization_code", code: searchParams.get("code") ?? "", redirect_uri: RETURN_TO };
    const { access_token, session } = await leaver<{ access_token: string; session: Session }>("/oauth/token", form);
    const value = randomUUID();
    signedIn.set(value, { secret: access_token, sid: session.sid });
    redirect("/", "app", value);
  } else if (pathname === "/leaver" && request.method === "POST") {
    let body = "";
    for await (const part of request.setEncoding("utf8")) body += part;
    if (!isFromLeaver(request.headers, body)) return void response.writeHead(401).end();
    const ended = new Set((JSON.parse(body).data.ended ?? []).map((each: { id: string }) => each.id));
    for (const [key, each] of signedIn) if (ended.has(each.sid)) signedIn.delete(key);
    response.writeHead(204).end(); // this acknowledges the end: Leaver writes it into the receipt
  } else {
    const known = signedIn.get(cookie("app"));
    const now = known && (await leaver<Session>("/oauth/introspect", { token: known.secret }));
    response.writeHead(now?.active ? 200 : 401).end(now?.active ? `Hello, ${now.username}` : "Go to /sign-in");
  }
}
createServer((request, response) => void answer(request, response).catch(() => response.writeHead(502).end())).listen(Number(PORT), "127.0.0.1");
