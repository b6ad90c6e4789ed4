// The keys of the desk. Single characters rest while a text box has the focus, and can be switched off altogether.
import { inTextBox } from "./dom.js";

/** [caps, text] as the help shows them. */
export const KEYS = [
  [["j", "k"], "key.move"], [["Enter"], "key.take"], [["Space"], "key.play"], [["←", "→"], "key.word"],
  [["Shift ←", "Shift →"], "key.seconds"], [["[", "]"], "key.speed"], [["p"], "key.evidence"], [["Tab"], "key.tab"],
  [["1", "–", "4"], "key.alternative"], [["0"], "key.original"], [["a"], "key.adopt_field"], [["A"], "key.adopt"],
  [["d"], "key.dismiss"], [["w"], "key.changes"], [["e"], "key.edit"], [["Esc"], "key.leave"],
  [["Ctrl Enter"], "key.confirm"], [["r"], "key.return"], [["x"], "key.reject"], [["u"], "key.undo"], [["/"], "key.search"],
  [["g", "q"], "key.queue"], [["g", "n"], "key.news"], [["g", "l"], "key.live"], [["g", "c"], "key.cases"], [["F8"], "key.play_anywhere"], [["?"], "key.help"],
];

const SWITCH = "hotline.letters";
const CHORD_MS = 1500;

export const letters = {
  on: read() !== "off",
  set(on) {
    this.on = on;
    try {
      localStorage.setItem(SWITCH, on ? "on" : "off");
    } catch {
      // Holds until the page is left.
    }
  },
};

function read() {
  try {
    return localStorage.getItem(SWITCH);
  } catch {
    return null;
  }
}

/**
 * `actions`: name -> function. Keys act only where nothing else wants them: not in a dialog, letters not in a text box,
 * Space and Enter not on a button.
 */
export function listen(actions) {
  let chordUntil = 0;
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const name = nameOf(event, performance.now() < chordUntil);
    chordUntil = 0;
    if (name === "chord") chordUntil = performance.now() + CHORD_MS;
    else if (name && actions[name]) {
      if (actions[name](event) === false) return;
    } else return;
    event.preventDefault();
  });
}

const CHORDS = { q: "queue", n: "news", l: "live", c: "cases" };
const LETTERS = {
  j: "down", k: "up", p: "evidence", e: "edit", r: "return", x: "reject", u: "undo", "/": "search", "?": "help", "[": "slower",
  "]": "faster", g: "chord", a: "adopt_field", A: "adopt", d: "dismiss", w: "changes",
};

function nameOf(event, inChord) {
  const { key, target } = event;
  if (key === "Enter" && (event.ctrlKey || event.metaKey)) return event.repeat ? null : "confirm";
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  if (key === "F8") return "play";
  if (inTextBox(target)) return key === "Escape" ? "escape" : null;
  const onControl = target.closest?.("button, a, input, summary");
  if (key === " ") return onControl ? null : "play";
  if (key === "Enter") return onControl || event.repeat ? null : "take";
  if (key === "ArrowLeft" || key === "ArrowRight") {
    if (target.type === "range") return null;
    return `${event.shiftKey ? "seconds" : "word"}_${key === "ArrowLeft" ? "back" : "on"}`;
  }
  if (key === "ArrowDown" || key === "ArrowUp") return target.closest?.(".rows, body > :not(main)") ? (key === "ArrowDown" ? "down" : "up") : null;
  if (key === "Escape") return "escape";
  if (!letters.on) return null;
  if (inChord) return CHORDS[key] ?? null;
  if (/^[0-4]$/.test(key)) return `number_${key}`;
  if (["r", "x", "u", "A", "d", "w"].includes(key) && event.repeat) return null;
  return LETTERS[key] ?? null;
}
