// The catalogue's texts, and how times, spans and numbers are shown.

export const lang = document.documentElement.dataset.lang;
const { default: messages } = await import(`./messages.${lang}.js`);
const locale = document.documentElement.lang;

/** The text of `key` with its {names} filled in. */
export function t(key, values = {}) {
  const text = messages[key];
  if (text === undefined) {
    console.error(`no text for ${key}`);
    return key;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export const has = (key) => key in messages;

/** Seconds as 0:41 or 1:02:03. */
export function duration(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "–:––";
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const clockFormat = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat("en-CA", { month: "2-digit", day: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

export const fullTime = (iso) => fullFormat.format(new Date(iso));

/** HH:MM of today, else MM-DD HH:MM, in the viewer's zone. */
export function shortTime(iso, now = new Date()) {
  const at = new Date(iso);
  const time = clockFormat.format(at);
  return at.toDateString() === now.toDateString() ? time : `${dayFormat.format(at)} ${time}`;
}

/** MM-DD, or MM-DD HH:MM when the time of day says something. */
export function dayAndTime(iso) {
  const at = new Date(iso);
  return at.getHours() || at.getMinutes() ? `${dayFormat.format(at)} ${clockFormat.format(at)}` : dayFormat.format(at);
}

export function ago(iso, nowMs) {
  const minutes = Math.floor((nowMs - Date.parse(iso)) / 60000);
  if (minutes < 1) return t("time.now");
  if (minutes < 60) return t("time.minutes", { n: minutes });
  if (minutes < 48 * 60) return t("time.hours", { n: Math.floor(minutes / 60) });
  return t("time.days", { n: Math.floor(minutes / 1440) });
}

/** 13812341234 -> 1381••••234: enough to tell two callers apart, not enough to ring them. */
export function maskNumber(number) {
  const text = String(number);
  if (text.length < 6) return text;
  const [head, tail] = text.length >= 9 ? [4, 3] : [2, 2];
  return text.slice(0, head) + "•".repeat(text.length - head - tail) + text.slice(-tail);
}
