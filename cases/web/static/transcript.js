// What was said: turns of machine and caller, words that can be heard, evidence lit.
import { h, patchChildren } from "./dom.js";
import { t, has, duration, maskNumber } from "./words.js";

const DOUBTFUL = 0.5; // a word that the recogniser itself gives less is marked

export class Transcript {
  #words = []; // {element, start, end, turn, from, to}: in the order of their seconds; from/to in code points
  #turns = []; // per turn: {key, rows, prompt: {text, row}|null, pieces: [{element, from, to}], words, digits: element|null, plain, pending: [from, to]|null}
  #notes = [];
  #changes = []; // what another revision says: {turn, row}
  #draftId = null;
  #heard = null;
  #lit = [];
  #liveTurns = 0;

  /** `onWord(seconds)`: it is to be played from there; `onSpan([from, to])`: just these seconds. */
  constructor(container, { onWord, onSpan }) {
    this.container = container;
    container.addEventListener("click", (event) => {
      const word = this.#words.find((candidate) => candidate.element === event.target.closest(".word"));
      if (word && !String(getSelection())) onWord(word.start);
      const clock = event.target.closest("[data-from]");
      if (clock?.dataset.to) onSpan([Number(clock.dataset.from), Number(clock.dataset.to)]);
      else if (clock) onWord(Number(clock.dataset.from));
    });
  }

  clear(note = "") {
    this.#reset();
    this.container.replaceChildren(...(note ? [h("p", { class: "state" }, note)] : []));
  }

  /** Shows a draft's turns; `mine`: this operator has taken it. Turns of the same draft that say the same are not touched. */
  show(draft, { mine = false } = {}) {
    const same = this.#draftId === draft.draft_id;
    if (!same) this.#reset();
    this.#draftId = draft.draft_id;
    this.#changes = [];
    this.#turns = draft.turns.map((turn, index) => {
      const cuts = turn.words.length ? null : cutsOf(draft, index);
      const key = JSON.stringify([turn, cuts]);
      const old = this.#turns[index];
      return old?.key === key ? old : this.#turn(turn, index, { cuts, key, old });
    });
    this.#words = this.#turns.flatMap((turn) => turn.words).sort((a, b) => a.start - b.start);
    this.#lit = this.#lit.filter((element) => this.#turns.some((turn) => turn.rows.some((row) => row.contains(element))));
    if (!this.#words.includes(this.#heard)) this.#heard = null;
    this.#notes = notesOf(draft, mine).map((text) => h("p", { class: "state" }, text));
    this.#lay();
    if (!same) this.container.scrollTop = 0;
  }

  /** Beside the turns, what another revision says of them: [{turn, row}]. */
  showChanges(changes) {
    this.#changes = changes;
    this.#lay();
  }

  /** [from, to] seconds of what was recorded and has no words yet. */
  get pendingSpans() {
    return this.#turns.map((turn) => turn.pending).filter(Boolean);
  }

  #lay() {
    const rows = this.#turns.flatMap((turn, index) => [...turn.rows, ...this.#changesAt((at) => at === index)]);
    patchChildren(this.container, [...rows, ...this.#changesAt((at) => at >= this.#turns.length), ...this.#notes]);
  }

  #changesAt(wanted) {
    return this.#changes.filter(({ turn }) => wanted(turn)).map(({ row }) => row);
  }

  /** A call that is going on: `turns` [{prompt, text, digits, partial}]. Keeps to the end unless the reader scrolled up. */
  showLive(turns, note) {
    const atEnd = this.container.scrollHeight - this.container.scrollTop - this.container.clientHeight < 40;
    if (turns.length < this.#liveTurns || this.#draftId) this.#reset();
    this.#liveTurns = turns.length;
    this.container.replaceChildren(
      ...turns.flatMap((turn) => [
        turn.prompt ? bubble("machine", h("span", {}, turn.prompt)) : null,
        turn.text ? bubble("caller", h("span", { class: turn.partial ? "partial" : "" }, turn.text)) : null,
        turn.digits ? bubble("caller", h("span", { class: "keys" }, t("said.keys"), " ", maskNumber(turn.digits))) : null,
      ]).filter(Boolean),
      h("p", { class: "state" }, note),
    );
    if (atEnd) this.container.scrollTop = this.container.scrollHeight;
  }

  #reset() {
    this.#words = [];
    this.#turns = [];
    this.#notes = [];
    this.#changes = [];
    this.#draftId = null;
    this.#lit = [];
    this.#heard = null;
    this.#liveTurns = 0;
  }

  #turn(turn, index, { cuts, key, old }) {
    const entry = { key, rows: [], prompt: null, pieces: [], words: [], digits: null, plain: turn.digits, pending: null };
    const { rows } = entry;
    if (turn.prompt) {
      // What we said ourselves is not heard otherwise.
      entry.prompt = old?.prompt?.text === turn.prompt ? old.prompt : { text: turn.prompt, row: bubble("machine", h("span", {}, turn.prompt)) };
      rows.push(entry.prompt.row);
    }
    if (turn.pending) rows.push(pendingBubble(turn, entry));
    if (turn.text) {
      const body = h("span", { class: turn.final ? "" : "partial" });
      if (turn.words.length) this.#appendWords(body, turn, index, entry);
      else appendPieces(body, turn, cuts, entry);
      rows.push(bubble("caller", body, turn.words[0]?.start_seconds ?? turn.heard_from_seconds));
    }
    if (turn.digits) {
      entry.digits = h("span", { class: "number" }, maskNumber(turn.digits));
      rows.push(bubble("caller", h("span", { class: "keys" }, t("said.keys"), " ", entry.digits), turn.heard_from_seconds));
    }
    return entry;
  }

  #appendWords(body, turn, index, entry) {
    let at = 0;
    for (const word of turn.words) {
      const length = [...word.text].length;
      const doubtful = word.confidence < DOUBTFUL;
      // A word of the city's own lists stands where something else was heard: that stays to be seen.
      const note = word.heard ? t("said.listed", { heard: word.heard }) : doubtful ? t("said.doubtful") : null;
      const kind = word.heard ? "word listed" : doubtful ? "word doubtful" : "word";
      const element = h("span", { class: kind, title: note, "aria-description": word.heard ? note : null }, word.text);
      body.append(element);
      const piece = { element, from: at, to: at + length };
      entry.pieces.push(piece);
      entry.words.push({ ...piece, start: word.start_seconds, end: word.end_seconds, turn: index });
      at += length;
    }
  }

  /** Lights the words that a field came from; returns their [from, to] seconds. */
  light(evidence) {
    for (const entry of this.#turns) if (entry?.digits) entry.digits.textContent = maskNumber(entry.plain);
    for (const element of this.#lit) element.classList.remove("lit");
    this.#lit = [];
    const spans = [];
    for (const one of evidence) {
      const entry = this.#turns[one.turn];
      if (!entry) continue;
      if (one.start_char === one.end_char && entry.digits) {
        entry.digits.textContent = entry.plain; // whoever looks at the number may see it whole
        this.#lit.push(entry.digits);
      }
      for (const piece of entry.pieces) {
        if (piece.from < one.end_char && piece.to > one.start_char) this.#lit.push(piece.element);
      }
      const span = this.#span(one);
      if (span) spans.push(span);
    }
    for (const element of this.#lit) element.classList.add("lit");
    this.#lit[0]?.closest(".turn").scrollIntoView({ block: "nearest" });
    return spans;
  }

  #span(one) {
    if (one.start_seconds !== null && one.end_seconds !== null) return [one.start_seconds, one.end_seconds];
    const words = this.#words.filter((word) => word.turn === one.turn && word.from < one.end_char && word.to > one.start_char);
    return words.length ? [words[0].start, words.at(-1).end] : null;
  }

  /** Marks the word that is heard at `seconds`. */
  mark(seconds, playing) {
    const word = this.#at(seconds);
    if (word === this.#heard) return;
    this.#heard?.element.classList.remove("heard");
    this.#heard = word;
    if (!word) return;
    word.element.classList.add("heard");
    if (playing) word.element.closest(".turn").scrollIntoView({ block: "nearest" });
  }

  #indexAt(seconds) {
    let [low, high] = [0, this.#words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#words[middle].start <= seconds + 0.001) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #at(seconds) {
    const word = this.#words[this.#indexAt(seconds)];
    return word && seconds <= word.end + 0.05 ? word : null;
  }

  /** Seconds where the next (+1) or the previous (-1) word begins; null when there is none. */
  neighbour(seconds, step) {
    const index = this.#indexAt(seconds);
    // Just into a word, "previous" means the one before; later it means its own beginning, as players do.
    const own = step < 0 && this.#words[index] && seconds - this.#words[index].start > 0.3;
    return this.#words[index + (own ? 0 : step)]?.start ?? null;
  }
}

function bubble(who, body, seconds = null) {
  const clock = seconds === null || seconds === undefined
    ? h("span", { class: "clock" })
    : h("span", { class: "clock", data: { from: seconds } }, duration(seconds));
  return h("div", { class: `turn ${who}` }, clock, h("span", { class: "who" }, t(`said.${who}`)), h("div", { class: "words" }, body));
}

/** Recorded, and not yet transcribed: it can be heard already. */
function pendingBubble(turn, entry) {
  const { heard_from_seconds: from, heard_to_seconds: to } = turn;
  const known = from !== null && to !== null && from !== undefined && to !== undefined;
  if (known) entry.pending = [from, to];
  const listen = h("button", { type: "button", class: "alternative", data: { from, to } },
    "▶ ", t("said.listen", { seconds: duration(to - from) }));
  return bubble("caller", h("span", { class: "pending" }, t("said.pending_turn"), known ? [" ", listen] : null), from);
}

/** What the transcript says of itself, below its turns. */
function notesOf(draft, mine) {
  const { turns, hung_up_at_step: step } = draft;
  const notes = [];
  if (turns.some((turn) => turn.pending)) notes.push(t(mine ? "said.pending_mine" : "said.pending"));
  else if (!turns.some((turn) => turn.text || turn.digits)) notes.push(t("said.not_transcribed"));
  if (turns.some((turn) => !turn.final && turn.text)) notes.push(t("said.partial"));
  if (step) notes.push(t("said.hung_up", { step: has(`step.${step}`) ? t(`step.${step}`) : step }));
  return notes;
}

/** Where the text of a turn without word times is cut, so that evidence in it can be lit. */
function cutsOf(draft, index) {
  const cuts = new Set();
  for (const one of evidenceOf(draft)) if (one.turn === index) cuts.add(one.start_char).add(one.end_char);
  return [...cuts].sort((a, b) => a - b);
}

function appendPieces(body, turn, cuts, entry) {
  const characters = [...turn.text];
  const sorted = [...new Set([0, ...cuts, characters.length])];
  for (let i = 0; i + 1 < sorted.length; i += 1) {
    const [from, to] = [sorted[i], sorted[i + 1]];
    const element = h("span", {}, characters.slice(from, to).join(""));
    body.append(element);
    entry.pieces.push({ element, from, to });
  }
}

function evidenceOf(draft) {
  const understood = [...Object.values(draft), ...Object.values(draft.caller ?? {}), ...(draft.alerts ?? [])];
  return understood.flatMap((one) => (Array.isArray(one?.evidence) ? one.evidence : []));
}
