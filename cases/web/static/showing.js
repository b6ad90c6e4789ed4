// What the two panes at the right show: a draft, a live call, a case or nothing. Drafts that were read are kept a while, so
// that moving in the queue waits for nobody.
import { h, byId } from "./dom.js";
import { t, shortTime } from "./words.js";
import { fieldName, sameValue, valueText } from "./fields.js";
import { request, session } from "./api.js";
import { faultText } from "./faults.js";
import { ORIGINAL } from "./outbox.js";

const HURRY_MS = 150; // a key held down: rows that are only passed are not asked for
const CACHED_DRAFTS = 40; // neighbours read ahead; the oldest is forgotten first

export const isMine = (view) => view !== null && view.status === "taken" && view.taken_by === session.user?.name;

export class Showing {
  #cache = new Map(); // draft_id -> view
  #asking = null; // AbortController of the draft that is being read
  #chosenAtMs = 0;
  #unsent = {}; // path -> value: typed in the draft that is shown and never kept, for it was closed meanwhile
  kind = "nothing"; // draft | live | case | nothing
  id = null;
  view = null; // the draft that is shown
  busy = new Set(); // drafts with a deed on its way

  /** `on`: left(kind) when something else is shown from now on, failed(id, error); `verbs`: take, confirm, giveBack, reject. */
  constructor({ desk, outbox, player, transcript, form, strip, queue, on }) {
    Object.assign(this, { desk, outbox, player, transcript, form, strip, queue, on });
  }

  get mine() {
    return isMine(this.view);
  }

  become(kind, id) {
    const before = this.kind;
    if (this.kind !== kind || this.id !== id) this.#unsent = {};
    [this.kind, this.id] = [kind, id];
    if (before !== kind) this.on.left(before);
    this.desk.dataset.shown = kind;
    const fragment = { draft: `#draft=${id}`, case: `#case=${id}` }[kind] ?? "";
    history.replaceState(null, "", location.pathname + fragment);
  }

  nothing() {
    this.#asking?.abort();
    this.become("nothing", null);
    this.#empty(t(this.queue.length ? "draft.choose" : "queue.empty"));
  }

  #empty(note) {
    this.view = null;
    this.player.none("");
    this.transcript.clear();
    this.strip.clear();
    this.form.clear(note);
  }

  /** Shows a draft, from memory at once if it was read before, and as the backend has it now. */
  async draft(id) {
    this.become("draft", id);
    this.#asking?.abort();
    const mineToAsk = (this.#asking = new AbortController());
    const known = this.#cache.get(id);
    const hurried = performance.now() - this.#chosenAtMs < HURRY_MS;
    this.#chosenAtMs = performance.now();
    if (known) this.render(known);
    else this.#empty(t("draft.loading"));
    try {
      if (hurried) await new Promise((resolve) => setTimeout(resolve, HURRY_MS));
      if (mineToAsk.signal.aborted) return;
      const fresh = await request("GET", `/api/drafts/${id}`, undefined, { signal: mineToAsk.signal });
      if (this.id !== id || mineToAsk.signal.aborted) return;
      this.render(fresh);
      this.#readAhead(id);
    } catch (error) {
      if (error.name !== "AbortError" && this.id === id && !known) this.form.clear(faultText(error));
    }
  }

  remember(view) {
    const id = view.draft.draft_id;
    this.forget(id);
    this.#cache.set(id, view);
    if (this.#cache.size > CACHED_DRAFTS) this.forget(this.#cache.keys().next().value);
    this.outbox.seen(id, view.version);
  }

  forget(id) {
    this.#cache.delete(id);
  }

  #readAhead(id) {
    const next = this.queue.neighbour(1, id);
    if (!next || next === id || this.#cache.has(next)) return;
    request("GET", `/api/drafts/${next}`).then((view) => this.remember(view)).catch(() => {});
  }

  /** Shows what a deed has made of the draft; what was asked for before it would be older. */
  done(view) {
    this.#asking?.abort();
    this.render(view);
  }

  render(view) {
    const id = view.draft.draft_id;
    const same = this.view?.draft.draft_id === id;
    if (this.kind === "draft") this.remember(view);
    this.view = view;
    if (view.status === "confirmed" || view.status === "rejected") this.#close(view);
    const unsaved = this.mine ? this.outbox.unsaved(id) : {};
    this.form.show(view, { mine: this.mine, unsaved, refused: this.outbox.refused(id) });
    if (Object.keys(unsaved).length) this.outbox.flush(id).catch((error) => this.on.failed(id, error));
    this.transcript.show(view.draft, { mine: this.mine });
    this.strip.show(view, { mine: this.mine });
    if (same) this.form.relight();
    if (view.recording) this.player.load(view.recording, view.draft.call_id);
    else this.player.none(t("player.not_here"));
    this.actions();
  }

  /** A caller's words do not linger at this PC; what the draft was closed without is shown this once. */
  #close(view) {
    const id = view.draft.draft_id;
    for (const field of view.fields) {
      const typed = this.outbox.unsaved(id)[field.path];
      if (typed !== undefined && typed !== ORIGINAL && !sameValue(typed, field.value)) this.#unsent[field.path] = typed;
    }
    this.outbox.forget(id);
  }

  /** What this operator typed and the backend does not have, to read and to copy. */
  #unsentNote(edits) {
    const lines = Object.entries(edits).filter(([, value]) => value !== ORIGINAL)
      .map(([path, value]) => h("li", {}, `${fieldName(path)}：${valueText(path, value, { whole: true }) || t("field.none")}`));
    return lines.length ? h("div", { class: "state unsent" }, t("draft.unsent"), h("ul", {}, lines)) : "";
  }

  /** The backend has kept edits of the draft that is shown. */
  kept({ fields, version, revision, edits_count: editsCount }) {
    if (this.kind !== "draft") return;
    const id = this.view.draft.draft_id;
    if (revision !== this.view.draft.revision) {
      this.draft(id); // another tab of hers shows another revision by now
      return;
    }
    this.view = { ...this.view, fields, version, edits_count: editsCount };
    this.remember(this.view);
    this.form.show(this.view, { mine: this.mine, unsaved: this.outbox.unsaved(id), refused: this.outbox.refused(id) });
  }

  /** `here`: its draft has come. */
  live(call, here) {
    if (this.kind !== "live" || this.id !== call.call_id) {
      this.#asking?.abort();
      this.become("live", call.call_id);
      this.queue.unselect();
      this.#empty("");
      this.player.none(t("player.live"));
    }
    this.strip.clear();
    this.transcript.showLive(call.turns.filter(Boolean), t(here ? "live.draft_here" : call.ended ? "live.ended" : "live.going_on"));
    this.form.showLive(call, t(here ? "live.draft_here" : "live.fields"));
  }

  async case(one) {
    this.become("case", one.number);
    try {
      const fresh = await request("GET", `/api/drafts/${one.draft_id}`);
      if (this.kind !== "case" || this.id !== one.number) return;
      this.remember(fresh);
      this.render({ ...fresh, case_number: one.number, opened: one, status: one.voided_at ? "voided" : fresh.status });
    } catch (error) {
      this.form.clear(faultText(error));
    }
  }

  // ── the buttons under the draft ──

  actions() {
    const container = byId("actions");
    const focused = container.contains(document.activeElement);
    // What is typed while a deed is on its way would come too late for it.
    if (this.view) this.form.freeze(this.busy.has(this.view.draft.draft_id));
    container.replaceChildren(...this.#parts());
    if (focused) container.querySelector("button")?.focus();
  }

  #parts() {
    const { view, verbs } = this;
    const note = (text, name = "state") => h("p", { class: name }, text);
    if (this.mine) {
      return [
        this.#button(t("action.confirm"), "Ctrl Enter", verbs.confirm, { primary: true, keys: "Control+Enter" }),
        this.#button(t("action.return"), "r", verbs.giveBack), this.#button(t("action.reject"), "x", verbs.reject),
      ];
    }
    switch (view.status) {
      case "waiting": {
        const unsaved = Object.keys(this.outbox.unsaved(view.draft.draft_id)).length > 0;
        return [this.#button(t("action.take"), "Enter", verbs.take, { primary: true }), unsaved ? note(t("draft.unsaved")) : ""];
      }
      case "taken": {
        const who = note(t("draft.taken", { who: view.taken_by_name, time: shortTime(view.taken_at) }), "state taken");
        const parts = [who, this.#unsentNote(this.outbox.unsaved(view.draft.draft_id))];
        if (view.may_take_over) parts.push(this.#button(t("action.take_over"), "", () => verbs.take({ force: true })));
        return parts;
      }
      case "confirmed":
        return [note(t("draft.case", { number: view.case_number })), this.#unsentNote(this.#unsent)];
      case "voided":
        return [note(t("cases.voided"))];
      default:
        return [note(t("draft.rejected", { reason: view.reject_reason ?? "" })), this.#unsentNote(this.#unsent)];
    }
  }

  #button(text, key, verb, { primary = false, keys = key } = {}) {
    return h("button", {
      type: "button", class: primary ? "primary" : "ghost", "aria-keyshortcuts": keys || null,
      disabled: this.busy.has(this.view.draft.draft_id), on: { click: () => verb() },
    }, text, " ", h("kbd", {}, key));
  }
}
