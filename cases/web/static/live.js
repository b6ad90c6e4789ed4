// Calls that go on: a row each with its running words, and the turns as far as this desk has heard them.
import { h, announce } from "./dom.js";
import { t, duration, maskNumber } from "./words.js";
import { clock } from "./api.js";

const KEPT_AFTER_END_MS = 30_000; // its draft usually comes within seconds

export class LiveCalls {
  #calls = new Map(); // call_id -> call
  selected = null;

  /** `on`: select(call), changed(call) of the selected one. */
  constructor({ panel, list, on }) {
    Object.assign(this, { panel, list, on });
    list.addEventListener("click", (event) => {
      const id = event.target.closest("[data-call]")?.dataset.call;
      if (id) this.select(id, true);
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      this.move(step);
    });
    setInterval(() => this.#tick(), 1000);
  }

  get(callId) {
    return this.#calls.get(callId) ?? null;
  }

  /** What the backend knows of all calls, after a start or a gap. */
  reset(snapshot) {
    const known = new Set(snapshot.map((call) => call.call_id));
    for (const id of this.#calls.keys()) if (!known.has(id)) this.delivered(id); // it went in the gap
    for (const one of snapshot) {
      const call = this.#ensure(one.call_id, one.started_at);
      Object.assign(call, { caller_number: one.caller_number, step: one.step, fields: one.fields, alerts: [...one.alerts], ended: one.ended });
      if (!call.turns.some(Boolean)) call.turns[0] = { prompt: one.prompt, text: one.text, digits: "", partial: true };
      this.#show(call);
      if (call.call_id === this.selected) this.on.changed(call);
    }
    this.#showPanel();
  }

  /** SSE `live`: one LiveUpdate. */
  apply(update) {
    if (update.kind === "ended" && !this.#calls.has(update.call_id)) return;
    const call = this.#ensure(update.call_id, update.at);
    if (update.sequence <= call.sequence) return;
    call.sequence = update.sequence;
    learn(call, update);
    this.#show(call);
    this.#showPanel();
    if (update.call_id === this.selected) this.on.changed(call);
  }

  /** Its draft is here, or its updates have stopped. */
  delivered(callId) {
    const call = this.#calls.get(callId);
    if (!call) return;
    if (callId === this.selected) {
      call.ended = true;
      this.on.changed(call);
    } else this.#drop(callId);
    this.#showPanel();
  }

  select(callId, focus = false) {
    const call = this.#calls.get(callId);
    if (!call) return;
    this.selected = callId;
    this.#mark();
    if (focus) call.element.focus();
    this.on.select(call);
  }

  unselect() {
    const id = this.selected;
    this.selected = null;
    if (id && this.#calls.get(id)?.ended) this.#drop(id);
    this.#mark();
    this.#showPanel();
  }

  move(step) {
    const ids = [...this.#calls.keys()];
    const at = ids.indexOf(this.selected);
    const next = at < 0 ? ids[0] : ids[at + step];
    if (next) this.select(next, true);
  }

  #ensure(callId, startedAt) {
    let call = this.#calls.get(callId);
    if (!call) {
      call = {
        call_id: callId, started_at: startedAt, caller_number: null, step: "", fields: {}, alerts: [], turns: [], ended: false,
        ended_at: 0, sequence: -1,
        element: h("li", { role: "option", class: "row live-row", tabindex: -1, "aria-selected": "false", data: { call: callId } }),
      };
      call.parts = {
        title: h("span", { class: "row-title" }), age: h("span", { class: "row-age" }), text: h("span", { class: "row-subject" }),
        notes: h("span", { class: "row-notes" }),
      };
      call.element.append(h("span", { class: "mark", "aria-hidden": "true" }), ...Object.values(call.parts));
      this.#calls.set(callId, call);
      this.list.append(call.element);
      this.#mark();
    }
    return call;
  }

  #show(call) {
    const { title, age, text, notes } = call.parts;
    const known = [call.fields.category, call.fields.place].filter(Boolean).join(" · ");
    title.textContent = known || maskNumber(call.caller_number ?? t("draft.no_number"));
    age.textContent = duration((clock.now() - Date.parse(call.started_at)) / 1000);
    const last = call.turns.filter(Boolean).at(-1);
    // The end of what is being said is what is new.
    text.textContent = call.ended ? t("live.ended") : ending(last?.text || last?.prompt || t("live.started"));
    notes.replaceChildren(...call.alerts.map((kind) => h("span", { class: "note" }, t(`alert.${kind}`))));
    call.element.classList.toggle("urgent", call.alerts.length > 0);
  }

  #tick() {
    for (const call of this.#calls.values()) {
      if (!call.ended) call.parts.age.textContent = duration((clock.now() - Date.parse(call.started_at)) / 1000);
      else if (call.call_id !== this.selected && Date.now() - call.ended_at > KEPT_AFTER_END_MS) this.#drop(call.call_id);
    }
    this.#showPanel();
  }

  #drop(callId) {
    this.#calls.get(callId)?.element.remove();
    this.#calls.delete(callId);
  }

  #mark() {
    let first = true;
    for (const [id, call] of this.#calls) {
      const selected = id === this.selected;
      call.element.setAttribute("aria-selected", String(selected));
      call.element.tabIndex = selected || (first && !this.selected) ? 0 : -1;
      first = false;
    }
  }

  #showPanel() {
    this.panel.hidden = this.#calls.size === 0;
  }
}

const ROW_WIDTH = 28; // in Latin letters; a Chinese character is two

/** The end of a text, as much as a row can show. */
function ending(text) {
  const characters = [...text];
  let width = 0;
  let from = characters.length;
  while (from > 0 && (width += characters[from - 1] > "\u2e7f" ? 2 : 1) <= ROW_WIDTH) from -= 1;
  return (from > 0 ? "…" : "") + characters.slice(from).join("");
}

function learn(call, update) {
  call.step = update.step || call.step;
  call.caller_number = update.caller_number ?? call.caller_number;
  const turn = () => (call.turns[update.turn] ??= { prompt: "", text: "", digits: "", said: "", partial: false });
  switch (update.kind) {
    case "started":
      call.started_at = update.at;
      break;
    case "prompt":
      turn().prompt = update.text;
      break;
    case "partial":
      Object.assign(turn(), { text: update.text, partial: true });
      break;
    case "final":
      Object.assign(turn(), { text: update.text, partial: false });
      break;
    case "digits":
      turn().digits = update.text;
      break;
    case "fields":
      call.fields = update.fields;
      break;
    case "alert":
      if (!call.alerts.includes(update.text)) {
        call.alerts.push(update.text);
        announce(t("live.alert", { alert: t(`alert.${update.text}`) }));
      }
      break;
    case "ended":
      Object.assign(call, { ended: true, ended_at: Date.now() });
      break;
  }
}
