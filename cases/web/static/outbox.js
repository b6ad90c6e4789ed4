// What the operator did and the backend has not yet said it has. One request a draft at a time, in order; edits are kept
// in localStorage until they are acknowledged, so a closed tab, a lost connection or an ended session loses nothing.
import { Problem, Unreachable, request, session } from "./api.js";
import { connection } from "./connection.js";

/** Typed instead of a value: back to what the machine understood. */
export const ORIGINAL = "\u0000original";
const PAUSE_MS = 400; // typing is sent when the fingers rest
const PREFIX = "hotline.unsaved.";
const KEPT_MS = 24 * 3600_000; // unsent words of a caller do not stay at this PC for ever
const AFTERWARDS = { confirm: "confirmed", reject: "rejected", return: "waiting", take: "taken", undo: "taken" };

export class Outbox extends EventTarget {
  #typed = new Map(); // draft_id -> { path: value }
  #timers = new Map();
  #tails = new Map(); // draft_id -> promise of its last request
  #versions = new Map();
  #refused = new Map(); // draft_id -> { path: Problem }: typed, but the backend cannot keep it so

  /** `version` of a draft as last seen anywhere; an older one never replaces a newer one. */
  seen(id, version) {
    if (version > (this.#versions.get(id) ?? -1)) this.#versions.set(id, version);
  }

  version(id) {
    return this.#versions.get(id);
  }

  /** Edits of this draft that the backend does not have yet, from this tab or one that was closed. */
  unsaved(id) {
    if (!this.#typed.has(id)) {
      const kept = readKept(id);
      if (kept) this.#typed.set(id, kept);
    }
    return this.#typed.get(id) ?? {};
  }

  edit(id, path, value) {
    const edits = { ...this.unsaved(id), [path]: value };
    this.#typed.set(id, edits);
    delete this.refused(id)[path];
    keep(id, edits);
    this.#tell(id, "unsaved");
    clearTimeout(this.#timers.get(id));
    this.#timers.set(id, setTimeout(() => this.flush(id).catch((error) => this.#fail(id, error)), PAUSE_MS));
  }

  /** path -> Problem of what was typed and cannot be kept; it stays here until it is typed anew. */
  refused(id) {
    if (!this.#refused.has(id)) this.#refused.set(id, {});
    return this.#refused.get(id);
  }

  forget(id) {
    this.#typed.delete(id);
    this.#refused.delete(id);
    keep(id, null);
  }

  /** Sends what is unsaved; resolves when the backend has it. */
  flush(id) {
    clearTimeout(this.#timers.get(id));
    return this.#inTurn(id, () => this.#sendEdits(id));
  }

  /** Everything that is unsaved anywhere in this tab, as far as it goes within 2 s; the rest is kept. */
  flushAll() {
    const all = [...this.#typed.keys()].map((id) => this.flush(id).catch(() => {}));
    return Promise.race([Promise.all(all), new Promise((resolve) => setTimeout(resolve, 2000))]);
  }

  /** take, return, confirm, reject or undo, after everything typed before it. Resolves with the draft's new view. */
  act(id, verb, extra = {}) {
    clearTimeout(this.#timers.get(id));
    return this.#inTurn(id, async () => {
      // A rejection too can be undone: what was typed before it is kept with the draft.
      if (["confirm", "return", "reject", "adopt"].includes(verb)) await this.#sendEdits(id);
      const [refused] = Object.values(this.refused(id));
      if (verb === "confirm" && refused) throw refused;
      const view = await this.#patiently(id, () => this.#post(id, verb, extra));
      if (view?.version !== undefined) this.seen(id, view.version);
      return view;
    });
  }

  /** A sign of life: a draft that somebody is at does not go back to the queue. Resolves with its view. */
  async stay(id) {
    await this.flush(id);
    return this.#inTurn(id, async () => {
      const view = await this.#patiently(id, () => this.#post(id, "take", {}));
      this.seen(id, view.version);
      return view;
    });
  }

  /** Drops what was kept too long, whoever's it was. */
  dropOld() {
    for (const key of keptKeys()) if (!(keptAt(key) > Date.now() - KEPT_MS)) localStorage.removeItem(key);
  }

  async #post(id, verb, extra) {
    try {
      return await request("POST", `/api/drafts/${id}/${verb}`, { version: this.version(id), ...extra });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 409 || error.code === "draft-taken") throw error;
      const view = await request("GET", `/api/drafts/${id}`);
      // The answer to an earlier try was lost on the way: it is done.
      if (view.status === AFTERWARDS[verb] && verb !== "take" && isMyDoing(view, verb)) return view;
      if (view.version === this.version(id)) throw error;
      this.seen(id, view.version);
      if (view.status !== (verb === "take" ? "waiting" : "taken") && verb !== "undo") throw error;
      return request("POST", `/api/drafts/${id}/${verb}`, { version: view.version, ...extra });
    }
  }

  async #sendEdits(id) {
    for (;;) {
      const refused = this.refused(id);
      const edits = Object.fromEntries(Object.entries(this.unsaved(id)).filter(([path]) => !(path in refused)));
      if (Object.keys(edits).length === 0) return;
      this.#tell(id, "saving");
      let view;
      try {
        view = await this.#patiently(id, () => this.#patch(id, edits));
      } catch (error) {
        // One faulty field must not hold up the others.
        if (!this.#refuse(id, edits, error)) throw error;
        this.#fail(id, error);
        continue;
      }
      if (view?.version !== undefined) this.seen(id, view.version);
      const left = { ...this.unsaved(id) };
      for (const [path, value] of Object.entries(edits)) if (left[path] === value) delete left[path];
      this.#typed.set(id, left);
      keep(id, Object.keys(left).length ? left : null);
      this.#tell(id, Object.keys(left).length ? "unsaved" : "saved", view);
    }
  }

  #refuse(id, edits, problem) {
    if (!(problem instanceof Problem) || problem.status !== 422) return false;
    const faulty = Object.keys(edits).filter((path) =>
      problem.errors.some(({ field = "" }) => field === path || field.startsWith(`${path}.`)));
    for (const path of faulty) if (this.unsaved(id)[path] === edits[path]) this.refused(id)[path] = problem;
    return faulty.length > 0;
  }

  async #patch(id, edits) {
    const send = (version) => request("PATCH", `/api/drafts/${id}`, { version, ...split(edits) });
    try {
      return await send(this.version(id));
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 409 || error.code === "draft-taken") throw error;
      let view = await request("GET", `/api/drafts/${id}`);
      this.seen(id, view.version);
      // It went back to the queue while nobody was at it; whoever types in it is at it again.
      if (view.status === "waiting") view = await request("POST", `/api/drafts/${id}/take`, { version: view.version });
      if (view.status !== "taken") throw error;
      this.seen(id, view.version);
      return send(view.version);
    }
  }

  /** Tries until somebody answers: a lost connection delays, it refuses nothing. */
  async #patiently(id, attempt) {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        this.#tell(id, "waiting");
        await connection.restored();
      }
    }
  }

  #inTurn(id, work) {
    const before = this.#tails.get(id) ?? Promise.resolve();
    const mine = before.catch(() => {}).then(work);
    this.#tails.set(id, mine);
    return mine;
  }

  #tell(id, state, view = null) {
    this.dispatchEvent(new CustomEvent("state", { detail: { id, state, view } }));
  }

  #fail(id, error) {
    this.dispatchEvent(new CustomEvent("failed", { detail: { id, error } }));
  }
}

/** Whether the last step of the draft was this operator's: the same step by somebody else is not hers to report. */
function isMyDoing(view, verb) {
  const me = session.user?.name;
  const steps = view.history.filter(({ actor }) => actor !== "producer"); // that the call was heard again is no step
  return verb === "undo" ? view.taken_by === me : view.may_undo || steps.at(-1)?.actor === me;
}

function split(edits) {
  const paths = Object.keys(edits);
  return {
    edits: Object.fromEntries(paths.filter((path) => edits[path] !== ORIGINAL).map((path) => [path, edits[path]])),
    revert: paths.filter((path) => edits[path] === ORIGINAL),
  };
}

// Kept under the operator's name: the next one at this PC must not send them as hers.
const keyOf = (id) => `${PREFIX}${session.user?.name ?? ""}.${id}`;

function readKept(id) {
  try {
    return JSON.parse(localStorage.getItem(keyOf(id)))?.edits ?? null;
  } catch {
    return null;
  }
}

function keptKeys() {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  } catch {
    return []; // storage is forbidden
  }
}

function keptAt(key) {
  try {
    return JSON.parse(localStorage.getItem(key)).at;
  } catch {
    return 0;
  }
}

function keep(id, edits) {
  try {
    if (edits) localStorage.setItem(keyOf(id), JSON.stringify({ at: Date.now(), edits }));
    else localStorage.removeItem(keyOf(id));
  } catch {
    // Storage full or forbidden: the edits are still in memory and on their way.
  }
}
