// The backend's HTTP API: one way in, one way to fail.
import { connection } from "./connection.js";

/** The backend said no. `code` is stable; `errors` names fields. */
export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || String(status));
    Object.assign(this, { code: body.code ?? "unknown", status, errors: body.errors ?? [], body });
  }
}

/** Nobody answered: try again later, nothing was refused. */
export class Unreachable extends Error {}

/** The backend's clock: an operator's PC may be minutes off, and undo counts seconds. */
export const clock = {
  offsetMs: 0,
  now() {
    return Date.now() + this.offsetMs;
  },
};

export const session = { user: null, csrf: "" };
let loginAgain = null;

/** `again` is called when the session is over; it resolves when somebody has logged in. */
export function whenSessionIsOver(again) {
  loginAgain = again;
}

const PROBE_MS = 3000;
let probing = 0;

/** Marks the connection as lost and asks again by itself, so that it is found again even when nobody does anything. */
function unreachable(why) {
  connection.mark("request", true);
  clearTimeout(probing);
  probing = setTimeout(() => send("GET", "/api/session").catch(() => {}), PROBE_MS);
  return new Unreachable(why);
}

async function send(method, path, body, signal) {
  if (leaving) return new Promise(() => {});
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRF-Token"] = session.csrf;
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal, credentials: "same-origin", cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable(error.message);
  }
  if ([502, 503, 504].includes(response.status)) {
    throw unreachable(String(response.status));
  }
  connection.mark("request", false);
  const date = Date.parse(response.headers.get("Date") ?? "");
  // The header has whole seconds: half a second is the best guess, and smaller differences are not a wrong clock.
  if (date && Math.abs(date + 500 - clock.now()) > 1500) clock.offsetMs = date + 500 - Date.now();
  return response;
}

async function parsed(response) {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** Asks the backend. Throws Problem or Unreachable; a session that is over is renewed by the operator first. */
export async function request(method, path, body, { signal } = {}) {
  let freshToken = false;
  for (;;) {
    const response = await send(method, path, body, signal);
    const answer = await parsed(response);
    if (response.ok) return answer;
    const problem = new Problem(answer ?? {}, response.status);
    if (problem.status === 401 && loginAgain) {
      await loginAgain();
      continue;
    }
    // Another tab logged in anew: its token is ours too.
    if (problem.status === 403 && method !== "GET" && !freshToken) {
      freshToken = true;
      await whoAmI();
      continue;
    }
    throw problem;
  }
}

let leaving = false;

/** The session is this operator's from now on. Another's requests and unsent words are not hers: she starts afresh. */
function adopt(answer) {
  if (session.user && session.user.name !== answer.user.name) {
    leaving = true;
    location.reload();
    return new Promise(() => {});
  }
  session.user = answer.user;
  session.csrf = answer.csrf;
  return answer.user;
}

export const whoAmI = async () => adopt(await request("GET", "/api/session"));

/** Throws Problem when the name or the password is wrong. */
export async function logIn(username, password) {
  const response = await send("POST", "/api/session", { username, password });
  const answer = await parsed(response);
  if (!response.ok) throw new Problem(answer ?? {}, response.status);
  return adopt(answer);
}

export const logOut = () => send("DELETE", "/api/session");
