// The draft at the right: a row a field, its sureness as word and shape, edited in place, all by keyboard.
import { h } from "./dom.js";
import { t, has } from "./words.js";
import { FIELDS, fieldName, sameValue, valueText } from "./fields.js";
import { EDITORS } from "./editors.js";
import { letters } from "./keys.js";
import { ORIGINAL } from "./outbox.js";
import { draftHead, liveFields, liveHead } from "./draft_head.js";
import { choicesOf, surenessOf, typedState } from "./field_state.js";
import { offersOf } from "./rehearing.js";

export class DraftForm {
  #rows = new Map(); // path -> row element
  #fields = new Map(); // path -> field as the backend shows it, with what was typed since
  #offers = new Map(); // path -> value as a newer revision has it
  #editing = null; // path
  #focused = null; // path
  #view = null;
  #mine = false;
  #frozen = false; // a deed is on its way

  /**
   * `on`: light(evidence), edit(path, value), alert(alert), wanted(path) when somebody wants to type in a draft not taken,
   * adopted(path, before) when a field was taken from a newer revision.
   */
  constructor({ head, container, actions, categories, on }) {
    Object.assign(this, { head, container, actions, categories, on });
    container.addEventListener("focusin", (event) => this.#focus(event.target.closest(".field")?.dataset.path ?? null));
    container.addEventListener("focusout", (event) => {
      // A dialog only borrows the focus: whoever was typing goes on where she was.
      if (!container.contains(event.relatedTarget) && !document.querySelector("dialog[open]")) this.#leave();
    });
    container.addEventListener("keydown", (event) => this.#key(event));
    actions.addEventListener("keydown", (event) => {
      if (event.key !== "Tab" || !event.shiftKey || event.target !== actions.querySelector("button")) return;
      event.preventDefault();
      this.#rows.get(this.#order().at(-1))?.focus();
    });
  }

  get draftId() {
    return this.#view?.draft.draft_id ?? null;
  }

  clear(note) {
    this.#view = null;
    this.#rows.clear();
    this.#editing = this.#focused = null;
    this.freeze(false);
    this.head.replaceChildren();
    this.container.replaceChildren(...(note ? [h("p", { class: "state" }, note)] : []));
    this.actions.replaceChildren();
  }

  /** Shows a draft; `mine`: this operator has taken it. Typing that is going on in the same draft goes on. */
  show(view, { mine, unsaved = {}, refused = {} }) {
    const same = this.draftId === view.draft.draft_id && this.#mine === mine && this.#rows.size > 0;
    this.#view = view;
    this.#mine = mine;
    this.#offers = offersOf(view, mine);
    for (const field of view.fields) {
      const typed = field.path in unsaved ? typedState(field, unsaved[field.path]) : {};
      this.#fields.set(field.path, { ...field, ...typed, problem: refused[field.path] });
    }
    this.head.replaceChildren(...draftHead(view, this.on.alert));
    if (same) {
      for (const { path } of FIELDS) if (path !== this.#editing) this.#fill(path);
      return;
    }
    this.#editing = null;
    this.#rows.clear();
    this.container.replaceChildren(...FIELDS.filter(({ path }) => this.#fields.has(path)).map(({ path }) => this.#row(path)));
    this.container.scrollTop = 0;
    this.#rove(this.#order()[0]);
  }

  /** What is understood so far of a call that goes on. */
  showLive(call, note) {
    this.clear();
    this.head.append(...liveHead(call));
    this.container.append(...liveFields(call));
    this.actions.append(h("p", { class: "state" }, note));
  }

  /** Focus on the first field to be checked, or the first at all. */
  focusFirst() {
    this.#rows.get(this.#order()[0])?.focus();
  }

  /** Focus on the field that had it last, or that Tab would come to. */
  focusAny() {
    [...this.#rows.values()].find((row) => row.tabIndex === 0)?.focus();
  }

  /** Nothing is typed nor chosen while `frozen`. */
  freeze(frozen) {
    if (frozen && this.#editing) this.#rest(this.#editing); // what the editor still holds goes with the deed
    this.#frozen = frozen;
    this.container.setAttribute("aria-busy", String(frozen));
  }

  get focusedEvidence() {
    return this.#focused ? this.#fields.get(this.#focused)?.evidence ?? [] : [];
  }

  /** Shows what the backend cannot take, each at its field; with `focus` the first gets it. False: no field is named. */
  showFaults(errors, { focus }) {
    const faulty = FIELDS.map(({ path }) => path).filter((path) =>
      errors.some(({ field = "" }) => field === path || field.startsWith(`${path}.`)));
    for (const path of faulty) {
      const { code } = errors.find(({ field = "" }) => field === path || field.startsWith(`${path}.`));
      this.#fields.get(path).fault = has(`fault.${code}`) ? t(`fault.${code}`) : t("fault.other");
      if (path !== this.#editing) this.#fill(path);
      else this.#showFault(path);
    }
    if (focus && faulty.length && this.#focused !== faulty[0]) this.#rows.get(faulty[0])?.focus();
    return faulty.length > 0;
  }

  /** Lights what the focused field comes from, in a transcript that is shown anew. */
  relight() {
    if (this.#focused) this.on.light(this.focusedEvidence);
  }

  /** Sets a field of the draft that is shown, as if it had been typed. */
  put(path, value) {
    if (!this.#mine || !this.#rows.has(path)) return;
    if (this.#editing === path) this.#stopEditing();
    this.#change(path, value);
    this.#fill(path);
  }

  /** Takes the alternative with this key (1 to 4), with 0 what the machine understood, with a what it understands now. */
  take(key) {
    const path = this.#focused;
    const field = this.#fields.get(path);
    if (!field || !this.#mine || this.#editing || this.#frozen) return false;
    const choice = choicesOf(field, this.#offer(field)).find((one) => one.key === key);
    if (!choice) return false;
    const before = field.edited ? field.value : ORIGINAL;
    this.#change(path, key === "0" ? ORIGINAL : choice.value ?? null);
    if (key === "a") this.on.adopted(path, before);
    this.#fill(path);
    return true;
  }

  edit(path = this.#focused ?? this.#order()[0]) {
    if (!path || !this.#view || this.#frozen) return;
    if (!this.#mine) {
      this.on.wanted(path);
      return;
    }
    if (this.#editing === path) return;
    this.#stopEditing();
    this.#editing = path;
    const field = FIELDS.find((one) => one.path === path);
    const row = this.#rows.get(path);
    this.editor = EDITORS[field.kind]({
      field, value: this.#fields.get(path).value, label: fieldName(path), categories: this.categories(),
      onInput: (value) => this.#change(path, value),
      onDone: () => this.#rest(path),
    });
    row.classList.add("editing");
    row.querySelector(".field-value").replaceChildren(this.editor.element);
    this.editor.focus();
  }

  // ── rows ──

  /** Fields to be checked first, then required ones that are empty, then the rest, each in the order of the page. */
  #order() {
    const rank = ({ path }) => {
      const { sureness, required } = this.#fields.get(path);
      if (sureness === "check") return 0;
      return sureness === "empty" && required ? 1 : 2;
    };
    return FIELDS.filter(({ path }) => this.#rows.has(path)).map((field) => ({ field, rank: rank(field) }))
      .sort((a, b) => a.rank - b.rank).map(({ field }) => field.path);
  }

  #row(path) {
    const row = h("div", {
      class: "field", role: "group", tabindex: -1, data: { path },
      on: {
        click: (event) => {
          if (event.target.closest(".alternative, input, select, textarea, .options")) return;
          if (this.#mine && event.target.closest(".field-value")) this.edit(path);
          else if (!this.#editing) row.focus();
        },
      },
    },
      h("span", { class: "field-name" }, fieldName(path)), h("div", { class: "field-value" }),
      h("span", { class: "sureness" }), h("div", { class: "field-more" }));
    this.#rows.set(path, row);
    this.#fill(path);
    return row;
  }

  #fill(path) {
    const row = this.#rows.get(path);
    if (!row) return;
    const field = this.#fields.get(path);
    const text = valueText(path, field.value, { whole: this.#focused === path });
    row.classList.remove("editing");
    row.querySelector(".field-value").replaceChildren(
      text ? h("span", {}, text) : h("span", { class: "quiet" }, t(field.required ? "field.required" : "field.empty")));
    this.#showSureness(row, field);
    const more = row.querySelector(".field-more");
    const onChip = more.contains(document.activeElement);
    more.replaceChildren(...(this.#mine ? this.#chips(path, field) : []));
    if (onChip) row.focus();
    row.toggleAttribute("data-offered", Boolean(this.#offer(field)));
    this.#showFault(path);
    const sureness = t(`sureness.${surenessOf(field)}`);
    row.setAttribute("aria-label", t("field.label", { name: fieldName(path), value: text || t("field.empty"), sureness }));
  }

  #showSureness(row, field) {
    const mark = row.querySelector(".sureness");
    mark.dataset.sureness = surenessOf(field);
    mark.textContent = t(`sureness.${surenessOf(field)}`);
    mark.title = field.edited ? t("field.original", { value: valueText(field.path, field.original) || t("field.empty") })
      : t("field.confidence", { percent: Math.round(100 * field.confidence) });
  }

  /** {value} of a newer revision, if it says otherwise than what stands here. */
  #offer({ path, value }) {
    const isNew = this.#offers.has(path) && !sameValue(this.#offers.get(path), value);
    return isNew ? { value: this.#offers.get(path) } : null;
  }

  #showFault(path) {
    const { fault, problem } = this.#fields.get(path);
    const row = this.#rows.get(path);
    row.querySelector(".fault")?.remove();
    const text = fault ?? (problem ? t("fault.other") : "");
    row.toggleAttribute("data-faulty", Boolean(text));
    if (text) row.append(h("span", { class: "fault", role: "alert" }, text));
  }

  #chips(path, field) {
    return choicesOf(field, this.#offer(field)).map(({ key, value, mark }) =>
      h("button", {
        type: "button", class: key === "a" ? "alternative again-chip" : "alternative", tabindex: -1, "aria-keyshortcuts": key,
        on: { click: () => { this.#rows.get(path).focus(); this.take(key); } },
      }, h("kbd", {}, key), " ", valueText(path, value) || t("field.none"), mark ? ` (${mark})` : ""));
  }

  #change(path, value) {
    const field = this.#fields.get(path);
    Object.assign(field, typedState(field, value), { problem: null, fault: null });
    this.#showSureness(this.#rows.get(path), field);
    this.#showFault(path);
    this.on.edit(path, value);
  }

  // ── focus ──

  #rove(path) {
    for (const [other, row] of this.#rows) row.tabIndex = other === path ? 0 : -1;
  }

  #focus(path) {
    if (path === this.#focused) return;
    const before = this.#focused;
    this.#focused = path;
    if (this.#editing && this.#editing !== path) this.#stopEditing();
    if (before) this.#fill(before);
    if (!path) return;
    this.#rove(path);
    if (this.#editing !== path) this.#fill(path);
    this.on.light(this.focusedEvidence);
  }

  #leave() {
    this.#stopEditing();
    const before = this.#focused;
    this.#focused = null;
    if (before) this.#fill(before);
    if (this.#view) this.#rove(this.#order()[0]);
    this.on.light([]);
  }

  #stopEditing() {
    const path = this.#editing;
    this.#editing = null;
    if (path) this.#fill(path);
  }

  /** The editor closes, the focus stays on its row; what was typed is already on its way. */
  #rest(path) {
    this.#rows.get(path).focus();
    this.#stopEditing();
  }

  #key(event) {
    const path = event.target.closest(".field")?.dataset.path;
    if (!path || event.isComposing || event.keyCode === 229) return;
    const editing = this.#editing === path;
    if (event.key === "Tab") this.#tab(event, path, editing);
    else if (event.key === "Escape" && editing) {
      event.preventDefault();
      event.stopPropagation();
      this.#rest(path);
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.altKey) {
      if (event.target.closest("button")) return;
      if (!editing) {
        event.preventDefault();
        event.stopPropagation();
        if (!event.repeat) this.edit(path);
      } else if (event.target.tagName !== "TEXTAREA") {
        event.preventDefault();
        event.stopPropagation();
        this.#rest(path);
      }
    } else if (!editing && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      event.stopPropagation();
      const paths = [...this.#rows.keys()];
      const next = paths[paths.indexOf(path) + (event.key === "ArrowDown" ? 1 : -1)];
      this.#rows.get(next)?.focus();
    }
  }

  #tab(event, path, editing) {
    const step = event.shiftKey ? -1 : 1;
    if (editing) {
      const inside = this.editor.parts.indexOf(event.target) + step;
      if (inside >= 0 && inside < this.editor.parts.length) return; // from part to part the browser's own way
    }
    // Without the digits the alternatives are reached as everything is: by Tab.
    const stops = letters.on ? [] : [this.#rows.get(path), ...this.#rows.get(path).querySelectorAll(".alternative")];
    const stop = stops[stops.indexOf(event.target) + step];
    if (!editing && stops.includes(event.target) && stop) {
      event.preventDefault();
      stop.focus();
      return;
    }
    const order = this.#order();
    const next = order[order.indexOf(path) + step];
    if (next) {
      event.preventDefault();
      this.#rows.get(next).focus();
    } else if (step > 0) {
      const button = this.actions.querySelector("button:not(:disabled)");
      if (button) {
        event.preventDefault();
        button.focus();
      }
    }
  }

  // ── head ──

  saving(state) {
    const mark = this.head.querySelector("#saving");
    if (mark) mark.textContent = t(`saving.${state}`);
  }
}
