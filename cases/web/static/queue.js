// The queue at the left. Rows come a page at a time; what happens elsewhere never moves the row under the cursor.
import { h, announce } from "./dom.js";
import { t, ago, shortTime } from "./words.js";
import { clock, request, session } from "./api.js";

const PAGE = 100;
const NEAR_THE_END = 20;

export class Queue {
  #rows = new Map(); // draft_id -> {item, element, gone}
  #order = [];
  #news = new Set(); // ids that came since the last look
  #left = new Set(); // ids that left the queue: an undo brings one back
  #next = null;
  #loading = null;
  #asked = 0;
  query = "";
  selected = null;

  /** `on`: select(id), open(id). */
  constructor({ list, scroll, state, counts, news, on }) {
    Object.assign(this, { list, scroll, state, counts, news, on });
    list.addEventListener("click", (event) => {
      const id = event.target.closest("[data-id]")?.dataset.id;
      if (id) this.select(id, { focus: true });
    });
    list.addEventListener("dblclick", (event) => {
      const id = event.target.closest("[data-id]")?.dataset.id;
      if (id) this.on.open(id);
    });
    scroll.addEventListener("scroll", () => {
      if (scroll.scrollTop + scroll.clientHeight > scroll.scrollHeight - 600) this.more().catch(() => {});
    }, { passive: true });
    news.addEventListener("click", () => this.showNews());
    setInterval(() => this.#showAges(), 20_000);
  }

  get length() {
    return this.#order.length;
  }

  item(id) {
    return this.#rows.get(id)?.item ?? null;
  }

  /** The draft of this call, if it is in the list. */
  ofCall(callId) {
    return this.#order.find((id) => this.item(id).call_id === callId) ?? null;
  }

  /** Reads the queue anew, as much of it as was read before. The selected row stays where it is on the screen. */
  async refresh() {
    this.#asked += 1;
    const asked = this.#asked;
    const wanted = Math.max(PAGE, this.#order.length);
    const items = [];
    let answer = null;
    do {
      answer = await this.#page(answer?.next ?? null);
      items.push(...answer.items);
    } while (answer.next && items.length < wanted && items.length < 2000);
    if (asked !== this.#asked) return null; // somebody asked again meanwhile
    this.#next = answer.next;
    const before = this.#rows.get(this.selected)?.element.getBoundingClientRect().top;
    this.#replace(items);
    const after = this.#rows.get(this.selected)?.element.getBoundingClientRect().top;
    if (before !== undefined && after !== undefined) this.scroll.scrollTop += after - before;
    this.#count(answer);
    return answer;
  }

  /** Reads the next page, if there is one; resolves when it is in the list. */
  more() {
    if (!this.#next) return Promise.resolve();
    this.#loading ??= this.#readMore().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #readMore() {
    const asked = this.#asked;
    const answer = await this.#page(this.#next);
    if (asked !== this.#asked) return;
    this.#next = answer.next;
    const fresh = answer.items.filter((item) => !this.#rows.has(item.draft_id));
    for (const item of fresh) this.#add(item);
    this.list.append(...fresh.map((item) => this.#rows.get(item.draft_id).element));
    this.#count(answer);
  }

  #page(after) {
    const parameters = new URLSearchParams({ limit: String(PAGE) });
    if (this.query) parameters.set("q", this.query);
    if (after) parameters.set("after", after);
    return request("GET", `/api/queue?${parameters}`);
  }

  #replace(items) {
    const held = this.selected && this.#rows.get(this.selected);
    const focused = held && document.activeElement === held.element;
    this.#order = [];
    const old = this.#rows;
    this.#rows = new Map();
    for (const item of items) this.#add(item, old.get(item.draft_id)?.element);
    this.#news.clear();
    this.#showNews();
    this.list.replaceChildren(...this.#order.map((id) => this.#rows.get(id).element));
    if (this.selected && !this.#rows.has(this.selected)) this.selected = null;
    this.#mark();
    if (focused) this.#rows.get(this.selected)?.element.focus({ preventScroll: true });
  }

  #add(item, element = h("li", { role: "option", class: "row", tabindex: -1, data: { id: item.draft_id } })) {
    const row = { item, element, gone: false };
    this.#rows.set(item.draft_id, row);
    this.#order.push(item.draft_id);
    this.#fill(row);
  }

  // ── what happens elsewhere ──

  /** SSE `queue`: {change, draft_id, item, urgent, waiting}. */
  apply({ change, draft_id: id, item, urgent, waiting }) {
    if (item) this.#put(item, change === "added" || this.#left.delete(id));
    else this.#remove(id);
    this.#count({ urgent, waiting });
  }

  /** `came`: it is new in the queue, or back in it; anything else happens to a row that is only not read yet. */
  #put(item, came) {
    const row = this.#rows.get(item.draft_id);
    if (row) {
      row.item = item;
      row.gone = false;
      this.#fill(row);
    } else if (came && !this.query) {
      // An empty list has no row that could move; a longer one says quietly that there is more.
      this.#news.add(item.draft_id);
      if (this.#order.length === 0) this.showNews();
      else this.#showNews(true);
    }
  }

  /** It left the queue: its row stays, struck out, until the list is read anew. */
  #remove(id) {
    this.#left.add(id);
    this.#news.delete(id);
    this.#showNews();
    const row = this.#rows.get(id);
    if (row) {
      row.gone = true;
      this.#fill(row);
    }
  }

  #showNews(say = false) {
    const n = this.#news.size;
    this.news.hidden = n === 0;
    this.news.textContent = n ? t("queue.news", { n }) : "";
    if (say && n) announce(t("queue.news", { n }));
  }

  /** The operator asks for what is new. */
  async showNews() {
    const wasEmpty = this.#order.length === 0;
    await this.refresh();
    if (wasEmpty && !this.selected) this.select(this.first());
  }

  #count({ urgent, waiting }) {
    this.counts.textContent = t("queue.counts", { urgent, waiting });
    const empty = this.#order.length === 0;
    this.state.hidden = !empty;
    this.state.textContent = empty ? t(this.query ? "queue.nothing_found" : "queue.empty") : "";
  }

  // ── moving about ──

  first() {
    return this.#order.find((id) => !this.#rows.get(id).gone) ?? null;
  }

  /** One that this operator has already taken. */
  mine() {
    return this.#order.find((id) => this.item(id).taken_by === session.user?.name) ?? null;
  }

  /** The row `step` below; one that has gone is passed over. */
  neighbour(step, from = this.selected) {
    const at = this.#order.indexOf(from);
    if (at < 0) return this.first();
    for (let index = at + step; index >= 0 && index < this.#order.length; index += step) {
      if (!this.#rows.get(this.#order[index]).gone) return this.#order[index];
    }
    return null;
  }

  /** The next one to do after `from`: an urgent one wherever it stands, else the one below, else any that nobody has. */
  nextWaiting(from = this.selected) {
    const free = this.#order.filter((id) => id !== from && !this.#rows.get(id).gone && !this.item(id).taken_by);
    const at = this.#order.indexOf(from);
    return free.find((id) => isUrgent(this.item(id))) ?? free.find((id) => this.#order.indexOf(id) > at) ?? free[0] ?? null;
  }

  /** Moves by a row; at the end of what was read, as soon as there is more. */
  async move(step) {
    let next = this.neighbour(step);
    if (!next && step > 0 && this.#next) {
      await this.more();
      next = this.neighbour(step);
    }
    if (next) this.select(next, { focus: true });
  }

  select(id, { focus = false } = {}) {
    if (id && !this.#rows.has(id)) return;
    this.selected = id;
    this.#mark();
    const row = this.#rows.get(id);
    if (row) {
      if (focus) row.element.focus({ preventScroll: true });
      row.element.scrollIntoView({ block: "nearest" });
      if (this.#order.length - this.#order.indexOf(id) < NEAR_THE_END) this.more().catch(() => {});
    }
    this.on.select(id);
  }

  unselect() {
    this.selected = null;
    this.#mark();
  }

  focus() {
    const row = this.#rows.get(this.selected ?? this.first());
    row?.element.focus();
  }

  #mark() {
    this.#markedElement?.setAttribute("aria-selected", "false");
    if (this.#markedElement) this.#markedElement.tabIndex = -1;
    const row = this.#rows.get(this.selected) ?? this.#rows.get(this.first());
    this.#markedElement = row?.element ?? null;
    if (!row) return;
    row.element.tabIndex = 0;
    row.element.setAttribute("aria-selected", String(Boolean(this.selected)));
  }
  #markedElement = null;

  // ── a row ──

  #fill({ item, element, gone }) {
    const mine = item.taken_by !== null && item.taken_by === session.user?.name;
    const urgent = isUrgent(item);
    element.className = ["row", urgent && "urgent", item.taken_by && !mine && "elsewhere", mine && "mine", gone && "gone"].filter(Boolean).join(" ");
    element.replaceChildren(
      h("span", { class: "mark", "aria-hidden": "true" }),
      h("span", { class: "row-title", title: [item.category, item.place].filter(Boolean).join("\n") || null }, title(item)),
      h("time", { class: "row-age", datetime: item.received_at }, ago(item.received_at, clock.now())),
      h("span", { class: "row-subject" }, item.subject || t("queue.no_subject")),
      h("span", { class: "row-notes" }, notes(item, { mine, gone })),
    );
  }

  #showAges() {
    for (const { item, element } of this.#rows.values()) {
      const age = element.querySelector(".row-age");
      const text = ago(item.received_at, clock.now());
      if (age.textContent !== text) age.textContent = text;
    }
  }
}

/** 供暖 · 上地街道: the first level and the nearest official name are what tells two rows apart. */
function title({ category, place }) {
  const [district, street] = place.split(" ");
  return [category.split(" › ")[0] || t("queue.no_category"), street || district].filter(Boolean).join(" · ");
}

const isUrgent = (item) => item.rank <= 2; // 0 alert, 1 emergency, 2 urgent, 3 routine

function notes(item, { mine, gone }) {
  if (gone) return [t("queue.gone")];
  const found = [];
  if (mine) found.push(t("queue.mine"));
  else if (item.taken_by) found.push(t("queue.taken", { who: item.taken_by_name, time: shortTime(item.taken_at) }));
  if (item.urgency !== "routine") found.push(t(`urgency.${item.urgency}`));
  found.push(...item.alerts.filter((kind) => kind !== item.urgency).map((kind) => t(`alert.${kind}`)));
  if (item.pending) found.push(t("queue.pending"));
  if (item.offered) found.push(t("queue.offered"));
  else if (item.revision) found.push(t("queue.again"));
  if (item.unsure) found.push(t("queue.unsure", { n: item.unsure }));
  if (!item.complete) found.push(t("queue.incomplete"));
  return found.map((text) => h("span", { class: "note" }, text));
}
