// Whether the backend can be reached, for whoever shows it or waits for it.

class Connection extends EventTarget {
  #reasons = new Set();

  get lost() {
    return this.#reasons.size > 0;
  }

  /** `what`: "stream" or "request", each of which is lost and found by itself. */
  mark(what, lost) {
    const before = this.lost;
    if (lost) this.#reasons.add(what);
    else this.#reasons.delete(what);
    if (this.lost !== before) this.dispatchEvent(new Event("change"));
  }

  /** Resolves when it is back, or after `patienceMs` at the latest: whoever waits then simply tries again. */
  restored(patienceMs = 3000) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.removeEventListener("change", check);
        resolve();
      };
      const check = () => !this.lost && done();
      const timer = setTimeout(done, patienceMs);
      this.addEventListener("change", check);
    });
  }
}

export const connection = new Connection();
