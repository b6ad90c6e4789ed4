// The desk: puts the parts together and carries out what the keys and buttons say.
import { h, byId, announce } from "./dom.js";
import { t, has, lang, shortTime } from "./words.js";
import { Problem, Unreachable, logOut, request, session, whenSessionIsOver, whoAmI } from "./api.js";
import { connection } from "./connection.js";
import { Outbox } from "./outbox.js";
import { openStream } from "./stream.js";
import { Queue } from "./queue.js";
import { LiveCalls } from "./live.js";
import { CasesView } from "./cases_view.js";
import { Player } from "./player.js";
import { Transcript } from "./transcript.js";
import { DraftForm } from "./form.js";
import { Toasts } from "./toasts.js";
import { listen } from "./keys.js";
import { askReason, loginInPlace, openHelp } from "./dialogs.js";
import { otherLanguage } from "./language.js";

const SEARCH_PAUSE_MS = 200;
const HURRY_MS = 150; // a key held down: rows that are only passed are not asked for
const CACHED_DRAFTS = 40; // neighbours read ahead; the oldest is forgotten first
const narrow = matchMedia("(max-width: 760px)");

const desk = byId("desk");
const outbox = new Outbox();
const toasts = new Toasts(byId("toasts"));
const cache = new Map(); // draft_id -> view
const draftOfCall = new Map(); // call_id -> draft_id, as the stream tells
let categories = [];
let shown = { kind: "nothing", id: null }; // draft | live | case | nothing
let view = null; // the draft that is shown
let asking = null; // AbortController of the draft that is being read
let spans = []; // seconds of the lit evidence
let shownAtMs = 0; // when a draft was last chosen
const busy = new Set(); // drafts with a confirm, return or reject on its way

const transcript = new Transcript(byId("said"), { onWord: (seconds) => player.playFrom(seconds) });
const player = new Player(byId("player"), {
  onTime: (seconds, playing) => transcript.mark(seconds, playing),
  onBroken: () => {
    player.broken(t("player.broken"));
    request("GET", "/api/session").then(() => player.tryAgain()).catch(() => {}); // perhaps only the session was over
  },
});
const form = new DraftForm({
  head: byId("draft-head"), container: byId("fields"), actions: byId("actions"), categories: () => categories,
  on: {
    light: (evidence) => (spans = transcript.light(evidence)),
    edit: (path, value) => outbox.edit(view.draft.draft_id, path, value),
    wanted: (path) => take().then((taken) => taken && form.edit(path)),
    alert: (alert) => {
      spans = transcript.light(alert.evidence);
      player.playSpans(spans);
    },
  },
});
const queue = new Queue({
  list: byId("queue-rows"), scroll: byId("queue-scroll"), state: byId("queue-state"), counts: byId("queue-counts"), news: byId("news"),
  on: { select: (id) => (id ? showDraft(id) : showNothing()), open: () => take() },
});
const live = new LiveCalls({ panel: byId("live-panel"), list: byId("live-rows"), on: { select: showLive, changed: showLive } });
const cases = new CasesView({ list: byId("case-rows"), scroll: byId("case-scroll"), state: byId("case-state"), on: { select: showCase } });

// ── what is shown ──

const mine = (one) => one.status === "taken" && one.taken_by === session.user?.name;

function become(kind, id) {
  if (shown.kind === "live" && kind !== "live") live.unselect();
  shown = { kind, id };
  desk.dataset.shown = kind;
  const fragment = { draft: `#draft=${id}`, case: `#case=${id}` }[kind] ?? "";
  history.replaceState(null, "", location.pathname + fragment);
}

function showNothing() {
  asking?.abort();
  become("nothing", null);
  view = null;
  player.none("");
  transcript.clear();
  form.clear(t(queue.length ? "draft.choose" : "queue.empty"));
}

/** Shows a draft, from memory at once if it was read before, and as the backend has it now. */
async function showDraft(id) {
  become("draft", id);
  asking?.abort();
  const mineToAsk = (asking = new AbortController());
  const known = cache.get(id);
  const hurried = performance.now() - shownAtMs < HURRY_MS;
  shownAtMs = performance.now();
  if (known) render(known);
  else {
    view = null;
    form.clear(t("draft.loading"));
    transcript.clear();
    player.none("");
  }
  try {
    if (hurried) await new Promise((resolve) => setTimeout(resolve, HURRY_MS));
    if (mineToAsk.signal.aborted) return null;
    const fresh = await request("GET", `/api/drafts/${id}`, undefined, { signal: mineToAsk.signal });
    if (shown.id !== id) return null;
    render(fresh);
    readAhead(id);
    return fresh;
  } catch (error) {
    if (error.name !== "AbortError" && shown.id === id && !known) form.clear(faultText(error));
    return null;
  }
}

function remember(one) {
  const id = one.draft.draft_id;
  cache.delete(id);
  cache.set(id, one);
  if (cache.size > CACHED_DRAFTS) cache.delete(cache.keys().next().value);
  outbox.seen(id, one.version);
}

function readAhead(id) {
  const next = queue.neighbour(1, id);
  if (!next || cache.has(next) || next === id) return;
  request("GET", `/api/drafts/${next}`).then(remember).catch(() => {});
}

function render(one) {
  const id = one.draft.draft_id;
  const same = view?.draft.draft_id === id;
  if (shown.kind === "draft") remember(one);
  view = one;
  const own = mine(one);
  if (one.status === "confirmed" || one.status === "rejected") outbox.forget(id); // a caller's words do not linger at this PC
  const unsaved = own ? outbox.unsaved(id) : {};
  form.show(one, { mine: own, unsaved, refused: outbox.refused(id) });
  if (own && Object.keys(unsaved).length) outbox.flush(id).catch((error) => failed(id, error));
  if (!same || !byId("said").childElementCount) transcript.show(one.draft);
  if (one.recording) player.load(one.recording, one.draft.call_id);
  else player.none(t("player.not_here"));
  showActions();
}

function showLive(call) {
  if (shown.kind !== "live" || shown.id !== call.call_id) {
    asking?.abort();
    become("live", call.call_id);
    queue.unselect();
    view = null;
    transcript.clear();
    player.none(t("player.live"));
  }
  const here = draftOfCall.has(call.call_id);
  const note = t(here ? "live.draft_here" : call.ended ? "live.ended" : "live.going_on");
  transcript.showLive(call.turns.filter(Boolean), note);
  form.showLive(call, t(here ? "live.take_it" : "live.fields"));
}

async function showCase(one) {
  become("case", one.number);
  try {
    const fresh = await request("GET", `/api/drafts/${one.draft_id}`);
    if (shown.kind !== "case" || shown.id !== one.number) return;
    remember(fresh);
    render({ ...fresh, case_number: one.number, opened: one, status: one.voided_at ? "voided" : fresh.status });
  } catch (error) {
    form.clear(faultText(error));
  }
}

// ── the buttons under the draft ──

function button(text, key, verb, { primary = false, keys = key } = {}) {
  return h("button", {
    type: "button", class: primary ? "primary" : "ghost", "aria-keyshortcuts": keys, disabled: busy.has(view.draft.draft_id),
    on: { click: () => verb() },
  }, text, " ", h("kbd", {}, key));
}

function showActions() {
  const parts = [];
  const who = { who: view.taken_by_name ?? view.taken_by, time: view.taken_at ? shortTime(view.taken_at) : "" };
  if (mine(view)) {
    parts.push(
      button(t("action.confirm"), "Ctrl Enter", confirm, { primary: true, keys: "Control+Enter" }),
      button(t("action.return"), "r", giveBack), button(t("action.reject"), "x", reject));
  } else if (view.status === "waiting") {
    parts.push(button(t("action.take"), "Enter", take, { primary: true }));
    if (Object.keys(outbox.unsaved(view.draft.draft_id)).length) parts.push(h("p", { class: "state" }, t("draft.unsaved")));
  } else if (view.status === "taken") {
    parts.push(h("p", { class: "state taken" }, t("draft.taken", who)));
    if (view.may_take_over) parts.push(button(t("action.take_over"), "", () => take({ force: true })));
  } else if (view.status === "confirmed") {
    parts.push(h("p", { class: "state" }, t("draft.case", { number: view.case_number })));
  } else if (view.status === "voided") {
    parts.push(h("p", { class: "state" }, t("cases.voided")));
  } else {
    parts.push(h("p", { class: "state" }, t("draft.rejected", { reason: view.reject_reason ?? "" })));
  }
  const focused = byId("actions").contains(document.activeElement);
  byId("actions").replaceChildren(...parts);
  if (focused) byId("actions").querySelector("button")?.focus();
}

function faultText(error) {
  if (error instanceof Unreachable) return t("connection.lost");
  if (!(error instanceof Problem)) throw error;
  return has(`problem.${error.code}`) ? t(`problem.${error.code}`) : t("problem.other", { detail: error.message });
}

function failed(id, error, { focus = false } = {}) {
  if (error instanceof Problem && error.status === 422 && view?.draft.draft_id === id) {
    if (form.showFaults(error.errors, { focus })) {
      if (focus) announce(faultText(error));
      return;
    }
  }
  toasts.say(faultText(error), { grave: true });
  if (error instanceof Problem && error.status === 409 && shown.id === id) showDraft(id);
}

// ── what the operator does ──

async function take({ force = false } = {}) {
  if (shown.kind === "live") {
    const id = draftOfCall.get(shown.id);
    if (!id) return false;
    queue.select(id);
    if (shown.id !== id) await showDraft(id);
  }
  if (shown.kind !== "draft") return false;
  const id = shown.id;
  if (view && mine(view)) {
    form.focusFirst();
    return true;
  }
  if (view && !force && view.status === "taken") {
    announce(t("draft.taken", { who: view.taken_by_name, time: shortTime(view.taken_at) }));
    return false;
  }
  if (outbox.version(id) === undefined) {
    try {
      remember(await request("GET", `/api/drafts/${id}`));
    } catch (error) {
      failed(id, error);
      return false;
    }
  }
  return act(id, "take", force ? { force } : {}, (taken) => {
    if (shown.id !== id) return;
    render(taken);
    form.focusFirst();
  });
}

/** One deed at a time on a draft; `done(view)` when the backend has it. Resolves true when it went well. */
async function act(id, verb, extra, done) {
  if (busy.has(id)) return false;
  busy.add(id);
  if (view?.draft.draft_id === id && verb !== "take") showActions();
  try {
    const fresh = await outbox.act(id, verb, extra);
    busy.delete(id);
    remember(fresh);
    done(fresh);
    return true;
  } catch (error) {
    busy.delete(id);
    failed(id, error, { focus: true });
    if (view?.draft.draft_id === id) showActions();
    return false;
  }
}

/** Confirm, return and reject: say it, offer the way back, go on to the next draft. */
function finish(verb, extra, text) {
  if (!view || shown.kind !== "draft") return false;
  if (!mine(view)) {
    announce(t("draft.take_first"));
    return false;
  }
  const id = view.draft.draft_id;
  player.pause();
  act(id, verb, extra, (fresh) => {
    toasts.offer(text(fresh), fresh.undo_until ?? new Date().toISOString(), () => undo(id));
    if (shown.id === id) goOn(id);
    else queue.refresh().catch(() => {});
  });
  return true;
}

const confirm = () => finish("confirm", {}, (fresh) => t("done.confirmed", { number: fresh.case_number }));
const giveBack = () => finish("return", {}, () => t("done.returned"));

async function reject() {
  if (!view || !mine(view)) return;
  const id = view.draft.draft_id;
  const reason = await askReason();
  if (reason && shown.id === id) finish("reject", { reason }, () => t("done.rejected"));
}

function goOn(id) {
  const next = queue.nextWaiting(id);
  if (next) {
    queue.select(next, { focus: !narrow.matches });
    queue.refresh().catch(() => {});
  } else {
    queue.unselect();
    showNothing();
    queue.refresh().then(() => !view && showNothing()).catch(() => {});
    byId("queue-scroll").focus();
  }
}

function undo(id) {
  return act(id, "undo", {}, async (fresh) => {
    setView("queue");
    toasts.say(t("undo.done"));
    cache.delete(id);
    await queue.refresh().catch(() => {});
    queue.select(id);
    if (shown.id !== id) become("draft", id);
    render(fresh);
    form.focusFirst();
  });
}

function setView(name) {
  if (desk.dataset.view === name) return;
  desk.dataset.view = name;
  byId("view-queue").setAttribute("aria-pressed", String(name === "queue"));
  byId("view-cases").setAttribute("aria-pressed", String(name === "cases"));
  byId("search").value = name === "queue" ? queue.query : cases.query;
}

function goQueue() {
  setView("queue");
  if (shown.kind === "case" || shown.kind === "nothing") queue.select(queue.selected ?? queue.first(), { focus: true });
  else queue.focus();
  desk.dataset.shown = narrow.matches ? "nothing" : desk.dataset.shown;
}

async function goCases() {
  setView("cases");
  await cases.refresh();
  if (!narrow.matches || cases.selected) await cases.select(cases.selected ?? cases.first(), { focus: true });
}

function move(step) {
  if (desk.dataset.view === "cases") cases.select(cases.neighbour(step), { focus: true });
  else if (shown.kind === "live" && byId("live-panel").contains(document.activeElement)) live.move(step);
  else {
    const next = queue.neighbour(step);
    if (next) queue.select(next, { focus: true });
  }
}

function byWord(step) {
  const at = transcript.neighbour(player.now, step);
  if (at !== null) player.seek(at + 0.001);
}

listen({
  down: () => move(1), up: () => move(-1), take: () => void take(), play: () => player.toggle(), evidence: () => player.playSpans(spans),
  word_back: () => byWord(-1), word_on: () => byWord(1),
  seconds_back: () => player.seek(player.now - 3), seconds_on: () => player.seek(player.now + 3),
  slower: () => player.changeSpeed(-1), faster: () => player.changeSpeed(1),
  edit: () => form.edit(), confirm: () => confirm(), return: () => giveBack(), reject: () => void reject(),
  undo: () => toasts.undo(), search: () => byId("search").focus(), help: () => openHelp(),
  queue: () => goQueue(), news: () => queue.showNews(), live: () => live.move(1), cases: () => goCases(),
  number_0: () => form.take(0), number_1: () => form.take(1), number_2: () => form.take(2), number_3: () => form.take(3), number_4: () => form.take(4),
  escape: () => {
    if (document.activeElement === byId("search")) byId("search").value = "";
    search();
    if (desk.dataset.view === "cases") cases.focus();
    else queue.focus();
  },
});

let searchTimer = 0;
async function search() {
  const list = desk.dataset.view === "cases" ? cases : queue;
  const wanted = byId("search").value.trim();
  if (list.query === wanted) return;
  list.query = wanted;
  await list.refresh().catch((error) => toasts.say(faultText(error)));
}
byId("search").addEventListener("input", () => {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(search, SEARCH_PAUSE_MS);
});
byId("search").addEventListener("keydown", async (event) => {
  if (event.isComposing || !["Enter", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  event.stopPropagation();
  clearTimeout(searchTimer);
  await search();
  if (desk.dataset.view === "cases") cases.select(cases.first(), { focus: true });
  else queue.select(queue.first(), { focus: true });
});

byId("view-queue").addEventListener("click", goQueue);
byId("view-cases").addEventListener("click", () => goCases().catch((error) => toasts.say(faultText(error))));
byId("help-open").addEventListener("click", openHelp);
byId("back").addEventListener("click", () => {
  desk.dataset.shown = "nothing";
});
otherLanguage(byId("language"), () => outbox.flushAll());
byId("logout").addEventListener("click", async () => {
  await outbox.flushAll();
  await logOut().catch(() => {});
  location.replace("/login");
});
document.addEventListener("visibilitychange", () => document.hidden && outbox.flushAll());

// ── what happens elsewhere ──

outbox.addEventListener("state", ({ detail: { id, state, view: receipt } }) => {
  if (view?.draft.draft_id !== id) return;
  if (receipt?.fields) {
    view = { ...view, fields: receipt.fields, version: receipt.version, edits_count: receipt.edits_count };
    cache.set(id, view);
    form.show(view, { mine: mine(view), unsaved: outbox.unsaved(id), refused: outbox.refused(id) });
  }
  form.saving(state);
});
outbox.addEventListener("failed", ({ detail: { id, error } }) => failed(id, error));
connection.addEventListener("change", () => {
  byId("connection").textContent = connection.lost ? t("connection.lost") : "";
  document.body.toggleAttribute("data-offline", connection.lost);
  if (!connection.lost) catchUp().then(() => toasts.say(t("connection.back")));
});

let catchingUp = null;
let justStarted = true;

/** Reads everything that may have changed unseen; however many ask at once, it is read once. */
function catchUp() {
  catchingUp ??= readAnew().finally(() => (catchingUp = null));
  return catchingUp;
}

async function readAnew() {
  const fresh = justStarted ? shown.id : null; // read a moment ago, before the stream was open
  justStarted = false;
  try {
    const answer = await queue.refresh();
    if (answer) live.reset(answer.live);
    if (shown.kind === "draft" && shown.id !== fresh) await showDraft(shown.id);
  } catch (error) {
    if (!(error instanceof Unreachable)) toasts.say(faultText(error));
  }
}

function onQueue(change) {
  if (change.item) {
    draftOfCall.set(change.item.call_id, change.draft_id);
    live.delivered(change.item.call_id);
  }
  queue.apply(change);
}

function onDraft(change) {
  if (shown.kind !== "draft" || shown.id !== change.draft_id || busy.has(change.draft_id)) return;
  const news = !view || change.version > view.version || change.has_recording !== Boolean(view.recording)
    || (!mine(view) && change.edits_count !== view.edits_count);
  if (news) showDraft(change.draft_id);
}

async function start() {
  const user = await whoAmI();
  byId("user").textContent = user.display_name;
  const [answer] = await Promise.all([queue.refresh(), readCategories()]);
  if (answer) live.reset(answer.live);
  const [, kind, id] = /^#(draft|case)=([\w-]+)$/.exec(location.hash) ?? [];
  if (kind === "case") {
    setView("cases");
    await cases.refresh();
    await cases.select(id, { focus: true }).catch((error) => toasts.say(faultText(error)));
  } else if (kind === "draft") {
    if (queue.item(id)) queue.select(id, { focus: true });
    else await showDraft(id);
  } else if (!narrow.matches && queue.first()) queue.select(queue.mine() ?? queue.first(), { focus: true });
  else showNothing();
}

async function readCategories() {
  const { categories: level1s } = await request("GET", "/api/categories");
  categories = level1s.flatMap((one) => [
    { level1: one.name, level2: null, level3: null },
    ...one.children.flatMap((two) => [
      { level1: one.name, level2: two.name, level3: null },
      ...two.children.map((three) => ({ level1: one.name, level2: two.name, level3: three.name })),
    ]),
  ]);
}

async function startPatiently() {
  for (;;) {
    try {
      await start();
      break;
    } catch (error) {
      if (!(error instanceof Unreachable)) {
        toasts.say(faultText(error), { grave: true });
        if (!(error instanceof Problem) || error.status < 500) throw error;
      }
      await connection.restored();
    }
  }
  openStream({
    queue: onQueue, live: (update) => live.apply(update), "live-gone": ({ call_id: id }) => live.delivered(id), draft: onDraft, caughtUp: catchUp,
  });
  desk.dataset.ready = lang;
}

whenSessionIsOver(loginInPlace);
startPatiently();
