// A draft that was heard again: above the fields what has changed, or what is offered, and its two answers; in the transcript
// the words that differ. Nothing here changes what an operator typed.
import { h } from "./dom.js";
import { t } from "./words.js";
import { fieldName, valueText } from "./fields.js";

const CONTEXT = 8; // characters of what stayed the same, before and after a difference

/** The newest revision that this view knows of. */
export const newestOf = (view) => Math.max(view.draft.revision, view.offered?.revision ?? 0);

/** Whether this change of a draft (SSE `draft`) tells of another revision, or another answer to one, than is shown. */
export const isRevised = (view, { revision, newest, dismissed }) =>
  revision !== view.draft.revision || newest !== newestOf(view) || dismissed !== view.dismissed;

/** The fields that are offered otherwise: path -> value. Empty unless it is hers to answer. */
export function offersOf(view, mine) {
  const { offered, dismissed } = view;
  if (!mine || !offered || offered.revision <= dismissed) return new Map();
  return new Map(offered.fields.map(({ path, newer }) => [path, newer]));
}

export class RehearingStrip {
  #view = null;
  #mine = false;
  #opened = new Map(); // draft_id/revision -> whether its details are shown, as somebody chose

  /** `verbs`: adopt, dismiss, offerAgain; `on`: left() when the focused button has gone. */
  constructor({ container, transcript, verbs, on }) {
    Object.assign(this, { container, transcript, verbs, on });
  }

  clear() {
    this.#view = null;
    this.container.hidden = true;
    this.container.replaceChildren();
  }

  show(view, { mine }) {
    this.#view = view;
    this.#mine = mine;
    const focused = this.container.contains(document.activeElement) ? document.activeElement.dataset.verb : null;
    const what = this.#what();
    this.container.hidden = !what;
    this.container.replaceChildren(...(what ? this.#parts(what) : []));
    this.transcript.showChanges(what && this.#open(what) ? this.#rows(what) : []);
    if (!focused) return;
    const button = this.container.querySelector(`[data-verb="${focused}"]:not(:disabled)`);
    if (button) button.focus();
    else this.on.left();
  }

  /** Shows or hides the details. False: there are none. */
  toggle() {
    const what = this.#what();
    if (!what) return false;
    this.#opened.set(what.key, !this.#open(what));
    this.show(this.#view, { mine: this.#mine });
    return true;
  }

  /** What is to be told: an offer first, else what was replaced. */
  #what() {
    const view = this.#view;
    const other = view?.offered ?? view?.replaced;
    if (!other) return null;
    const key = `${view.draft.draft_id}/${other.revision}`;
    if (other === view.replaced) return { key, kind: "replaced", other };
    if (view.status !== "waiting" && view.status !== "taken") return { key, kind: "closed", other };
    return { key, kind: other.revision <= view.dismissed ? "dismissed" : "offered", other };
  }

  #open({ key, kind }) {
    return this.#opened.get(key) ?? (kind === "offered" && this.#mine);
  }

  #parts(what) {
    const { kind, other } = what;
    const open = this.#open(what);
    const buttons = [this.#button("changes", t(open ? "again.hide" : "again.show"), "w", () => this.toggle(), { "aria-expanded": String(open) })];
    if (this.#mine && kind === "offered") {
      buttons.unshift(
        this.#button("adopt", t("again.adopt"), "A", this.verbs.adopt), this.#button("dismiss", t("again.dismiss"), "d", this.verbs.dismiss));
    } else if (this.#mine && kind === "dismissed") {
      buttons.unshift(this.#button("offer", t("again.offer"), "d", this.verbs.offerAgain));
    }
    return [
      h("p", { class: "again-text" }, t(`again.${kind}`, { what: summary(other) })),
      h("div", { class: "again-buttons" }, buttons),
      open ? this.#fields(what) : null,
    ].filter(Boolean);
  }

  #button(verb, text, key, act, more = {}) {
    return h("button", { type: "button", class: "ghost", "aria-keyshortcuts": key === "A" ? "Shift+A" : key, data: { verb }, on: { click: () => act() }, ...more },
      text, " ", h("kbd", {}, key));
  }

  #fields({ kind, other }) {
    if (!other.fields.length || (kind === "offered" && this.#mine)) return null; // then each stands at its field
    const value = (path, one) => valueText(path, one) || t("field.none");
    return h("ul", { class: "again-fields", tabindex: 0, "aria-label": t("again.list") }, other.fields.map(({ path, older, newer, kept }) =>
      h("li", {}, h("span", { class: "field-name" }, fieldName(path)), " ",
        h("del", {}, value(path, older)), " → ", h("ins", {}, value(path, newer)),
        kept && kind !== "closed" ? h("span", { class: "quiet" }, ` ${t("again.kept")}`) : null)));
  }

  #rows({ kind, other }) {
    return other.turns.filter(({ late }) => !late || kind !== "replaced").map(({ turn, pieces, late }) => ({
      turn,
      row: h("div", { class: "turn change" }, h("span", { class: "clock" }),
        h("span", { class: "who", title: t("again.title") }, t("again.who")),
        h("div", { class: "words", role: "group", "aria-label": t(late ? "again.late_words" : `again.words_${kind === "replaced" ? "before" : "now"}`) },
          pieces.map((piece, index) => shownPiece(piece, index === 0, index === pieces.length - 1)))),
    }));
  }
}

function summary({ turns, fields }) {
  const late = turns.filter((turn) => turn.late).length;
  const found = [];
  if (turns.length > late) found.push(t("again.turns", { n: turns.length - late }));
  if (late) found.push(t("again.late", { n: late }));
  if (fields.length) found.push(t("again.fields", { n: fields.length }));
  return found.join(t("again.and")) || t("again.same");
}

function shownPiece({ kind, text }, isFirst, isLast) {
  if (kind !== "same") return h(kind === "old" ? "del" : "ins", {}, text);
  const characters = [...text];
  const head = isFirst ? "" : characters.slice(0, CONTEXT).join("");
  const tail = isLast ? "" : characters.slice(-CONTEXT).join("");
  const whole = characters.length <= (head ? CONTEXT : 0) + (tail ? CONTEXT : 0) + 2;
  return h("span", {}, whole ? text : `${head}…${tail}`);
}
