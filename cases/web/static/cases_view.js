// Confirmed cases at the left: found by number, words or caller, newest first; the case itself is shown read-only.
import { h } from "./dom.js";
import { t, shortTime } from "./words.js";
import { categoryText, placeText } from "./fields.js";
import { clock, request } from "./api.js";

export class CasesView {
  #cases = new Map(); // number -> case
  #next = null;
  #asked = 0;
  #asking = null; // AbortController of the list that is being read
  #loading = false;
  query = "";
  selected = null;

  /** `on`: select(case). */
  constructor({ list, scroll, state, on }) {
    Object.assign(this, { list, scroll, state, on });
    list.addEventListener("click", (event) => {
      const number = event.target.closest("[data-number]")?.dataset.number;
      if (number) this.select(number, { focus: true });
    });
    scroll.addEventListener("scroll", () => {
      if (scroll.scrollTop + scroll.clientHeight > scroll.scrollHeight - 600) this.#more();
    }, { passive: true });
  }

  get(number) {
    return this.#cases.get(number) ?? null;
  }

  async refresh() {
    this.#asked += 1;
    const asked = this.#asked;
    this.#asking?.abort(); // the words have changed: the backend need not look for the old ones
    this.#asking = new AbortController();
    let page;
    try {
      page = await this.#page(null, this.#asking.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      throw error;
    }
    if (asked !== this.#asked) return;
    this.#cases.clear();
    this.list.replaceChildren();
    this.#append(page);
    const since = page.searched_since; // words are looked for in the latest cases only; the list says so
    this.state.hidden = this.#cases.size > 0 && !since;
    const none = this.#cases.size > 0 ? "" : t(this.query ? "cases.nothing_found" : "cases.empty");
    this.state.textContent = [none, since ? t("cases.searched_since", { time: shortTime(since) }) : ""].filter(Boolean).join(" ");
  }

  async #more() {
    if (!this.#next || this.#loading) return;
    const asked = this.#asked;
    this.#loading = true;
    try {
      const page = await this.#page(this.#next);
      if (asked === this.#asked) this.#append(page);
    } finally {
      this.#loading = false;
    }
  }

  #page(after, signal) {
    const parameters = new URLSearchParams({ limit: "50" });
    if (this.query) parameters.set("q", this.query);
    if (after) parameters.set("after", after);
    return request("GET", `/api/cases?${parameters}`, undefined, { signal });
  }

  #append({ items, next }) {
    this.#next = next;
    for (const one of items) {
      this.#cases.set(one.number, one);
      this.list.append(row(one));
    }
    this.#mark();
  }

  first() {
    return this.#cases.keys().next().value ?? null;
  }

  neighbour(step) {
    const numbers = [...this.#cases.keys()];
    const at = numbers.indexOf(this.selected);
    return at < 0 ? numbers[0] : numbers[at + step];
  }

  /** One that is not in the list (an address that was kept) is asked for. */
  async select(number, { focus = false } = {}) {
    if (!number) return;
    const one = this.#cases.get(number) ?? (await request("GET", `/api/cases/${encodeURIComponent(number)}`));
    this.selected = number;
    this.#mark();
    const element = this.#element(number);
    if (focus) element?.focus({ preventScroll: true });
    element?.scrollIntoView({ block: "nearest" });
    this.on.select(one);
  }

  focus() {
    this.#element(this.selected ?? this.first())?.focus();
  }

  #element(number) {
    return [...this.list.children].find((element) => element.dataset.number === number) ?? null;
  }

  #mark() {
    const tabbable = this.#element(this.selected) ?? this.list.firstElementChild;
    for (const element of this.list.children) {
      element.setAttribute("aria-selected", String(element.dataset.number === this.selected));
      element.tabIndex = element === tabbable ? 0 : -1;
    }
  }
}

function row(one) {
  const { category, place, subject } = one.fields;
  return h("li", { role: "option", class: one.voided_at ? "row case gone" : "row case", tabindex: -1, "aria-selected": "false", data: { number: one.number } },
    h("span", { class: "mark", "aria-hidden": "true" }),
    h("span", { class: "row-title number" }, one.number),
    h("time", { class: "row-age", datetime: one.opened_at }, shortTime(one.opened_at, new Date(clock.now()))),
    h("span", { class: "row-subject" }, subject || categoryText(category)),
    h("span", { class: "row-notes" },
      h("span", { class: "note" }, one.voided_at ? t("cases.voided") : [categoryText(category), placeText(place)].filter(Boolean).join(" · "))));
}
