// The desk: puts the parts together; keys, views, search, and what happens elsewhere.
import { announce, byId } from "./dom.js";
import { t, lang } from "./words.js";
import { Problem, Unreachable, logOut, request, whenSessionIsOver, whoAmI } from "./api.js";
import { connection } from "./connection.js";
import { Outbox } from "./outbox.js";
import { openStream } from "./stream.js";
import { Queue } from "./queue.js";
import { LiveCalls } from "./live.js";
import { CasesView } from "./cases_view.js";
import { Player } from "./player.js";
import { Transcript } from "./transcript.js";
import { DraftForm } from "./form.js";
import { RehearingStrip, isRevised, newestOf } from "./rehearing.js";
import { Showing } from "./showing.js";
import { Deeds } from "./deeds.js";
import { Toasts } from "./toasts.js";
import { listen } from "./keys.js";
import { loginInPlace, openHelp } from "./dialogs.js";
import { fieldName } from "./fields.js";
import { faultText } from "./faults.js";
import { otherLanguage } from "./language.js";

const SEARCH_PAUSE_MS = 200;
const SIGN_OF_LIFE_MS = 120_000; // far less than the take_minutes after which a draft goes back to the queue
const narrow = matchMedia("(max-width: 760px)");

const desk = byId("desk");
const outbox = new Outbox();
const toasts = new Toasts(byId("toasts"));
const draftOfCall = new Map(); // call_id -> draft_id, as the stream tells
let categories = [];
const unseen = new Map(); // draft_id -> its latest change that came while a deed was on its way
let spans = []; // seconds of the lit evidence

const transcript = new Transcript(byId("said"), {
  onWord: (seconds) => player.playFrom(seconds), onSpan: (span) => player.playSpans([span]),
});
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
    edit: (path, value) => outbox.edit(form.draftId, path, value),
    adopted: (path, before) => {
      const id = form.draftId;
      deeds.offerUndo(id, t("done.adopted_field", { name: fieldName(path) }), () =>
        (form.draftId === id ? form.put(path, before) : outbox.edit(id, path, before)));
    },
    wanted: (path) => deeds.take().then((taken) => taken && form.edit(path)),
    alert: (alert) => {
      spans = transcript.light(alert.evidence);
      player.playSpans(spans);
    },
  },
});
const queue = new Queue({
  list: byId("queue-rows"), scroll: byId("queue-scroll"), state: byId("queue-state"), counts: byId("queue-counts"), news: byId("news"),
  on: { select: (id) => (id ? showing.draft(id) : showing.nothing()), open: () => deeds.take() },
});
// What came in a gap of the stream is in the queue alone.
const draftOf = (callId) => draftOfCall.get(callId) ?? queue.ofCall(callId);
const showLive = (call) => showing.live(call, Boolean(draftOf(call.call_id)));
const live = new LiveCalls({ panel: byId("live-panel"), list: byId("live-rows"), on: { select: showLive, changed: showLive } });
const cases = new CasesView({
  list: byId("case-rows"), scroll: byId("case-scroll"), state: byId("case-state"), on: { select: (one) => showing.case(one) },
});
const strip = new RehearingStrip({
  container: byId("again"), transcript, on: { left: () => form.focusAny() },
  verbs: { adopt: () => deeds.adopt(), dismiss: () => deeds.dismiss(), offerAgain: () => deeds.offerAgain() },
});
const showing = new Showing({
  desk, outbox, player, transcript, form, strip, queue,
  on: { left: (kind) => kind === "live" && live.unselect(), failed: (id, error) => deeds.failed(id, error) },
});
const deeds = new Deeds({
  showing, outbox, queue, form, player, toasts, draftOf, narrow: () => narrow.matches,
  toQueue: () => setView("queue"),
  settled: (id) => {
    const change = unseen.get(id);
    unseen.delete(id);
    if (change) onDraft(change);
  },
});
showing.verbs = {
  take: (how) => deeds.take(how), confirm: () => deeds.confirm(), giveBack: () => deeds.giveBack(), reject: () => deeds.reject(),
};

// ── moving about ──

function setView(name) {
  if (desk.dataset.view === name) return;
  desk.dataset.view = name;
  byId("view-queue").setAttribute("aria-pressed", String(name === "queue"));
  byId("view-cases").setAttribute("aria-pressed", String(name === "cases"));
  byId("search").value = name === "queue" ? queue.query : cases.query;
}

function goQueue() {
  setView("queue");
  if (showing.kind === "case" || showing.kind === "nothing") queue.select(queue.selected ?? queue.first(), { focus: true });
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
  else if (showing.kind === "live" && byId("live-panel").contains(document.activeElement)) live.move(step);
  else queue.move(step).catch((error) => toasts.say(faultText(error)));
}

function byWord(step) {
  const at = transcript.neighbour(player.now, step);
  if (at !== null) player.seek(at + 0.001);
}

listen({
  down: () => move(1), up: () => move(-1), take: () => void deeds.take(), play: () => player.toggle(),
  evidence: () => player.playSpans(spans.length ? spans : transcript.pendingSpans),
  word_back: () => byWord(-1), word_on: () => byWord(1),
  seconds_back: () => player.seek(player.now - 3), seconds_on: () => player.seek(player.now + 3),
  slower: () => player.changeSpeed(-1), faster: () => player.changeSpeed(1),
  edit: () => form.edit(), confirm: () => deeds.confirm(), return: () => deeds.giveBack(), reject: () => void deeds.reject(),
  undo: () => toasts.undo(), search: () => byId("search").focus(), help: () => openHelp(),
  queue: () => goQueue(), news: () => queue.showNews(), live: () => live.move(1), cases: () => goCases(),
  number_0: () => form.take("0"), number_1: () => form.take("1"), number_2: () => form.take("2"), number_3: () => form.take("3"),
  number_4: () => form.take("4"), adopt_field: () => form.take("a"), adopt: () => deeds.adopt(), dismiss: () => deeds.dismiss(), changes: () => strip.toggle(),
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

// ── a sign of life ──

let isThere = false; // she did something since the last one
for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, () => (isThere = true), { capture: true });
setInterval(() => {
  if (!document.hidden && (isThere || player.playing)) deeds.stay();
  isThere = false;
}, SIGN_OF_LIFE_MS);

// ── what happens elsewhere ──

outbox.addEventListener("state", ({ detail: { id, state, view: receipt } }) => {
  if (showing.view?.draft.draft_id !== id) return;
  if (receipt?.fields) showing.kept(receipt);
  form.saving(state);
});
outbox.addEventListener("failed", ({ detail: { id, error } }) => deeds.failed(id, error));
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
  const fresh = justStarted ? showing.id : null; // read a moment ago, before the stream was open
  justStarted = false;
  try {
    const answer = await queue.refresh();
    if (answer) live.reset(answer.live);
    if (showing.kind === "draft" && showing.id !== fresh) await showing.draft(showing.id);
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
  const { view, kind } = showing;
  const { draft_id: id } = change;
  if (showing.busy.has(id)) {
    unseen.set(id, change);
    return;
  }
  const revised = view?.draft.draft_id === id && isRevised(view, change);
  if (revised && change.newest > newestOf(view)) announce(t(change.revision === change.newest ? "again.came" : "again.came_offered"));
  if (kind === "case" && revised) showing.case(view.opened);
  if (kind !== "draft" || showing.id !== id) return;
  const news = !view || revised || change.version > view.version || change.has_recording !== Boolean(view.recording)
    || (!showing.mine && change.edits_count !== view.edits_count);
  if (news) showing.draft(id);
}

async function start() {
  const user = await whoAmI();
  outbox.dropOld();
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
    else await showing.draft(id);
  } else if (!narrow.matches && queue.first()) queue.select(queue.mine() ?? queue.first(), { focus: true });
  else showing.nothing();
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
