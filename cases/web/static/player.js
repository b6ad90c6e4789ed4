// The recording: play, seek, speed, one span of seconds. Tells `onTime(seconds, playing)` as the sound runs.
import { h } from "./dom.js";
import { t, duration } from "./words.js";

const SPEEDS = [0.75, 1, 1.25, 1.5, 1.75, 2];
const SPAN_PADDING_SECONDS = 0.12; // a word cut at its edge is not understood

export class Player {
  #audio = new Audio();
  #spans = []; // [from, to] still to be played, then silence
  #frame = 0;
  #seconds = 0;
  #triedAgain = false;

  constructor(container, { onTime, onBroken }) {
    this.onTime = onTime;
    this.#audio.preload = "metadata"; // a draft that is only passed costs no sound
    this.button = h("button", { type: "button", class: "play", "aria-keyshortcuts": "Space", on: { click: () => this.toggle() } });
    this.seekbar = h("input", {
      type: "range", min: 0, max: 1, step: 0.1, value: 0, "aria-label": t("player.seek"),
      on: { input: () => this.seek(Number(this.seekbar.value)) },
    });
    this.time = h("span", { class: "time" });
    this.speed = h("button", {
      type: "button", class: "speed ghost", on: { click: () => this.changeSpeed(1, true) },
    });
    this.state = h("p", { class: "player-state" });
    container.append(this.button, this.seekbar, this.time, this.speed, this.state);
    for (const event of ["play", "pause", "ended", "loadedmetadata", "seeked", "ratechange"]) {
      this.#audio.addEventListener(event, () => this.#show());
    }
    this.#audio.addEventListener("error", () => this.#audio.src && onBroken());
    this.#setRate(Number(read("hotline.speed")) || 1);
    this.none("");
  }

  get usable() {
    return !this.button.disabled;
  }
  get playing() {
    return !this.#audio.paused;
  }
  get now() {
    return this.#audio.currentTime;
  }

  /** `recording`: {uri, seconds, sha256}. The same one again keeps its place. */
  load(recording, callId) {
    const path = recording.uri?.startsWith("/api/") ? recording.uri : `/api/recordings/${callId}`;
    const source = `${path}?v=${recording.sha256.slice(0, 12)}`;
    this.#seconds = recording.seconds;
    if (this.#audio.getAttribute("src") !== source) {
      const rate = this.#audio.playbackRate;
      this.#triedAgain = false;
      this.#audio.src = source;
      this.#setRate(rate);
    }
    this.#enable(true, "");
    this.#show();
  }

  /** Nothing to play; `why` is shown in its place. */
  none(why) {
    this.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load();
    this.#seconds = 0;
    this.#enable(false, why);
    this.#show();
  }

  broken(why) {
    this.#enable(false, why);
  }

  /** Asks for the same recording once more. */
  tryAgain() {
    if (this.#triedAgain || !this.#audio.getAttribute("src")) return;
    this.#triedAgain = true;
    this.#enable(true, "");
    this.#audio.load();
  }

  toggle() {
    if (!this.usable) return;
    this.#spans = [];
    if (this.playing) this.pause();
    else this.#play();
  }

  pause() {
    this.#spans = [];
    this.#audio.pause();
  }

  seek(seconds) {
    if (!this.usable) return;
    this.#spans = [];
    this.#audio.currentTime = Math.max(0, Math.min(seconds, this.#length()));
    this.#show();
  }

  playFrom(seconds) {
    if (!this.usable) return;
    this.seek(seconds);
    this.#play();
  }

  /** Plays these [from, to] seconds one after the other and stops. */
  playSpans(spans) {
    if (!this.usable || spans.length === 0) return;
    this.#spans = spans.map(([from, to]) => [Math.max(0, from - SPAN_PADDING_SECONDS), to + SPAN_PADDING_SECONDS]);
    this.#audio.currentTime = this.#spans[0][0];
    this.#play();
  }

  changeSpeed(step, around = false) {
    const now = SPEEDS.indexOf(this.#audio.playbackRate);
    let next = (now < 0 ? SPEEDS.indexOf(1) : now) + step;
    if (around) next %= SPEEDS.length;
    this.#setRate(SPEEDS[Math.max(0, Math.min(next, SPEEDS.length - 1))]);
  }

  #setRate(rate) {
    this.#audio.defaultPlaybackRate = rate;
    this.#audio.playbackRate = rate;
    this.#audio.preservesPitch = true;
    write("hotline.speed", String(rate));
    this.speed.textContent = `${rate}×`;
    this.speed.setAttribute("aria-label", t("player.speed", { rate }));
  }

  #play() {
    this.#audio.play().catch((error) => {
      if (error.name !== "AbortError") console.warn("play", error.name);
    });
  }

  #length() {
    return Number.isFinite(this.#audio.duration) ? this.#audio.duration : this.#seconds;
  }

  #enable(usable, why) {
    for (const part of [this.button, this.seekbar, this.speed]) part.disabled = !usable;
    this.state.textContent = why;
    this.state.hidden = !why;
  }

  #show() {
    this.button.dataset.playing = String(this.playing);
    this.button.setAttribute("aria-label", t(this.playing ? "player.pause" : "player.play"));
    this.seekbar.max = this.#length() || 1;
    cancelAnimationFrame(this.#frame);
    this.#tick();
  }

  #tick() {
    const now = this.now;
    if (this.#spans.length && now >= this.#spans[0][1]) {
      this.#spans.shift();
      if (this.#spans.length) this.#audio.currentTime = this.#spans[0][0];
      else this.#audio.pause();
    }
    this.seekbar.value = now;
    this.seekbar.setAttribute("aria-valuetext", duration(now));
    const length = this.#length();
    this.seekbar.style.setProperty("--played", length ? `${(100 * now) / length}%` : "0%");
    const time = `${duration(now)} / ${duration(length)}`;
    if (this.time.textContent !== time) this.time.textContent = this.usable ? time : "";
    this.onTime(now, this.playing);
    if (this.playing) this.#frame = requestAnimationFrame(() => this.#tick());
  }
}

function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Not kept: the next page starts at 1×.
  }
}
