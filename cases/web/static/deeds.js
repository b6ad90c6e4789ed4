// What an operator does with a draft: take, confirm, return, reject, and undo.
import { announce, byId } from "./dom.js";
import { t, shortTime } from "./words.js";
import { Problem, clock, request } from "./api.js";
import { askReason } from "./dialogs.js";
import { faultText } from "./faults.js";

const UNDO_MS = 10_000; // of an answer to an offer: nothing at the backend ends it, it only gets out of sight

export class Deeds {
  #answering = new Map(); // draft_id -> promise of the answer to an offer that is on its way: whether it went well

  /** `settled(id)`: no deed is on its way any more; `draftOf(callId)`: the draft of a live call, if it has come; `narrow()`: one column; `toQueue()`: shows the queue. */
  constructor({ showing, outbox, queue, form, player, toasts, draftOf, narrow, toQueue, settled }) {
    Object.assign(this, { showing, outbox, queue, form, player, toasts, draftOf, narrow, toQueue, settled });
  }

  /** Resolves true when the draft that is shown is hers, from now on or already. */
  async take({ force = false } = {}) {
    const { showing } = this;
    if (showing.kind === "live") await this.#toDraft(this.draftOf(showing.id));
    if (showing.kind !== "draft") return false;
    const { id, view } = showing;
    if (showing.mine) {
      this.form.focusFirst();
      return true;
    }
    if (view?.status === "taken" && !force) {
      announce(t("draft.taken", { who: view.taken_by_name, time: shortTime(view.taken_at) }));
      return false;
    }
    if (this.outbox.version(id) === undefined) {
      try {
        showing.remember(await request("GET", `/api/drafts/${id}`));
      } catch (error) {
        this.failed(id, error);
        return false;
      }
    }
    return this.#act(id, "take", force ? { force } : {}, (taken) => {
      if (showing.id !== id) return;
      showing.done(taken);
      this.form.focusFirst();
    });
  }

  async #toDraft(id) {
    if (!id) return;
    this.queue.select(id);
    if (this.showing.id !== id) await this.showing.draft(id); // not in the part of the queue that was read
  }

  /** She is still at it: the draft does not go back to the queue under her. */
  stay() {
    const { id, mine, kind, busy } = this.showing;
    if (!mine || kind !== "draft" || busy.has(id)) return;
    this.outbox.stay(id).catch((error) => this.failed(id, error));
  }

  confirm() {
    return this.#finish("confirm", {}, (fresh) => t("done.confirmed", { number: fresh.case_number }));
  }

  giveBack() {
    return this.#finish("return", {}, () => t("done.returned"));
  }

  async reject() {
    const { showing } = this;
    if (!showing.mine) return;
    const { id } = showing;
    const reason = await askReason();
    if (reason && showing.id === id) this.#finish("reject", { reason }, () => t("done.rejected"));
  }

  // ── a draft that was heard again ──

  /** Shows the newer revision that is offered; what she typed stays. */
  adopt() {
    const { offered, draft } = this.showing.view ?? {};
    if (!this.#answers(offered)) return;
    this.#answer("adopt", { revision: offered.revision }, t("done.adopted"), () =>
      this.#answer("adopt", { revision: draft.revision }, null, null, draft.draft_id));
  }

  /** Out of the way with it; or, dismissed before, here with it again. */
  dismiss() {
    const { offered, dismissed } = this.showing.view ?? {};
    if (!this.#answers(offered)) return;
    if (offered.revision <= dismissed) {
      this.offerAgain();
      return;
    }
    const { id } = this.showing;
    this.#answer("dismiss", { revision: offered.revision }, t("done.dismissed"), () =>
      this.#answer("dismiss", { revision: dismissed }, null, null, id));
  }

  offerAgain() {
    if (this.#answers(this.showing.view?.offered)) this.#answer("dismiss", { revision: 0 }, null, null);
  }

  #answers(offered) {
    return Boolean(offered && this.showing.mine && this.showing.kind === "draft");
  }

  #answer(verb, extra, text, undo, id = this.showing.id) {
    if (this.showing.busy.has(id)) return; // an answer on its way stays the one that #finish waits for
    const answer = this.#act(id, verb, extra, (fresh) => {
      if (this.showing.id === id) this.showing.done(fresh);
      if (text) this.offerUndo(id, text, undo);
    });
    this.#answering.set(id, answer);
    answer.finally(() => this.#answering.get(id) === answer && this.#answering.delete(id));
  }

  offerUndo(id, text, undo) {
    this.toasts.offer(text, new Date(clock.now() + UNDO_MS).toISOString(), undo, id);
  }

  /** Says it, offers the way back, goes on to the next draft. Waits for an answer to an offer, and for its going well. */
  async #finish(verb, extra, text) {
    const { showing } = this;
    if (!showing.view || showing.kind !== "draft") return;
    if (!showing.mine) {
      announce(t("draft.take_first"));
      return;
    }
    const { id } = showing;
    this.player.pause();
    if ((await this.#answering.get(id)) === false) return;
    this.#act(id, verb, extra, (fresh) => {
      this.toasts.close(id);
      if (fresh.undo_until) this.toasts.offer(text(fresh), fresh.undo_until, () => this.undo(id));
      else this.toasts.say(text(fresh));
      if (showing.id === id) this.#goOn(id);
      else this.queue.refresh().catch(() => {});
    });
  }

  #goOn(id) {
    const next = this.queue.nextWaiting(id);
    if (next) {
      this.queue.select(next, { focus: !this.narrow() });
      this.queue.refresh().catch(() => {});
    } else {
      this.queue.unselect();
      this.showing.nothing();
      byId("queue-scroll").focus();
      this.queue.refresh().then(() => this.showing.view || this.showing.nothing()).catch(() => {});
    }
  }

  undo(id) {
    return this.#act(id, "undo", {}, async (fresh) => {
      this.toQueue();
      this.toasts.say(t("undo.done"));
      this.showing.forget(id);
      await this.queue.refresh().catch(() => {});
      this.queue.select(id);
      if (this.showing.id !== id) this.showing.become("draft", id);
      this.showing.done(fresh);
      this.form.focusFirst();
    });
  }

  /** One deed at a time on a draft; `done(view)` when the backend has it. Resolves true when it went well. */
  async #act(id, verb, extra, done) {
    const { busy } = this.showing;
    if (busy.has(id)) return false;
    const mark = () => this.showing.view?.draft.draft_id === id && this.showing.actions();
    busy.add(id);
    mark();
    try {
      const fresh = await this.outbox.act(id, verb, extra);
      busy.delete(id);
      this.showing.remember(fresh);
      done(fresh);
      return true;
    } catch (error) {
      busy.delete(id);
      this.failed(id, error, { focus: true });
      mark();
      return false;
    } finally {
      this.settled(id);
    }
  }

  /** Says what went wrong, at its field if it has one; whatever changed elsewhere is shown as it is now. */
  failed(id, error, { focus = false } = {}) {
    if (error instanceof Problem && error.status === 422 && this.showing.view?.draft.draft_id === id) {
      if (this.form.showFaults(error.errors, { focus })) {
        if (focus) announce(faultText(error));
        return;
      }
    }
    this.toasts.say(faultText(error), { grave: true });
    if (error instanceof Problem && error.status === 409 && this.showing.id === id) this.showing.draft(id);
  }
}
