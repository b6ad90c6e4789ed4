// The server-sent events, and what their silence means: whether the connection is there.
import { connection } from "./connection.js";
import { request } from "./api.js";

const EVENTS = ["queue", "live", "live-gone", "draft"];
const LONGEST_WAIT_MS = 10_000;

/** `on`: queue, live, live-gone, draft (each with the event's data), and caughtUp() at every (re)connection and after a gap. */
export function openStream(on) {
  let source = null;
  let waitMs = 500;
  let timer = 0;

  function open() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/api/stream");
    source.addEventListener("hello", () => {
      waitMs = 500;
      connection.mark("stream", false);
      on.caughtUp();
    });
    source.addEventListener("resync", () => on.caughtUp());
    source.addEventListener("session-over", () => renewed());
    source.addEventListener("too-many", () => {
      // More tabs than one session may have: this one waits until somebody looks at it.
      source.close();
      connection.mark("stream", true);
      addEventListener("focus", renewed, { once: true });
    });
    for (const name of EVENTS) source.addEventListener(name, (event) => on[name](JSON.parse(event.data)));
    source.onerror = () => {
      source.close();
      connection.mark("stream", true);
      timer = setTimeout(renewed, waitMs);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    };
  }

  /** A stream that was refused may only want a new login, which any request brings about. */
  async function renewed() {
    clearTimeout(timer);
    source.close();
    try {
      await request("GET", "/api/session");
      open();
    } catch {
      timer = setTimeout(renewed, waitMs);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    }
  }

  addEventListener("online", renewed);
  addEventListener("offline", () => {
    source.close();
    connection.mark("stream", true);
    clearTimeout(timer);
    timer = setTimeout(renewed, waitMs);
  });
  open();
}
