// What was just done, with its way back: visible for as long as it can be undone.
import { h } from "./dom.js";
import { t } from "./words.js";
import { clock } from "./api.js";

const SHOWN_MS = 6000;

export class Toasts {
  #undoable = []; // the latest last

  constructor(container) {
    this.container = container;
    setInterval(() => this.#tick(), 250);
  }

  /** A line that goes by itself. */
  say(text, { grave = false } = {}) {
    const toast = h("div", { class: grave ? "toast grave" : "toast" }, h("span", {}, text));
    this.container.append(toast);
    while (this.container.children.length > 4) this.container.firstChild.remove();
    setTimeout(() => toast.remove(), grave ? 2 * SHOWN_MS : SHOWN_MS);
  }

  /** Something that `undo()` can take back until `until` (ISO, the backend's clock), unless its `subject` is closed before. */
  offer(text, until, undo, subject = null) {
    const left = h("span", { class: "left", "aria-hidden": "true" });
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    const entry = { untilMs: Date.parse(until), undo, subject, left, bar, fromMs: clock.now() };
    entry.toast = h("div", { class: "toast undoable" },
      h("span", {}, text),
      h("button", { type: "button", on: { click: () => this.#take(entry) } }, t("undo.button"), " ", h("kbd", {}, "u")),
      left, bar);
    this.#undoable.push(entry);
    this.container.append(entry.toast);
    this.#tick();
  }

  /** What was done to this subject can no longer be taken back step by step. */
  close(subject) {
    for (const entry of this.#undoable) if (entry.subject === subject) this.#drop(entry);
  }

  /** Takes back the latest thing; false when there is none. */
  undo() {
    const entry = this.#undoable.at(-1);
    if (entry) this.#take(entry);
    return Boolean(entry);
  }

  #take(entry) {
    this.#drop(entry);
    entry.undo();
  }

  #drop(entry) {
    entry.toast.remove();
    this.#undoable = this.#undoable.filter((one) => one !== entry);
  }

  #tick() {
    const now = clock.now();
    for (const entry of [...this.#undoable]) {
      const leftMs = entry.untilMs - now;
      if (leftMs <= 0) this.#drop(entry);
      else {
        entry.left.textContent = t("undo.left", { n: Math.ceil(leftMs / 1000) });
        entry.bar.style.setProperty("--left", `${Math.min(100, (100 * leftMs) / Math.max(1, entry.untilMs - entry.fromMs))}%`);
      }
    }
  }
}
